//! Reports to test with: as from a real run, every field different from its default.

use super::{
    AssertRow, Connections, Ended, ErrorRow, Generator, Interval, Latency, Quic, Rate, Report, Run,
    Service, Summary, Target, Trust, Verdict,
};

/// A run of a minute with 200 clients at two nodes, in which all went well.
pub(crate) fn passed() -> Report {
    Report {
        schema_version: 1,
        verdict: Verdict::Pass,
        reasons: vec![],
        run: Run {
            title: Some("two nodes, one Redis".to_owned()),
            command: "chat-cli bot 8081 8082 -c 200 --rooms 20 --rate 2000 -z 60s --seed 7"
                .to_owned(),
            seed: 7,
            started: "2026-11-23T19:05:02.000Z".to_owned(),
            scenario: "chat".to_owned(),
            clients: 200,
            senders: 20,
            rooms: 20,
            version: "0.1.0".to_owned(),
            cores: 2,
            ended: Ended::Done,
            connect_s: 1.25,
            load_s: 60.0,
            drain_s: 0.4,
        },
        sent: 120_034,
        acked: 120_030,
        unacked: 3,
        unacked_in_log: 1,
        refused: 2,
        expected: 2_400_680,
        delivered: 2_400_680,
        lost: 0,
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
        invented: 0,
        disagreed: 0,
        late: 5,
        gaps: 4,
        violations: vec![],
        rate: Rate {
            planned_per_s: 2_000.6,
            sent_per_s: 2_000.5,
            acked_per_s: 2_000.4,
            delivered_per_s: 40_011.3,
            connected_per_s: 160.0,
        },
        latency_us: Latency {
            connect: summary(200, 4_200),
            ack: summary(120_030, 1_900),
            delivery: summary(2_400_680, 2_400),
            same_node: summary(1_200_340, 2_100),
            cross_node: summary(1_200_340, 2_700),
        },
        service_us: Service {
            ack: summary(120_030, 870),
            delivery: summary(2_400_680, 1_300),
        },
        generator: Generator {
            trust: Trust::Ok,
            planned: 120_036,
            skipped: 2,
            lag_us: summary(120_034, 60),
            cpu_percent: 87.4,
            memory_bytes: 148_000_000,
        },
        connections: Connections {
            opened: 212,
            failed: 1,
            reconnects: 2,
            returns: 10,
            resumed: 9,
            open: 200,
        },
        quic: Quic {
            rtt_us: summary(200, 310),
            packets_sent: 181_000,
            packets_lost: 36,
            loss_percent: 0.02,
            datagrams_received: 400_113,
            bytes_received: 310_000_000,
            bytes_sent: 21_000_000,
            deliveries_per_datagram: 6.0,
            congestion_events: 12,
        },
        targets: vec![target("8081", "node-1"), target("8082", "node-2")],
        errors: vec![ErrorRow {
            code: "rate_limited".to_owned(),
            text: "slower".to_owned(),
            count: 2,
            first_s: 3.5,
            last_s: 17.25,
        }],
        asserts: vec![AssertRow {
            assert: "p99<20ms".to_owned(),
            measured: "9.6 ms".to_owned(),
            passed: true,
        }],
        timeline: (0..60).map(interval).collect(),
    }
}

/// A run in which everything went wrong, with a generator that was late.
pub(crate) fn failed() -> Report {
    let mut report = passed();
    report.verdict = Verdict::Fail;
    report.reasons = vec!["3 messages that were acked never reached a reader".to_owned()];
    report.delivered = 2_400_677;
    report.lost = 3;
    report.duplicated = 1;
    report.reordered = 2;
    report.corrupted = 6;
    report.invented = 7;
    report.disagreed = 8;
    report.violations = vec!["bot-3 in room-7: 41 never came".to_owned()];
    report.generator.trust = Trust::LimitedByClient;
    report.asserts.push(AssertRow {
        assert: "lost==0".to_owned(),
        measured: "3".to_owned(),
        passed: false,
    });
    report
}

/// A summary whose median is that many microseconds.
pub(crate) fn summary(count: u64, p50: u64) -> Summary {
    Summary {
        count,
        min: p50 / 3,
        #[expect(clippy::cast_precision_loss, reason = "small")]
        mean: p50 as f64 * 1.1,
        p50,
        p90: p50 * 2,
        p99: p50 * 4,
        p999: p50 * 9,
        p9999: p50 * 20,
        max: p50 * 31,
    }
}

/// An interval of a second in a run at 2,000 messages a second.
pub(crate) fn interval(index: u32) -> Interval {
    let wave = u64::from(index % 10);
    Interval {
        at_s: f64::from(index + 1),
        length_s: 0.98,
        planned: 2_000,
        sent: 1_999 - wave,
        acked: 1_990 + wave,
        delivered: 39_800 + 50 * wave,
        ack_p50_us: 1_800 + 20 * wave,
        ack_p99_us: 7_000 + 400 * wave,
        delivery_p50_us: 2_300 + 30 * wave,
        delivery_p99_us: 9_000 + 700 * wave,
        delivery_max_us: 30_000 + 9_000 * wave,
        lag_p99_us: 200 + 15 * wave,
        open: 190 + wave,
        reconnects: 1 + u64::from(index == 30),
        errors: 3 + u64::from(index == 31) * 2,
    }
}

fn target(target: &str, node: &str) -> Target {
    Target {
        target: target.to_owned(),
        node: node.to_owned(),
        connections: 100,
        sent: 60_017,
        acked: 60_015,
        delivered: 1_200_340,
        reconnects: 1,
        errors: 1,
        rtt_us: summary(100, 310),
        ack_us: summary(60_015, 1_900),
        delivery_us: summary(1_200_340, 2_400),
    }
}
