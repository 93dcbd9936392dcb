//! The cluster behind the picture: a Redis server and two nodes, ended when it is dropped.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{NOTICE_EVERY, NOTICE_TEXT};
use crate::running::{Running, at_home};
use crate::{folders, redis, step};

/// Running processes, the nodes first: they end before the Redis server they relay through.
#[derive(Debug)]
pub(super) struct Cluster {
    _nodes: Vec<Running>,
    _redis: Running,
}

impl Cluster {
    /// Starts everything and waits until every node says that messages flow.
    ///
    /// # Errors
    /// When a process cannot be started, or does not answer in time; its log is part of the error.
    pub(super) fn start(home: &Path, ports: [u16; 2]) -> Result<Self> {
        let redis_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut server = Command::new(redis::find_or_install()?);
        server
            .args(["--bind", "127.0.0.1", "--port", &redis_port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(home);
        let redis = Running::start(&mut server, &home.join("redis.log"))?;
        redis.await_ready(|| TcpStream::connect((Ipv4Addr::LOCALHOST, redis_port)).is_ok())?;

        let mut nodes = Vec::new();
        for port in ports {
            let mut node = command(home, "chat-node");
            node.args(["--listen", &port.to_string()])
                .args(["--redis", &format!("redis://127.0.0.1:{redis_port}")])
                .args(["--notice-every", &format!("{}s", NOTICE_EVERY.as_secs())])
                .args(["--notice-text", NOTICE_TEXT]);
            let node = Running::start(&mut node, &home.join(format!("node-{port}.log")))?;
            node.await_ready(|| {
                step::succeeds(command(home, "chat-node").args(["health", &port.to_string()]))
            })?;
            nodes.push(node);
        }
        Ok(Self {
            _nodes: nodes,
            _redis: redis,
        })
    }
}

/// A command that sees a fresh home and nothing of the settings of whoever draws the picture.
///
/// The programs of this workspace come first on its `PATH`.
pub(super) fn command(home: &Path, program: &str) -> Command {
    let programs = programs();
    let mut path = programs.clone().into_os_string();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    // The folder of the programs is said outright, as a program is looked up before `PATH` is set.
    let own = programs.join(program);
    let mut command = Command::new(if own.is_file() { own } else { program.into() });
    at_home(&mut command, home)
        .env("PATH", path)
        .env("SHELL", "/bin/sh");
    command
}

/// Where cargo puts the programs of this workspace.
fn programs() -> PathBuf {
    folders::target().join("release")
}
