//! The queue of events between lanes, driver and application.
//!
//! Bounded: a lane waits when it is full, so that a slow application makes the node wait and nobody
//! else. The driver never waits: its own events are few, and when the application reads nothing the
//! oldest of them go, since only the latest state of a connection matters.
//!
//! Invariant: what a room's events tell is exactly what its [`RoomState`] counts as reached, and
//! nothing of a lane that was detached is added after that.

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use chat_protocol::Cursor;
use chat_protocol::lane::EndReason;
use tokio::sync::Notify;

use crate::command::Shared;
use crate::event::{Disconnect, Event};
use crate::lock::lock;
use crate::room::RoomState;

/// What the application is told, in order. One reader; dropping it only means that nobody reads.
pub struct Events {
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Waits for the next event; `None` after [`Event::Closed`].
    ///
    /// Up to [`EVENTS_LEN_MAX`] are kept, or what [`Builder::events_len_max`] says. When the application does not read them, the node is made
    /// to wait; after too long it ends the connection, and reading goes on where it was after a
    /// reconnect, or with a [`Gap`](Event::Gap). Requests and acks do not depend on it.
    ///
    /// Cancel safety: nothing is lost when this is dropped before it resolved.
    ///
    /// [`Builder::events_len_max`]: crate::Builder::events_len_max
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.shared.events.pop() {
                Popped::Event(event) => return Some(event),
                Popped::Finished => return None,
                Popped::Empty => self.shared.events.ready.notified().await,
            }
        }
    }

    /// Waits for an event, and takes all there are then, at most `len_max`, which counts as 1 at
    /// least: they are added to `events`. Gives how many; 0 only after [`Event::Closed`]. A reader of
    /// many events wakes once for many, and not for each.
    ///
    /// Cancel safety: nothing is lost or added when this is dropped before it resolved.
    pub async fn next_many(&mut self, events: &mut Vec<Event>, len_max: usize) -> usize {
        loop {
            match self.shared.events.pop_many(events, len_max.max(1)) {
                Some(0) => self.shared.events.ready.notified().await,
                Some(len) => return len,
                None => return 0,
            }
        }
    }

    /// The next event if there is one now.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.shared.events.pop() {
            Popped::Event(event) => Some(event),
            Popped::Empty | Popped::Finished => None,
        }
    }
}

impl Debug for Events {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Events")
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.events.abandon();
    }
}

/// The queue itself.
#[derive(Debug)]
pub(crate) struct EventQueue {
    inner: Mutex<Inner>,
    /// Events beyond which lanes wait.
    len_max: usize,
    /// Something was added, or the queue is finished. At most one waits: the application.
    ready: Notify,
    /// There is space again, or nobody reads any more. Lanes wait here.
    space: Notify,
    /// Nobody reads any more. The driver waits here.
    abandoned: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Queued>,
    /// Those of `events` that are `Typing`.
    typing: usize,
    finished: bool,
    abandoned: bool,
}

#[derive(Debug)]
struct Queued {
    event: Event,
    /// The room this belongs to, and how far it takes the application there.
    place: Option<(Arc<RoomState>, Option<Cursor>)>,
}

enum Popped {
    Event(Event),
    Empty,
    Finished,
}

/// A lane's right to add events to its room.
#[derive(Clone, Debug)]
pub(crate) struct LaneTicket {
    pub(crate) room: Arc<RoomState>,
    pub(crate) lane: u64,
}

/// The lane was detached: its room is left, or is read on another connection now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Detached;

