//! How a run goes, at a moment: what the live view and the progress line show. Pure data.

use std::time::Duration;

use super::report::{ErrorRow, Interval, Summary};

/// A run at a moment. Made about four times a second.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// Since the program began.
    pub elapsed: Duration,
    /// How much of the phase is done, 0 to 1; none when it has no end.
    pub done: Option<f64>,
    /// Clients connected, and how many there shall be.
    pub open: u64,
    /// Clients there shall be.
    pub clients: u64,
    /// Messages a second due now.
    pub target_rate: f64,
    /// Whether nothing is sent at the moment, as somebody wished.
    pub is_paused: bool,
    /// Messages sent, acked, and deliveries, since the load began.
    pub sent: u64,
    /// Acked of those.
    pub acked: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Violations the ledger found so far: lost, duplicated, reordered, corrupted, all others.
    pub violations: u64,
    /// Acks from due, of the whole load phase.
    pub ack: Summary,
    /// Deliveries from due, of the whole load phase.
    pub delivery: Summary,
    /// 99 in 100 messages of the last second were sent no later than this after they were due.
    pub lag_p99_us: u64,
    /// Whether the generator cannot keep up.
    pub is_limited: bool,
    /// By target.
    pub targets: Vec<TargetProgress>,
    /// By code, most frequent first.
    pub errors: Vec<ErrorRow>,
    /// The last intervals of a second, at most 120, the newest last.
    pub recent: Vec<Interval>,
}

/// What is going on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Phase {
    /// Clients connect and join.
    #[default]
    Connecting,
    /// Messages are due.
    Load,
    /// Nothing is sent any more; what is on its way arrives.
    Drain,
    /// It is over.
    Done,
}

/// A target at a moment.
#[derive(Clone, Debug, Default)]
pub struct TargetProgress {
    /// As given.
    pub target: String,
    /// Name of the node there.
    pub node: String,
    /// Clients connected.
    pub open: u64,
    /// Clients there shall be.
    pub clients: u64,
    /// Round-trip time of one of its connections; zero when there is none.
    pub rtt: Duration,
    /// Deliveries a second, lately.
    pub delivered_per_s: f64,
    /// Acks a second, lately.
    pub acked_per_s: f64,
    /// Reconnects.
    pub reconnects: u64,
    /// Errors.
    pub errors: u64,
}
