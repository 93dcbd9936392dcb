//! One talks to many: what a delivery costs, and how fast it is, at rising rates.

use anyhow::Result;

use super::report::{Cell, Column, Table, grouped};
use super::rig::{Measured, Rig};
use crate::step;

/// Measures the rates everybody asks for, then doubles until the cluster or the bot is at its end.
///
/// # Errors
/// When a run cannot be made.
pub(super) fn measure(rig: &Rig) -> Result<Table> {
    let mut table = Table::new(
        format!(
            "{MEMBERS} members in one room over two nodes, one sender, 128-byte messages, {} s each. \
             Processor time is of the sending phase, divided by the deliveries in it.",
            rig.load_s()
        ),
        COLUMNS,
    );
    let mut best = 0.0_f64;
    for deliveries_per_s in rates() {
        if rig.is_quick && deliveries_per_s == 50_000 {
            continue;
        }
        let run = rig.measure(
            2,
            &format!(
                "--scenario fanout --clients {MEMBERS} --rate {}/s --duration {}s --drain 5s",
                f64::from(deliveries_per_s) / f64::from(MEMBERS),
                rig.load_s()
            ),
        )?;
        let (row, outcome) = row(&run, deliveries_per_s)?;
        table.add(row);
        let Outcome {
            delivered_per_s,
            p99_ms,
        } = outcome;
        step::say(&format!(
            "{} deliveries/s, p99 {p99_ms:.1} ms",
            grouped(delivered_per_s, 0)
        ));
        let keeps_up = delivered_per_s >= KEEPS_UP * f64::from(deliveries_per_s);
        if keeps_up && p99_ms < P99_MAX_MS {
            best = best.max(delivered_per_s);
        } else if deliveries_per_s >= ALWAYS_UP_TO {
            break;
        }
    }
    table.conclude(format!(
        "Highest of these rates with all delivered in time and p99 below {P99_MAX_MS} ms: {} \
         deliveries/s.",
        grouped(best, 0)
    ));
    Ok(table)
}

/// Deliveries a second.
fn rates() -> impl Iterator<Item = u32> {
    let doubled = (1..=5).map(|power| ALWAYS_UP_TO << power);
    [20_000, 50_000, ALWAYS_UP_TO].into_iter().chain(doubled)
}

struct Outcome {
    delivered_per_s: f64,
    p99_ms: f64,
}

fn row(run: &Measured, asked: u32) -> Result<(Vec<Cell>, Outcome)> {
    let report = &run.report;
    let sending = report.sending()?;
    let (window, deliveries) = (sending.window, sending.delivered);
    let costs = run.costs(window, deliveries)?;
    let outcome = Outcome {
        delivered_per_s: sending.per_s(deliveries),
        p99_ms: report.number("/latency_us/delivery/p99")? / 1e3,
    };
    let row = vec![
        asked.into(),
        outcome.delivered_per_s.into(),
        costs.nodes_us.into(),
        costs.redis_us.into(),
        costs.servers_us().into(),
        costs.percent().into(),
        (report.number("/latency_us/delivery/p50")? / 1e3).into(),
        outcome.p99_ms.into(),
        report.number("/quic/deliveries_per_datagram")?.into(),
        report.number("/generator/cpu_percent")?.into(),
        run.remark(window, &costs)?.into(),
    ];
    Ok((row, outcome))
}

const MEMBERS: u32 = 500;

/// Rates up to this one are measured whatever comes of them, so that runs can be compared.
const ALWAYS_UP_TO: u32 = 100_000;

/// A rate is held when this share of it is delivered while it is sent.
const KEEPS_UP: f64 = 0.97;

/// What is slower is no conversation.
const P99_MAX_MS: f64 = 50.0;

const COLUMNS: &[Column] = &[
    Column::new("asked_per_s", "asked /s", 0),
    Column::new("delivered_per_s", "delivered /s", 0),
    Column::new("nodes_us", "nodes µs each", 2),
    Column::new("redis_us", "Redis µs each", 3),
    Column::new("servers_us", "servers µs each", 2),
    Column::new("servers_percent", "servers % of a core", 0),
    Column::new("p50_ms", "p50 ms", 2),
    Column::new("p99_ms", "p99 ms", 2),
    Column::new("deliveries_per_datagram", "deliveries per datagram", 2),
    Column::new("bot_percent", "bot % of a core", 0),
    Column::new("remark", "remark", 0),
];
