//! A run from beginning to end: connect, load, drain, judge.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::books::{AtEnd, Books};
use super::client::{BotClient, Order};
use super::conclude::Findings;
use super::display::Display;
use super::files::Files;
use super::pacer::Pacer;
use super::progress::Phase;
use super::report::Ended;
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
    books: Books,
    orders: Vec<mpsc::Sender<Order>>,
    tasks: TaskTracker,
    drain: Duration,
    connect_rate: f64,
    ended: Ended,
    ended_by_signal: bool,
    chance: StdRng,
}

/// What the drain showed.
#[derive(Clone, Copy, Debug, Default)]
struct Drained {
    /// Deliveries that came only after the drain time.
    late: u64,
    /// It was ended before everything had come or the time was over.
    is_cut: bool,
}

impl<'a> Run<'a> {
    /// A run that has not begun.
    #[must_use]
    pub fn new(site: Arc<Site>, outside: Outside<'a>, drain: Duration, connect_rate: f64) -> Self {
        Self {
            books: Books::new(Arc::clone(&site)),
            chance: StdRng::seed_from_u64(site.plan.seed ^ 0x5eed),
            orders: Vec::new(),
            tasks: TaskTracker::new(),
            ended: Ended::Done,
            ended_by_signal: false,
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
        let absent = self.absent();
        let cpu_before = system::cpu_time();
        let at_end = self.load(connected + LEAD).await?;
        let AtEnd {
            quic,
            rtts,
            open,
            sums: loaded_sums,
        } = at_end;
        let loaded = self.site.now();
        let cpu = system::cpu_time().saturating_sub(cpu_before);
        let planned = self.books.planned();
        let drained = self.settle(absent).await;
        let drain = self.site.now().saturating_sub(loaded);
        let verdict = self.site.proof.verdict();
        self.site.end.cancel();
        self.tasks.close();
        let _ = time::timeout(END_MAX, self.tasks.wait()).await;
        let (measures, timeline) = self.books.into_parts();
        Ok(Findings {
            verdict,
            measures,
            timeline,
            quic,
            rtts,
            open,
            loaded: loaded_sums,
            absent,
            late: drained.late,
            is_cut: drained.is_cut,
            ended: self.ended,
            ended_by_signal: self.ended_by_signal,
            planned,
            connect: connected,
            load: loaded.saturating_sub(connected + LEAD),
            drain,
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
            let now = self.site.now();
            let wanted = 1 + whole((now - begins).as_secs_f64() * self.connect_rate);
            while self.orders.len() < wanted.min(clients) {
                let (orders, receiver) = mpsc::channel(1);
                let client = BotClient::new(self.orders.len(), Arc::clone(&self.site), receiver);
                self.orders.push(orders);
                self.tasks.spawn(client.run());
            }
            let present = self.site.present();
            if present > came.0 {
                came = (present, now);
            }
            if present == clients || now - came.1 > CONNECT_MAX || self.is_over() {
                return;
            }
            ticks.tick().await;
            self.books.collect();
            let done = present as f64 / clients as f64;
            self.tell(Phase::Connecting, done, 0.0);
        }
    }

    /// Messages are due, from `begins` on.
    async fn load(&mut self, begins: Duration) -> std::io::Result<AtEnd> {
        self.books.open(begins);
        if self.ended != Ended::Done {
            return Ok(self.books.at_end());
        }
        let stop = CancellationToken::new();
        let pacer = Pacer::start(Arc::clone(&self.site), begins, stop.clone())?;
        let length = self.site.plan.profile.length();
        let mut ticks = ticks();
        let (mut churned, mut stormed, mut seen) = (begins, begins, begins);
        while !pacer.is_finished() && !self.is_over() {
            ticks.tick().await;
            let now = self.site.now();
            if !self.site.is_paused() {
                self.churn(now.saturating_sub(churned));
                let storm = self.site.plan.storm;
                if storm.is_some_and(|every| now.saturating_sub(stormed) >= every) {
                    stormed = now;
                    self.site.seats.iter().for_each(Seat::drop_connection);
                }
            }
            churned = now;
            let at = pacer.plan_time(now);
            self.books.tick(at, self.outside.files);
            let done = at.as_secs_f64() / length.as_secs_f64().max(0.001);
            self.tell(Phase::Load, done, self.site.plan.profile.rate_at(at));
            if self.site.open() > 0 {
                seen = now;
            } else if now.saturating_sub(seen) > GONE_AFTER {
                self.ended = Ended::ClusterGone;
            }
        }
        stop.cancel();
        // It looks every few milliseconds.
        while !pacer.is_finished() {
            time::sleep(Duration::from_millis(1)).await;
        }
        let at = pacer.plan_time(self.site.now());
        self.books.close(at, self.outside.files);
        Ok(self.books.at_end())
    }

    /// What is on its way arrives, to all but those who never came.
    async fn settle(&mut self, absent: usize) -> Drained {
        self.site.calm.cancel();
        if self.ended == Ended::ClusterGone {
            return Drained {
                late: 0,
                is_cut: true,
            };
        }
        // Keys and signals until here ended the load; the next ones end the drain.
        let mut drained = Drained::default();
        let begins = self.site.now();
        let mut ticks = ticks();
        let (mut at_deadline, mut judge_at) = (None, Duration::ZERO);
        loop {
            let elapsed = self.site.now() - begins;
            let all_are_there = self.absent() <= absent && self.site.unsettled() == 0;
            // Judging looks at all that is held: not before there is a chance, and not all the time.
            let is_late = elapsed >= self.drain && at_deadline.is_none();
            let may_be_done = all_are_there && elapsed >= judge_at;
            if may_be_done || is_late {
                judge_at = elapsed + JUDGE_EVERY;
                let counts = self.site.proof.verdict().counts;
                if all_are_there && counts.behind == 0 && counts.delivered >= counts.expected {
                    break;
                }
                if is_late {
                    at_deadline = Some(counts.delivered);
                }
            }
            if elapsed >= self.drain * 2 {
                break;
            }
            if self.outside.display.wants_to_end() {
                drained.is_cut = true;
                break;
            }
            ticks.tick().await;
            self.books.tick(NOTHING_DUE, self.outside.files);
            let done = elapsed.as_secs_f64() / (self.drain * 2).as_secs_f64().max(0.001);
            self.tell(Phase::Drain, done, 0.0);
        }
        self.books.close(NOTHING_DUE, self.outside.files);
        if let Some(before) = at_deadline {
            let delivered = self.site.proof.verdict().counts.delivered;
            drained.late = delivered.saturating_sub(before);
        }
        drained
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

    /// Whether the run is to end, by a signal, by a key or by itself.
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

    /// Clients that are not there, or not yet.
    fn absent(&self) -> usize {
        self.site.plan.clients.len() - self.site.present()
    }

    /// Tells whoever watches.
    fn tell(&mut self, phase: Phase, done: f64, rate: f64) {
        if self.outside.display.is_due() {
            let progress = self.books.progress(phase, Some(done.min(1.0)), rate);
            self.outside.display.show(&progress);
        }
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

/// In the drain nothing more becomes due than was before.
const NOTHING_DUE: Duration = Duration::ZERO;

/// How often the run looks after everything.
const TICK: Duration = Duration::from_millis(50);

/// How often the drain looks whether everything has come.
const JUDGE_EVERY: Duration = Duration::from_millis(200);

/// The load begins so long after everybody is there.
const LEAD: Duration = Duration::from_millis(100);

/// When nobody came for so long, nobody will.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// After so long without any connection the cluster counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// How long all goodbyes may take.
const END_MAX: Duration = Duration::from_secs(5);
