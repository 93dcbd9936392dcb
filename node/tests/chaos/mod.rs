//! The chaos driver: a cluster of processes, clients that chat throughout, faults after a plan, and
//! in the end the ledger's judgement.
//!
//! A run is repeated by its seed as far as the machine allows: the plan and who does what are the
//! same, the order of what happens at once is not.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chat_client::Trust;
use chat_client::ledger::Verdict;
use chat_client::protocol::RoomName;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

mod apart;
mod clients;
mod cluster;
mod plan;
pub(crate) mod puppet;
mod record;
mod report;
mod settings;
mod times;

use apart::Apart;
use clients::{Auditor, Milestones, Person, Role, SETTLE_PATIENCE, Surroundings, rng_of};
use cluster::Cluster;
use plan::Step;
use puppet::Task;
use record::Record;
use report::Report;
pub(crate) use settings::Otherwise;
use settings::Settings;
use times::QUIET;

/// A whole run.
///
/// # Panics
/// When a promise was broken, after the report.
pub(crate) async fn run(otherwise: Otherwise) {
    let settings = Settings::from_env(otherwise);
    say(&format!("to repeat: {settings}"));
    let mut rng = StdRng::seed_from_u64(settings.seed);
    let steps = plan::draw(
        &mut rng_of(&mut rng),
        settings.length,
        settings.nodes,
        &settings.only,
    );
    for Step { at, fault } in &steps {
        say(&format!("plan: {:6.1} s  {fault}", at.as_secs_f64()));
    }

    let record = Record::default();
    let (prompt, prompted) = watch::channel(0);
    let cluster = Arc::new(Cluster::start(settings.nodes, &record, prompt).await);
    let surroundings = Surroundings {
        targets: cluster.targets(),
        trust: Trust::Development {
            dir: Some(cluster.certificates()),
        },
        record: record.clone(),
        rest: CancellationToken::new(),
        end: CancellationToken::new(),
        prompt: prompted,
    };
    let rooms: Vec<RoomName> = ROOMS.iter().map(|room| name(room)).collect();
    let mut crowd = Crowd::gather(settings.clients, &rooms, &surroundings, &mut rng).await;
    let task = Task {
        targets: surroundings.targets.clone(),
        certificates: cluster.certificates(),
        rooms: rooms.clone(),
    };
    *cluster.apart().lock().await = Some(Apart::start(&task, &record).await);
    say("everybody is there");

    break_things(&cluster, &steps, settings.length, &record, &mut rng).await;
    say("all is well again, and everybody comes to rest");
    surroundings.rest.cancel();
    crowd.settle(&record).await;
    let apart = cluster.apart().lock().await.take();
    if let Some(apart) = &apart {
        apart.settle(SETTLE_PATIENCE).await;
    }
    let mut auditor = Auditor::default();
    let everywhere: Vec<RoomName> = rooms.iter().cloned().chain([name(QUIET)]).collect();
    if timeout(SETTLE_PATIENCE, async {
        auditor.mark(&surroundings, &everywhere).await;
        auditor.read_all(&surroundings).await;
    })
    .await
    .is_err()
    {
        record.fault("the auditor found no cluster that works");
    }
    reach_heads(&record, &auditor).await;

    surroundings.end.cancel();
    auditor.leave().await;
    crowd.end().await;
    if let Some(apart) = apart {
        apart.end();
    }
    cluster.look();
    let verdict = record.judge();
    if plan::keeps_everything(&steps) {
        nothing_may_be_missing(&record, &verdict);
    }
    let report = Report {
        settings,
        steps: &steps,
        figures: record.figures(),
        times: record.times(),
        verdict,
        faults: record.faults(),
        memory_kib_max: cluster.memory_kib_max(),
    };
    if !report.is_clean() {
        say(&record.trails());
    }
    say(&report.to_string());
    assert!(report.is_clean(), "a promise was broken");
}

/// Resolves when this process is asked to stop: then the processes it started must be, too.
pub(crate) async fn interrupted() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be waited for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be waited for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Goes through the plan, and returns when everything is well again.
async fn break_things(
    cluster: &Arc<Cluster>,
    steps: &[Step],
    length: Duration,
    record: &Record,
    rng: &mut StdRng,
) {
    let start = Instant::now();
    let mut performing = JoinSet::new();
    let mut coming = steps.iter().peekable();
    let mut ticks = interval(APART_PACE);
    let mut told = Instant::now();
    let mut number = 0;
    while start.elapsed() < length {
        ticks.tick().await;
        if let Some(Step { fault, .. }) = coming.next_if(|step| step.at <= start.elapsed()) {
            say(&fault.to_string());
            let (cluster, fault) = (Arc::clone(cluster), *fault);
            performing.spawn(async move { cluster.perform(fault).await });
        }
        while let Some(performed) = performing.try_join_next() {
            performed.expect("a fault is made, and made well");
        }
        if let Some(apart) = &mut *cluster.apart().lock().await {
            number += 1;
            apart.say(number, rng);
        }
        cluster.look();
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tell(record);
        }
    }
    while let Some(performed) = performing.join_next().await {
        performed.expect("a fault is made, and made well");
    }
}

