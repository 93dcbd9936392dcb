//! The names this node holds in the cluster for its sessions.
//!
//! A name is given back when its session ends; while the backplane is away that waits here. Claims
//! and releases of one name on this node never overtake each other. When the node has registered
//! anew, the names of its sessions are claimed again: the claims may be lost with the registration.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_protocol::{SessionId, UserName};
use tokio::sync;
use tracing::warn;

use crate::backplane::{Backplane, Claim, Claimed, NodeId, ReadError};
use crate::names;

/// Names held for sessions.
#[derive(Debug)]
pub(super) struct Claims {
    node: NodeId,
    /// Names to give back, by key.
    releases: Mutex<HashMap<String, SessionId>>,
    order: [sync::Mutex<()>; STRIPES],
    hasher: RandomState,
}

impl Claims {
    /// No names yet.
    #[must_use]
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            releases: Mutex::default(),
            order: std::array::from_fn(|_| sync::Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// Claims exactly this name for a session. False when somebody else has it, or one that looks
    /// like it.
    ///
    /// # Errors
    /// When the backplane does not answer.
    pub(super) async fn claim(
        &self,
        backplane: &dyn Backplane,
        name: &UserName,
        session: SessionId,
    ) -> Result<bool, ReadError> {
        let key = names::key(name.as_str());
        let _turn = self.turn(&key).lock().await;
        let is_granted = backplane.claim(&key, self.claim_of(session)).await? == Claimed::Granted;
        if is_granted {
            self.releases().remove(&key);
        }
        Ok(is_granted)
    }

    /// Claims names again that were claimed before, when the backplane may have forgotten it. Takes
    /// out of `names` what is settled; what is left is to be tried again: what was not answered, and
    /// names that the same session holds by another node, until it is clear which one it is on.
    /// `is_named` says whether a session still has a name. A name that another session got
    /// meanwhile is its own: the one here goes on under it, and never asks again.
    ///
    /// # Errors
    /// When the backplane does not answer.
    pub(super) async fn claim_again(
        &self,
        backplane: &dyn Backplane,
        names: &mut Vec<(SessionId, UserName)>,
        is_named: impl Fn(SessionId, &UserName) -> bool,
    ) -> Result<(), ReadError> {
        let mut stripes: [Vec<(SessionId, UserName)>; STRIPES] =
            std::array::from_fn(|_| Vec::new());
        for (session, name) in names.drain(..) {
            stripes[self.stripe(&names::key(name.as_str()))].push((session, name));
        }
        let (mut lost, mut outcome) = (0, Ok(()));
        for (stripe, mut waiting) in stripes.into_iter().enumerate() {
            while outcome.is_ok() && !waiting.is_empty() {
                let batch = waiting.split_off(waiting.len().saturating_sub(BATCH_MAX));
                // Who gives a name back from here on does it after this.
                let _turn = self.order[stripe].lock().await;
                let batch: Vec<_> = batch
                    .into_iter()
                    .filter(|(session, name)| is_named(*session, name))
                    .collect();
                let claims: Vec<_> = batch
                    .iter()
                    .map(|(session, name)| (names::key(name.as_str()), self.claim_of(*session)))
                    .collect();
                match backplane.claim_again(&claims).await {
                    Ok(claimed) => {
                        for ((session, name), claimed) in batch.into_iter().zip(claimed) {
                            match claimed {
                                Claimed::Granted => {}
                                Claimed::Held(by) if by.session == session => {
                                    names.push((session, name));
                                }
                                Claimed::Held(_) => lost += 1,
                            }
                        }
                    }
                    Err(error) => {
                        names.extend(batch);
                        outcome = Err(error);
                    }
                }
            }
            names.append(&mut waiting);
        }
        if lost > 0 {
            warn!(
                sessions = lost,
                "others got names of sessions here while the backplane had forgotten the claims"
            );
        }
        outcome
    }

    /// Notes that a session gives its name back; [`release`](Self::release) does it.
    pub(super) fn drop_later(&self, name: &UserName, session: SessionId) {
        self.releases().insert(names::key(name.as_str()), session);
    }

    /// Gives back what was noted. What fails is tried again by the next call.
    ///
    /// # Errors
    /// When the backplane does not answer.
    pub(super) async fn release(&self, backplane: &dyn Backplane) -> Result<(), ReadError> {
        let keys: Vec<String> = self.releases().keys().cloned().collect();
        for key in keys {
            let _turn = self.turn(&key).lock().await;
            let Some(session) = self.releases().get(&key).copied() else {
                continue;
            };
            backplane.release(&key, self.claim_of(session)).await?;
            self.releases().remove(&key);
        }
        Ok(())
    }

    fn turn(&self, key: &str) -> &sync::Mutex<()> {
        &self.order[self.stripe(key)]
    }

    fn stripe(&self, key: &str) -> usize {
        let stripe = self.hasher.hash_one(key) % STRIPES as u64;
        usize::try_from(stripe).unwrap_or_default()
    }

    fn claim_of(&self, session: SessionId) -> Claim {
        Claim {
            node: self.node,
            session,
        }
    }

    fn releases(&self) -> MutexGuard<'_, HashMap<String, SessionId>> {
        // No code that can panic runs under this lock.
        self.releases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names are told apart well enough that claims seldom wait for each other.
const STRIPES: usize = 64;

/// Names claimed again by one call: Redis does nothing else meanwhile.
const BATCH_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::backplane::RegistryChanges;
    use crate::backplane::memory::Memory;

    const HERE: NodeId = NodeId(1);
    const THERE: NodeId = NodeId(2);

    async fn cluster() -> std::sync::Arc<dyn Backplane> {
        let backplane = Memory::new().attach().backplane;
        for node in [HERE, THERE] {
            register(&*backplane, node).await;
        }
        backplane
    }

    async fn register(backplane: &dyn Backplane, node: NodeId) {
        let changes = RegistryChanges {
            reset: true,
            ..RegistryChanges::default()
        };
        let lease = Duration::from_secs(60);
        let written = backplane.write_registry(node, lease, &changes, Bytes::new());
        written.await.unwrap();
    }

    fn name(number: u64) -> UserName {
        format!("user{number}x").parse().unwrap()
    }

    #[tokio::test]
    async fn forgotten_names_are_claimed_again_and_lost_ones_left_to_their_new_sessions() {
        let (backplane, claims) = (cluster().await, Claims::new(HERE));
        let rivals = Claims::new(THERE);
        let len = BATCH_MAX as u64 * STRIPES as u64 / 32;
        let sessions: Vec<_> = (0..len).map(|id| (SessionId(id), name(id))).collect();
        for (session, name) in &sessions {
            assert!(claims.claim(&*backplane, name, *session).await.unwrap());
        }
        backplane.resign(HERE, Bytes::new()).await.unwrap();
        register(&*backplane, HERE).await;
        let rival = SessionId(u64::MAX);
        assert!(rivals.claim(&*backplane, &name(0), rival).await.unwrap());
        let moved = SessionId(1);
        assert!(rivals.claim(&*backplane, &name(1), moved).await.unwrap());
        let gone = SessionId(2);
        let is_named = |session, _: &UserName| session != gone;
        let mut names = sessions.clone();
        claims
            .claim_again(&*backplane, &mut names, is_named)
            .await
            .unwrap();
        assert_eq!(names, [(moved, name(1))], "it is not clear where she is");
        let mut free = HashSet::new();
        for (session, name) in &sessions {
            if rivals.claim(&*backplane, name, rival).await.unwrap() {
                free.insert(*session);
            }
        }
        assert_eq!(free, HashSet::from([SessionId(0), gone]));
        // She is here after all.
        rivals.drop_later(&name(1), moved);
        rivals.release(&*backplane).await.unwrap();
        claims
            .claim_again(&*backplane, &mut names, is_named)
            .await
            .unwrap();
        assert_eq!(names, []);
        assert!(!rivals.claim(&*backplane, &name(1), rival).await.unwrap());
    }
}
