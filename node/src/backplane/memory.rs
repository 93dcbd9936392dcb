//! The embedded backplane: one process, no Redis.
//!
//! It owns a store that the nodes of this process share, each through its own [`Attachment`]. It
//! keeps nothing on disk: with the process, the logs are gone. Every call ends at once. A lease
//! ends by the runtime's clock, also by a paused one.

mod log;
mod nodes;
mod senders;

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::{Cursor, Nonce, RoomName, SessionId};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use self::log::Log;
use self::nodes::Nodes;
use super::outbox::Outbox;
use super::{
    AppendError, Appended, Attachment, Backplane, Batch, Claim, Claimed, Event, Lease, LogBounds,
    NodeId, Outcome, Page, Promise, ReadError, Registry, RegistryChanges, Survival, check_whisper,
};

/// What the nodes of one process share.
pub struct Memory {
    store: Mutex<Store>,
}

impl Memory {
    /// An empty store with the default bounds.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_bounds(LogBounds::default())
    }

    /// An empty store whose logs keep within `bounds`.
    #[must_use]
    pub fn with_bounds(bounds: LogBounds) -> Arc<Self> {
        let store = Store {
            bounds,
            rooms: HashMap::new(),
            rooms_swept: None,
            nodes: Nodes::default(),
            secret: None,
            ends: Vec::new(),
            ends_made: 0,
        };
        Arc::new(Self {
            store: Mutex::new(store),
        })
    }

    /// Attaches a node. Dropping the attachment's backplane detaches it.
    #[must_use]
    pub fn attach(self: &Arc<Self>) -> Attachment {
        let (outbox, events) = Outbox::new();
        let mut store = self.store();
        store.ends_made += 1;
        let id = store.ends_made;
        let mut end = End {
            id,
            outbox,
            rooms: HashSet::new(),
        };
        end.outbox.send(Event::Available(true));
        store.ends.push(end);
        drop(store);
        Attachment {
            backplane: Arc::new(Attached {
                memory: Arc::clone(self),
                id,
            }),
            events,
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // A store left half-changed by a panic still numbers entries from its logs.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Store {
    bounds: LogBounds,
    rooms: HashMap<RoomName, Log>,
    rooms_swept: Option<Instant>,
    nodes: Nodes,
    secret: Option<[u8; 32]>,
    ends: Vec<End>,
    ends_made: u64,
}

/// A node's end, as the store knows it.
#[derive(Debug)]
struct End {
    id: u64,
    outbox: Outbox,
    rooms: HashSet<RoomName>,
}

impl Store {
    /// The room's log; a new one when there is none.
    fn log(&mut self, room: &RoomName, now: Instant) -> &mut Log {
        let idle_max = self.bounds.idle_max;
        let is_due = self
            .rooms_swept
            .is_none_or(|swept| now - swept >= SWEEP_EVERY);
        if is_due {
            self.rooms_swept = Some(now);
            self.rooms.retain(|_, log| now - log.used() < idle_max);
        }
        let bounds = self.bounds;
        let log = self
            .rooms
            .entry(room.clone())
            .or_insert_with(|| Log::new(bounds, now));
        if now - log.used() >= idle_max {
            *log = Log::new(bounds, now);
        }
        log.touch(now);
        log
    }

    fn append(&mut self, room: &RoomName, batch: &Batch) -> Result<Appended, AppendError> {
        batch.check()?;
        if batch.drafts.is_empty() {
            return Ok(Appended {
                outcomes: Vec::new(),
            });
        }
        let now = Instant::now();
        let (appended, block) = self.log(room, now).append(batch, now)?;
        if let Some(block) = block {
            for end in self.ends.iter_mut().filter(|end| end.rooms.contains(room)) {
                end.outbox.send(Event::Announced {
                    room: room.clone(),
                    block: block.clone(),
                });
            }
        }
        Ok(appended)
    }

    fn whisper(&mut self, room: &RoomName, whisper: &Bytes) -> Result<(), ReadError> {
        check_whisper(whisper)?;
        for end in self.ends.iter_mut().filter(|end| end.rooms.contains(room)) {
            end.outbox.send(Event::Whispered {
                room: room.clone(),
                whisper: whisper.clone(),
            });
        }
        Ok(())
    }

    fn gossip(&mut self, gossip: &Bytes) {
        for end in &mut self.ends {
            end.outbox.send(Event::Gossip(gossip.clone()));
        }
    }

    fn end(&mut self, id: u64) -> Option<&mut End> {
        self.ends.iter_mut().find(|end| end.id == id)
    }
}

/// A node's end, as the node knows it.
#[derive(Debug)]
struct Attached {
    memory: Arc<Memory>,
    id: u64,
}

impl Attached {
    /// Performs a call when its future is polled, under the store's lock.
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&mut Store) -> T + Send + 'a,
    ) -> BoxFuture<'a, T> {
        Box::pin(async move { call(&mut self.memory.store()) })
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.memory.store().ends.retain(|end| end.id != self.id);
    }
}

