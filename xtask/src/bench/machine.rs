//! The machine and the sources that figures are of, and which processes run on which core.

use std::fmt::{self, Display};
use std::path::Path;
use std::process::Command;
use std::{env, fs, thread};

use serde_json::{Value, json};

use crate::{folders, step};

/// Where processes may run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pins {
    /// Servers on the first core, load on the second.
    Pinned,
    /// Anywhere, since there is one core only.
    OneCore,
    /// Anywhere, since there is no `taskset`.
    NoTaskset,
}

/// Who runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// Nodes and Redis.
    Server,
    /// The bot.
    Load,
}

impl Pins {
    /// What this machine allows.
    pub(super) fn find() -> Self {
        if thread::available_parallelism().map_or(1, usize::from) < 2 {
            Self::OneCore
        } else if step::find_program("taskset", env::var_os("PATH")).is_none() {
            Self::NoTaskset
        } else {
            Self::Pinned
        }
    }

    /// A command that runs `program` where its side belongs. It keeps the process id it starts with.
    pub(super) fn command(self, side: Side, program: &Path) -> Command {
        if self != Self::Pinned {
            return Command::new(program);
        }
        let core = match side {
            Side::Server => "0",
            Side::Load => "1",
        };
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", core]).arg(program);
        command
    }
}

impl Display for Pins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Pinned => "nodes and Redis on core 0, the bot on core 1",
            Self::OneCore => "NOT pinned: this machine has one core, and the bot shares it",
            Self::NoTaskset => "NOT pinned: there is no taskset; the bot shares the servers' cores",
        })
    }
}

/// What the figures depend on besides the programs.
pub(super) fn describe(redis: &Path) -> Value {
    json!({
        "cpu": field("/proc/cpuinfo", "model name"),
        "cores": thread::available_parallelism().map_or(1, usize::from),
        "memory": field("/proc/meminfo", "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "redis": output(Command::new(redis).arg("--version")),
    })
}

/// The commit of the tree, with a mark when the tree is not what was committed.
pub(super) fn commit() -> String {
    let git = |args: &[&str]| {
        output(
            Command::new("git")
                .arg("-C")
                .arg(folders::workspace())
                .args(args),
        )
    };
    match git(&["rev-parse", "--short", "HEAD"]) {
        None => "unknown".to_owned(),
        Some(commit) => match git(&["status", "--porcelain", "--untracked-files=no"]) {
            Some(changes) if changes.is_empty() => commit,
            _ => format!("{commit}-changed"),
        },
    }
}

/// How many files a process may open when it asks for all it may have.
pub(super) fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    // "unlimited" is no number, and enough.
    Some(line.split_whitespace().nth(1)?.parse().unwrap_or(u64::MAX))
}

/// What stands after `name` and a colon in a file of the kernel's.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|run| run.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
