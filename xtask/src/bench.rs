//! Whole-system figures: release nodes, a real Redis and the bot, measured from outside.
//!
//! Nodes and Redis share one core and the bot has another, so that what a server costs is neither
//! hidden nor helped by idle cores. Each run has a cluster of its own. Processor time is the
//! kernel's, over the time in which the bot sent; latencies are the bot's, from when a message was
//! due. Progress goes to standard error, tables to standard output, and everything to a file.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::step;

mod bot;
mod cluster;
mod fanout;
mod flat;
mod handshakes;
mod idle;
mod machine;
mod meter;
mod publish;
mod report;
mod rig;

use report::{Results, Table};
use rig::Rig;

/// What is measured, of which programs.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// Only scenarios whose names begin with one of these: fanout, flat-members, flat-rooms,
    /// publish, idle, handshakes.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Fewer and shorter runs, for a first look.
    #[arg(long)]
    quick: bool,
    /// Deliveries a second in flat-members and flat-rooms. With the servers' core full, the cost of
    /// each is only what there was to spend.
    #[arg(long, value_name = "R", default_value_t = 30_000)]
    flat_rate: u32,
    /// Measures this chat-node instead of building the tree's.
    #[arg(long, value_name = "PATH", requires = "label")]
    node: Option<PathBuf>,
    /// Loads with this chat-cli instead of building the tree's.
    #[arg(long, value_name = "PATH", requires = "label")]
    cli: Option<PathBuf>,
    /// What the programs given are, such as their commit.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Where figures are kept; those of other scenarios there stay if they are of the same machine
    /// and programs. [default: target/bench/DATE-COMMIT.json]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Measures, prints and keeps the figures.
///
/// # Errors
/// When nothing can be built, started or measured. What was measured before is kept.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let chosen = chosen(&settings.only)?;
    let rig = Rig::set_up(settings)?;
    let mut results = Results::open(settings, &rig)?;
    for (index, scenario) in chosen.iter().enumerate() {
        let Scenario { name, measure } = scenario;
        step::say(&format!("{name} ({} of {})", index + 1, chosen.len()));
        let table = measure(&rig)?;
        report::print(name, &table);
        results.keep(name, &table, settings.quick)?;
    }
    step::say(&format!("figures are in {}", results.path().display()));
    Ok(())
}

/// A question and the runs that answer it.
#[derive(Debug)]
struct Scenario {
    name: &'static str,
    measure: fn(&Rig) -> Result<Table>,
}

/// In the order they run.
const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "fanout",
        measure: fanout::measure,
    },
    Scenario {
        name: "flat-members",
        measure: flat::members,
    },
    Scenario {
        name: "flat-rooms",
        measure: flat::rooms,
    },
    Scenario {
        name: "publish",
        measure: publish::measure,
    },
    Scenario {
        name: "idle",
        measure: idle::measure,
    },
    Scenario {
        name: "handshakes",
        measure: handshakes::measure,
    },
];

/// The scenarios that begin with one of `names`; all when none are given.
fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    let is_chosen = |scenario: &&Scenario| {
        names.is_empty() || names.iter().any(|name| scenario.name.starts_with(name))
    };
    for name in names {
        if !SCENARIOS
            .iter()
            .any(|scenario| scenario.name.starts_with(name))
        {
            let known = SCENARIOS.map(|scenario| scenario.name).join(", ");
            bail!("there is no scenario `{name}`; there are {known}");
        }
    }
    Ok(SCENARIOS.iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_chosen_by_how_they_begin() {
        let names = |only: &[&str]| -> Result<Vec<&str>> {
            let only: Vec<_> = only.iter().map(|&name| name.to_owned()).collect();
            Ok(chosen(&only)?.iter().map(|found| found.name).collect())
        };
        assert_eq!(names(&[]).unwrap().len(), SCENARIOS.len());
        assert_eq!(names(&["flat"]).unwrap(), ["flat-members", "flat-rooms"]);
        assert_eq!(names(&["idle", "fan"]).unwrap(), ["fanout", "idle"]);
        assert!(names(&["fan", "speed"]).is_err());
    }
}
