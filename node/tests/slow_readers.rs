//! Readers that are slow, stop, or fall behind: bounded, closed in the end, and nothing to the
//! others. Real QUIC, frames by hand.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::memory::Memory;
use chat_protocol::client::{Bye, Ping, Publish, Start};
use chat_protocol::limits::HISTORY_PAGES_MAX;
use chat_protocol::{
    CloseCode, ErrorCode, Frame, LaneFrame, NodeFrame, Nonce, RequestId, Seq, StreamCode,
};
use support::held::Held;
use support::member::{Member, number, numbers, text};
use support::peer::LocalNode;
use support::{PATIENCE, soon};

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
async fn readers_that_resume_take_turns_too() {
    let (held, attachment) = Held::before(Memory::new().attach());
    let node = LocalNode::with(attachment, "node-1", |options| {
        options.append_timeout = PATIENCE;
    })
    .await;
    let mut ann = Member::join(&node, "ann").await;
    // More than the tail holds.
    ann.publish(400, 1000).await;
    assert_eq!(ann.read(400).await, numbers(1, 400));
    held.hold(true);
    let mut resuming = Vec::new();
    for index in 0..3 * TURNS {
        let (mut peer, _) = node.welcomed(&format!("back-{index}")).await;
        peer.ask_to_join("lobby", Start::After(ann.at(7))).await;
        resuming.push(peer);
    }
    soon("readers at the log", held.reads(TURNS)).await;
    // The node has read what they asked before it answers this.
    for peer in &mut resuming {
        peer.say(Ping {
            request: RequestId(1),
        })
        .await;
        assert!(matches!(peer.hear().await, NodeFrame::Done(_)));
    }
    assert_eq!(held.total(), TURNS, "the others wait");
    ann.publish(5, 20).await;
    assert_eq!(ann.read(5).await, numbers(401, 405), "live, and at once");
    held.hold(false);
    for peer in &resuming {
        let (mut lane, joined) = peer.joined().await;
        assert_eq!((joined.next, joined.gap), (Seq(8), None));
        for expected in 8..=405 {
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
