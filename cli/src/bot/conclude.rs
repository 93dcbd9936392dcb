//! From what a run found to its report. Pure.

use std::time::Duration;

use chat_client::ledger::Verdict as Judged;

use super::args::BotArgs;
use super::meter::{Measures, Sums, Timeline};
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
    /// What was counted by the end of the load.
    pub loaded: Sums,
    /// Names of the nodes by target.
    pub nodes: Vec<String>,
    /// Deliveries after the drain time.
    pub late: u64,
    /// How it ended.
    pub ended: Ended,
    /// Whether a signal ended it.
    pub ended_by_signal: bool,
    /// Clients that never came.
    pub absent: usize,
    /// Whether it was not waited for what was still on its way.
    pub is_cut: bool,
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

/// What a second had on average while messages were due. What came after is not part of it: a cluster
/// that falls behind would look as if it kept up.
fn rate(found: &Findings, clients: usize) -> Rate {
    let load_s = found.load.as_secs_f64().max(0.001);
    let per_s = |count: u64| count as f64 / load_s;
    Rate {
        planned_per_s: per_s(found.planned),
        sent_per_s: per_s(found.loaded.sent),
        acked_per_s: per_s(found.loaded.acked),
        delivered_per_s: per_s(found.loaded.delivered),
        connected_per_s: clients as f64 / found.connect.as_secs_f64().max(0.001),
    }
}

/// The report.
#[must_use]
pub fn report(asked: Asked<'_>, plan: &Plan, targets: &[String], found: Findings) -> Report {
    let args = asked.args;
    let counts = found.verdict.counts;
    let sums = found.measures.sums();
    let load_s = found.load.as_secs_f64().max(0.001);
    let rate = rate(&found, plan.clients.len());
    let (verdict, mut reasons) = judge(&found);
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
        rate,
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
        quic: found.quic,
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

/// Whether the cluster delivered, and why not. Who did not wait cannot say that something is lost,
/// but something that came wrong stays wrong.
fn judge(found: &Findings) -> (Verdict, Vec<String>) {
    let counts = found.verdict.counts;
    let mut reasons = Vec::new();
    let wrong = counts.violations() - counts.lost - counts.behind;
    let missing = counts.expected.saturating_sub(counts.delivered);
    let verdict = if wrong > 0 || counts.violations() > 0 && !found.is_cut {
        Verdict::Fail
    } else if missing > 0
        || counts.violations() > 0
        || found.absent > 0
        || found.ended == Ended::ClusterGone
    {
        Verdict::Incomplete
    } else {
        Verdict::Pass
    };
    match found.ended {
        Ended::ClusterGone => reasons.push(format!(
            "no target answered any more; {missing} deliveries could not be waited for"
        )),
        Ended::Interrupted => reasons.push("it was ended early".to_owned()),
        Ended::Done => {}
    }
    if missing > 0 && found.is_cut && found.ended != Ended::ClusterGone {
        reasons.push(format!("{missing} deliveries were not waited for"));
    }
    if found.absent > 0 {
        reasons.push(format!(
            "{} clients could not connect and join",
            found.absent
        ));
    }
    (verdict, reasons)
}

/// A generator that is later than this, for one message in a hundred, measures itself.
pub const LAG_MAX_US: u64 = 10_000;

#[cfg(test)]
mod tests {
    use chat_client::ledger::Counts;

    use super::*;
    use crate::bot::meter::nothing_measured;

    fn found(counts: Counts) -> Findings {
        Findings {
            verdict: Judged {
                counts,
                violations: Vec::new(),
            },
            measures: nothing_measured(1),
            timeline: Timeline::default(),
            quic: Quic::default(),
            rtts: vec![],
            open: vec![],
            loaded: Sums::default(),
            nodes: vec![],
            absent: 0,
            is_cut: false,
            late: 0,
            ended: Ended::Done,
            ended_by_signal: false,
            planned: 0,
            connect: Duration::ZERO,
            load: Duration::ZERO,
            drain: Duration::ZERO,
            cpu: Duration::ZERO,
            memory: 0,
        }
    }

    fn delivered(expected: u64, delivered: u64) -> Counts {
        Counts {
            expected,
            delivered,
            lost: expected - delivered,
            ..Counts::default()
        }
    }

    #[test]
    fn what_came_in_the_drain_is_no_part_of_the_rates() {
        let mut found = found(delivered(10, 10));
        found.load = Duration::from_secs(2);
        found.planned = 100;
        found.loaded = Sums {
            sent: 100,
            acked: 60,
            delivered: 120,
            ..Sums::default()
        };
        // In the end all were acked.
        found.measures.targets[0].sent = 100;
        found.measures.targets[0].acked = 100;
        found.measures.targets[0].delivered = 200;
        let rate = rate(&found, 4);
        let measured = [rate.planned_per_s, rate.sent_per_s, rate.acked_per_s];
        assert_eq!(measured, [50.0, 50.0, 30.0]);
        assert_eq!(rate.delivered_per_s, 60.0);
    }

    #[test]
    fn what_did_not_come_is_lost_only_to_those_who_waited() {
        let all = found(delivered(10, 10));
        assert_eq!(judge(&all), (Verdict::Pass, vec![]));
        let one_short = found(delivered(10, 9));
        assert_eq!(judge(&one_short).0, Verdict::Fail);
        let cut = Findings {
            is_cut: true,
            ended: Ended::Interrupted,
            ..one_short.clone()
        };
        let (verdict, reasons) = judge(&cut);
        assert_eq!(verdict, Verdict::Incomplete);
        let said = ["it was ended early", "1 deliveries were not waited for"];
        assert_eq!(reasons, said);
        let waited = Findings {
            ended: Ended::Interrupted,
            ..one_short
        };
        assert_eq!(judge(&waited).0, Verdict::Fail, "its drain was whole");
    }

    #[test]
    fn what_came_wrong_is_wrong_however_it_ended() {
        let twice = Counts {
            duplicated: 1,
            ..delivered(10, 9)
        };
        let gone = Findings {
            is_cut: true,
            ended: Ended::ClusterGone,
            ..found(twice)
        };
        assert_eq!(judge(&gone).0, Verdict::Fail);
        let gone = Findings {
            is_cut: true,
            ended: Ended::ClusterGone,
            ..found(delivered(10, 10))
        };
        assert_eq!(judge(&gone).0, Verdict::Incomplete);
    }

    #[test]
    fn a_run_without_all_its_clients_is_not_complete() {
        let short = Findings {
            absent: 3,
            ..found(delivered(10, 10))
        };
        let (verdict, reasons) = judge(&short);
        assert_eq!(verdict, Verdict::Incomplete);
        assert_eq!(reasons, ["3 clients could not connect and join"]);
    }
}
