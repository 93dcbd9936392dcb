//! How long a message took from its ack to each reader, sorted by what went wrong meanwhile.
//!
//! Counted are readers who were joined when the ack came and stayed so until they read: those who
//! came later read history. What makes a node deaf is a disturbance; a time that falls into one is
//! counted from its end or from the ack, whichever came later, and under the first class that fits.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use chat_client::ledger::ReaderId;
use chat_client::protocol::{Cursor, RoomName};

/// All times of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    acks: HashMap<(RoomName, Cursor), Instant>,
    acks_in_order: VecDeque<(Instant, (RoomName, Cursor))>,
    readers: HashMap<ReaderId, Place>,
    /// Read before they were acked, by so many.
    early: HashMap<(RoomName, Cursor), usize>,
    disturbances: Vec<Disturbance>,
    samples: BTreeMap<Class, Vec<Duration>>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    target: String,
    joined: HashMap<RoomName, Instant>,
}

/// Something that keeps nodes from hearing what is appended.
#[derive(Clone, Debug)]
struct Disturbance {
    class: Class,
    /// The only node it concerns.
    target: Option<String>,
    from: Instant,
    until: Option<Instant>,
}

/// What went wrong between an ack and its reading.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Class {
    /// The reader's node was frozen.
    NodeFrozen,
    /// Redis was killed or frozen.
    RedisAway,
    /// Redis lost everything.
    RedisFlushed,
    /// Nodes were cut from what they hear by.
    SubscribersCut,
    /// The same in the room where little is said, so that nothing later tells of a loss.
    SubscribersCutQuiet,
    /// Nothing of these.
    Undisturbed,
}

impl Class {
    /// All of them, with what they are in the report.
    pub(crate) const ALL: [(Self, &'static str); 6] = [
        (Self::Undisturbed, "undisturbed"),
        (Self::SubscribersCut, "subscribers cut"),
        (Self::SubscribersCutQuiet, "same, in a quiet room"),
        (Self::NodeFrozen, "node frozen, goes on"),
        (Self::RedisAway, "redis away, is back"),
        (Self::RedisFlushed, "redis flushed"),
    ];
}

impl Times {
    pub(crate) fn acked(&mut self, room: &RoomName, cursor: Cursor, now: Instant) {
        while let Some((at, _)) = self.acks_in_order.front()
            && now.duration_since(*at) > KEPT
        {
            if let Some((_, key)) = self.acks_in_order.pop_front() {
                self.acks.remove(&key);
            }
        }
        let key = (room.clone(), cursor);
        if let Some(len) = self.early.remove(&key) {
            let samples = self.samples.entry(Class::Undisturbed).or_default();
            samples.extend(std::iter::repeat_n(Duration::ZERO, len));
        }
        self.acks_in_order.push_back((now, key.clone()));
        self.acks.insert(key, now);
    }

    pub(crate) fn connected(&mut self, reader: ReaderId, target: &str) {
        let place = Place {
            target: target.to_owned(),
            joined: HashMap::new(),
        };
        self.readers.insert(reader, place);
    }

    pub(crate) fn disconnected(&mut self, reader: ReaderId) {
        self.readers.remove(&reader);
    }

    pub(crate) fn joined(&mut self, reader: ReaderId, room: &RoomName, now: Instant) {
        if let Some(place) = self.readers.get_mut(&reader) {
            place.joined.insert(room.clone(), now);
        }
    }

    /// A reader read what is no history to it. When it is not acked yet, reading took no time.
    pub(crate) fn read(&mut self, reader: ReaderId, room: &RoomName, cursor: Cursor, now: Instant) {
        let Some(place) = self.readers.get(&reader) else {
            return;
        };
        let Some(&joined) = place.joined.get(room) else {
            return;
        };
        let Some(&acked) = self.acks.get(&(room.clone(), cursor)) else {
            *self.early.entry((room.clone(), cursor)).or_default() += 1;
            return;
        };
        if joined > acked {
            return;
        }
        let (class, from) = self.classify(&place.target, room, acked);
        let samples = self.samples.entry(class).or_default();
        if samples.len() < SAMPLES_MAX {
            samples.push(now.saturating_duration_since(from));
        }
    }

    fn classify(&self, target: &str, room: &RoomName, acked: Instant) -> (Class, Instant) {
        let hit = |disturbance: &Disturbance| {
            let until = disturbance.until?;
            let is_here = disturbance.target.as_ref().is_none_or(|one| one == target);
            let is_then = acked + BEFORE >= disturbance.from && acked <= until + AFTER;
            (is_here && is_then).then_some((disturbance.class, acked.max(until)))
        };
        let first = self.disturbances.iter().filter_map(hit).min();
        match first {
            Some((Class::SubscribersCut, from)) if room.as_str() == QUIET => {
                (Class::SubscribersCutQuiet, from)
            }
            Some(first) => first,
            None => (Class::Undisturbed, acked),
        }
    }

    /// A disturbance begins.
    pub(crate) fn begin(&mut self, class: Class, target: Option<&str>, now: Instant) {
        let is_recent = |until: Instant| now.duration_since(until) < KEPT;
        self.disturbances
            .retain(|disturbance| disturbance.until.is_none_or(is_recent));
        self.disturbances.push(Disturbance {
            class,
            target: target.map(str::to_owned),
            from: now,
            until: None,
        });
    }

    /// It ends.
    pub(crate) fn end(&mut self, class: Class, target: Option<&str>, now: Instant) {
        for disturbance in &mut self.disturbances {
            if disturbance.class == class && disturbance.target.as_deref() == target {
                disturbance.until.get_or_insert(now);
            }
        }
    }

    /// What was measured of a class.
    pub(crate) fn quantiles(&self, class: Class) -> Option<Quantiles> {
        Quantiles::of(self.samples.get(&class)?.clone())
    }
}

/// A distribution in few figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantiles {
    len: usize,
    p50: Duration,
    p99: Duration,
    max: Duration,
}

impl Quantiles {
    fn of(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        let at = |hundredths: usize| samples[(samples.len() - 1) * hundredths / 100];
        (!samples.is_empty()).then(|| Self {
            len: samples.len(),
            p50: at(50),
            p99: at(99),
            max: at(100),
        })
    }
}

impl Display for Quantiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        let (p50, p99, max) = (ms(self.p50), ms(self.p99), ms(self.max));
        write!(
            out,
            "p50 {p50:7.1} ms   p99 {p99:7.1} ms   max {max:7.1} ms   of {}",
            self.len
        )
    }
}

/// The room where little is said.
pub(crate) const QUIET: &str = "quiet";

/// What was acked this long before a disturbance may have been announced into it.
const BEFORE: Duration = Duration::from_millis(100);

/// What was acked this long after a disturbance may have met a node that is not well yet.
const AFTER: Duration = Duration::from_secs(3);

/// Readers that stay joined have read by then.
const KEPT: Duration = Duration::from_secs(120);

/// Bounds the memory of a run of a day.
const SAMPLES_MAX: usize = 20_000_000;
