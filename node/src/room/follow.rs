//! What to do with a block that came: pure decisions, performed by the room's task.

use chat_protocol::Cursor;

use crate::backplane::Block;

/// What to do with an announced block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a step that is not performed loses messages"]
pub enum Step {
    /// It follows: deliver what is after the reader's place.
    Deliver,
    /// It is old: a repeat, or already read from the log.
    Ignore,
    /// Entries are missing before it: read the log from the reader's place, which brings this block
    /// too.
    Backfill,
    /// It is of another epoch: the log began anew, or this hint is of an old one. Only the log can
    /// tell.
    Reload,
}

/// Decides about a block announced to a room whose last entry is `last`.
pub fn on_block(last: Cursor, block: &Block) -> Step {
    if block.epoch != last.epoch {
        Step::Reload
    } else if block.last() <= last.seq {
        Step::Ignore
    } else if block.first > last.seq.next() {
        Step::Backfill
    } else {
        Step::Deliver
    }
}

/// Decides about a head the backplane told, when the room's last entry is `last` and the head told
/// the time before was `before`.
///
/// One head beyond `last` may be on its way as a hint; if what was the head one check ago has not
/// come yet, the hint is lost.
#[must_use]
pub fn is_behind(last: Cursor, before: Option<Cursor>, head: Cursor) -> bool {
    if head.epoch != last.epoch {
        return before.is_some_and(|before| before.epoch == head.epoch);
    }
    before.is_some_and(|before| before.epoch == last.epoch && before.seq > last.seq)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chat_protocol::{Epoch, Seq};

    use super::*;

    fn at(epoch: u64, seq: u64) -> Cursor {
        Cursor::new(Epoch(epoch), Seq(seq))
    }

    fn step(epoch: u64, first: u64, len: u32) -> Step {
        let block = Block {
            epoch: Epoch(epoch),
            first: Seq(first),
            len,
            frames: Bytes::new(),
        };
        on_block(at(1, 10), &block)
    }

    #[test]
    fn a_gap_is_backfilled_before_delivery() {
        assert_eq!(step(1, 11, 1), Step::Deliver);
        assert_eq!(
            step(1, 9, 4),
            Step::Deliver,
            "an overlap is cut, not dropped"
        );
        assert_eq!(step(1, 9, 2), Step::Ignore);
        assert_eq!(step(1, 12, 1), Step::Backfill);
        assert_eq!(step(2, 11, 1), Step::Reload);
    }

    #[test]
    fn a_lost_last_message_is_noticed_at_the_second_check() {
        let last = at(1, 10);
        assert!(
            !is_behind(last, None, at(1, 12)),
            "its hint may be on the way"
        );
        assert!(is_behind(last, Some(at(1, 12)), at(1, 12)));
        assert!(is_behind(last, Some(at(1, 11)), at(1, 15)));
        assert!(
            !is_behind(last, Some(at(1, 10)), at(1, 12)),
            "it was there a check ago"
        );
        assert!(!is_behind(last, Some(at(1, 10)), at(2, 3)));
        assert!(
            is_behind(last, Some(at(2, 3)), at(2, 3)),
            "a new epoch that nobody announced"
        );
    }
}
