//! The cluster behind the picture: a Redis server and two nodes, ended when it is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{NOTICE_EVERY, NOTICE_TEXT};
use crate::{redis, step};

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
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("share"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("SHELL", "/bin/sh")
        .env("LANG", "C.UTF-8")
        .current_dir(home);
    command
}

/// Where cargo puts the programs of this workspace.
fn programs() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| Path::new("."));
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from)
        .join("release")
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

    /// Returns once `is_ready` says so.
    ///
    /// # Errors
    /// When that takes longer than [`READY_MAX`]; the error has what the process printed.
    pub(super) fn await_ready(&self, is_ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + READY_MAX;
        while !is_ready() {
            if Instant::now() > deadline {
                let printed = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("not ready within {READY_MAX:?}; it printed:\n{printed}");
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

/// Time a process may take to get ready; a node on a busy machine needs a second.
const READY_MAX: Duration = Duration::from_secs(20);

/// Time between two looks at something that is awaited: short for a person, long for a processor.
pub(super) const POLL: Duration = Duration::from_millis(50);
