//! A client in a process of its own, so that it can be frozen: this very program, started as one
//! ignored test.
//!
//! It is a puppet: it publishes what it is told on its standard input, and tells on its standard
//! output what became of it and every event, one JSON object a line. It ends with its input, so it
//! never outlives the driver.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use chat_client::ledger::{ReaderId, Stamp};
use chat_client::protocol::RoomName;
use chat_client::protocol::lane::Message;
use chat_client::protocol::{Cursor, Seq};
use chat_client::{Client, Event, GapReason, Start, Trust};
use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::TaskTracker;

use crate::driver::clients::join;
use crate::driver::record::Record;

/// The name of the test that is this client.
pub(crate) const TEST: &str = "a_client_in_a_process_of_its_own";

/// What it is told at its start.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Task {
    /// All nodes.
    pub(crate) targets: Vec<String>,
    /// The directory of the development certificates.
    pub(crate) certificates: PathBuf,
    /// Where it is.
    pub(crate) rooms: Vec<RoomName>,
}

/// What it is told later.
#[derive(Debug, Deserialize, Serialize)]
struct Say {
    room: RoomName,
    text: String,
    number: u64,
}

/// What it tells.
#[derive(Debug, Deserialize, Serialize)]
enum Told {
    /// All rooms are joined.
    Ready,
    Connected(String),
    Disconnected,
    Joined {
        room: RoomName,
        head: Cursor,
        next: Seq,
        rejoined: bool,
    },
    Message {
        room: RoomName,
        cursor: Cursor,
        message: Message,
        history: bool,
    },
    Gap {
        room: RoomName,
        reason: GapReason,
        from: Option<Cursor>,
        next: Cursor,
    },
    Acked {
        number: u64,
        at: Cursor,
    },
    NotAcked {
        number: u64,
        why: String,
    },
    /// What does not happen to a client of this driver.
    Other(String),
}

/// The driver's side. The process is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Apart {
    child: Child,
    input: Option<ChildStdin>,
    reading: Option<JoinHandle<()>>,
    rooms: Vec<RoomName>,
    shared: Arc<Shared>,
    reader: ReaderId,
}

#[derive(Debug)]
struct Shared {
    record: Record,
    /// Messages without a fate, by their number.
    unsettled: Mutex<HashMap<u64, RoomName>>,
    changed: Notify,
    is_ready: AtomicBool,
}

