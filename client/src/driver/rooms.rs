//! The rooms of a client: joined, left, and joined again on the next connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::client::Start;
use chat_protocol::lane::{EndReason, Joined};
use chat_protocol::{CloseCode, ErrorCode, RequestId, RoomName, RoomRef};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

use crate::backoff::Backoff;
use crate::command::{REQUEST_TIMEOUT, Reply};
use crate::driver::Driver;
use crate::driver::greet::close_for;
use crate::driver::lanes::{LaneId, Note, Noted, Opened};
use crate::driver::requests::Asked;
use crate::error::PublishError;
use crate::event::Disconnect;
use crate::lock::lock;
use crate::outgoing::LocalRoom;
use crate::room::{RoomSnapshot, RoomState};

/// A room the session is in, on this connection or the next.
#[derive(Debug)]
pub(crate) struct RoomEntry {
    pub(crate) state: Arc<RoomState>,
    /// Where reading started, for when a connection broke before anything was read.
    start: Start,
    /// The room's name on this connection, while it is joined there.
    reference: Option<RoomRef>,
    /// When to ask for it again, after a refusal.
    rejoin_at: Option<Instant>,
    /// When an answer to that must have come.
    answer_by: Option<Instant>,
    backoff: Backoff,
    leaving: Option<Leaving>,
}

/// Those who wait until the room is left.
#[derive(Debug)]
struct Leaving {
    replies: VecDeque<Reply<()>>,
    asked: bool,
}

impl RoomEntry {
    /// The room's name on this connection, while it is joined there.
    pub(crate) const fn reference(&self) -> Option<RoomRef> {
        self.reference
    }

    /// When something must be done about it on this connection.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.rejoin_at.or(self.answer_by)
    }
}

impl Driver {
    pub(crate) fn is_joined(&self, name: &RoomName) -> bool {
        self.rooms.values().any(|entry| entry.state.name == *name)
    }

    /// The room of two with this user, the latest if there were several.
    pub(crate) fn direct_room(&self, user: &str) -> Option<Arc<RoomState>> {
        let is_with = |entry: &&RoomEntry| {
            let inner = lock(&entry.state.inner);
            inner
                .snapshot
                .direct
                .as_ref()
                .is_some_and(|name| name.as_str().to_lowercase() == user.to_lowercase())
        };
        self.rooms
            .values()
            .rev()
            .find(is_with)
            .map(|entry| Arc::clone(&entry.state))
    }

    pub(crate) fn on_note(&mut self, note: Note, now: Instant) {
        let Note { lane, what } = note;
        if self.link.as_ref().is_none_or(|link| link.id != lane.link) {
            return;
        }
        match what {
            Noted::Joined { joined, answer } => self.on_joined(lane, &joined, answer, now),
            Noted::Page { request, answer } => self.on_page(request, answer, now),
            Noted::PageRead { request, page } => self.on_page_read(request, page),
            Noted::Ended {
                room,
                reason: reason @ (EndReason::Left | EndReason::Removed),
            } => {
                self.end_room(room, reason);
            }
            // The node is about to close, and says so on the control stream.
            Noted::Ended {
                reason: EndReason::Closing,
                ..
            } => {}
            Noted::Fault { code, text } => {
                if let Some(link) = &self.link {
                    close_for(&link.connection, code);
                }
                self.lose_link(Disconnect::without_code(text), false, now);
            }
        }
    }

    fn on_joined(
        &mut self,
        lane: LaneId,
        joined: &Joined,
        answer: oneshot::Sender<Opened>,
        now: Instant,
    ) {
        let asked = match joined.request {
            RequestId::NONE => None,
            request => match self.requests.take(request) {
                // Who asked has given up: so does the lane, by the answer that it does not get.
                None => {
                    return self.ask(
                        Asked::Forget {
                            reference: joined.room,
                        },
                        now,
                    );
                }
                asked => asked,
            },
        };
        let (known, start, reply) = match asked {
            None => (self.known(&joined.name), Start::Live, None),
            Some(Asked::Join { room, start, reply }) if room == joined.name => {
                (self.known(&room), start, Some(reply))
            }
            Some(Asked::OpenDirect { reply, .. }) => {
                (self.known(&joined.name), Start::Live, Some(reply))
            }
            Some(Asked::Rejoin { name, start, .. }) if name == joined.name => {
                let Some(known) = self.known(&name) else {
                    // It was left while the node answered.
                    return self.ask(
                        Asked::Forget {
                            reference: joined.room,
                        },
                        now,
                    );
                };
                (Some(known), start, None)
            }
            other => {
                return self.on_fault(&format!("a lane of {} answers {other:?}", joined.name), now);
            }
        };
        let rejoined = known.is_some();
        let room = known.unwrap_or_else(|| self.add_room(joined, start, now));
        let Some(state) = self.attach_room(room, joined, lane) else {
            return;
        };
        // The lane's task is gone only when the connection is.
        drop(answer.send(Opened {
            room: Arc::clone(&state),
            rejoined,
        }));
        if let Some(reply) = reply
            && reply.send(Ok(state)).is_err()
        {
            self.leave(room);
        }
    }

