//! The proof of delivery: judges what a set of clients sent, were acked and read.
//!
//! One ledger serves every test and every bot that claims something about delivery. It is told what
//! was published, what was acked and what each reader was told, in the order it happened to each of
//! them, and compares all of that with the promises: nothing acked is lost, nothing is in a log
//! twice, no reader has a silent hole or a repeat, all read the same, a sender's messages keep their
//! order, and in the end every reader is where the log is.
//!
//! Pure: it reads no clock and sends nothing. It keeps everything it was told (about 200 bytes a
//! message), so a run is bounded by its length.
//!
//! # What a new epoch excuses
//! A log that lost its memory goes on in a new epoch. Messages acked in an epoch that is gone may be
//! missing, and a message whose nonce was forgotten may come again. Both are counted apart. Nothing
//! is excused within an epoch, nor up to the place where a reader went from one epoch to the next
//! without being told of a gap.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use chat_protocol::lane::{LaneFrame, Message};
use chat_protocol::{Content, Cursor, Epoch, Frame, RoomName, Seq};

use crate::event::Event;

mod judge;
mod stamp;
mod verdict;

pub use stamp::{InvalidStamp, Sent, Stamp, Stamped};
pub use verdict::{Counts, Verdict};

use verdict::{Findings, Violation};

/// Everything that was sent, acked and read. See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    rooms: HashMap<RoomName, RoomLedger>,
    readers: u32,
    findings: Findings,
}

/// One of those who read: all events of one [`Events`](crate::Events), or of one reader without it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReaderId(u32);

/// What a reader found at a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// The message's stamp; `None` for an entry that is no message of ours.
    pub stamp: Option<Stamp>,
    /// A hash of all its bytes.
    pub hash: u64,
}

#[derive(Debug, Default)]
struct RoomLedger {
    sent: HashMap<Stamp, Option<Cursor>>,
    /// The last ack that was told.
    last_acked: Option<Cursor>,
    /// Where the log ends, if that was told.
    head: Option<Cursor>,
    epochs: BTreeMap<Epoch, BTreeMap<Seq, Found>>,
    /// Readers went from the first epoch to the second without a gap; the highest seq they had then.
    seams: HashMap<(Epoch, Epoch), Seq>,
    readers: HashMap<ReaderId, Cursor>,
}

impl Ledger {
    /// A ledger that was told nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A message is about to be published.
    pub fn sent(&mut self, room: &RoomName, stamp: Stamp) {
        self.findings.counts.sent += 1;
        self.room(room).sent.entry(stamp).or_insert(None);
    }

    /// A message was acked.
    pub fn acked(&mut self, room: &RoomName, stamp: Stamp, cursor: Cursor) {
        let ledger = self.room(room);
        ledger.last_acked = Some(cursor);
        let known = match ledger.sent.entry(stamp) {
            Entry::Occupied(sent) => sent.into_mut(),
            Entry::Vacant(_) => {
                return self.report(Violation::Invented, room, cursor, stamp.to_string());
            }
        };
        match known.replace(cursor) {
            None => self.findings.counts.acked += 1,
            Some(before) if before == cursor => {}
            Some(before) => {
                let text = format!("{stamp} was acked at {before} before");
                self.report(Violation::Disagreed, room, cursor, text);
            }
        }
    }

    /// One more who reads. A reader that comes back with a stored cursor is the same one.
    pub fn reader(&mut self) -> ReaderId {
        self.readers += 1;
        ReaderId(self.readers)
    }

    /// A reader was told something. Events must be told all, and in their order.
    pub fn observe(&mut self, reader: ReaderId, event: &Event) {
        match event {
            Event::Joined {
                room, head, next, ..
            } => self.join(reader, room, Cursor::new(head.epoch, next.minus(1))),
            Event::Message {
                room,
                cursor,
                message,
                ..
            } => self.message(reader, room, *cursor, message),
            Event::TopicChanged {
                room,
                cursor,
                change,
                ..
            } => self.other(reader, room, *cursor, &LaneFrame::from(change.clone())),
            Event::Notice { cursor, notice, .. } => {
                let frame = LaneFrame::from(notice.clone());
                self.other(reader, &RoomName::system(), *cursor, &frame);
            }
            Event::Damaged { room, cursor } => {
                self.findings.counts.damaged += 1;
                let frame = LaneFrame::from(chat_protocol::lane::Damaged {});
                self.other(reader, room, *cursor, &frame);
            }
            Event::Gap { room, next, .. } => self.gap(reader, room, *next),
            Event::Left { room, .. } => self.end(reader, room),
            _ => {}
        }
    }

    /// Where a room's log ends in the end, by somebody who knows. Without it the last ack counts.
    pub fn head(&mut self, room: &RoomName, head: Cursor) {
        self.room(room).head = Some(head);
    }

