//! What a node does with peers that break the rules: each gets a typed answer, and nobody else
//! notices. A node of this process, real QUIC, frames by hand.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::redis::{Redis, RedisOptions};
use chat_protocol::client::{Bye, Join, Leave, Ping, Publish, Rename, Resume, Start};
use chat_protocol::limits::FRAME_BYTES_MAX;
use chat_protocol::{
    ALPN, CloseCode, ErrorCode, LaneFrame, NodeFrame, Nonce, RequestId, RoomRef, StreamCode, varint,
};
use support::peer::{LocalNode, Peer, hello};
use support::redis::RedisServer;
use support::soon;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A session that must not notice what others do.
struct Bystander {
    peer: Peer,
    pings: u32,
}

impl Bystander {
    async fn join(node: &LocalNode) -> Self {
        Self {
            peer: node.welcomed("bystander").await.0,
            pings: 0,
        }
    }

    async fn is_well(&mut self) {
        self.pings += 1;
        let request = RequestId(self.pings);
        self.peer.say(Ping { request }).await;
        assert_eq!(
            self.peer.hear().await,
            chat_protocol::node::Done { request }.into()
        );
    }
}

fn publish(room: RoomRef, nonce: u64, text: &str) -> Publish {
    Publish {
        room,
        nonce: Nonce(nonce),
        content_type: 0,
        body: Bytes::from(text.to_owned()),
    }
}

/// The code a refusal carries.
fn code(frame: &NodeFrame) -> ErrorCode {
    let code = match frame {
        NodeFrame::Failed(failed) => failed.code,
        NodeFrame::Rejected(rejected) => rejected.code,
        other => panic!("no refusal: {other:?}"),
    };
    ErrorCode::from_wire(code).expect("a known code")
}

#[tokio::test]
async fn bad_frames_close_their_connection_with_a_code_and_touch_nobody_else() {
    let node = LocalNode::start().await;
    let mut bystander = Bystander::join(&node).await;
    let mut too_large = Vec::new();
    varint::put(FRAME_BYTES_MAX as u64 + 1, &mut too_large);
    for (what, bytes, expected) in [
        (
            "a frame that claims too much",
            too_large,
            CloseCode::FrameTooLarge,
        ),
        (
            "a frame that claims 2^61 bytes",
            vec![0xe0, 0, 0, 0, 0, 0, 0, 0],
            CloseCode::FrameTooLarge,
        ),
        (
            "a length that is not the shortest",
            vec![0x40, 0x01],
            CloseCode::BadFrame,
        ),
        ("a frame without a kind", vec![0x00], CloseCode::BadFrame),
        (
            "an unknown even kind",
            vec![0x02, 0x40, 0x7e],
            CloseCode::BadFrame,
        ),
        (
            "a body that is not its kind's",
            vec![0x03, 0x40, 0x42, 0xff],
            CloseCode::BadFrame,
        ),
        (
            "a body with bytes behind it",
            vec![0x04, 0x40, 0x52, 0x01, 0x01],
            CloseCode::BadFrame,
        ),
        (
            "a node's frame",
            vec![0x03, 0x40, 0x82, 0x01],
            CloseCode::BadFrame,
        ),
    ] {
        let (mut peer, _) = node.welcomed("mallory").await;
        peer.raw(&bytes).await;
        loop {
            // Lanes and states may come first.
            if let NodeFrame::Closing(closing) = peer.hear().await {
                assert_eq!(closing.code, expected.to_wire(), "{what}");
                break;
            }
        }
        bystander.is_well().await;
    }
}

#[tokio::test]
async fn an_unknown_odd_kind_is_skipped() {
    let node = LocalNode::start().await;
    let (mut peer, _) = node.welcomed("ann").await;
    peer.raw(&[0x04, 0x40, 0x7f, 0xde, 0xad]).await;
    peer.say(Ping {
        request: RequestId(5),
    })
    .await;
    let done = chat_protocol::node::Done {
        request: RequestId(5),
    };
    assert_eq!(peer.hear().await, done.into());
}