impl Backplane for Attached {
    fn append<'a>(
        &'a self,
        room: &'a RoomName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        self.call(|store| store.append(room, batch))
    }

    fn repeat_of<'a>(
        &'a self,
        room: &'a RoomName,
        session: SessionId,
        nonce: Nonce,
    ) -> BoxFuture<'a, Result<Option<Outcome>, ReadError>> {
        self.call(move |store| {
            let now = Instant::now();
            Ok(store.log(room, now).repeat_of(session, nonce, now))
        })
    }

    fn read<'a>(
        &'a self,
        room: &'a RoomName,
        after: Cursor,
        entries_max: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        self.call(move |store| {
            let now = Instant::now();
            Ok(store.log(room, now).read(after, entries_max, now))
        })
    }

    fn read_last<'a>(
        &'a self,
        room: &'a RoomName,
        entries: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        self.call(move |store| {
            let now = Instant::now();
            Ok(store.log(room, now).read_last(entries, now))
        })
    }

    fn heads<'a>(
        &'a self,
        rooms: &'a [RoomName],
    ) -> BoxFuture<'a, Result<Vec<Option<Cursor>>, ReadError>> {
        self.call(|store| {
            Ok(rooms
                .iter()
                .map(|room| Some(store.rooms.get(room)?.head()))
                .collect())
        })
    }

    fn subscribe<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, Result<(), ReadError>> {
        self.call(|store| {
            if let Some(end) = store.end(self.id) {
                end.rooms.insert(room.clone());
            }
            Ok(())
        })
    }

    fn unsubscribe<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, ()> {
        self.call(|store| {
            if let Some(end) = store.end(self.id) {
                end.rooms.remove(room);
            }
        })
    }

    fn whisper<'a>(
        &'a self,
        room: &'a RoomName,
        whisper: Bytes,
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        self.call(move |store| store.whisper(room, &whisper))
    }

    fn renew<'a>(
        &'a self,
        node: NodeId,
        lease: Duration,
        gossip: Bytes,
    ) -> BoxFuture<'a, Result<Lease, ReadError>> {
        self.call(move |store| {
            let kept = store.nodes.renew(node, lease, Instant::now());
            if kept == Lease::Kept {
                store.gossip(&gossip);
            }
            Ok(kept)
        })
    }

    fn write_registry<'a>(
        &'a self,
        node: NodeId,
        lease: Duration,
        changes: &'a RegistryChanges,
        gossip: Bytes,
    ) -> BoxFuture<'a, Result<Lease, ReadError>> {
        self.call(move |store| {
            let kept = store.nodes.write(node, lease, changes, Instant::now());
            if kept == Lease::Kept {
                store.gossip(&gossip);
            }
            Ok(kept)
        })
    }

    fn read_registry(&self, node: NodeId) -> BoxFuture<'_, Result<Option<Registry>, ReadError>> {
        self.call(move |store| Ok(store.nodes.registry(node, Instant::now())))
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeId>, ReadError>> {
        self.call(|store| Ok(store.nodes.live(Instant::now())))
    }

    fn resign(&self, node: NodeId, gossip: Bytes) -> BoxFuture<'_, Result<(), ReadError>> {
        self.call(move |store| {
            store.nodes.resign(node);
            store.gossip(&gossip);
            Ok(())
        })
    }

    fn claim<'a>(
        &'a self,
        key: &'a str,
        claim: Claim,
    ) -> BoxFuture<'a, Result<Claimed, ReadError>> {
        self.call(move |store| Ok(store.nodes.claim(key, claim, true, Instant::now())))
    }

    fn claim_again<'a>(
        &'a self,
        claims: &'a [(String, Claim)],
    ) -> BoxFuture<'a, Result<Vec<Claimed>, ReadError>> {
        self.call(move |store| {
            let now = Instant::now();
            let claimed = claims
                .iter()
                .map(|(key, claim)| store.nodes.claim(key, *claim, false, now));
            Ok(claimed.collect())
        })
    }

    fn release<'a>(&'a self, key: &'a str, claim: Claim) -> BoxFuture<'a, Result<(), ReadError>> {
        self.call(move |store| {
            store.nodes.release(key, claim);
            Ok(())
        })
    }

    fn shared_secret(&self, proposal: [u8; 32]) -> BoxFuture<'_, Result<[u8; 32], ReadError>> {
        self.call(move |store| Ok(*store.secret.get_or_insert(proposal)))
    }

    fn promise(&self) -> Promise {
        Promise {
            survival: Survival::Node,
            may_evict: false,
        }
    }
}

/// How often rooms that nobody uses are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
