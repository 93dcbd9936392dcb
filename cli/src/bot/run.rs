//! A run from beginning to end: connect, load, drain, judge.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::{SeedableRng, seq::SliceRandom};
use tokio::sync::mpsc;
use tokio::time::{self, Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{BotClient, Order};
use super::conclude::Findings;
use super::display::Display;
use super::files::Files;
use super::meter::{Measures, Timeline, Times, nothing_measured};
use super::pacer::Pacer;
use super::progress::{Phase, Progress, TargetProgress};
use super::report::{Ended, Interval, Quic};
use super::site::{Seat, Site};
use super::system;
use crate::stop::Stop;

/// What a run is told from outside.
#[derive(Debug)]
pub struct Outside<'a> {
    /// Signals.
    pub stop: &'a Stop,
    /// Whoever watches, and what he presses.
    pub display: &'a mut Display,
    /// Where rows are written while it goes on.
    pub files: &'a mut Files,
}

/// A run.
#[derive(Debug)]
pub struct Run<'a> {
    site: Arc<Site>,
    outside: Outside<'a>,
    orders: Vec<mpsc::Sender<Order>>,
    tasks: TaskTracker,
    drain: Duration,
    connect_rate: f64,
    measures: Measures,
    timeline: Timeline,
    recent: Vec<Interval>,
    ended: Ended,
    ended_by_signal: bool,
    /// When the load began, since the program did.
    begins: Duration,
    chance: StdRng,
    reasons: Vec<String>,
    last_second: Duration,
    last_open: Duration,
    planned_before: u64,
}

impl<'a> Run<'a> {
    /// A run that has not begun.
    pub fn new(site: Arc<Site>, outside: Outside<'a>, drain: Duration, connect_rate: f64) -> Self {
        Self {
            measures: nothing_measured(site.targets.len()),
            chance: StdRng::seed_from_u64(site.plan.seed ^ 0x5eed),
            orders: Vec::new(),
            tasks: TaskTracker::new(),
            timeline: Timeline::default(),
            recent: Vec::new(),
            ended: Ended::Done,
            ended_by_signal: false,
            begins: Duration::ZERO,
            reasons: Vec::new(),
            last_second: Duration::ZERO,
            last_open: Duration::ZERO,
            planned_before: 0,
            site,
            outside,
            drain,
            connect_rate,
        }
    }

