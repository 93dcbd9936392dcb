//! What tests of a whole node share: real processes, real Redis, real QUIC.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, reason = "shared by test binaries, public to nobody")]

pub mod deaf;
pub mod held;
pub mod member;
pub mod peer;
pub mod process;
pub mod redis;
pub mod registry;
pub mod relay;

use std::time::Duration;

/// How long anything may take before a test calls it missing. Generous: machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits something that must happen.
pub async fn soon<T>(what: &str, happens: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, happens).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}
