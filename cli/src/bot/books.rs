//! The books of a run: what was measured, second by second, and how that is shown.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::conclude::LAG_MAX_US;
use super::files::Files;
use super::meter::{Measures, Sums, Timeline, Times, nothing_measured};
use super::progress::{Phase, Progress, TargetProgress};
use super::report::{Interval, Quic, Summary};
use super::site::{Seat, Site};

/// Everything that was measured so far.
#[derive(Debug)]
pub struct Books {
    site: Arc<Site>,
    measures: Measures,
    timeline: Timeline,
    /// The last seconds, for whoever watches.
    recent: Vec<Interval>,
    /// Deliveries and acks of the last second, by target.
    lately: Vec<(u64, u64)>,
    /// When the load begins, since the program began.
    begins: Duration,
    closed: Duration,
    planned: u64,
}

/// What is known when the load is over.
#[derive(Clone, Debug, Default)]
pub struct AtEnd {
    /// What QUIC counted.
    pub quic: Quic,
    /// Round-trip times by target.
    pub rtts: Vec<Summary>,
    /// Clients by target.
    pub open: Vec<u64>,
    /// What was counted by then.
    pub sums: Sums,
}

impl Books {
    /// Empty ones.
    #[must_use]
    pub fn new(site: Arc<Site>) -> Self {
        let targets = site.targets.len();
        Self {
            site,
            measures: nothing_measured(targets),
            timeline: Timeline::default(),
            recent: Vec::new(),
            lately: vec![(0, 0); targets],
            begins: Duration::ZERO,
            closed: Duration::ZERO,
            planned: 0,
        }
    }

    /// Takes in what was measured while clients connect: nothing is due yet, so there is no row.
    pub fn collect(&mut self) {
        self.site.meter.drain_into(&mut self.measures);
    }

    /// The load begins then, since the program began.
    pub fn open(&mut self, begins: Duration) {
        self.collect();
        (self.begins, self.closed) = (begins, begins);
    }

    /// Closes a second when one has passed, in which messages became due until `at` of the plan.
    pub fn tick(&mut self, at: Duration, files: &mut Files) {
        if self.site.now().saturating_sub(self.closed) >= SECOND {
            self.close(at, files);
        }
    }

    /// Closes what has passed of a second.
    pub fn close(&mut self, at: Duration, files: &mut Files) {
        let now = self.site.now();
        let length = now.saturating_sub(self.closed);
        if length.is_zero() {
            return;
        }
        self.closed = now;
        let before: Vec<(u64, u64)> = self.by_target();
        let planned = self.site.plan.profile.due_until(at).max(self.planned);
        let interval = Interval {
            at_s: now.saturating_sub(self.begins).as_secs_f64(),
            length_s: length.as_secs_f64(),
            planned: planned - self.planned,
            open: self.site.open(),
            ..self.site.meter.drain_into(&mut self.measures)
        };
        self.planned = planned;
        self.lately = self
            .by_target()
            .into_iter()
            .zip(before)
            .map(|(now, before)| (now.0 - before.0, now.1 - before.1))
            .collect();
        // Not more often: who asks twice between a delivery and its ack takes it for unacked.
        self.site.proof.settle();
        files.row(&interval);
        self.timeline.push(interval);
        self.recent.push(interval);
        if self.recent.len() > RECENT_MAX {
            self.recent.remove(0);
        }
    }

    /// Messages that became due so far.
    #[must_use]
    pub const fn planned(&self) -> u64 {
        self.planned
    }

    /// What is known now, when the load is over.
    #[must_use]
    pub fn at_end(&self) -> AtEnd {
        let targets = 0..self.site.targets.len();
        AtEnd {
            quic: self.quic(),
            rtts: targets
                .clone()
                .map(|target| self.rtts(target).summary())
                .collect(),
            open: targets.map(|target| self.site.open_at(target)).collect(),
            sums: self.measures.sums(),
        }
    }

    /// Everything, in the end.
    #[must_use]
    pub fn into_parts(self) -> (Measures, Timeline) {
        (self.measures, self.timeline)
    }

