//! The names this node holds in the cluster for its sessions.
//!
//! A name is given back when its session ends; while the backplane is away that waits here. Claims
//! and releases of one name on this node never overtake each other.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_protocol::{SessionId, UserName};
use tokio::sync;

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
        let claim = Claim {
            node: self.node,
            session,
        };
        let is_granted = backplane.claim(&key, claim).await? == Claimed::Granted;
        if is_granted {
            self.releases().remove(&key);
        }
        Ok(is_granted)
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
            backplane
                .release(
                    &key,
                    Claim {
                        node: self.node,
                        session,
                    },
                )
                .await?;
            self.releases().remove(&key);
        }
        Ok(())
    }

    fn turn(&self, key: &str) -> &sync::Mutex<()> {
        let stripe = self.hasher.hash_one(key) % STRIPES as u64;
        &self.order[usize::try_from(stripe).unwrap_or_default()]
    }

    fn releases(&self) -> MutexGuard<'_, HashMap<String, SessionId>> {
        // No code that can panic runs under this lock.
        self.releases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names are told apart well enough that claims seldom wait for each other.
const STRIPES: usize = 64;
