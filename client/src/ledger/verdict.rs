//! What the ledger says in the end.

use std::fmt::{self, Display};
use std::ops::AddAssign;

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

    /// The verdict over two ledgers that know nothing of each other's rooms.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.counts += other.counts;
        self.violations.extend(other.violations);
        self.violations.truncate(TEXTS_MAX);
        self
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Figures of a run. A *delivery* is one entry for one reader. Beside what is counted in
        /// deliveries, a fault of the log itself, which all readers see alike, is counted once.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts! {
    /// Messages published.
    sent,
    /// Messages acked.
    acked,
    /// Messages that a node refused for good. They must be in no log.
    refused,
    /// Messages published and never acked nor refused, and in no log that was read.
    unknown,
    /// Messages published and never acked, but in the log.
    unacked_in_log,
    /// Entries read, over all readers, whatever they were.
    read,
    /// Deliveries there should be: for each reader the entries of the log after its start, up to
    /// where it left or the head, without those of the gaps it was told of. It is the sum of
    /// `delivered`, `lost`, and those of `corrupted` that stand where an entry should.
    expected,
    /// Deliveries there were, each entry counted once for each reader.
    delivered,
    /// Gaps that readers were told of.
    gaps,
    /// Epochs that were read, over all rooms.
    epochs,
    /// Messages acked in an epoch that is gone, and missing since: the loss was announced.
    lost_with_epoch,
    /// Messages in the log again in a later epoch, after their nonce was forgotten with the old one.
    again_in_later_epoch,
    /// Messages acked, but no reader who was joined met their place: nothing can be said of them.
    unjudged,
    /// Deliveries below what the ledger still knows, which it could not compare (see
    /// [`Ledger::settle`](super::Ledger::settle)). They count as delivered.
    unjudged_deliveries,
    /// Entries that were told to be damaged.
    damaged,

    /// Deliveries that were due and never came; the reader was not told. A message that all missed is
    /// lost at each of them. A violation, like all that follow.
    lost,
    /// Deliveries of what the reader had already, and messages that are in the log twice.
    duplicated,
    /// Deliveries after one that is later in the log, and messages that stand in the log behind a
    /// later one of their sender.
    reordered,
    /// Places a reader's count jumped over without being told. What was there is lost too.
    holes,
    /// Entries at a place the reader had passed already, by its own count. They are not counted as
    /// duplicated.
    repeated,
    /// Deliveries whose bytes are not those that most readers had at that place; entries that stand
    /// where the log has no place for them; messages acked at two places.
    disagreed,
    /// Deliveries of what was never published, or was refused.
    invented,
    /// Deliveries whose checksum was wrong.
    corrupted,
    /// Readers that did not reach the head of their room in the end. What they miss is lost too.
    behind,
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
            "sent {}, acked {}, refused {}, never acked {} ({} of them in the log), entries read {}",
            counts.sent,
            counts.acked,
            counts.refused,
            counts.unknown + counts.unacked_in_log,
            counts.unacked_in_log,
            counts.read
        )?;
        writeln!(
            out,
            "deliveries: {} expected, {} made, {} of them beyond judgement",
            counts.expected, counts.delivered, counts.unjudged_deliveries
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
        self.report_many(what, 1, room, at, text);
    }

    pub(super) fn report_many(
        &mut self,
        what: Violation,
        times: u64,
        room: &RoomName,
        at: Cursor,
        text: &str,
    ) {
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
        *count += times;
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
