//! Those who chat while everything breaks: clients of the SDK in this process.
//!
//! Some send and read, some read, and some read for a while, go, and come back as a new process
//! would: with the cursors they stored and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chat_client::ledger::{ReaderId, Sent, Stamp};
use chat_client::protocol::limits::HISTORY_LEN_MAX;
use chat_client::protocol::{Cursor, ErrorCode, RoomName, Seq};
use chat_client::{Client, Delivery, Events, RequestError, Room, Start, Trust};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::driver::record::Record;

/// What all of them know.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// All nodes, as `host:port`.
    pub(crate) targets: Vec<String>,
    /// Which certificates to believe.
    pub(crate) trust: Trust,
    /// Where everything is told.
    pub(crate) record: Record,
    /// Cancelled when nobody shall send, go or come any more.
    pub(crate) rest: CancellationToken,
    /// Cancelled when everybody shall end.
    pub(crate) end: CancellationToken,
    /// Changes when whoever has something to say in the quiet room shall say it.
    pub(crate) prompt: watch::Receiver<u64>,
}

/// What somebody does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// Sends at a steady pace, and reads.
    Sender,
    /// Sends when prompted, and now and then; and reads.
    Prompted,
    /// Reads.
    Reader,
    /// Reads, goes, and comes back.
    Returning,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) number: u64,
    pub(crate) role: Role,
    pub(crate) rooms: Vec<RoomName>,
    pub(crate) surroundings: Surroundings,
    pub(crate) rng: StdRng,
    pub(crate) milestones: Arc<Milestones>,
}

/// How many have come how far: permits that are never taken back.
#[derive(Debug)]
pub(crate) struct Milestones {
    /// Has joined all its rooms for the first time.
    pub(crate) joined: Semaphore,
    /// Sends nothing any more, and knows the fate of all it sent.
    pub(crate) settled: Semaphore,
}

impl Default for Milestones {
    fn default() -> Self {
        Self {
            joined: Semaphore::new(0),
            settled: Semaphore::new(0),
        }
    }
}

impl Person {
    /// Takes part until the end.
    pub(crate) async fn run(mut self) {
        let reader = self.surroundings.record.reader();
        let mut cursors = HashMap::new();
        let mut is_first = true;
        while !self.surroundings.end.is_cancelled() {
            let session = self.connect(reader, &cursors).await;
            if std::mem::take(&mut is_first) {
                self.milestones.joined.add_permits(1);
            } else {
                self.surroundings.record.returned();
            }
            match self.role {
                Role::Sender | Role::Prompted => self.send(&session.rooms).await,
                Role::Reader => self.surroundings.end.cancelled().await,
                Role::Returning => self.linger(4..12).await,
            }
            // What came last decides the cursors that are stored.
            cursors = session.leave(&mut self.rng).await;
            self.surroundings.record.away(reader);
            self.pause(1..12).await;
        }
    }

    async fn connect(&mut self, reader: ReaderId, cursors: &HashMap<RoomName, Cursor>) -> Session {
        self.surroundings.targets.shuffle(&mut self.rng);
        let name = format!("person{}", self.number);
        let (client, events) = connect(&self.surroundings, &name).await;
        let reading = Reading::start(&self.surroundings.record, reader, events);
        let mut rooms = Vec::new();
        for room in &self.rooms {
            let start = cursors
                .get(room)
                .map_or(Start::Live, |cursor| Start::After(*cursor));
            rooms.push(join(&client, room, start).await);
        }
        Session {
            client,
            reading,
            rooms,
        }
    }

    /// Stays for some seconds, or until the end when nobody shall go any more.
    async fn linger(&mut self, seconds: std::ops::Range<u64>) {
        let (rest, end) = (
            self.surroundings.rest.clone(),
            self.surroundings.end.clone(),
        );
        tokio::select! {
            () = self.pause(seconds) => {}
            () = end.cancelled() => {}
        }
        if rest.is_cancelled() {
            end.cancelled().await;
        }
    }

    /// Waits for some seconds, or until nobody shall come or go any more.
    async fn pause(&mut self, seconds: std::ops::Range<u64>) {
        let millis = self
            .rng
            .random_range(seconds.start * 1_000..seconds.end * 1_000);
        tokio::select! {
            () = sleep(Duration::from_millis(millis)) => {}
            () = self.surroundings.rest.cancelled() => {}
        }
    }

    /// Sends until it shall rest, awaits every ack, and stays until the end.
    async fn send(&mut self, rooms: &[Room]) {
        let pace = if self.role == Role::Sender {
            SENDER_PACE
        } else {
            PROMPTED_PACE
        };
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let surroundings = self.surroundings.clone();
        let mut prompt = surroundings.prompt.clone();
        let is_prompted = self.role == Role::Prompted;
        let mut unsettled = FuturesUnordered::new();
        let mut counter = 0;
        loop {
            let may_send = unsettled.len() < IN_FLIGHT_MAX;
            tokio::select! {
                () = surroundings.rest.cancelled() => break,
                _ = ticks.tick(), if may_send => {}
                Ok(()) = prompt.changed(), if may_send && is_prompted => {}
                Some(()) = unsettled.next() => continue,
            }
            counter += 1;
            let room = rooms.choose(&mut self.rng).expect("everybody has a room");
            let stamp = Stamp {
                sender: self.number,
                counter,
            };
            if let Some(settled) = publish(&surroundings.record, room, stamp, &mut self.rng) {
                unsettled.push(settled);
            }
        }
        let all = async { while unsettled.next().await.is_some() {} };
        if timeout(SETTLE_PATIENCE, all).await.is_err() {
            surroundings.record.fault(format!(
                "{} messages of sender {} had no ack {SETTLE_PATIENCE:?} after all was well",
                unsettled.len(),
                self.number
            ));
        }
        self.milestones.settled.add_permits(1);
        surroundings.end.cancelled().await;
    }
}

