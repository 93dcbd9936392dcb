//! A node whose Redis somebody else writes to, as its clients see it: a real process, a real Redis,
//! real QUIC. Whatever is written there, the next good message comes.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::path::Path;
use std::process::Command;

use bytes::{BufMut, BytesMut};
use chat_client::{Client, Event, Events, Room, Start, Trust, protocol};
use chat_node::backplane::HEAD_MAX;
use chat_node::backplane::redis::{Redis, RedisOptions};
use protocol::lane::{Author, LaneFrame, Message};
use protocol::{Content, Cursor, Frame, Nonce, RoomName, SessionId};
use redis::aio::MultiplexedConnection;
use support::process::{NodeCommand, NodeProcess};
use support::redis::RedisServer;
use support::soon;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const LOG: &str = "chat:{lobby}:log";
const META: &str = "chat:{lobby}:meta";
const HINT: &str = "chat:{lobby}:hint";

/// Two nodes, a client in the lobby on each, and somebody with a connection to their Redis.
struct Scene {
    home: tempfile::TempDir,
    redis: RedisServer,
    nodes: [NodeProcess; 2],
    ann: Person,
    bo: Person,
    hand: MultiplexedConnection,
    messages: u64,
}

struct Person {
    client: Client,
    events: Events,
    lobby: Room,
}

impl Person {
    async fn connect(home: &Path, name: &str, node: &NodeProcess) -> Self {
        let connecting = Client::builder()
            .target(node.target())
            .name(name)
            .trust(Trust::Development {
                dir: Some(home.join("chat/certs")),
            })
            .connect();
        let (client, events) = soon("connects", connecting).await.unwrap();
        let lobby = soon("joins", client.join("lobby", Start::Live)).await;
        Self {
            client,
            events,
            lobby: lobby.unwrap(),
        }
    }

    async fn say(&self, text: &str) -> Cursor {
        soon("an ack", self.lobby.publish_text(text).unwrap())
            .await
            .unwrap()
    }

    /// Waits for a message; what else comes is counted as what it is.
    async fn hears(&mut self, wanted: &str) -> Heard {
        let mut heard = Heard::default();
        let hearing = async {
            loop {
                match self.events.next().await.expect("the client goes on") {
                    Event::Message { message, .. } => match message.content {
                        Content::Text(text) if text.as_str() == wanted => return,
                        other => heard.strange.push(format!("{other:?}")),
                    },
                    Event::Gap { .. } => heard.gaps += 1,
                    Event::Damaged { .. } => heard.holes += 1,
                    Event::Disconnected { reason, .. } => panic!("cut off: {reason}"),
                    _ => {}
                }
            }
        };
        soon(wanted, hearing).await;
        heard
    }
}

/// What came before a message that was waited for.
#[derive(Debug, Default)]
struct Heard {
    gaps: usize,
    holes: usize,
    strange: Vec<String>,
}

