//! A block as it is in a stream and in an announcement: `append.lua` writes it.
//!
//! Version (1 byte), epoch (16 hex digits), first seq (8 bytes), number of entries (4), time in
//! milliseconds (8), length of the room's name (1), the name, the frames. What Redis hands over is
//! believed only if it holds together: anybody who reaches Redis may have written it. Pure.

use bytes::{Buf, Bytes};
use chat_protocol::{Epoch, RoomName, Seq};
use thiserror::Error;

use super::super::{BLOCK_BYTES_MAX, Block, DamagedBlock};

/// Why a payload is no block.
#[derive(Debug, Error)]
pub(super) enum InvalidPayload {
    /// Larger than any node writes.
    #[error("{0} bytes, larger than any node writes")]
    Size(usize),
    /// Not the form described above.
    #[error("not in the form that nodes write")]
    Form,
    /// The frames are not what the numbers say.
    #[error(transparent)]
    Block(#[from] DamagedBlock),
}

/// Reads a payload.
///
/// # Errors
/// When it is no block of a room.
pub(super) fn read(mut payload: Bytes) -> Result<(RoomName, Block), InvalidPayload> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(InvalidPayload::Size(payload.len()));
    }
    if payload.len() < HEADER_BYTES || payload.get_u8() != VERSION {
        return Err(InvalidPayload::Form);
    }
    let epoch = epoch(&payload.split_to(EPOCH_BYTES)).ok_or(InvalidPayload::Form)?;
    let first = Seq(payload.get_u64());
    let len = payload.get_u32();
    let _at_ms = payload.get_u64();
    let room_bytes = usize::from(payload.get_u8());
    if payload.len() < room_bytes {
        return Err(InvalidPayload::Form);
    }
    let room = String::from_utf8(payload.split_to(room_bytes).into()).ok();
    let room = room
        .and_then(|room| RoomName::try_from(room).ok())
        .ok_or(InvalidPayload::Form)?;
    let block = Block {
        epoch,
        first,
        len,
        frames: payload,
    };
    block.ends()?;
    Ok((room, block))
}

/// Reads an epoch as keys and payloads have it: 16 hex digits.
pub(super) fn epoch(text: &[u8]) -> Option<Epoch> {
    let text = std::str::from_utf8(text).ok()?;
    let is_hex = text.len() == EPOCH_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex {
        u64::from_str_radix(text, 16).ok().map(Epoch)
    } else {
        None
    }
}

/// An epoch as keys and payloads have it.
pub(super) fn epoch_text(epoch: Epoch) -> String {
    format!("{:016x}", epoch.0)
}

const VERSION: u8 = 1;

const EPOCH_BYTES: usize = 16;

const HEADER_BYTES: usize = 1 + EPOCH_BYTES + 8 + 4 + 8 + 1;

/// Largest payload that is believed.
const PAYLOAD_BYTES_MAX: usize = HEADER_BYTES + u8::MAX as usize + BLOCK_BYTES_MAX;

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use chat_protocol::Frame;
    use chat_protocol::lane::{Damaged, LaneFrame};

    use super::super::super::HEAD_MAX;
    use super::*;

    fn written(room: &str, first: u64, len: u32, frames: &[u8]) -> Vec<u8> {
        let mut payload = BytesMut::new();
        payload.put_u8(1);
        payload.put_slice(b"00000000000000ff");
        payload.put_u64(first);
        payload.put_u32(len);
        payload.put_u64(1_700_000_000_000);
        payload.put_u8(u8::try_from(room.len()).unwrap());
        payload.put_slice(room.as_bytes());
        payload.put_slice(frames);
        payload.to_vec()
    }

    #[test]
    fn the_scripts_have_the_same_bounds() {
        let script = include_str!("log.lua");
        for line in [
            format!("local HEADER_BYTES = {HEADER_BYTES}\n"),
            format!("local PAYLOAD_BYTES_MAX = {PAYLOAD_BYTES_MAX}\n"),
            format!("local SEQ_MAX = {}\n", Seq::MAX.0),
            format!("local HEAD_MAX = {}\n", HEAD_MAX.0),
        ] {
            assert!(script.contains(&line), "{line}");
        }
    }

    #[test]
    fn a_payload_is_read_back() {
        let frame = LaneFrame::from(Damaged {}).to_bytes();
        let two = [frame.as_ref(), frame.as_ref()].concat();
        let (room, block) = read(written("lobby", 7, 2, &two).into()).unwrap();
        assert_eq!(room.as_str(), "lobby");
        assert_eq!(
            (block.epoch, block.first, block.last()),
            (Epoch(255), Seq(7), Seq(8))
        );
        assert_eq!(block.frames, two);
    }

    #[test]
    fn what_does_not_hold_together_is_not_believed() {
        let frame = LaneFrame::from(Damaged {}).to_bytes();
        let good = written("lobby", 1, 1, &frame);
        for end in 0..good.len() {
            assert!(
                read(Bytes::copy_from_slice(&good[..end])).is_err(),
                "cut to {end} bytes"
            );
        }
        for (index, byte) in [(0, 2), (1, b'g'), (1, b'+'), (28, 2), (38, b'#')] {
            let mut bad = good.clone();
            bad[index] = byte;
            assert!(read(bad.into()).is_err(), "byte {index}");
        }
        assert!(read(written("lobby", 0, 1, &frame).into()).is_err());
        assert!(read(written("lobby", 1 << 53, 1, &frame).into()).is_err());
        assert!(read(written("lobby", 1, u32::MAX, &frame).into()).is_err());
        assert!(read(written("lobby", 1, 1, &vec![0; 16 << 20]).into()).is_err());
    }
}
