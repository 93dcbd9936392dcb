//! What this node knows of the other nodes themselves: how long each is there whatever the registry
//! says, and whether what it registered was read. Pure: time is an argument.
//!
//! A backplane that lost its memory knows no node, and all of them are there. So a node is gone
//! when it holds no lease *and* was not heard for as long as its lease lasts.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Card;
use crate::backplane::NodeId;

/// The other nodes.
#[derive(Debug)]
pub(super) struct Peers {
    lease: Duration,
    nodes: HashMap<NodeId, Peer>,
}

/// Another node.
#[derive(Debug)]
pub(super) struct Peer {
    /// Unknown before its first heartbeat.
    pub(super) card: Option<Card>,
    /// Version of the registry as known here; `None` when it was never read.
    pub(super) version: Option<u64>,
    /// Until then it is there although it holds no lease.
    trusted_until: Instant,
    /// How often something said that the registry is to be read.
    reads_asked: u64,
    /// Which of these were answered.
    reads_done: u64,
}

/// A registry to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Whose.
    pub(super) node: NodeId,
    asked: u64,
}

impl Peers {
    /// Nobody is known. Nodes of a cluster have one lease.
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            lease,
            nodes: HashMap::new(),
        }
    }

    /// A node says something. `None` when there are too many of them.
    pub(super) fn hear(&mut self, node: NodeId, now: Instant) -> Option<&mut Peer> {
        let until = now + self.lease;
        let peer = self.peer(node, until)?;
        peer.trusted_until = peer.trusted_until.max(until);
        Some(peer)
    }

    /// A node holds a lease, and may never have been heard.
    pub(super) fn see(&mut self, node: NodeId, now: Instant) {
        self.peer(node, now);
    }

    /// Nothing could be heard till now, so nobody's silence says anything. Each has a while to be
    /// heard again, or to register again.
    pub(super) fn on_silence(&mut self, now: Instant) {
        let until = now + SETTLE.min(self.lease);
        for peer in self.nodes.values_mut() {
            peer.trusted_until = peer.trusted_until.max(until);
        }
    }

    /// Gossip may have been lost: every registry is to be read.
    pub(super) fn ask_all(&mut self) {
        self.nodes.values_mut().for_each(Peer::ask);
    }

    /// Whether a node that holds no lease is there all the same. One of which nothing was ever read
    /// is not: there is nothing to be told of it.
    pub(super) fn is_trusted(&self, node: NodeId, now: Instant) -> bool {
        self.nodes
            .get(&node)
            .is_some_and(|peer| peer.version.is_some() && now < peer.trusted_until)
    }

    /// From when on a node may be gone, if it holds no lease then.
    pub(super) fn doubt_at(&self) -> Option<Instant> {
        self.nodes.values().map(|peer| peer.trusted_until).min()
    }

    /// Registries to be read.
    pub(super) fn readings(&self) -> Vec<Reading> {
        self.nodes
            .iter()
            .filter(|(_, peer)| peer.reads_done != peer.reads_asked)
            .map(|(node, peer)| Reading {
                node: *node,
                asked: peer.reads_asked,
            })
            .collect()
    }

    /// A registry was read. False when it is not to be believed: the node is gone, or said newer
    /// things while it was read.
    #[must_use]
    pub(super) fn on_read(&mut self, reading: Reading, version: u64) -> bool {
        let Some(peer) = self.nodes.get_mut(&reading.node) else {
            return false;
        };
        peer.reads_done = reading.asked;
        if peer.version.is_some_and(|known| known > version) {
            return false;
        }
        peer.version = Some(version);
        true
    }

    /// A node is gone. Returns what was known of it.
    pub(super) fn remove(&mut self, node: NodeId) -> Option<Peer> {
        self.nodes.remove(&node)
    }

    /// Everybody who is known.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// How nodes introduced themselves.
    pub(super) fn cards(&self) -> impl Iterator<Item = &Card> + '_ {
        self.nodes.values().filter_map(|peer| peer.card.as_ref())
    }

    fn peer(&mut self, node: NodeId, trusted_until: Instant) -> Option<&mut Peer> {
        if self.nodes.len() >= PEERS_LEN_MAX && !self.nodes.contains_key(&node) {
            return None;
        }
        Some(self.nodes.entry(node).or_insert(Peer {
            card: None,
            version: None,
            trusted_until,
            reads_asked: 1,
            reads_done: 0,
        }))
    }
}

