//! One reader in one room: puts what it was given beside the log, entry for entry.
//!
//! Entries carry no seq, so a reader that misses one counts all later ones a place too low. Its count
//! is therefore only a hint. What stands for certain are *anchors*: messages whose ack told their
//! place. Between two anchors the log has so many places, and the reader was given so many entries
//! that have no place of their own (*floats*): what others wrote, what was never acked, what is
//! corrupted, repeated or invented. Laid beside each other they say what is missing and what is too
//! much, for this reader alone, and the next anchor starts afresh.
//!
//! In a room of several epochs places are those that readers count, as acks say less there.
//!
//! An entry whose ack may still come waits, and all behind it. What comes out depends on nothing but
//! what this reader was given and the acks, so it is the same whenever it is judged.
//!
//! What happens to messages that were acked is told exactly. A fault among entries without an ack is
//! always found, but may be called by another name: two of them swapped are not what others read there.

use std::collections::VecDeque;

use chat_protocol::{Cursor, Epoch, RoomName, Seq};

use super::book::{Book, Fate};
use super::verdict::{Findings, Violation};
use super::{Found, ReaderId};

mod interval;

use interval::Until;

/// A reader in a room.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    /// Where it is by its own count; `None` when it is not in the room.
    pub(super) at: Option<Cursor>,
    pub(super) line: Line,
    pub(super) pending: VecDeque<Item>,
}

/// Something a reader was told that was not judged yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    /// It starts after this place.
    Start(Cursor),
    Entry(Given),
    /// What is before this place cannot be had.
    Gap(Cursor),
    /// The log goes on in another epoch, after this place.
    Seam(Cursor),
    /// It leaves.
    End,
}

/// An entry that a reader was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    /// Its place by the reader's own count.
    pub(super) at: Seq,
    pub(super) found: Found,
    pub(super) kind: Kind,
    /// How often the ledger was settled before.
    pub(super) settles: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// As it should be.
    Whole,
    /// The same, but the reader was past the place by its own count: that was reported.
    Repeat,
    /// Its checksum was wrong: that was reported.
    Corrupted,
    /// Nobody sent it: that was reported.
    Invented,
    /// The reader had it before.
    Extra,
    /// The same, and it was past the place by its own count.
    ExtraRepeat,
    /// There was no place for it in the interval before: perhaps it came too early.
    Early,
}

/// What the reader has of the log, as far as it was judged.
#[derive(Clone, Debug)]
pub(super) struct Line {
    is_on: bool,
    pub(super) epoch: Epoch,
    /// It is not expected to have what is up to here.
    start: u64,
    /// The last place that was judged.
    pub(super) high: u64,
    /// Given after `high`, without a place yet.
    floats: Vec<Given>,
    /// Places it passed without being given what is there, in order.
    pub(super) missing: VecDeque<u64>,
    /// Floats that got a place, latest last.
    recent: VecDeque<Found>,
    /// The last entry was from before the start.
    is_astray: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            is_on: false,
            epoch: Epoch(0),
            start: 0,
            high: 0,
            floats: Vec::new(),
            missing: VecDeque::new(),
            recent: VecDeque::new(),
            is_astray: false,
        }
    }
}

/// What judging takes beside the reader.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    pub(super) reader: ReaderId,
    pub(super) room: &'a RoomName,
    pub(super) book: &'a mut Book,
    pub(super) findings: &'a mut Findings,
    /// How often the ledger was settled.
    pub(super) settles: u32,
    /// What waits for an ack is judged without.
    pub(super) is_final: bool,
}

impl Reader {
    /// Whether an entry that is as expected needs no more than to be counted.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.line.floats.is_empty() && self.line.is_on
    }

    /// Judges what can be judged.
    pub(super) fn drain(&mut self, bench: &mut Bench<'_>) {
        while let Some(item) = self.pending.front() {
            if !self.line.take(*item, bench) {
                return;
            }
            self.pending.pop_front();
        }
    }
}

impl Line {
    /// Counts an entry that is the next one and known to be.
    pub(super) fn step(&mut self, findings: &mut Findings) {
        self.high += 1;
        self.is_astray = false;
        findings.counts.expected += 1;
        findings.counts.delivered += 1;
    }

    /// Judges what is missing up to the end of the log.
    pub(super) fn finish(&mut self, at: Option<Cursor>, bench: &mut Bench<'_>) {
        let end = bench.book.end().filter(|_| at.is_some() && self.is_on);
        match end {
            Some(head) if head.epoch == self.epoch => {
                let is_behind = self.resolve(Until::Head(head.seq.0.saturating_add(1)), bench);
                if is_behind {
                    let text = format!("{:?} ended before", bench.reader);
                    bench.report(Violation::Behind, head, &text);
                }
            }
            Some(head) => {
                self.resolve(Until::Away, bench);
                let text = format!("{:?} ended in epoch {}", bench.reader, self.epoch);
                bench.report(Violation::Behind, head, &text);
            }
            None => {
                self.resolve(Until::Away, bench);
            }
        }
        self.resolve(Until::Away, bench);
        self.give_up_missing(bench);
    }

