//! Messages that wait for their acks: their nonces, their order, and what is sent again. Pure.
//!
//! Owns every message from the moment the application published it until its fate is known. Never
//! sends, sleeps or reads a clock: the driver asks what to send next and tells what came back.
//!
//! Invariants: a nonce is never used for two messages. Messages of a room are sent in the order of
//! their nonces, also again: when one is refused for now, it and all later ones of its room wait
//! until every answer that is still owed has come, and then go in order. What may be in the log is
//! not sent again when nodes may have forgotten its nonce (see `doubt`). No more than the capacity are
//! kept, and no more than the node allows are without an answer.

mod doubt;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::client::{Publish, SetTopic};
use chat_protocol::{ClientFrame, Content, Nonce, RoomRef, Topic};
use rand::Rng;
use tokio::time::Instant;

use crate::backoff::Backoff;

/// Which joined room, for the life of a client: a room that is left and joined again has a new one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct LocalRoom(pub(crate) u64);

/// Messages of all rooms, each with what settles it.
#[derive(Debug)]
pub(crate) struct Outgoing<T> {
    rooms: BTreeMap<LocalRoom, Queue<T>>,
    len: usize,
    capacity: usize,
    /// Answers the node owes, over all rooms.
    owed: usize,
    /// Nonces up to here may have been used in a room that is gone; new rooms start above.
    used: Nonce,
    /// The room that was served last, so that the others come first.
    served: LocalRoom,
    /// Nothing is to be given up as forgotten before.
    forgotten_at: Option<Instant>,
    closed: bool,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<Item<T>>,
    next: Nonce,
    attached: bool,
    sealed: bool,
    /// So many of the first items were sent and need not be sent again.
    sent: usize,
    /// Answers the node owes; they come in the order of what was sent.
    owed: usize,
    /// When the last answer came, or the first was asked for.
    progress: Instant,
    /// Set after a refusal that may be retried: nothing is sent before, nor while answers are owed.
    hold: Option<Instant>,
    backoff: Backoff,
}

#[derive(Debug)]
struct Item<T> {
    nonce: Nonce,
    body: Body,
    /// Until when it may be sent again; set while it may be in the log.
    until: Option<Instant>,
    /// It was sent, and no answer can tell any more that it did not arrive then.
    is_doubted: bool,
    settle: T,
}

/// What a publish carries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    Message { content_type: u32, body: Bytes },
    Topic(Topic),
}

impl Body {
    pub(crate) fn of_content(content: Content) -> Self {
        let (content_type, body) = content.into_parts();
        Self::Message { content_type, body }
    }

    pub(crate) fn into_frame(self, room: RoomRef, nonce: Nonce) -> ClientFrame {
        match self {
            Self::Message { content_type, body } => Publish {
                room,
                nonce,
                content_type,
                body,
            }
            .into(),
            Self::Topic(topic) => SetTopic {
                room,
                nonce,
                topic: topic.into(),
            }
            .into(),
        }
    }
}

/// A message to be written to the node now.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Outbound {
    pub(crate) room: LocalRoom,
    pub(crate) nonce: Nonce,
    pub(crate) body: Body,
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotTaken {
    Full,
    Left,
    Closed,
}

/// A node's refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// The message will never be taken.
    Final,
    /// The message was not appended. It may be repeated, after this time if the node said one.
    ForNow(Option<Duration>),
    /// As before, but it may have been appended.
    Unsure(Option<Duration>),
}

/// A message given up without an answer.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct GivenUp<T> {
    /// Whether it may be in the log.
    pub(crate) is_unknown: bool,
    pub(crate) settle: T,
}

impl<T> Outgoing<T> {
    /// Keeps up to `capacity` messages. All nonces are above `used`.
    pub(crate) const fn new(capacity: usize, used: Nonce) -> Self {
        Self {
            rooms: BTreeMap::new(),
            len: 0,
            capacity,
            owed: 0,
            used,
            served: LocalRoom(0),
            forgotten_at: None,
            closed: false,
        }
    }

    /// Takes messages for a room from now on.
    pub(crate) fn open(&mut self, room: LocalRoom, now: Instant) {
        let next = self.used.next();
        self.rooms.entry(room).or_insert_with(|| Queue {
            items: VecDeque::new(),
            next,
            attached: false,
            sealed: false,
            sent: 0,
            owed: 0,
            progress: now,
            hold: None,
            backoff: Backoff::of_publishes(),
        });
    }

    /// Takes a message, and numbers it.
    pub(crate) fn push(
        &mut self,
        room: LocalRoom,
        body: Body,
        settle: T,
    ) -> Result<Nonce, NotTaken> {
        if self.closed {
            return Err(NotTaken::Closed);
        }
        let queue = self
            .rooms
            .get_mut(&room)
            .filter(|queue| !queue.sealed)
            .ok_or(NotTaken::Left)?;
        if self.len >= self.capacity {
            return Err(NotTaken::Full);
        }
        let nonce = queue.next;
        queue.next = nonce.next();
        queue.items.push_back(Item {
            nonce,
            body,
            until: None,
            is_doubted: false,
            settle,
        });
        self.len += 1;
        Ok(nonce)
    }

    /// Whether this nonce was given to a message of the room, by this process or one before.
    pub(crate) fn is_used(&self, room: LocalRoom, nonce: Nonce) -> bool {
        self.rooms
            .get(&room)
            .map_or(nonce <= self.used, |queue| nonce < queue.next)
    }

    /// Takes nothing more for the room.
    pub(crate) fn seal(&mut self, room: LocalRoom) {
        if let Some(queue) = self.rooms.get_mut(&room) {
            queue.sealed = true;
        }
    }