impl Peer {
    /// Its registry is to be read.
    pub(super) fn ask(&mut self) {
        self.reads_asked += 1;
    }
}

/// Nodes that lost the same Redis find it again within their longest pause (2 s), and register
/// within a heartbeat (1 s).
const SETTLE: Duration = Duration::from_secs(5);

/// Nodes a cluster may have; beyond, somebody writes nonsense.
const PEERS_LEN_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);
    const TWO: NodeId = NodeId(2);

    fn read(peers: &mut Peers, version: u64) -> bool {
        let reading = peers.readings()[0];
        peers.on_read(reading, version)
    }

    #[test]
    fn a_node_is_trusted_for_its_lease_after_it_was_heard() {
        let (mut peers, start) = (Peers::new(LEASE), Instant::now());
        peers.hear(TWO, start);
        assert!(!peers.is_trusted(TWO, start), "nothing is known of it");
        assert!(read(&mut peers, 1));
        let last = start + LEASE - Duration::from_millis(1);
        assert!(peers.is_trusted(TWO, last));
        assert!(!peers.is_trusted(TWO, start + LEASE));
        assert_eq!(peers.doubt_at(), Some(start + LEASE));
        peers.see(TWO, last);
        assert_eq!(peers.doubt_at(), Some(start + LEASE), "seen, not heard");
        peers.hear(TWO, last);
        assert!(peers.is_trusted(TWO, start + LEASE));
    }

    #[test]
    fn silence_that_was_everybodys_is_held_against_nobody() {
        let (mut peers, start) = (Peers::new(LEASE), Instant::now());
        peers.hear(TWO, start);
        assert!(read(&mut peers, 1));
        let healed = start + LEASE * 4;
        peers.on_silence(healed);
        assert!(peers.is_trusted(TWO, healed + SETTLE / 2));
        assert!(!peers.is_trusted(TWO, healed + SETTLE));
        peers.hear(TWO, healed);
        peers.on_silence(healed);
        assert!(peers.is_trusted(TWO, healed + LEASE / 2), "never shorter");
    }

    #[test]
    fn what_was_read_is_not_believed_over_newer_gossip() {
        let (mut peers, start) = (Peers::new(LEASE), Instant::now());
        peers.hear(TWO, start);
        assert!(read(&mut peers, 5));
        assert!(peers.readings().is_empty());
        peers.ask_all();
        let reading = peers.readings()[0];
        peers.hear(TWO, start).unwrap().version = Some(6);
        assert!(!peers.on_read(reading, 5), "older than what was said");
        assert!(peers.readings().is_empty(), "what was said had no hole");
    }

    #[test]
    fn what_is_asked_during_a_read_is_read_again() {
        let (mut peers, start) = (Peers::new(LEASE), Instant::now());
        peers.hear(TWO, start);
        let reading = peers.readings()[0];
        peers.ask_all();
        assert!(peers.on_read(reading, 1));
        assert_eq!(peers.readings().len(), 1);
        peers.remove(TWO);
        assert!(!peers.on_read(reading, 2), "it is gone");
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let (mut peers, start) = (Peers::new(LEASE), Instant::now());
        for node in 0..=PEERS_LEN_MAX as u64 {
            peers.hear(NodeId(node), start);
        }
        assert_eq!(peers.nodes().len(), PEERS_LEN_MAX);
        assert!(peers.hear(NodeId(0), start).is_some());
    }
}
