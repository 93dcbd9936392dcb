//! The bot's command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::assertion::Assertion;
use super::quantity::{self, Part, PerSecond, SharePerSecond, Size, Stage};
use crate::args::{ColorWhen, ConnectArgs};

/// A bot's run, as it is asked for.
#[derive(Args, Clone, Debug)]
pub struct BotArgs {
    /// Nodes of one cluster: PORT, HOST:PORT, …. Clients are spread over them.
    #[arg(value_name = "TARGET", required = true, value_delimiter = ',')]
    pub targets: Vec<String>,

    /// What the rest defaults to.
    #[arg(long, value_name = "NAME", default_value = "chat")]
    pub scenario: Scenario,

    /// Clients. [default: by scenario, chat: 50]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=CLIENTS_MAX))]
    pub clients: Option<u32>,

    /// Rooms. [default: by scenario, chat: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=ROOMS_MAX))]
    pub rooms: Option<u32>,

    /// Rooms each client joins.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=ROOMS_PER_CLIENT_MAX))]
    pub rooms_per_client: u32,

    /// Messages a second of all clients together. [default: by scenario, chat: 100/s]
    #[arg(long, value_name = "R", conflicts_with = "stages")]
    pub rate: Option<PerSecond>,

    /// Time in which the rate rises to --rate.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "stages")]
    pub ramp: Option<Duration>,

    /// The rate over time, such as 10s:500,30s:2000,10s:0: each stage goes evenly to its rate.
    #[arg(long, value_name = "TIME:R,…", value_delimiter = ',', conflicts_with_all = ["duration", "count"])]
    pub stages: Vec<Stage>,

    /// How long messages are sent. [default: 10s]
    #[arg(long, short = 'z', value_name = "TIME", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,

    /// How many messages are sent, instead of for how long.
    #[arg(long, short = 'n', value_name = "N", value_parser = quantity::count, conflicts_with = "duration")]
    pub count: Option<u64>,

    /// Bytes of a message, or a range of them: 128, 64..512.
    #[arg(long, value_name = "BYTES", default_value = "128")]
    pub size: Size,

    /// Clients that send, as a number or a share; all others read only. [default: by scenario, chat: 100%]
    #[arg(long, value_name = "N|P%")]
    pub senders: Option<Part>,

    /// Clients that read slowly. [default: by scenario, chat: 0]
    #[arg(long, value_name = "N|P%")]
    pub slow_readers: Option<Part>,

    /// Connections made in a second at the start.
    #[arg(long, value_name = "R", default_value = "500/s")]
    pub connect_rate: PerSecond,

    /// Share of clients that leave and come back in each second. [default: by scenario, chat: 0%/s]
    #[arg(long, value_name = "P%/s")]
    pub churn: Option<SharePerSecond>,

    /// Every so often all clients lose their connections at once and come back.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub reconnect_storm: Option<Duration>,

    /// Longest time for what was sent to arrive, after the last message.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "10s")]
    pub drain: Duration,

    /// What must hold, such as 'p99<20ms', 'errors==0', 'rate>=990'; may be repeated.
    #[arg(long = "assert", value_name = "EXPR")]
    pub asserts: Vec<Assertion>,

    /// Decides who sends what when; the same seed repeats the plan. [default: a random one]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Write the report as JSON (docs/bot-report.schema.json); - is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write the report as one HTML page, with charts.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Write one row a second while the run goes on.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// A title for the report.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,

    /// No full-screen view, also on a terminal.
    #[arg(long)]
    pub no_tui: bool,

    /// Whether to use colours; auto also respects NO_COLOR.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,

    /// Load targets that are not on this machine. Only ever with the consent of whoever runs them.
    #[arg(long)]
    pub allow_remote: bool,

    /// UDP sockets the clients share. [default: by processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=SOCKETS_MAX))]
    pub sockets: Option<u16>,

    /// Whom to trust.
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// What a run is like.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Scenario {
    /// Rooms of people who all talk.
    Chat,
    /// One talks to many: one room, one sender.
    Fanout,
    /// Clients come and go while others talk.
    Churn,
    /// Many are there and nobody says anything.
    Idle,
    /// Some cannot keep up with what they are sent.
    SlowReader,
}

impl Scenario {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Fanout => "fanout",
            Self::Churn => "churn",
            Self::Idle => "idle",
            Self::SlowReader => "slow-reader",
        }
    }
}

/// More than one process should hold.
const CLIENTS_MAX: i64 = 100_000;

/// A node has no more open.
const ROOMS_MAX: i64 = 10_000;

/// What a session may join, and a room to spare.
const ROOMS_PER_CLIENT_MAX: i64 = 50;

const SOCKETS_MAX: i64 = 256;
