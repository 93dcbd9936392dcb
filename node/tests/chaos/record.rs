//! What everybody did and saw: the ledger that judges it, and how long things took.
//!
//! Clients tell it in the order in which it happens to each of them. It judges nothing itself but
//! what the ledger cannot know: clients that ended, refusals for good, acks that never came.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use chat_client::ledger::{Ledger, ReaderId, Stamp, Verdict};
use chat_client::protocol::{Cursor, RoomName};
use chat_client::{Event, PublishError};

use crate::driver::since_start;
use crate::driver::times::Times;

/// Shared by all who take part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    ledger: Ledger,
    times: Times,
    places: HashMap<(ReaderId, RoomName), Cursor>,
    figures: Figures,
    faults: Vec<String>,
    /// What each reader was told beside messages, latest last.
    trails: BTreeMap<ReaderId, VecDeque<String>>,
}

/// What is counted beside the ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Messages published.
    pub(crate) sent: u64,
    /// Messages acked.
    pub(crate) acked: u64,
    /// Messages whose fate the SDK says it does not know.
    pub(crate) unknown: u64,
    /// Messages read, over all readers.
    pub(crate) read: u64,
    /// Gaps that readers were told of, by their reason.
    pub(crate) gaps: BTreeMap<String, u64>,
    /// Connections that were lost.
    pub(crate) disconnects: u64,
    /// Readers that came back with a stored cursor.
    pub(crate) returns: u64,
}

impl Record {
    /// One more who reads.
    pub(crate) fn reader(&self) -> ReaderId {
        self.lock().ledger.reader()
    }

    /// A message is about to be published.
    pub(crate) fn sent(&self, room: &RoomName, stamp: Stamp) {
        let mut inner = self.lock();
        inner.figures.sent += 1;
        inner.ledger.sent(room, stamp);
    }

    /// The fate of a message is known.
    pub(crate) fn settled(
        &self,
        room: &RoomName,
        stamp: Stamp,
        fate: Result<Cursor, PublishError>,
    ) {
        let mut inner = self.lock();
        match fate {
            Ok(cursor) => inner.acked(room, stamp, cursor),
            Err(PublishError::Unknown) => {
                inner.figures.unknown += 1;
                inner.ledger.given_up(room, stamp);
            }
            Err(error) => inner.fault(format!("{stamp} in #{room} was given up: {error}")),
        }
    }

    /// A message was acked.
    pub(crate) fn acked(&self, room: &RoomName, stamp: Stamp, cursor: Cursor) {
        self.lock().acked(room, stamp, cursor);
    }

    /// A reader comes back with the cursors that it stored.
    pub(crate) fn returned(&self) {
        self.lock().figures.returns += 1;
    }

    /// A reader was told something.
    pub(crate) fn observe(&self, reader: ReaderId, event: &Event) {
        let now = Instant::now();
        let mut inner = self.lock();
        inner.ledger.observe(reader, event);
        match event {
            Event::Connected(welcomed) => inner.times.connected(reader, &welcomed.target),
            Event::Disconnected { .. } => inner.disconnected(reader),
            Event::Joined { room, .. } => inner.times.joined(reader, room, now),
            Event::Message {
                room,
                cursor,
                history,
                ..
            } => {
                inner.figures.read += 1;
                if !history {
                    inner.times.read(reader, room, *cursor, now);
                }
            }
            Event::Gap { room, reason, .. } => {
                *inner.figures.gaps.entry(format!("{reason:?}")).or_default() += 1;
                inner.times.joined(reader, room, now);
            }
            Event::Left { room, reason } => {
                inner.fault(format!("{reader:?} was made to leave #{room}: {reason:?}"));
            }
            Event::Closed { reason } => inner.fault(format!("{reader:?} was closed: {reason}")),
            _ => {}
        }
        inner.follow_trail(reader, event);
        if let (Some(room), Some(cursor)) = (event.room(), event.cursor()) {
            inner.places.insert((reader, room.clone()), cursor);
        }
    }

    /// A reader lost its connection.
    pub(crate) fn disconnected(&self, reader: ReaderId) {
        self.lock().disconnected(reader);
    }

    /// A reader is told nothing for a while.
    pub(crate) fn away(&self, reader: ReaderId) {
        self.lock().times.disconnected(reader);
    }

    /// Readers who have not read up to a place yet.
    pub(crate) fn behind(&self, marks: &HashMap<RoomName, Cursor>) -> Vec<String> {
        let inner = self.lock();
        let is_behind = |room: &RoomName, at: &Cursor| {
            marks
                .get(room)
                .is_some_and(|mark| at.epoch != mark.epoch || at.seq < mark.seq)
        };
        inner
            .places
            .iter()
            .filter(|((_, room), at)| is_behind(room, at))
            .map(|((reader, room), at)| format!("{reader:?} in #{room} at {at}"))
            .collect()
    }

    /// Something that must not happen, beside what the ledger finds.
    pub(crate) fn fault(&self, what: impl Into<String>) {
        self.lock().fault(what.into());
    }

    /// Tells the times about a fault.
    pub(crate) fn time(&self, tell: impl FnOnce(&mut Times, Instant)) {
        let now = Instant::now();
        tell(&mut self.lock().times, now);
    }

    /// The figures as they stand.
    pub(crate) fn figures(&self) -> Figures {
        self.lock().figures.clone()
    }

    /// How long things took.
    pub(crate) fn times(&self) -> Times {
        self.lock().times.clone()
    }

    /// What must not have happened, beside what the ledger finds.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.lock().faults.clone()
    }

    /// What readers were told beside messages, latest last. For those who look for a fault.
    pub(crate) fn trails(&self) -> String {
        let inner = self.lock();
        let mut text = String::new();
        for (reader, trail) in &inner.trails {
            text.push_str(&format!("{reader:?} was told\n"));
            for line in trail {
                text.push_str(&format!("  {line}\n"));
            }
        }
        text
    }

    /// The ledger's judgement. Everything must have come to rest.
    pub(crate) fn judge(&self) -> Verdict {
        self.lock().ledger.judge()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

impl Inner {
    fn acked(&mut self, room: &RoomName, stamp: Stamp, cursor: Cursor) {
        self.figures.acked += 1;
        self.ledger.acked(room, stamp, cursor);
        self.times.acked(room, cursor, Instant::now());
    }

    fn disconnected(&mut self, reader: ReaderId) {
        self.figures.disconnects += 1;
        self.times.disconnected(reader);
    }

    fn follow_trail(&mut self, reader: ReaderId, event: &Event) {
        let what = match event {
            Event::Connected(welcomed) => format!("connected to {}", welcomed.target),
            Event::Disconnected { reason, .. } => format!("disconnected: {reason}"),
            Event::Joined {
                room,
                head,
                next,
                rejoined,
                ..
            } => format!("joined #{room}, next {next}, head {head}, again: {rejoined}"),
            Event::Gap {
                room,
                reason,
                from,
                next,
            } => format!("gap in #{room}, {reason:?}, from {from:?} to {next}"),
            Event::Goaway { .. } => "goaway".to_owned(),
            _ => return,
        };
        let trail = self.trails.entry(reader).or_default();
        if trail.len() == TRAIL_MAX {
            trail.pop_front();
        }
        trail.push_back(format!("[{:7.1} s] {what}", since_start()));
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(what);
        }
    }
}

/// Enough for what led to the end of a run.
const TRAIL_MAX: usize = 60;

/// More say nothing new.
const FAULTS_MAX: usize = 50;
