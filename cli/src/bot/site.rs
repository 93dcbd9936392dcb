//! What everybody in a run shares: the clock, the meter, the proof, where clients are, and who can
//! send.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chat_client::ledger::Stamp;
use chat_client::{Builder, Client, Delivery, Room};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::meter::Meter;
use super::plan::Plan;
use super::proof::Proof;

/// Shared by all tasks of a run.
#[derive(Debug)]
pub struct Site {
    /// What is to be done.
    pub plan: Plan,
    /// All nodes, as given.
    pub targets: Vec<String>,
    /// How each client connects.
    pub builder: Builder,
    /// What the clients' names begin with.
    pub tag: String,
    /// What is measured.
    pub meter: Meter,
    /// What is proven.
    pub proof: Proof,
    /// So many may connect at a time: more would only wait for each other at the node, until they
    /// give up.
    pub connecting: Semaphore,
    /// One for each client.
    pub seats: Vec<Seat>,
    /// The first so many clients send.
    pub senders: usize,
    /// Nobody comes or goes any more, and all read as fast as they can.
    pub calm: CancellationToken,
    /// Everybody ends.
    pub end: CancellationToken,
    began: Instant,
    /// The index of a node's name.
    nodes: Mutex<HashMap<String, usize>>,
    /// Names of the nodes at each target.
    at_target: Mutex<Vec<String>>,
    open: Vec<AtomicU64>,
    unsettled: Arc<AtomicU64>,
    is_paused: AtomicBool,
}

/// A client as the pacer and the run see it.
#[derive(Debug, Default)]
pub struct Seat {
    present: Mutex<Option<Present>>,
    /// The node it is at, as an index.
    node: AtomicUsize,
    /// Its connection is to be lost on purpose.
    is_dropped: AtomicBool,
}

/// A client that is there.
#[derive(Debug)]
pub struct Present {
    /// The client itself, for measurements.
    pub client: Client,
    /// Its rooms, as in the plan.
    pub rooms: Vec<Room>,
    /// Number of the next message to each room.
    pub counters: Vec<u64>,
    /// Takes what was sent.
    pub sent: mpsc::Sender<Sent>,
    /// The target it is at.
    pub target: usize,
}

/// A message that was sent.
#[derive(Debug)]
pub struct Sent {
    /// Tells its fate.
    pub delivery: Delivery,
    /// Its stamp.
    pub stamp: Stamp,
    /// Its room, as an index of the client's.
    pub room: usize,
    /// When it was due, since the program began.
    pub due: Duration,
    /// When it was sent.
    pub at: Duration,
    /// Counts it until its fate is known, or nobody asks for it any more.
    pub counted: Counted,
}

/// One of those that are counted, as long as it is there.
#[derive(Debug)]
pub struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seat {
    /// Who is there, if somebody is. Never to be held over an await.
    pub fn present(&self) -> MutexGuard<'_, Option<Present>> {
        // No code that can panic runs under this lock.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has whoever is there lose the connection, and come back at once.
    pub fn drop_connection(&self) {
        if let Some(present) = &*self.present() {
            self.is_dropped.store(true, Ordering::Relaxed);
            present.client.reconnect();
        }
    }

    /// Whether a connection that was lost was to be lost.
    pub fn was_dropped(&self) -> bool {
        self.is_dropped.swap(false, Ordering::Relaxed)
    }
}

impl Site {
    /// A site where nothing happened yet.
    #[must_use]
    pub fn new(
        plan: Plan,
        targets: Vec<String>,
        builder: Builder,
        tag: String,
        began: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            meter: Meter::new(targets.len()),
            proof: Proof::new(plan.rooms.len()),
            senders: plan
                .clients
                .iter()
                .filter(|client| client.is_sender)
                .count(),
            seats: plan.clients.iter().map(|_| Seat::default()).collect(),
            connecting: Semaphore::new(CONNECTING_MAX),
            calm: CancellationToken::new(),
            end: CancellationToken::new(),
            began,
            nodes: Mutex::default(),
            at_target: Mutex::new(vec![String::new(); targets.len()]),
            open: targets.iter().map(|_| AtomicU64::new(0)).collect(),
            unsettled: Arc::default(),
            is_paused: AtomicBool::new(false),
            plan,
            targets,
            builder,
            tag,
        })
    }

    /// Since the program began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The node at a target has this name.
    pub fn name_node(&self, target: usize, node: &str) {
        node.clone_into(&mut lock(&self.at_target)[target]);
    }

    /// A client is connected at a target, to the node of this name.
    pub fn arrived(&self, client: usize, target: usize, node: &str) {
        let index = {
            let mut nodes = lock(&self.nodes);
            let next = nodes.len();
            // A cluster that makes up names all the time must not fill the memory.
            if next >= NODES_MAX && !nodes.contains_key(node) {
                0
            } else {
                *nodes.entry(node.to_owned()).or_insert(next)
            }
        };
        self.seats[client].node.store(index, Ordering::Relaxed);
        self.name_node(target, node);
        self.open[target].fetch_add(1, Ordering::Relaxed);
    }

    /// A client is connected there no more.
    pub fn departed(&self, target: usize) {
        self.open[target].fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether two clients are at the same node.
    #[must_use]
    pub fn are_together(&self, one: usize, other: usize) -> bool {
        let node = |client: usize| self.seats[client].node.load(Ordering::Relaxed);
        node(one) == node(other)
    }

    /// Clients connected at a target.
    #[must_use]
    pub fn open_at(&self, target: usize) -> u64 {
        self.open[target].load(Ordering::Relaxed)
    }

    /// Clients connected.
    #[must_use]
    pub fn open(&self) -> u64 {
        (0..self.open.len())
            .map(|target| self.open_at(target))
            .sum()
    }

    /// Clients that are there and can send.
    #[must_use]
    pub fn present(&self) -> usize {
        let seats = self.seats.iter();
        seats.filter(|seat| seat.present().is_some()).count()
    }

    /// The name of the node at a target, as it said last.
    #[must_use]
    pub fn node_at(&self, target: usize) -> String {
        lock(&self.at_target)[target].clone()
    }

    /// The target that a connection led to; the first when nobody knows.
    #[must_use]
    pub fn target_of(&self, led_there: &str, node: &str) -> usize {
        let at = self.targets.iter().position(|target| target == led_there);
        at.or_else(|| lock(&self.at_target).iter().position(|name| name == node))
            .unwrap_or_default()
    }

    /// One more message waits for its fate.
    #[must_use]
    pub fn count_unsettled(&self) -> Counted {
        self.unsettled.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.unsettled))
    }

    /// Messages that wait for their fate.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Stops or goes on sending.
    pub fn toggle_pause(&self) {
        self.is_paused.fetch_xor(true, Ordering::Relaxed);
    }

    /// Whether nothing is sent at the moment.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enough to keep several nodes busy, few enough for a handshake to be done in a second.
const CONNECTING_MAX: usize = 64;

/// More nodes than a cluster has.
const NODES_MAX: usize = 1_000;
