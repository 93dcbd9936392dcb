//! `chat-node` as a process of its own.

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
    args: Vec<String>,
    home: PathBuf,
}

impl NodeCommand {
    /// A node on a free port of this machine, with its certificates under `home`.
    pub fn new(home: &Path) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0"]
            .map(str::to_owned)
            .to_vec();
        Self {
            args,
            home: home.to_owned(),
        }
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-node"));
        command
            .args(&self.args)
            .env_clear()
            .env("XDG_DATA_HOME", &self.home)
            .env(
                "CHAT_LOG",
                std::env::var("CHAT_TEST_LOG").unwrap_or_else(|_| "warn".to_owned()),
            )
            .env("CHAT_LOG_FORMAT", "text")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
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

    /// Waits until it listens.
    pub fn listening(mut self) -> NodeProcess {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .expect("the node says where it listens");
            if let Some((_, rest)) = line.split_once(" listens on ") {
                let address = rest.split(' ').next().expect("an address follows");
                let child = self.child.take().expect("taken once");
                return NodeProcess {
                    child,
                    address: address.parse().expect("an address"),
                };
            }
        }
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
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
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

fn kill_and_reap(child: &mut Child) {
    // Fails when it has ended already, which is as well.
    let _ = child.kill();
    let _ = child.wait();
}
