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

/// What is at the end of an interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Until {
    /// A place that is certain: what is not there before is missing.
    Anchor(u64),
    /// The end of the log, as far as it is known: so is what is missing, but there may be more.
    Head(u64),
    /// A place before which the reader was told that entries are missing.
    Told(u64),
    /// The reader goes where nobody can say.
    Away,
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

    /// Without a place nobody is compared with it: which it is cannot be said.
    fn deliver_float(&mut self, place: Option<u64>, found: Found, bench: &mut Bench<'_>) {
        if let Some(place) = place {
            self.deliver(place, found, bench);
        } else {
            bench.findings.counts.expected += 1;
            bench.findings.counts.delivered += 1;
            bench.book.seen(found.stamp);
        }
        if self.recent.len() == RECENT_LEN {
            self.recent.pop_front();
        }
        self.recent.push_back(found);
    }

    /// Lays the floats beside the places up to the end of the interval. Says whether
    /// nobody was left for the last of the places.
    fn resolve(&mut self, until: Until, bench: &mut Bench<'_>) -> bool {
        let (before, misses, grows) = match until {
            Until::Anchor(place) => (place, true, false),
            Until::Head(place) => {
                // Without anybody who knows, there may be more than the last that was acked.
                let grows = bench.book.head.is_none();
                (place.max(self.high + 1), true, grows)
            }
            Until::Told(place) => (place.max(self.high + 1), false, false),
            Until::Away => (self.high + 1, false, true),
        };
        if self.floats.is_empty() && self.high + 1 >= before {
            return false;
        }
        let floats = std::mem::take(&mut self.floats);
        let mut places = Places::new(self, before, grows, floats.len(), bench.book);
        let mut rest = self.place_whole(&floats, &mut places, bench);
        for given in &floats {
            match given.kind {
                Kind::Whole | Kind::Repeat | Kind::Early => {}
                Kind::Corrupted => {
                    let place = places.acked.pop_front().or_else(|| places.open.pop_front());
                    bench.findings.counts.expected += u64::from(place.is_some());
                }
                Kind::Invented => drop(places.open.pop_front()),
                Kind::Extra | Kind::ExtraRepeat => self.place_extra(*given, &mut places, bench),
            }
        }
        // Something else stands where an acked message should.
        let replaced = rest.len().min(places.acked.len());
        for found in rest.drain(..replaced) {
            bench.book.seen(found.stamp);
        }
        for found in rest {
            self.place_excess(found, bench);
        }
        let last = Some(before - 1);
        let is_short = places.unlisted > 0
            || places.open.back().copied() == last
            || (places.acked.back().copied() == last && places.acked.len() > replaced);
        if misses {
            self.miss(places, bench);
        }
        self.high = self.high.max(before - 1);
        is_short
    }

    /// Gives places to the floats that may well be of the log; gives back those without one.
    fn place_whole(
        &mut self,
        floats: &[Given],
        places: &mut Places,
        bench: &mut Bench<'_>,
    ) -> Vec<Found> {
        let (mut whole, again) = self.part(floats, places, bench.book);
        // Those that come too late come first.
        while places.are_few(whole.len())
            && let Some(first) = whole.first()
            && self.late_float(first.found, bench)
        {
            whole.remove(0);
        }
        self.place_early(floats, whole.len(), places, bench);
        let mut left = whole.len();
        let mut rest = Vec::new();
        for given in whole {
            let fits = places.fit(left);
            left -= 1;
            let place = places.open.pop_front();
            let place = match place {
                None if places.acked.is_empty() => places.grow(self, bench.book),
                place => place,
            };
            match place {
                Some(place) => self.deliver_float(fits.then_some(place), given.found, bench),
                None => rest.push(given.found),
            }
        }
        for given in again {
            self.place_extra(given, places, bench);
        }
        rest
    }

    /// Those of the floats that may well be of the log, and those that the reader had before.
    fn part(&self, floats: &[Given], places: &Places, book: &Book) -> (Vec<Given>, Vec<Given>) {
        let (mut whole, mut again) = (Vec::new(), Vec::new());
        let is_whole = |given: &Given| matches!(given.kind, Kind::Whole | Kind::Repeat);
        let all = floats.iter().copied().filter(is_whole);
        for given in all {
            let is_had = |other: &Found| *other == given.found;
            let mut fresh = whole.iter().map(|given: &Given| &given.found);
            let is_again = self.recent.iter().any(is_had) || fresh.any(is_had);
            // A new epoch may have forgotten the nonce: the log itself is judged for that.
            let is_again = is_again && (book.epochs.len() == 1 || given.kind == Kind::Repeat);
            // Entries without a stamp may be the same without being one: all damaged ones are.
            match (is_again, given.found.stamp, given.kind) {
                (true, _, Kind::Repeat) => {
                    let kind = Kind::ExtraRepeat;
                    again.push(Given { kind, ..given });
                }
                (true, Some(_), _) => again.push(given),
                _ => whole.push(given),
            }
        }
        while places.are_few(whole.len()) {
            let is_had = |index: &usize| {
                let found = &whole[*index].found;
                let mut before = whole[..*index].iter();
                self.recent.contains(found) || before.any(|other| other.found == *found)
            };
            let Some(index) = (0..whole.len()).rfind(is_had) else {
                break;
            };
            again.push(whole.remove(index));
        }
        (whole, again)
    }

    fn place_extra(&mut self, given: Given, places: &mut Places, bench: &mut Bench<'_>) {
        if let Some(place) = places.open.pop_front() {
            // It is in the log twice: that is found where the log itself is judged.
            bench.book.log(self.epoch).vote(place, given.found);
            return;
        }
        if given.kind == Kind::ExtraRepeat {
            return;
        }
        let cursor = Cursor::new(self.epoch, Seq(self.high));
        let text = format!("{:?} was given {:?} again", bench.reader, given.found.stamp);
        bench.report(Violation::Duplicated, cursor, &text);
    }

    /// Gives places to those that came before their interval: they are the first of it.
    fn place_early(
        &mut self,
        floats: &[Given],
        whole: usize,
        places: &mut Places,
        bench: &mut Bench<'_>,
    ) {
        let is_early = |given: &&Given| given.kind == Kind::Early;
        let mut left = floats.iter().filter(is_early).count() + whole;
        for Given { found, .. } in floats.iter().filter(is_early) {
            let (fits, is_few) = (places.fit(left), places.are_few(left));
            left -= 1;
            let reader = bench.reader;
            let place = if is_few {
                None
            } else {
                places.open.pop_front()
            };
            let cursor = Cursor::new(self.epoch, Seq(place.unwrap_or(self.high)));
            if let Some(place) = place {
                let text = format!("{reader:?} was given {found:?} before earlier ones");
                bench.report(Violation::Reordered, cursor, &text);
                self.deliver_float(fits.then_some(place), *found, bench);
            } else {
                let text = format!("{reader:?} was given {found:?}, for which there is no place");
                bench.report(Violation::Disagreed, cursor, &text);
            }
        }
    }

    fn place_excess(&mut self, found: Found, bench: &mut Bench<'_>) {
        let cursor = Cursor::new(self.epoch, Seq(self.high));
        let reader = bench.reader;
        if self.recent.contains(&found) {
            let text = format!("{reader:?} was given {found:?} again");
            bench.report(Violation::Duplicated, cursor, &text);
        } else {
            self.floats.push(Given {
                at: Seq(self.high),
                found,
                kind: Kind::Early,
                settles: 0,
            });
        }
    }

    /// Whether a float without a place is one that was missed before.
    fn late_float(&mut self, found: Found, bench: &mut Bench<'_>) -> bool {
        let log = bench.book.log(self.epoch);
        let is_open = |place: &u64| log.slot(*place).is_none_or(|slot| slot.acked.is_none());
        if self.recent.contains(&found) {
            return false;
        }
        let Some(index) = self.missing.iter().position(is_open) else {
            return false;
        };
        let place = self.missing.remove(index).unwrap_or_default();
        log.vote(place, found);
        bench.findings.counts.delivered += 1;
        let cursor = Cursor::new(self.epoch, Seq(place));
        let text = format!("{:?} had later ones before", bench.reader);
        bench.report(Violation::Reordered, cursor, &text);
        true
    }

    fn miss(&mut self, places: Places, bench: &mut Bench<'_>) {
        let counts = &mut bench.findings.counts;
        counts.lost += places.unlisted;
        counts.expected += places.unlisted;
        let mut all: Vec<u64> = places.open.into_iter().chain(places.acked).collect();
        all.sort_unstable();
        for place in all {
            bench.findings.counts.expected += 1;
            let log = bench.book.log(self.epoch);
            if let Some(slot) = log.known_mut(place) {
                slot.is_missed = true;
            }
            self.missing.push_back(place);
        }
        while self.missing.len() > MISSING_LEN_MAX {
            let oldest = self.missing.pop_front();
            oldest.map(|place| bench.lose(self.epoch, place));
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

/// The places of an interval that nobody was found at yet.
#[derive(Debug)]
struct Places {
    /// Those at which a message was acked.
    acked: VecDeque<u64>,
    /// Those of which no ack tells.
    open: VecDeque<u64>,
    /// More of those, too many to list.
    unlisted: u64,
    /// The place after the interval, when there may be more.
    next: Option<u64>,
}

impl Places {
    fn new(line: &Line, before: u64, grows: bool, floats: usize, book: &mut Book) -> Self {
        let log = book.log(line.epoch);
        let known = log.between(line.high, before);
        let is_acked = |place: &u64| log.slot(*place).is_some_and(|slot| slot.acked.is_some());
        let acked: VecDeque<u64> = known.into_iter().filter(is_acked).collect();
        let open_len = before - line.high - 1 - acked.len() as u64;
        let mut listed = acked.iter().peekable();
        let is_open = |place: &u64| listed.next_if(|acked| *acked == place).is_none();
        let open = (line.high + 1..before).filter(is_open);
        let open: VecDeque<u64> = open.take(floats + MISSING_LEN_MAX).collect();
        Self {
            unlisted: open_len - open.len() as u64,
            acked,
            open,
            next: grows.then_some(before),
        }
    }

    /// Whether so many entries leave no place open, so that each has its own.
    fn fit(&self, entries: usize) -> bool {
        entries >= self.open.len() && self.unlisted == 0
    }

    /// Whether so many entries have no room in them.
    fn are_few(&self, entries: usize) -> bool {
        let places = self.open.len() as u64 + self.unlisted;
        self.next.is_none() && entries as u64 > places
    }

    /// One more place beyond the end, if there may be any.
    fn grow(&mut self, line: &mut Line, book: &mut Book) -> Option<u64> {
        let log = book.log(line.epoch);
        let is_acked = |place: u64| log.slot(place).is_some_and(|slot| slot.acked.is_some());
        let mut place = self.next?;
        while is_acked(place) {
            place += 1;
        }
        self.next = Some(place + 1);
        line.high = line.high.max(place);
        Some(place)
    }
}

/// Places that a reader may still be given late. More are lost at once.
pub(super) const MISSING_LEN_MAX: usize = 1024;

/// Floats that are compared with later ones.
const RECENT_LEN: usize = 32;

/// So many times the ledger is settled before an ack of a place is not waited for any more.
const ACK_SETTLES: u32 = 2;
