//! A client in a process of its own, so that it can be frozen: this very program, started as one
//! ignored test, see [`puppet`](super::puppet). Here is the driver's side of it.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use chat_client::ledger::{ReaderId, Sent, Stamp};
use chat_client::protocol::RoomName;
use chat_client::{Event, PublishError};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use crate::driver::puppet::{Say, TEST, Task, Told, VARIABLE};
use crate::driver::record::Record;

/// The process. It is killed when this is dropped.
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

    /// Who it is to the ledger.
    pub(crate) fn reader(&self) -> ReaderId {
        self.reader
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
            text: stamp.text(&room, Sent::default(), Stamp::BYTES_MIN),
            room,
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
            Told::Unknown { number } => {
                if let Some(room) = self.lock().remove(&number) {
                    let fate = Err(PublishError::Unknown);
                    self.record.settled(&room, stamp(number), fate);
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