/// Redis kept all it was told, so there is nothing to be excused: not even a loss that is announced.
fn nothing_may_be_missing(record: &Record, verdict: &Verdict) {
    let counts = &verdict.counts;
    let gaps = record.figures().gaps;
    if counts.lost_with_epoch + counts.again_in_later_epoch > 0 || !gaps.is_empty() {
        record.fault(format!(
            "Redis kept everything, and {} messages are lost with their epoch, {} came again in a \
             later one, and gaps were told: {gaps:?}",
            counts.lost_with_epoch, counts.again_in_later_epoch
        ));
    }
}

fn tell(record: &Record) {
    let figures = record.figures();
    say(&format!(
        "sent {}, acked {}, read {}, connections lost {}",
        figures.sent, figures.acked, figures.read, figures.disconnects
    ));
}

/// Waits until every reader has read up to the auditor's marks. Who does not is found by the ledger.
async fn reach_heads(record: &Record, auditor: &Auditor) {
    let deadline = Instant::now() + HEAD_PATIENCE;
    loop {
        let behind = record.behind(&auditor.marks);
        if behind.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            return record.fault(format!(
                "behind for {HEAD_PATIENCE:?}: {}",
                behind.join(", ")
            ));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// All clients in this process.
struct Crowd {
    tasks: JoinSet<()>,
    milestones: Arc<Milestones>,
    senders: u32,
}

impl Crowd {
    /// Starts them, and waits until all have joined.
    async fn gather(
        clients: usize,
        rooms: &[RoomName],
        surroundings: &Surroundings,
        rng: &mut StdRng,
    ) -> Self {
        let milestones = Arc::new(Milestones::default());
        let mut crowd = Self {
            tasks: JoinSet::new(),
            milestones: Arc::clone(&milestones),
            senders: 0,
        };
        let roles = [Role::Sender, Role::Reader, Role::Returning];
        let prompted = std::iter::once(Role::Prompted);
        let mut len = 0;
        for (index, role) in prompted
            .chain(roles.into_iter().cycle().take(clients))
            .enumerate()
        {
            let mut chosen = match role {
                Role::Prompted => vec![name(QUIET)],
                _ => {
                    let len = rng.random_range(1..=3);
                    rooms.choose_multiple(rng, len).cloned().collect()
                }
            };
            if role == Role::Reader {
                chosen.push(name(QUIET));
            }
            let person = Person {
                number: index as u64,
                role,
                rooms: chosen,
                surroundings: surroundings.clone(),
                rng: rng_of(rng),
                milestones: Arc::clone(&milestones),
            };
            crowd.senders += u32::from(matches!(role, Role::Sender | Role::Prompted));
            crowd.tasks.spawn(person.run());
            len += 1;
        }
        if !reached(&milestones.joined, len).await {
            panic!("not everybody has joined, and nothing was broken yet");
        }
        crowd
    }

    /// Waits until the fate of every message is known.
    async fn settle(&self, record: &Record) {
        if !reached(&self.milestones.settled, self.senders).await {
            record.fault("not every sender has come to rest");
        }
    }

    /// Waits until all have gone.
    async fn end(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("nobody panics");
        }
    }
}

async fn reached(milestone: &Semaphore, len: u32) -> bool {
    timeout(SETTLE_PATIENCE + HEAD_PATIENCE, milestone.acquire_many(len))
        .await
        .is_ok()
}

fn name(room: &str) -> RoomName {
    RoomName::parse(room).expect("a room's name")
}

/// Says something, with the time since the start.
#[expect(
    clippy::print_stdout,
    reason = "what a run does is shown while it runs"
)]
fn say(text: &str) {
    println!("[{:7.1} s] {text}", since_start());
}

/// Seconds since the run first said something.
fn since_start() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Where people chat.
const ROOMS: [&str; 4] = ["lobby", "rust", "chess", "tea"];

/// The pace of the client apart, and how exactly faults keep their time.
const APART_PACE: Duration = Duration::from_millis(200);

/// How often the run says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// When all is well, every reader is at the head of its rooms within this.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
