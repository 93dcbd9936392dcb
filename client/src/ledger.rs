//! The proof of delivery: judges what a set of clients sent, were acked and read.
//!
//! One ledger serves every test and every bot that claims something about delivery. It is told what
//! was published, what was acked and what each reader was told, in the order it happened to each of
//! them, and compares all of that with the promises: nothing acked is lost, nothing is in a log
//! twice, no reader has a silent hole or a repeat, all read the same, a sender's messages keep their
//! order, and in the end every reader is where the log is.
//!
//! Pure: it reads no clock and sends nothing.
//!
//! # How it counts
//! Each reader is laid beside the log for itself (`reader`), so that a fault of its lane is counted
//! once, in deliveries: one entry dropped is one `lost`, one repeated is one `duplicated`, two swapped
//! are one `reordered`, one altered is one `corrupted`, one that nobody sent is one `invented`. Where
//! entries stand is known from acks; a reader's own count is only a hint, as entries carry no seq.
//! What readers found at a place is compared too (`disagreed`), and the log that comes of all that is
//! judged for itself (`judge`): messages in it twice, or in another order than they were sent.
//!
//! # Memory
//! Told nothing else, it keeps everything. [`Ledger::settle`], called about once a second, folds what
//! can no longer change into the counts and forgets it. See there for what bounds it.
//!
//! # What a new epoch excuses
//! A log that lost its memory goes on in a new epoch. Messages acked in an epoch that is gone may be
//! missing, and a message whose nonce was forgotten may come again. Both are counted apart. Nothing
//! is excused within an epoch, nor up to the place where a reader went from one epoch to the next
//! without being told of a gap.

use std::collections::HashMap;

use chat_protocol::lane::{LaneFrame, Message};
use chat_protocol::{Content, Cursor, Epoch, RoomName};

use crate::event::Event;

mod book;
mod hash;
mod judge;
mod log;
mod ranges;
mod reader;
mod room;
mod stamp;
mod verdict;

pub use hash::hash;
pub use stamp::{InvalidStamp, Sent, Stamp, Stamped};
pub use verdict::{Counts, Verdict};

use reader::{Item, Kind};
use room::RoomLedger;
use verdict::{Findings, Violation};

/// What was sent, acked and read, as far as it is not settled, and what was found. See the module.
#[derive(Debug)]
pub struct Ledger {
    rooms: HashMap<RoomName, RoomLedger>,
    readers: u32,
    findings: Findings,
    window: usize,
    /// Places that are kept of each room for those who read history.
    history: usize,
    settles: u32,
}

/// One of those who read: all events of one [`Events`](crate::Events), or of one reader without it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReaderId(u32);

/// What a reader found at a place.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Found {
    /// The message's stamp; `None` for an entry that is no message of ours.
    pub stamp: Option<Stamp>,
    /// A hash of all its bytes.
    pub hash: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            rooms: HashMap::new(),
            readers: 0,
            findings: Findings::default(),
            window: WINDOW_DEFAULT,
            history: HISTORY_LEN,
            settles: 0,
        }
    }
}

impl Ledger {
    /// A ledger that was told nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, but [`Self::settle`] bounds what is held to about so many entries, over all rooms.
    /// An entry takes about 100 bytes. Default: [`WINDOW_DEFAULT`].
    #[must_use]
    pub fn with_window(mut self, entries: usize) -> Self {
        self.window = entries;
        self
    }

    /// A message is about to be published.
    pub fn sent(&mut self, room: &RoomName, stamp: Stamp) {
        self.findings.counts.sent += 1;
        self.room(room).book.sent(stamp);
    }

    /// A message was acked.
    pub fn acked(&mut self, room: &RoomName, stamp: Stamp, cursor: Cursor) {
        let (ledger, findings) = self.parts(room);
        ledger.book.acked(stamp, cursor, room, findings);
    }

    /// A node refused a message for good: it is in no log. Whoever reads it reads what is invented.
    pub fn refused(&mut self, room: &RoomName, stamp: Stamp) {
        let is_open = self.room(room).book.refused(stamp);
        self.findings.counts.refused += u64::from(is_open);
    }

    /// Nobody will tell the fate of a message: it may be in the log, once. What is not told keeps the
    /// ledger waiting, and what was read after it in memory, up to the window.
    pub fn given_up(&mut self, room: &RoomName, stamp: Stamp) {
        self.room(room).book.given_up(stamp);
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
        self.room(room).book.head = Some(head);
    }

    /// A reader starts to read a room after this place.
    pub fn start(&mut self, reader: ReaderId, room: &RoomName, after: Cursor) {
        self.tell(reader, room, Some(after), Item::Start(after));
    }

    /// A reader leaves a room: it need not reach the head any more.
    pub fn end(&mut self, reader: ReaderId, room: &RoomName) {
        self.tell(reader, room, None, Item::End);
    }

    /// A reader was told that what is before `next` cannot be had.
    pub fn gap(&mut self, reader: ReaderId, room: &RoomName, next: Cursor) {
        self.findings.counts.gaps += 1;
        let after = Cursor::new(next.epoch, next.seq.minus(1));
        let before = self.tell(reader, room, Some(after), Item::Gap(next));
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
        let settles = self.settles;
        let (ledger, findings) = self.parts(room);
        ledger.seam(reader, room, epoch, findings, settles);
    }

