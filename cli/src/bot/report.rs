//! What a run found out: the report, as it is published in JSON.
//!
//! Pure data. The text, the page and the table are made from it; its schema is
//! `docs/bot-report.schema.json`. Within a schema version nothing is removed or renamed.
//!
//! Times are in microseconds unless a name ends in `_s` (seconds since the load began, or of
//! duration). Latencies count from when a message was *due*: a generator or a cluster that is late
//! cannot make them look better. Service times count from when it was really handed to the client.

use serde::Serialize;

pub mod csv;
pub(crate) mod figure;
pub mod html;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
pub mod text;

/// The report of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Of this form: 1.
    pub schema_version: u32,
    /// Whether the cluster delivered.
    pub verdict: Verdict,
    /// Why the verdict is not `pass`, the gravest first; also what else the reader should know.
    pub reasons: Vec<String>,
    /// What was run.
    pub run: Run,

    /// Messages handed to clients.
    pub sent: u64,
    /// Messages that were acked.
    pub acked: u64,
    /// Messages that were never acked and are in no log: they may be lost.
    pub unacked: u64,
    /// Messages that were never acked and are in the log all the same, once.
    pub unacked_in_log: u64,
    /// Messages that nodes refused for good.
    pub refused: u64,
    /// Deliveries there should be: for every reader, the entries of its rooms since it joined.
    pub expected: u64,
    /// Deliveries there were, each counted once.
    pub delivered: u64,
    /// Deliveries of messages in the log that a reader never got, and was not told of.
    pub lost: u64,
    /// Deliveries that came again, or messages that are in the log twice.
    pub duplicated: u64,
    /// Deliveries that came after a later one of the same sender.
    pub reordered: u64,
    /// Deliveries whose checksum was wrong.
    pub corrupted: u64,
    /// Deliveries of messages that nobody sent.
    pub invented: u64,
    /// Places of a log where two readers, or a reader and an ack, do not agree.
    pub disagreed: u64,
    /// Deliveries that came only after the drain time, and in the extra time given to them.
    pub late: u64,
    /// Losses that were announced: gaps that readers were told of.
    pub gaps: u64,
    /// The first broken promises, in words.
    pub violations: Vec<String>,

    /// Messages and deliveries a second, over the load phase.
    pub rate: Rate,
    /// From when it was due.
    pub latency_us: Latency,
    /// From when it was really sent.
    pub service_us: Service,
    /// Whether the bot itself kept up.
    pub generator: Generator,
    /// Over the life of all connections.
    pub connections: Connections,
    /// What QUIC counted.
    pub quic: Quic,
    /// By target, in the order given.
    pub targets: Vec<Target>,
    /// By code, most frequent first.
    pub errors: Vec<ErrorRow>,
    /// What was asserted, in the order given.
    pub asserts: Vec<AssertRow>,
    /// One row for each interval of the run; at most 3,600, so intervals grow with the run.
    pub timeline: Vec<Interval>,
}

/// Whether the cluster delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was acked was delivered as promised.
    Pass,
    /// A promise was broken.
    Fail,
    /// It cannot be said: the run ended before everything could be read.
    #[default]
    Incomplete,
}

/// What was run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// `--title`, if given.
    pub title: Option<String>,
    /// The command line that repeats it, seed included.
    pub command: String,
    /// Decides who sends what when.
    pub seed: u64,
    /// When it began, RFC 3339.
    pub started: String,
    /// `chat`, `fanout`, `churn`, `idle` or `slow-reader`.
    pub scenario: String,
    /// Clients.
    pub clients: u32,
    /// Clients that send.
    pub senders: u32,
    /// Rooms.
    pub rooms: u32,
    /// Version of this program.
    pub version: String,
    /// Processors of this machine.
    pub cores: u32,
    /// `done`, `interrupted` or `cluster_gone`.
    pub ended: Ended,
    /// Time until all clients were there.
    pub connect_s: f64,
    /// Time in which messages were due.
    pub load_s: f64,
    /// Time until all was read after that.
    pub drain_s: f64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As planned.
    #[default]
    Done,
    /// By the user.
    Interrupted,
    /// No target answered any more.
    ClusterGone,
}

/// A second's worth, on average over the load phase.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rate {
    /// Messages due.
    pub planned_per_s: f64,
    /// Messages sent.
    pub sent_per_s: f64,
    /// Messages acked.
    pub acked_per_s: f64,
    /// Deliveries.
    pub delivered_per_s: f64,
    /// Connections made while all connected.
    pub connected_per_s: f64,
}

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Summary {
    /// Values.
    pub count: u64,
    /// The smallest.
    pub min: u64,
    /// Their mean.
    pub mean: f64,
    /// Half are below.
    pub p50: u64,
    /// Nine tenths are below.
    pub p90: u64,
    /// 99 in 100 are below.
    pub p99: u64,
    /// 999 in 1,000 are below.
    pub p999: u64,
    /// 9,999 in 10,000 are below.
    pub p9999: u64,
    /// The largest.
    pub max: u64,
}

