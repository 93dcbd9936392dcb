//! Between two places that are certain: which of the floats stands where, what is missing, and what is
//! too much. Called by [`Line`] alone.

use std::collections::VecDeque;
use std::mem;

use chat_protocol::{Cursor, Seq};

use super::{Bench, Given, Kind, Line};
use crate::ledger::Found;
use crate::ledger::book::Book;
use crate::ledger::verdict::Violation;

/// What is at the end of an interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Until {
    /// A place that is certain: what is not there before is missing.
    Anchor(u64),
    /// The end of the log, as far as it is known: so is what is missing, but there may be more.
    Head(u64),
    /// A place before which the reader was told that entries are missing.
    Told(u64),
    /// The reader goes where nobody can say.
    Away,
}

impl Line {
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
    pub(super) fn resolve(&mut self, until: Until, bench: &mut Bench<'_>) -> bool {
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
        let floats = mem::take(&mut self.floats);
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
            if let Some(place) = oldest {
                bench.lose(self.epoch, place);
            }
        }
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
const MISSING_LEN_MAX: usize = 1024;

/// Floats that are compared with later ones.
const RECENT_LEN: usize = 32;