    /// A reader was given an entry.
    pub fn entry(&mut self, reader: ReaderId, room: &RoomName, cursor: Cursor, found: Found) {
        self.read(reader, room, cursor, found, Kind::Whole);
    }

    /// Folds what can no longer change into the counts, and forgets it. Cheap enough to be called
    /// about once a second.
    ///
    /// What can no longer change is what every reader in the room is past, when the acks of all that
    /// was read there have come. The last thousand places of a room are kept beyond that, for those
    /// who read history. When all rooms together hold more than the window
    /// ([`Self::with_window`]), rooms above their share of it give up their oldest entries although
    /// somebody waits for them: a reader who reads there later is only checked for its checksums,
    /// which [`Counts::unjudged_deliveries`] tells, and nothing that is kept of it is a violation.
    ///
    /// The verdict is the same whether or not it is called, as long as the window is not exceeded and
    /// acks come within a second call.
    pub fn settle(&mut self) {
        self.settles = self.settles.saturating_add(1);
        let rooms = self.rooms.len().max(1);
        let share = self.window / rooms;
        let kept = self.history.min(share / 4);
        let mut len = 0;
        for (room, ledger) in &mut self.rooms {
            ledger.settle(room, kept, &mut self.findings, self.settles);
            len += ledger.len();
        }
        if len <= self.window {
            return;
        }
        for (room, ledger) in &mut self.rooms {
            if ledger.len() > share {
                ledger.shrink(room, share / 2, &mut self.findings, self.settles);
            }
        }
    }

    /// The figures as they stand: what waits to be judged is not in them. Cheap.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.findings.counts;
        counts.lost += self.rooms.values().map(RoomLedger::missing).sum::<u64>();
        counts
    }

    /// A reader that was here before goes on where it was, or is told of a gap.
    fn join(&mut self, reader: ReaderId, room: &RoomName, after: Cursor) {
        if !self.room(room).has(reader) {
            self.start(reader, room, after);
        }
    }

    fn message(&mut self, reader: ReaderId, room: &RoomName, cursor: Cursor, message: &Message) {
        let hash = hash::hash_message(message);
        let known = self.rooms.get_mut(room);
        // Who found the same before has checked it.
        if known.is_some_and(|known| known.step(reader, cursor, hash, None, &mut self.findings)) {
            self.findings.counts.read += 1;
            return;
        }
        let text = match &message.content {
            Content::Text(text) | Content::Action(text) => text.as_str(),
            // No bot writes any: it is read and counted, and proves nothing.
            _ => "",
        };
        let (stamp, kind) = match Stamp::find(text, room) {
            Ok(stamped) => (stamped.map(|stamped| stamped.stamp), Kind::Whole),
            Err(error) => {
                self.report(Violation::Corrupted, room, cursor, error.to_string());
                (None, Kind::Corrupted)
            }
        };
        self.read(reader, room, cursor, Found { stamp, hash }, kind);
    }

    fn other(&mut self, reader: ReaderId, room: &RoomName, cursor: Cursor, frame: &LaneFrame) {
        let found = Found {
            stamp: None,
            hash: hash(frame),
        };
        self.entry(reader, room, cursor, found);
    }

    fn read(
        &mut self,
        reader: ReaderId,
        room: &RoomName,
        cursor: Cursor,
        found: Found,
        kind: Kind,
    ) {
        self.findings.counts.read += 1;
        let (settles, findings) = (self.settles, &mut self.findings);
        let ledger = self.rooms.get_mut(room);
        let is_read = ledger.is_some_and(|ledger| {
            ledger.read(reader, room, cursor, found, kind, findings, settles)
        });
        if !is_read {
            let text = "an entry before the room was joined".to_owned();
            self.report(Violation::Hole, room, cursor, text);
        }
    }

    /// A reader was told where it stands. Gives back where it stood.
    fn tell(
        &mut self,
        reader: ReaderId,
        room: &RoomName,
        at: Option<Cursor>,
        item: Item,
    ) -> Option<Cursor> {
        let settles = self.settles;
        let (ledger, findings) = self.parts(room);
        ledger.tell(reader, room, at, item, findings, settles)
    }

    fn report(&mut self, violation: Violation, room: &RoomName, at: Cursor, text: String) {
        self.findings.report(violation, room, at, &text);
    }

    fn room(&mut self, room: &RoomName) -> &mut RoomLedger {
        self.parts(room).0
    }

    fn parts(&mut self, room: &RoomName) -> (&mut RoomLedger, &mut Findings) {
        // No clone for a room that is known.
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), RoomLedger::default());
        }
        let ledger = self.rooms.get_mut(room).expect("it was just inserted");
        (ledger, &mut self.findings)
    }
}

/// Entries that are held at most after [`Ledger::settle`], over all rooms, unless told otherwise:
/// about 25 MB.
pub const WINDOW_DEFAULT: usize = 1 << 18;

/// Places that are kept of a room although everybody is past them: what one who joins is shown.
const HISTORY_LEN: usize = chat_protocol::limits::HISTORY_LEN_MAX as usize;

#[cfg(test)]
mod tests;
