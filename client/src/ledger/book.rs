//! What all readers of a room are compared with: what was sent, where it was acked, what the log
//! holds.

use std::collections::{BTreeMap, HashMap};

use chat_protocol::{Cursor, Epoch, RoomName, Seq};

use super::Stamp;
use super::hash::QuickMap;
use super::log::Log;
use super::ranges::Ranges;
use super::verdict::{Findings, Violation};

/// A room without its readers.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// What was sent and is not settled.
    pub(super) messages: QuickMap<Stamp, Message>,
    /// What was sent and settled, by sender.
    settled: QuickMap<u64, Ranges>,
    /// The epoch in which all of those are; `None` when they are of several.
    pub(super) settled_in: Option<Epoch>,
    /// Places at or before the last that was folded, kept for readers who may still be given them.
    pub(super) kept: Vec<u64>,
    /// Messages that an ack or a refusal may still come for.
    pub(super) waiting: u64,
    /// The last ack that was told.
    pub(super) last_acked: Option<Cursor>,
    /// Where the log ends, if that was told.
    pub(super) head: Option<Cursor>,
    pub(super) epochs: BTreeMap<Epoch, Log>,
    /// Readers went from the first epoch to the second without a gap; the highest seq they had then.
    pub(super) seams: HashMap<(Epoch, Epoch), Seq>,
}

/// A message that is not settled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    pub(super) acked: Option<Cursor>,
    /// Where it was read, once that place is forgotten.
    pub(super) folded: Option<Cursor>,
    /// Nobody will tell its fate.
    pub(super) is_given_up: bool,
    /// It was read, at a place that cannot be told.
    pub(super) is_seen: bool,
}

/// What is known of a message that a reader was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// Acked, at this place of the epoch.
    At(u64),
    /// Its place is for the readers to say: it has no ack, or one from another epoch.
    Anywhere,
    /// An ack or a refusal may still come.
    Waiting,
    /// Acked and read, long ago.
    Settled,
    /// Nobody sent it, or it was refused.
    Invented,
}

impl Message {
    /// Whether it was read, at a place that is forgotten or never was known.
    pub(super) fn is_read(&self) -> bool {
        self.folded.is_some() || self.is_seen
    }
}

impl Book {
    pub(super) fn sent(&mut self, stamp: Stamp) {
        if !self.is_sent(stamp) {
            self.messages.insert(stamp, Message::default());
            self.waiting += 1;
        }
    }

    pub(super) fn is_sent(&self, stamp: Stamp) -> bool {
        self.messages.contains_key(&stamp) || self.is_settled(stamp)
    }

    pub(super) fn is_settled(&self, stamp: Stamp) -> bool {
        let ranges = self.settled.get(&stamp.sender);
        ranges.is_some_and(|ranges| ranges.contains(stamp.counter))
    }

    pub(super) fn acked(
        &mut self,
        stamp: Stamp,
        at: Cursor,
        room: &RoomName,
        findings: &mut Findings,
    ) {
        self.last_acked = Some(at);
        let is_settled = self.is_settled(stamp);
        let Some(message) = self.messages.get_mut(&stamp) else {
            if !is_settled {
                findings.report(
                    Violation::Invented,
                    room,
                    at,
                    &format!("the ack of {stamp}"),
                );
            }
            return;
        };
        if let Some(before) = message.acked.or(message.folded)
            && before != at
        {
            let text = format!("{stamp} was acked or read at {before} before");
            findings.report(Violation::Disagreed, room, at, &text);
        }
        if message.acked.is_some() {
            return;
        }
        findings.counts.acked += 1;
        message.acked = Some(at);
        self.waiting -= u64::from(!message.is_given_up);
        let (is_folded, log) = (
            message.folded.is_some(),
            self.epochs.entry(at.epoch).or_default(),
        );
        match log.slot_mut(at.seq.0) {
            Some(slot) if slot.acked.is_some_and(|other| other != stamp) => {
                let text = format!("{stamp} was acked where {:?} was", slot.acked);
                findings.report(Violation::Disagreed, room, at, &text);
            }
            Some(slot) => slot.acked = Some(stamp),
            None if is_folded => self.settle(stamp),
            // Everybody was past it when the ack came, and nobody had it.
            None => {
                findings.counts.unjudged += 1;
                self.settle(stamp);
            }
        }
    }

    pub(super) fn refused(&mut self, stamp: Stamp) -> bool {
        let is_open = self
            .messages
            .get(&stamp)
            .is_some_and(|message| message.acked.is_none());
        if is_open && let Some(message) = self.messages.remove(&stamp) {
            self.waiting -= u64::from(!message.is_given_up);
        }
        is_open
    }

    pub(super) fn given_up(&mut self, stamp: Stamp) {
        if let Some(message) = self.messages.get_mut(&stamp)
            && message.acked.is_none()
            && !message.is_given_up
        {
            message.is_given_up = true;
            self.waiting -= 1;
        }
    }

    /// A message was read, and nobody can say at which place.
    pub(super) fn seen(&mut self, stamp: Option<Stamp>) {
        let message = stamp.and_then(|stamp| self.messages.get_mut(&stamp));
        if let Some(message) = message {
            message.is_seen = true;
        }
    }

    /// A message of which nothing more has to be known than that it was sent.
    pub(super) fn settle(&mut self, stamp: Stamp) {
        if let Some(message) = self.messages.remove(&stamp)
            && message.acked.is_none()
            && !message.is_given_up
        {
            self.waiting -= 1;
        }
        let ranges = self.settled.entry(stamp.sender).or_default();
        ranges.insert(stamp.counter);
    }

    pub(super) fn fate(&self, stamp: Stamp, epoch: Epoch) -> Fate {
        let Some(message) = self.messages.get(&stamp) else {
            return match self.is_settled(stamp) {
                true if self.settled_in == Some(epoch) => Fate::Settled,
                true => Fate::Anywhere,
                false => Fate::Invented,
            };
        };
        match message.acked {
            Some(at) if at.epoch == epoch => Fate::At(at.seq.0),
            Some(_) => Fate::Anywhere,
            None if message.is_given_up => Fate::Anywhere,
            None => Fate::Waiting,
        }
    }

    pub(super) fn log(&mut self, epoch: Epoch) -> &mut Log {
        self.epochs.entry(epoch).or_default()
    }

    /// Where the log ends, as far as it is known.
    pub(super) fn end(&self) -> Option<Cursor> {
        self.head.or(self.last_acked)
    }

    /// Entries that are held.
    pub(super) fn len(&self) -> usize {
        self.messages.len() + self.epochs.values().map(Log::len).sum::<usize>()
    }
}
