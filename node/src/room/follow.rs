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

/// A head of the log that the tail had not reached when it was told, and where the tail was then.
///
/// Its hint may be on the way: a second look tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ahead {
    head: Cursor,
    last: Cursor,
}

/// What a second look at a room shows whose log was ahead of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "lost hints stay lost when the log is not read"]
pub enum Look {
    /// The head has come.
    Reached,
    /// Hints come, but the head has not: look once more.
    Coming(Ahead),
    /// Nothing came: the hint is lost, read the log.
    Lost,
}

impl Ahead {
    /// Decides about a head that the backplane told a room whose last entry is `last`. None when
    /// the tail has all of it.
    #[must_use]
    pub fn new(last: Cursor, head: Cursor) -> Option<Self> {
        let is_reached = head.epoch == last.epoch && head.seq <= last.seq;
        (!is_reached).then_some(Self { head, last })
    }

    /// Decides again, when the room's last entry is `last` by now.
    ///
    /// While hints come none needs to be given up: a lost one shows as a gap before the next. A
    /// node that is behind with its hints reads the log in addition only when it stands still.
    pub fn look_again(self, last: Cursor) -> Look {
        match Self::new(last, self.head) {
            None => Look::Reached,
            Some(_) if last == self.last => Look::Lost,
            Some(ahead) => Look::Coming(ahead),
        }
    }
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
    fn a_lost_last_message_is_noticed_at_the_second_look() {
        assert_eq!(Ahead::new(at(1, 10), at(1, 10)), None);
        assert_eq!(Ahead::new(at(1, 10), at(1, 9)), None, "it came meanwhile");
        let ahead = Ahead::new(at(1, 10), at(1, 12)).unwrap();
        assert_eq!(ahead.look_again(at(1, 10)), Look::Lost);
        assert_eq!(ahead.look_again(at(1, 12)), Look::Reached);
        assert_eq!(ahead.look_again(at(1, 15)), Look::Reached);
    }

    #[test]
    fn hints_that_come_are_waited_for_until_they_stop() {
        let ahead = Ahead::new(at(1, 10), at(1, 12)).unwrap();
        let Look::Coming(ahead) = ahead.look_again(at(1, 11)) else {
            panic!("one of two came");
        };
        assert_eq!(ahead.look_again(at(1, 11)), Look::Lost);
        assert_eq!(ahead.look_again(at(1, 12)), Look::Reached);
    }

    #[test]
    fn an_epoch_that_nobody_announced_is_noticed_at_the_second_look() {
        let ahead = Ahead::new(at(1, 10), at(2, 3)).unwrap();
        assert_eq!(ahead.look_again(at(1, 10)), Look::Lost);
        assert_eq!(ahead.look_again(at(2, 3)), Look::Reached);
        assert!(matches!(ahead.look_again(at(1, 11)), Look::Coming(_)));
    }
}
