//! Reading a log from any place, on any node and backplane: resuming and scrolling back. Real QUIC,
//! frames by hand.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use chat_node::backplane::memory::Memory;
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_node::backplane::{Attachment, Batch, Draft, LogBounds};
use chat_protocol::client::{ReadBefore, Start};
use chat_protocol::lane::GapReason;
use chat_protocol::limits::HISTORY_PAGE_LEN_MAX;
use chat_protocol::{
    Cursor, Epoch, ErrorCode, Frame, LaneFrame, NodeFrame, Nonce, RequestId, RoomRef, Seq,
    SessionId,
};
use support::member::{Member, number, numbers};
use support::peer::LocalNode;
use support::redis::RedisServer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Two nodes that share rooms.
struct Two {
    one: LocalNode,
    other: LocalNode,
    stop: CancellationToken,
    redis: Option<RedisServer>,
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
            redis,
        }
    }
}

impl Drop for Two {
    fn drop(&mut self) {
        self.stop.cancel();
    }
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
async fn a_log_that_began_anew_says_so_and_is_read_on_from_its_end() {
    let two = Two::on_redis(LogBounds::default()).await;
    let mut ann = Member::join(&two.one, "ann").await;
    ann.publish(20, 20).await;
    let old = ann.epoch;
    let redis = two.redis.as_ref().unwrap();
    redis.ask::<()>(&["FLUSHALL"]).await;
    ann.epoch = ann.publish_anew().await;
    assert_ne!(ann.epoch, old);
    ann.publish(4, 20).await;
    let bob = Member::join(&two.other, "bob").await;
    for mut reader in [ann, bob] {
        // Of the old log nothing is left, wherever in it one stands.
        for seq in [2, 10, 21, 22] {
            let (page, seen) = reader.page(Cursor::new(old, Seq(seq)), 5).await;
            assert_eq!(
                (page.gap, seen),
                (Some(GapReason::Diverged), vec![]),
                "{seq}"
            );
            assert_eq!(
                (page.epoch, page.first),
                (reader.epoch, Seq(21)),
                "{page:?}"
            );
            let (page, seen) = reader.page(Cursor::new(page.epoch, page.next), 50).await;
            assert_eq!((page.gap, seen), (None, numbers(21, 25)));
        }
    }
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
