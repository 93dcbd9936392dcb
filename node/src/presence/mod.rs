//! Who is where in the cluster: what this node says of itself, and what it believes of others.
//!
//! Each node registers its sessions and their rooms in the backplane under its own lease, and
//! tells the others about changes by gossip. Gossip may be lost: every heartbeat carries the
//! version of the registry, and a node that sees another version than it has reads the registry.
//! When a lease ends and its node is not heard either, everything it said ends in one step; a
//! backplane that only lost its memory makes nobody leave, and a node that was stopped for longer
//! than its lease says again only of those who are alive that they are there. So presence is a hint
//! that converges, and it never stands in the way of a message.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::{NodeName, SessionId};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

mod own;
mod pace;
mod peers;
pub mod view;

use crate::backplane::{Backplane, Lease, NodeId, ReadError, RegistryChanges};
use own::Own;
pub use pace::{Pace, keep};
use peers::Peers;
use view::{Change, Fact, FactKey, View};

/// What nodes know and say of each other.
#[derive(Debug)]
pub struct Presence {
    node: NodeId,
    card: Card,
    lease: Duration,
    view: Mutex<View>,
    /// Locked before `view` where both are.
    own: Mutex<Own>,
    /// Locked before `view` where both are, so that what a node said is believed in its order.
    peers: Mutex<Peers>,
    /// Set when there is something to write or to read.
    changed: Notify,
    /// How often this node registered anew.
    registrations: watch::Sender<u64>,
}

/// How a node introduces itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Card {
    /// Its name.
    pub name: NodeName,
    /// Where clients reach it, as `host:port`.
    pub address: String,
}

/// What nodes tell each other. Variants are only ever appended.
#[derive(Debug, Deserialize, Serialize)]
enum Gossip {
    /// The node is there, and its registry has this version.
    Heartbeat { node: u64, version: u64, card: Card },
    /// The registry went from one version to another by these changes.
    Delta {
        node: u64,
        from: u64,
        version: u64,
        set: Vec<(Bytes, Bytes)>,
        remove: Vec<Bytes>,
    },
    /// The node leaves.
    Gone { node: u64 },
}

impl Presence {
    /// Presence of a node that has said nothing yet.
    #[must_use]
    pub fn new(node: NodeId, card: Card, lease: Duration) -> Self {
        Self {
            node,
            card,
            lease,
            view: Mutex::default(),
            own: Mutex::new(Own::new(lease)),
            peers: Mutex::new(Peers::new(lease)),
            changed: Notify::new(),
            registrations: watch::Sender::default(),
        }
    }

    /// This node says something is so. Returns what people here should be told; others hear of it
    /// within a tick.
    pub fn assert(&self, fact: Fact) -> Vec<Change> {
        let mut own = lock(&self.own);
        let changes = lock(&self.view).assert(self.node, fact.clone());
        own.changes.insert(fact.key(), Some(fact));
        self.changed.notify_one();
        changes
    }

    /// This node says something is no longer so. Returns what people here should be told.
    pub fn retract(&self, key: FactKey) -> Vec<Change> {
        let mut own = lock(&self.own);
        let changes = lock(&self.view).retract(self.node, &key);
        if let FactKey::Session(session) = key {
            // What is not known to be alive is gone, too.
            let _ = own.prove(session);
        }
        own.changes.insert(key, None);
        self.changed.notify_one();
        changes
    }

    /// Sessions of this node are known to be alive. Those that were withheld since
    /// [`withholding_since`](Self::withholding_since) are told to others; of the rest nothing changes.
    pub fn prove(&self, sessions: impl IntoIterator<Item = SessionId>) {
        let mut own = lock(&self.own);
        self.note_running(&mut own);
        for session in sessions {
            if own.prove(session) {
                let facts = lock(&self.view).facts_of(self.node, session);
                own.changes
                    .extend(facts.into_iter().map(|fact| (fact.key(), Some(fact))));
            }
        }
        drop(own);
        self.changed.notify_one();
    }

    /// When this node's process went on after it was stopped for longer than its lease, if some of
    /// its sessions from before are not known to be alive yet. Others are not told of these.
    pub fn withholding_since(&self) -> Option<Instant> {
        lock(&self.own).withholding_since()
    }

