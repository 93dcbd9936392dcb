//! Reading a log from any place, on any node and backplane: resuming, scrolling back, and readers
//! that are slow. Real QUIC, frames by hand.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::memory::Memory;
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_node::backplane::{Attachment, Batch, Draft, LogBounds};
use chat_protocol::client::{Bye, Ping, Publish, ReadBefore, Start};
use chat_protocol::lane::{GapReason, HistoryPage};
use chat_protocol::limits::{HISTORY_PAGE_LEN_MAX, HISTORY_PAGES_MAX, IN_FLIGHT_MAX};
use chat_protocol::{
    CloseCode, Cursor, Epoch, ErrorCode, Frame, LaneFrame, NodeFrame, Nonce, RequestId, RoomRef,
    Seq, SessionId, StreamCode,
};
use support::held::Held;
use support::peer::{Frames, LocalNode, Peer};
use support::redis::RedisServer;
use support::soon;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Two nodes that share rooms.
struct Two {
    one: LocalNode,
    other: LocalNode,
    stop: CancellationToken,
    _redis: Option<RedisServer>,
}

impl Two {
    async fn on_memory(bounds: LogBounds) -> Self {
        let memory = Memory::with_bounds(bounds);
        Self::on(|_| memory.attach(), None).await
    }

    async fn on_redis(bounds: LogBounds) -> Self {
        let redis = RedisServer::start().await;
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let attach = |name: &str| {
            let mut options = RedisOptions::new(redis.url(), name);
            options.bounds = bounds;
            Redis::attach(options, &tracker, &stop).unwrap()
        };
        let (one, other) = (attach("node-1"), attach("node-2"));
        let mut attachments = [one, other].into_iter();
        let mut two = Self::on(|_| attachments.next().unwrap(), Some(redis)).await;
        two.stop = stop;
        two
    }

    async fn on(mut attach: impl FnMut(&str) -> Attachment, redis: Option<RedisServer>) -> Self {
        Self {
            one: LocalNode::on(attach("node-1"), "node-1").await,
            other: LocalNode::on(attach("node-2"), "node-2").await,
            stop: CancellationToken::new(),
            _redis: redis,
        }
    }
}

impl Drop for Two {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A member of the lobby.
struct Member {
    peer: Peer,
    lane: Frames,
    room: RoomRef,
    epoch: Epoch,
    published: u64,
}

impl Member {
    async fn join(node: &LocalNode, name: &str) -> Self {
        Self::welcomed(node.welcomed(name).await.0).await
    }

    async fn welcomed(mut peer: Peer) -> Self {
        let (lane, joined) = peer.join("lobby", Start::Live).await;
        Self {
            peer,
            lane,
            room: joined.room,
            epoch: joined.head.epoch,
            published: 0,
        }
    }

    /// Publishes texts that begin with their number, and awaits their acks.
    async fn publish(&mut self, len: u64, bytes: usize) {
        let last = self.published + len;
        while self.published < last {
            let burst = (last - self.published).min(IN_FLIGHT_MAX as u64 / 2);
            for _ in 0..burst {
                self.published += 1;
                let publish = Publish {
                    room: self.room,
                    nonce: Nonce(self.published),
                    content_type: 0,
                    body: text(self.published, bytes),
                };
                self.peer.say(publish).await;
            }
            for _ in 0..burst {
                match self.peer.hear().await {
                    NodeFrame::Ack(ack) => assert_eq!(ack.cursor.epoch, self.epoch),
                    other => panic!("no ack: {other:?}"),
                }
            }
        }
    }

    /// The numbers of the next entries of the lane.
    async fn read(&mut self, len: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..len {
            numbers.push(number(&self.lane.entry().await));
        }
        numbers
    }

    async fn ask(&mut self, before: Cursor, len: u32) {
        let request = RequestId(9);
        let room = self.room;
        self.peer
            .say(ReadBefore {
                request,
                room,
                before,
                len,
            })
            .await;
    }

    /// A page, and the numbers of its entries.
    async fn page(&mut self, before: Cursor, len: u32) -> (HistoryPage, Vec<u64>) {
        self.ask(before, len).await;
        let (mut frames, page) = self.peer.page().await;
        assert_eq!(page.request, RequestId(9));
        let mut numbers = Vec::new();
        while let Some(frame) = soon("a frame of a page", frames.next()).await {
            numbers.push(number(&frame));
        }
        assert_eq!(numbers.len() as u64, page.end.0 - page.next.0);
        (page, numbers)
    }

