//! One run: nodes, people, and what happens to them, all from one seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_client::ledger::{Counts, Verdict};
use chat_node::hub::{Hub, Settings};
use chat_node::policy::Open;
use chat_node::presence::Card;
use chat_protocol::lane::LaneFrame;
use chat_protocol::{Cursor, Epoch, Frame, FrameDecoder, RoomName, Seq};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backplane::{Sky, Weather};
use super::model::{self, Key, Loss, Model};
use super::person::{self, Book, Person};

/// What may happen in a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Climate {
    /// The network is bad and nodes crash; the server keeps what it has.
    Rough,
    /// The server also starts again, with all it had.
    Restarts,
    /// The server also loses what it had, wholly or in part.
    Losses,
}

/// How a run went.
pub struct Outcome {
    pub verdict: Verdict,
    /// What happened, in order.
    pub story: Vec<String>,
    /// The same with every append, for whoever wants to know why.
    pub trace: Vec<String>,
    /// What was found wrong beside the ledger's own findings.
    pub problems: Vec<String>,
}

impl Outcome {
    pub fn is_clean(&self) -> bool {
        self.verdict.is_clean() && self.problems.is_empty()
    }
}

/// The nodes that run.
pub struct Nodes {
    running: Mutex<Vec<Running>>,
    connections: AtomicU64,
}

struct Running {
    hub: Arc<Hub>,
    end: u64,
    stop: CancellationToken,
}

impl Nodes {
    /// One that runs, and what tells that it crashed; none when none does.
    pub fn any(&self, chance: &mut StdRng) -> Option<(Arc<Hub>, CancellationToken)> {
        let running = self.running.lock().unwrap();
        let node = running.choose(chance)?;
        Some((Arc::clone(&node.hub), node.stop.clone()))
    }

    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A run from beginning to end. Everything this file decides comes from the seed.
pub async fn run(seed: u64, climate: Climate) -> Outcome {
    let mut chance = StdRng::seed_from_u64(seed);
    // Some runs keep so little that readers meet trimmed history all the time.
    let entries_max = *[40, 400, 100_000].choose(&mut chance).unwrap();
    let sky = Sky::new(
        Model::new(entries_max),
        StdRng::seed_from_u64(chance.random()),
    );
    let mut world = World {
        nodes: Arc::new(Nodes {
            running: Mutex::new(Vec::new()),
            connections: AtomicU64::new(0),
        }),
        book: Arc::new(Book {
            ledger: Mutex::default(),
            is_quiet: Mutex::new(false),
            waiting: AtomicU64::new(0),
        }),
        rooms: ["lobby", "dev"].map(|name| name.parse().unwrap()).to_vec(),
        tasks: TaskTracker::new(),
        story: Vec::new(),
        began: Instant::now(),
        earlier: Vec::new(),
        sky,
        chance,
    };
    let nodes = world.chance.random_range(2..=4);
    for _ in 0..nodes {
        world.start_node().await;
    }
    for number in 1..=world.chance.random_range(3..=6) {
        world.add_person(number);
    }
    for _ in 0..world.chance.random_range(4..12) {
        let pause = world.chance.random_range(100..2_000);
        time::sleep(Duration::from_millis(pause)).await;
        world.happen(climate).await;
    }
    world.end(climate, entries_max).await
}

struct World {
    chance: StdRng,
    sky: Arc<Sky>,
    nodes: Arc<Nodes>,
    book: Arc<Book>,
    rooms: Vec<RoomName>,
    tasks: TaskTracker,
    story: Vec<String>,
    began: Instant,
    /// The server as it was at earlier times.
    earlier: Vec<Model>,
}

impl World {
    fn tell(&mut self, text: String) {
        self.sky.note(&text);
        let at = self.began.elapsed();
        self.story.push(format!("{at:>10.3?} {text}"));
    }

    async fn start_node(&mut self) {
        let (attachment, end) = self.sky.attach();
        let stop = CancellationToken::new();
        let settings = Settings {
            card: Card {
                name: format!("node-{end}").parse().unwrap(),
                address: String::new(),
            },
            grace: Duration::from_secs(2),
            lease: Duration::from_secs(5),
            append_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(5),
            slow_reader_timeout: Duration::from_secs(30),
            linger: Duration::from_millis(5),
        };
        let starting = Hub::start(settings, attachment, Arc::new(Open), stop.clone());
        let hub = starting.await.expect("nobody stops it");
        self.tell(format!("node {end} starts"));
        let node = Running { hub, end, stop };
        self.nodes.running.lock().unwrap().push(node);
    }

    fn add_person(&mut self, number: u64) {
        let rooms = match self.chance.random_range(0..3) {
            0 => &self.rooms[..1],
            1 => &self.rooms[1..],
            _ => &self.rooms[..],
        };
        let chance = StdRng::seed_from_u64(self.chance.random());
        let (nodes, book) = (Arc::clone(&self.nodes), Arc::clone(&self.book));
        let person = Person::new(number, chance, nodes, book, rooms);
        self.tasks.spawn(person.run());
    }

