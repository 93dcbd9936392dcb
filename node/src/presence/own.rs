//! What this node has to write of itself, and of whom it may: when its process was stopped for so
//! long that its lease ended, others took its sessions for gone, and some of them may be. It then
//! writes only of sessions that are known to be alive since. Pure: time is an argument.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chat_protocol::SessionId;
use tokio::time::Instant;

use super::view::{Fact, FactKey};
use crate::backplane::Lease;

/// What this node has to write.
#[derive(Debug)]
pub(super) struct Own {
    /// Version of the registry as written.
    pub(super) version: u64,
    /// Changes since, by key; `None` removes.
    pub(super) changes: HashMap<FactKey, Option<Fact>>,
    /// Everything is to be written anew.
    pub(super) reset: bool,
    lease: Duration,
    /// When the last call was made that found the lease held.
    held_at: Option<Instant>,
    /// When the process ran last.
    ran_at: Option<Instant>,
    /// When it went on after it was stopped. None once the lease was found held after that.
    woke_at: Option<Instant>,
    /// Sessions from before it was stopped, of which nothing has come since.
    unproven: HashSet<SessionId>,
    /// These are not written.
    is_withholding: bool,
}

impl Own {
    /// Everything is to be written, and that is nothing yet.
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            version: 0,
            changes: HashMap::new(),
            reset: true,
            lease,
            held_at: None,
            ran_at: None,
            woke_at: None,
            unproven: HashSet::new(),
            is_withholding: false,
        }
    }

    /// The process runs. `sessions` are asked for when it was stopped for a time that counts.
    pub(super) fn on_running(
        &mut self,
        now: Instant,
        sessions: impl FnOnce() -> HashSet<SessionId>,
    ) {
        let was_stopped = self
            .ran_at
            .replace(now)
            .is_some_and(|before| now.duration_since(before) >= self.lease / 2);
        if was_stopped {
            self.woke_at = Some(now);
            self.unproven = sessions();
        }
    }

    /// A call that was made at `asked_at` found out about the lease. Returns how many sessions are
    /// withheld from now on, if that is new.
    pub(super) fn on_lease(
        &mut self,
        lease: Lease,
        asked_at: Instant,
        now: Instant,
    ) -> Option<usize> {
        if lease == Lease::Kept {
            self.held_at = Some(asked_at);
            let is_since = self.woke_at.is_some_and(|woke| asked_at >= woke);
            if is_since && !self.is_withholding {
                self.woke_at = None;
                self.unproven.clear();
            }
            return None;
        }
        self.reset = true;
        let held_at = self.held_at?;
        // Otherwise the backplane lost it early, and others still believe what this node says; or
        // it was away, and the connections of this node are what they seem.
        let was_stopped = self.woke_at.is_some_and(|woke| held_at < woke);
        if !was_stopped || now.duration_since(held_at) < self.lease || self.is_withholding {
            return None;
        }
        self.is_withholding = !self.unproven.is_empty();
        self.is_withholding.then_some(self.unproven.len())
    }

    /// A session is known to be alive. True when what is known of it is to be written again.
    #[must_use]
    pub(super) fn prove(&mut self, session: SessionId) -> bool {
        let was_withheld = self.unproven.remove(&session) && self.is_withholding;
        if self.unproven.is_empty() && self.is_withholding {
            self.is_withholding = false;
            self.woke_at = None;
        }
        was_withheld
    }

    /// Whether what is known of a session may be written.
    pub(super) fn may_write(&self, session: SessionId) -> bool {
        !(self.is_withholding && self.unproven.contains(&session))
    }

    /// Since when sessions are withheld.
    pub(super) fn withholding_since(&self) -> Option<Instant> {
        self.woke_at.filter(|_| self.is_withholding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);
    const ANN: SessionId = SessionId(1);
    const BO: SessionId = SessionId(2);

    /// A node with two sessions, which ran and held its lease at the given time.
    fn held(at: Instant) -> Own {
        let mut own = Own::new(LEASE);
        own.on_running(at, HashSet::new);
        own.on_lease(Lease::Kept, at, at);
        own
    }

    fn both() -> HashSet<SessionId> {
        HashSet::from([ANN, BO])
    }

    #[test]
    fn who_is_not_known_to_be_alive_is_withheld_after_a_stop() {
        let start = Instant::now();
        let (mut own, woke) = (held(start), start + LEASE * 2);
        own.on_running(woke, both);
        assert_eq!(own.on_lease(Lease::Lost, woke, woke), Some(2));
        assert!(own.reset);
        assert_eq!(own.withholding_since(), Some(woke));
        assert!(!own.may_write(ANN) && own.may_write(SessionId(3)));
        // Registered again, without the two.
        own.on_lease(Lease::Kept, woke, woke);
        assert!(own.prove(ANN) && !own.prove(ANN));
        assert!(own.may_write(ANN) && !own.may_write(BO));
        assert!(own.prove(BO));
        assert_eq!(own.withholding_since(), None);
    }

    #[test]
    fn who_came_back_before_the_loss_was_noticed_is_not_withheld() {
        let start = Instant::now();
        let (mut own, woke) = (held(start), start + LEASE * 2);
        own.on_running(woke, both);
        assert!(!own.prove(ANN), "nothing is withheld yet");
        assert_eq!(own.on_lease(Lease::Lost, woke, woke), Some(1));
        assert!(own.may_write(ANN) && !own.may_write(BO));
    }

    #[test]
    fn a_backplane_that_forgot_or_was_away_withholds_nobody() {
        let start = Instant::now();
        // It forgot.
        let mut own = held(start);
        let soon = start + LEASE / 15;
        own.on_running(soon, both);
        assert_eq!(own.on_lease(Lease::Lost, soon, soon), None);
        assert!(own.reset);
        // It was away, and the node ran all the time.
        let mut own = held(start);
        let mut now = start;
        while now < start + LEASE * 3 {
            now += LEASE / 15;
            own.on_running(now, both);
        }
        assert_eq!(own.on_lease(Lease::Lost, now, now), None);
        // The node was stopped, and the backplane forgot before its lease would have ended.
        let mut own = held(start);
        let woke = start + LEASE * 2 / 3;
        own.on_running(woke, both);
        assert_eq!(own.on_lease(Lease::Lost, woke, woke), None);
        assert!(own.may_write(ANN));
    }

    #[test]
    fn an_answer_from_before_the_stop_proves_nothing() {
        let start = Instant::now();
        let (mut own, woke) = (held(start), start + LEASE * 2);
        own.on_running(woke, both);
        own.on_lease(Lease::Kept, start, woke);
        assert_eq!(own.on_lease(Lease::Lost, woke, woke), Some(2));
        // The lease was held through a stop: the next loss says nothing of it.
        let mut own = held(start);
        let woke = start + LEASE / 2;
        own.on_running(woke, both);
        own.on_lease(Lease::Kept, woke, woke);
        let later = woke + LEASE * 2;
        own.on_running(woke + LEASE / 3, both);
        assert_eq!(own.on_lease(Lease::Lost, later, later), None);
    }
}
