//! From what a run found to its report. Pure.

use std::time::Duration;

use chat_client::ledger::Verdict as Judged;

use super::args::BotArgs;
use super::meter::{Measures, Timeline};
use super::plan::Plan;
use super::report::{
    Connections, Ended, Generator, Latency, Quic, Rate, Report, Run, Service, Summary, Target,
    Trust, Verdict,
};
use super::system;

/// All that a run found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What the ledgers say.
    pub verdict: Judged,
    /// What was measured.
    pub measures: Measures,
    /// Row by row.
    pub timeline: Timeline,
    /// What QUIC counted.
    pub quic: Quic,
    /// Round-trip times by target.
    pub rtts: Vec<Summary>,
    /// Clients by target, at the end of the load.
    pub open: Vec<u64>,
    /// Names of the nodes by target.
    pub nodes: Vec<String>,
    /// Deliveries after the drain time.
    pub late: u64,
    /// How it ended.
    pub ended: Ended,
    /// Whether a signal ended it.
    pub ended_by_signal: bool,
    /// What the reader should know.
    pub reasons: Vec<String>,
    /// Messages due.
    pub planned: u64,
    /// Time until all were there.
    pub connect: Duration,
    /// Time in which messages were due.
    pub load: Duration,
    /// Time until all was read.
    pub drain: Duration,
    /// Processor time of the load.
    pub cpu: Duration,
    /// Most memory resident, in bytes.
    pub memory: u64,
}

/// What the user asked for, and when.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The arguments.
    pub args: &'a BotArgs,
    /// When it began, RFC 3339.
    pub started: String,
    /// The command line that repeats it.
    pub command: String,
}

/// The report.
#[must_use]
pub fn report(asked: Asked<'_>, plan: &Plan, targets: &[String], found: Findings) -> Report {
    let args = asked.args;
    let counts = found.verdict.counts;
    let sums = found.measures.sums();
    let load_s = found.load.as_secs_f64().max(0.001);
    let per_s = |count: u64| count as f64 / load_s;
    let missing = counts.expected.saturating_sub(counts.delivered);
    let mut reasons = Vec::new();
    let verdict = if counts.violations() > 0 && found.ended != Ended::ClusterGone {
        Verdict::Fail
    } else if found.ended == Ended::ClusterGone || missing > 0 {
        Verdict::Incomplete
    } else {
        Verdict::Pass
    };
    if found.ended == Ended::ClusterGone {
        reasons.push(format!(
            "no target answered any more; {missing} deliveries could not be waited for"
        ));
    } else if missing > 0 && verdict == Verdict::Incomplete {
        reasons.push(format!("{missing} deliveries had not come when it ended"));
    }
    if found.ended == Ended::Interrupted {
        reasons.push("it was ended early".to_owned());
    }
    if counts.unjudged > 0 {
        reasons.push(format!(
            "{} acked messages met no reader: nothing can be said of them",
            counts.unjudged
        ));
    }
    if counts.unjudged_deliveries > 0 {
        reasons.push(format!(
            "{} deliveries came so late that only their checksums were looked at",
            counts.unjudged_deliveries
        ));
    }
    reasons.extend(found.reasons);
    let lag = found.measures.lag.summary();
    let trust = if lag.p99 > LAG_MAX_US {
        Trust::LimitedByClient
    } else {
        Trust::Ok
    };
    let mut errors: Vec<_> = found.measures.errors.values().cloned().collect();
    errors.sort_by_key(|row| std::cmp::Reverse(row.count));
    let count_of = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut report = Report {
        schema_version: 1,
        verdict,
        reasons,
        run: Run {
            title: args.title.clone(),
            command: asked.command,
            seed: plan.seed,
            started: asked.started,
            scenario: args.scenario.name().to_owned(),
            clients: count_of(plan.clients.len()),
            senders: count_of(
                plan.clients
                    .iter()
                    .filter(|client| client.is_sender)
                    .count(),
            ),
            rooms: count_of(plan.rooms.len()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cores: system::cores(),
            ended: found.ended,
            connect_s: found.connect.as_secs_f64(),
            load_s: found.load.as_secs_f64(),
            drain_s: found.drain.as_secs_f64(),
        },
        sent: counts.sent,
        acked: counts.acked,
        unacked: counts.unknown,
        unacked_in_log: counts.unacked_in_log,
        refused: found.measures.refused,
        expected: counts.expected,
        delivered: counts.delivered,
        lost: counts.lost,
        duplicated: counts.duplicated + counts.repeated,
        reordered: counts.reordered,
        corrupted: counts.corrupted,
        invented: counts.invented,
        disagreed: counts.disagreed,
        late: found.late,
        gaps: counts.gaps,
        violations: found.verdict.violations,
        rate: Rate {
            planned_per_s: per_s(found.planned),
            sent_per_s: per_s(sums.sent),
            acked_per_s: per_s(sums.acked),
            delivered_per_s: per_s(sums.delivered),
            connected_per_s: plan.clients.len() as f64 / found.connect.as_secs_f64().max(0.001),
        },
        latency_us: Latency {
            connect: found.measures.connect.summary(),
            ack: found.measures.ack().summary(),
            delivery: found.measures.delivery().summary(),
            same_node: found.measures.same_node.summary(),
            cross_node: found.measures.cross_node.summary(),
        },
        service_us: Service {
            ack: found.measures.service_ack.summary(),
            delivery: found.measures.service_delivery.summary(),
        },
        generator: Generator {
            trust,
            planned: found.planned,
            skipped: found.measures.skipped,
            lag_us: lag,
            cpu_percent: found.cpu.as_secs_f64() / load_s * 100.0,
            memory_bytes: found.memory,
        },
        connections: Connections {
            opened: found.measures.opened,
            failed: found.measures.failed,
            reconnects: sums.reconnects,
            returns: found.measures.returns,
            resumed: found.measures.resumed,
            open: found.open.iter().sum(),
        },
        quic: Quic {
            deliveries_per_datagram: if found.quic.datagrams_received == 0 {
                0.0
            } else {
                sums.delivered as f64 / found.quic.datagrams_received as f64
            },
            ..found.quic
        },
        targets: Vec::new(),
        errors,
        asserts: Vec::new(),
        timeline: found.timeline.rows().to_vec(),
    };
    report.targets = targets
        .iter()
        .enumerate()
        .map(|(index, target)| {
            let meter = &found.measures.targets[index];
            Target {
                target: target.clone(),
                node: found.nodes[index].clone(),
                connections: found.open[index],
                sent: meter.sent,
                acked: meter.acked,
                delivered: meter.delivered,
                reconnects: meter.reconnects,
                errors: meter.errors,
                rtt_us: found.rtts[index],
                ack_us: meter.ack.summary(),
                delivery_us: meter.delivery.summary(),
            }
        })
        .collect();
    report.asserts = args
        .asserts
        .iter()
        .map(|assert| assert.check(&report))
        .collect();
    report
}

/// A generator that is later than this, for one message in a hundred, measures itself.
pub const LAG_MAX_US: u64 = 10_000;