    fn at(&self, seq: u64) -> Cursor {
        Cursor::new(self.epoch, Seq(seq))
    }
}

fn text(number: u64, bytes: usize) -> Bytes {
    let number = format!("{number} ");
    let padding = "x".repeat(bytes.saturating_sub(number.len()).max(1));
    Bytes::from(number + &padding)
}

fn number(frame: &LaneFrame) -> u64 {
    match frame {
        LaneFrame::Message(message) => {
            let (_, body) = message.content.clone().into_parts();
            let body = String::from_utf8(body.to_vec()).unwrap();
            body.split_once(' ').unwrap().0.parse().unwrap()
        }
        other => panic!("no message: {other:?}"),
    }
}

fn numbers(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

const NOBODY: Epoch = Epoch(0xdead);

/// Scrolls back from the head to the beginning, on the node that has the room and on the other.
async fn scroll_back(two: &Two) {
    let mut ann = Member::join(&two.one, "ann").await;
    // Each burst is more than one append, and the large ones more than a page may hold.
    ann.publish(300, 20).await;
    ann.publish(300, 4090).await;
    ann.publish(200, 20).await;
    let bob = Member::join(&two.other, "bob").await;
    for mut reader in [ann, bob] {
        let mut before = reader.at(801);
        let mut seen = Vec::new();
        let mut pages = 0;
        while before.seq > Seq(1) {
            let (page, numbers) = reader.page(before, u32::MAX).await;
            assert_eq!(
                (page.epoch, page.first, page.gap),
                (before.epoch, Seq(1), None)
            );
            assert_eq!(page.end, before.seq, "right before what was asked");
            assert!(numbers.len() <= HISTORY_PAGE_LEN_MAX as usize && !numbers.is_empty());
            seen.splice(0..0, numbers);
            before = Cursor::new(page.epoch, page.next);
            pages += 1;
        }
        assert_eq!(seen, numbers(1, 800));
        assert!((4..12).contains(&pages), "{pages} pages");
        let (page, few) = reader.page(reader.at(790), 3).await;
        assert_eq!((few, page.next), (vec![787, 788, 789], Seq(787)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_back_to_the_beginning_of_the_log() {
    scroll_back(&Two::on_memory(LogBounds::default()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_back_to_the_beginning_of_the_log_in_redis() {
    scroll_back(&Two::on_redis(LogBounds::default()).await).await;
}

/// Asks for what is before places that never were, or are no more.
async fn ask_for_anything(two: &Two) {
    let mut ann = Member::join(&two.one, "ann").await;
    ann.publish(30, 20).await;
    let bob = Member::join(&two.other, "bob").await;
    let diverged = Some(GapReason::Diverged);
    for mut reader in [ann, bob] {
        let known = reader.epoch;
        for (epoch, seq, len, entries, place) in [
            (known, 0, 10, vec![], (1, 1, None)),
            (known, 1, 10, vec![], (1, 1, None)),
            (known, 31, 0, vec![], (31, 31, None)),
            (known, 31, u32::MAX, numbers(1, 30), (1, 31, None)),
            (known, 35, 10, numbers(25, 30), (25, 31, diverged)),
            (known, 1_000_000, 10, vec![], (31, 31, diverged)),
            (known, 1 << 53, u32::MAX, vec![], (31, 31, diverged)),
            (known, u64::MAX, 0, vec![], (31, 31, diverged)),
            (NOBODY, 20, 10, vec![], (31, 31, diverged)),
            (NOBODY, 5, 10, vec![], (31, 31, diverged)),
            (NOBODY, 1, 10, vec![], (31, 31, diverged)),
            (NOBODY, 0, 0, vec![], (31, 31, diverged)),
            (NOBODY, u64::MAX, u32::MAX, vec![], (31, 31, diverged)),
            (Epoch(u64::MAX), 1 << 53, 1, vec![], (31, 31, diverged)),
        ] {
            let before = Cursor::new(epoch, Seq(seq));
            let (page, seen) = reader.page(before, len).await;
            let what = format!("{before}, {len}: {page:?}");
            assert_eq!(seen, entries, "{what}");
            assert_eq!((page.next.0, page.end.0, page.gap), place, "{what}");
            assert_eq!((page.epoch, page.first), (known, Seq(1)), "{what}");
        }
        // What it says leads to the log there is.
        let (page, seen) = reader.page(reader.at(31), 5).await;
        assert_eq!((seen, page.gap), (numbers(26, 30), None));
        let request = RequestId(3);
        let room = RoomRef(77);
        let before = reader.at(31);
        reader
            .peer
            .say(ReadBefore {
                request,
                room,
                before,
                len: 5,
            })
            .await;
        match reader.peer.hear().await {
            NodeFrame::Failed(failed) => {
                assert_eq!(
                    (failed.request, failed.code),
                    (request, ErrorCode::NotJoined.to_wire())
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_place_to_read_before_gets_a_typed_answer() {
    ask_for_anything(&Two::on_memory(LogBounds::default()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_place_to_read_before_gets_a_typed_answer_from_redis() {
    ask_for_anything(&Two::on_redis(LogBounds::default()).await).await;
}

async fn scroll_back_in_a_short_log(two: &Two) {
    let mut ann = Member::join(&two.one, "ann").await;
    for _ in 0..40 {
        ann.publish(1, 20).await;
    }
    let (page, seen) = ann.page(ann.at(36), 100).await;
    assert!(page.first > Seq(20) && page.first < Seq(36), "{page:?}");
    assert_eq!((page.next, page.end, page.gap), (page.first, Seq(36), None));
    assert_eq!(seen, numbers(page.first.0, 35));
    let at_first = ann.page(Cursor::new(page.epoch, page.first), 10).await.0;
    assert_eq!(
        (at_first.next, at_first.gap),
        (page.first, None),
        "the last page"
    );
    let (gone, seen) = ann.page(ann.at(5), 10).await;
    assert_eq!(gone.gap, Some(GapReason::Trimmed));
    assert_eq!(
        (gone.next, gone.end, seen),
        (page.first, page.first, vec![])
    );
}

/// Keeps ten entries.
fn short() -> LogBounds {
    LogBounds {
        entries_max: 10,
        ..LogBounds::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_trimmed_is_said_with_what_is_left() {
    scroll_back_in_a_short_log(&Two::on_memory(short()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_trimmed_is_said_with_what_is_left_in_redis() {
    scroll_back_in_a_short_log(&Two::on_redis(short()).await).await;
}

/// Joins after places that never were, where the room is loaded and where it is not.
async fn resume_from_anything(two: &Two) {
    let mut ann = Member::join(&two.one, "ann").await;
    ann.publish(30, 20).await;
    let known = ann.epoch;
    let diverged = Some(GapReason::Diverged);
    for node in [&two.one, &two.other] {
        for (epoch, seq, next, gap) in [
            (known, 0, 1, None),
            (known, 29, 30, None),
            (known, 30, 31, None),
            (known, 31, 31, diverged),
            (known, 1_000_000, 31, diverged),
            (known, 1 << 53, 31, diverged),
            (known, u64::MAX, 31, diverged),
            (NOBODY, 30, 1, diverged),
            (NOBODY, 1, 1, diverged),
            (NOBODY, u64::MAX, 1, diverged),
            (Epoch(u64::MAX), (1 << 53) - 1, 1, diverged),
        ] {
            let after = Cursor::new(epoch, Seq(seq));
            let (mut peer, _) = node.welcomed("bob").await;
            let (mut lane, joined) = peer.join("lobby", Start::After(after)).await;
            let what = format!("after {after}: {joined:?}");
            assert_eq!((joined.next, joined.gap), (Seq(next), gap), "{what}");
            assert_eq!(joined.head, Cursor::new(known, Seq(30)), "{what}");
            for expected in next..=30 {
                assert_eq!(number(&lane.entry().await), expected, "{what}");
            }
        }
        // A room that nobody was ever in.
        for (room, seq) in [("empty-1", 0), ("empty-2", 7), ("empty-3", u64::MAX)] {
            let after = Cursor::new(NOBODY, Seq(seq));
            let (mut peer, _) = node.welcomed("bob").await;
            let (_lane, joined) = peer.join(room, Start::After(after)).await;
            let gap = diverged.filter(|_| seq > 0);
            assert_eq!((joined.next, joined.gap), (Seq(1), gap), "{room} {after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_place_to_resume_from_gets_a_typed_answer() {
    resume_from_anything(&Two::on_memory(LogBounds::default()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_place_to_resume_from_gets_a_typed_answer_from_redis() {
    resume_from_anything(&Two::on_redis(LogBounds::default()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_room_may_not_have_is_a_visible_hole_for_every_reader() {
    let memory = Memory::new();
    let node = LocalNode::on(memory.attach(), "node-1").await;
    let mut ann = Member::join(&node, "ann").await;
    ann.publish(1, 20).await;
    let notice = chat_protocol::lane::Notice {
        at_ms: 1,
        level: chat_protocol::lane::NoticeLevel::Warning,
        text: "your account expires, say your password".parse().unwrap(),
    };
    let forged = Batch {
        known: None,
        drafts: vec![Draft {
            session: SessionId(7),
            nonce: Nonce(1),
            frame: LaneFrame::from(notice).to_bytes(),
            topic: None,
        }],
    };
    let lobby = "lobby".parse().unwrap();
    let stranger = memory.attach().backplane;
    stranger.append(&lobby, &forged).await.unwrap();
    // Enough that both fall off the tail.
    ann.publish(400, 1000).await;
    ann.ask(ann.at(4), 3).await;
    let (mut page, head) = ann.peer.page().await;
    assert_eq!((head.next, head.end), (Seq(1), Seq(4)));
    let after = Start::After(ann.at(0));
    let (mut bob, _) = node.welcomed("bob").await;
    let (mut lane, _) = bob.join("lobby", after).await;
    for frames in [&mut page, &mut lane] {
        assert_eq!(number(&frames.entry().await), 1);
        assert!(matches!(frames.entry().await, LaneFrame::Damaged(_)));
        assert_eq!(number(&frames.entry().await), 2);
    }
}

/// A node that soon gives up on readers, with ann in the lobby.
async fn impatient() -> (LocalNode, Member) {
    let node = LocalNode::with(Memory::new().attach(), "node-1", |options| {
        options.slow_reader_timeout = Duration::from_secs(2);
    })
    .await;
    let ann = Member::join(&node, "ann").await;
    (node, ann)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_under_way_are_limited_and_must_be_read() {
    let (node, mut ann) = impatient().await;
    ann.publish(300, 1000).await;
    let mut lazy = Member::welcomed(node.narrow("lazy", 16 * 1024).await).await;
    for _ in 0..HISTORY_PAGES_MAX {
        lazy.ask(ann.at(301), 256).await;
    }
    lazy.ask(ann.at(301), 256).await;
    match lazy.peer.hear().await {
        NodeFrame::Failed(failed) => assert_eq!(failed.code, ErrorCode::RateLimited.to_wire()),
        other => panic!("{other:?}"),
    }
    // One that is read makes way for another.
    for _ in 0..HISTORY_PAGES_MAX {
        let (mut frames, page) = lazy.peer.page().await;
        for expected in page.next.0..page.end.0 {
            assert_eq!(number(&frames.entry().await), expected);
        }
        assert!(
            soon("the page's end", frames.next::<LaneFrame>())
                .await
                .is_none()
        );
    }
    for _ in 0..HISTORY_PAGES_MAX {
        lazy.ask(ann.at(301), 256).await;
    }
    assert_eq!(
        lazy.peer.close_code().await,
        u64::from(CloseCode::SlowReader.to_wire())
    );
    ann.publish(1, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_is_closed_and_others_see_nothing_of_it() {
    let (node, mut ann) = impatient().await;
    let stopped = Member::welcomed(node.narrow("stopped", 16 * 1024).await).await;
    let mut late = Member::welcomed(node.narrow("late", 16 * 1024).await).await;
    let mut bob = Member::join(&node, "bob").await;
    let traffic = async {
        for round in 0..6 {
            ann.publish(300, 1000).await;
            // Everybody else has all of it, in order, at once.
            for reader in [&mut ann, &mut bob] {
                let expected = numbers(round * 300 + 1, (round + 1) * 300);
                assert_eq!(reader.read(300).await, expected);
            }
        }
    };
    traffic.await;
    // One that fell off the tail and reads again gets everything: from the log, then live.
    let read_again = async {
        assert_eq!(late.read(1800).await, numbers(1, 1800), "no gap, no repeat");
        ann.publish(5, 20).await;
        assert_eq!(late.read(5).await, numbers(1801, 1805));
    };
    let (_, code) = tokio::join!(read_again, stopped.peer.close_code());
    assert_eq!(code, u64::from(CloseCode::SlowReader.to_wire()));
    assert_eq!(bob.read(5).await, numbers(1801, 1805));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_any_more_is_reset_and_not_ended() {
    let (node, mut ann) = impatient().await;
    let mut lazy = Member::welcomed(node.narrow("lazy", 16 * 1024).await).await;
    let notices = lazy.peer.join("quiet", Start::Live).await;
    ann.publish(100, 1000).await;
    lazy.ask(ann.at(101), 100).await;
    let (mut page, _) = lazy.peer.page().await;
    lazy.peer.say(Bye {}).await;
    match lazy.peer.hear().await {
        NodeFrame::Closing(closing) => assert_eq!(closing.code, CloseCode::Done.to_wire()),
        other => panic!("{other:?}"),
    }
    let closing = Some(u64::from(StreamCode::Closing.to_wire()));
    assert_eq!(lazy.lane.reset_code().await, closing);
    assert_eq!(page.reset_code().await, closing);
    let (mut quiet, _) = notices;
    assert_eq!(quiet.reset_code().await, None, "that one has its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_read_close_the_connection_too() {
    let (node, mut ann) = impatient().await;
    let mut deaf = node.narrow("deaf", 1024).await;
    let asking = async {
        // Until the node reads no more of it.
        for request in 1.. {
            let asked = deaf.send.write_all(&ping(request)).await;
            if asked.is_err() {
                break;
            }
        }
        deaf.close_code().await
    };
    let code = soon("the end of the deaf one", asking).await;
    assert_eq!(code, u64::from(CloseCode::SlowReader.to_wire()));
    ann.publish(3, 20).await;
    assert_eq!(ann.read(3).await, numbers(1, 3));
}

fn ping(request: u32) -> Bytes {
    let request = RequestId(request);
    chat_protocol::ClientFrame::from(Ping { request }).to_bytes()
}

/// As many lanes of a connection as may catch up at a time.
const LANES_OF_ONE: usize = 2;

/// As many readers of a node as may read the log at a time.
const TURNS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_are_behind_take_turns_and_live_traffic_does_not_wait_for_them() {
    let (held, attachment) = Held::before(Memory::new().attach());
    let node = LocalNode::on(attachment, "node-1").await;
    let mut ann = Member::join(&node, "ann").await;
    // More than the tail holds.
    ann.publish(400, 1000).await;
    assert_eq!(ann.read(400).await, numbers(1, 400));
    held.hold(true);
    let mut behind = Vec::new();
    for index in 0..3 * TURNS {
        let (mut peer, _) = node.welcomed(&format!("late-{index}")).await;
        let (lane, joined) = peer.join("lobby", Start::Last(400)).await;
        assert_eq!((joined.next, joined.gap), (Seq(1), None));
        behind.push((peer, lane));
    }
    soon("readers at the log", held.reads(TURNS)).await;
    ann.publish(5, 20).await;
    assert_eq!(ann.read(5).await, numbers(401, 405), "live, and at once");
    held.hold(false);
    for (_peer, lane) in &mut behind {
        for expected in 1..=405 {
            assert_eq!(number(&lane.entry().await), expected);
        }
    }
    assert_eq!(held.most(), TURNS, "never more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_behind_in_many_rooms_catches_up_in_a_few_at_a_time() {
    let (held, attachment) = Held::before(Memory::new().attach());
    let node = LocalNode::on(attachment, "node-1").await;
    let mut ann = node.welcomed("ann").await.0;
    let rooms: Vec<String> = (0..5).map(|index| format!("room-{index}")).collect();
    let mut nonce = 0;
    let mut lanes = Vec::new();
    for room in &rooms {
        let (lane, joined) = ann.join(room, Start::Live).await;
        lanes.push(lane);
        for _ in 0..100 {
            nonce += 1;
            let publish = Publish {
                room: joined.room,
                nonce: Nonce(nonce),
                content_type: 0,
                body: text(nonce % 100, 4000),
            };
            ann.say(publish).await;
            assert!(matches!(ann.hear().await, NodeFrame::Ack(_)));
        }
    }
    held.hold(true);
    let (mut late, _) = node.welcomed("late").await;
    let mut behind = Vec::new();
    for room in &rooms {
        behind.push(late.join(room, Start::Last(100)).await.0);
    }
    soon("readers at the log", held.reads(LANES_OF_ONE)).await;
    held.hold(false);
    for lane in &mut behind {
        for expected in 1..=100 {
            assert_eq!(number(&lane.entry().await), expected % 100);
        }
    }
    assert_eq!(held.most(), LANES_OF_ONE, "never more");
}