#[tokio::test]
async fn a_hello_must_come_first_and_in_time() {
    let node = LocalNode::start().await;
    let mut bystander = Bystander::join(&node).await;
    let mut early = node.peer().await;
    early.raw(&[0x00]).await;
    early
        .say(Ping {
            request: RequestId(1),
        })
        .await;
    assert_eq!(
        early.close_code().await,
        u64::from(CloseCode::Unexpected.to_wire())
    );
    let mut wrong_stream = node.peer().await;
    wrong_stream.raw(&[0x2a]).await;
    assert_eq!(
        wrong_stream.close_code().await,
        u64::from(CloseCode::Unexpected.to_wire())
    );
    let (_endpoint, silent) = node.connect(ALPN).await.unwrap();
    let mut half = node.peer().await;
    half.raw(&[0x00, 0x20, 0x40]).await;
    for connection in [silent, half.connection.clone()] {
        match soon("the node gives up", connection.closed()).await {
            quinn::ConnectionError::ApplicationClosed(close) => assert_eq!(
                close.error_code.into_inner(),
                u64::from(CloseCode::HelloTimeout.to_wire())
            ),
            other => panic!("closed otherwise: {other}"),
        }
    }
    bystander.is_well().await;
}

#[tokio::test]
async fn a_second_hello_ends_the_connection() {
    let node = LocalNode::start().await;
    let (mut peer, _) = node.welcomed("ann").await;
    peer.say(hello("ann")).await;
    match peer.hear().await {
        NodeFrame::Closing(closing) => {
            assert_eq!(closing.code, CloseCode::Unexpected.to_wire());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_alpn_never_gets_to_talk() {
    let node = LocalNode::start().await;
    let error = node
        .connect(b"chat/9")
        .await
        .expect_err("no protocol in common");
    // TLS alert 120, no_application_protocol.
    assert!(
        error.to_string().contains("120") || error.to_string().contains("application protocol"),
        "{error}"
    );
    Bystander::join(&node).await.is_well().await;
}

#[tokio::test]
async fn bad_names_are_refused_at_the_hello_with_their_own_codes() {
    let node = LocalNode::start().await;
    for (name, expected) in [
        ("[SERVER]", ErrorCode::InvalidName),
        ("", ErrorCode::InvalidName),
        ("a\u{1b}[31mb", ErrorCode::InvalidName),
        ("server", ErrorCode::NameReserved),
        ("ＳＥＲＶＥＲ", ErrorCode::NameReserved),
        ("sуstem", ErrorCode::NameReserved),
    ] {
        let mut peer = node.peer().await;
        peer.raw(&[0x00]).await;
        peer.say(hello(name)).await;
        let failed = peer.hear().await;
        assert_eq!(code(&failed), expected, "{name:?}");
        match peer.hear().await {
            NodeFrame::Closing(closing) => assert_eq!(closing.code, CloseCode::Refused.to_wire()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn bad_requests_are_answered_and_the_session_goes_on() {
    let node = LocalNode::start().await;
    let (mut peer, _) = node.welcomed("ann").await;
    let (mut lane, joined) = peer.join("lobby", Start::Live).await;
    let request = RequestId(9);
    let join = |room: &str| Join {
        request,
        room: room.to_owned(),
        start: Start::Live,
    };
    for (frame, expected) in [
        (join("no room").into(), ErrorCode::InvalidRoom),
        (join("@system").into(), ErrorCode::AlreadyJoined),
        (join("@node/1").into(), ErrorCode::Forbidden),
        (join("@dm/1/2").into(), ErrorCode::Forbidden),
        (join("lobby").into(), ErrorCode::AlreadyJoined),
        (
            Leave {
                request,
                room: RoomRef(99),
            }
            .into(),
            ErrorCode::NotJoined,
        ),
        (publish(RoomRef(99), 1, "hi").into(), ErrorCode::NotJoined),
        (publish(RoomRef(1), 1, "hi").into(), ErrorCode::Forbidden),
        (
            publish(joined.room, 1, "\u{1b}]0;owned\u{7}").into(),
            ErrorCode::InvalidText,
        ),
        (
            publish(joined.room, 1, "\u{202e}evil").into(),
            ErrorCode::InvalidText,
        ),
        (
            publish(joined.room, 1, &"x".repeat(4097)).into(),
            ErrorCode::TextTooLong,
        ),
        (
            Rename {
                request,
                name: "admin".to_owned(),
            }
            .into(),
            ErrorCode::NameReserved,
        ),
        (
            chat_protocol::client::OpenDirect {
                request,
                with: "nobody".to_owned(),
            }
            .into(),
            ErrorCode::NoSuchUser,
        ),
    ] {
        let frame: chat_protocol::ClientFrame = frame;
        peer.say(frame.clone()).await;
        assert_eq!(code(&peer.hear().await), expected, "{frame:?}");
    }
    peer.say(publish(joined.room, 1, "all that touched nothing"))
        .await;
    assert!(matches!(peer.hear().await, NodeFrame::Ack(ack) if ack.nonce == Nonce(1)));
    assert!(matches!(lane.entry().await, LaneFrame::Message(_)));
}

#[tokio::test]
async fn a_repeated_nonce_gets_the_first_answer_and_no_second_entry() {
    let node = LocalNode::start().await;
    let (mut peer, _) = node.welcomed("ann").await;
    let (mut lane, joined) = peer.join("lobby", Start::Live).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        peer.say(publish(joined.room, 1, "once")).await;
        answers.push(peer.hear().await);
    }
    assert!(matches!(answers[0], NodeFrame::Ack(_)));
    assert_eq!(answers[0], answers[1]);
    peer.say(publish(joined.room, 2, "twice")).await;
    for expected in ["once", "twice"] {
        match lane.entry().await {
            LaneFrame::Message(message) => {
                assert_eq!(message.content.into_parts().1, expected.as_bytes());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn more_streams_are_refused_and_the_connection_lives() {
    let node = LocalNode::start().await;
    let (mut peer, _) = node.welcomed("ann").await;
    for _ in 0..10 {
        let (mut send, _recv) = soon("a stream", peer.connection.open_bi()).await.unwrap();
        // The node may refuse before this is written.
        let _ = send.write_all(&[0x2a, 1, 2, 3]).await;
        let code = soon("the stream is refused", send.stopped()).await.unwrap();
        assert_eq!(
            code.map(u64::from),
            Some(u64::from(StreamCode::UnsupportedStream.to_wire()))
        );
    }
    peer.say(Ping {
        request: RequestId(3),
    })
    .await;
    assert!(matches!(peer.hear().await, NodeFrame::Done(_)));
}

#[tokio::test]
async fn a_session_that_resumes_replaces_its_old_connection_and_keeps_its_name() {
    let node = LocalNode::start().await;
    let (mut old, first) = node.welcomed("ann").await;
    let mut new = node.peer().await;
    new.raw(&[0x00]).await;
    let resume = Resume {
        session: first.session,
        secret: first.secret,
    };
    new.say(chat_protocol::client::Hello {
        resume: Some(resume),
        ..hello("ann")
    })
    .await;
    match new.hear().await {
        NodeFrame::Welcome(welcome) => {
            assert!(welcome.resumed);
            assert_eq!(
                (welcome.session, &welcome.name),
                (first.session, &first.name)
            );
        }
        other => panic!("{other:?}"),
    }
    match old.hear().await {
        NodeFrame::Closing(closing) => assert_eq!(closing.code, CloseCode::Replaced.to_wire()),
        other => panic!("{other:?}"),
    }
    // A wrong secret is no session: it starts a new one, under another name.
    let mut thief = node.peer().await;
    thief.raw(&[0x00]).await;
    let resume = Resume {
        session: first.session,
        secret: chat_protocol::Secret([7; 16]),
    };
    thief
        .say(chat_protocol::client::Hello {
            resume: Some(resume),
            ..hello("ann")
        })
        .await;
    match thief.hear().await {
        NodeFrame::Welcome(welcome) => {
            assert!(!welcome.resumed && welcome.session != first.session);
            assert_eq!(welcome.name.as_str(), "ann-2");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn goodbye_is_answered_after_what_was_asked() {
    let node = LocalNode::start().await;
    let (mut peer, _) = node.welcomed("ann").await;
    let (_lane, joined) = peer.join("lobby", Start::Live).await;
    for nonce in 1..=20 {
        peer.say(publish(joined.room, nonce, "last words")).await;
    }
    peer.say(Bye {}).await;
    for nonce in 1..=20 {
        assert!(matches!(peer.hear().await, NodeFrame::Ack(ack) if ack.nonce == Nonce(nonce)));
    }
    match peer.hear().await {
        NodeFrame::Closing(closing) => assert_eq!(closing.code, CloseCode::Done.to_wire()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reader_that_stops_does_not_hold_up_the_room() {
    let node = LocalNode::start().await;
    let (mut lazy, _) = node.welcomed("lazy").await;
    let (_unread, _) = lazy.join("lobby", Start::Live).await;
    let (mut ann, _) = node.welcomed("ann").await;
    let (mut lane, joined) = ann.join("lobby", Start::Live).await;
    // Far more than every window of the lazy one.
    let text = "x".repeat(4000);
    for nonce in 1..=600 {
        ann.say(publish(joined.room, nonce, &text)).await;
        assert!(matches!(ann.hear().await, NodeFrame::Ack(_)));
        assert!(matches!(lane.entry().await, LaneFrame::Message(_)));
    }
    // And its other requests are still answered.
    lazy.say(Ping {
        request: RequestId(8),
    })
    .await;
    assert!(matches!(lazy.hear().await, NodeFrame::Done(_)));
}

#[tokio::test]
async fn what_a_lost_session_published_is_there_and_its_leave_is_told_after_the_grace() {
    let node = LocalNode::start().await;
    let (mut ann, _) = node.welcomed("ann").await;
    let (mut lane, _) = ann.join("lobby", Start::Live).await;
    let (mut bo, _) = node.welcomed("bo").await;
    let (_lane, joined) = bo.join("lobby", Start::Live).await;
    bo.say(publish(joined.room, 1, "and gone")).await;
    assert!(matches!(bo.hear().await, NodeFrame::Ack(_)));
    drop(bo);
    let left = async {
        let mut has_message = false;
        loop {
            match lane.next().await.expect("the lane goes on") {
                LaneFrame::Message(_) => has_message = true,
                LaneFrame::Presence(presence) => {
                    let left = chat_protocol::lane::PresenceChange::Left("bo".parse().unwrap());
                    if presence.changes.contains(&left) {
                        assert_eq!(presence.members, 1);
                        return has_message;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    };
    assert!(soon("bo's leave", left).await);
}

#[tokio::test]
async fn a_drained_node_says_so_and_forgets_every_connection() {
    let node = LocalNode::start().await;
    let (mut peer, _) = node.welcomed("ann").await;
    let LocalNode { node, home: _home } = node;
    let drain = tokio::time::timeout(Duration::from_secs(10), node.drain(Duration::from_secs(5)));
    let (drained, frame) = tokio::join!(drain, peer.hear());
    drained.expect("the node stops in time");
    match frame {
        NodeFrame::Closing(closing) => assert_eq!(closing.code, CloseCode::Draining.to_wire()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_while_redis_is_away_are_refused_in_order_as_retryable() {
    let redis = RedisServer::start().await;
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let options = RedisOptions::new(redis.url(), "node-1");
    let attachment = Redis::attach(options, &tracker, &stop).unwrap();
    let node = LocalNode::on(attachment, "node-1").await;
    let (mut ann, _) = node.welcomed("ann").await;
    let (mut lane, joined) = ann.join("lobby", Start::Live).await;
    redis.signal("-STOP");
    for nonce in 1..=3 {
        ann.say(publish(joined.room, nonce, &nonce.to_string()))
            .await;
    }
    for nonce in 1..=3 {
        let answer = ann.hear().await;
        assert_eq!(code(&answer), ErrorCode::Unavailable);
        assert!(
            matches!(answer, NodeFrame::Rejected(no) if no.nonce == Nonce(nonce)
                && no.retry_after_ms.is_some())
        );
    }
    // Other requests are still answered.
    ann.say(Ping {
        request: RequestId(1),
    })
    .await;
    assert!(matches!(ann.hear().await, NodeFrame::Done(_)));
    redis.signal("-CONT");
    ann.say(publish(joined.room, 2, "2")).await;
    assert_eq!(
        code(&ann.hear().await),
        ErrorCode::OutOfOrder,
        "the first comes first"
    );
    let repeated = async {
        let mut acked = Vec::new();
        while acked.len() < 3 {
            let nonce = acked.len() as u64 + 1;
            ann.say(publish(joined.room, nonce, &nonce.to_string()))
                .await;
            match ann.hear().await {
                NodeFrame::Ack(ack) => acked.push(ack.cursor.seq.0),
                answer => assert_eq!(code(&answer), ErrorCode::Unavailable),
            }
        }
        acked
    };
    assert_eq!(
        soon("the acks", repeated).await,
        [1, 2, 3],
        "each once, whatever Redis had done"
    );
    for expected in ["1", "2", "3"] {
        match lane.entry().await {
            LaneFrame::Message(message) => {
                assert_eq!(message.content.into_parts().1, expected.as_bytes());
            }
            other => panic!("{other:?}"),
        }
    }
    stop.cancel();
}