    /// A reader starts to read a room after this place.
    pub fn start(&mut self, reader: ReaderId, room: &RoomName, after: Cursor) {
        self.room(room).readers.insert(reader, after);
    }

    /// A reader leaves a room: it need not reach the head any more.
    pub fn end(&mut self, reader: ReaderId, room: &RoomName) {
        self.room(room).readers.remove(&reader);
    }

    /// A reader was told that what is before `next` cannot be had.
    pub fn gap(&mut self, reader: ReaderId, room: &RoomName, next: Cursor) {
        self.findings.counts.gaps += 1;
        let after = Cursor::new(next.epoch, next.seq.minus(1));
        let before = self.room(room).readers.insert(reader, after);
        if let Some(before) = before
            && before.epoch == next.epoch
            && before.seq > after.seq
        {
            let text = format!("a gap that goes back from {before}");
            self.report(Violation::Repeated, room, next, text);
        }
    }

    /// A reader was told that its log is of another epoch from here on, and goes on as it was.
    pub fn seam(&mut self, reader: ReaderId, room: &RoomName, epoch: Epoch) {
        if let Some(before) = self.room(room).readers.get(&reader).copied() {
            self.cross(reader, room, before, epoch);
        }
    }

    /// A reader was given an entry.
    pub fn entry(&mut self, reader: ReaderId, room: &RoomName, cursor: Cursor, found: Found) {
        self.findings.counts.read += 1;
        let Some(before) = self.room(room).readers.get(&reader).copied() else {
            let text = "an entry before the room was joined".to_owned();
            return self.report(Violation::Hole, room, cursor, text);
        };
        if cursor.epoch != before.epoch {
            self.cross(reader, room, before, cursor.epoch);
        }
        let ledger = self.room(room);
        ledger.readers.insert(reader, cursor);
        let place = ledger.epochs.entry(cursor.epoch).or_default();
        let known = *place.entry(cursor.seq).or_insert(found);
        let is_sent = found
            .stamp
            .is_none_or(|stamp| ledger.sent.contains_key(&stamp));
        if cursor.seq > before.seq.next() {
            let text = format!("{reader:?} had {before} before");
            self.report(Violation::Hole, room, cursor, text);
        } else if cursor.seq <= before.seq {
            let text = format!("{reader:?} had {before} before");
            self.report(Violation::Repeated, room, cursor, text);
        }
        if known != found {
            let text = format!("{reader:?} read {found:?}, another {known:?}");
            self.report(Violation::Disagreed, room, cursor, text);
        }
        if !is_sent {
            self.report(Violation::Invented, room, cursor, format!("{found:?}"));
        }
    }

    /// A reader that was here before goes on where it was, or is told of a gap.
    fn join(&mut self, reader: ReaderId, room: &RoomName, after: Cursor) {
        let readers = &mut self.room(room).readers;
        readers.entry(reader).or_insert(after);
    }

    fn message(&mut self, reader: ReaderId, room: &RoomName, cursor: Cursor, message: &Message) {
        let text = match &message.content {
            Content::Text(text) | Content::Action(text) => text.as_str(),
            Content::Opaque { .. } => "",
        };
        let stamp = match Stamp::find(text, room) {
            Ok(stamped) => stamped.map(|stamped| stamped.stamp),
            Err(error) => {
                self.report(Violation::Corrupted, room, cursor, error.to_string());
                None
            }
        };
        let hash = hash(&LaneFrame::from(message.clone()));
        self.entry(reader, room, cursor, Found { stamp, hash });
    }

    fn other(&mut self, reader: ReaderId, room: &RoomName, cursor: Cursor, frame: &LaneFrame) {
        let found = Found {
            stamp: None,
            hash: hash(frame),
        };
        self.entry(reader, room, cursor, found);
    }

    /// A reader goes on in another epoch without a gap: all it had must be there too.
    fn cross(&mut self, reader: ReaderId, room: &RoomName, before: Cursor, epoch: Epoch) {
        let ledger = self.room(room);
        let seam = ledger.seams.entry((before.epoch, epoch)).or_default();
        *seam = before.seq.max(*seam);
        ledger
            .readers
            .insert(reader, Cursor::new(epoch, before.seq));
    }

    fn report(&mut self, violation: Violation, room: &RoomName, at: Cursor, text: String) {
        self.findings.report(violation, room, at, &text);
    }

    fn room(&mut self, room: &RoomName) -> &mut RoomLedger {
        // No clone for a room that is known.
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), RoomLedger::default());
        }
        self.rooms.get_mut(room).expect("it was just inserted")
    }
}

/// A hash of everything in an entry.
#[must_use]
pub fn hash(entry: &LaneFrame) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.to_bytes().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
