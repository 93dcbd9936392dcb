//! Live nodes with what they registered, and the keys claimed through them.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::{Claim, Claimed, Lease, NodeId, Registry, RegistryChanges};

/// Nodes and claims. A node whose lease ended is removed before anything is looked at.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    nodes: HashMap<NodeId, Node>,
    claims: HashMap<String, Claim>,
}

#[derive(Debug)]
struct Node {
    lease_ends: Instant,
    version: u64,
    entries: HashMap<Bytes, Bytes>,
}

impl Nodes {
    pub(super) fn renew(&mut self, node: NodeId, lease: Duration, now: Instant) -> Lease {
        self.expire(now);
        match self.nodes.get_mut(&node) {
            Some(node) => {
                node.lease_ends = now + lease;
                Lease::Kept
            }
            None => Lease::Lost,
        }
    }

    pub(super) fn write(
        &mut self,
        node: NodeId,
        lease: Duration,
        changes: &RegistryChanges,
        now: Instant,
    ) -> Lease {
        self.expire(now);
        if changes.reset {
            let fresh = Node {
                lease_ends: now,
                version: 0,
                entries: HashMap::new(),
            };
            self.nodes.insert(node, fresh);
        }
        let Some(node) = self.nodes.get_mut(&node) else {
            return Lease::Lost;
        };
        node.lease_ends = now + lease;
        node.version = changes.version;
        for key in &changes.remove {
            node.entries.remove(key);
        }
        node.entries.extend(changes.set.iter().cloned());
        Lease::Kept
    }

    pub(super) fn registry(&mut self, node: NodeId, now: Instant) -> Option<Registry> {
        self.expire(now);
        let node = self.nodes.get(&node)?;
        let entries = node
            .entries
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()));
        Some(Registry {
            version: node.version,
            entries: entries.collect(),
        })
    }

    pub(super) fn live(&mut self, now: Instant) -> Vec<NodeId> {
        self.expire(now);
        self.nodes.keys().copied().collect()
    }

    pub(super) fn resign(&mut self, node: NodeId) {
        self.nodes.remove(&node);
        self.claims.retain(|_, claim| claim.node != node);
    }

    /// `moves`: a claim of the same session moves here from a live node.
    pub(super) fn claim(&mut self, key: &str, claim: Claim, moves: bool, now: Instant) -> Claimed {
        self.expire(now);
        let is_ours = |held: Claim| held == claim || moves && held.session == claim.session;
        match self.claims.get(key) {
            Some(&held) if !is_ours(held) && self.nodes.contains_key(&held.node) => {
                Claimed::Held(held)
            }
            _ => {
                self.claims.insert(key.to_owned(), claim);
                Claimed::Granted
            }
        }
    }

    pub(super) fn release(&mut self, key: &str, claim: Claim) {
        if self.claims.get(key) == Some(&claim) {
            self.claims.remove(key);
        }
    }

    fn expire(&mut self, now: Instant) {
        let before = self.nodes.len();
        self.nodes.retain(|_, node| node.lease_ends > now);
        if self.nodes.len() < before {
            self.claims
                .retain(|_, claim| self.nodes.contains_key(&claim.node));
        }
    }
}
