//! How many messages a second one Redis takes: acked, over many small rooms.

use anyhow::Result;

use super::report::{Cell, Column, Table, grouped};
use super::rig::{Measured, Rig};
use crate::step;

/// Doubles the rate until acks fall behind, then tries half way back.
///
/// # Errors
/// When a run cannot be made.
pub(super) fn measure(rig: &Rig) -> Result<Table> {
    let mut table = Table::new(
        format!(
            "{CLIENTS} clients over two nodes, two to each of {ROOMS} rooms, one on either node; \
             everybody sends 128-byte messages, {SECONDS} s each. The rate rises until less than \
             {:.0} % of it is acked while it is sent.",
            KEEPS_UP * 100.0
        ),
        COLUMNS,
    );
    let (mut rate, mut held) = (5_000, None);
    loop {
        let (row, acked_per_s) = row(&run(rig, rate)?, rate)?;
        table.add(row);
        step::say(&format!("{} acked/s", grouped(acked_per_s, 0)));
        if acked_per_s < KEEPS_UP * f64::from(rate) || rate >= RATE_MAX {
            break;
        }
        held = Some(rate);
        rate *= if rig.is_quick { 4 } else { 2 };
    }
    if let Some(held) = held.filter(|_| !rig.is_quick) {
        let between = held.midpoint(rate);
        table.add(row(&run(rig, between)?, between)?.0);
    }
    let most = table.numbers("acked_per_s").into_iter().fold(0.0, f64::max);
    table.conclude(format!(
        "Most: {} acked/s. Where only the bot's core is full, the cluster may be able to do more.",
        grouped(most, 0)
    ));
    Ok(table)
}

fn run(rig: &Rig, rate: u32) -> Result<Measured> {
    rig.measure(
        2,
        &format!(
            "--clients {CLIENTS} --rooms {ROOMS} --rate {rate}/s --duration {SECONDS}s --drain 5s"
        ),
    )
}

fn row(run: &Measured, asked: u32) -> Result<(Vec<Cell>, f64)> {
    let report = &run.report;
    let sending = report.sending()?;
    let (window, acked) = (sending.window, sending.acked);
    let costs = run.costs(window, acked)?;
    let acked_per_s = sending.per_s(acked);
    let row = vec![
        asked.into(),
        acked_per_s.into(),
        sending.per_s(sending.delivered).into(),
        costs.nodes_us.into(),
        costs.redis_us.into(),
        costs.nodes_percent.into(),
        costs.redis_percent.into(),
        (report.number("/latency_us/ack/p50")? / 1e3).into(),
        (report.number("/latency_us/ack/p99")? / 1e3).into(),
        report.number("/generator/cpu_percent")?.into(),
        run.remark(window, &costs)?.into(),
    ];
    Ok((row, acked_per_s))
}

const CLIENTS: u32 = 200;
const ROOMS: u32 = 100;
const SECONDS: u32 = 4;

/// A rate is held when this share of it is acked while it is sent.
const KEEPS_UP: f64 = 0.97;

/// More than anybody asks for.
const RATE_MAX: u32 = 640_000;

const COLUMNS: &[Column] = &[
    Column::new("asked_per_s", "asked /s", 0),
    Column::new("acked_per_s", "acked /s", 0),
    Column::new("delivered_per_s", "delivered /s", 0),
    Column::new("nodes_us", "nodes µs a message", 1),
    Column::new("redis_us", "Redis µs a message", 1),
    Column::new("nodes_percent", "nodes % of a core", 0),
    Column::new("redis_percent", "Redis % of a core", 0),
    Column::new("ack_p50_ms", "ack p50 ms", 2),
    Column::new("ack_p99_ms", "ack p99 ms", 2),
    Column::new("bot_percent", "bot % of a core", 0),
    Column::new("remark", "remark", 0),
];
