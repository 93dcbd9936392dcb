//! Every check, every sabotage and every test, in an order that ends with the test runner's own summary.

use anyhow::Result;

use crate::{check, redis, sabotage, step};

/// Runs the checks, then builds everything, then all tests.
///
/// The binaries are built before any test runs: cross-node tests start `target/debug/chat-node`
/// and `target/debug/chat-cli` as a user would. Doctests run first, because the last lines are
/// the summary of the runner with all other tests.
///
/// # Errors
/// When a check or a test fails, or when no Redis server can be found or installed.
pub(crate) fn run(runner_args: &[String]) -> Result<()> {
    check::run()?;
    let redis_server = redis::for_tests()?;

    // All targets, not only the binaries: features are then resolved as for the tests, and
    // nothing is built twice.
    step::run(step::cargo().args(["build", "--workspace", "--all-targets", "--locked"]))?;
    step::run(step::cargo().args(["test", "--workspace", "--doc", "--locked"]))?;

    // Whoever asks for one test wants its answer.
    if runner_args.is_empty() {
        sabotage::run()?;
    }

    let mut tests = step::cargo();
    if step::succeeds(step::cargo().args(["nextest", "--version"])) {
        tests.args(["nextest", "run", "--workspace", "--locked"]);
    } else {
        step::say("cargo-nextest is not installed, so `cargo test` runs the tests");
        tests.args([
            "test",
            "--workspace",
            "--all-targets",
            "--no-fail-fast",
            "--locked",
        ]);
    }
    if let Some(server) = redis_server {
        tests.env(redis::SERVER_VARIABLE, server);
    }
    step::run(tests.args(runner_args))
}
