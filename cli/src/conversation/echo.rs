//! What came of a room against what was acked of it: whether all of ours has come back.

use chat_protocol::Cursor;

/// How far a room has come, and how far it must come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Echo {
    /// The last entry that came.
    seen: Option<Cursor>,
    /// The last of the entries that were acked to us.
    acked: Option<Cursor>,
}

impl Echo {
    /// An entry came, or the room goes on behind this place.
    pub(super) fn see(&mut self, cursor: Cursor) {
        self.seen = Some(cursor);
    }

    /// The last entry that came.
    pub(super) const fn seen(&self) -> Option<Cursor> {
        self.seen
    }

    /// A message of ours was acked. Acks are told in no order: the furthest counts.
    pub(super) fn ack(&mut self, cursor: Cursor) {
        let is_behind = |acked: Cursor| acked.epoch == cursor.epoch && acked.seq > cursor.seq;
        if !self.acked.is_some_and(is_behind) {
            self.acked = Some(cursor);
        }
    }

    /// Whether everything that was acked has come. What another epoch acked never will.
    pub(super) fn is_complete(&self) -> bool {
        match (self.acked, self.seen) {
            (Some(acked), Some(seen)) => acked.epoch != seen.epoch || acked.seq <= seen.seq,
            (acked, _) => acked.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_protocol::{Epoch, Seq};

    use super::*;

    fn at(seq: u64) -> Cursor {
        Cursor::new(Epoch(7), Seq(seq))
    }

    #[test]
    fn acks_out_of_order_are_waited_for_up_to_the_furthest() {
        let mut echo = Echo::default();
        assert!(echo.is_complete());
        echo.see(at(1));
        for acked in [5, 3, 4] {
            echo.ack(at(acked));
        }
        echo.see(at(4));
        assert!(!echo.is_complete());
        echo.see(at(5));
        assert!(echo.is_complete());
    }

    #[test]
    fn an_ack_of_an_epoch_that_is_gone_is_not_waited_for() {
        let mut echo = Echo::default();
        echo.ack(at(9));
        assert!(!echo.is_complete());
        echo.see(Cursor::new(Epoch(8), Seq(1)));
        assert!(echo.is_complete());
    }
}
