//! Reading on from a cursor that is not in the tail: what a page of the log means for a reader.
//! Pure.

use bytes::Bytes;
use chat_protocol::lane::{At, Gap, GapReason, LaneFrame};
use chat_protocol::{Cursor, Frame};

use super::Position;
use crate::backplane::{Continuation, Page};

/// Where a reader that had `after` goes on in the log of `page`, and why not right after it.
#[must_use]
pub fn continue_after(after: Cursor, page: &Page) -> (Cursor, Option<GapReason>) {
    let reason = match page.continuation {
        // The epochs may differ: the new one continues the old one up to the fork.
        Continuation::Seamless => return (Cursor::new(page.head.epoch, after.seq), None),
        Continuation::Trimmed => GapReason::Trimmed,
        Continuation::Diverged => GapReason::Diverged,
    };
    let seq = match page.blocks.first() {
        Some(block) => block.first.minus(1),
        None => page.head.seq,
    };
    (Cursor::new(page.head.epoch, seq), Some(reason))
}

/// The frames that bring a lane from its position to the end of the page, and moves the position
/// there.
#[must_use]
pub fn frames(position: &mut Position, page: Page) -> Vec<Bytes> {
    let (cursor, gap) = continue_after(position.cursor(), &page);
    let mut frames = Vec::with_capacity(page.blocks.len() + 1);
    let next = cursor.seq.next();
    if let Some(reason) = gap {
        frames.push(
            LaneFrame::from(Gap {
                reason,
                epoch: cursor.epoch,
                next,
            })
            .to_bytes(),
        );
    } else if cursor.epoch != position.epoch {
        frames.push(
            LaneFrame::from(At {
                epoch: cursor.epoch,
                next,
            })
            .to_bytes(),
        );
    }
    position.epoch = cursor.epoch;
    position.next = next;
    let is_empty = page.blocks.is_empty();
    for block in page.blocks {
        // Only a damaged entry in the middle of the log can make seqs jump.
        let Ok(Some(block)) = block.after(position.next.minus(1)) else {
            continue;
        };
        if block.first != position.next {
            let gap = Gap {
                reason: GapReason::Trimmed,
                epoch: cursor.epoch,
                next: block.first,
            };
            frames.push(LaneFrame::from(gap).to_bytes());
        }
        position.next = block.last().next();
        frames.push(block.frames);
    }
    // Nothing up to the head can be read: without this the lane would ask for it for ever.
    if is_empty && position.next <= page.head.seq {
        position.next = page.head.seq.next();
        let gap = Gap {
            reason: GapReason::Trimmed,
            epoch: cursor.epoch,
            next: position.next,
        };
        frames.push(LaneFrame::from(gap).to_bytes());
    }
    frames
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use chat_protocol::lane::Damaged;
    use chat_protocol::{Epoch, Seq, Topic};

    use super::*;
    use crate::backplane::Block;

    fn page(continuation: Continuation, blocks: &[(u64, u32)]) -> Page {
        let block = |&(first, len): &(u64, u32)| {
            let mut frames = BytesMut::new();
            (0..len).for_each(|_| LaneFrame::from(Damaged {}).encode(&mut frames));
            Block {
                epoch: Epoch(2),
                first: Seq(first),
                len,
                frames: frames.freeze(),
            }
        };
        Page {
            head: Cursor::new(Epoch(2), Seq(20)),
            first: Seq(5),
            topic: Topic::default(),
            continuation,
            blocks: blocks.iter().map(block).collect(),
        }
    }

    /// The marks among the frames, the number of entries, and where the reader stands then.
    fn check(epoch: u64, next: u64, page: Page) -> (Vec<String>, u64, u64) {
        let mut position = Position {
            epoch: Epoch(epoch),
            next: Seq(next),
            presence: 0,
        };
        let mut decoder = chat_protocol::FrameDecoder::new();
        for bytes in frames(&mut position, page) {
            decoder.push(&bytes);
        }
        assert_eq!(position.epoch, Epoch(2));
        let (mut marks, mut entries) = (Vec::new(), 0);
        while let Some(raw) = decoder.next().unwrap() {
            match LaneFrame::decode(&raw).unwrap().unwrap() {
                LaneFrame::At(at) => marks.push(format!("at {}", at.next)),
                LaneFrame::Gap(gap) => marks.push(format!("{:?} {}", gap.reason, gap.next)),
                _ => entries += 1,
            }
        }
        (marks, entries, position.next.0)
    }

    #[test]
    fn a_page_is_continued_as_it_says() {
        let seamless = page(Continuation::Seamless, &[(5, 3), (8, 2)]);
        assert_eq!(check(2, 5, seamless.clone()), (vec![], 5, 10));
        assert_eq!(check(1, 5, seamless), (vec!["at 5".to_owned()], 5, 10));
        let trimmed = page(Continuation::Trimmed, &[(5, 3)]);
        assert_eq!(check(2, 2, trimmed), (vec!["Trimmed 5".to_owned()], 3, 8));
        let diverged = page(Continuation::Diverged, &[]);
        assert_eq!(
            check(1, 90, diverged),
            (vec!["Diverged 21".to_owned()], 0, 21)
        );
    }

    #[test]
    fn a_hole_inside_a_page_is_said() {
        let holed = page(Continuation::Seamless, &[(5, 1), (8, 1)]);
        assert_eq!(check(2, 5, holed), (vec!["Trimmed 8".to_owned()], 2, 9));
        let unreadable = page(Continuation::Seamless, &[]);
        assert_eq!(
            check(2, 5, unreadable),
            (vec!["Trimmed 21".to_owned()], 0, 21)
        );
    }
}
