//! Presence of a node on a shared memory backplane, with no hub around it, and what may happen to
//! both. Time is the runtime's own, so leases end to the millisecond.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::memory::Memory;
use chat_node::backplane::{
    Attachment, Backplane, Claim, Claimed, Event, Lease, NodeId, ReadError, Registry,
    RegistryChanges,
};
use chat_node::presence::view::{Change, Fact, FactKey};
use chat_node::presence::{self, Card, Presence};
use chat_protocol::lane::PresenceChange;
use chat_protocol::{RoomName, SessionId};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::registry::forward;

/// The lease of all nodes.
pub const LEASE: Duration = Duration::from_secs(15);

/// What the nodes share.
pub struct World {
    memory: Arc<Memory>,
    began: Instant,
}

impl World {
    pub fn new() -> Self {
        Self {
            memory: Memory::new(),
            began: Instant::now(),
        }
    }

    /// A node, with its presence kept.
    pub async fn seat(&self, id: u64) -> Seat {
        let Attachment { backplane, events } = self.memory.attach();
        let card = Card {
            name: format!("node-{id}").parse().unwrap(),
            address: format!("127.0.0.1:{id}"),
        };
        let mut seat = Seat {
            id,
            presence: Arc::new(Presence::new(NodeId(id), card, LEASE)),
            backplane: Arc::new(Faulty {
                inner: backplane,
                unreadable: Mutex::default(),
                is_cut: AtomicBool::new(false),
            }),
            events: Arc::new(tokio::sync::Mutex::new(events)),
            is_deaf: Arc::default(),
            told: Arc::default(),
            began: self.began,
            tasks: JoinSet::new(),
        };
        seat.presence.write(&*seat.backplane).await.unwrap();
        seat.thaw();
        seat
    }

    /// The backplane forgets what these nodes registered.
    pub async fn forget(&self, seats: &[&Seat]) {
        let backplane = self.memory.attach().backplane;
        for seat in seats {
            // Nobody understands what this says, so nobody hears of it.
            let unheard = Bytes::new();
            backplane.resign(NodeId(seat.id), unheard).await.unwrap();
        }
    }
}

/// A node's presence.
pub struct Seat {
    id: u64,
    pub presence: Arc<Presence>,
    pub backplane: Arc<Faulty>,
    events: Arc<tokio::sync::Mutex<mpsc::Receiver<Event>>>,
    is_deaf: Arc<AtomicBool>,
    told: Told,
    began: Instant,
    tasks: JoinSet<()>,
}

/// When people on a node were told what.
type Told = Arc<Mutex<Vec<(Duration, String)>>>;

impl Seat {
    /// Its process is stopped, or dead. What it is told waits.
    pub fn freeze(&mut self) {
        self.tasks.abort_all();
    }

    /// It goes on.
    pub fn thaw(&mut self) {
        self.tasks = JoinSet::new();
        let (presence, backplane) = (Arc::clone(&self.presence), Arc::clone(&self.backplane));
        let (told, began) = (Arc::clone(&self.told), self.began);
        self.tasks.spawn(async move {
            presence::keep(&presence, &*backplane, |changes| {
                note(&told, began, &changes);
            })
            .await;
        });
        let (presence, events) = (Arc::clone(&self.presence), Arc::clone(&self.events));
        let (told, began) = (Arc::clone(&self.told), self.began);
        let is_deaf = Arc::clone(&self.is_deaf);
        self.tasks.spawn(async move {
            let mut events = events.lock().await;
            while let Some(event) = events.recv().await {
                if let Event::Gossip(gossip) = event
                    && !is_deaf.load(Ordering::Acquire)
                {
                    note(&told, began, &presence.on_gossip(&gossip));
                }
            }
        });
    }

