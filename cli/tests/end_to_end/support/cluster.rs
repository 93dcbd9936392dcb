//! Two real nodes on one real Redis.

use std::env;
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Node, SOON};

/// Nodes that relay through a Redis of their own. All of it is gone with it.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    redis: Child,
    // After those that use it.
    _home: Arc<TempDir>,
}

impl Cluster {
    /// Two nodes, which share their certificates.
    pub(crate) fn start() -> Self {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let socket = home.path().join("redis.sock");
        let redis = Command::new(redis_program())
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut cluster = Self {
            nodes: vec![],
            redis,
            _home: Arc::clone(&home),
        };
        let deadline = Instant::now() + SOON;
        while !socket.exists() {
            assert!(Instant::now() < deadline, "redis does not start");
            thread::sleep(Duration::from_millis(5));
        }
        let url = format!("unix://{}", socket.display());
        for name in ["node-1", "node-2"] {
            let arguments = ["--redis", &url, "--name", name];
            let node = Node::start_in(Arc::clone(&home), &arguments);
            cluster.nodes.push(node);
        }
        cluster
    }

    pub(crate) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub(crate) fn node_mut(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        let _ = self.redis.kill();
        let _ = self.redis.wait();
    }
}

/// The program: `CHAT_TEST_REDIS_SERVER`, or what is on the path.
fn redis_program() -> OsString {
    if let Some(program) = env::var_os("CHAT_TEST_REDIS_SERVER") {
        return program;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = ["redis-server", "valkey-server"].iter().find_map(|name| {
        let mut files = env::split_paths(&path).map(|dir| dir.join(name));
        files.find(|file| file.is_file())
    });
    found
        .map(OsString::from)
        .unwrap_or_else(|| panic!("no redis-server on the path; `cargo xtask test` installs one"))
}
