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
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::{env, fs};

use simulation::differential;
use simulation::world::{self, Climate};

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
