//! What the ledger says in the end.

use std::fmt::{self, Display};

use chat_protocol::{Cursor, RoomName};

/// What was counted, and what was found wrong.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// The figures.
    pub counts: Counts,
    /// The first of the violations, each in words.
    pub violations: Vec<String>,
}

impl Verdict {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.counts.violations() == 0
    }
}

/// Figures of a run. Every field counts messages unless it says otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Published.
    pub sent: u64,
    /// Acked.
    pub acked: u64,
    /// Published and never acked, and in no log that was read.
    pub unknown: u64,
    /// Published and never acked, but in the log.
    pub unacked_in_log: u64,
    /// Entries read, over all readers.
    pub read: u64,
    /// Gaps that readers were told of.
    pub gaps: u64,
    /// Epochs that were read, over all rooms.
    pub epochs: u64,
    /// Acked in an epoch that is gone, and missing since: the loss was announced.
    pub lost_with_epoch: u64,
    /// In the log again in a later epoch, after its nonce was forgotten with the old one.
    pub again_in_later_epoch: u64,
    /// Acked, but no reader who was joined met its place: nothing can be said of it.
    pub unjudged: u64,
    /// Entries that were told to be damaged.
    pub damaged: u64,

    /// Acked, and not where the ack said. A violation, like all that follow.
    pub lost: u64,
    /// More than once in an epoch.
    pub duplicated: u64,
    /// Behind a later message of the same sender.
    pub reordered: u64,
    /// Entries a reader skipped without being told.
    pub holes: u64,
    /// Entries a reader got again.
    pub repeated: u64,
    /// Places where two readers, or a reader and an ack, did not agree.
    pub disagreed: u64,
    /// Read, but never published.
    pub invented: u64,
    /// Read with a wrong checksum.
    pub corrupted: u64,
    /// Readers that did not reach the head of their room in the end.
    pub behind: u64,
}

impl Counts {
    /// How often a promise was broken.
    #[must_use]
    pub const fn violations(&self) -> u64 {
        self.lost
            + self.duplicated
            + self.reordered
            + self.holes
            + self.repeated
            + self.disagreed
            + self.invented
            + self.corrupted
            + self.behind
    }
}

impl Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(
            out,
            "sent {}, acked {}, never acked {} ({} of them in the log), entries read {}",
            counts.sent,
            counts.acked,
            counts.unknown + counts.unacked_in_log,
            counts.unacked_in_log,
            counts.read
        )?;
        writeln!(
            out,
            "announced: {} gaps, {} epochs, {} lost with their epoch, {} again in a later epoch, \
             {} damaged",
            counts.gaps,
            counts.epochs,
            counts.lost_with_epoch,
            counts.again_in_later_epoch,
            counts.damaged
        )?;
        writeln!(out, "acked and met by no reader: {}", counts.unjudged)?;
        write!(
            out,
            "violations: {} (lost {}, duplicated {}, reordered {}, holes {}, repeated {}, \
             disagreed {}, invented {}, corrupted {}, behind {})",
            counts.violations(),
            counts.lost,
            counts.duplicated,
            counts.reordered,
            counts.holes,
            counts.repeated,
            counts.disagreed,
            counts.invented,
            counts.corrupted,
            counts.behind
        )?;
        for violation in &self.violations {
            write!(out, "\n  {violation}")?;
        }
        Ok(())
    }
}

/// A broken promise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Violation {
    Lost,
    Duplicated,
    Reordered,
    Hole,
    Repeated,
    Disagreed,
    Invented,
    Corrupted,
    Behind,
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) counts: Counts,
    texts: Vec<String>,
}

impl Findings {
    pub(super) fn report(&mut self, what: Violation, room: &RoomName, at: Cursor, text: &str) {
        let counts = &mut self.counts;
        let count = match what {
            Violation::Lost => &mut counts.lost,
            Violation::Duplicated => &mut counts.duplicated,
            Violation::Reordered => &mut counts.reordered,
            Violation::Hole => &mut counts.holes,
            Violation::Repeated => &mut counts.repeated,
            Violation::Disagreed => &mut counts.disagreed,
            Violation::Invented => &mut counts.invented,
            Violation::Corrupted => &mut counts.corrupted,
            Violation::Behind => &mut counts.behind,
        };
        *count += 1;
        if self.texts.len() < TEXTS_MAX {
            self.texts
                .push(format!("{what:?} in #{room} at {at}: {text}"));
        }
    }

    pub(super) fn into_verdict(self) -> Verdict {
        Verdict {
            counts: self.counts,
            violations: self.texts,
        }
    }
}

/// Violations that are told in words: more say nothing new.
const TEXTS_MAX: usize = 20;
