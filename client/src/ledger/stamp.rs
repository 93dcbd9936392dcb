//! What is written into a message so that it is known again: who sent it, which of his it is, when
//! it was due, and a checksum over all of it.
//!
//! A stamp takes [`Stamp::BYTES_MIN`] bytes at the beginning of a text: a mark, digits of base 64, and
//! the mark again. The rest is filler up to the size that is wanted. The checksum covers the room's
//! name, every number and every byte of the filler, so a text that was altered, cut or put into
//! another room is found out.

use std::fmt::{self, Display};

use chat_protocol::RoomName;
use thiserror::Error;

/// A message's number, and its sender's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stamp {
    /// Who sent it.
    pub sender: u64,
    /// Which of the sender's messages to the room it is; rises.
    pub counter: u64,
}

/// When a message was sent, on the clock of the run: microseconds since it began. Zero when nobody
/// measures.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Sent {
    /// When it was due. Less than 2^48 (nearly nine years); what is more is written as the most.
    pub due_us: u64,
    /// How long after that it was really handed to the client.
    pub lag_us: u32,
}

/// What a text says about itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Stamped {
    /// Which message it is.
    pub stamp: Stamp,
    /// When it was sent.
    pub sent: Sent,
}

impl Stamp {
    /// The smallest text that holds a stamp, in bytes.
    pub const BYTES_MIN: usize = 1 + DIGITS_LEN + 1;

    /// The text of the message: `bytes` long, all of them ASCII, and never shorter than
    /// [`Self::BYTES_MIN`].
    #[must_use]
    pub fn text(self, room: &RoomName, sent: Sent, bytes: usize) -> String {
        let mut text = vec![MARK; Self::BYTES_MIN.max(bytes)];
        let (head, filler) = text.split_at_mut(Self::BYTES_MIN);
        for (letter, place) in LETTERS.iter().cycle().zip(filler.iter_mut()) {
            *place = *letter;
        }
        let mut packed = pack(self, sent);
        let check = check(room, &packed, filler);
        packed[NUMBERS_LEN..].copy_from_slice(&check);
        write_digits(&packed, &mut head[1..=DIGITS_LEN]);
        String::from_utf8(text).expect("marks, digits and letters are ASCII")
    }

    /// What a text says about itself; `None` when it is not of ours.
    ///
    /// # Errors
    /// When it is of ours and was altered, cut, or sent to another room.
    pub fn find(text: &str, room: &RoomName) -> Result<Option<Stamped>, InvalidStamp> {
        let text = text.as_bytes();
        // Either mark tells: who alters one of them has not hidden that the text is ours.
        let is_ours = text.first() == Some(&MARK) || text.get(1 + DIGITS_LEN) == Some(&MARK);
        if !is_ours {
            return Ok(None);
        }
        let (head, filler) = text.split_at_checked(Self::BYTES_MIN).ok_or(InvalidStamp)?;
        let [MARK, digits @ .., MARK] = head else {
            return Err(InvalidStamp);
        };
        let packed = read_digits(digits).ok_or(InvalidStamp)?;
        if check(room, &packed, filler) == packed[NUMBERS_LEN..] {
            Ok(Some(unpack(&packed)))
        } else {
            Err(InvalidStamp)
        }
    }
}

impl Display for Stamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.sender, self.counter)
    }
}

/// A text that does not fit its checksum.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a text that does not fit its checksum")]
pub struct InvalidStamp;

/// The numbers and the checksum, as they are before they become digits.
type Packed = [u8; PACKED_LEN];

/// The numbers of a stamp; the checksum is still to come.
fn pack(stamp: Stamp, sent: Sent) -> Packed {
    let mut packed = [0; PACKED_LEN];
    let due_us = sent.due_us.min(DUE_US_MAX);
    packed[..8].copy_from_slice(&stamp.sender.to_be_bytes());
    packed[8..16].copy_from_slice(&stamp.counter.to_be_bytes());
    packed[16..22].copy_from_slice(&due_us.to_be_bytes()[2..]);
    packed[22..NUMBERS_LEN].copy_from_slice(&sent.lag_us.to_be_bytes());
    packed
}

fn unpack(packed: &Packed) -> Stamped {
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |high, low| high << 8 | u64::from(*low))
    };
    let lag_us = u32::try_from(number(&packed[22..NUMBERS_LEN]));
    Stamped {
        stamp: Stamp {
            sender: number(&packed[..8]),
            counter: number(&packed[8..16]),
        },
        sent: Sent {
            due_us: number(&packed[16..22]),
            lag_us: lag_us.expect("four bytes"),
        },
    }
}

