//! The judgement over the log itself, as acks and readers made it known.
//!
//! A room that has one epoch is judged place by place, and each place is forgotten then. A room with
//! several is judged as a whole, since each of them says something about the others.

use std::collections::HashMap;

use chat_protocol::{Cursor, Epoch, RoomName, Seq};

use super::book::{Book, Message};
use super::reader::Bench;
use super::room::RoomLedger;
use super::verdict::{Findings, Verdict, Violation};
use super::{Ledger, Stamp};

impl Ledger {
    /// Judges. Every message must have been settled or given up, and every reader must have had the
    /// time to reach the head. Takes time and memory for all that is held.
    #[must_use]
    pub fn judge(&self) -> Verdict {
        let mut findings = self.findings.clone();
        for (room, ledger) in &self.rooms {
            ledger.clone().finish(room, &mut findings, self.settles);
        }
        findings.into_verdict()
    }
}

impl RoomLedger {
    /// Judges all that is left.
    fn finish(&mut self, room: &RoomName, findings: &mut Findings, settles: u32) {
        self.drain(room, findings, settles, true);
        for (id, reader) in &mut self.readers {
            let mut bench = Bench {
                reader: *id,
                room,
                book: &mut self.book,
                findings,
                settles,
                is_final: true,
            };
            reader.line.finish(reader.at, &mut bench);
        }
        self.judge_book(room, findings);
        self.book.judge_unacked(findings);
    }

    /// Judges the log as it is known.
    pub(super) fn judge_book(&mut self, room: &RoomName, findings: &mut Findings) {
        let book = &mut self.book;
        for log in book.epochs.values_mut() {
            let is_new = log.is_read && !log.is_counted;
            log.is_counted |= log.is_read;
            findings.counts.epochs += u64::from(is_new);
        }
        let only = book.only_epoch();
        match only {
            Some(epoch) => {
                let last = book.log(epoch).last();
                self.fold(epoch, last, room, findings);
            }
            None => book.judge_epochs(room, findings),
        }
    }
}

impl Book {
    /// The epoch, when the room never had another.
    fn only_epoch(&self) -> Option<Epoch> {
        let mut epochs = self.epochs.keys();
        let (only, None) = (*epochs.next()?, epochs.next()) else {
            return None;
        };
        let is_head = self.head.is_none_or(|head| head.epoch == only);
        is_head.then_some(only)
    }

    /// Judges a place and forgets it, or keeps it as long as somebody may be given late what is
    /// there.
    pub(super) fn fold(
        &mut self,
        at: Cursor,
        is_kept: bool,
        room: &RoomName,
        findings: &mut Findings,
    ) {
        let log = self.log(at.epoch);
        let Some(slot) = log.slot(at.seq.0).copied() else {
            return;
        };
        let found = log.stamp(at.seq);
        if let Some(known) = log.known_mut(at.seq.0) {
            known.is_kept = is_kept;
        }
        if let Some(stamp) = found.flatten()
            && !slot.is_kept
        {
            self.fold_read(stamp, at, room, findings);
        }
        if is_kept {
            return self.kept.push(at.seq.0);
        }
        self.judge_votes(at, room, findings);
        self.log(at.epoch).forget(at.seq.0);
        let Some(acked) = slot.acked else { return };
        let is_read = self.messages.get(&acked).is_some_and(Message::is_read);
        match found {
            Some(found) if found == Some(acked) => {}
            _ if slot.is_missed => {}
            Some(found) => {
                let text = format!("{acked} was acked here, and {found:?} is");
                findings.report(Violation::Lost, room, at, &text);
            }
            None if is_read => {}
            None => findings.counts.unjudged += 1,
        }
        self.settle(acked);
    }

    /// A message is in the log here: for the first time, and behind those that its sender sent
    /// before.
    fn fold_read(&mut self, stamp: Stamp, at: Cursor, room: &RoomName, findings: &mut Findings) {
        let before = match self.messages.get_mut(&stamp) {
            Some(message) => message.folded.replace(at).map(Some),
            None => self.is_settled(stamp).then_some(None),
        };
        if let Some(before) = before {
            let text = format!("{stamp} was in the log before: {before:?}");
            return findings.report(Violation::Duplicated, room, at, &text);
        }
        let last = &mut self.log(at.epoch).last_counters;
        let before = last.insert(stamp.sender, stamp.counter);
        if let Some(before) = before.filter(|before| *before > stamp.counter) {
            let text = format!("{stamp} comes after the sender's {before}");
            findings.report(Violation::Reordered, room, at, &text);
        }
    }

    /// Readers found the same at a place.
    fn judge_votes(&self, at: Cursor, room: &RoomName, findings: &mut Findings) {
        let Some(log) = self.epochs.get(&at.epoch) else {
            return;
        };
        for (found, readers) in log.minority(at.seq.0) {
            let most = log.found(at.seq.0);
            let text = format!("{readers} of the readers found {found:?}, more found {most:?}");
            findings.report_many(Violation::Disagreed, u64::from(readers), room, at, &text);
        }
    }