    /// The room can be published to on this connection.
    pub(crate) fn attach(&mut self, room: LocalRoom) {
        if let Some(queue) = self.rooms.get_mut(&room) {
            queue.attached = true;
        }
    }

    /// The connection is gone: everything without an answer is to be sent again.
    pub(crate) fn detach(&mut self) {
        for queue in self.rooms.values_mut() {
            queue.doubt_sent();
            (queue.attached, queue.sent, queue.owed, queue.hold) = (false, 0, 0, None);
        }
        self.owed = 0;
        self.watch();
    }

    /// What to send now, if anything; it counts as sent. Rooms take turns.
    pub(crate) fn next(&mut self, now: Instant, in_flight_max: usize) -> Option<Outbound> {
        if self.owed >= in_flight_max {
            return None;
        }
        let ready = |(_, queue): &(&LocalRoom, &Queue<T>)| queue.is_ready(now);
        let after = (Bound::Excluded(self.served), Bound::Unbounded);
        let room = *self
            .rooms
            .range(after)
            .find(ready)
            .or_else(|| self.rooms.iter().find(ready))?
            .0;
        let queue = self.rooms.get_mut(&room)?;
        let item = queue.items.get_mut(queue.sent)?;
        item.until.get_or_insert(now + crate::REPEAT_TIME_MAX);
        if queue.owed == 0 {
            queue.progress = now;
        }
        queue.sent += 1;
        queue.owed += 1;
        queue.hold = None;
        self.owed += 1;
        self.served = room;
        Some(Outbound {
            room,
            nonce: item.nonce,
            body: item.body.clone(),
        })
    }

    /// When [`next`](Self::next) may have more than now, if time alone brings that.
    pub(crate) fn due(&self) -> Option<Instant> {
        let held = |queue: &&Queue<T>| queue.attached && queue.owed == 0 && !queue.items.is_empty();
        self.rooms
            .values()
            .filter(held)
            .filter_map(|queue| queue.hold)
            .min()
    }

    /// Since when the node owes an answer without having given any, if it does.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.rooms
            .values()
            .filter(|queue| queue.owed > 0)
            .map(|queue| queue.progress)
            .min()
    }

    /// A message is in the log. Gives what settles it, unless it was settled before.
    pub(crate) fn on_ack(&mut self, room: LocalRoom, nonce: Nonce, now: Instant) -> Option<T> {
        let queue = self.rooms.get_mut(&room)?;
        self.owed -= queue.on_answer(now);
        queue.backoff.on_success();
        let settle = queue.take(nonce)?;
        self.len -= 1;
        Some(settle)
    }

    /// A message was refused. Gives what settles it, if that is final.
    pub(crate) fn on_refusal(
        &mut self,
        room: LocalRoom,
        nonce: Nonce,
        refusal: Refusal,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<T> {
        let queue = self.rooms.get_mut(&room)?;
        self.owed -= queue.on_answer(now);
        let wait = match refusal {
            Refusal::Final => {
                let settle = queue.take(nonce)?;
                self.len -= 1;
                return Some(settle);
            }
            Refusal::ForNow(wait) | Refusal::Unsure(wait) => wait,
        };
        let index = queue.index(nonce)?;
        queue.on_refused(index, refusal);
        // Answers to what was sent after it change nothing any more.
        if index < queue.sent {
            queue.sent = index;
            let wait = wait.unwrap_or_default().min(RETRY_AFTER_MAX);
            queue.hold = Some(now + wait.max(queue.backoff.on_failure(rng)));
        }
        self.watch();
        None
    }

    /// Messages of the room without an answer.
    pub(crate) fn len_of(&self, room: LocalRoom) -> usize {
        self.rooms.get(&room).map_or(0, |queue| queue.items.len())
    }

    /// Messages without an answer.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Takes nothing more for the room, and gives up what it has.
    pub(crate) fn remove(&mut self, room: LocalRoom) -> Vec<GivenUp<T>> {
        let Some(queue) = self.rooms.remove(&room) else {
            return Vec::new();
        };
        self.len -= queue.items.len();
        self.owed -= queue.owed;
        self.used = self.used.max(Nonce(queue.next.0 - 1));
        let give_up = |item: Item<T>| GivenUp {
            is_unknown: item.until.is_some(),
            settle: item.settle,
        };
        queue.items.into_iter().map(give_up).collect()
    }

    /// Takes nothing more at all.
    pub(crate) const fn close(&mut self) {
        self.closed = true;
    }

    /// Gives up everything there is.
    pub(crate) fn give_up(&mut self) -> Vec<GivenUp<T>> {
        let rooms: Vec<LocalRoom> = self.rooms.keys().copied().collect();
        rooms
            .into_iter()
            .flat_map(|room| self.remove(room))
            .collect()
    }
}

impl<T> Queue<T> {
    fn is_ready(&self, now: Instant) -> bool {
        let held = self.hold.is_some_and(|until| self.owed > 0 || now < until);
        self.attached && self.sent < self.items.len() && !held
    }

    /// Counts an answer; 0 when none was owed.
    fn on_answer(&mut self, now: Instant) -> usize {
        let counted = self.owed.min(1);
        self.owed -= counted;
        self.progress = now;
        counted
    }

    fn index(&self, nonce: Nonce) -> Option<usize> {
        self.items
            .binary_search_by_key(&nonce, |item| item.nonce)
            .ok()
    }

    fn take(&mut self, nonce: Nonce) -> Option<T> {
        let index = self.index(nonce)?;
        let item = self.items.remove(index)?;
        if index < self.sent {
            self.sent -= 1;
        }
        Some(item.settle)
    }
}

/// Longest wait a node may ask for before a retry: longer ones are asked again meanwhile.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
