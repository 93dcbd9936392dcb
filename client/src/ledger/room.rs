//! One room: its readers beside its book.

use std::collections::VecDeque;

use chat_protocol::{Cursor, Epoch, RoomName, Seq};

use super::book::Book;
use super::hash::QuickMap;
use super::reader::{Bench, Given, Item, Kind, Reader};
use super::verdict::{Findings, Violation};
use super::{Found, ReaderId, Stamp};

/// What is held of a room.
#[derive(Clone, Debug, Default)]
pub(super) struct RoomLedger {
    pub(super) book: Book,
    pub(super) readers: QuickMap<ReaderId, Reader>,
}

impl RoomLedger {
    /// Whether a reader is in the room.
    pub(super) fn has(&self, reader: ReaderId) -> bool {
        let reader = self.readers.get(&reader);
        reader.is_some_and(|reader| reader.at.is_some())
    }

    /// A reader was told where it stands. Gives back where it stood.
    pub(super) fn tell(
        &mut self,
        id: ReaderId,
        room: &RoomName,
        at: Option<Cursor>,
        item: Item,
        findings: &mut Findings,
        settles: u32,
    ) -> Option<Cursor> {
        let reader = self.readers.entry(id).or_default();
        let before = std::mem::replace(&mut reader.at, at);
        reader.pending.push_back(item);
        self.drain_one(id, room, findings, settles);
        before
    }

    /// A reader goes on in another epoch without a gap: all it had must be there too.
    pub(super) fn seam(
        &mut self,
        id: ReaderId,
        room: &RoomName,
        epoch: Epoch,
        findings: &mut Findings,
        settles: u32,
    ) {
        let Some(before) = self.readers.get(&id).and_then(|reader| reader.at) else {
            return;
        };
        let seam = self.book.seams.entry((before.epoch, epoch)).or_default();
        *seam = before.seq.max(*seam);
        let at = Cursor::new(epoch, before.seq);
        self.tell(id, room, Some(at), Item::Seam(at), findings, settles);
    }

    /// Counts an entry that is as most are: the next one, acked at this very place, and the same that
    /// others found there. `stamp` is `None` when nobody looked at it yet: whoever found the same
    /// bytes before did. Says whether it was counted.
    #[inline]
    pub(super) fn step(
        &mut self,
        id: ReaderId,
        cursor: Cursor,
        hash: u64,
        stamp: Option<Stamp>,
        findings: &mut Findings,
    ) -> bool {
        let Some(reader) = self.readers.get_mut(&id) else {
            return false;
        };
        let next = reader.at.map(|at| Cursor::new(at.epoch, at.seq.next()));
        if next != Some(cursor) || reader.line.epoch != cursor.epoch || !reader.is_idle() {
            return false;
        }
        let line = &mut reader.line;
        let is_counted = self.book.epochs.len() == 1 || cursor.seq.0 == line.high + 1;
        let Some(log) = self.book.epochs.get_mut(&line.epoch).filter(|_| is_counted) else {
            return false;
        };
        log.is_read = true;
        let Some(slot) = log.known_mut(line.high + 1) else {
            return false;
        };
        let found = match (slot.found, stamp) {
            (Some(found), _) => found,
            (None, Some(_)) => Found { stamp, hash },
            (None, None) => return false,
        };
        let is_same = found.hash == hash
            && found.stamp.is_some()
            && found.stamp == slot.acked
            && (stamp.is_none() || stamp == found.stamp);
        if is_same {
            slot.found = Some(found);
            slot.votes += 1;
            reader.at = Some(cursor);
            line.step(findings);
        }
        is_same
    }

