//! What a storm of newcomers costs a node, and those who talk there meanwhile.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::bot::{Bot, Report};
use super::cluster::Cluster;
use super::machine::Side;
use super::report::{Cell, Column, Table};
use super::rig::Rig;
use crate::step;

/// Measures a storm alone, a fan-out alone, and both at a time.
///
/// # Errors
/// When a run cannot be made, or the storm was over before the fan-out was.
pub(super) fn measure(rig: &Rig) -> Result<Table> {
    let mut table = Table::new(
        format!(
            "One node. A storm: clients come as fast as the bot can, 64 at a time; each shakes hands, \
             says hello and joins a room of {STORM_MEMBERS}. A fan-out: {MEMBERS} members of one room, {RATE} \
             messages/s. Beside each other both bots are on the load's core, and the storm's gives \
             way (nice 19)."
        ),
        COLUMNS,
    );
    let clients = if rig.is_quick { 1_000 } else { 4_000 };
    let alone = rig.measure(1, &storm(clients))?;
    let connecting = alone.report.connecting()?;
    let opened = alone.report.number("/connections/opened")?;
    let (node, redis) = (
        alone.nodes_cpu_s(connecting)?,
        alone.redis_cpu_s(connecting)?,
    );
    let per_s = opened / connecting.length_s();
    let percent = (node + redis) * 100.0 / connecting.length_s();
    let mut remarks = alone.core_remarks(connecting, Side::Server, percent)?;
    remarks.extend(Some(alone.report.remark()?).filter(|remark| !remark.is_empty()));
    table.add(vec![
        "a storm alone".into(),
        per_s.into(),
        (opened / node).into(),
        (opened / (node + redis)).into(),
        Cell::Nothing,
        Cell::Nothing,
        remarks.join("; ").into(),
    ]);

    let quiet = rig.measure(1, &fanout(rig))?;
    let quiet_p99 = p99_ms(&quiet.report)?;
    table.add(fanout_row("a fan-out alone", &quiet.report, Cell::Nothing)?);

    let (report, storm_per_s) = beside(rig, per_s)?;
    let p99 = p99_ms(&report)?;
    table.add(fanout_row(
        "a fan-out in a storm",
        &report,
        storm_per_s.into(),
    )?);
    table.conclude(format!(
        "In the storm the delivery p99 is {:.1} times what it is without.",
        p99 / quiet_p99
    ));
    Ok(table)
}

/// A fan-out while newcomers storm in from before it begins until after it ends, and how many come
/// in a second.
fn beside(rig: &Rig, storm_per_s: f64) -> Result<(Report, f64)> {
    let home = tempfile::tempdir()?;
    let cluster = Cluster::start(rig, home.path(), 1)?;
    let targets = cluster.targets();
    // Half as many again as can come in that time.
    let seconds = f64::from(rig.load_s()) + LEAD.as_secs_f64() + 2.0;
    let clients = (storm_per_s * seconds * 1.5).clamp(1_000.0, CLIENTS_MAX);
    let newcomers = Bot::start_nicely(rig, home.path(), "storm", &targets, &storm(whole(clients)))?;
    thread::sleep(LEAD);
    let talk = Bot::start(rig, home.path(), "fanout", &targets, &fanout(rig))?.report(RUN_MAX)?;
    newcomers.interrupt()?;
    let newcomers = newcomers.report(RUN_MAX)?;
    let connecting = newcomers.connecting()?;
    ensure!(
        connecting.contains(talk.sending()?.window),
        "the storm of {clients:.0} was over before the fan-out was"
    );
    let opened = newcomers.number("/connections/opened")?;
    Ok((talk, opened / connecting.length_s()))
}

fn fanout_row(name: &str, report: &Report, storm_per_s: Cell) -> Result<Vec<Cell>> {
    let (p50, p99) = (
        report.number("/latency_us/delivery/p50")? / 1e3,
        p99_ms(report)?,
    );
    step::say(&format!("{name}: p99 {p99:.2} ms"));
    Ok(vec![
        name.into(),
        storm_per_s,
        Cell::Nothing,
        Cell::Nothing,
        p50.into(),
        p99.into(),
        report.remark()?.into(),
    ])
}

fn p99_ms(report: &Report) -> Result<f64> {
    Ok(report.number("/latency_us/delivery/p99")? / 1e3)
}

fn storm(clients: u32) -> String {
    format!(
        "--scenario idle --clients {clients} --rooms {} --connect-rate 100k/s --duration 1s --drain 1s",
        clients.div_ceil(STORM_MEMBERS)
    )
}

fn fanout(rig: &Rig) -> String {
    format!(
        "--scenario fanout --clients {MEMBERS} --rate {RATE}/s --duration {}s",
        rig.load_s()
    )
}

#[expect(clippy::cast_possible_truncation, reason = "at most CLIENTS_MAX")]
const fn whole(number: f64) -> u32 {
    number as u32
}

const MEMBERS: u32 = 20;
const RATE: u32 = 50;
const STORM_MEMBERS: u32 = 20;

/// The storm blows this long before the fan-out begins.
const LEAD: Duration = Duration::from_secs(1);

/// What a bot should hold at most.
const CLIENTS_MAX: f64 = 40_000.0;

/// No run takes this long.
const RUN_MAX: Duration = Duration::from_secs(120);

const COLUMNS: &[Column] = &[
    Column::new("run", "run", 0),
    Column::new("handshakes_per_s", "handshakes /s", 0),
    Column::new(
        "handshakes_per_node_cpu_s",
        "per second of the node's processor time",
        0,
    ),
    Column::new("handshakes_per_servers_cpu_s", "with Redis's", 0),
    Column::new("p50_ms", "delivery p50 ms", 2),
    Column::new("p99_ms", "delivery p99 ms", 2),
    Column::new("remark", "remark", 0),
];
