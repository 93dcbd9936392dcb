//! What the end-to-end tests stand on: real nodes, the real client, and their lines under timeouts.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) mod cluster;
pub(crate) mod schema;
pub(crate) mod screen;

/// Longest wait for anything that should come at once. Machines of CI are slow and shared.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// The client under test.
pub(crate) const CHAT_CLI: &str = env!("CARGO_BIN_EXE_chat-cli");

/// A node of its own: own certificates, own port, embedded backplane.
pub(crate) struct Node {
    home: Arc<TempDir>,
    process: Process,
    port: u16,
    arguments: Vec<String>,
}

impl Node {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), arguments)
    }

    /// A node that shares its certificates with others of this home.
    pub(crate) fn start_in(home: Arc<TempDir>, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        let (process, port) = launch(&home, 0, &arguments);
        Self {
            home,
            process,
            port,
            arguments,
        }
    }

    /// Where its certificates are; gone with it.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }

    /// Ends it without a goodbye, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, with the same certificates and an empty memory.
    pub(crate) fn start_again(&mut self) {
        (self.process, self.port) = launch(&self.home, self.port, &self.arguments);
    }

    /// A client that knows this node's certificates.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = self.cli_without_target(arguments);
        command.arg(self.port());
        command
    }

    /// The same, which is to find out by itself where to go.
    pub(crate) fn cli_without_target(&self, arguments: &[&str]) -> Command {
        cli(&self.home, arguments)
    }
}

fn launch(home: &TempDir, port: u16, arguments: &[String]) -> (Process, u16) {
    let program = PathBuf::from(CHAT_CLI).with_file_name("chat-node");
    assert!(
        program.exists(),
        "{} is not there; build it first: cargo build --workspace",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
        .args(arguments);
    isolate(&mut command, home);
    let process = Process::start(command);
    let line = process.line(|line| line.contains(" listens on "));
    let port = line
        .split("127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap();
    let port = port.parse().unwrap();
    (process, port)
}

/// A client with a home of its own.
pub(crate) fn cli(home: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(CHAT_CLI);
    command.args(arguments);
    isolate(&mut command, home);
    command
}

fn isolate(command: &mut Command, home: &TempDir) {
    for name in [
        "CHAT_TARGET",
        "CHAT_NAME",
        "CHAT_ROOM",
        "CHAT_CERTS",
        "CHAT_CA",
        "CHAT_PIN",
        "CHAT_CONFIG",
        "CHAT_PROFILE",
        "CHAT_LISTEN",
        "CHAT_REDIS_URL",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
        .env("XDG_DATA_HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .env("USER", "user")
        .env("TERM", "xterm-256color");
}

/// A running program and its lines.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            stdout,
            stderr,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Stops reading what it prints.
    pub(crate) fn close_output(&mut self) {
        self.stdout = channel().1;
    }

    /// The next line of its output that fits.
    #[track_caller]
    pub(crate) fn line(&self, fits: impl FnMut(&str) -> bool) -> String {
        next(&self.stdout, fits, || self.rest_of(&self.stderr))
    }

    /// The next line of its remarks that fits.
    #[track_caller]
    pub(crate) fn remark(&self, fits: impl FnMut(&str) -> bool) -> String {
        next(&self.stderr, fits, || self.rest_of(&self.stdout))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends its input and waits for its end: its exit code, and what it still printed.
    pub(crate) fn end(mut self) -> Ended {
        self.end_input();
        self.end_by_itself()
    }

    /// Waits for its end, for another reason than that of its input.
    pub(crate) fn end_by_itself(mut self) -> Ended {
        let deadline = Instant::now() + SOON * 2;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        Ended {
            status,
            stdout: self.stdout.iter().collect(),
            stderr: self.stderr.iter().collect(),
        }
    }

    fn rest_of(&self, lines: &Receiver<String>) -> Vec<String> {
        lines.try_iter().collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "{self:#?}");
        self
    }
}

/// Runs a client with this input to its end.
pub(crate) fn run(command: Command, input: &str) -> Ended {
    let mut process = Process::start(command);
    // It may refuse its arguments before it reads anything.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    process.end()
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (queue, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if queue.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[track_caller]
fn next(
    lines: &Receiver<String>,
    mut fits: impl FnMut(&str) -> bool,
    more: impl Fn() -> Vec<String>,
) -> String {
    let deadline = Instant::now() + SOON;
    let mut met = vec![];
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if fits(&line) => return line,
            Ok(line) => met.push(line),
            Err(RecvTimeoutError::Timeout) => panic!(
                "no such line within {SOON:?}; met {met:#?} and {:#?}",
                more()
            ),
            Err(RecvTimeoutError::Disconnected) => panic!(
                "it ended without such a line; met {met:#?} and {:#?}",
                more()
            ),
        }
    }
}