/// The checksum over all that is not the checksum.
fn check(room: &RoomName, packed: &Packed, filler: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&packed[..NUMBERS_LEN]);
    hasher.update(room.as_str().as_bytes());
    // No name holds it: a letter cannot move from the name to the filler.
    hasher.update(&[MARK]);
    hasher.update(filler);
    hasher.finalize().to_be_bytes()
}

fn write_digits(packed: &Packed, digits: &mut [u8]) {
    for (three, four) in packed.chunks_exact(3).zip(digits.chunks_exact_mut(4)) {
        let bits = three
            .iter()
            .fold(0, |high, low| high << 8 | usize::from(*low));
        for (digit, shift) in four.iter_mut().zip([18, 12, 6, 0]) {
            *digit = DIGITS[bits >> shift & 63];
        }
    }
}

/// `None` when one of them is no digit.
fn read_digits(digits: &[u8]) -> Option<Packed> {
    let mut packed = [0; PACKED_LEN];
    for (four, three) in digits.chunks_exact(4).zip(packed.chunks_exact_mut(3)) {
        let mut bits = 0_u32;
        for digit in four {
            let value = VALUES[usize::from(*digit)];
            if value == NO_DIGIT {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        three.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    Some(packed)
}

/// People rarely write it, and it needs no escaping anywhere.
const MARK: u8 = b'~';

/// Sender, counter and the two times.
const NUMBERS_LEN: usize = 8 + 8 + 6 + 4;

/// The numbers and the checksum.
const PACKED_LEN: usize = NUMBERS_LEN + 4;

/// Six bits each, with none left over: every alteration of a digit is one of a number.
const DIGITS_LEN: usize = PACKED_LEN / 3 * 4;
const _: () = assert!(PACKED_LEN.is_multiple_of(3));

/// What six bytes hold.
const DUE_US_MAX: u64 = (1 << 48) - 1;

/// The digits of base 64 that need no escaping in a URL, a shell or JSON.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The value of each digit, by its byte.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 64 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const NO_DIGIT: u8 = u8::MAX;

/// What filler is made of.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    const STAMPED: Stamped = Stamped {
        stamp: Stamp {
            sender: 7,
            counter: u64::MAX,
        },
        sent: Sent {
            due_us: 12_345_678,
            lag_us: u32::MAX,
        },
    };

    fn room(name: &str) -> RoomName {
        name.parse().unwrap()
    }

    fn text(bytes: usize) -> String {
        STAMPED.stamp.text(&room("lobby"), STAMPED.sent, bytes)
    }

    #[test]
    fn a_text_has_its_size_and_says_what_was_put_in() {
        for bytes in [Stamp::BYTES_MIN, 43, 64, 4096] {
            let text = text(bytes);
            assert_eq!(text.len(), bytes);
            assert_eq!(Stamp::find(&text, &room("lobby")), Ok(Some(STAMPED)));
        }
        assert_eq!(text(0).len(), Stamp::BYTES_MIN);
        const { assert!(Stamp::BYTES_MIN <= 48) };
    }

    #[test]
    fn a_time_that_cannot_be_written_is_the_last_that_can() {
        let sent = Sent {
            due_us: (1 << 48) + 5,
            lag_us: 0,
        };
        let text = STAMPED.stamp.text(&room("lobby"), sent, 0);
        let found = Stamp::find(&text, &room("lobby")).unwrap().unwrap();
        assert_eq!(found.sent.due_us, (1 << 48) - 1);
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let text = text(100);
        for place in 0..text.len() {
            for letter in ["~", "A", "x", "_", " ", "\n", "\u{7f}"] {
                let mut altered = text.clone();
                altered.replace_range(place..=place, letter);
                if altered != text {
                    let found = Stamp::find(&altered, &room("lobby"));
                    assert_eq!(found, Err(InvalidStamp), "{altered}");
                }
            }
        }
    }

    #[test]
    fn a_text_that_was_cut_or_grew_or_came_from_another_room_is_noticed() {
        let text = text(100);
        for bytes in 1..text.len() {
            let found = Stamp::find(&text[..bytes], &room("lobby"));
            assert_eq!(found, Err(InvalidStamp), "{bytes}");
        }
        for grown in [format!("{text} "), format!("{text}b")] {
            assert_eq!(Stamp::find(&grown, &room("lobby")), Err(InvalidStamp));
        }
        assert_eq!(Stamp::find(&text, &room("lobby2")), Err(InvalidStamp));
    }

    #[test]
    fn what_people_write_is_not_of_ours() {
        for text in ["", "hello", "about ~ this long: it goes on past the mark"] {
            assert_eq!(Stamp::find(text, &room("lobby")), Ok(None), "{text}");
        }
    }
}