/// A client with its rooms.
#[derive(Debug)]
struct Session {
    client: Client,
    reading: Reading,
    rooms: Vec<Room>,
}

impl Session {
    /// Ends it, politely or not, and gives the cursors that a new process would go on from.
    async fn leave(self, rng: &mut StdRng) -> HashMap<RoomName, Cursor> {
        self.reading.stop().await;
        let cursors = self
            .rooms
            .iter()
            .filter_map(|room| Some((room.name().clone(), room.cursor()?)))
            .collect();
        if rng.random() {
            self.client.close().await;
        }
        cursors
    }
}

/// A task that reads all events of a client into the record.
#[derive(Debug)]
pub(crate) struct Reading {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Reading {
    /// Starts to read.
    pub(crate) fn start(record: &Record, reader: ReaderId, mut events: Events) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (stopped, record) = (stop.clone(), record.clone());
        tasks.spawn(async move {
            loop {
                let event = tokio::select! {
                    biased; // Nothing is handed out after the stop.
                    () = stopped.cancelled() => return,
                    event = events.next() => event,
                };
                let Some(event) = event else { return };
                record.observe(reader, &event);
            }
        });
        tasks.close();
        Self { stop, tasks }
    }

    /// Reads nothing more.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Publishes a message, and resolves when its fate was recorded. `None` when it was not taken.
pub(crate) fn publish(
    record: &Record,
    room: &Room,
    stamp: Stamp,
    rng: &mut StdRng,
) -> Option<impl Future<Output = ()> + use<>> {
    let bytes = rng.random_range(Stamp::BYTES_MIN..240);
    record.sent(room.name(), stamp);
    let delivery: Delivery =
        match room.publish_text(&stamp.text(room.name(), Sent::default(), bytes)) {
            Ok(delivery) => delivery,
            Err(error) => {
                record.settled(room.name(), stamp, Err(error));
                return None;
            }
        };
    let (record, room) = (record.clone(), room.name().clone());
    Some(async move {
        let fate = delivery.await;
        record.settled(&room, stamp, fate);
    })
}

/// Connects, however often that takes.
pub(crate) async fn connect(surroundings: &Surroundings, name: &str) -> (Client, Events) {
    loop {
        let connecting = Client::builder()
            .targets(&surroundings.targets)
            .name(name)
            .trust(surroundings.trust.clone())
            .connect();
        match connecting.await {
            Ok(connected) => return connected,
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Joins, however often that takes.
pub(crate) async fn join(client: &Client, room: &RoomName, start: Start) -> Room {
    loop {
        match client.join(room.as_str(), start).await {
            Ok(room) => return room,
            // The answer to the one before was late.
            Err(error) if error.code() == Some(ErrorCode::AlreadyJoined) => {
                if let Some(room) = client.room(room) {
                    return room;
                }
            }
            Err(RequestError::Closed) => panic!("a client was closed while it joined"),
            Err(_) => {}
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// One who comes when all is well, marks the end of each room, and reads its log from the start.
#[derive(Debug, Default)]
pub(crate) struct Auditor {
    sessions: Vec<(Client, Reading)>,
    /// The last entry of each room.
    pub(crate) marks: HashMap<RoomName, Cursor>,
}

impl Auditor {
    /// Says one last thing in each room.
    pub(crate) async fn mark(&mut self, surroundings: &Surroundings, rooms: &[RoomName]) {
        let client = self.connect(surroundings).await;
        for room in rooms {
            let joined = join(&client, room, Start::Last(HISTORY_LEN_MAX)).await;
            let stamp = Stamp {
                sender: AUDITOR,
                counter: 1,
            };
            surroundings.record.sent(room, stamp);
            let delivery = joined
                .publish_text(&stamp.text(room, Sent::default(), Stamp::BYTES_MIN))
                .expect("it is taken");
            let fate = delivery.await;
            if let Ok(cursor) = fate {
                self.marks.insert(room.clone(), cursor);
            }
            surroundings.record.settled(room, stamp, fate);
        }
    }

    /// Reads everything that is in the logs, in a session of its own.
    pub(crate) async fn read_all(&mut self, surroundings: &Surroundings) {
        let client = self.connect(surroundings).await;
        for (room, mark) in &self.marks {
            let start = Cursor::new(mark.epoch, Seq::ZERO);
            join(&client, room, Start::After(start)).await;
        }
    }

    async fn connect(&mut self, surroundings: &Surroundings) -> Client {
        let record = &surroundings.record;
        let (client, events) = connect(surroundings, "auditor").await;
        let reading = Reading::start(record, record.reader(), events);
        self.sessions.push((client.clone(), reading));
        client
    }

    /// Goes.
    pub(crate) async fn leave(self) {
        for (client, reading) in self.sessions {
            reading.stop().await;
            client.close().await;
        }
    }
}

/// Messages a second of all senders are bounded by what a debug build reads on a small machine.
const SENDER_PACE: Duration = Duration::from_millis(60);

/// Nothing else is said in the quiet room.
const PROMPTED_PACE: Duration = Duration::from_secs(3);

/// Messages of a sender that wait for their acks.
const IN_FLIGHT_MAX: usize = 64;

/// When all is well again, every message is acked within this.
pub(crate) const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// Nobody else has this number.
const AUDITOR: u64 = u64::MAX;

/// A random generator of somebody's own, from the run's.
pub(crate) fn rng_of(rng: &mut StdRng) -> StdRng {
    StdRng::seed_from_u64(rng.random())
}