    fn known(&self, name: &RoomName) -> Option<LocalRoom> {
        self.rooms
            .iter()
            .find(|(_, entry)| entry.state.name == *name)
            .map(|(room, _)| *room)
    }

    fn add_room(&mut self, joined: &Joined, start: Start, now: Instant) -> LocalRoom {
        let room = LocalRoom(self.number());
        let state = Arc::new(RoomState::new(room, joined.name.clone(), snapshot(joined)));
        if let Start::After(cursor) = start {
            lock(&state.inner).reached = Some(cursor);
        }
        let is_system = joined.name == RoomName::system();
        if !is_system {
            lock(&self.shared.outgoing).open(room, now);
            lock(&self.shared.rooms).insert(joined.name.clone(), Arc::clone(&state));
        }
        let entry = RoomEntry {
            state,
            start,
            reference: None,
            rejoin_at: None,
            answer_by: None,
            backoff: Backoff::of_publishes(),
            leaving: None,
        };
        self.rooms.insert(room, entry);
        room
    }

    fn attach_room(
        &mut self,
        room: LocalRoom,
        joined: &Joined,
        lane: LaneId,
    ) -> Option<Arc<RoomState>> {
        let entry = self.rooms.get_mut(&room)?;
        let link = self.link.as_mut()?;
        link.rooms.retain(|_, attached| *attached != room);
        link.rooms.insert(joined.room, room);
        entry.reference = Some(joined.room);
        (entry.rejoin_at, entry.answer_by) = (None, None);
        entry.backoff.on_success();
        let state = Arc::clone(&entry.state);
        {
            let mut inner = lock(&state.inner);
            inner.snapshot = snapshot(joined);
            if joined.name == RoomName::system() {
                // The node starts it at its head; a notice that was missed is old.
                inner.reached = None;
            }
        }
        self.shared.events.attach(&state, lane.lane);
        lock(&self.shared.outgoing).attach(room);
        Some(state)
    }

    /// Leaves when what was published is settled.
    pub(crate) fn on_leave(&mut self, room: LocalRoom, reply: Reply<()>) {
        if !self.rooms.contains_key(&room) {
            drop(reply.send(Ok(())));
            return;
        }
        self.leave(room);
        if let Some(leaving) = self
            .rooms
            .get_mut(&room)
            .and_then(|entry| entry.leaving.as_mut())
        {
            // Those who gave up make way, so that asking in a loop keeps one.
            leaving.replies.retain(|reply| !reply.is_closed());
            leaving.replies.push_back(reply);
        }
    }

    fn leave(&mut self, room: LocalRoom) {
        lock(&self.shared.outgoing).seal(room);
        if let Some(entry) = self.rooms.get_mut(&room) {
            let none = || Leaving {
                replies: VecDeque::new(),
                asked: false,
            };
            entry.leaving.get_or_insert_with(none);
        }
    }

    pub(crate) fn on_room_left(&mut self, room: LocalRoom) {
        self.end_room(room, EndReason::Left);
    }

    /// Forgets a room, and tells everybody who waits for something of it.
    fn end_room(&mut self, room: LocalRoom, reason: EndReason) {
        let Some(entry) = self.rooms.remove(&room) else {
            return;
        };
        if let Some(link) = self.link.as_mut() {
            link.rooms.retain(|_, attached| *attached != room);
        }
        let given_up = lock(&self.shared.outgoing).remove(room);
        for message in given_up {
            let error = if message.is_unknown {
                PublishError::Unknown
            } else {
                PublishError::Left
            };
            drop(message.settle.send(Err(error)));
        }
        {
            let mut rooms = lock(&self.shared.rooms);
            if rooms
                .get(&entry.state.name)
                .is_some_and(|state| state.local == room)
            {
                rooms.remove(&entry.state.name);
            }
        }
        self.shared.events.end_room(&entry.state, reason);
        for reply in entry
            .leaving
            .into_iter()
            .flat_map(|leaving| leaving.replies)
        {
            drop(reply.send(Ok(())));
        }
    }

