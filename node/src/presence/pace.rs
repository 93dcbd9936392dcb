//! What presence does when: writes, renews, compares and reads in turn, until it is dropped.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::Presence;
use super::view::Change;
use crate::backplane::Backplane;

/// What to do, and when: the pace of presence.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Changes are gathered for so long before they are written.
    pub tick: Duration,
    /// The lease is renewed so often.
    pub renew: Duration,
    /// Leases are compared so often.
    pub compare: Duration,
    /// Leases are compared so often while one may have ended.
    pub doubt: Duration,
}

impl Pace {
    /// The pace that suits a lease.
    #[must_use]
    pub fn of(lease: Duration) -> Self {
        Self {
            tick: Duration::from_millis(100),
            renew: (lease / 4).min(RENEW_MAX),
            compare: (lease / 5).min(COMPARE_MAX),
            doubt: Duration::from_millis(250),
        }
    }
}

/// Keeps presence going until dropped; `tell` gets what people here should be told. Cancel safe:
/// what was not written is written by the next run.
pub async fn keep(presence: &Presence, backplane: &dyn Backplane, tell: impl Fn(Vec<Change>)) {
    let pace = Pace::of(presence.lease);
    let watch = async {
        loop {
            presence.on_running();
            tokio::time::sleep(RUNNING_EVERY).await;
        }
    };
    // In this order: after a stop, first that it was one.
    tokio::join!(watch, take_turns(presence, backplane, tell, pace));
}

async fn take_turns(
    presence: &Presence,
    backplane: &dyn Backplane,
    tell: impl Fn(Vec<Change>),
    pace: Pace,
) {
    let mut renew_at = Instant::now();
    let mut compared_at = None;
    loop {
        let outcome = async {
            presence.write(backplane).await?;
            if Instant::now() >= renew_at {
                presence.renew(backplane).await?;
                renew_at = Instant::now() + pace.renew;
            }
            let compare_at = presence.compare_at(compared_at, pace);
            if compare_at.is_none_or(|at| Instant::now() >= at) {
                presence.compare(backplane, &tell).await?;
                compared_at = Some(Instant::now());
            }
            presence.read_stale(backplane, &tell).await
        }
        .await;
        if let Err(error) = outcome {
            debug!(%error, "presence waits");
            tokio::time::sleep(pace.tick * 5).await;
        }
        tokio::time::sleep(pace.tick).await;
        let compare_at = presence.compare_at(compared_at, pace);
        let next_at = compare_at.map_or(renew_at, |at| at.min(renew_at));
        tokio::select! {
            () = presence.changed() => {}
            () = tokio::time::sleep_until(next_at) => {}
        }
    }
}

/// A heartbeat is what shows that gossip was lost, so this bounds how long a lost word stays unknown.
/// It costs the backplane one short script call a second of each node, and each node one message of
/// some 50 bytes a second of each other.
const RENEW_MAX: Duration = Duration::from_secs(1);

/// Nodes that are not heard are found by comparing: two calls.
const COMPARE_MAX: Duration = Duration::from_secs(3);

/// Often enough that a busy machine is not taken for a stop of half a lease.
const RUNNING_EVERY: Duration = Duration::from_millis(250);
