//! A connection as rooms and requests see it: a place to leave word for its writer.
//!
//! Nothing here waits and nothing queues entries: a room only marks its lane dirty, and the writer
//! then reads the room's log from its own cursor. What is kept is bounded: a mark for each joined
//! room, and the answers to requests the session was allowed to make (see
//! [`Outlet::is_congested`]).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use chat_protocol::datagram::{NodeDatagram, Typing};
use chat_protocol::lane::{EndReason, HistoryPage};
use chat_protocol::limits::IN_FLIGHT_MAX;
use chat_protocol::{
    CloseCode, Cursor, Frame, NodeFrame, Nonce, RoomName, RoomRef, SessionId, UserName,
};
use futures_util::task::AtomicWaker;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tracing::debug;

use crate::room::{Flush, Position, Room};

/// Tells connections of one process apart.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// What others leave for a connection's writer.
#[derive(Debug)]
pub struct Outlet {
    id: ConnectionId,
    writer: AtomicWaker,
    word: Mutex<Word>,
    in_flight: AtomicUsize,
    eased: Notify,
    /// The session, when its client wants to be told who is typing.
    listener: OnceLock<SessionId>,
    // Boxed: a channel keeps slots for 32, and hardly anybody is ever invited.
    invitations: mpsc::Sender<Box<Invitation>>,
}

/// A room of two that a session is asked into.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// The room.
    pub room: RoomName,
    /// Who asks.
    pub from: UserName,
    /// The room's head before anything was said in it.
    pub after: Cursor,
}

/// Everything left since the writer last looked.
#[derive(Debug, Default)]
pub struct Word {
    /// Encoded control frames, in order.
    pub control: BytesMut,
    /// Rooms with something new, each once.
    pub dirty: VecDeque<RoomRef>,
    /// Lanes to open.
    pub open: Vec<Opening>,
    /// Pages of older entries to send.
    pub pages: Vec<PageOut>,
    /// Lanes to end.
    pub end: Vec<(RoomRef, EndReason)>,
    /// Datagrams that tell who is typing, the newest last.
    pub typing: VecDeque<Bytes>,
    /// The connection is to be closed, after everything else was written.
    pub close: Option<(CloseCode, String)>,
    /// Let go when everything was looked at: the flusher waits for that.
    pub flush: Option<Flush>,
    /// Nobody looks any more: see [`Outlet::end_taking`].
    has_ended: bool,
}

/// A room that a connection has joined.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The lane.
    pub lane: Arc<Lane>,
    /// The room it reads.
    pub room: Arc<Room>,
}

/// A lane to open.
#[derive(Debug)]
pub struct Opening {
    /// The lane and its room.
    pub to: Joined,
    /// Where it starts.
    pub position: Position,
    /// Its first frame, encoded.
    pub joined: Bytes,
}

/// A page of older entries to send, on a stream of its own.
#[derive(Debug)]
pub struct PageOut {
    /// Its first frame.
    pub head: HistoryPage,
    /// The frames after it.
    pub frames: Vec<Bytes>,
    /// Its place among the pages the connection may have under way.
    pub slot: OwnedSemaphorePermit,
}

impl Outlet {
    /// An outlet nobody has left anything at, and the invitations its connection will get.
    #[must_use]
    pub fn new(id: ConnectionId) -> (Self, mpsc::Receiver<Box<Invitation>>) {
        let (invitations, receiver) = mpsc::channel(INVITATIONS_MAX);
        let outlet = Self {
            id,
            writer: AtomicWaker::new(),
            word: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            eased: Notify::new(),
            listener: OnceLock::new(),
            invitations,
        };
        (outlet, receiver)
    }

    /// The connection it belongs to.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Leaves a control frame. It is sent even when the connection is to be closed.
    pub fn send(&self, frame: impl Into<NodeFrame>) {
        frame.into().encode(&mut self.word().control);
        self.writer.wake();
    }