impl Scene {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let redis = RedisServer::start().await;
        let command = NodeCommand::new(home.path())
            .redis(&redis.address())
            .logging_to(&home.path().join("log"), "warn");
        let nodes = [command.start(), command.start()];
        let ann = Person::connect(home.path(), "ann", &nodes[0]).await;
        let bo = Person::connect(home.path(), "bo", &nodes[1]).await;
        let hand = redis.connection().await.unwrap();
        let mut scene = Self {
            home,
            redis,
            nodes,
            ann,
            bo,
            hand,
            messages: 0,
        };
        scene.goes_on("nothing has happened").await;
        scene
    }

    /// Both say something, and both hear both.
    async fn goes_on(&mut self, after: &str) -> Vec<Heard> {
        self.messages += 1;
        let texts = ["ann", "bo"].map(|name| format!("{name} {} {after}", self.messages));
        self.ann.say(&texts[0]).await;
        let mut heard = vec![
            self.ann.hears(&texts[0]).await,
            self.bo.hears(&texts[0]).await,
        ];
        self.bo.say(&texts[1]).await;
        heard.push(self.ann.hears(&texts[1]).await);
        heard.push(self.bo.hears(&texts[1]).await);
        for one in &heard {
            assert!(one.strange.is_empty(), "{after}: {one:?}");
        }
        heard
    }

    async fn publish(&mut self, channel: &str, payload: &[u8]) {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel).arg(payload);
        publish.exec_async(&mut self.hand).await.unwrap();
    }

    /// Every channel and stream of the cluster.
    async fn places(&self) -> (Vec<String>, Vec<String>) {
        let channels = self.redis.ask(&["PUBSUB", "CHANNELS", "chat:*"]).await;
        let keys: Vec<String> = self.redis.ask(&["KEYS", "chat:*:log"]).await;
        (channels, keys)
    }

    async fn add(&mut self, log: &str, id: &str, payload: &[u8]) -> redis::RedisResult<()> {
        let mut add = redis::cmd("XADD");
        add.arg(log).arg(id).arg("b").arg(payload);
        add.exec_async(&mut self.hand).await
    }

    /// Adds an entry where the next one would be.
    async fn add_next(&mut self, log: &str, payload: &[u8]) {
        loop {
            let last: Vec<(String, Vec<Vec<u8>>)> = self
                .redis
                .ask(&["XREVRANGE", log, "+", "-", "COUNT", "1"])
                .await;
            let last: u64 = last[0].0.split('-').next().unwrap().parse().unwrap();
            // A node may have been faster.
            if self
                .add(log, &format!("{}-0", last + 1), payload)
                .await
                .is_ok()
            {
                return;
            }
        }
    }

    /// What `chat-node health` says of a node.
    async fn damaged(&self) -> u64 {
        soon("its status", self.ann.client.status())
            .await
            .unwrap()
            .damaged
    }

    async fn head(&self) -> Cursor {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let options = RedisOptions::new(self.redis.url(), "looking");
        let attachment = Redis::attach(options, &tracker, &stop).unwrap();
        let lobby: RoomName = "lobby".parse().unwrap();
        attachment.backplane.heads(&[lobby]).await.unwrap()[0].unwrap()
    }
}

/// A block as nodes write it, with whatever is wanted in it.
fn payload(epoch: u64, first: u64, len: u32, room: &str, frames: &[u8]) -> Vec<u8> {
    let mut payload = BytesMut::new();
    payload.put_u8(1);
    payload.put_slice(format!("{epoch:016x}").as_bytes());
    payload.put_u64(first);
    payload.put_u32(len);
    payload.put_u64(4_000_000_000_000);
    payload.put_u8(u8::try_from(room.len()).unwrap());
    payload.put_slice(room.as_bytes());
    payload.put_slice(frames);
    payload.to_vec()
}

