//! Live nodes, what they registered, and the keys claimed through them: the calls of their scripts.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::SessionId;
use redis::Script;

use super::super::{Claim, Claimed, Lease, NodeId, ReadError, Registry, RegistryChanges};
use super::keys::Keys;
use super::link::Link;

/// Calls about the cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    keys: Keys,
}

impl Cluster {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys }
    }

    /// Renews a lease, and with `changes` writes the registry.
    pub(super) async fn write(
        &self,
        link: &Link,
        node: NodeId,
        lease: Duration,
        changes: Option<&RegistryChanges>,
        gossip: &[u8],
    ) -> Result<Lease, ReadError> {
        let kept: bool = link
            .call(async |mut connected| {
                let mut call = REGISTRY.prepare_invoke();
                call.key(self.keys.registry(node))
                    .key(self.keys.nodes())
                    .key(self.keys.claims());
                call.arg(node.to_string())
                    .arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1))
                    .arg(self.keys.gossip())
                    .arg(gossip);
                let Some(changes) = changes else {
                    call.arg("renew").arg(0).arg(0);
                    return call.invoke_async(&mut connected.connection).await;
                };
                call.arg(if changes.reset { "reset" } else { "write" })
                    .arg(changes.version)
                    .arg(changes.set.len());
                for (key, value) in &changes.set {
                    call.arg(field(key)).arg(&value[..]);
                }
                for key in &changes.remove {
                    call.arg(field(key));
                }
                call.invoke_async(&mut connected.connection).await
            })
            .await?;
        Ok(if kept { Lease::Kept } else { Lease::Lost })
    }

    pub(super) async fn read(
        &self,
        link: &Link,
        node: NodeId,
    ) -> Result<Option<Registry>, ReadError> {
        let mut call = redis::cmd("HGETALL");
        call.arg(self.keys.registry(node));
        let mut fields: HashMap<Vec<u8>, Vec<u8>> = link
            .call(async |mut connected| call.query_async(&mut connected.connection).await)
            .await?;
        let Some(version) = fields.remove(VERSION) else {
            return Ok(None);
        };
        let version = std::str::from_utf8(&version)
            .ok()
            .and_then(|version| version.parse().ok());
        let version =
            version.ok_or_else(|| ReadError("a registry without a version".to_owned()))?;
        let entries = fields.into_iter().filter_map(|(field, value)| {
            let key = Bytes::from(field);
            key.starts_with(ENTRY)
                .then(|| (key.slice(ENTRY.len()..), Bytes::from(value)))
        });
        Ok(Some(Registry {
            version,
            entries: entries.collect(),
        }))
    }

    pub(super) async fn live(&self, link: &Link) -> Result<Vec<NodeId>, ReadError> {
        let live: Vec<String> = link
            .call(async |mut connected| {
                NODES
                    .key(self.keys.nodes())
                    .invoke_async(&mut connected.connection)
                    .await
            })
            .await?;
        let node = |text: &String| u64::from_str_radix(text, 16).ok().map(NodeId);
        let nodes: Vec<NodeId> = live.iter().filter_map(node).collect();
        if nodes.is_empty() {
            return Ok(nodes);
        }
        // The registry's key is the lease: it may have been lost alone.
        let mut calls = redis::pipe();
        for node in &nodes {
            calls.cmd("EXISTS").arg(self.keys.registry(*node));
        }
        let exist: Vec<bool> = link
            .call(async |mut connected| calls.query_async(&mut connected.connection).await)
            .await?;
        Ok(nodes
            .into_iter()
            .zip(exist)
            .filter_map(|(node, exists)| exists.then_some(node))
            .collect())
    }

    pub(super) async fn resign(
        &self,
        link: &Link,
        node: NodeId,
        gossip: &[u8],
    ) -> Result<(), ReadError> {
        link.call(async |mut connected| {
            let mut call = RESIGN.prepare_invoke();
            call.key(self.keys.registry(node)).key(self.keys.nodes());
            call.arg(node.to_string())
                .arg(self.keys.gossip())
                .arg(gossip);
            call.invoke_async::<()>(&mut connected.connection).await
        })
        .await?;
        Ok(())
    }

    pub(super) async fn claim(
        &self,
        link: &Link,
        key: &str,
        claim: Claim,
    ) -> Result<Claimed, ReadError> {
        let claimed = self.claim_all(link, "move", &[(key, claim)]).await?;
        claimed.first().copied().ok_or_else(missing_answer)
    }

    pub(super) async fn claim_again(
        &self,
        link: &Link,
        claims: &[(String, Claim)],
    ) -> Result<Vec<Claimed>, ReadError> {
        let claims: Vec<_> = claims
            .iter()
            .map(|(key, claim)| (key.as_str(), *claim))
            .collect();
        self.claim_all(link, "stay", &claims).await
    }

    /// Claims keys; the script says what an action is.
    async fn claim_all(
        &self,
        link: &Link,
        action: &str,
        claims: &[(&str, Claim)],
    ) -> Result<Vec<Claimed>, ReadError> {
        let answers: Vec<String> = link
            .call(async |mut connected| {
                let mut call = CLAIM.prepare_invoke();
                call.key(self.keys.claims()).key(self.keys.nodes());
                call.arg(action);
                for (key, claim) in claims {
                    call.arg(key).arg(text(*claim));
                }
                call.invoke_async(&mut connected.connection).await
            })
            .await?;
        if answers.len() != claims.len() {
            return Err(missing_answer());
        }
        answers.iter().map(|answer| read_claimed(answer)).collect()
    }

    pub(super) async fn release(
        &self,
        link: &Link,
        key: &str,
        claim: Claim,
    ) -> Result<(), ReadError> {
        link.call(async |mut connected| {
            let mut call = RELEASE.prepare_invoke();
            call.key(self.keys.claims()).arg(key).arg(text(claim));
            call.invoke_async::<()>(&mut connected.connection).await
        })
        .await?;
        Ok(())
    }

    pub(super) async fn secret(
        &self,
        link: &Link,
        proposal: [u8; 32],
    ) -> Result<[u8; 32], ReadError> {
        let mut calls = redis::pipe();
        calls.atomic();
        calls
            .cmd("SETNX")
            .arg(self.keys.secret())
            .arg(&proposal[..])
            .ignore();
        calls.cmd("GET").arg(self.keys.secret());
        let (secret,): (Vec<u8>,) = link
            .call(async |mut connected| calls.query_async(&mut connected.connection).await)
            .await?;
        let wrong = |secret: Vec<u8>| ReadError(format!("a secret of {} bytes", secret.len()));
        secret.try_into().map_err(wrong)
    }
}

/// A claim as the claims have it: node and session in 16 hex digits each.
fn text(claim: Claim) -> String {
    format!("{}{}", claim.node, claim.session)
}

/// What the script answers for a key.
fn read_claimed(answer: &str) -> Result<Claimed, ReadError> {
    if answer.is_empty() {
        return Ok(Claimed::Granted);
    }
    let claim = read_claim(answer).ok_or_else(|| ReadError("a claim of nobody".to_owned()))?;
    Ok(Claimed::Held(claim))
}

fn missing_answer() -> ReadError {
    ReadError("a claim without an answer".to_owned())
}

fn read_claim(text: &str) -> Option<Claim> {
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let (node, session) = (text.get(..16)?, text.get(16..32)?);
    Some(Claim {
        node: NodeId(number(node)?),
        session: SessionId(number(session)?),
    })
}

/// The field of an entry: never that of the version.
fn field(key: &[u8]) -> Vec<u8> {
    [ENTRY, key].concat()
}

const VERSION: &[u8] = b"v";

const ENTRY: &[u8] = b"e";

static REGISTRY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("registry.lua")));

static NODES: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("nodes.lua")));

static RESIGN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("resign.lua")));

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("claim.lua")));

static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));
