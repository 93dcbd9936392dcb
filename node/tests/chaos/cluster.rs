//! The processes of a run, and what is done to them.
//!
//! Everything ends with the [`Cluster`], also when the run fails.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rand::Rng;
use tempfile::TempDir;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use crate::driver::apart::Apart;
use crate::driver::plan::Fault;
use crate::driver::record::Record;
use crate::driver::say;
use crate::driver::times::Class;
use crate::support::process::{NodeCommand, NodeProcess};
use crate::support::redis::RedisServer;

/// Nodes, Redis and the client apart.
#[derive(Debug)]
pub(crate) struct Cluster {
    home: TempDir,
    nodes: Vec<Node>,
    redis: Mutex<RedisServer>,
    apart: Mutex<Option<Apart>>,
    record: Record,
    /// Makes the quiet room's sender say something.
    prompt: watch::Sender<u64>,
}

#[derive(Debug)]
struct Node {
    number: usize,
    command: NodeCommand,
    target: String,
    log: PathBuf,
    /// Held for as long as a fault takes. Empty while the node is away.
    process: Mutex<Option<NodeProcess>>,
    memory_kib_max: std::sync::Mutex<u64>,
}

impl Cluster {
    /// Starts all but the client apart.
    pub(crate) async fn start(nodes: usize, record: &Record, prompt: watch::Sender<u64>) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut ports = HashSet::new();
        let mut redis = RedisServer::stopped_on(free_port(&mut ports));
        redis.run(APPEND_ONLY).await;
        let mut all = Vec::new();
        for number in 0..nodes {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(&mut ports)));
            let log = home.path().join(format!("node-{number}.log"));
            let command = NodeCommand::new(home.path())
                .copied_to(&home.path().join("chat-node"))
                .listening_on(address)
                .redis(&redis.address())
                .args(&["--name", &format!("node-{number}")])
                .logging_to(&log, "info,chat_node=debug");
            let node = Node {
                number,
                command,
                target: address.to_string(),
                log,
                process: Mutex::new(None),
                memory_kib_max: std::sync::Mutex::new(0),
            };
            node.start(&mut *node.process.lock().await).await;
            all.push(node);
        }
        Self {
            home,
            nodes: all,
            redis: Mutex::new(redis),
            apart: Mutex::new(None),
            record: record.clone(),
            prompt,
        }
    }

    /// Where clients connect to.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.target.clone()).collect()
    }

    /// The development certificates of its nodes.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.home.path().join("chat/certs")
    }

    /// The client apart, once it is started.
    pub(crate) const fn apart(&self) -> &Mutex<Option<Apart>> {
        &self.apart
    }

    /// Does what the fault says, and makes it well again. One at a time for a node, Redis and the
    /// client.
    pub(crate) async fn perform(&self, fault: Fault) {
        match fault {
            Fault::KillNode { node, away } => self.kill_node(&self.nodes[node], away).await,
            Fault::DrainNode { node, away } => self.drain_node(&self.nodes[node], away).await,
            Fault::FreezeNode { node, frozen } => {
                self.freeze_node(&self.nodes[node], frozen).await;
            }
            Fault::CutSubscribers => {
                let redis = self.redis.lock().await;
                self.prompt();
                self.begin(Class::SubscribersCut, None);
                let cut: i64 = redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
                self.end(Class::SubscribersCut, None);
                self.prompt();
                say(&format!("{cut} subscribers were cut"));
            }
            Fault::CutConnections => {
                let redis = self.redis.lock().await;
                let cut: i64 = redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
                say(&format!("{cut} connections were cut"));
            }
            Fault::ForgetScripts => {
                let redis = self.redis.lock().await;
                let _: String = redis.ask(&["SCRIPT", "FLUSH"]).await;
            }
            Fault::KillRedis { away } => {
                let mut redis = self.redis.lock().await;
                self.begin(Class::RedisAway, None);
                redis.kill();
                sleep(away).await;
                redis.run(APPEND_ONLY).await;
                self.end(Class::RedisAway, None);
                say("redis is back");
            }
            Fault::FreezeRedis { frozen } => {
                let redis = self.redis.lock().await;
                self.begin(Class::RedisAway, None);
                redis.signal("-STOP");
                sleep(frozen).await;
                redis.signal("-CONT");
                self.end(Class::RedisAway, None);
                say("redis goes on");
            }
            Fault::Flush => {
                let redis = self.redis.lock().await;
                self.begin(Class::RedisFlushed, None);
                let _: String = redis.ask(&["FLUSHALL"]).await;
                self.end(Class::RedisFlushed, None);
            }
            Fault::FreezeClient { frozen } => {
                let (id, reader) = match &*self.apart.lock().await {
                    Some(apart) => (apart.id(), apart.reader()),
                    None => return,
                };
                // How long it takes to read what came meanwhile says nothing about the nodes.
                self.record.away(reader);
                signal(id, "-STOP");
                sleep(frozen).await;
                signal(id, "-CONT");
                say("the client apart goes on");
            }
        }
    }

    async fn kill_node(&self, node: &Node, away: Duration) {
        let mut slot = node.process.lock().await;
        node.measure(&slot);
        if let Some(process) = slot.take() {
            process.kill();
        }
        sleep(away).await;
        node.start(&mut slot).await;
        say(&format!("node {} is back", node.number));
    }

    async fn drain_node(&self, node: &Node, away: Duration) {
        let mut slot = node.process.lock().await;
        node.measure(&slot);
        if let Some(mut process) = slot.take() {
            let began = Instant::now();
            process.signal("TERM");
            let status = ended(&mut process).await;
            let took = began.elapsed().as_secs_f64();
            say(&format!("node {} drained in {took:.1} s", node.number));
            if status.is_none_or(|status| !status.success()) {
                let number = node.number;
                let how = status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
                self.record
                    .fault(format!("node {number}, asked to stop, ended with {how}"));
            }
        }
        sleep(away).await;
        node.start(&mut slot).await;
        say(&format!("node {} is back", node.number));
    }

    async fn freeze_node(&self, node: &Node, frozen: Duration) {
        let slot = node.process.lock().await;
        let Some(process) = &*slot else { return };
        self.begin(Class::NodeFrozen, Some(&node.target));
        process.signal("STOP");
        sleep(frozen).await;
        process.signal("CONT");
        self.end(Class::NodeFrozen, Some(&node.target));
        say(&format!("node {} goes on", node.number));
    }

    fn begin(&self, class: Class, target: Option<&str>) {
        self.record
            .time(|times, now| times.begin(class, target, now));
    }

    fn end(&self, class: Class, target: Option<&str>) {
        self.record.time(|times, now| times.end(class, target, now));
    }

    /// Whoever speaks in the quiet room speaks now.
    fn prompt(&self) {
        self.prompt.send_modify(|prompts| *prompts += 1);
    }

    /// Notes nodes that ended by themselves, and how much memory the others took so far.
    pub(crate) fn look(&self) {
        for node in &self.nodes {
            // Held while a fault is made: then it is known why a node is away.
            let Ok(mut slot) = node.process.try_lock() else {
                continue;
            };
            node.measure(&slot);
            if let Some(process) = &mut *slot
                && let Some(status) = process.try_wait()
            {
                *slot = None;
                let number = node.number;
                self.record
                    .fault(format!("node {number} ended by itself with {status}"));
            }
        }
    }

    /// The most memory each node had resident, in any of its lives, in KiB.
    pub(crate) fn memory_kib_max(&self) -> Vec<u64> {
        let most = |node: &Node| *node.memory_kib_max.lock().expect("nobody panics with it");
        self.nodes.iter().map(most).collect()
    }
}