    /// One thing happens.
    async fn happen(&mut self, climate: Climate) {
        self.earlier
            .push(self.sky.with_model(|model| model.clone()));
        let kinds = match climate {
            Climate::Rough => 6,
            Climate::Restarts => 7,
            Climate::Losses => 10,
        };
        match self.chance.random_range(0..kinds) {
            0 => self.crash_node().await,
            1 => self.start_node().await,
            2 | 3 => self.change_weather(),
            4 => self.deafen().await,
            5 => {
                self.tell("the server does not answer".to_owned());
                self.sky.set_weather(Weather {
                    is_down: true,
                    ..Weather::default()
                });
                let pause = self.chance.random_range(100..4_000);
                time::sleep(Duration::from_millis(pause)).await;
                self.change_weather();
            }
            6 => self.lose(Loss::Restart),
            7 => self.lose(Loss::Flush),
            8 => {
                let key = *[Key::Log, Key::Meta, Key::Senders]
                    .choose(&mut self.chance)
                    .unwrap();
                self.lose(Loss::Key(key));
            }
            _ => {
                let back = self.chance.random_range(1..=self.earlier.len());
                let earlier = self.earlier[self.earlier.len() - back].clone();
                self.tell(format!("the server goes {back} steps back"));
                self.sky.with_model(|model| model.roll_back(earlier));
            }
        }
    }

    fn lose(&mut self, loss: Loss) {
        self.tell(format!("{loss:?}"));
        self.sky.with_model(|model| model.lose(loss));
    }

    async fn crash_node(&mut self) {
        let node = {
            let mut running = self.nodes.running.lock().unwrap();
            let index = self.chance.random_range(0..running.len());
            running.swap_remove(index)
        };
        self.tell(format!("node {} crashes", node.end));
        node.stop.cancel();
        self.sky.detach(node.end);
        if self.nodes.running.lock().unwrap().is_empty() {
            self.start_node().await;
        }
    }

    async fn deafen(&mut self) {
        let end = {
            let running = self.nodes.running.lock().unwrap();
            running[self.chance.random_range(0..running.len())].end
        };
        let is_noticed = self.chance.random_bool(0.5);
        self.tell(format!("node {end} hears nothing, noticed: {is_noticed}"));
        self.sky.set_deaf(end, true, false);
        let pause = self.chance.random_range(50..1_500);
        time::sleep(Duration::from_millis(pause)).await;
        self.sky.set_deaf(end, false, is_noticed);
    }

    fn change_weather(&mut self) {
        let mut bad = |most: f64| self.chance.random_range(0.0..most);
        let weather = Weather {
            ask_lost: bad(0.05),
            answer_lost: bad(0.1),
            hint_lost: bad(0.3),
            hint_repeated: bad(0.3),
            delay_max: Duration::from_millis(self.chance.random_range(0..200)),
            is_down: false,
        };
        self.tell(format!("{weather:?}"));
        self.sky.set_weather(weather);
    }

    /// Makes everything well, waits until everybody is where the log is, and judges.
    async fn end(mut self, climate: Climate, entries_max: u64) -> Outcome {
        self.tell("the sky clears".to_owned());
        self.sky.set_weather(Weather::default());
        *self.book.is_quiet.lock().unwrap() = true;
        let mut problems = Vec::new();
        let end = Instant::now() + SETTLE_MAX;
        while self.book.waiting.load(Ordering::Relaxed) > 0 && Instant::now() < end {
            time::sleep(Duration::from_millis(100)).await;
        }
        let waiting = self.book.waiting.load(Ordering::Relaxed);
        if waiting > 0 {
            problems.push(format!("{waiting} messages without an answer"));
        }
        // Whoever is to catch up has had the head checks and a reconnect to do it.
        time::sleep(CATCH_UP_MAX).await;
        self.audit();
        let verdict = self.book.ledger.lock().unwrap().judge();
        let Counts {
            lost_with_epoch,
            again_in_later_epoch,
            unjudged,
            ..
        } = verdict.counts;
        // What is trimmed before anybody read it cannot be judged.
        let keeps_all = climate != Climate::Losses && entries_max > 10_000;
        if keeps_all && lost_with_epoch + unjudged > 0 {
            let text = format!("{} acked messages are missing", lost_with_epoch + unjudged);
            problems.push(text);
        }
        if climate != Climate::Losses && again_in_later_epoch > 0 {
            problems.push(format!("{again_in_later_epoch} messages came again"));
        }
        for node in self.nodes.running.lock().unwrap().drain(..) {
            node.stop.cancel();
        }
        Outcome {
            verdict,
            story: self.story,
            trace: self.sky.trace(),
            problems,
        }
    }

    /// Reads every log from its beginning, past all nodes: what was ever appended, in the epochs it
    /// was appended in, which no node tells; and what the log holds in the end.
    fn audit(&mut self) {
        let mut ledger = self.book.ledger.lock().unwrap();
        for room in &self.rooms {
            let Some(head) = self.sky.with_model(|model| model.head(room)) else {
                continue;
            };
            ledger.head(room, head);
            let mut kept = self.sky.with_model(|model| model.blocks(room));
            kept.iter_mut().for_each(|block| block.epoch = head.epoch);
            for blocks in [self.sky.appended(room), kept] {
                let reader = ledger.reader();
                let mut after = Cursor::new(Epoch(0), Seq::ZERO);
                ledger.start(reader, room, after);
                for (place, frame) in model::entries(&blocks) {
                    if (place.epoch, place.seq) != (after.epoch, after.seq.next()) {
                        ledger.gap(reader, room, place);
                    }
                    after = place;
                    ledger.entry(reader, room, place, person::found(&decoded(&frame), room));
                }
                ledger.end(reader, room);
            }
        }
    }
}

fn decoded(frame: &[u8]) -> LaneFrame {
    let mut decoder = FrameDecoder::new();
    decoder.push(frame);
    let raw = decoder.next().unwrap().expect("a whole frame");
    LaneFrame::decode(&raw).unwrap().expect("a known kind")
}

/// Longest time until everything that was sent has its answer.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// Time until everybody has what the log has.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
