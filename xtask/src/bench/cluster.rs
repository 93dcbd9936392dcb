//! A cluster of its own for a run: a Redis server and nodes, ended by their ids when it is dropped.

use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::machine::Side;
use super::rig::Rig;
use crate::running::{Running, at_home};
use crate::step;

/// Running processes, the nodes first: they end before the Redis server they relay through.
#[derive(Debug)]
pub(super) struct Cluster {
    nodes: Vec<(u16, Running)>,
    redis: Running,
}

impl Cluster {
    /// Starts everything and waits until every node says that messages flow.
    ///
    /// # Errors
    /// When a process cannot be started, or does not answer in time; its log is part of the error.
    pub(super) fn start(rig: &Rig, home: &Path, nodes: usize) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let port = port.port();
        let mut server = rig.pins.command(Side::Server, &rig.redis);
        server
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .current_dir(home);
        let redis = Running::start(&mut server, &home.join("redis.log"))?;
        redis.await_ready(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;

        let url = format!("redis://127.0.0.1:{port}");
        let mut cluster = Self {
            nodes: Vec::new(),
            redis,
        };
        for _ in 0..nodes {
            let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let port = port.port();
            let mut node = rig.pins.command(Side::Server, &rig.node);
            at_home(&mut node, home)
                .args(["--listen", &port.to_string(), "--redis", &url])
                .args(["--max-connections", CONNECTIONS_MAX]);
            let node = Running::start(&mut node, &home.join(format!("node-{port}.log")))?;
            node.await_ready(|| {
                let mut health = Command::new(&rig.node);
                step::succeeds(at_home(&mut health, home).args(["health", &port.to_string()]))
            })?;
            cluster.nodes.push((port, node));
        }
        Ok(cluster)
    }

    /// Ids of all processes: the nodes, then Redis.
    pub(super) fn processes(&self) -> Vec<u32> {
        let nodes = self.nodes.iter().map(|(_, node)| node.id());
        nodes.chain([self.redis.id()]).collect()
    }

    /// How many nodes.
    pub(super) fn nodes_len(&self) -> usize {
        self.nodes.len()
    }

    /// All nodes, as the bot takes them.
    pub(super) fn targets(&self) -> Vec<String> {
        let ports = self.nodes.iter().map(|(port, _)| port.to_string());
        ports.collect()
    }
}

/// More than any scenario opens.
const CONNECTIONS_MAX: &str = "50000";
