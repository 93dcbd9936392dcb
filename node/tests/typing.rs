//! Who is typing: real nodes, a real Redis, clients of the SDK and peers by hand.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use chat_client::{Client, Event, Events, Room, Start, Trust};
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_protocol::client::{Ping, Publish};
use chat_protocol::datagram::{IsTyping, TYPING, Typing};
use chat_protocol::limits::TYPING_MEMBERS_MAX;
use chat_protocol::{
    ClientDatagram, ClientFrame, Frame, NodeDatagram, NodeFrame, Nonce, RequestId, RoomName,
    RoomRef, StreamType, varint,
};
use support::peer::{LocalNode, Peer, hello};
use support::redis::RedisServer;
use support::soon;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A client of the SDK in the lobby.
struct Person {
    // Kept: the session ends with it.
    _client: Client,
    events: Events,
    lobby: Room,
}

impl Person {
    async fn join(node: &LocalNode, name: &str) -> Self {
        let connecting = Client::builder()
            .target(node.node.address().to_string())
            .name(name)
            .trust(Trust::Ca(node.home.path().join("ca.pem")))
            .connect();
        let (client, events) = soon("connects", connecting).await.unwrap();
        let lobby = soon("joins", client.join("lobby", Start::Live)).await;
        Self {
            _client: client,
            events,
            lobby: lobby.unwrap(),
        }
    }

    /// The next who types or says something: the name, and the text of what is said.
    async fn hears(&mut self) -> (String, Option<String>) {
        let hearing = async {
            loop {
                match self.events.next().await.expect("it goes on") {
                    Event::Typing { name, .. } => return (name.to_string(), None),
                    Event::Message { message, .. } => {
                        let (_, body) = message.content.into_parts();
                        let text = String::from_utf8(body.to_vec()).unwrap();
                        return (message.author.name.to_string(), Some(text));
                    }
                    _ => {}
                }
            }
        };
        soon("somebody types or speaks", hearing).await
    }
}

/// A peer by hand in the lobby, with the feature or without.
struct Hand {
    peer: Peer,
    lobby: RoomRef,
    // Kept: the lane is stopped when it is dropped.
    _lane: support::peer::Frames,
}

impl Hand {
    async fn join(node: &LocalNode, name: &str, features: &[u32]) -> Self {
        let mut peer = node.peer().await;
        let mut hello = hello(name);
        hello.features = features.to_vec();
        let mut bytes = BytesMut::new();
        varint::put(StreamType::Control.to_wire(), &mut bytes);
        ClientFrame::from(hello).encode(&mut bytes);
        peer.raw(&bytes).await;
        let NodeFrame::Welcome(welcome) = peer.hear().await else {
            panic!("no welcome");
        };
        let known: Vec<u32> = features
            .iter()
            .copied()
            .filter(|id| *id == TYPING)
            .collect();
        assert_eq!(welcome.features, known);
        let (lane, joined) = peer.join("lobby", Start::Live).await;
        Self {
            peer,
            lobby: joined.room,
            _lane: lane,
        }
    }

    fn types(&self) {
        self.types_in(self.lobby);
    }

    fn types_in(&self, room: RoomRef) {
        self.sends(ClientDatagram::IsTyping(IsTyping { room }).to_bytes());
    }

    fn sends(&self, datagram: Bytes) {
        self.peer.connection.send_datagram(datagram).unwrap();
    }

    async fn hears(&self) -> Typing {
        let datagram = soon("a datagram", self.peer.connection.read_datagram()).await;
        match NodeDatagram::decode(&datagram.unwrap()) {
            Ok(Some(NodeDatagram::Typing(typing))) => typing,
            other => panic!("{other:?}"),
        }
    }

    /// Whether a datagram comes within a moment.
    async fn hears_something(&self) -> bool {
        timeout(MOMENT, self.peer.connection.read_datagram())
            .await
            .is_ok()
    }

    async fn is_well(&mut self) {
        let request = RequestId(9);
        self.peer.say(Ping { request }).await;
        let done = chat_protocol::node::Done { request };
        assert_eq!(self.peer.hear().await, done.into());
    }
}