impl Apart {
    /// Starts the process, and waits until it has joined.
    pub(crate) async fn start(task: &Task, record: &Record) -> Self {
        let mut child = Command::new(env::current_exe().expect("the path of this program"))
            .args(["--exact", TEST, "--ignored", "--nocapture"])
            .env(VARIABLE, serde_json::to_string(task).expect("it is JSON"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts once more");
        let input = child.stdin.take();
        let output = child.stdout.take().expect("stdout is piped");
        let shared = Arc::new(Shared {
            record: record.clone(),
            unsettled: Mutex::default(),
            changed: Notify::new(),
            is_ready: false.into(),
        });
        let reader = record.reader();
        let telling = Arc::clone(&shared);
        let reading = std::thread::spawn(move || telling.read(reader, output));
        let apart = Self {
            child,
            input,
            reading: Some(reading),
            rooms: task.rooms.clone(),
            shared,
            reader,
        };
        let is_ready = |shared: &Shared| shared.is_ready.load(Ordering::Relaxed);
        apart.until(Duration::from_secs(30), is_ready).await;
        apart
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes it say something, as soon as it runs.
    pub(crate) fn say(&mut self, number: u64, rng: &mut StdRng) {
        let unsettled = self.shared.lock().len();
        if unsettled >= UNSETTLED_MAX {
            return;
        }
        let room = self.rooms[rng.random_range(0..self.rooms.len())].clone();
        let stamp = stamp(number);
        self.shared.record.sent(&room, stamp);
        self.shared.lock().insert(number, room.clone());
        let say = Say {
            room,
            text: stamp.to_string(),
            number,
        };
        let line = serde_json::to_string(&say).expect("it is JSON");
        let input = self.input.as_mut().expect("closed at the end");
        if let Err(error) = writeln!(input, "{line}") {
            self.shared
                .record
                .fault(format!("the client apart is gone: {error}"));
        }
    }

    /// Waits until it knows the fate of all it was told to say.
    pub(crate) async fn settle(&self, patience: Duration) {
        self.until(patience, |shared| shared.lock().is_empty())
            .await;
    }

    /// Ends it.
    pub(crate) fn end(mut self) {
        self.input = None;
        if let Some(reading) = self.reading.take() {
            reading.join().expect("all it told is understood");
        }
        let status = self.child.wait().expect("it is a child");
        if !status.success() {
            let record = &self.shared.record;
            record.fault(format!("the client apart ended with {status}"));
        }
        self.shared.record.away(self.reader);
    }

    async fn until(&self, patience: Duration, is_so: impl Fn(&Shared) -> bool) {
        let wait = async {
            loop {
                let changed = self.shared.changed.notified();
                if is_so(&self.shared) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(patience, wait).await.is_err() {
            let unsettled = self.shared.lock().len();
            self.shared.record.fault(format!(
                "the client apart did not come to rest within {patience:?}: {unsettled} messages \
                 without an ack"
            ));
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, RoomName>> {
        self.unsettled
            .lock()
            .expect("nobody panics while holding it")
    }

    /// Reads what the process tells. What the test harness prints comes before the first object.
    fn read(&self, reader: ReaderId, output: ChildStdout) {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        for line in lines.filter(|line| line.starts_with(['{', '"'])) {
            match serde_json::from_str(&line) {
                Ok(told) => self.on_told(reader, told),
                Err(error) => self.record.fault(format!("{line}: {error}")),
            }
            self.changed.notify_waiters();
        }
    }

    fn on_told(&self, reader: ReaderId, told: Told) {
        let event = match told {
            Told::Ready => {
                return self.is_ready.store(true, Ordering::Relaxed);
            }
            Told::Connected(target) => {
                return self
                    .record
                    .time(|times, _| times.connected(reader, &target));
            }
            Told::Disconnected => return self.record.disconnected(reader),
            Told::Acked { number, at } => {
                if let Some(room) = self.lock().remove(&number) {
                    self.record.acked(&room, stamp(number), at);
                }
                return;
            }
            Told::NotAcked { number, why } => {
                self.lock().remove(&number);
                return self
                    .record
                    .fault(format!("message {number} of the client apart: {why}"));
            }
            Told::Other(text) => return self.record.fault(format!("the client apart: {text}")),
            Told::Joined {
                room,
                head,
                next,
                rejoined,
            } => Event::Joined {
                room,
                direct: None,
                head,
                next,
                members: 0,
                topic: String::new().try_into().expect("no topic"),
                rejoined,
            },
            Told::Message {
                room,
                cursor,
                message,
                history,
            } => Event::Message {
                room,
                cursor,
                message,
                own: false,
                history,
            },
            Told::Gap {
                room,
                reason,
                from,
                next,
            } => Event::Gap {
                room,
                reason,
                from,
                next,
            },
        };
        self.record.observe(reader, &event);
    }
}

/// The process's side: takes part until its input ends.
pub(crate) async fn run() {
    let Ok(task) = env::var(VARIABLE) else {
        // Somebody runs all ignored tests: this one is a part of another.
        return;
    };
    let task: Task = serde_json::from_str(&task).expect("the driver wrote it");
    let (client, mut events) = Client::builder()
        .targets(&task.targets)
        .name("apart")
        .trust(Trust::Development {
            dir: Some(task.certificates),
        })
        .connect()
        .await
        .expect("all is well at the start");
    // The harness has begun a line.
    tell_line("");
    let tasks = TaskTracker::new();
    tasks.spawn(async move {
        while let Some(event) = events.next().await {
            if let Some(told) = told(event) {
                tell(&told);
            }
        }
    });
    let mut rooms = HashMap::new();
    for room in &task.rooms {
        rooms.insert(room.clone(), join(&client, room, Start::Live).await);
    }
    tell(&Told::Ready);
    let (sender, mut says) = mpsc::channel(16);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        for say in lines.filter_map(|line| serde_json::from_str::<Say>(&line).ok()) {
            if sender.blocking_send(say).is_err() {
                return;
            }
        }
    });
    while let Some(Say { room, text, number }) = says.recv().await {
        let delivery = match rooms[&room].publish_text(&text) {
            Ok(delivery) => delivery,
            Err(error) => {
                let why = error.to_string();
                tell(&Told::NotAcked { number, why });
                continue;
            }
        };
        tasks.spawn(async move {
            match delivery.await {
                Ok(at) => tell(&Told::Acked { number, at }),
                Err(error) => {
                    let why = error.to_string();
                    tell(&Told::NotAcked { number, why });
                }
            }
        });
    }
}

fn told(event: Event) -> Option<Told> {
    Some(match event {
        Event::Connected(welcomed) => Told::Connected(welcomed.target),
        Event::Disconnected { .. } => Told::Disconnected,
        Event::Joined {
            room,
            head,
            next,
            rejoined,
            ..
        } => Told::Joined {
            room,
            head,
            next,
            rejoined,
        },
        Event::Message {
            room,
            cursor,
            message,
            history,
            ..
        } => Told::Message {
            room,
            cursor,
            message,
            history,
        },
        Event::Gap {
            room,
            reason,
            from,
            next,
        } => Told::Gap {
            room,
            reason,
            from,
            next,
        },
        Event::Left { .. }
        | Event::Closed { .. }
        | Event::Damaged { .. }
        | Event::TopicChanged { .. } => Told::Other(format!("{event:?}")),
        _ => return None,
    })
}

fn tell(told: &Told) {
    tell_line(&serde_json::to_string(told).expect("it is JSON"));
}

fn tell_line(line: &str) {
    // Fails when the driver is gone: then its input has ended too.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn stamp(counter: u64) -> Stamp {
    Stamp {
        sender: SENDER,
        counter,
    }
}

/// Nobody else has this number.
const SENDER: u64 = u64::MAX - 1;

/// What it was told to say while it was frozen, and a little.
const UNSETTLED_MAX: usize = 200;

/// Holds the task, as JSON.
const VARIABLE: &str = "CHAT_CHAOS_APART";
