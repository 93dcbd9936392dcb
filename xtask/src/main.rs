//! What developers and CI run: `cargo xtask check`, `cargo xtask test`, `cargo xtask chaos`,
//! `cargo xtask sabotage`, `cargo xtask bench`, `cargo xtask compare`, `cargo xtask redis`,
//! `cargo xtask picture`.
//!
//! Each command does its own set-up, says every step it takes, and stops at the first step that
//! fails. Nothing is ever skipped: a missing Redis server is installed or is an error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod chaos;
mod check;
mod compare;
mod folders;
mod picture;
mod redis;
mod root;
mod running;
mod sabotage;
mod step;
mod suite;

/// Tasks of the chat workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Checks format, lints and documentation; any warning is an error.
    Check,
    /// Runs `check`, then every test, with a real Redis server that is installed when missing.
    Test {
        /// Passed on to the test runner, for example the name of one test.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        runner_args: Vec<String>,
    },
    /// Measures nodes, Redis and the bot on this machine: release builds, tables and a JSON file.
    Bench(bench::Settings),
    /// Puts this chat, NATS, Socket.IO and gRPC with Redis under the same load, side by side.
    Compare(compare::Settings),
    /// Breaks a cluster of processes while clients chat, and judges whether every promise was kept.
    Chaos(chaos::Settings),
    /// Breaks the node on purpose, one promise at a time, and expects the tests to notice.
    Sabotage,
    /// Finds or installs a Redis server and prints its path.
    Redis,
    /// Draws docs/terminal.svg anew from two real sessions; needs tmux.
    Picture,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Check => check::run(),
        Task::Test { runner_args } => suite::run(&runner_args),
        Task::Bench(settings) => bench::run(&settings),
        Task::Compare(settings) => compare::run(&settings),
        Task::Chaos(settings) => chaos::run(&settings),
        Task::Sabotage => sabotage::run(),
        Task::Redis => redis::find_or_install().map(|server| print_path(&server.display())),
        Task::Picture => picture::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the path is what `cargo xtask redis` is asked for"
)]
fn print_path(path: &dyn std::fmt::Display) {
    println!("{path}");
}
