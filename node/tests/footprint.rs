//! What readers that stop cost a node: the resident memory of its process, against the documented
//! worst case. A real node, a real Redis and real QUIC, frames by hand.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::path::PathBuf;

use chat_protocol::client::Start;
use chat_protocol::limits::{ENTRY_OVERHEAD_BYTES_MAX, TEXT_BYTES_MAX};
use quinn::{TransportConfig, VarInt};
use support::member::{Member, number, numbers};
use support::peer::{Frames, Peer};
use support::process::{NodeCommand, NodeProcess};
use support::redis::RedisServer;
use tokio::runtime::{Builder, Runtime};

/// Half of the readers stop reading, and their QUIC goes on and acknowledges what comes. The other
/// half are frozen as by a signal, and acknowledge nothing: nobody drives the runtime they are on.
#[test]
fn readers_that_stop_cost_no_more_than_is_documented() {
    let (awake, frozen) = (runtime(), runtime());
    let redis = awake.block_on(RedisServer::start());
    let home = tempfile::tempdir().unwrap();
    let node = NodeCommand::new(home.path())
        .redis(&redis.address())
        .args(&["--slow-reader-timeout", "2m", "--idle-timeout", "2m"])
        .start();
    let door = Door {
        ca: home.path().join("chat/certs/ca.pem"),
        node,
    };
    let (mut ann, mut bob) = awake.block_on(async {
        let ann = Member::welcomed(door.welcomed("ann", ROOMY).await).await;
        let bob = Member::welcomed(door.welcomed("bob", ROOMY).await).await;
        (ann, bob)
    });
    awake.block_on(publish_and_read(&mut ann, &mut bob, 1, HISTORY.into()));
    let idle = awake.block_on(door.many("idle", NARROW));
    let cold = frozen.block_on(door.many("cold", ROOMY));

    let before = door.resident("VmRSS");
    let mut idle = awake.block_on(stop_in_the_lobby(idle));
    let mut cold = frozen.block_on(stop_in_the_lobby(cold));
    awake.block_on(publish_and_read(
        &mut ann,
        &mut bob,
        u64::from(HISTORY) + 1,
        ENTRIES,
    ));
    let growth = door.resident("VmHWM").saturating_sub(before);

    assert!(
        growth <= ALLOWED,
        "{STOPPED} readers that stopped: {growth} bytes more than {before}, at most {ALLOWED}"
    );
    // They were there all the time, and have what is next on their lanes when they wake.
    awake.block_on(read_some(&mut idle));
    frozen.block_on(read_some(&mut cold));
}

/// The node's process and how to get in.
struct Door {
    ca: PathBuf,
    node: NodeProcess,
}

impl Door {
    async fn welcomed(&self, name: &str, stream_bytes: u32) -> Peer {
        let mut transport = TransportConfig::default();
        transport
            .stream_receive_window(stream_bytes.into())
            .receive_window(VarInt::MAX)
            .max_idle_timeout(None);
        Peer::welcomed(self.node.address(), &self.ca, transport, name).await
    }

    async fn many(&self, name: &str, stream_bytes: u32) -> Vec<Peer> {
        let mut peers = Vec::new();
        for index in 0..STOPPED / 2 {
            let name = format!("{name}-{index}");
            peers.push(self.welcomed(&name, stream_bytes).await);
        }
        peers
    }

    /// A field of the process's status, in bytes.
    fn resident(&self, field: &str) -> u64 {
        let status = format!("/proc/{}/status", self.node.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }
}

/// Joins far behind, so that the node reads pages of the log for each, and reads no further.
async fn stop_in_the_lobby(peers: Vec<Peer>) -> Vec<(Peer, Frames)> {
    let mut stopped = Vec::new();
    for mut peer in peers {
        let (lane, _) = peer.join("lobby", Start::Last(HISTORY)).await;
        stopped.push((peer, lane));
    }
    stopped
}

/// Ann publishes entries up to a number; bob, and she, get every one of them meanwhile.
async fn publish_and_read(ann: &mut Member, bob: &mut Member, from: u64, to: u64) {
    for from in (from..=to).step_by(ROUND) {
        let to = to.min(from + ROUND as u64 - 1);
        let len = to + 1 - from;
        let (live, ()) = tokio::join!(bob.read(len), ann.publish(len, ENTRY_BYTES));
        assert_eq!(live, numbers(from, to));
        assert_eq!(ann.read(len).await, live);
    }
}

/// Each has the entries of the page that the node kept for it.
async fn read_some(stopped: &mut [(Peer, Frames)]) {
    for (_peer, lane) in stopped {
        for expected in 1..=100 {
            assert_eq!(number(&lane.entry().await), expected);
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Readers that stop.
const STOPPED: u64 = 40;

/// Entries there are when they join.
const HISTORY: u32 = 500;

/// Entries in the end: 47 MiB, more than all who stopped may cost, so that a node that keeps what
/// they do not read is found out, also when it keeps it once for all of them.
const ENTRIES: u64 = 12_500;
const ENTRY_BYTES: usize = 4_000;

/// Entries after which ann reads her own.
const ROUND: usize = 500;

/// What a stream may carry to a client that does not read.
const NARROW: u32 = 64 << 10;
const ROOMY: u32 = 16 << 20;

/// The worst case of a reader that stops, which "A client that does not read" in `ARCHITECTURE.md`
/// adds up, for one lane: QUIC's send window, a slice of the tail and a page of the log, which has
/// 128 entries.
const READER_MAX: u64 =
    (256 << 10) + (32 << 10) + 128 * (TEXT_BYTES_MAX + ENTRY_OVERHEAD_BYTES_MAX) as u64;

/// What the same traffic costs with no reader that stops, which is half a MiB, and what the
/// allocator may waste.
const TRAFFIC_MAX: u64 = 4 << 20;

const ALLOWED: u64 = STOPPED * READER_MAX + TRAFFIC_MAX;
const _: () = assert!(ALLOWED < ENTRIES * ENTRY_BYTES as u64);
