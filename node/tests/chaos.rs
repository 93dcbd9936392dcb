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

#[tokio::test(flavor = "multi_thread")]
async fn promises_are_kept_under_faults() {
    tokio::select! {
        () = driver::run() => {}
        () = driver::interrupted() => panic!("interrupted"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the test above, which starts it in a process of its own"]
async fn a_client_in_a_process_of_its_own() {
    driver::puppet::run().await;
}
