//! Who is typing, from a member of this node to the members on all nodes: through the backplane as a
//! whisper, in no log.
//!
//! Nothing here waits, and nothing is said again. What there is too much of is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use chat_protocol::datagram::{NodeDatagram, Typing};
use chat_protocol::limits::TYPING_MEMBERS_MAX;
use chat_protocol::{RoomName, RoomRef};
use tokio::sync::Semaphore;
use tracing::debug;

use super::{Hub, Member};

/// Whispers under way, and what became of those before.
#[derive(Debug)]
pub(super) struct Whispers {
    turns: Arc<Semaphore>,
    whispered: AtomicU64,
    dropped: AtomicU64,
    malformed: AtomicU64,
}

/// What became of the datagrams of this node's clients, since it started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TypingCounts {
    /// Passed on to all nodes.
    pub whispered: u64,
    /// Dropped: too many, too soon, or in a room where nobody is told.
    pub dropped: u64,
    /// Not understood.
    pub malformed: u64,
}

impl Default for Whispers {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(TURNS)),
            whispered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
        }
    }
}

impl Hub {
    /// What became of the datagrams of this node's clients.
    #[must_use]
    pub fn typing_counts(&self) -> TypingCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TypingCounts {
            whispered: count(&self.whispers.whispered),
            dropped: count(&self.whispers.dropped),
            malformed: count(&self.whispers.malformed),
        }
    }

    /// A datagram could not be understood.
    pub fn note_malformed(&self) {
        self.whispers.malformed.fetch_add(1, Ordering::Relaxed);
    }

    /// A datagram is not passed on.
    pub fn note_dropped(&self) {
        self.whispers.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells the other members of a room that this one is typing, unless nobody else is there, too
    /// many are, or the node has enough to tell.
    pub fn typing(self: &Arc<Self>, member: &Member, room: &RoomName) {
        let members = self.presence.view().member_count(room);
        let is_told = (2..=TYPING_MEMBERS_MAX).contains(&members) && *room != RoomName::system();
        let turn = Arc::clone(&self.whispers.turns).try_acquire_owned();
        let (true, Ok(turn), Some(name)) = (is_told, turn, self.name_of(member.session)) else {
            return self.note_dropped();
        };
        self.whispers.whispered.fetch_add(1, Ordering::Relaxed);
        let typing = NodeDatagram::Typing(Typing {
            room: NO_ROOM,
            session: member.session,
            name,
        });
        let (hub, room) = (Arc::clone(self), room.clone());
        self.tasks.spawn(async move {
            let whisper = hub.backplane.whisper(&room, typing.to_bytes());
            if let Some(Err(error)) = hub.stop.run_until_cancelled(whisper).await {
                debug!(%error, "nobody is told who is typing");
            }
            drop(turn);
        });
    }

    /// Something was whispered in a room.
    pub(super) fn on_whisper(&self, room: &RoomName, whisper: &Bytes) {
        let Ok(Some(NodeDatagram::Typing(typing))) = NodeDatagram::decode(whisper) else {
            debug!(%room, "a whisper of another version");
            return;
        };
        let room = self.rooms().get(room).cloned();
        if let Some(room) = room {
            room.tell_typing(typing.session, &typing.name);
        }
    }
}

/// Between nodes a room has its name only; each lane has a short one of its own.
const NO_ROOM: RoomRef = RoomRef(0);

/// Whispers under way at a time: a backplane that is slow is not asked for more.
const TURNS: usize = 64;
