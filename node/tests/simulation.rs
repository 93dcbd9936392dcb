//! The room's promises, with everything going wrong that may: several nodes, people on them, and a
//! backplane that loses, repeats, delays and reorders what it says, loses answers, stops, starts
//! again, rolls back and forgets. Nodes crash. Time is the runtime's own, so a run of half a minute
//! takes some milliseconds.
//!
//! Each run follows from its seed, which a failure prints; `CHAT_SEED=N` runs that one alone, and
//! `CHAT_SEEDS=N` so many of each climate.
#![allow(dead_code, reason = "the support is shared by test binaries")]
#![allow(unreachable_pub, reason = "modules of one test, public to nobody")]
#![allow(clippy::unwrap_used, reason = "all of it is test")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use chat_node::backplane::{Batch, Continuation, Draft};
use chat_node::room::{Flusher, Room, Submission, Waiter};
use chat_protocol::lane::{Damaged, LaneFrame};
use chat_protocol::{Cursor, Frame, Nonce, RoomName, Seq, SessionId};
use rand::SeedableRng;
use rand::rngs::StdRng;
use simulation::backplane::Sky;
use simulation::differential;
use simulation::model::{Loss, Model};
use simulation::world::{self, Climate};
use tokio::sync::oneshot;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod support;

mod simulation {
    pub mod backplane;
    pub mod differential;
    pub mod model;
    pub mod person;
    pub mod world;
}

#[test]
fn nothing_is_lost_while_the_network_is_bad_and_nodes_crash() {
    play(Climate::Rough);
}

#[test]
fn nothing_is_lost_when_the_server_starts_again() {
    play(Climate::Restarts);
}

#[test]
fn what_the_server_loses_is_said() {
    play(Climate::Losses);
}

#[tokio::test]
async fn the_model_answers_as_a_real_redis_does() {
    if let Some(seed) = number("CHAT_SEED") {
        return differential::play(seed, STEPS).await;
    }
    for seed in 0..DIFFERENTIAL_SEEDS {
        differential::play(seed, STEPS).await;
    }
}

/// A new epoch starts above all that a node knows. When the append that began it wrote nothing, its
/// head has no entry.
#[tokio::test(start_paused = true)]
async fn a_head_without_an_entry_is_reached() {
    let lobby = Lobby::new();
    let known = lobby.append(None, &[1, 2, 3]);
    let room = lobby.open().await;
    assert_eq!(room.head(), known);
    lobby.sky.with_model(|model| model.lose(Loss::Flush));
    lobby.append(None, &[4, 5]);
    lobby.sky.with_model(|model| model.lose(Loss::Restart));
    let head = lobby.append(Some(known), &[5]);
    assert_eq!(head.seq, known.seq, "above what is known, with no entry");
    reach(&room, head).await;
}

/// An older copy of a room's keys is put back, and the server was not started again, so that only a
/// node that knows more can tell.
#[tokio::test(start_paused = true)]
async fn a_log_that_went_back_gives_no_place_twice() {
    let lobby = Lobby::new();
    lobby.append(None, &[1, 2, 3]);
    let copy = lobby.sky.with_model(|model| model.clone());
    let known = lobby.append(None, &[4, 5]);
    let room = lobby.open().await;
    assert_eq!(room.head(), known);
    lobby
        .sky
        .with_model(|model| model.put_back(&lobby.name, &copy));
    let went_back = lobby.sky.with_model(|model| model.head(&lobby.name));
    assert_eq!(went_back, Some(Cursor::new(known.epoch, Seq(3))));
    let first = publish(&room, 6).await;
    assert_ne!(first.epoch, known.epoch, "{first} after {known}");
    assert_eq!(first.seq, known.seq.next(), "above what is known");
    // It does not begin anew a second time.
    let next = publish(&room, 7).await;
    assert_eq!(next, Cursor::new(first.epoch, first.seq.next()));
    // Readers of what is gone are told so.
    let page = lobby
        .sky
        .with_model(|model| model.read(&lobby.name, Some(known), 10));
    assert_eq!(page.continuation, Continuation::Diverged);
    reach(&room, next).await;
}

/// A room on a server of which nothing gets lost by itself.
struct Lobby {
    sky: Arc<Sky>,
    name: RoomName,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Lobby {
    fn new() -> Self {
        Self {
            sky: Sky::new(Model::new(100), StdRng::seed_from_u64(1)),
            name: "lobby".parse().unwrap(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Another node, which knows this much, appends entries with these nonces. Returns the head.
    fn append(&self, known: Option<Cursor>, nonces: &[u64]) -> Cursor {
        let drafts = nonces.iter().map(|nonce| draft(*nonce)).collect();
        let batch = Batch { known, drafts };
        self.sky.with_model(|model| {
            model.append(&self.name, &batch);
            model.head(&self.name).unwrap()
        })
    }

    /// A node opens the room.
    async fn open(&self) -> Arc<Room> {
        let (attachment, _) = self.sky.attach();
        let (room, hints) = Room::new(
            self.name.clone(),
            Flusher::new(Duration::ZERO),
            self.stop.clone(),
        );
        let running = Arc::clone(&room).run(attachment.backplane, hints);
        self.tasks.spawn(running);
        room.loaded().await;
        room
    }
}

impl Drop for Lobby {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn draft(nonce: u64) -> Draft {
    Draft {
        session: SessionId(1),
        nonce: Nonce(nonce),
        frame: LaneFrame::from(Damaged {}).to_bytes(),
        topic: None,
    }
}

/// Publishes through a node, and returns what is acked.
async fn publish(room: &Room, nonce: u64) -> Cursor {
    let (waiter, answer) = oneshot::channel();
    let submission = Submission {
        draft: draft(nonce),
        waiter: Waiter::Local(waiter),
    };
    room.submit(submission, Instant::now() + Duration::from_secs(5));
    answer.await.unwrap().unwrap()
}

/// Has a node look at the log, and waits until it knows all of it.
async fn reach(room: &Room, head: Cursor) {
    room.check_log();
    let reached = async {
        while room.head() != head {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = time::timeout(Duration::from_secs(5), reached).await;
    assert!(in_time.is_ok(), "{} instead of {head}", room.head());
}

fn play(climate: Climate) {
    if let Some(seed) = number("CHAT_SEED") {
        return play_seed(seed, climate);
    }
    let seeds = number("CHAT_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    play_seed(seed, climate);
                }
            });
        }
    });
}

fn play_seed(seed: u64, climate: Climate) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let outcome = runtime.block_on(world::run(seed, climate));
    if outcome.is_clean() {
        return;
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{climate:?}-{seed}.log"));
    fs::write(&file, outcome.trace.join("\n")).unwrap();
    panic!(
        "CHAT_SEED={seed} in {climate:?}, every append is in {}:\n{}\n{}\n{}",
        file.display(),
        outcome.story.join("\n"),
        outcome.problems.join("\n"),
        outcome.verdict
    );
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

/// Games of the model against a real Redis, and steps of each.
const DIFFERENTIAL_SEEDS: u64 = 12;
const STEPS: u32 = 200;

/// Runs of each climate.
const SEEDS: u64 = 400;
