//! Counts what came from the backplane and was damaged or foreign, and says so now and then.
//!
//! Anybody who can write to the backplane can make a node meet any amount of it: each is counted,
//! and the log gets a line at most every 10 s. It owns no room and decides nothing.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// What was met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Damage {
    /// An announcement or a gossip that no node of this chat made.
    Announcement,
    /// An entry of a stream that is no block of this chat.
    Block,
    /// An entry of a block that its room may not have. Readers get a visible hole in its place.
    Entry,
}

/// Counts `count` of a kind, and warns unless that was done a moment ago.
pub fn note(damage: Damage, count: u64, at: impl Display, why: impl Display) {
    if count == 0 {
        return;
    }
    let now = Instant::now();
    let told = LEDGER
        .lock()
        // Nothing that panics half-way leaves it in a wrong state.
        .unwrap_or_else(PoisonError::into_inner)
        .note(count, now);
    if let Some(Told { total, unsaid }) = told {
        let what = match damage {
            Damage::Announcement => "an announcement that no node of this chat made is ignored",
            Damage::Block => "entries of a log that no node of this chat made are skipped",
            Damage::Entry => "damaged entries of a log are replaced by visible holes",
        };
        warn!(%at, %why, unsaid, total, "{what}");
    }
}

/// All that was met since the process started.
#[must_use]
pub fn total() -> u64 {
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner).total
}

static LEDGER: Mutex<Ledger> = Mutex::new(Ledger {
    total: 0,
    unsaid: 0,
    told_at: None,
});

/// How many, and when that was said last. Pure.
#[derive(Debug)]
struct Ledger {
    total: u64,
    /// Counted since the last line.
    unsaid: u64,
    told_at: Option<Instant>,
}

/// What a line says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Told {
    total: u64,
    /// Counted since the last line.
    unsaid: u64,
}

impl Ledger {
    fn note(&mut self, count: u64, now: Instant) -> Option<Told> {
        self.total = self.total.saturating_add(count);
        self.unsaid = self.unsaid.saturating_add(count);
        let is_due = self
            .told_at
            .is_none_or(|told_at| now.duration_since(told_at) >= TOLD_EVERY);
        is_due.then(|| {
            self.told_at = Some(now);
            Told {
                total: self.total,
                unsaid: std::mem::take(&mut self.unsaid),
            }
        })
    }
}

/// Often enough to be seen while it happens, seldom enough not to fill a disk.
const TOLD_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_said_now_and_then() {
        let mut ledger = Ledger {
            total: 0,
            unsaid: 0,
            told_at: None,
        };
        let start = Instant::now();
        let lines: Vec<Told> = (0..30_000)
            .filter_map(|millisecond| ledger.note(2, start + Duration::from_millis(millisecond)))
            .collect();
        let line = |total, unsaid| Told { total, unsaid };
        assert_eq!(
            lines,
            [line(2, 2), line(20_002, 20_000), line(40_002, 20_000)]
        );
        assert_eq!(ledger.total, 60_000);
        let later = start + Duration::from_secs(60);
        assert_eq!(ledger.note(1, later), Some(line(60_001, 19_999)));
        assert_eq!(ledger.note(u64::MAX, later), None);
        assert_eq!(ledger.total, u64::MAX);
    }

    #[test]
    fn nothing_is_no_damage() {
        let before = total();
        note(Damage::Block, 0, "lobby", "nothing");
        assert_eq!(total(), before);
        note(Damage::Block, 3, "lobby", "this test");
        assert_eq!(total(), before + 3);
    }
}
