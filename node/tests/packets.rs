//! How large the packets of a node are: real processes, sockets and clients of the SDK.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use chat_client::{Client, Event, Events, Room, Start, Trust};
use chat_node::endpoint::DATAGRAM_BYTES_ETHERNET;
use chat_protocol::limits::DATAGRAM_BYTES_MAX;
use support::process::NodeCommand;
use support::soon;

#[tokio::test(flavor = "multi_thread")]
async fn larger_packets_come_where_the_node_tries_them() {
    let usual = Reader::of_a_node(&[]).await;
    let largest = DATAGRAM_BYTES_MAX.to_string();
    let jumbo = Reader::of_a_node(&["--max-datagram", &largest]).await;
    let until_larger = jumbo.read_until(|bytes| bytes > u64::from(DATAGRAM_BYTES_ETHERNET));
    soon("larger packets", until_larger).await;
    // What the other gets meanwhile stays within what Ethernet takes.
    let mut rounds = 0;
    let until_enough = usual.read_until(|bytes| {
        assert!(bytes <= u64::from(DATAGRAM_BYTES_ETHERNET), "{bytes}");
        rounds += 1;
        rounds == 20
    });
    soon("twenty rounds", until_enough).await;
}

/// A client that reads what it says, from a node of its own.
struct Reader {
    client: Client,
    events: Events,
    lobby: Room,
    _node: support::process::NodeProcess,
    _home: tempfile::TempDir,
}

impl Reader {
    async fn of_a_node(args: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let node = NodeCommand::new(home.path()).args(args).start();
        let connecting = Client::builder()
            .target(node.target())
            .name("ann")
            .trust(Trust::Development {
                dir: Some(home.path().join("chat/certs")),
            })
            .connect();
        let (client, events) = soon("connects", connecting).await.unwrap();
        let lobby = soon("joins", client.join("lobby", Start::Live)).await;
        Self {
            client,
            events,
            lobby: lobby.unwrap(),
            _node: node,
            _home: home,
        }
    }

    /// Reads rounds of messages that fill packets, until `is_enough` of how many bytes the datagrams
    /// of a round had on average.
    async fn read_until(mut self, mut is_enough: impl FnMut(u64) -> bool) {
        loop {
            let before = self.client.connection_stats().unwrap();
            for _ in 0..ROUND {
                // Its ack is not waited for: the message itself comes.
                drop(self.lobby.publish_text(&"x".repeat(4_000)).unwrap());
            }
            let mut left = ROUND;
            while left > 0 {
                if let Event::Message { .. } = self.events.next().await.unwrap() {
                    left -= 1;
                }
            }
            let after = self.client.connection_stats().unwrap();
            let datagrams = after.datagrams_received - before.datagrams_received;
            let bytes = after.bytes_received - before.bytes_received;
            if is_enough(bytes / datagrams) {
                return;
            }
        }
    }
}

/// Messages of a round: 64 KB, within what a session may have in flight.
const ROUND: usize = 16;
