//! This chat and what people use today, side by side: the same load, one after the other.
//!
//! Builds the node, finds or installs what it is compared with (`peers`), and starts `bench`, which
//! is a workspace of its own: what the others are built from never slows down the ordinary build.

use std::env;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::Args;

use crate::{folders, redis, step};

mod peers;

/// What is compared.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// Only these of chat, nats, socket-io and grpc.
    #[arg(long, value_name = "SYSTEMS", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these of rates, saturation, latency, memory and loss.
    #[arg(long, value_name = "WORKLOADS", value_delimiter = ',')]
    workloads: Vec<String>,
    /// A short run: steps of two seconds, a coarse search.
    #[arg(long)]
    quick: bool,
    /// Measures this chat-node instead of building the tree's.
    #[arg(long, value_name = "PATH")]
    node: Option<PathBuf>,
    /// Where all figures are kept. [default: target/compare/SECONDS.json, by the clock]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Passed on to the program that measures; `-- --help` shows what it takes.
    #[arg(last = true)]
    more: Vec<String>,
}

/// Builds, installs, measures and prints a table.
///
/// # Errors
/// When something cannot be built or installed. A workload that fails is noted in the table.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let (root, target) = (folders::workspace(), folders::target());
    for program in ["taskset", "setpriv"] {
        if step::find_program(program, env::var_os("PATH")).is_none() {
            bail!("{program} is missing: servers are pinned to a core (Linux, util-linux)");
        }
    }
    let wanted =
        |system: &str| settings.only.is_empty() || settings.only.iter().any(|only| only == system);
    let mut compare = step::cargo();
    compare
        .args(["run", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(root.join("bench/Cargo.toml"))
        // Never the workspace's own: the two would build everything anew in turn.
        .arg("--target-dir")
        .arg(target.join("compare-build"))
        .args(["--", "run"]);
    if wanted("chat") {
        let node = match &settings.node {
            Some(node) => node.clone(),
            None => built_node(&target)?,
        };
        compare.arg("--node").arg(node);
    }
    if wanted("chat") || wanted("socket-io") || wanted("grpc") {
        let server = redis::find_or_install()?;
        compare.arg("--redis-server").arg(server);
    }
    if wanted("nats") {
        let server = peers::nats_server(&target.join("nats"))?;
        compare.arg("--nats-server").arg(server);
    }
    if wanted("socket-io") {
        let folder = target.join("compare/socket-io");
        let node_js = peers::socket_io(&root.join("bench/socket-io"), &folder)?;
        compare.arg("--node-js").arg(node_js);
        compare.arg("--socket-io").arg(folder);
    }
    for (name, list) in [
        ("--only", &settings.only),
        ("--workloads", &settings.workloads),
    ] {
        if !list.is_empty() {
            compare.args([name, &list.join(",")]);
        }
    }
    if settings.quick {
        compare.arg("--quick");
    }
    let output = match &settings.output {
        Some(output) => output.clone(),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            target.join(format!("compare/{}.json", now.as_secs()))
        }
    };
    compare.arg("--out").arg(output).args(&settings.more);
    step::run(&mut compare)
}

fn built_node(target: &Path) -> Result<PathBuf> {
    let mut build = step::cargo();
    build.args(["build", "--release", "--locked", "--bin", "chat-node"]);
    step::run_beside_stdout(&mut build)?;
    Ok(target.join("release/chat-node"))
}