    /// Runs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub async fn run(mut self) -> std::io::Result<Findings> {
        self.connect().await;
        let connected = self.site.now();
        self.begins = connected + LEAD;
        let cpu_before = system::cpu_time();
        self.load().await?;
        let loaded = self.site.now();
        let cpu = system::cpu_time().saturating_sub(cpu_before);
        self.second(Duration::MAX);
        let quic = self.quic();
        let rtts: Vec<_> = (0..self.site.targets.len())
            .map(|target| self.rtts(target).summary())
            .collect();
        let open: Vec<u64> = (0..self.site.targets.len())
            .map(|target| self.site.open_at(target))
            .collect();
        let late = self.settle().await;
        let drained = self.site.now();
        self.second(Duration::MAX);
        let verdict = self.site.proof.verdict();
        self.site.end.cancel();
        self.tasks.close();
        let _ = time::timeout(END_MAX, self.tasks.wait()).await;
        Ok(Findings {
            verdict,
            measures: self.measures,
            timeline: self.timeline,
            quic,
            rtts,
            open,
            late,
            ended: self.ended,
            ended_by_signal: self.ended_by_signal,
            reasons: self.reasons,
            planned: self
                .site
                .plan
                .profile
                .due_until(loaded.saturating_sub(self.begins)),
            connect: connected,
            load: loaded.saturating_sub(self.begins),
            drain: drained.saturating_sub(loaded),
            cpu,
            memory: system::memory_peak().unwrap_or_default(),
            nodes: (0..self.site.targets.len())
                .map(|target| self.site.node_at(target))
                .collect(),
        })
    }

    /// All clients connect and join, at their rate or as fast as the nodes let them, until all are
    /// there or nobody has come for too long.
    async fn connect(&mut self) {
        let clients = self.site.plan.clients.len();
        let mut ticks = ticks();
        let begins = self.site.now();
        let mut came = (0, begins);
        loop {
            let elapsed = (self.site.now() - begins).as_secs_f64();
            let wanted = 1 + whole(elapsed * self.connect_rate);
            while self.orders.len() < wanted.min(clients) {
                let (orders, receiver) = mpsc::channel(1);
                let client = BotClient::new(self.orders.len(), Arc::clone(&self.site), receiver);
                self.orders.push(orders);
                self.tasks.spawn(client.run());
            }
            let open = self.present();
            if open == clients {
                return;
            }
            if open > came.0 {
                came = (open, self.site.now());
            }
            if self.site.now() - came.1 > CONNECT_MAX {
                self.reasons.push(format!(
                    "{} of {clients} clients could not connect and join",
                    clients - open
                ));
                return;
            }
            ticks.tick().await;
            let done = open as f64 / clients as f64;
            self.tell(Phase::Connecting, Some(done), 0.0);
            if self.is_over() {
                return;
            }
        }
    }

    /// Messages are due.
    async fn load(&mut self) -> std::io::Result<()> {
        let stop = CancellationToken::new();
        if self.ended != Ended::Done {
            return Ok(());
        }
        let pacer = Pacer::start(Arc::clone(&self.site), self.begins, stop.clone())?;
        self.last_second = self.begins;
        self.last_open = self.begins;
        let length = self.site.plan.profile.length();
        let mut ticks = ticks();
        let mut churned = self.begins;
        let mut stormed = self.begins;
        while !pacer.is_finished() {
            ticks.tick().await;
            let now = self.site.now();
            let at = pacer.plan_time(now);
            if !self.site.is_paused() {
                self.churn(now.saturating_sub(churned));
                churned = now;
                if let Some(every) = self.site.plan.storm
                    && now.saturating_sub(stormed) >= every
                {
                    stormed = now;
                    self.storm();
                }
            }
            self.second(at);
            let done = at.as_secs_f64() / length.as_secs_f64().max(0.001);
            let rate = self.site.plan.profile.rate_at(at);
            self.tell(Phase::Load, Some(done.min(1.0)), rate);
            if self.is_over() {
                break;
            }
            if self.site.open() > 0 {
                self.last_open = now;
            } else if now.saturating_sub(self.last_open) > GONE_AFTER {
                self.ended = Ended::ClusterGone;
                break;
            }
        }
        stop.cancel();
        // It looks every few milliseconds.
        while !pacer.is_finished() {
            time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// What is on its way arrives. Gives what came only after the drain time.
    async fn settle(&mut self) -> u64 {
        self.site.calm.cancel();
        if self.ended == Ended::ClusterGone {
            return 0;
        }
        let begins = Instant::now();
        let mut ticks = ticks();
        let mut at_deadline = None;
        loop {
            self.site.proof.settle();
            let counts = self.site.proof.verdict().counts;
            let waits = self.site.unsettled() > 0
                || self.present() < self.site.plan.clients.len() && self.reasons.is_empty();
            if !waits && counts.behind == 0 && counts.delivered >= counts.expected {
                break;
            }
            let elapsed = begins.elapsed();
            if elapsed >= self.drain && at_deadline.is_none() {
                at_deadline = Some(counts.delivered);
            }
            if elapsed >= self.drain * 2 {
                break;
            }
            ticks.tick().await;
            self.second(Duration::MAX);
            let done = elapsed.as_secs_f64() / (self.drain * 2).as_secs_f64().max(0.001);
            self.tell(Phase::Drain, Some(done.min(1.0)), 0.0);
            if self.outside.display.wants_to_end() || self.outside.stop.is_asked() {
                break;
            }
        }
        let delivered = self.site.proof.verdict().counts.delivered;
        at_deadline.map_or(0, |before| delivered.saturating_sub(before))
    }

    /// All clients lose their connections at once.
    fn storm(&self) {
        self.site.seats.iter().for_each(Seat::drop_connection);
    }

    /// So many of the clients leave and come back.
    fn churn(&mut self, elapsed: Duration) {
        let share = self.site.plan.churn * elapsed.as_secs_f64();
        if share <= 0.0 {
            return;
        }
        let chance = self.chance.random::<f64>();
        let count = whole(share * self.orders.len() as f64 + chance);
        let mut orders: Vec<_> = self.orders.iter().collect();
        let (chosen, _) = orders.partial_shuffle(&mut self.chance, count);
        for orders in chosen {
            // One that is leaving already has an order.
            let _ = orders.try_send(Order::Return);
        }
    }

    /// Closes the books of a second, when one has passed. `at` is the plan's time.
    fn second(&mut self, at: Duration) {
        let now = self.site.now();
        let length = now.saturating_sub(self.last_second);
        if length < Duration::from_secs(1) && at != Duration::MAX || length.is_zero() {
            return;
        }
        self.last_second = now;
        let planned = self.site.plan.profile.due_until(at);
        let mut interval = self.site.meter.drain_into(&mut self.measures);
        interval.at_s = now.saturating_sub(self.begins).as_secs_f64();
        interval.length_s = length.as_secs_f64();
        interval.planned = planned.saturating_sub(self.planned_before);
        interval.open = self.site.open();
        self.planned_before = planned.max(self.planned_before);
        self.site.proof.settle();
        self.outside.files.row(&interval);
        self.timeline.push(interval);
        self.recent.push(interval);
        if self.recent.len() > RECENT_MAX {
            self.recent.remove(0);
        }
    }

    fn is_over(&mut self) -> bool {
        if self.outside.display.takes_pause() {
            self.site.toggle_pause();
        }
        if self.outside.stop.is_asked() {
            (self.ended, self.ended_by_signal) = (Ended::Interrupted, true);
        } else if self.outside.display.wants_to_end() {
            self.ended = Ended::Interrupted;
        }
        self.ended != Ended::Done
    }

    /// Tells whoever watches.
    fn tell(&mut self, phase: Phase, done: Option<f64>, rate: f64) {
        if !self.outside.display.is_due() {
            return;
        }
        let sums = self.measures.sums();
        let last = self.recent.last().copied().unwrap_or_default();
        let length = last.length_s.max(0.001);
        let targets = (0..self.site.targets.len()).map(|target| {
            let meter = &self.measures.targets[target];
            TargetProgress {
                target: self.site.targets[target].clone(),
                node: self.site.node_at(target),
                open: self.site.open_at(target),
                clients: self.planned_at(target),
                rtt: self.sample_rtt(target),
                delivered_per_s: last.delivered as f64 / length
                    * share(meter.delivered, sums.delivered),
                acked_per_s: last.acked as f64 / length * share(meter.acked, sums.acked),
                reconnects: meter.reconnects,
                errors: meter.errors,
            }
        });
        let mut errors: Vec<_> = self.measures.errors.values().cloned().collect();
        errors.sort_by_key(|row| std::cmp::Reverse(row.count));
        let progress = Progress {
            phase,
            elapsed: self.site.now(),
            done,
            open: self.site.open(),
            clients: self.site.plan.clients.len() as u64,
            target_rate: rate,
            is_paused: self.site.is_paused(),
            sent: sums.sent,
            acked: sums.acked,
            delivered: sums.delivered,
            violations: self.site.proof.violations(),
            ack: self.measures.ack().summary(),
            delivery: self.measures.delivery().summary(),
            lag_p99_us: last.lag_p99_us,
            is_limited: last.lag_p99_us > super::conclude::LAG_MAX_US,
            targets: targets.collect(),
            errors,
            recent: self.recent.clone(),
        };
        self.outside.display.show(&progress);
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
        Quic {
            rtt_us: rtts.summary(),
            packets_sent: all.packets_sent,
            packets_lost: all.packets_lost,
            loss_percent: share(all.packets_lost, all.packets_sent) * 100.0,
            datagrams_received: all.datagrams_received,
            bytes_received: all.bytes_received,
            bytes_sent: all.bytes_sent,
            deliveries_per_datagram: 0.0,
            congestion_events: all.congestion_events,
        }
    }

    /// Clients that are there and can send.
    fn present(&self) -> usize {
        let seats = self.site.seats.iter();
        seats.filter(|seat| seat.present().is_some()).count()
    }

    fn planned_at(&self, target: usize) -> u64 {
        let clients = self.site.plan.clients.iter();
        clients.filter(|client| client.target == target).count() as u64
    }

    /// The round-trip time of one of the connections to a target.
    fn sample_rtt(&self, target: usize) -> Duration {
        let of_seat = |seat: &Seat| {
            let present = seat.present();
            let present = present
                .as_ref()
                .filter(|present| present.target == target)?;
            Some(present.client.connection_stats()?.rtt)
        };
        self.site.seats.iter().find_map(of_seat).unwrap_or_default()
    }

    /// Round-trip times of all connections to a target.
    fn rtts(&self, target: usize) -> Times {
        let mut times = Times::default();
        for seat in &self.site.seats {
            let present = seat.present();
            let there = present.as_ref().filter(|present| present.target == target);
            if let Some(stats) = there.and_then(|present| present.client.connection_stats()) {
                times.add(stats.rtt);
            }
        }
        times
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number of clients; what is more is cut"
)]
const fn whole(number: f64) -> usize {
    number as usize
}

fn ticks() -> time::Interval {
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 {
        return 0.0;
    }
    part as f64 / all as f64
}

/// How often the run looks after everything.
const TICK: Duration = Duration::from_millis(50);

/// The load begins so long after everybody is there.
const LEAD: Duration = Duration::from_millis(100);

/// When nobody came for so long, nobody will.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// After so long without any connection the cluster counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// How long all goodbyes may take.
const END_MAX: Duration = Duration::from_secs(5);

/// Seconds that whoever watches sees.
const RECENT_MAX: usize = 120;