    /// What became of messages that were never acked.
    fn judge_unacked(&self, findings: &mut Findings) {
        let places = self.places();
        for (stamp, message) in &self.messages {
            if message.acked.is_none() {
                let is_read = message.is_read() || places.contains_key(stamp);
                findings.counts.unacked_in_log += u64::from(is_read);
                findings.counts.unknown += u64::from(!is_read);
            }
        }
    }

    fn judge_epochs(&self, room: &RoomName, findings: &mut Findings) {
        let places = self.places();
        for (epoch, log) in &self.epochs {
            for place in log.places() {
                self.judge_votes(Cursor::new(*epoch, Seq(place)), room, findings);
            }
        }
        self.judge_acks(room, &places, findings);
        self.judge_repeats(room, &places, findings);
        self.judge_order(room, findings);
        self.judge_seams(room, findings);
    }

    /// Where each message was read.
    fn places(&self) -> HashMap<Stamp, Vec<Cursor>> {
        let mut places: HashMap<Stamp, Vec<Cursor>> = HashMap::new();
        for (epoch, log) in &self.epochs {
            for place in log.places() {
                let cursor = Cursor::new(*epoch, Seq(place));
                if let Some(Some(stamp)) = log.stamp(cursor.seq) {
                    places.entry(stamp).or_default().push(cursor);
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
        let last_epoch = self.end().map(|cursor| cursor.epoch);
        for (stamp, message) in &self.messages {
            let is_read = message.is_read() || places.contains_key(stamp);
            let Some(acked) = message.acked else {
                continue;
            };
            let log = self.epochs.get(&acked.epoch);
            let slot = log.and_then(|log| log.slot(acked.seq.0));
            match self.found(acked) {
                Some(found) if found == Some(*stamp) => {}
                // That was counted at each reader who missed it.
                _ if slot.is_some_and(|slot| slot.is_missed) => {}
                Some(found) => {
                    let text = format!("{stamp} was acked here, and {found:?} is");
                    findings.report(Violation::Lost, room, acked, &text);
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
        for (epoch, log) in &self.epochs {
            let mut last = log.last_counters.clone();
            for place in log.places() {
                let cursor = Cursor::new(*epoch, Seq(place));
                let Some(Some(stamp)) = log.stamp(cursor.seq) else {
                    continue;
                };
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
            for place in before.between(0, last.0.saturating_add(1)) {
                let (old, new) = (before.found(place), after.found(place));
                if old.is_some() && new.is_some() && old != new {
                    let text = format!("{old:?} in the epoch before, {new:?} here");
                    let cursor = Cursor::new(to, Seq(place));
                    findings.report(Violation::Disagreed, room, cursor, &text);
                }
            }
        }
    }

    /// The stamp that was read at a place; `None` when nobody read there.
    fn found(&self, cursor: Cursor) -> Option<Option<Stamp>> {
        self.epochs.get(&cursor.epoch)?.stamp(cursor.seq)
    }

    /// Whether an entry was first written in another epoch than the one it was read in: an epoch
    /// keeps what the one before it held up to its fork, at the same places.
    fn is_inherited(&self, cursor: Cursor, stamp: Stamp) -> bool {
        let is_elsewhere = |epoch: &Epoch| {
            *epoch != cursor.epoch
                && self.found(Cursor::new(*epoch, cursor.seq)) == Some(Some(stamp))
        };
        let message = self.messages.get(&stamp);
        let acked = message.and_then(|message| message.acked);
        self.epochs.keys().any(is_elsewhere)
            || acked.is_some_and(|acked| acked.seq == cursor.seq && acked.epoch != cursor.epoch)
    }

    /// Forgets all epochs, once they were judged: where everybody was is where the last one goes on.
    pub(super) fn forget_epochs(&mut self) {
        let stamps: Vec<Stamp> = self.places().into_keys().collect();
        let acked = self.messages.iter().filter(|(_, one)| one.acked.is_some());
        let acked: Vec<Stamp> = acked.map(|(stamp, _)| *stamp).collect();
        for stamp in acked {
            self.settle(stamp);
        }
        for stamp in stamps {
            if let Some(message) = self.messages.get_mut(&stamp) {
                message.folded = Some(Cursor::new(Epoch(0), Seq::ZERO));
            }
        }
        self.settled_in = None;
        self.seams.clear();
        let last = self.end().map(|cursor| cursor.epoch);
        self.epochs.retain(|epoch, _| Some(*epoch) == last);
        for log in self.epochs.values_mut() {
            log.forget_all();
        }
    }

    /// Forgets messages whose fate nobody will tell.
    pub(super) fn forget_given_up(&mut self, findings: &mut Findings) {
        let messages = self.messages.iter();
        let over = messages.filter(|(_, one)| one.acked.is_none() && one.is_given_up);
        let over: Vec<(Stamp, bool)> = over.map(|(stamp, one)| (*stamp, one.is_read())).collect();
        for (stamp, is_read) in over {
            findings.counts.unacked_in_log += u64::from(is_read);
            findings.counts.unknown += u64::from(!is_read);
            self.settle(stamp);
        }
    }
}