/// Times from when it was due.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// From the first packet to a session's welcome.
    pub connect: Summary,
    /// From due to acked.
    pub ack: Summary,
    /// From due to a reader, all of them. Slow readers do not count, nor what came after a
    /// reconnect.
    pub delivery: Summary,
    /// Of those, to readers on the sender's node.
    pub same_node: Summary,
    /// Of those, to readers on another node.
    pub cross_node: Summary,
}

/// Times from when it was sent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Service {
    /// From sent to acked.
    pub ack: Summary,
    /// From sent to a reader.
    pub delivery: Summary,
}

/// Whether the bot itself kept up.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Generator {
    /// Whether figures are the cluster's, or limited by this client.
    pub trust: Trust,
    /// Messages due.
    pub planned: u64,
    /// Messages that were due and not sent, since a client had too many without an ack.
    pub skipped: u64,
    /// How much later than due messages were sent.
    pub lag_us: Summary,
    /// Processor time used, in percent of one processor.
    pub cpu_percent: f64,
    /// Most memory resident.
    pub memory_bytes: u64,
}

/// Whose figures they are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The cluster's.
    #[default]
    Ok,
    /// The generator was late: the cluster may be able to do more.
    LimitedByClient,
}

/// Over the life of all connections.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Connections {
    /// Made, also again.
    pub opened: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Lost without being asked to, and made again.
    pub reconnects: u64,
    /// Ended and made again on purpose: churn and storms.
    pub returns: u64,
    /// Sessions that went on after either.
    pub resumed: u64,
    /// Open at the end of the load.
    pub open: u64,
}

/// What QUIC counted, over all connections.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quic {
    /// Round-trip times, one value for each connection at the end of the load.
    pub rtt_us: Summary,
    /// Packets sent by the bot.
    pub packets_sent: u64,
    /// Of those, lost.
    pub packets_lost: u64,
    /// In percent.
    pub loss_percent: f64,
    /// UDP datagrams received.
    pub datagrams_received: u64,
    /// Bytes in them.
    pub bytes_received: u64,
    /// Bytes in the datagrams sent.
    pub bytes_sent: u64,
    /// Deliveries in a datagram, on average.
    pub deliveries_per_datagram: f64,
    /// Times a congestion window shrank.
    pub congestion_events: u64,
}

/// One target.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Target {
    /// As given.
    pub target: String,
    /// Name of the node that answered there last.
    pub node: String,
    /// Clients there at the end of the load.
    pub connections: u64,
    /// Messages sent through it.
    pub sent: u64,
    /// Messages it acked.
    pub acked: u64,
    /// Deliveries it made.
    pub delivered: u64,
    /// Reconnects away from or to it.
    pub reconnects: u64,
    /// Errors of its clients.
    pub errors: u64,
    /// Round-trip times of its connections at the end of the load.
    pub rtt_us: Summary,
    /// Acks, from due.
    pub ack_us: Summary,
    /// Deliveries to its readers, from due.
    pub delivery_us: Summary,
}

/// Errors of one code.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ErrorRow {
    /// As in the protocol, or the bot's own.
    pub code: String,
    /// What the first said.
    pub text: String,
    /// How many.
    pub count: u64,
    /// When the first came.
    pub first_s: f64,
    /// When the last came.
    pub last_s: f64,
}

/// One assert.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AssertRow {
    /// As given.
    pub assert: String,
    /// What was measured, with its unit.
    pub measured: String,
    /// Whether it holds.
    pub passed: bool,
}

/// What happened in an interval.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Interval {
    /// When it ended, in seconds since the load began.
    pub at_s: f64,
    /// Its length.
    pub length_s: f64,
    /// Messages due in it.
    pub planned: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages acked.
    pub acked: u64,
    /// Deliveries.
    pub delivered: u64,
    /// Half of the acks were faster, from due.
    pub ack_p50_us: u64,
    /// 99 in 100 acks were.
    pub ack_p99_us: u64,
    /// Half of the deliveries were faster, from due.
    pub delivery_p50_us: u64,
    /// 99 in 100 deliveries were.
    pub delivery_p99_us: u64,
    /// Slowest delivery.
    pub delivery_max_us: u64,
    /// 99 in 100 messages were sent no later than this after they were due.
    pub lag_p99_us: u64,
    /// Connections open at its end.
    pub open: u64,
    /// Reconnects in it.
    pub reconnects: u64,
    /// Errors in it.
    pub errors: u64,
}
