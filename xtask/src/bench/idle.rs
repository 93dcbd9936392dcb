//! What somebody costs who is there and says nothing, and how fast many come.

use anyhow::{Result, ensure};

use super::cluster::Cluster;
use super::machine;
use super::meter::memory_bytes;
use super::report::{Cell, Column, Table};
use super::rig::Rig;
use crate::step;

/// Measures one node with many clients.
///
/// # Errors
/// When a run cannot be made.
pub(super) fn measure(rig: &Rig) -> Result<Table> {
    let mut table = Table::new(
        format!(
            "Clients on one node, {MEMBERS} to a room, each in one, nobody says anything; they come as \
             fast as the bot can. Memory is the node's (Pss) after {SECONDS} s of silence, less what it \
             had before the first came; processor time of connecting includes Redis's where it says \
             so."
        ),
        COLUMNS,
    );
    let sizes: &[u32] = if rig.is_quick {
        &[1_000]
    } else {
        &[10_000, 20_000]
    };
    for &clients in sizes {
        // The bot's sockets are shared by sixteen clients or more.
        let needed = 256 + u64::from(clients) / 16;
        if machine::open_files_max().is_some_and(|most| most < needed) {
            let why = format!("{clients} clients need {needed} open files, more than are allowed");
            step::say(&why);
            table.conclude(why);
            continue;
        }
        table.add(row(rig, clients)?);
    }
    Ok(table)
}

fn row(rig: &Rig, clients: u32) -> Result<Vec<Cell>> {
    let home = tempfile::tempdir()?;
    let cluster = Cluster::start(rig, home.path(), 1)?;
    let processes = cluster.processes();
    let [node, redis] = processes[..] else {
        unreachable!("one node and one Redis were started");
    };
    let (node_before, redis_before) = (memory_bytes(node)?, memory_bytes(redis)?);
    let run = rig.measure_on(
        &cluster,
        home.path(),
        &format!(
            "--scenario idle --clients {clients} --rooms {} --connect-rate 100k/s \
             --duration {SECONDS}s",
            clients.div_ceil(MEMBERS)
        ),
    )?;
    let report = &run.report;
    let (connecting, load) = (report.connecting()?, report.sending()?.window);
    let open = report.number("/connections/open")?;
    ensure!(open > 0.0, "nobody was there: {}", report.remark()?);
    let kib_each = |after: u64, before: u64| after.saturating_sub(before) as f64 / 1024.0 / open;
    let memory = run.node_memory(load)?;
    let node_kib = kib_each(memory, node_before);
    let opened = report.number("/connections/opened")?;
    let per_s = report.number("/rate/connected_per_s")?;
    step::say(&format!(
        "{open} clients: {node_kib:.1} KiB each, made at {per_s:.0}/s"
    ));
    Ok(vec![
        open.into(),
        node_kib.into(),
        kib_each(run.redis_memory(load)?, redis_before).into(),
        (node_before as f64 / 1_048_576.0).into(),
        (memory as f64 / 1_048_576.0).into(),
        per_s.into(),
        (run.nodes_cpu_s(connecting)? * 1e6 / opened).into(),
        (run.redis_cpu_s(connecting)? * 1e6 / opened).into(),
        (run.nodes_cpu_s(load)? * 100.0 / load.length_s()).into(),
        report.remark()?.into(),
    ])
}

const MEMBERS: u32 = 20;
const SECONDS: u32 = 6;

const COLUMNS: &[Column] = &[
    Column::new("clients", "clients", 0),
    Column::new("node_kib", "node KiB each", 1),
    Column::new("redis_kib", "Redis KiB each", 1),
    Column::new("node_before_mib", "node before MiB", 1),
    Column::new("node_after_mib", "node after MiB", 1),
    Column::new("connected_per_s", "connected /s", 0),
    Column::new("node_connect_us", "node µs to connect one", 0),
    Column::new("redis_connect_us", "Redis µs to connect one", 0),
    Column::new("node_idle_percent", "node % of a core, idle", 1),
    Column::new("remark", "remark", 0),
];
