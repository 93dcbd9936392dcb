//! The promises under faults: node processes killed, drained and frozen, a real Redis cut, killed,
//! frozen and emptied, a client frozen, while others chat throughout.
//!
//! `cargo xtask chaos` runs the same for as long as one likes, and `CHAT_CHAOS_SEED` repeats a plan.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

#[path = "chaos/mod.rs"]
mod driver;

/// Long enough for every other kind of fault to be made. Nothing excuses a loss here.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_redis_keeps_what_it_has() {
    play(driver::Otherwise {
        minutes: 100.0 / 60.0,
        only: "-flushed",
    })
    .await;
}

/// What is lost with Redis's memory is told. `cargo xtask chaos` runs this one, with all faults.
#[tokio::test(flavor = "multi_thread")]
async fn promises_are_kept_under_faults() {
    play(driver::Otherwise {
        minutes: 0.5,
        only: "flushed,node killed,redis killed",
    })
    .await;
}

async fn play(otherwise: driver::Otherwise) {
    tokio::select! {
        () = driver::run(otherwise) => {}
        () = driver::interrupted() => panic!("interrupted"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the test above, which starts it in a process of its own"]
async fn a_client_in_a_process_of_its_own() {
    driver::puppet::run().await;
}
