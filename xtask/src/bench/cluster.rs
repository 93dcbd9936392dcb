//! A cluster of its own for a run: a Redis server and nodes, ended by their ids when it is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::machine::Side;
use super::rig::Rig;
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

/// Sets a fresh home, and nothing of the settings of whoever measures.
pub(super) fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("share"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("LANG", "C.UTF-8")
        .current_dir(home)
}

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` with everything it prints in the file `log`.
    ///
    /// # Errors
    /// When the program cannot be started or the file cannot be made.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Its id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub(super) fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When that takes longer than `max`.
    pub(super) fn await_end(&mut self, max: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + max;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("not ended within {max:?}; it printed:\n{}", self.printed());
            }
            thread::sleep(POLL);
        }
    }

    /// Returns once `is_ready` says so.
    ///
    /// # Errors
    /// When that takes longer than [`READY_MAX`]; the error has what the process printed.
    fn await_ready(&self, is_ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + READY_MAX;
        while !is_ready() {
            if Instant::now() > deadline {
                bail!(
                    "not ready within {READY_MAX:?}; it printed:\n{}",
                    self.printed()
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// More than any scenario opens.
const CONNECTIONS_MAX: &str = "50000";

/// Time a process may take to get ready; a node on a busy machine needs a second.
const READY_MAX: Duration = Duration::from_secs(20);

/// Time between two looks at something that is awaited.
const POLL: Duration = Duration::from_millis(50);
