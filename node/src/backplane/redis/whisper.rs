//! A whisper as it is on a room's channel, beside announcements.
//!
//! Kind (1 byte; an announcement begins with another), length of the room's name (1), the name, the
//! whisper. As with announcements, what does not hold together is not believed. Pure.

use bytes::{Buf, BufMut, Bytes};
use chat_protocol::RoomName;

use super::super::WHISPER_BYTES_MAX;

/// Whether a payload says that it is a whisper.
pub(super) fn is_whisper(payload: &[u8]) -> bool {
    payload.first() == Some(&KIND)
}

/// The payload of a whisper.
pub(super) fn write(room: &RoomName, whisper: &[u8]) -> Vec<u8> {
    let name = room.as_str().as_bytes();
    let mut payload = Vec::with_capacity(2 + name.len() + whisper.len());
    payload.put_u8(KIND);
    payload.put_u8(u8::try_from(name.len()).expect("names of rooms have at most 64 bytes"));
    payload.put_slice(name);
    payload.put_slice(whisper);
    payload
}

/// Reads a payload; `None` when it is no whisper of a room.
pub(super) fn read(mut payload: Bytes) -> Option<(RoomName, Bytes)> {
    if payload.len() > PAYLOAD_BYTES_MAX || payload.len() < 2 || payload.get_u8() != KIND {
        return None;
    }
    let name_bytes = usize::from(payload.get_u8());
    if payload.len() < name_bytes {
        return None;
    }
    let name = String::from_utf8(payload.split_to(name_bytes).into()).ok()?;
    let room = RoomName::try_from(name).ok()?;
    (payload.len() <= WHISPER_BYTES_MAX).then_some((room, payload))
}

const KIND: u8 = 2;

const PAYLOAD_BYTES_MAX: usize = 2 + u8::MAX as usize + WHISPER_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whisper_is_read_back_and_nothing_else_is() {
        let room = RoomName::parse("lobby").unwrap();
        let good = write(&room, b"psst");
        assert!(is_whisper(&good));
        let read_back = read(good.clone().into()).unwrap();
        assert_eq!(read_back, (room.clone(), Bytes::from_static(b"psst")));
        for end in 0..7 {
            assert_eq!(read(Bytes::copy_from_slice(&good[..end])), None, "{end}");
        }
        for (index, byte) in [(0, 1), (1, 200), (2, b'#')] {
            let mut bad = good.clone();
            bad[index] = byte;
            assert_eq!(read(bad.into()), None, "byte {index}");
        }
        let longest = write(&room, &[0; WHISPER_BYTES_MAX]);
        assert!(read(longest.into()).is_some());
        let too_long = write(&room, &[0; WHISPER_BYTES_MAX + 1]);
        assert_eq!(read(too_long.into()), None);
    }
}
