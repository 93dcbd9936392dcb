//! Messages that may be in the log: when they are sent no more, because nodes may have forgotten
//! their nonces and would append them a second time. Pure.
//!
//! A message is in doubt from when it was first sent until its answer. A refusal that says that it was
//! not appended ends the doubt, unless an attempt before it ended without such a word.

use std::time::Duration;

use tokio::time::Instant;

use super::{Item, Outgoing, Queue, Refusal};

/// What is given up because nodes may have forgotten it.
#[derive(Debug)]
pub(crate) struct Forgotten<T> {
    /// What settles each.
    pub(crate) settles: Vec<T>,
    /// The node waits for one of them to come again, and takes nothing later of its room on this
    /// connection.
    pub(crate) is_awaited: bool,
}

impl<T> Outgoing<T> {
    /// When [`give_up_forgotten`](Self::give_up_forgotten) may have something to give up.
    pub(crate) const fn forgotten_at(&self) -> Option<Instant> {
        self.forgotten_at
    }

    /// Gives up what was sent too long ago to be sent again. What an answer is owed for stays: it
    /// comes soon, or the connection ends.
    pub(crate) fn give_up_forgotten(&mut self, now: Instant) -> Forgotten<T> {
        let mut forgotten = Forgotten {
            settles: Vec::new(),
            is_awaited: false,
        };
        if self.forgotten_at.is_none_or(|at| now < at) {
            return forgotten;
        }
        let is_forgotten = |item: &Item<T>| item.until.is_some_and(|until| until <= now);
        for queue in self.rooms.values_mut() {
            // Only what was refused for now is held back.
            forgotten.is_awaited |=
                queue.hold.is_some() && queue.items.get(queue.sent).is_some_and(is_forgotten);
            forgotten.settles.extend(queue.give_up(is_forgotten));
        }
        self.len -= forgotten.settles.len();
        self.watch();
        forgotten
    }

    /// Gives up everything that may be in the log, when no connection is there: under another
    /// session it would be appended again.
    pub(crate) fn give_up_doubtful(&mut self) -> Vec<T> {
        let rooms = self.rooms.values_mut();
        let settles: Vec<T> = rooms
            .flat_map(|queue| queue.give_up(|item| item.until.is_some()))
            .collect();
        self.len -= settles.len();
        self.watch();
        settles
    }

    /// Time went by that the clock of `now` did not count.
    pub(crate) fn age(&mut self, uncounted: Duration, now: Instant) {
        let items = self.rooms.values_mut().flat_map(|queue| &mut queue.items);
        for until in items.filter_map(|item| item.until.as_mut()) {
            *until = until.checked_sub(uncounted).unwrap_or(now);
        }
        self.watch();
    }

    /// Sees to it that nothing without an owed answer stays in doubt for too long.
    pub(super) fn watch(&mut self) {
        let doubts = self.rooms.values().filter_map(Queue::forgotten_at);
        self.forgotten_at = doubts.min();
    }
}

impl<T> Queue<T> {
    /// The connection is gone: whether it took what was sent cannot be told.
    pub(super) fn doubt_sent(&mut self) {
        for item in self.items.iter_mut().take(self.sent) {
            item.is_doubted = true;
        }
    }

    pub(super) fn on_refused(&mut self, index: usize, refusal: Refusal) {
        let Some(item) = self.items.get_mut(index) else {
            return;
        };
        if let Refusal::Unsure(_) = refusal {
            item.is_doubted = true;
        } else if !item.is_doubted {
            item.until = None;
        }
    }

    fn forgotten_at(&self) -> Option<Instant> {
        let unowed = self.items.iter().skip(self.sent);
        unowed.filter_map(|item| item.until).min()
    }

    /// Takes out what no answer is owed for, if it is so.
    fn give_up(&mut self, is_so: impl Fn(&Item<T>) -> bool) -> Vec<T> {
        let (given_up, kept): (Vec<Item<T>>, Vec<Item<T>>) =
            self.items.drain(self.sent..).partition(is_so);
        self.items.extend(kept);
        given_up.into_iter().map(|item| item.settle).collect()
    }
}
