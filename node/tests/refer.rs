//! Replies, edits, deletions and reactions over two nodes that share a Redis: who may refer to what,
//! what is refused, and what readers make of it. Real QUIC, frames by hand.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use bytes::{Bytes, BytesMut};
use chat_client::References;
use chat_node::backplane::LogBounds;
use chat_node::backplane::memory::Memory;
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_protocol::client::{ClientFrame, Publish, ReadBefore, Resume, SetTopic, Start};
use chat_protocol::lane::Message;
use chat_protocol::{
    Content, Cursor, Epoch, ErrorCode, Frame, LaneFrame, NodeFrame, Nonce, RequestId, RoomRef, Seq,
    StreamType, varint,
};
use support::held::Held;
use support::peer::{Frames, LocalNode, Peer, hello};
use support::redis::RedisServer;
use support::soon;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Two nodes on one Redis.
struct Two {
    one: LocalNode,
    other: LocalNode,
    stop: CancellationToken,
    _redis: RedisServer,
}

impl Two {
    async fn start(bounds: LogBounds) -> Self {
        let redis = RedisServer::start().await;
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let attach = |name: &str| {
            let mut options = RedisOptions::new(redis.url(), name);
            options.bounds = bounds;
            Redis::attach(options, &tracker, &stop).unwrap()
        };
        Self {
            one: LocalNode::on(attach("node-1"), "node-1").await,
            other: LocalNode::on(attach("node-2"), "node-2").await,
            stop,
            _redis: redis,
        }
    }
}

impl Drop for Two {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Keeps ten entries.
fn short() -> LogBounds {
    LogBounds {
        entries_max: 10,
        ..LogBounds::default()
    }
}

/// A member of the lobby.
struct Member {
    peer: Peer,
    lane: Frames,
    room: RoomRef,
    epoch: Epoch,
    nonce: u64,
    resume: Resume,
}

impl Member {
    async fn join(node: &LocalNode, name: &str) -> Self {
        Self::greet(node, name, None).await
    }

    /// Loses its connection and goes on on another node.
    async fn move_to(self, node: &LocalNode) -> Self {
        self.peer.connection.close(0_u32.into(), b"");
        let moved = Self::greet(node, "ann", Some(self.resume)).await;
        Self {
            nonce: self.nonce,
            ..moved
        }
    }

    async fn greet(node: &LocalNode, name: &str, resume: Option<Resume>) -> Self {
        let mut peer = node.peer().await;
        let mut bytes = BytesMut::new();
        varint::put(StreamType::Control.to_wire(), &mut bytes);
        let is_resumed = resume.is_some();
        let mut hello = hello(name);
        hello.resume = resume;
        ClientFrame::from(hello).encode(&mut bytes);
        peer.raw(&bytes).await;
        let NodeFrame::Welcome(welcome) = peer.hear().await else {
            panic!("no welcome")
        };
        assert_eq!(welcome.resumed, is_resumed);
        let (lane, joined) = peer.join("lobby", Start::Live).await;
        Self {
            peer,
            lane,
            room: joined.room,
            epoch: joined.head.epoch,
            nonce: 0,
            resume: Resume {
                session: welcome.session,
                secret: welcome.secret,
            },
        }
    }

    async fn send(&mut self, content: Content) -> u64 {
        self.nonce += 1;
        self.send_again(self.nonce, content).await;
        self.nonce
    }

    async fn send_again(&mut self, nonce: u64, content: Content) {
        let (content_type, body) = content.into_parts();
        self.send_raw(nonce, content_type, body).await;
    }

    async fn send_raw(&mut self, nonce: u64, content_type: u32, body: Bytes) {
        let publish = Publish {
            room: self.room,
            nonce: Nonce(nonce),
            content_type,
            body,
        };
        self.peer.say(publish).await;
    }

    /// The answer to a publish: its place, or why it was refused.
    async fn answer(&mut self, nonce: u64) -> Result<Cursor, ErrorCode> {
        match self.peer.hear().await {
            NodeFrame::Ack(ack) => {
                assert_eq!(ack.nonce, Nonce(nonce));
                Ok(ack.cursor)
            }
            NodeFrame::Rejected(rejected) => {
                assert_eq!(rejected.nonce, Nonce(nonce));
                Err(ErrorCode::from_wire(rejected.code).unwrap())
            }
            other => panic!("no answer: {other:?}"),
        }
    }