/// Waits until a node knows of so many members of the lobby.
async fn until_members(node: &LocalNode, members: usize) {
    let lobby = RoomName::parse("lobby").unwrap();
    soon("presence", async {
        while node.node.hub().presence().view().member_count(&lobby) != members {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_told_on_every_node_but_not_to_its_author_and_is_in_no_log() {
    let redis = RedisServer::start().await;
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let attach = |name: &str| {
        let options = RedisOptions::new(redis.url(), name);
        Redis::attach(options, &tracker, &stop).unwrap()
    };
    let one = LocalNode::on(attach("node-1"), "node-1").await;
    let two = LocalNode::on(attach("node-2"), "node-2").await;
    let mut ann = Person::join(&one, "ann").await;
    let mut bo = Person::join(&one, "bo").await;
    let mut cy = Person::join(&two, "cy").await;
    until_members(&one, 3).await;
    until_members(&two, 3).await;
    ann.lobby.typing();
    ann.lobby.typing();
    for other in [&mut bo, &mut cy] {
        assert_eq!(other.hears().await, ("ann".to_owned(), None));
    }
    let cursor = ann.lobby.publish_text("hi").unwrap().await.unwrap();
    assert_eq!(cursor.seq.0, 1, "the log has the message and nothing else");
    for person in [&mut ann, &mut bo, &mut cy] {
        let heard = person.hears().await;
        assert_eq!(heard, ("ann".to_owned(), Some("hi".to_owned())));
    }
    cy.lobby.typing();
    for other in [&mut ann, &mut bo] {
        assert_eq!(other.hears().await, ("cy".to_owned(), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_passes_on_one_in_a_while_and_ignores_what_is_wrong() {
    let node = LocalNode::start().await;
    let mut ann = Hand::join(&node, "ann", &[TYPING, 12_345]).await;
    let bo = Hand::join(&node, "bo", &[TYPING]).await;
    until_members(&node, 2).await;
    let counts = || node.node.hub().typing_counts();
    let started = Instant::now();
    for _ in 0..5 {
        ann.types();
    }
    let told = bo.hears().await;
    assert_eq!((told.room, told.name.as_str()), (bo.lobby, "ann"));
    assert!(!bo.hears_something().await, "four of five are dropped");
    assert_eq!((counts().whispered, counts().dropped), (1, 4));
    // Nowhere, in a room of the server's, rubbish, and what a later version may say.
    ann.types_in(RoomRef(99));
    ann.types_in(RoomRef(1));
    for rubbish in [&[][..], &[0x40, 0xc0], &[0x40, 0xc0, 1, 1], &[0xff; 1_000]] {
        ann.sends(Bytes::copy_from_slice(rubbish));
    }
    ann.sends(Bytes::from_static(&[0x2a, 1, 2, 3]));
    ann.is_well().await;
    soon("all were looked at", async {
        while counts().malformed < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!bo.hears_something().await);
    assert_eq!((counts().whispered, counts().malformed), (1, 4));
    // After the time that the document names, it is told again.
    tokio::time::sleep(Duration::from_secs(2).saturating_sub(started.elapsed())).await;
    ann.types();
    assert_eq!(bo.hears().await.name.as_str(), "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_feature_is_neither_told_nor_heard() {
    let node = LocalNode::start().await;
    let older = Hand::join(&node, "older", &[]).await;
    let mut ann = Hand::join(&node, "ann", &[TYPING]).await;
    let bo = Hand::join(&node, "bo", &[TYPING]).await;
    until_members(&node, 3).await;
    ann.types();
    bo.hears().await;
    assert!(!older.hears_something().await);
    older.types();
    older.sends(Bytes::from_static(&[0xff]));
    assert!(!bo.hears_something().await);
    assert_eq!(
        node.node.hub().typing_counts().malformed,
        0,
        "nothing is read"
    );
    ann.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_room_is_silent() {
    let node = LocalNode::start().await;
    let ann = Hand::join(&node, "ann", &[TYPING]).await;
    ann.types();
    let mut others = Vec::new();
    for number in 0..TYPING_MEMBERS_MAX {
        others.push(Hand::join(&node, &format!("user-{number}"), &[TYPING]).await);
    }
    until_members(&node, TYPING_MEMBERS_MAX + 1).await;
    let counts = || node.node.hub().typing_counts();
    let before = counts();
    // The earlier one, when nobody else was there, counts as the last.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ann.types();
    assert!(!others[0].hears_something().await);
    assert_eq!(counts().whispered, 0);
    assert_eq!(counts().dropped, before.dropped + 1);
    let mut leaver = others.pop().unwrap();
    leaver.peer.say(chat_protocol::client::Bye {}).await;
    until_members(&node, TYPING_MEMBERS_MAX).await;
    others[0].types();
    assert_eq!(ann.hears().await.name.as_str(), "user-0");
    for other in &others[1..] {
        assert_eq!(other.hears().await.name.as_str(), "user-0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_datagrams_is_looked_at_a_little_and_hurts_nobody() {
    let node = LocalNode::start().await;
    let mut mallory = Hand::join(&node, "mallory", &[TYPING]).await;
    let mut ann = Hand::join(&node, "ann", &[TYPING]).await;
    let bo = Hand::join(&node, "bo", &[TYPING]).await;
    until_members(&node, 3).await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        for _ in 0..50 {
            // No room: too many bytes.
            mallory.sends(Bytes::from_static(&[
                0x40, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ]));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let looked_at = node.node.hub().typing_counts().malformed;
    // Bursts of 16, and 20 a second.
    let most = 16 + 20 * started.elapsed().as_secs() + 20;
    assert!((1..=most).contains(&looked_at), "{looked_at}");
    ann.types();
    assert_eq!(bo.hears().await.name.as_str(), "ann");
    ann.is_well().await;
    mallory.is_well().await;
    let publish = Publish {
        room: mallory.lobby,
        nonce: Nonce(1),
        content_type: 0,
        body: Bytes::from_static(b"well"),
    };
    mallory.peer.say(publish).await;
    assert!(matches!(mallory.peer.hear().await, NodeFrame::Ack(_)));
}

/// Long enough for a datagram on this machine.
const MOMENT: Duration = Duration::from_millis(300);