fn forged() -> Vec<u8> {
    let author = Author {
        session: SessionId(7),
        account: None,
        name: "mallory".parse().unwrap(),
    };
    let message = Message {
        author,
        nonce: Nonce(1),
        at_ms: 1,
        content: Content::Text("forged".parse().unwrap()),
    };
    LaneFrame::from(message).to_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_hostile_announcement_the_next_message_comes() {
    let mut scene = Scene::start().await;
    let frame = forged();
    let big = vec![0x01; 10 << 20];
    let head = scene.head().await;
    let (epoch, next) = (head.epoch.0, head.seq.0 + 1);
    let hostile = [
        ("nothing", Vec::new()),
        ("garbage", b"garbage".to_vec()),
        ("10 MB", big.clone()),
        ("10 MB of frames", payload(epoch, next, 1, "lobby", &big)),
        ("seq 2^53", payload(epoch, 1 << 53, 1, "lobby", &frame)),
        (
            "seq 2^53-1",
            payload(epoch, (1 << 53) - 1, 1, "lobby", &frame),
        ),
        (
            "another epoch",
            payload(!epoch, 1 << 50, 1, "lobby", &frame),
        ),
        ("seq 0", payload(epoch, 0, 1, "lobby", &frame)),
        (
            "a huge count",
            payload(epoch, next, u32::MAX, "lobby", &frame),
        ),
        ("no entries", payload(epoch, next, 0, "lobby", b"")),
        (
            "frames of no length",
            payload(epoch, next, 40, "lobby", &[0; 40]),
        ),
        ("another room", payload(epoch, next, 1, "attic", &frame)),
        (
            "half a frame",
            payload(epoch, next, 1, "lobby", &frame[..9]),
        ),
    ];
    for (what, payload) in &hostile {
        let (channels, _) = scene.places().await;
        assert!(
            channels.len() >= 4,
            "rooms, gossip and inboxes: {channels:?}"
        );
        for channel in channels {
            scene.publish(&channel, payload).await;
        }
        let heard = scene.goes_on(what).await;
        let is_quiet = heard.iter().all(|one| one.gaps == 0 && one.holes == 0);
        assert!(is_quiet, "{what}: {heard:?}");
    }
    assert!(scene.damaged().await >= hostile.len() as u64);
    assert_eq!(scene.head().await.epoch, head.epoch, "the log is the truth");
}

/// Nothing in it tells it from a good one: this is what write access to Redis can do.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgery_in_good_form_is_shown_once_and_the_room_goes_on_in_a_new_epoch() {
    let mut scene = Scene::start().await;
    let head = scene.head().await;
    let next = head.seq.0 + 1;
    let forgery = payload(head.epoch.0, next, 1, "lobby", &forged());
    scene.publish(HINT, &forgery).await;
    for person in [&mut scene.ann, &mut scene.bo] {
        assert!(person.hears("forged").await.strange.is_empty());
    }
    scene.publish(HINT, &forgery).await;
    scene.goes_on("a forgery").await;
    let now = scene.head().await;
    assert!(now.epoch != head.epoch && now.seq.0 > next, "{head} {now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_hostile_entry_the_next_message_comes() {
    let mut scene = Scene::start().await;
    let frame = forged();
    let big = vec![0x01; 10 << 20];
    let (_, logs) = scene.places().await;
    assert!(logs.len() >= 3, "the room and the inboxes: {logs:?}");
    for log in logs {
        for (what, payload) in [
            ("garbage", b"garbage".to_vec()),
            ("10 MB", big.clone()),
            ("10 MB of frames", payload(1, 2, 1, "lobby", &big)),
            ("seq 2^53", payload(1, 1 << 53, 1, "lobby", &frame)),
            ("frames of no length", payload(1, 2, 40, "lobby", &[0; 40])),
            ("another room", payload(1, 2, 1, "attic", &frame)),
        ] {
            scene.add_next(&log, &payload).await;
            scene.goes_on(&format!("{what} in {log}")).await;
        }
        for id in [
            "9007199254740991-0",
            "9007199254740992-0",
            "18446744073709551615-0",
        ] {
            scene.add(&log, id, b"x").await.unwrap();
            scene.goes_on(&format!("{id} in {log}")).await;
        }
    }
    for (field, value) in [
        ("seq", "9007199254740991"),
        ("seq", "9007199254740992"),
        ("seq", "-1"),
        ("seq", "0.5"),
        ("epoch", "zzzzzzzzzzzzzzzz"),
        ("epoch", ""),
        ("forks", "garbage"),
    ] {
        let _: u64 = scene.redis.ask(&["HSET", META, field, value]).await;
        scene.goes_on(&format!("{field}={value}")).await;
    }
    assert!(scene.head().await.seq < HEAD_MAX);
    assert!(scene.damaged().await > 0);
    // Who comes now reads what is there.
    let mut cy = Person::connect(scene.home.path(), "cy", &scene.nodes[0]).await;
    scene.bo.say("welcome").await;
    assert!(cy.hears("welcome").await.strange.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_garbage_fills_neither_memory_nor_the_log() {
    let mut scene = Scene::start().await;
    let before = resident_bytes(&scene.nodes[0]);
    let big = vec![0x01; 10 << 20];
    for _ in 0..60 {
        scene.publish(HINT, &big).await;
    }
    let mut flood = redis::pipe();
    for _ in 0..5_000 {
        flood.cmd("PUBLISH").arg(HINT).arg(b"garbage").ignore();
    }
    flood.exec_async(&mut scene.hand).await.unwrap();
    scene.add_next(LOG, &big).await;
    scene.goes_on("a flood").await;
    assert!(scene.damaged().await >= 5_060, "each is counted");
    let grown = resident_bytes(&scene.nodes[0]).saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes after 600 MB of garbage");
    let log = std::fs::read_to_string(scene.home.path().join("log")).unwrap();
    let lines = log
        .lines()
        .filter(|line| line.contains("no node of this chat made"));
    // Two nodes, and a line every 10 s of at most 30 s.
    let lines = lines.count();
    assert!((2..=8).contains(&lines), "{lines} lines:\n{log}");
}

/// Memory of a process.
fn resident_bytes(node: &NodeProcess) -> u64 {
    let pid = node.id().to_string();
    let output = Command::new("ps").args(["-o", "rss=", "-p", &pid]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.trim().parse::<u64>().unwrap() * 1024
}