    async fn publish(&mut self, content: Content) -> Result<Cursor, ErrorCode> {
        let nonce = self.send(content).await;
        self.answer(nonce).await
    }

    async fn say(&mut self, len: u64) -> Cursor {
        let mut last = None;
        for number in 1..=len {
            last = Some(self.publish(said(&format!("line {number}"))).await.unwrap());
        }
        last.unwrap()
    }

    fn at(&self, seq: u64) -> Cursor {
        Cursor::new(self.epoch, Seq(seq))
    }
}

fn said(text: &str) -> Content {
    Content::Text(text.parse().unwrap())
}

fn edit(of: Cursor, text: &str) -> Content {
    let text = text.parse().unwrap();
    Content::Edit { of, text }
}

fn reply(to: Cursor) -> Content {
    let text = "indeed".parse().unwrap();
    Content::Reply { to, text }
}

fn react(to: Cursor, reaction: &str, on: bool) -> Content {
    let reaction = reaction.parse().unwrap();
    Content::Reaction { to, reaction, on }
}

const FORBIDDEN: Result<Cursor, ErrorCode> = Err(ErrorCode::Forbidden);
const GONE: Result<Cursor, ErrorCode> = Err(ErrorCode::NoSuchEntry);

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_its_authors_on_every_node() {
    let two = Two::start(LogBounds::default()).await;
    let mut ann = Member::join(&two.one, "ann").await;
    let mut bob = Member::join(&two.other, "bob").await;
    let first = ann.publish(said("helo")).await.unwrap();
    ann.publish(edit(first, "hello")).await.unwrap();
    for content in [edit(first, "i am a fool"), Content::Delete { of: first }] {
        assert_eq!(bob.publish(content).await, FORBIDDEN);
    }
    for content in [
        reply(first),
        react(first, "👍", true),
        react(first, "👍", false),
    ] {
        bob.publish(content).await.unwrap();
    }
    let mut ann = ann.move_to(&two.other).await;
    ann.publish(edit(first, "hello again")).await.unwrap();
    ann.publish(Content::Delete { of: first }).await.unwrap();
    // The session ends, and somebody else takes its name.
    ann.peer.say(chat_protocol::client::Bye {}).await;
    soon("ann is gone", ann.peer.connection.closed()).await;
    let mut impostor = Member::join(&two.other, "ann").await;
    assert_eq!(impostor.publish(edit(first, "me too")).await, FORBIDDEN);
    // What was refused is not in the log: what is, everybody reads.
    let mut seen = Vec::new();
    for _ in 0..4 {
        match bob.lane.entry().await {
            LaneFrame::Message(message) => seen.push(message.content),
            other => panic!("{other:?}"),
        }
    }
    let expected = [said("helo"), edit(first, "hello"), reply(first)];
    assert_eq!(seen[..3], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_cannot_be_referred_to() {
    let two = Two::start(short()).await;
    let mut ann = Member::join(&two.one, "ann").await;
    let first = ann.say(1).await;
    let last = ann.say(40).await;
    let fix = ann.publish(edit(last, "the last")).await.unwrap();
    ann.nonce += 1;
    let set_topic = SetTopic {
        room: ann.room,
        nonce: Nonce(ann.nonce),
        topic: "tea".to_owned(),
    };
    ann.peer.say(set_topic).await;
    let topic = ann.answer(ann.nonce).await.unwrap();
    let mut ann = ann.move_to(&two.other).await;
    let mut bob = Member::join(&two.one, "bob").await;
    let elsewhere = Cursor::new(Epoch(0xdead), last.seq);
    let nowhere = [
        elsewhere,
        Cursor::new(Epoch(u64::MAX), Seq(u64::MAX)),
        ann.at(0),
        ann.at(topic.seq.0 + 1),
        ann.at(1 << 53),
        fix,
        topic,
    ];
    for to in nowhere.into_iter().chain([first]) {
        assert_eq!(ann.publish(edit(to, "x")).await, GONE, "{to}");
        assert_eq!(ann.publish(Content::Delete { of: to }).await, GONE, "{to}");
        assert_eq!(ann.publish(reply(to)).await, GONE, "{to}");
        assert_eq!(ann.publish(react(to, "+1", true)).await, GONE, "{to}");
    }
    for to in nowhere {
        assert_eq!(bob.publish(reply(to)).await, GONE, "{to}");
    }
    // A refusal is final: what comes after it is appended.
    assert!(ann.publish(reply(last)).await.is_ok());
    for (content_type, body) in [
        (2, &b"\x01"[..]),
        (4, b"\x01\x01\x01"),
        (5, b"\x01\x01\x02x"),
    ] {
        ann.nonce += 1;
        ann.send_raw(ann.nonce, content_type, Bytes::from_static(body))
            .await;
        let refused = ann.answer(ann.nonce).await;
        assert_eq!(refused, Err(ErrorCode::InvalidText), "{body:?}");
    }
    let too_long = react(last, "x", true).into_parts().1.len() + 32;
    let mut body = BytesMut::from(&react(last, "x", true).into_parts().1[..]);
    body.resize(too_long, b'x');
    ann.nonce += 1;
    ann.send_raw(ann.nonce, 5, body.freeze()).await;
    assert_eq!(ann.answer(ann.nonce).await, Err(ErrorCode::TextTooLong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_its_first_answer_also_when_what_it_refers_to_is_gone() {
    let two = Two::start(short()).await;
    let mut ann = Member::join(&two.one, "ann").await;
    let first = ann.say(1).await;
    let nonce = ann.send(edit(first, "better")).await;
    let place = ann.answer(nonce).await.unwrap();
    ann.send_again(nonce, edit(first, "better")).await;
    assert_eq!(ann.answer(nonce).await, Ok(place));
    ann.say(40).await;
    let mut ann = ann.move_to(&two.other).await;
    ann.send_again(nonce, edit(first, "better")).await;
    assert_eq!(ann.answer(nonce).await, Ok(place), "as before");
    assert_eq!(ann.publish(edit(first, "best")).await, GONE);
    // A nonce below the last that was never used: what became of it cannot be told.
    let mut bob = Member::join(&two.other, "bob").await;
    bob.nonce = 7;
    bob.say(1).await;
    bob.send_again(3, reply(first)).await;
    assert_eq!(bob.answer(3).await, Err(ErrorCode::NonceTooOld));
    bob.say(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_looked_up_in_the_log_keeps_its_order() {
    let two = Two::start(LogBounds::default()).await;
    let mut ann = Member::join(&two.one, "ann").await;
    // More than a node reads when it opens a room.
    let last = ann.say(450).await;
    let mut bob = Member::join(&two.other, "bob").await;
    for number in 1..=20 {
        bob.send(said(&format!("before {number}"))).await;
        bob.send(reply(bob.at(number))).await;
        bob.send(react(bob.at(number), "👀", true)).await;
        bob.send(edit(bob.at(number), "not mine")).await;
    }
    let mut placed = Vec::new();
    for _ in 0..80 {
        match bob.peer.hear().await {
            NodeFrame::Ack(ack) => placed.push((ack.nonce, ack.cursor.seq)),
            NodeFrame::Rejected(rejected) => {
                assert_eq!(rejected.code, ErrorCode::Forbidden.to_wire());
                assert_eq!(rejected.nonce.0 % 4, 0);
            }
            other => panic!("{other:?}"),
        }
    }
    placed.sort();
    assert_eq!(placed.len(), 60);
    let seqs: Vec<u64> = placed.iter().map(|(_, seq)| seq.0).collect();
    let expected: Vec<u64> = (last.seq.0 + 1..=last.seq.0 + 60).collect();
    assert_eq!(seqs, expected, "in the order of their nonces");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_does_not_answer_holds_up_its_asker_alone() {
    let memory = Memory::new();
    let one = LocalNode::on(memory.attach(), "node-1").await;
    let (held, attachment) = Held::before(memory.attach());
    let other = LocalNode::on(attachment, "node-2").await;
    Member::join(&one, "ann").await.say(450).await;
    let mut bob = Member::join(&other, "bob").await;
    let mut carol = Member::join(&other, "carol").await;
    held.hold(true);
    let first = bob.at(1);
    bob.send(reply(first)).await;
    bob.send(said("behind it")).await;
    soon("a read of the log", held.reads(1)).await;
    carol.say(5).await;
    assert_eq!(bob.answer(1).await, Err(ErrorCode::Unavailable));
    assert_eq!(bob.answer(2).await, Err(ErrorCode::OutOfOrder));
    held.hold(false);
    bob.send_again(1, reply(first)).await;
    bob.send_again(2, said("behind it")).await;
    let (answer, behind) = (bob.answer(1).await.unwrap(), bob.answer(2).await.unwrap());
    assert_eq!((answer.seq, behind.seq), (Seq(456), Seq(457)));
}

/// What can be seen of a room's messages.
fn seen(references: &References, epoch: Epoch, len: u64) -> Vec<String> {
    let views = (1..=len).map(|seq| {
        let view = references.message(Cursor::new(epoch, Seq(seq)))?;
        let (text, reactions) = (view.text(), view.reactions());
        let flags = (view.is_edited(), view.is_deleted(), view.reply_to());
        Some(format!("{seq}: {text:?} {flags:?} {reactions:?}"))
    });
    views.flatten().collect()
}

async fn next_message(frames: &mut Frames) -> Option<Message> {
    loop {
        match soon("an entry", frames.next()).await? {
            LaneFrame::Message(message) => return Some(message),
            LaneFrame::Presence(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_scrolls_back_sees_what_those_see_who_were_there() {
    let two = Two::start(LogBounds::default()).await;
    let mut ann = Member::join(&two.one, "ann").await;
    let mut bob = Member::join(&two.other, "bob").await;
    ann.say(300).await;
    for number in 1..=30 {
        let at = ann.at(number * 7);
        ann.publish(edit(at, &format!("better {number}")))
            .await
            .unwrap();
        bob.publish(react(at, "👍", number % 3 != 0)).await.unwrap();
        if number % 5 == 0 {
            ann.publish(Content::Delete { of: at }).await.unwrap();
            ann.publish(edit(at, "too late")).await.unwrap();
        }
        bob.publish(reply(at)).await.unwrap();
    }
    let len = bob.say(1).await.seq.0;
    let (epoch, room_of) = (ann.epoch, RequestId(5));
    let mut all_along = References::default();
    let (mut peer, _) = two.one.welcomed("carol").await;
    let (mut lane, joined) = peer.join("lobby", Start::Last(1_000)).await;
    for seq in joined.next.0..=len {
        let message = next_message(&mut lane).await.unwrap();
        all_along.on_message(Cursor::new(epoch, Seq(seq)), &message);
    }
    let (mut peer, _) = two.other.welcomed("dave").await;
    let (mut lane, joined) = peer.join("lobby", Start::Last(40)).await;
    let mut later = References::default();
    for seq in joined.next.0..=len {
        let message = next_message(&mut lane).await.unwrap();
        later.on_message(Cursor::new(epoch, Seq(seq)), &message);
    }
    let (mut before, mut touched) = (joined.next, 0);
    while before > Seq(1) {
        let ask = ReadBefore {
            request: room_of,
            room: joined.room,
            before: Cursor::new(epoch, before),
            len: 100,
        };
        peer.say(ask).await;
        let (mut frames, page) = peer.page().await;
        for seq in page.next.0..page.end.0 {
            let message = next_message(&mut frames).await.unwrap();
            touched += usize::from(
                later
                    .on_message(Cursor::new(epoch, Seq(seq)), &message)
                    .is_some(),
            );
        }
        before = page.next;
    }
    assert!(touched >= 300, "{touched}");
    let expected = seen(&all_along, epoch, len);
    assert_eq!(seen(&later, epoch, len), expected);
    let text = |seq| {
        all_along
            .message(Cursor::new(epoch, Seq(seq)))
            .unwrap()
            .text()
            .cloned()
    };
    assert_eq!(text(7), "better 1".parse().ok());
    assert_eq!(text(35), None, "deleted");
    assert_eq!(
        expected
            .iter()
            .filter(|line| line.contains("user") || line.contains("bob"))
            .count(),
        20
    );
}
