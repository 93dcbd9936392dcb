//! What a run measures while it goes on: counters and distributions, for all and for each target.
//!
//! Clients write into shards, each under a lock of its own that is held for a few steps; once a
//! second the run takes out what is new. Memory does not grow with the run, but for the rows of the
//! timeline, which are at most [`INTERVALS_MAX`].

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_client::Traffic;
use hdrhistogram::Histogram;

use super::report::{ErrorRow, Interval, Summary};

mod timeline;

pub use timeline::{INTERVALS_MAX, Timeline};

/// A distribution of times.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        // Three digits between 1 µs and 10 minutes; what is longer counts as that.
        let histogram = Histogram::new_with_bounds(1, TIME_MAX_US, 3);
        Self(histogram.expect("bounds that make sense"))
    }
}

impl Times {
    /// Counts a time.
    pub fn add(&mut self, time: Duration) {
        self.0
            .saturating_record(u64::try_from(time.as_micros()).unwrap_or(TIME_MAX_US));
    }

    /// Counts what another counted.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the same bounds");
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if !self.0.is_empty() {
            self.0.reset();
        }
    }

    /// What was counted.
    #[must_use]
    pub fn summary(&self) -> Summary {
        if self.0.is_empty() {
            return Summary::default();
        }
        let quantile = |quantile| self.0.value_at_quantile(quantile).min(self.0.max());
        Summary {
            count: self.0.len(),
            min: self.0.min(),
            mean: self.0.mean(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            p9999: quantile(0.9999),
            max: self.0.max(),
        }
    }
}

/// What happened at one target.
#[derive(Clone, Debug, Default)]
pub struct TargetMeter {
    /// Messages sent through it.
    pub sent: u64,
    /// Messages it acked.
    pub acked: u64,
    /// Deliveries it made.
    pub delivered: u64,
    /// Reconnects of its clients.
    pub reconnects: u64,
    /// Errors of its clients.
    pub errors: u64,
    /// From due to acked.
    pub ack: Times,
    /// From due to a reader.
    pub delivery: Times,
}

/// All that is measured.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    /// By target.
    pub targets: Vec<TargetMeter>,
    /// From the first packet to the welcome.
    pub connect: Times,
    /// Of deliveries, those to readers on the sender's node.
    pub same_node: Times,
    /// Of deliveries, those to readers on another node.
    pub cross_node: Times,
    /// From sent to acked.
    pub service_ack: Times,
    /// From sent to a reader.
    pub service_delivery: Times,
    /// From due to sent.
    pub lag: Times,
    /// Messages that were due and not sent.
    pub skipped: u64,
    /// Messages refused for good.
    pub refused: u64,
    /// Connections made, also again.
    pub opened: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Ended and made again on purpose.
    pub returns: u64,
    /// Sessions that went on after a reconnect or a return.
    pub resumed: u64,
    /// What clients exchanged that have ended.
    pub traffic: Traffic,
    /// By code.
    pub errors: BTreeMap<String, ErrorRow>,
}

impl Measures {
    fn of_targets(targets: usize) -> Self {
        Self {
            targets: vec![TargetMeter::default(); targets],
            ..Self::default()
        }
    }

    /// Adds what another measured, and clears that.
    fn take_in(&mut self, new: &mut Self) {
        for (all, new) in self.targets.iter_mut().zip(&mut new.targets) {
            all.sent += mem::take(&mut new.sent);
            all.acked += mem::take(&mut new.acked);
            all.delivered += mem::take(&mut new.delivered);
            all.reconnects += mem::take(&mut new.reconnects);
            all.errors += mem::take(&mut new.errors);
        }
        self.skipped += mem::take(&mut new.skipped);
        self.refused += mem::take(&mut new.refused);
        self.opened += mem::take(&mut new.opened);
        self.failed += mem::take(&mut new.failed);
        self.returns += mem::take(&mut new.returns);
        self.resumed += mem::take(&mut new.resumed);
        self.traffic += mem::take(&mut new.traffic);
        for (all, new) in self.times().into_iter().zip(new.times()) {
            if !new.0.is_empty() {
                all.merge(new);
                new.clear();
            }
        }
        for (code, row) in mem::take(&mut new.errors) {
            self.errors
                .entry(code)
                .and_modify(|known| {
                    known.count += row.count;
                    known.first_s = known.first_s.min(row.first_s);
                    known.last_s = known.last_s.max(row.last_s);
                })
                .or_insert(row);
        }
    }

    fn times(&mut self) -> Vec<&mut Times> {
        let mut times = vec![
            &mut self.connect,
            &mut self.same_node,
            &mut self.cross_node,
            &mut self.service_ack,
            &mut self.service_delivery,
            &mut self.lag,
        ];
        for target in &mut self.targets {
            times.extend([&mut target.ack, &mut target.delivery]);
        }
        times
    }

    /// Sums over all targets: sent, acked, delivered, reconnects, errors.
    #[must_use]
    pub fn sums(&self) -> Sums {
        self.targets
            .iter()
            .fold(Sums::default(), |sums, target| Sums {
                sent: sums.sent + target.sent,
                acked: sums.acked + target.acked,
                delivered: sums.delivered + target.delivered,
                reconnects: sums.reconnects + target.reconnects,
                errors: sums.errors + target.errors,
            })
    }

    /// Acks at all targets.
    #[must_use]
    pub fn ack(&self) -> Times {
        self.joined(|target| &target.ack)
    }

    /// Deliveries at all targets.
    #[must_use]
    pub fn delivery(&self) -> Times {
        self.joined(|target| &target.delivery)
    }