    /// Whether it was judged; it waits otherwise.
    fn take(&mut self, item: Item, bench: &mut Bench<'_>) -> bool {
        match item {
            Item::Start(after) => {
                self.resolve(Until::Away, bench);
                self.give_up_missing(bench);
                self.start(after);
            }
            Item::Entry(given) => return self.entry(given, bench),
            Item::Gap(next) => {
                let before = next.seq.minus(1);
                if self.is_on && next.epoch == self.epoch {
                    self.resolve(Until::Told(next.seq.0), bench);
                } else {
                    self.resolve(Until::Away, bench);
                    self.give_up_missing(bench);
                    self.start(Cursor::new(next.epoch, before));
                }
            }
            Item::Seam(at) => {
                self.resolve(Until::Away, bench);
                self.give_up_missing(bench);
                self.epoch = at.epoch;
                self.high = at.seq.0;
            }
            Item::End => {
                self.resolve(Until::Away, bench);
                self.give_up_missing(bench);
                self.is_on = false;
            }
        }
        true
    }

    fn start(&mut self, after: Cursor) {
        self.is_on = true;
        self.epoch = after.epoch;
        self.start = after.seq.0;
        self.high = after.seq.0;
        self.is_astray = false;
    }

    fn entry(&mut self, given: Given, bench: &mut Bench<'_>) -> bool {
        if self.high < bench.book.log(self.epoch).folded && given.kind == Kind::Whole {
            // Others are long past it: nothing is known there any more.
            bench.findings.counts.unjudged_deliveries += 1;
            self.step(bench.findings);
            return true;
        }
        if bench.book.epochs.len() > 1 {
            self.by_count(given, bench);
            return true;
        }
        let (Some(stamp), Kind::Whole | Kind::Repeat) = (given.found.stamp, given.kind) else {
            self.floats.push(given);
            return true;
        };
        match bench.book.fate(stamp, self.epoch) {
            Fate::Waiting if !bench.is_final => return false,
            Fate::Waiting | Fate::Anywhere => self.floats.push(given),
            Fate::Invented => {
                let cursor = Cursor::new(self.epoch, Seq(self.high + 1));
                let text = format!("{stamp}, which was refused");
                bench.report(Violation::Invented, cursor, &text);
                let kind = Kind::Invented;
                self.floats.push(Given { kind, ..given });
            }
            Fate::Settled => self.extra(given),
            Fate::At(place) if place <= self.high => self.backward(place, given, bench),
            Fate::At(place) => {
                let is_young = given.settles.saturating_add(ACK_SETTLES) > bench.settles;
                let may_change = bench.book.waiting > 0 && is_young && !bench.is_final;
                if !self.floats.is_empty() && may_change {
                    return false;
                }
                self.resolve(Until::Anchor(place), bench);
                self.deliver(place, given.found, bench);
                self.high = place;
                self.is_astray = false;
            }
        }
        true
    }

    /// In a room of several epochs an ack says little: a message may be in an epoch twice, with what
    /// that took over from the one before. There the reader's own count is taken for its place.
    fn by_count(&mut self, given: Given, bench: &mut Bench<'_>) {
        let place = given.at.0;
        if place <= self.high {
            return;
        }
        self.resolve(Until::Anchor(place), bench);
        if given.kind == Kind::Corrupted {
            bench.findings.counts.expected += 1;
        } else {
            self.deliver(place, given.found, bench);
        }
        self.high = place;
        self.is_astray = false;
    }

    /// A message whose place the reader has passed.
    fn backward(&mut self, place: u64, given: Given, bench: &mut Bench<'_>) {
        let cursor = Cursor::new(self.epoch, Seq(place));
        if let Ok(index) = self.missing.binary_search(&place) {
            self.missing.remove(index);
            let text = format!("{:?} had later ones before", bench.reader);
            bench.report(Violation::Reordered, cursor, &text);
            bench.findings.counts.delivered += 1;
            bench.book.log(self.epoch).vote(place, given.found);
        } else if place <= self.start {
            if !self.is_astray {
                let text = format!("{:?} starts after {}", bench.reader, self.start);
                bench.report(Violation::Disagreed, cursor, &text);
            }
            self.is_astray = true;
        } else {
            self.extra(given);
        }
    }

    fn extra(&mut self, given: Given) {
        let kind = match given.kind {
            Kind::Repeat => Kind::ExtraRepeat,
            _ => Kind::Extra,
        };
        self.floats.push(Given { kind, ..given });
    }

    fn deliver(&mut self, place: u64, found: Found, bench: &mut Bench<'_>) {
        bench.findings.counts.expected += 1;
        bench.findings.counts.delivered += 1;
        if !bench.book.log(self.epoch).vote(place, found) {
            bench.findings.counts.unjudged_deliveries += 1;
        }
    }

    /// What is still missing will not come any more.
    fn give_up_missing(&mut self, bench: &mut Bench<'_>) {
        for place in std::mem::take(&mut self.missing) {
            bench.lose(self.epoch, place);
        }
    }
}

impl Bench<'_> {
    fn report(&mut self, what: Violation, at: Cursor, text: &str) {
        self.findings.report(what, self.room, at, text);
    }

    fn lose(&mut self, epoch: Epoch, place: u64) {
        let log = self.book.epochs.get(&epoch);
        let acked = log.and_then(|log| log.slot(place)?.acked);
        let text = match acked {
            Some(stamp) => format!("{:?} never got {stamp}, which was acked", self.reader),
            None => format!("{:?} never got what is here", self.reader),
        };
        self.report(Violation::Lost, Cursor::new(epoch, Seq(place)), &text);
    }
}

/// So many times the ledger is settled before an ack of a place is not waited for any more.
const ACK_SETTLES: u32 = 2;
