//! A run of the chaos driver, for as long as one likes.
//!
//! The driver is a test, `node/tests/chaos.rs`; it takes its settings from the environment.

use std::process::Stdio;

use anyhow::Result;
use clap::Args;

use crate::{redis, step};

/// How long and how large. What is not given is the driver's choice.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// For how long faults are made, in minutes; 0.5 is half a minute.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// Repeats the plan of an earlier run, which printed its seed.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Nodes of the cluster.
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// Clients besides the one in a process of its own.
    #[arg(long, value_name = "C")]
    clients: Option<u32>,
    /// Makes only faults with one of these words in their names, such as "redis,node killed", and
    /// none with a word after a minus sign, such as "-flushed".
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// Runs optimized builds, which takes longer to build.
    #[arg(long)]
    release: bool,
}

/// Runs the driver.
///
/// # Errors
/// When a promise was broken, or when no Redis server can be found or installed.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let server = redis::find_or_install()?;
    let mut command = step::cargo();
    command.args(["test", "--package", "chat-node", "--locked"]);
    if settings.release {
        command.arg("--release");
    }
    command
        .args(["--test", "chaos", "--"])
        .args(["--exact", TEST, "--nocapture"])
        .env(redis::SERVER_VARIABLE, server)
        .stdin(Stdio::null());
    for (variable, value) in [
        // Long enough for every kind of fault.
        ("CHAT_CHAOS_MINUTES", text(settings.minutes.or(Some(1.7)))),
        ("CHAT_CHAOS_SEED", text(settings.seed)),
        ("CHAT_CHAOS_NODES", text(settings.nodes)),
        ("CHAT_CHAOS_CLIENTS", text(settings.clients)),
        (
            "CHAT_CHAOS_ONLY",
            Some(settings.only.clone().unwrap_or_default()),
        ),
    ] {
        if let Some(value) = value {
            command.env(variable, value);
        }
    }
    step::run(&mut command)
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// The run; the binary's other tests are of the driver's own parts.
const TEST: &str = "promises_are_kept_under_faults";