    /// Leaves the answer to a publish, which is then no longer in flight.
    pub fn answer_publish(&self, frame: impl Into<NodeFrame>) {
        self.send(frame);
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.eased.notify_one();
    }

    /// Counts a publish that will be answered by [`answer_publish`](Self::answer_publish).
    pub fn begin_publish(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// Asks for a lane to be opened.
    pub fn open(&self, opening: Opening) {
        self.word().open.push(opening);
        self.writer.wake();
    }

    /// Leaves a page of older entries. Bounded by its slots.
    pub fn page(&self, page: PageOut) {
        self.word().pages.push(page);
        self.writer.wake();
    }

    /// Asks for a lane to be ended.
    pub fn end(&self, room: RoomRef, reason: EndReason) {
        self.word().end.push((room, reason));
        self.writer.wake();
    }

    /// The client of this session wants to be told who is typing.
    pub fn listen(&self, session: SessionId) {
        // Said once, when it is welcomed.
        let _ = self.listener.set(session);
    }

    /// Tells that somebody else is typing. Newest wins: beyond the bound the oldest is dropped.
    pub fn tell_typing(&self, room: RoomRef, author: SessionId, name: &UserName) {
        if self.listener.get().is_none_or(|session| *session == author) {
            return;
        }
        let typing = NodeDatagram::Typing(Typing {
            room,
            session: author,
            name: name.clone(),
        });
        let mut word = self.word();
        if word.has_ended {
            return;
        }
        if word.typing.len() >= TYPING_LEN_MAX {
            word.typing.pop_front();
        }
        word.typing.push_back(typing.to_bytes());
        drop(word);
        self.writer.wake();
    }

    /// Asks for a room of two to be opened. Never waits: beyond the bound it is dropped, and the
    /// one who asked may ask again.
    pub fn invite(&self, invitation: Invitation) {
        if self.invitations.try_send(Box::new(invitation)).is_err() {
            debug!(connection = self.id.0, "too many invitations");
        }
    }

    /// Asks for the connection to be closed. The first reason stands.
    pub fn close(&self, code: CloseCode, detail: impl Into<String>) {
        self.word()
            .close
            .get_or_insert_with(|| (code, detail.into()));
        self.writer.wake();
    }

    /// Whether the session has as much open as it may: its next request is not read before
    /// [`eased`](Self::eased).
    #[must_use]
    pub fn is_congested(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) >= IN_FLIGHT_MAX
            || self.word().control.len() >= CONTROL_BYTES_MAX
    }

    /// Publishes that are not answered yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Returns when something was answered or written since the last call. Cancel safe.
    pub async fn eased(&self) {
        self.eased.notified().await;
    }

    /// For the writer: takes what was left, after registering to be woken by more.
    pub fn take(&self, waker: &Waker) -> Word {
        self.writer.register(waker);
        let word = std::mem::take(&mut *self.word());
        if !word.control.is_empty() {
            self.eased.notify_one();
        }
        word
    }

    /// For the writer, when it has ended: what is left from here on is for nobody, and no flush
    /// waits for it.
    pub fn end_taking(&self) {
        *self.word() = Word {
            has_ended: true,
            ..Word::default()
        };
    }

    fn mark(&self, room: RoomRef, flush: &Flush) {
        let mut word = self.word();
        word.dirty.push_back(room);
        if !word.has_ended {
            word.flush = Some(flush.clone());
        }
        drop(word);
        self.writer.wake();
    }

    fn word(&self) -> MutexGuard<'_, Word> {
        // No code that can panic runs under this lock.
        self.word.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A joined room of a connection, as the room sees it.
#[derive(Debug)]
pub struct Lane {
    /// The room's short name on the connection.
    pub room: RoomRef,
    outlet: Arc<Outlet>,
    is_dirty: AtomicBool,
    /// The first message that was refused as retryable and has not come again.
    refused: Mutex<Option<Nonce>>,
}

impl Lane {
    /// A lane with nothing new.
    #[must_use]
    pub fn new(room: RoomRef, outlet: Arc<Outlet>) -> Self {
        Self {
            room,
            outlet,
            is_dirty: AtomicBool::new(false),
            refused: Mutex::new(None),
        }
    }