    /// A reader was given an entry. Says whether it is in the room at all.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call for each delivery, inlined"
    )]
    #[inline]
    pub(super) fn read(
        &mut self,
        id: ReaderId,
        room: &RoomName,
        cursor: Cursor,
        found: Found,
        kind: Kind,
        findings: &mut Findings,
        settles: u32,
    ) -> bool {
        let before = self.readers.get(&id).and_then(|reader| reader.at);
        let Some(before) = before else {
            return false;
        };
        let is_step = kind == Kind::Whole
            && found.stamp.is_some()
            && self.step(id, cursor, found.hash, found.stamp, findings);
        if is_step {
            return true;
        }
        self.read_slowly(id, room, before, cursor, found, kind, findings, settles);
        true
    }

    #[expect(clippy::too_many_arguments, reason = "the rest of the one before")]
    fn read_slowly(
        &mut self,
        id: ReaderId,
        room: &RoomName,
        mut before: Cursor,
        cursor: Cursor,
        found: Found,
        mut kind: Kind,
        findings: &mut Findings,
        settles: u32,
    ) {
        if cursor.epoch != before.epoch {
            self.seam(id, room, cursor.epoch, findings, settles);
            before.epoch = cursor.epoch;
        }
        if cursor.seq > before.seq.next() {
            let text = format!("{id:?} had {before} before");
            findings.report(Violation::Hole, room, cursor, &text);
        } else if cursor.seq <= before.seq {
            let text = format!("{id:?} had {before} before");
            findings.report(Violation::Repeated, room, cursor, &text);
            if kind == Kind::Whole {
                kind = Kind::Repeat;
            }
        }
        if found.stamp.is_some_and(|stamp| !self.book.is_sent(stamp)) {
            findings.report(Violation::Invented, room, cursor, &format!("{found:?}"));
            kind = Kind::Invented;
        }
        let Some(reader) = self.readers.get_mut(&id) else {
            return;
        };
        reader.at = Some(cursor);
        reader.pending.push_back(Item::Entry(Given {
            at: cursor.seq,
            found,
            kind,
            settles,
        }));
        // What waits for an ack is not looked at again for each entry behind it.
        if reader.pending.len() == 1 || reader.pending.len() % RETRY_LEN == 0 {
            self.drain_one(id, room, findings, settles);
        }
    }

    /// Judges what can be judged.
    pub(super) fn drain(
        &mut self,
        room: &RoomName,
        findings: &mut Findings,
        settles: u32,
        is_final: bool,
    ) {
        let book = &mut self.book;
        self.readers.retain(|id, reader| {
            let mut bench = Bench {
                reader: *id,
                room,
                book,
                findings,
                settles,
                is_final,
            };
            reader.drain(&mut bench);
            if reader.pending.is_empty() && reader.pending.capacity() > RETRY_LEN {
                reader.pending = VecDeque::new();
            }
            reader.at.is_some() || !reader.pending.is_empty()
        });
    }

    fn drain_one(&mut self, id: ReaderId, room: &RoomName, findings: &mut Findings, settles: u32) {
        let Some(reader) = self.readers.get_mut(&id) else {
            return;
        };
        let mut bench = Bench {
            reader: id,
            room,
            book: &mut self.book,
            findings,
            settles,
            is_final: false,
        };
        reader.drain(&mut bench);
        if reader.at.is_none() && reader.pending.is_empty() {
            self.readers.remove(&id);
        }
    }

    /// Folds what can no longer change, but for the last `kept` places.
    pub(super) fn settle(
        &mut self,
        room: &RoomName,
        kept: usize,
        findings: &mut Findings,
        settles: u32,
    ) {
        self.drain(room, findings, settles, false);
        if let Some((epoch, end)) = self.passed() {
            let up_to = end.saturating_sub(kept as u64);
            self.fold(epoch, up_to, room, findings);
        }
    }

    /// The place all readers are past, when the room has one epoch only.
    fn passed(&self) -> Option<(Epoch, u64)> {
        let mut epochs = self.book.epochs.iter();
        let (Some((epoch, log)), None) = (epochs.next(), epochs.next()) else {
            return None;
        };
        let is_here = |reader: &Reader| reader.line.epoch == *epoch;
        if !self.readers.values().all(is_here) {
            return None;
        }
        let highs = self.readers.values().map(|reader| reader.line.high);
        Some((*epoch, highs.min().unwrap_or_else(|| log.last())))
    }

    /// Judges the log up to a place and forgets it.
    pub(super) fn fold(
        &mut self,
        epoch: Epoch,
        up_to: u64,
        room: &RoomName,
        findings: &mut Findings,
    ) {
        for place in std::mem::take(&mut self.book.kept) {
            let is_kept = self.is_missing(place);
            let cursor = Cursor::new(epoch, Seq(place));
            self.book.fold(cursor, is_kept, room, findings);
        }
        let log = self.book.log(epoch);
        if up_to <= log.folded {
            return;
        }
        let places = log.between(log.folded, up_to.saturating_add(1));
        self.book.settled_in = Some(epoch);
        for place in places {
            let is_kept = self.is_missing(place);
            let cursor = Cursor::new(epoch, Seq(place));
            self.book.fold(cursor, is_kept, room, findings);
        }
        self.book.log(epoch).folded = up_to;
    }

    fn is_missing(&self, place: u64) -> bool {
        let mut readers = self.readers.values();
        readers.any(|reader| reader.line.missing.binary_search(&place).is_ok())
    }

    /// Gives up what somebody may still wait for, until no more than `len` entries are held.
    pub(super) fn shrink(
        &mut self,
        room: &RoomName,
        len: usize,
        findings: &mut Findings,
        settles: u32,
    ) {
        self.drain(room, findings, settles, true);
        if let [epoch] = self.book.epochs.keys().copied().collect::<Vec<_>>()[..] {
            let places = self.book.log(epoch).places();
            if let Some(last) = places.len().checked_sub(len + 1) {
                self.fold(epoch, places[last], room, findings);
            }
        } else {
            self.judge_book(room, findings);
            self.book.forget_epochs();
        }
        if self.book.messages.len() > len {
            self.book.forget_given_up(findings);
        }
    }

    /// Entries that are held.
    pub(super) fn len(&self) -> usize {
        let pending = self.readers.values().map(|reader| reader.pending.len());
        self.book.len() + pending.sum::<usize>()
    }

    /// Deliveries that are missing and not yet counted as lost.
    pub(super) fn missing(&self) -> u64 {
        let missing = self
            .readers
            .values()
            .map(|reader| reader.line.missing.len());
        missing.sum::<usize>() as u64
    }
}

/// So many entries behind one that waits for its ack, it is looked at again.
const RETRY_LEN: usize = 64;