    /// How the run goes, for whoever watches.
    #[must_use]
    pub fn progress(&self, phase: Phase, done: Option<f64>, target_rate: f64) -> Progress {
        let sums = self.measures.sums();
        let last = self.recent.last().copied().unwrap_or_default();
        let targets = 0..self.site.targets.len();
        let mut errors: Vec<_> = self.measures.errors.values().cloned().collect();
        errors.sort_by_key(|row| Reverse(row.count));
        Progress {
            phase,
            elapsed: self.site.now(),
            done,
            open: self.site.open(),
            clients: self.site.plan.clients.len() as u64,
            target_rate,
            is_paused: self.site.is_paused(),
            sent: sums.sent,
            acked: sums.acked,
            delivered: sums.delivered,
            violations: self.site.proof.violations(),
            ack: self.measures.ack().summary(),
            delivery: self.measures.delivery().summary(),
            lag_p99_us: last.lag_p99_us,
            is_limited: last.lag_p99_us > LAG_MAX_US,
            targets: targets.map(|target| self.target(target, &last)).collect(),
            errors,
            recent: self.recent.clone(),
        }
    }

    fn target(&self, target: usize, last: &Interval) -> TargetProgress {
        let clients = self.site.plan.clients.iter();
        let meter = &self.measures.targets[target];
        let per_s = |count: u64| count as f64 / last.length_s.max(0.001);
        let (delivered, acked) = self.lately[target];
        TargetProgress {
            target: self.site.targets[target].clone(),
            node: self.site.node_at(target),
            open: self.site.open_at(target),
            clients: clients.filter(|client| client.target == target).count() as u64,
            rtt: self.sample_rtt(target),
            delivered_per_s: per_s(delivered),
            acked_per_s: per_s(acked),
            reconnects: meter.reconnects,
            errors: meter.errors,
        }
    }

    fn by_target(&self) -> Vec<(u64, u64)> {
        let targets = self.measures.targets.iter();
        targets
            .map(|meter| (meter.delivered, meter.acked))
            .collect()
    }

    /// What QUIC counted so far, over all connections there were.
    fn quic(&self) -> Quic {
        let (mut all, mut rtts) = (self.measures.traffic, Times::default());
        for seat in &self.site.seats {
            let present = seat.present();
            let Some(present) = &*present else { continue };
            all += present.client.traffic();
            if let Some(stats) = present.client.connection_stats() {
                rtts.add(stats.rtt);
            }
        }
        let percent = |part: u64, whole: u64| part as f64 / whole.max(1) as f64 * 100.0;
        Quic {
            rtt_us: rtts.summary(),
            packets_sent: all.packets_sent,
            packets_lost: all.packets_lost,
            loss_percent: percent(all.packets_lost, all.packets_sent),
            datagrams_received: all.datagrams_received,
            bytes_received: all.bytes_received,
            bytes_sent: all.bytes_sent,
            deliveries_per_datagram: self.measures.sums().delivered as f64
                / all.datagrams_received.max(1) as f64,
            congestion_events: all.congestion_events,
        }
    }

    /// The round-trip time of one of the connections to a target.
    fn sample_rtt(&self, target: usize) -> Duration {
        let mut seats = self.site.seats.iter();
        seats
            .find_map(|seat| rtt_at(seat, target))
            .unwrap_or_default()
    }

    /// Round-trip times of all connections to a target.
    fn rtts(&self, target: usize) -> Times {
        let mut times = Times::default();
        let seats = self.site.seats.iter();
        seats
            .filter_map(|seat| rtt_at(seat, target))
            .for_each(|rtt| times.add(rtt));
        times
    }
}

fn rtt_at(seat: &Seat, target: usize) -> Option<Duration> {
    let present = seat.present();
    let there = present
        .as_ref()
        .filter(|present| present.target == target)?;
    Some(there.client.connection_stats()?.rtt)
}

const SECOND: Duration = Duration::from_secs(1);

/// Seconds that whoever watches sees.
const RECENT_MAX: usize = 120;