    /// What is believed now. Hold it for a few steps only.
    pub fn view(&self) -> MutexGuard<'_, View> {
        lock(&self.view)
    }

    /// Where clients reach other nodes.
    #[must_use]
    pub fn other_nodes(&self) -> Vec<String> {
        lock(&self.peers)
            .cards()
            .map(|card| card.address.clone())
            .collect()
    }

    /// Hears what a node said. Returns what people here should be told.
    pub fn on_gossip(&self, gossip: &[u8]) -> Vec<Change> {
        match postcard::from_bytes(gossip) {
            Ok(Gossip::Heartbeat {
                node,
                version,
                card,
            }) if node != self.node.0 => {
                let mut peers = lock(&self.peers);
                let Some(peer) = peers.hear(NodeId(node), Instant::now()) else {
                    return Vec::new();
                };
                if peer.card.is_none() {
                    info!(node = %card.name, address = %card.address, "another node is there");
                }
                peer.card = Some(card);
                if peer.version != Some(version) {
                    peer.ask();
                    self.changed.notify_one();
                }
                Vec::new()
            }
            Ok(Gossip::Delta {
                node,
                from,
                version,
                set,
                remove,
            }) if node != self.node.0 => {
                let node = NodeId(node);
                let mut peers = lock(&self.peers);
                let Some(peer) = peers.hear(node, Instant::now()) else {
                    return Vec::new();
                };
                if peer.version != Some(from) {
                    peer.ask();
                    self.changed.notify_one();
                    return Vec::new();
                }
                peer.version = Some(version);
                let mut view = lock(&self.view);
                let mut changes = Vec::new();
                for (key, value) in set {
                    if let Some(fact) = Fact::from_entry(&key, &value) {
                        changes.extend(view.assert(node, fact));
                    }
                }
                for key in remove {
                    if let Some(key) = FactKey::from_bytes(&key) {
                        changes.extend(view.retract(node, &key));
                    }
                }
                changes
            }
            Ok(Gossip::Gone { node }) if node != self.node.0 => self.forget(NodeId(node)),
            Ok(_) => Vec::new(),
            Err(error) => {
                debug!(%error, "gossip of a later version, or damaged");
                Vec::new()
            }
        }
    }

    /// Gossip may have been lost: what others registered is read again, and that they were not heard
    /// says nothing of them.
    pub fn on_missed(&self) {
        let mut peers = lock(&self.peers);
        peers.ask_all();
        peers.on_silence(Instant::now());
        drop(peers);
        self.changed.notify_one();
    }

    /// Changes whenever this node has registered anew, the first time included: what hung on the
    /// registration before may be lost.
    #[must_use]
    pub fn registrations(&self) -> watch::Receiver<u64> {
        self.registrations.subscribe()
    }

    /// Returns when there is something to write or read. Cancel safe.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Writes what this node has to say. Nothing is lost when it fails: the next call says it.
    ///
    /// # Errors
    /// When the backplane does not answer.
    pub async fn write(&self, backplane: &dyn Backplane) -> Result<(), ReadError> {
        loop {
            let Some((changes, from, taken)) = self.take_changes() else {
                return Ok(());
            };
            let gossip = self.delta(&changes, from);
            let asked_at = Instant::now();
            match backplane
                .write_registry(self.node, self.lease, &changes, gossip)
                .await
            {
                Ok(lease) => {
                    lock(&self.own).version = changes.version;
                    self.on_lease(lease, asked_at);
                    if changes.reset && lease == Lease::Kept {
                        self.registrations.send_modify(|count| *count += 1);
                    }
                }
                Err(error) => {
                    let mut own = lock(&self.own);
                    // It may have been written: never use that version for anything else.
                    own.version = changes.version;
                    own.reset |= changes.reset;
                    for (key, fact) in taken {
                        own.changes.entry(key).or_insert(fact);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Renews the lease.
    ///
    /// # Errors
    /// When the backplane does not answer.
    pub async fn renew(&self, backplane: &dyn Backplane) -> Result<(), ReadError> {
        let asked_at = Instant::now();
        let version = lock(&self.own).version;
        let heartbeat = Gossip::Heartbeat {
            node: self.node.0,
            version,
            card: self.card.clone(),
        };
        let lease = backplane
            .renew(self.node, self.lease, encode(&heartbeat))
            .await
            .inspect_err(|_| self.on_silence())?;
        self.on_lease(lease, asked_at);
        self.write(backplane).await
    }

    /// Compares what is believed with the leases and registries there are. `tell` gets what people
    /// here should be told, step by step: what was told stays told when a later step fails.
    ///
    /// # Errors
    /// When the backplane does not answer.
    pub async fn compare(
        &self,
        backplane: &dyn Backplane,
        tell: &impl Fn(Vec<Change>),
    ) -> Result<(), ReadError> {
        let alive = backplane.nodes().await.inspect_err(|_| self.on_silence())?;
        let alive: HashSet<NodeId> = alive.into_iter().collect();
        if !alive.contains(&self.node) {
            // Others look as well: the sooner this node is there again, the better.
            self.renew(backplane).await?;
        }
        let now = Instant::now();
        let known = lock(&self.peers).nodes();
        for node in known.into_iter().filter(|node| !alive.contains(node)) {
            if let Some(changes) = self.forget_unless_trusted(node, now) {
                tell(changes);
            }
        }
        let mut peers = lock(&self.peers);
        for node in alive.into_iter().filter(|node| *node != self.node) {
            peers.see(node, now);
        }
        Ok(())
    }

    /// When [`compare`](Self::compare) should be called next, after it was at the given time.
    /// `None` is at once.
    fn compare_at(&self, compared_at: Option<Instant>, pace: Pace) -> Option<Instant> {
        let compared_at = compared_at?;
        let by_rule = compared_at + pace.compare;
        // At once when somebody's lease may have ended, and often as long as that is not clear.
        let in_doubt = lock(&self.peers).doubt_at();
        Some(in_doubt.map_or(by_rule, |at| by_rule.min(at.max(compared_at + pace.doubt))))
    }

    /// Reads the registries that are known to have changed. `tell` gets what people here should be
    /// told, registry by registry. One that cannot be read does not keep the others from it.
    ///
    /// # Errors
    /// When the backplane did not answer for one of them; the next call reads it.
    pub async fn read_stale(
        &self,
        backplane: &dyn Backplane,
        tell: &impl Fn(Vec<Change>),
    ) -> Result<(), ReadError> {
        let readings = lock(&self.peers).readings();
        let mut outcome = Ok(());
        for reading in readings {
            match backplane.read_registry(reading.node).await {
                Ok(Some(registry)) => {
                    let mut peers = lock(&self.peers);
                    if peers.on_read(reading, registry.version) {
                        let changes = lock(&self.view).replace_node(reading.node, &registry);
                        drop(peers);
                        tell(changes);
                    }
                }
                Ok(None) => {
                    if let Some(changes) = self.forget_unless_trusted(reading.node, Instant::now())
                    {
                        tell(changes);
                    }
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// This node leaves: ends its lease.
    ///
    /// # Errors
    /// When the backplane does not answer; the lease then ends by itself.
    pub async fn resign(&self, backplane: &dyn Backplane) -> Result<(), ReadError> {
        backplane
            .resign(self.node, encode(&Gossip::Gone { node: self.node.0 }))
            .await
    }

    /// The process runs: to be said much more often than the lease is long.
    fn on_running(&self) {
        self.note_running(&mut lock(&self.own));
    }

    fn note_running(&self, own: &mut Own) {
        own.on_running(Instant::now(), || {
            let view = lock(&self.view);
            let session = |fact: &Fact| match fact {
                Fact::Session(session, _) => Some(*session),
                Fact::Member(..) => None,
            };
            view.facts(self.node).filter_map(session).collect()
        });
    }

    fn on_lease(&self, lease: Lease, asked_at: Instant) {
        let mut own = lock(&self.own);
        self.note_running(&mut own);
        let withheld = own.on_lease(lease, asked_at, Instant::now());
        drop(own);
        if let Some(sessions) = withheld {
            warn!(
                sessions,
                "this process was stopped for longer than its lease; its sessions are registered \
                 anew as they are known to be alive"
            );
        } else if lease == Lease::Lost {
            warn!("the lease had ended or was forgotten; everything is registered anew");
        }
    }

    /// Nothing can be heard at the moment.
    fn on_silence(&self) {
        lock(&self.peers).on_silence(Instant::now());
    }

    fn forget_unless_trusted(&self, node: NodeId, now: Instant) -> Option<Vec<Change>> {
        let is_trusted = lock(&self.peers).is_trusted(node, now);
        (!is_trusted).then(|| self.forget(node))
    }

    fn forget(&self, node: NodeId) -> Vec<Change> {
        let mut peers = lock(&self.peers);
        if let Some(peer) = peers.remove(node) {
            let name = peer.card.map(|card| card.name.to_string());
            info!(
                node = name.as_deref().unwrap_or("unknown"),
                "another node is gone"
            );
        }
        lock(&self.view).remove_node(node)
    }

    fn take_changes(&self) -> Option<(RegistryChanges, u64, HashMap<FactKey, Option<Fact>>)> {
        let mut own = lock(&self.own);
        if own.changes.is_empty() && !own.reset {
            return None;
        }
        let taken = std::mem::take(&mut own.changes);
        let reset = std::mem::take(&mut own.reset);
        let from = own.version;
        let mut changes = RegistryChanges {
            reset,
            version: from + 1,
            set: Vec::new(),
            remove: Vec::new(),
        };
        if reset {
            let view = lock(&self.view);
            let facts = view.facts(self.node);
            let may_write = |fact: &&Fact| own.may_write(fact.key().session());
            changes
                .set
                .extend(facts.filter(may_write).map(Fact::to_entry));
        } else {
            for (key, fact) in &taken {
                match fact {
                    Some(fact) if own.may_write(key.session()) => changes.set.push(fact.to_entry()),
                    // It is written once the session is known to be alive.
                    Some(_) => {}
                    None => changes.remove.push(key.to_bytes()),
                }
            }
        }
        Some((changes, from, taken))
    }

    fn delta(&self, changes: &RegistryChanges, from: u64) -> Bytes {
        let node = self.node.0;
        if changes.reset || changes.set.len() + changes.remove.len() > DELTA_LEN_MAX {
            let card = self.card.clone();
            return encode(&Gossip::Heartbeat {
                node,
                version: changes.version,
                card,
            });
        }
        encode(&Gossip::Delta {
            node,
            from,
            version: changes.version,
            set: changes.set.clone(),
            remove: changes.remove.clone(),
        })
    }
}

fn encode(gossip: &Gossip) -> Bytes {
    postcard::to_stdvec(gossip)
        .expect("gossip always encodes")
        .into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes told by name; a node that changes more at once is read instead.
const DELTA_LEN_MAX: usize = 1_000;
