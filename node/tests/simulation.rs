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

use chat_node::backplane::{Batch, Draft};
use chat_node::room::Room;
use chat_protocol::lane::{Damaged, LaneFrame};
use chat_protocol::{Frame, Nonce, RoomName, SessionId};
use rand::SeedableRng;
use rand::rngs::StdRng;
use simulation::backplane::Sky;
use simulation::differential;
use simulation::model::{Loss, Model};
use simulation::world::{self, Climate};
use tokio::time;
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
    let sky = Sky::new(Model::new(100), StdRng::seed_from_u64(1));
    let (attachment, _) = sky.attach();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let name: RoomName = "lobby".parse().unwrap();
    let append = |known, nonces: &[u64]| {
        let drafts = nonces.iter().map(|nonce| Draft {
            session: SessionId(1),
            nonce: Nonce(*nonce),
            frame: LaneFrame::from(Damaged {}).to_bytes(),
            topic: None,
        });
        let batch = Batch {
            known,
            drafts: drafts.collect(),
        };
        sky.with_model(|model| model.append(&name, &batch));
        sky.with_model(|model| model.head(&name)).unwrap()
    };
    let known = append(None, &[1, 2, 3]);
    let (room, hints) = Room::new(name.clone(), stop.clone());
    tasks.spawn(Arc::clone(&room).run(Arc::clone(&attachment.backplane), hints));
    room.loaded().await;
    assert_eq!(room.head(), known);
    sky.with_model(|model| model.lose(Loss::Flush));
    append(None, &[4, 5]);
    sky.with_model(|model| model.lose(Loss::Restart));
    let head = append(Some(known), &[5]);
    assert_eq!(head.seq, known.seq, "above what is known, with no entry");
    room.check_log();
    let reached = async {
        while room.head() != head {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = time::timeout(Duration::from_secs(5), reached).await;
    assert!(in_time.is_ok(), "{} instead of {head}", room.head());
    stop.cancel();
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