/// A run that failed leaves the nodes' logs, and shows the end of them, and what Redis wrote.
impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.home.disable_cleanup(true);
        for node in &self.nodes {
            let words = last_lines(&node.log, LAST_LINES);
            say(&format!("the last words of node {}:\n{words}", node.number));
        }
        let home = self.home.path().display();
        let redis = self.redis.get_mut().keep_directory().display();
        say(&format!(
            "kept: the nodes' logs in {home}, what Redis wrote in {redis}"
        ));
    }
}

impl Node {
    /// Starts it into its slot, and waits until it listens.
    async fn start(&self, slot: &mut Option<NodeProcess>) {
        let mut starting = self.command.spawn();
        let listening = async {
            loop {
                if let Some(process) = starting.try_listening() {
                    return process;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        *slot = Some(
            tokio::time::timeout(START_PATIENCE, listening)
                .await
                .unwrap_or_else(|_| panic!("node {} does not listen", self.number)),
        );
    }

    fn measure(&self, slot: &Option<NodeProcess>) {
        let Some(process) = slot else { return };
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()));
        let most = status.unwrap_or_default().lines().find_map(|line| {
            let kib = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
            kib.trim().parse::<u64>().ok()
        });
        let mut max = self.memory_kib_max.lock().expect("nobody panics with it");
        *max = (*max).max(most.unwrap_or(0));
    }
}

async fn ended(process: &mut NodeProcess) -> Option<ExitStatus> {
    let deadline = Instant::now() + DRAIN_PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait() {
            return Some(status);
        }
        sleep(Duration::from_millis(20)).await;
    }
    None
}

fn signal(id: u32, signal: &str) {
    let status = std::process::Command::new("kill")
        .args([signal, &id.to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success(), "kill {signal}");
}

fn last_lines(file: &Path, len: usize) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(len)..].join("\n") + "\n"
}

/// A port for as long as the run takes, also while nobody listens on it: none of those that the
/// system gives to sockets that ask for any.
fn free_port(taken: &mut HashSet<u16>) -> u16 {
    loop {
        let port = rand::rng().random_range(10_000..32_000);
        let address = (Ipv4Addr::LOCALHOST, port);
        let is_free = TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok();
        if is_free && taken.insert(port) {
            return port;
        }
    }
}

/// Lines of each log that are shown when a run failed.
const LAST_LINES: usize = 40;

/// What Redis promises in a run: an answer means that it is on the disk.
const APPEND_ONLY: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// A node waits for Redis, which may be away meanwhile.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// The time a node gives its clients to move on, and some.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);
