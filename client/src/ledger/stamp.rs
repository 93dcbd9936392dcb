//! What is written into a message so that it is known again: who sent it, and which of his it is.

use std::fmt::{self, Display};

use thiserror::Error;

/// A message's number, and its sender's. As text `~sender.counter.check~`, anywhere in the message.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stamp {
    /// Who sent it.
    pub sender: u64,
    /// Which of the sender's messages to the room it is; rises.
    pub counter: u64,
}

impl Stamp {
    /// The stamp in a text; `None` when the text is not of ours.
    ///
    /// # Errors
    /// When there is a stamp that does not fit its checksum.
    pub fn find(text: &str) -> Result<Option<Self>, InvalidStamp> {
        let Some((_, rest)) = text.split_once(MARK) else {
            return Ok(None);
        };
        let (stamp, _) = rest.split_once(MARK).ok_or(InvalidStamp)?;
        let mut parts = stamp.split('.');
        let mut number = |radix| {
            let part = parts.next().ok_or(InvalidStamp)?;
            u64::from_str_radix(part, radix).map_err(|_| InvalidStamp)
        };
        let (sender, counter, check) = (number(10)?, number(10)?, number(16)?);
        let stamp = Self { sender, counter };
        if u64::from(stamp.check()) == check && parts.next().is_none() {
            Ok(Some(stamp))
        } else {
            Err(InvalidStamp)
        }
    }

    fn check(self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.sender.to_be_bytes());
        hasher.update(&self.counter.to_be_bytes());
        hasher.finalize()
    }
}

impl Display for Stamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sender, counter, check) = (self.sender, self.counter, self.check());
        write!(out, "{MARK}{sender}.{counter}.{check:08x}{MARK}")
    }
}

/// A stamp that was damaged on its way.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a stamp that does not fit its checksum")]
pub struct InvalidStamp;

/// People rarely write it, and it needs no escaping anywhere.
const MARK: char = '~';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_in_a_text_and_a_damaged_one_is_noticed() {
        let stamp = Stamp {
            sender: 7,
            counter: 42,
        };
        let text = format!("hello {stamp} padding");
        assert_eq!(Stamp::find(&text), Ok(Some(stamp)));
        assert_eq!(Stamp::find("hello"), Ok(None));
        assert_eq!(
            Stamp::find(&text.replace("7.42", "7.43")),
            Err(InvalidStamp)
        );
        assert_eq!(Stamp::find("~7.42"), Err(InvalidStamp));
        assert_eq!(Stamp::find("~7.42~"), Err(InvalidStamp));
    }
}