    /// Whether gossip reaches it. It does not know that it is deaf.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.is_deaf.store(is_deaf, Ordering::Release);
    }

    /// Somebody comes, and joins the lobby.
    pub fn join(&self, session: SessionId, name: &str) {
        let facts = [
            Fact::Session(session, name.parse().unwrap()),
            Fact::Member(session, "lobby".parse().unwrap()),
        ];
        for fact in facts {
            note(&self.told, self.began, &self.presence.assert(fact));
        }
    }

    /// Somebody goes.
    pub fn part(&self, session: SessionId) {
        let changes = self.presence.retract(FactKey::Session(session));
        note(&self.told, self.began, &changes);
    }

    /// What its people were told since they were asked last.
    pub fn told(&self) -> Vec<String> {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        told.into_iter().map(|(_, what)| what).collect()
    }

    /// When its people were told this last.
    pub fn told_at(&self, what: &str) -> Option<Duration> {
        let told = self.told.lock().unwrap();
        told.iter()
            .rev()
            .find(|(_, told)| told == what)
            .map(|(at, _)| *at)
    }

    /// Members of the lobby, as it believes.
    pub fn members(&self) -> Vec<String> {
        let lobby: RoomName = "lobby".parse().unwrap();
        let (members, _) = self.presence.view().members(&lobby, None, 10);
        members.iter().map(ToString::to_string).collect()
    }
}

fn note(told: &Told, began: Instant, changes: &[Change]) {
    let at = began.elapsed();
    told.lock()
        .unwrap()
        .extend(changes.iter().map(|change| match &change.what {
            PresenceChange::Joined(name) => (at, format!("+{name}")),
            PresenceChange::Left(name) => (at, format!("-{name}")),
            PresenceChange::Renamed { from, to } => (at, format!("{from}>{to}")),
        }));
}

/// A backplane of which calls can be made to fail.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Backplane>,
    unreadable: Mutex<HashSet<u64>>,
    is_cut: AtomicBool,
}

impl Faulty {
    /// A node's registry is damaged, or is not.
    pub fn set_unreadable(&self, seat: &Seat, is_unreadable: bool) {
        let mut unreadable = self.unreadable.lock().unwrap();
        if is_unreadable {
            unreadable.insert(seat.id);
        } else {
            unreadable.remove(&seat.id);
        }
    }

    /// Nothing answers, or it does.
    pub fn set_cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Release);
    }

    fn call<'a, T: Send + 'a>(
        &'a self,
        call: BoxFuture<'a, Result<T, ReadError>>,
    ) -> BoxFuture<'a, Result<T, ReadError>> {
        Box::pin(async move {
            if self.is_cut.load(Ordering::Acquire) {
                return Err(ReadError("cut".to_owned()));
            }
            call.await
        })
    }
}

impl Backplane for Faulty {
    fn renew<'a>(
        &'a self,
        node: NodeId,
        lease: Duration,
        gossip: Bytes,
    ) -> BoxFuture<'a, Result<Lease, ReadError>> {
        self.call(self.inner.renew(node, lease, gossip))
    }

    fn write_registry<'a>(
        &'a self,
        node: NodeId,
        lease: Duration,
        changes: &'a RegistryChanges,
        gossip: Bytes,
    ) -> BoxFuture<'a, Result<Lease, ReadError>> {
        self.call(self.inner.write_registry(node, lease, changes, gossip))
    }

    fn read_registry(&self, node: NodeId) -> BoxFuture<'_, Result<Option<Registry>, ReadError>> {
        if self.unreadable.lock().unwrap().contains(&node.0) {
            return Box::pin(async { Err(ReadError("damaged".to_owned())) });
        }
        self.call(self.inner.read_registry(node))
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeId>, ReadError>> {
        self.call(self.inner.nodes())
    }

    fn resign(&self, node: NodeId, gossip: Bytes) -> BoxFuture<'_, Result<(), ReadError>> {
        self.call(self.inner.resign(node, gossip))
    }

    fn claim<'a>(
        &'a self,
        key: &'a str,
        claim: Claim,
    ) -> BoxFuture<'a, Result<Claimed, ReadError>> {
        self.call(self.inner.claim(key, claim))
    }

    fn claim_again<'a>(
        &'a self,
        claims: &'a [(String, Claim)],
    ) -> BoxFuture<'a, Result<Vec<Claimed>, ReadError>> {
        self.call(self.inner.claim_again(claims))
    }

    fn release<'a>(&'a self, key: &'a str, claim: Claim) -> BoxFuture<'a, Result<(), ReadError>> {
        self.call(self.inner.release(key, claim))
    }

    fn shared_secret(&self, proposal: [u8; 32]) -> BoxFuture<'_, Result<[u8; 32], ReadError>> {
        self.call(self.inner.shared_secret(proposal))
    }

    forward!(inner: append);
    forward!(inner: read);
    forward!(inner: read_last);
    forward!(inner: heads);
    forward!(inner: subscriptions);
    forward!(inner: promises);
}
