//! `chat-node` as a process of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A running node. Killed when dropped, also when its test fails.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    address: SocketAddr,
}

/// How to start a node: every setting that tests change.
#[derive(Clone, Debug)]
pub struct NodeCommand {
    program: PathBuf,
    args: Vec<String>,
    home: PathBuf,
    log: Option<Log>,
}

/// Where a node's log goes, when it is not shown with the test's own output.
#[derive(Clone, Debug)]
struct Log {
    file: PathBuf,
    filter: String,
}

impl NodeCommand {
    /// A node on a free port of this machine, with its certificates under `home`.
    pub fn new(home: &Path) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0"]
            .map(str::to_owned)
            .to_vec();
        Self {
            program: PathBuf::from(PROGRAM),
            args,
            home: home.to_owned(),
            log: None,
        }
    }

    /// On this address instead of a free port.
    #[must_use]
    pub fn listening_on(mut self, address: SocketAddr) -> Self {
        let free = self
            .args
            .iter_mut()
            .find(|argument| *argument == "127.0.0.1:0");
        *free.expect("it was not given an address before") = address.to_string();
        self
    }

    /// From a copy of the program, which is not replaced by a build while the test runs.
    #[must_use]
    pub fn copied_to(mut self, file: &Path) -> Self {
        if !file.exists() {
            std::fs::copy(PROGRAM, file).expect("chat-node can be copied");
        }
        file.clone_into(&mut self.program);
        self
    }

    /// Adds what it logs to this file; `filter` says how much that is.
    #[must_use]
    pub fn logging_to(mut self, file: &Path, filter: &str) -> Self {
        self.log = Some(Log {
            file: file.to_owned(),
            filter: filter.to_owned(),
        });
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// On this Redis.
    #[must_use]
    pub fn redis(self, url: &str) -> Self {
        self.args(&["--redis", url])
    }

    /// The command, not started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        let filter = self.log.as_ref().map_or("warn", |log| &log.filter);
        command
            .args(&self.args)
            .env_clear()
            .env("XDG_DATA_HOME", &self.home)
            .env(
                "CHAT_LOG",
                std::env::var("CHAT_TEST_LOG").unwrap_or_else(|_| filter.to_owned()),
            )
            .env("CHAT_LOG_FORMAT", "text")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(log) = &self.log {
            let file = File::options().create(true).append(true).open(&log.file);
            command.stderr(file.expect("the log's file can be written"));
        }
        command
    }

    /// Starts it without waiting for it to be ready.
    pub fn spawn(&self) -> Starting {
        let mut child = self.command().spawn().expect("chat-node starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // The test may have seen what it wanted.
                let _ = sender.send(line);
            }
        });
        Starting {
            child: Some(child),
            lines,
        }
    }

    /// Starts it and waits until it listens.
    pub fn start(&self) -> NodeProcess {
        self.spawn().listening()
    }
}

/// A node that may not listen yet. Killed when dropped.
#[derive(Debug)]
pub struct Starting {
    child: Option<Child>,
    lines: mpsc::Receiver<String>,
}

impl Starting {
    /// Whether it has said that it listens by now.
    pub fn is_listening(&mut self) -> bool {
        self.lines
            .try_iter()
            .any(|line| line.contains("listens on"))
    }

    /// The running node, once it has said that it listens.
    ///
    /// Panics when it ended instead.
    pub fn try_listening(&mut self) -> Option<NodeProcess> {
        loop {
            match self.lines.try_recv() {
                Ok(line) => {
                    if let Some(node) = self.on_line(&line) {
                        return Some(node);
                    }
                }
                Err(mpsc::TryRecvError::Empty) => return None,
                Err(mpsc::TryRecvError::Disconnected) => {
                    let child = self.child.as_mut().expect("taken with the address only");
                    panic!("the node ended before it listened: {:?}", child.wait());
                }
            }
        }
    }

    /// Waits until it listens.
    pub fn listening(mut self) -> NodeProcess {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .expect("the node says where it listens");
            if let Some(node) = self.on_line(&line) {
                return node;
            }
        }
    }

    fn on_line(&mut self, line: &str) -> Option<NodeProcess> {
        let (_, rest) = line.split_once(" listens on ")?;
        let address = rest.split(' ').next().expect("an address follows");
        Some(NodeProcess {
            child: self.child.take().expect("taken once"),
            address: address.parse().expect("an address"),
        })
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            kill_and_reap(child);
        }
    }
}

impl NodeProcess {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, for the SDK and the CLI.
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child can be waited for")
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        kill_and_reap(&mut self.child);
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -s {name}");
    }

    /// Waits for its end.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.try_wait() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the node did not end within {patience:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        kill_and_reap(&mut self.child);
    }
}

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_chat-node");

fn kill_and_reap(child: &mut Child) {
    // Fails when it has ended already, which is as well.
    let _ = child.kill();
    let _ = child.wait();
}
