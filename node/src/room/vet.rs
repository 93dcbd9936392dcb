//! Checks entries that came from the backplane before a client gets them.
//!
//! Anybody who can write to Redis could have written them. A frame that is no entry a client may
//! see is replaced by [`Damaged`], which takes its seq: a damaged entry is a visible hole and
//! nothing worse. Pure.

use bytes::{Bytes, BytesMut};
use chat_protocol::codec::{Bounds, RawFrame};
use chat_protocol::lane::{self, Damaged, LaneFrame};
use chat_protocol::{Frame, RoomName, Topic};

use crate::backplane::{Block, DamagedBlock};

/// The block with every entry that `room` may not have replaced, and how many were.
///
/// # Errors
/// When it is not even a block of frames.
pub fn vet(room: &RoomName, block: Block) -> Result<(Block, usize), DamagedBlock> {
    let ends = block.ends()?;
    let mut start = 0;
    let bad: Vec<bool> = ends
        .iter()
        .map(|&end| {
            let frame = block.frames.slice(start..end as usize);
            start = end as usize;
            !is_welcome(room, &frame)
        })
        .collect();
    let replaced = bad.iter().filter(|bad| **bad).count();
    if replaced == 0 {
        return Ok((block, 0));
    }
    let mut frames = BytesMut::with_capacity(block.frames.len());
    let mut start = 0;
    for (&end, bad) in ends.iter().zip(bad) {
        if bad {
            LaneFrame::from(Damaged {}).encode(&mut frames);
        } else {
            frames.extend_from_slice(&block.frames[start..end as usize]);
        }
        start = end as usize;
    }
    Ok((
        Block {
            frames: frames.freeze(),
            ..block
        },
        replaced,
    ))
}

/// The topic that the last topic change of a vetted block sets, if it has one.
#[must_use]
pub fn last_topic(block: &Block) -> Option<Topic> {
    let mut topic = None;
    let mut at = 0;
    while let Ok(Some(bounds)) = Bounds::read(block.frames.get(at..).unwrap_or_default()) {
        if bounds.kind == TOPIC_CHANGED {
            let body = block.frames.slice(at + bounds.body..at + bounds.end);
            let raw = RawFrame {
                kind: bounds.kind,
                body,
            };
            if let Ok(Some(LaneFrame::TopicChanged(change))) = LaneFrame::decode(&raw) {
                topic = Some(change.topic);
            }
        }
        at += bounds.end;
    }
    topic
}

fn is_welcome(room: &RoomName, frame: &Bytes) -> bool {
    let Ok(Some(bounds)) = Bounds::read(frame) else {
        return false;
    };
    let raw = RawFrame {
        kind: bounds.kind,
        body: frame.slice(bounds.body..),
    };
    match LaneFrame::decode(&raw) {
        Ok(Some(LaneFrame::Notice(_))) => *room == RoomName::system(),
        Ok(Some(LaneFrame::Message(_) | LaneFrame::TopicChanged(_))) => *room != RoomName::system(),
        Ok(Some(LaneFrame::Damaged(_))) => true,
        Ok(Some(_)) | Err(_) => false,
        // A later version's entry, which clients may skip.
        Ok(None) => !lane::is_internal(raw.kind),
    }
}

/// Kind of a topic change: looked at before a body is decoded.
const TOPIC_CHANGED: u64 = 0x04;

#[cfg(test)]
mod tests {
    use chat_protocol::lane::{At, Notice, NoticeLevel};
    use chat_protocol::{Epoch, Seq};

    use super::*;

    fn block(frames: &[LaneFrame]) -> Block {
        let mut bytes = BytesMut::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes));
        let len = u32::try_from(frames.len()).unwrap();
        Block {
            epoch: Epoch(1),
            first: Seq(1),
            len,
            frames: bytes.freeze(),
        }
    }

    #[test]
    fn what_a_room_may_not_have_becomes_a_visible_hole() {
        let notice = LaneFrame::from(Notice {
            at_ms: 1,
            level: NoticeLevel::Info,
            text: "hi".parse().unwrap(),
        });
        let damaged = LaneFrame::from(Damaged {});
        let (system, lobby) = (RoomName::system(), "lobby".parse().unwrap());
        let given = block(&[notice.clone(), damaged.clone()]);
        assert_eq!(vet(&system, given.clone()), Ok((given.clone(), 0)));
        assert_eq!(
            vet(&lobby, given),
            Ok((block(&[damaged.clone(), damaged]), 1))
        );
        let mark = LaneFrame::from(At {
            epoch: Epoch(1),
            next: Seq(1),
        });
        assert_eq!(vet(&lobby, block(&[mark])), Err(DamagedBlock::Kind(0x22)));
    }

    #[test]
    fn a_body_that_is_not_its_kind_becomes_a_visible_hole() {
        let frames =
            Bytes::from_static(&[0x03, 0x02, 0xff, 0xff, 0x02, 0x11, 0x00, 0x02, 0x09, 0x00]);
        let given = Block {
            epoch: Epoch(1),
            first: Seq(1),
            len: 3,
            frames,
        };
        let (vetted, replaced) = vet(&"lobby".parse().unwrap(), given).unwrap();
        assert_eq!(
            replaced, 2,
            "the garbage and the internal kind; the later odd kind stays"
        );
        assert_eq!(
            &vetted.frames[..],
            [0x01, 0x08, 0x01, 0x08, 0x02, 0x09, 0x00]
        );
    }
}