    /// The connection it belongs to.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.outlet.id
    }

    /// The outlet of its connection.
    #[must_use]
    pub fn outlet(&self) -> &Arc<Outlet> {
        &self.outlet
    }

    /// Whether an earlier message than this one was refused and must come again first. One that
    /// has come again is not waited for any more.
    #[must_use]
    pub fn is_out_of_order(&self, nonce: Nonce) -> bool {
        let mut refused = self.refused();
        let is_out_of_order = refused.is_some_and(|first| nonce > first);
        if !is_out_of_order {
            *refused = None;
        }
        is_out_of_order
    }

    /// A message was refused as retryable: later ones wait until it comes again.
    pub fn refuse(&self, nonce: Nonce) {
        let mut refused = self.refused();
        *refused = Some(refused.map_or(nonce, |first| first.min(nonce)));
    }

    fn refused(&self) -> MutexGuard<'_, Option<Nonce>> {
        // No code that can panic runs under this lock.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The room has something new: wakes the writer, unless it has not looked since the last time.
    /// Returns whether it did.
    pub fn mark(&self, flush: &Flush) -> bool {
        let is_first = !self.is_dirty.swap(true, Ordering::AcqRel);
        if is_first {
            self.outlet.mark(self.room, flush);
        }
        is_first
    }

    /// For the writer, before it reads the room: what comes after this marks the lane again.
    pub fn clear(&self) {
        self.is_dirty.store(false, Ordering::Release);
    }
}

/// Bytes of answers a client may leave unread before its next request is left unread: a few hundred
/// answers.
pub(crate) const CONTROL_BYTES_MAX: usize = 64 * 1024;

/// Datagrams about who is typing that wait for the writer.
pub(crate) const TYPING_LEN_MAX: usize = 32;

/// Rooms of two a session may be asked into before it has opened them.
const INVITATIONS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn typing(outlet: &Outlet) -> Vec<Bytes> {
        outlet
            .take(futures_util::task::noop_waker_ref())
            .typing
            .into()
    }

    #[test]
    fn only_listeners_are_told_who_is_typing_and_never_that_they_are() {
        let name: UserName = "ann".parse().unwrap();
        let outlet = Outlet::new(ConnectionId(1)).0;
        outlet.tell_typing(RoomRef(1), SessionId(7), &name);
        assert!(typing(&outlet).is_empty(), "an older client");
        outlet.listen(SessionId(7));
        outlet.tell_typing(RoomRef(1), SessionId(7), &name);
        assert!(typing(&outlet).is_empty(), "it knows");
        outlet.tell_typing(RoomRef(1), SessionId(8), &name);
        assert_eq!(typing(&outlet).len(), 1);
    }

    #[test]
    fn the_newest_of_too_many_are_told() {
        let name: UserName = "ann".parse().unwrap();
        let outlet = Outlet::new(ConnectionId(1)).0;
        outlet.listen(SessionId(7));
        for room in 0..100 {
            outlet.tell_typing(RoomRef(room), SessionId(8), &name);
        }
        let told = typing(&outlet);
        assert_eq!(told.len(), TYPING_LEN_MAX);
        let last = NodeDatagram::decode(told.last().unwrap()).unwrap();
        let Some(NodeDatagram::Typing(last)) = last else {
            panic!("{last:?}");
        };
        assert_eq!(last.room, RoomRef(99));
        outlet.end_taking();
        outlet.tell_typing(RoomRef(1), SessionId(8), &name);
        assert!(typing(&outlet).is_empty(), "nobody looks any more");
    }
}
