//! How long, how large and which run: from the environment, as `cargo xtask chaos` sets it.

use std::env;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

/// What a run is like. The same settings give the same plan.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// For how long faults are made.
    pub(crate) length: Duration,
    /// Decides what happens when, and who does what.
    pub(crate) seed: u64,
    /// Nodes of the cluster.
    pub(crate) nodes: usize,
    /// Clients in the process of the test.
    pub(crate) clients: usize,
    /// Words in the kinds of faults that are made, or after a minus sign are not, divided by commas;
    /// empty for all.
    pub(crate) only: String,
}

/// What is not set by whoever starts a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Otherwise {
    pub(crate) minutes: f64,
    pub(crate) only: &'static str,
}

impl Settings {
    /// The settings of this run; a seed that is not given is drawn.
    pub(crate) fn from_env(otherwise: Otherwise) -> Self {
        let minutes = number("CHAT_CHAOS_MINUTES").unwrap_or(otherwise.minutes);
        assert!(
            (0.1..=MINUTES_MAX).contains(&minutes),
            "CHAT_CHAOS_MINUTES is 0.1 to {MINUTES_MAX}"
        );
        let settings = Self {
            length: Duration::from_secs_f64(minutes * 60.0),
            seed: number("CHAT_CHAOS_SEED").unwrap_or_else(rand::random),
            nodes: number("CHAT_CHAOS_NODES").unwrap_or(3),
            clients: number("CHAT_CHAOS_CLIENTS").unwrap_or(12),
            only: env::var("CHAT_CHAOS_ONLY").unwrap_or_else(|_| otherwise.only.to_owned()),
        };
        assert!(
            (2..=16).contains(&settings.nodes),
            "CHAT_CHAOS_NODES is 2 to 16"
        );
        assert!(
            (3..=1_000).contains(&settings.clients),
            "CHAT_CHAOS_CLIENTS is 3 to 1000"
        );
        settings
    }
}

/// The command that repeats the run.
impl Display for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.length.as_secs_f64() / 60.0;
        write!(
            out,
            "cargo xtask chaos --minutes {minutes:.3} --seed {} --nodes {} --clients {}",
            self.seed, self.nodes, self.clients
        )?;
        match &*self.only {
            "" => Ok(()),
            only => write!(out, " --only {only:?}"),
        }
    }
}

fn number<T: FromStr>(variable: &str) -> Option<T> {
    let given = env::var(variable).ok().filter(|text| !text.is_empty())?;
    match given.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable} is {given:?}, which is no number"),
    }
}

/// What is sent and read is kept until the end, in memory.
const MINUTES_MAX: f64 = 24.0 * 60.0;