impl EventQueue {
    pub(crate) fn new(len_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            len_max,
            ready: Notify::new(),
            space: Notify::new(),
            abandoned: Notify::new(),
        }
    }

    /// Adds an event of the connection. Never waits.
    pub(crate) fn push(&self, event: Event) {
        let mut inner = lock(&self.inner);
        if inner.finished || inner.abandoned {
            return;
        }
        inner.make_way_for(&event, self.len_max);
        inner.events.push_back(Queued { event, place: None });
        drop(inner);
        self.ready.notify_one();
    }

    /// Adds a hint, unless enough wait. Never waits.
    pub(crate) fn push_typing(&self, event: Event) {
        let mut inner = lock(&self.inner);
        let is_full = inner.typing >= TYPING_LEN_MAX || inner.events.len() >= self.len_max / 2;
        if inner.finished || inner.abandoned || is_full {
            return;
        }
        inner.typing += 1;
        inner.events.push_back(Queued { event, place: None });
        drop(inner);
        self.ready.notify_one();
    }

    /// Adds an event of a room, or none, and counts the room as reached up to `reached`. Waits while
    /// the queue is full.
    ///
    /// Cancel safety: when this is dropped before it resolved, nothing was added or counted.
    pub(crate) async fn push_of_lane(
        &self,
        ticket: &LaneTicket,
        mut event: Option<Event>,
        reached: Option<Cursor>,
    ) -> Result<(), Detached> {
        loop {
            // Registered before looking, so that no wake between the two is missed.
            let mut space = std::pin::pin!(self.space.notified());
            space.as_mut().enable();
            if let Some(added) = self.try_push(ticket, &mut event, reached) {
                return added;
            }
            space.await;
        }
    }

    /// Takes the event, or leaves it and gives `None` when there is no space.
    fn try_push(
        &self,
        ticket: &LaneTicket,
        event: &mut Option<Event>,
        reached: Option<Cursor>,
    ) -> Option<Result<(), Detached>> {
        let mut inner = lock(&self.inner);
        if ticket.room.lane.load(Ordering::Relaxed) != ticket.lane || inner.finished {
            return Some(Err(Detached));
        }
        if event.is_some() && !inner.abandoned && inner.events.len() >= self.len_max {
            return None;
        }
        if let Some(reached) = reached {
            lock(&ticket.room.inner).reached = Some(reached);
        }
        if let (Some(event), false) = (event.take(), inner.abandoned) {
            let place = Some((Arc::clone(&ticket.room), reached));
            inner.events.push_back(Queued { event, place });
            drop(inner);
            self.ready.notify_one();
        }
        Some(Ok(()))
    }

    /// Lets this lane alone add events of the room from now on; 0 lets none.
    pub(crate) fn attach(&self, room: &RoomState, lane: u64) {
        let _inner = lock(&self.inner);
        room.lane.store(lane, Ordering::Relaxed);
    }

    /// Adds the room's last event.
    pub(crate) fn end_room(&self, room: &Arc<RoomState>, reason: EndReason) {
        let mut inner = lock(&self.inner);
        room.lane.store(0, Ordering::Relaxed);
        // A room whose `Joined` never found space is not mentioned at all.
        if inner.finished || inner.abandoned || room.reached().is_none() {
            return;
        }
        let event = Event::Left {
            room: room.name.clone(),
            reason,
        };
        inner.events.push_back(Queued { event, place: None });
        drop(inner);
        self.ready.notify_one();
    }

    /// Adds the last event of all.
    pub(crate) fn finish(&self, reason: Disconnect) {
        let mut inner = lock(&self.inner);
        if !inner.finished {
            inner.finished = true;
            inner.events.push_back(Queued {
                event: Event::Closed { reason },
                place: None,
            });
        }
        drop(inner);
        self.ready.notify_one();
        self.space.notify_waiters();
    }

    /// Resolves when nobody reads any more. Cancel safe.
    pub(crate) async fn abandoned(&self) {
        while !lock(&self.inner).abandoned {
            self.abandoned.notified().await;
        }
    }

    fn abandon(&self) {
        let mut inner = lock(&self.inner);
        inner.abandoned = true;
        inner.events.clear();
        inner.typing = 0;
        drop(inner);
        self.space.notify_waiters();
        self.abandoned.notify_one();
    }

    fn pop(&self) -> Popped {
        let mut inner = lock(&self.inner);
        let Some(Queued { event, place }) = inner.events.pop_front() else {
            return if inner.finished {
                Popped::Finished
            } else {
                Popped::Empty
            };
        };
        inner.typing -= usize::from(is_typing(&event));
        // Lanes are woken when half of the queue is free, so that they add many at a time.
        let has_space = inner.events.len() == self.len_max / 2;
        inner.shrink();
        drop(inner);
        if has_space {
            self.space.notify_waiters();
        }
        hand(place);
        Popped::Event(event)
    }

    /// Takes up to `len_max` events, at least 1, and gives how many there were; `None` when it is
    /// finished.
    fn pop_many(&self, events: &mut Vec<Event>, len_max: usize) -> Option<usize> {
        let mut inner = lock(&self.inner);
        let before = inner.events.len();
        if before == 0 {
            return (!inner.finished).then_some(0);
        }
        let len = before.min(len_max);
        let taken = if len == before {
            mem::take(&mut inner.events)
        } else {
            inner.events.drain(..len).collect()
        };
        let typing = taken.iter().filter(|queued| is_typing(&queued.event));
        inner.typing -= typing.count();
        drop(inner);
        // As of `pop`: once, when half of the queue is free.
        if before > self.len_max / 2 && before - len <= self.len_max / 2 {
            self.space.notify_waiters();
        }
        events.reserve(len);
        for Queued { event, place } in taken {
            hand(place);
            events.push(event);
        }
        Some(len)
    }
}

const fn is_typing(event: &Event) -> bool {
    matches!(event, Event::Typing { .. })
}

/// Takes note of how far the application is in a room.
fn hand(place: Option<(Arc<RoomState>, Option<Cursor>)>) {
    if let Some((room, Some(reached))) = place {
        lock(&room.inner).handed = Some(reached);
    }
}

impl Inner {
    /// Gives back what a burst took: a client that is idle holds little.
    fn shrink(&mut self) {
        if self.events.is_empty() && self.events.capacity() > KEPT_LEN_MAX {
            self.events = VecDeque::new();
        }
    }

    /// Removes what a newer event of the connection makes needless.
    fn make_way_for(&mut self, event: &Event, len_max: usize) {
        let is_disconnected = |event: &Event| matches!(event, Event::Disconnected { .. });
        if is_disconnected(event)
            && self
                .events
                .back()
                .is_some_and(|last| is_disconnected(&last.event))
        {
            self.events.pop_back();
        }
        if self.events.len() >= len_max {
            let is_of_connection =
                |queued: &Queued| queued.place.is_none() && queued.event.room().is_none();
            let oldest = self.events.iter().position(is_of_connection);
            let of_connection = self
                .events
                .iter()
                .filter(|queued| is_of_connection(queued))
                .count();
            if let (Some(oldest), STATES_LEN_MAX..) = (oldest, of_connection) {
                self.events.remove(oldest);
            }
        }
    }
}

/// Events that wait for the application. About one megabyte of ordinary messages.
pub const EVENTS_LEN_MAX: usize = 1024;

/// Fewest that may be asked for with [`Builder::events_len_max`](crate::Builder::events_len_max).
pub const EVENTS_LEN_MIN: usize = 32;

/// Hints of who is typing that wait: newer ones than these are not needed.
const TYPING_LEN_MAX: usize = 16;

/// Events whose space an empty queue keeps.
const KEPT_LEN_MAX: usize = 8;

/// Events of the connection that a full queue keeps: a few reconnects and what went with them.
const STATES_LEN_MAX: usize = 16;

#[cfg(test)]
mod tests;
