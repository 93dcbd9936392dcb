//! A real Redis of its own for a test, on a free port of loopback, gone when the test ends.

use std::env;
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chat_node::config::RedisUrl;
use redis::aio::MultiplexedConnection;
use redis::{Client, FromRedisValue};

/// A server process. Killed on drop, also when the test panics.
#[derive(Debug)]
pub struct RedisServer {
    process: Option<Child>,
    port: u16,
    directory: tempfile::TempDir,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk, and waits until it answers.
    pub async fn start() -> Self {
        let mut server = Self::stopped();
        server.run(&[]).await;
        server
    }

    /// A port on which a server may be started later.
    pub fn stopped() -> Self {
        Self::stopped_on(free_port())
    }

    /// A server that may be started later, on this port.
    pub fn stopped_on(port: u16) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the server");
        Self {
            process: None,
            port,
            directory,
        }
    }

    /// Starts the process on its port with further arguments, and waits until it answers.
    pub async fn run(&mut self, arguments: &[&str]) {
        assert!(self.process.is_none(), "it runs already");
        // The port may have been taken since it was found free: by a connection of another test.
        for _ in 0..5 {
            let mut process = Command::new(program())
                .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
                .args(["--repl-diskless-sync-delay", "0"])
                .arg("--dir")
                .arg(self.directory.path())
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{:?} does not start: {error}", program()));
            while process.try_wait().expect("its status").is_none() {
                if self
                    .try_ask::<String>(&["PING"])
                    .await
                    .is_ok_and(|pong| pong == "PONG")
                {
                    self.process = Some(process);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        panic!("no redis on port {}", self.port);
    }

    /// Kills the process, as by a crash.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("its process is ours");
            process.wait().expect("it was running");
        }
    }

    /// Stops or continues the process without its noticing.
    pub fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill")
            .args([signal, &pid])
            .status()
            .expect("kill");
        assert!(status.success());
    }

    /// Becomes a replica of another server, which need not be there: then it keeps what it has.
    pub async fn follow(&self, server: &Self) {
        let port = server.port.to_string();
        self.ask::<()>(&["REPLICAOF", "127.0.0.1", &port]).await;
    }

    /// Stops being a replica and takes over the address of a server that was killed. From then on
    /// it is reached as that one.
    pub async fn promote(&self, killed: &Self) {
        assert!(killed.process.is_none(), "its port is still in use");
        self.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        let port = killed.port.to_string();
        self.ask::<()>(&["CONFIG", "SET", "port", &port]).await;
    }

    /// Leaves what it wrote to disk, for those who look for a fault, and tells where that is.
    pub fn keep_directory(&mut self) -> &Path {
        self.directory.disable_cleanup(true);
        self.directory.path()
    }

    /// Its address.
    pub fn url(&self) -> RedisUrl {
        self.address().parse().expect("a URL")
    }

    /// Its address as text.
    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Asks the server something over a connection of its own.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words)
            .await
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A connection of the test's own.
    pub async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        Client::open(self.address())?
            .get_multiplexed_async_connection()
            .await
    }

    /// Asks the server something that it may refuse.
    pub async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let (name, arguments) = words.split_first().expect("a command");
        redis::cmd(name)
            .arg(arguments)
            .query_async(&mut self.connection().await?)
            .await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The program: `CHAT_TEST_REDIS_SERVER`, or what is on the path.
fn program() -> OsString {
    if let Some(program) = env::var_os("CHAT_TEST_REDIS_SERVER") {
        return program;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    for name in ["redis-server", "valkey-server"] {
        let found = env::split_paths(&path)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file());
        if let Some(found) = found {
            return found.into();
        }
    }
    panic!(
        "this test needs redis-server or valkey-server on the path, or its file in \
         CHAT_TEST_REDIS_SERVER; `cargo xtask test` installs one"
    );
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