    fn joined(&self, of: impl Fn(&TargetMeter) -> &Times) -> Times {
        let mut all = Times::default();
        for target in &self.targets {
            all.merge(of(target));
        }
        all
    }
}

/// Sums over all targets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sums {
    /// Messages sent.
    pub sent: u64,
    /// Messages acked.
    pub acked: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Reconnects.
    pub reconnects: u64,
    /// Errors.
    pub errors: u64,
}

/// Where all clients write what they measure.
#[derive(Debug)]
pub struct Meter {
    shards: Vec<Mutex<Measures>>,
}

impl Meter {
    /// For so many targets.
    #[must_use]
    pub fn new(targets: usize) -> Self {
        Self {
            shards: (0..SHARDS)
                .map(|_| Mutex::new(Measures::of_targets(targets)))
                .collect(),
        }
    }

    /// The shard of a client: never to be held over an await.
    pub fn shard(&self, client: usize) -> MutexGuard<'_, Measures> {
        // No code that can panic runs under this lock.
        self.shards[client % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// An error of a client at a target.
    pub fn error(&self, client: usize, target: usize, at: Duration, code: &str, text: &str) {
        let mut shard = self.shard(client);
        if let Some(target) = shard.targets.get_mut(target) {
            target.errors += 1;
        }
        // A node that made up ever new codes would otherwise fill the memory.
        let code = if shard.errors.len() < CODES_MAX || shard.errors.contains_key(code) {
            code
        } else {
            "other"
        };
        let at_s = at.as_secs_f64();
        let row = shard
            .errors
            .entry(code.to_owned())
            .or_insert_with(|| ErrorRow {
                code: code.to_owned(),
                text: text.chars().take(TEXT_CHARS_MAX).collect(),
                count: 0,
                first_s: at_s,
                last_s: at_s,
            });
        row.count += 1;
        row.last_s = at_s;
    }

    /// Takes out what is new since the last time, into `all`. Gives the interval's own figures.
    pub fn drain_into(&self, all: &mut Measures) -> Interval {
        let before = all.sums();
        let mut new = Measures::of_targets(all.targets.len());
        for shard in 0..SHARDS {
            new.take_in(&mut self.shard(shard));
        }
        let (ack, delivery) = (new.ack().summary(), new.delivery().summary());
        let lag = new.lag.summary();
        all.take_in(&mut new);
        let now = all.sums();
        Interval {
            sent: now.sent - before.sent,
            acked: now.acked - before.acked,
            delivered: now.delivered - before.delivered,
            reconnects: now.reconnects - before.reconnects,
            errors: now.errors - before.errors,
            ack_p50_us: ack.p50,
            ack_p99_us: ack.p99,
            delivery_p50_us: delivery.p50,
            delivery_p99_us: delivery.p99,
            delivery_max_us: delivery.max,
            lag_p99_us: lag.p99,
            ..Interval::default()
        }
    }
}

/// Everything measured so far, empty, for so many targets.
#[must_use]
pub fn nothing_measured(targets: usize) -> Measures {
    Measures::of_targets(targets)
}

/// The longest time that is told apart.
const TIME_MAX_US: u64 = 600_000_000;

/// So few clients share a lock that it is rarely waited for.
const SHARDS: usize = 8;

/// Codes that are counted apart.
const CODES_MAX: usize = 64;

/// As much of an error's text as a line holds.
const TEXT_CHARS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn what_shards_measured_is_counted_once() {
        let meter = Meter::new(2);
        let mut all = nothing_measured(2);
        for client in 0..20 {
            let mut shard = meter.shard(client);
            shard.targets[client % 2].sent += 1;
            shard.targets[client % 2]
                .delivery
                .add(us(100 + client as u64));
        }
        let interval = meter.drain_into(&mut all);
        assert_eq!((interval.sent, interval.delivery_max_us), (20, 119));
        let again = meter.drain_into(&mut all);
        assert_eq!((again.sent, again.delivery_max_us), (0, 0));
        meter.shard(3).targets[1].delivery.add(us(7));
        assert_eq!(meter.drain_into(&mut all).delivery_p50_us, 7);
        let summary = all.delivery().summary();
        assert_eq!((summary.count, summary.min, summary.max), (21, 7, 119));
        assert_eq!(all.targets[0].sent, 10);
    }

    #[test]
    fn errors_are_told_by_code_and_bounded() {
        let meter = Meter::new(1);
        let mut all = nothing_measured(1);
        meter.error(1, 0, Duration::from_secs(2), "overloaded", "busy");
        meter.error(1, 0, Duration::from_secs(5), "overloaded", "busy");
        meter.error(2, 0, Duration::from_secs(1), "overloaded", "busy");
        meter.drain_into(&mut all);
        let row = &all.errors["overloaded"];
        assert_eq!((row.count, row.first_s, row.last_s), (3, 1.0, 5.0));
        for number in 0..1_000 {
            meter.error(1, 0, Duration::ZERO, &format!("code {number}"), "");
        }
        meter.drain_into(&mut all);
        assert_eq!(all.errors.values().map(|row| row.count).sum::<u64>(), 1_003);
        assert!(all.errors.len() <= CODES_MAX + 2);
    }

    #[test]
    fn a_time_beyond_all_counts_as_the_longest() {
        let mut times = Times::default();
        times.add(Duration::from_secs(86_400));
        times.add(Duration::ZERO);
        let summary = times.summary();
        assert_eq!((summary.count, summary.min), (2, 0));
        assert!(summary.max >= TIME_MAX_US);
        assert_eq!(Times::default().summary().count, 0);
    }
}
