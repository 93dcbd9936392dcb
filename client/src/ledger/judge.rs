//! The judgement over what the ledger holds, once nothing more will come.

use std::collections::HashMap;

use chat_protocol::{Cursor, Epoch, RoomName, Seq};

use super::verdict::{Findings, Verdict, Violation};
use super::{Ledger, RoomLedger, Stamp};

impl Ledger {
    /// Judges. Every message must have been settled or given up, and every reader must have had the
    /// time to reach the head.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let mut findings = self.findings.clone();
        for (room, ledger) in &self.rooms {
            ledger.judge(room, &mut findings);
        }
        findings.into_verdict()
    }
}

impl RoomLedger {
    fn judge(&self, room: &RoomName, findings: &mut Findings) {
        findings.counts.epochs += self.epochs.len() as u64;
        let places = self.places();
        self.judge_acks(room, &places, findings);
        self.judge_repeats(room, &places, findings);
        self.judge_order(room, findings);
        self.judge_seams(room, findings);
        self.judge_ends(room, findings);
    }

    /// Where each message was read.
    fn places(&self) -> HashMap<Stamp, Vec<Cursor>> {
        let mut places: HashMap<Stamp, Vec<Cursor>> = HashMap::new();
        for (epoch, entries) in &self.epochs {
            for (seq, found) in entries {
                if let Some(stamp) = found.stamp {
                    places
                        .entry(stamp)
                        .or_default()
                        .push(Cursor::new(*epoch, *seq));
                }
            }
        }
        places
    }

    fn judge_acks(
        &self,
        room: &RoomName,
        places: &HashMap<Stamp, Vec<Cursor>>,
        findings: &mut Findings,
    ) {
        let last_epoch = self.head.or(self.last_acked).map(|cursor| cursor.epoch);
        for (stamp, acked) in &self.sent {
            let is_read = places.contains_key(stamp);
            let Some(acked) = acked else {
                let counts = &mut findings.counts;
                counts.unacked_in_log += u64::from(is_read);
                counts.unknown += u64::from(!is_read);
                continue;
            };
            match self.found(*acked) {
                Some(found) if found == Some(*stamp) => {}
                Some(found) => {
                    let text = format!("{stamp} was acked here, and {found:?} is");
                    findings.report(Violation::Lost, room, *acked, &text);
                }
                None if is_read => {}
                None if Some(acked.epoch) != last_epoch => findings.counts.lost_with_epoch += 1,
                None => findings.counts.unjudged += 1,
            }
        }
    }

    fn judge_repeats(
        &self,
        room: &RoomName,
        places: &HashMap<Stamp, Vec<Cursor>>,
        findings: &mut Findings,
    ) {
        for (stamp, cursors) in places {
            let mut seqs: Vec<Seq> = cursors.iter().map(|cursor| cursor.seq).collect();
            seqs.sort_unstable();
            seqs.dedup();
            if seqs.len() < 2 {
                continue;
            }
            let native: Vec<&Cursor> = cursors
                .iter()
                .filter(|cursor| !self.is_inherited(**cursor, *stamp))
                .collect();
            let is_twice = native.iter().any(|one| {
                native
                    .iter()
                    .any(|other| one.epoch == other.epoch && one.seq != other.seq)
            });
            if is_twice {
                let text = format!("{stamp} is at {cursors:?}");
                findings.report(Violation::Duplicated, room, *native[0], &text);
            } else {
                findings.counts.again_in_later_epoch += 1;
            }
        }
    }

    fn judge_order(&self, room: &RoomName, findings: &mut Findings) {
        for (epoch, entries) in &self.epochs {
            let mut last: HashMap<u64, u64> = HashMap::new();
            for (seq, found) in entries {
                let cursor = Cursor::new(*epoch, *seq);
                let Some(stamp) = found.stamp else { continue };
                if self.is_inherited(cursor, stamp) {
                    continue;
                }
                let before = last.insert(stamp.sender, stamp.counter);
                // The same again is a duplicate, which is reported as such.
                if let Some(before) = before.filter(|before| *before > stamp.counter) {
                    let text = format!("{stamp} comes after the sender's {before}");
                    findings.report(Violation::Reordered, room, cursor, &text);
                }
            }
        }
    }

    /// Up to a seam the later epoch holds what the earlier one did.
    fn judge_seams(&self, room: &RoomName, findings: &mut Findings) {
        for (&(from, to), &last) in &self.seams {
            let (Some(before), Some(after)) = (self.epochs.get(&from), self.epochs.get(&to)) else {
                continue;
            };
            for (seq, found) in before.range(..=last) {
                if after.get(seq).is_some_and(|other| other != found) {
                    let text = format!("{found:?} in the epoch before, {:?} here", after.get(seq));
                    findings.report(Violation::Disagreed, room, Cursor::new(to, *seq), &text);
                }
            }
        }
    }

    /// Every reader that is still there is where the log is.
    fn judge_ends(&self, room: &RoomName, findings: &mut Findings) {
        let Some(head) = self.head.or(self.last_acked) else {
            return;
        };
        for (reader, cursor) in &self.readers {
            if cursor.epoch != head.epoch || cursor.seq < head.seq {
                let text = format!("{reader:?} ended at {cursor}");
                findings.report(Violation::Behind, room, head, &text);
            }
        }
    }

    /// The stamp that was read at a place; `None` when nobody read there.
    fn found(&self, cursor: Cursor) -> Option<Option<Stamp>> {
        let found = self.epochs.get(&cursor.epoch)?.get(&cursor.seq)?;
        Some(found.stamp)
    }

    /// Whether an entry was first written in another epoch than the one it was read in: an epoch
    /// keeps what the one before it held up to its fork, at the same places.
    fn is_inherited(&self, cursor: Cursor, stamp: Stamp) -> bool {
        let is_elsewhere = |epoch: &Epoch| {
            *epoch != cursor.epoch
                && self.found(Cursor::new(*epoch, cursor.seq)) == Some(Some(stamp))
        };
        let acked = self.sent.get(&stamp).copied().flatten();
        self.epochs.keys().any(is_elsewhere)
            || acked.is_some_and(|acked| acked.seq == cursor.seq && acked.epoch != cursor.epoch)
    }
}