    /// A new connection: asks for every room again, from where it was reached.
    pub(crate) fn rejoin_all(&mut self, now: Instant) {
        let rooms: Vec<LocalRoom> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.rejoin(room, now);
        }
    }

    fn rejoin(&mut self, room: LocalRoom, now: Instant) {
        let Some(entry) = self.rooms.get_mut(&room) else {
            return;
        };
        (entry.rejoin_at, entry.answer_by) = (None, None);
        if entry.state.name == RoomName::system() {
            // The node opens it by itself.
            return;
        }
        entry.answer_by = Some(now + REQUEST_TIMEOUT);
        // A room of two is joined by its name too, like any other.
        let name = entry.state.name.clone();
        let start = entry.state.reached().map_or(entry.start, Start::After);
        self.ask(Asked::Rejoin { room, name, start }, now);
    }

    pub(crate) fn on_rejoin_failed(
        &mut self,
        room: LocalRoom,
        code: u32,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        let Some(entry) = self.rooms.get_mut(&room) else {
            return;
        };
        if entry.reference.is_some() {
            // The node opened it by itself meanwhile.
            return;
        }
        // A session that moved may be in the room through its former connection for a moment more.
        let is_for_now =
            ErrorCode::is_retryable(code) || code == ErrorCode::AlreadyJoined.to_wire();
        debug!(room = %entry.state.name, code, is_for_now, "a room cannot be joined again");
        if is_for_now {
            let wait = entry.backoff.on_failure(&mut rand::rng());
            let asked = retry_after.unwrap_or_default().min(REJOIN_WAIT_MAX);
            (entry.rejoin_at, entry.answer_by) = (Some(now + wait.max(asked)), None);
        } else {
            self.end_room(room, EndReason::Removed);
        }
    }

    /// Asks again for rooms whose time has come, and leaves those where nothing is left to do.
    pub(crate) fn advance_rooms(&mut self, now: Instant) {
        let mut rejoin = Vec::new();
        let mut leave = Vec::new();
        let mut is_stuck = false;
        for (room, entry) in &self.rooms {
            if self.link.is_some() && entry.rejoin_at.is_some_and(|at| at <= now) {
                rejoin.push(*room);
            }
            is_stuck |= self.link.is_some() && entry.answer_by.is_some_and(|by| by <= now);
            if entry.leaving.as_ref().is_some_and(|leaving| !leaving.asked) {
                leave.push((*room, entry.reference));
            }
        }
        if is_stuck {
            return self.on_fault("the node gave no answer to a join", now);
        }
        for room in rejoin {
            self.rejoin(room, now);
        }
        for (room, reference) in leave {
            if lock(&self.shared.outgoing).len_of(room) > 0 {
                continue;
            }
            match (reference, self.link.is_some()) {
                (Some(reference), _) => {
                    let leaving = self
                        .rooms
                        .get_mut(&room)
                        .and_then(|entry| entry.leaving.as_mut());
                    if let Some(leaving) = leaving {
                        leaving.asked = true;
                        self.ask(Asked::Leave { room, reference }, now);
                    }
                }
                // The next connection does not join it at all.
                (None, false) => self.end_room(room, EndReason::Left),
                // It is being joined again; then it can be left.
                (None, true) => {}
            }
        }
    }

    /// The connection is gone: no room is joined on it any more.
    pub(crate) fn detach_rooms(&mut self) {
        for entry in self.rooms.values_mut() {
            self.shared.events.attach(&entry.state, 0);
            entry.reference = None;
            (entry.rejoin_at, entry.answer_by) = (None, None);
            if let Some(leaving) = entry.leaving.as_mut() {
                leaving.asked = false;
            }
        }
        lock(&self.shared.outgoing).detach();
    }

    /// Breaks a connection whose node does not follow the protocol; the session is resumed.
    pub(crate) fn on_fault(&mut self, text: &str, now: Instant) {
        debug!(text, "the node broke the protocol");
        if let Some(link) = &self.link {
            close_for(&link.connection, CloseCode::Unexpected);
        }
        self.lose_link(Disconnect::without_code(text), false, now);
    }
}

fn snapshot(joined: &Joined) -> RoomSnapshot {
    RoomSnapshot {
        head: joined.head,
        members: joined.members,
        topic: joined.topic.clone(),
        direct: joined.direct.clone(),
    }
}

/// Longest wait a node may ask for before a room is asked for again.
const REJOIN_WAIT_MAX: Duration = Duration::from_secs(30);
