//! The limits fit each other: whatever they allow is a frame that can be sent and read.

#![expect(clippy::unwrap_used, reason = "a test ends where an example is wrong")]

use std::fmt::Debug;

use chat_protocol::client::{Hello, Publish, Resume};
use chat_protocol::lane::{Author, Joined, Message, Presence, PresenceChange};
use chat_protocol::limits::{
    AGENT_BYTES_MAX, BODY_BYTES_MAX, DETAIL_BYTES_MAX, ENTRY_OVERHEAD_BYTES_MAX, FEATURES_LEN_MAX,
    FRAME_BYTES_MAX, GOAWAY_NODES_MAX, NODE_NAME_BYTES_MAX, PAGE_LEN_MAX, PRESENCE_NAMES_MAX,
    ROOM_NAME_BYTES_MAX, TOKEN_BYTES_MAX, TOPIC_BYTES_MAX, USER_NAME_BYTES_MAX,
};
use chat_protocol::node::{
    Closing, Failed, Goaway, MemberPage, Permissions, Rejected, RoomPage, RoomSummary,
    SessionLimits, Welcome,
};
use chat_protocol::{
    AccountId, ClientFrame, Content, Cursor, Epoch, Frame, FrameDecoder, FrameError, LaneFrame,
    NodeFrame, Nonce, RequestId, RoomName, RoomRef, Secret, Seq, SessionId, Token, Topic, UserName,
};

#[test]
fn the_largest_frame_of_a_client_fits() {
    let hello = Hello {
        minor: u16::MAX,
        features: vec![u32::MAX; FEATURES_LEN_MAX],
        agent: "x".repeat(AGENT_BYTES_MAX),
        name: Some("x".repeat(USER_NAME_BYTES_MAX)),
        token: Some(Token("x".repeat(TOKEN_BYTES_MAX))),
        resume: Some(Resume {
            session: SessionId(u64::MAX),
            secret: Secret([255; 16]),
        }),
    };
    assert_comes_back(&ClientFrame::from(hello));
    let publish = Publish {
        room: RoomRef(u32::MAX),
        nonce: Nonce(u64::MAX),
        content_type: u32::MAX,
        body: vec![0; BODY_BYTES_MAX].into(),
    };
    assert_comes_back(&ClientFrame::from(publish));
}

#[test]
fn the_largest_frame_of_a_node_fits() {
    let welcome = Welcome {
        minor: u16::MAX,
        features: vec![u32::MAX; FEATURES_LEN_MAX],
        node: "x".repeat(NODE_NAME_BYTES_MAX).parse().unwrap(),
        session: SessionId(u64::MAX),
        secret: Secret([255; 16]),
        name: longest_name(),
        account: Some(AccountId([255; 16])),
        resumed: true,
        permissions: Permissions(u32::MAX),
        limits: SessionLimits {
            text_bytes_max: u32::MAX,
            rooms_max: u32::MAX,
            in_flight_max: u32::MAX,
            idle_ms: u32::MAX,
        },
    };
    assert_comes_back(&NodeFrame::from(welcome));
    let request = RequestId(u32::MAX);
    let members = vec![longest_name(); PAGE_LEN_MAX];
    assert_comes_back(&NodeFrame::from(MemberPage {
        request,
        total: u32::MAX,
        members,
        more: true,
    }));
    let rooms = vec![
        RoomSummary {
            name: longest_room(),
            members: u32::MAX
        };
        PAGE_LEN_MAX
    ];
    assert_comes_back(&NodeFrame::from(RoomPage {
        request,
        rooms,
        more: true,
    }));
    let nodes = vec!["x".repeat(260); GOAWAY_NODES_MAX];
    assert_comes_back(&NodeFrame::from(Goaway {
        delay_ms: u32::MAX,
        nodes,
    }));
}

#[test]
fn the_largest_frame_of_a_lane_fits() {
    let author = Author {
        session: SessionId(u64::MAX),
        account: Some(AccountId([255; 16])),
        name: longest_name(),
    };
    let content = Content::Opaque {
        content_type: u32::MAX,
        body: vec![0; BODY_BYTES_MAX].into(),
    };
    let message = Message {
        author,
        nonce: Nonce(u64::MAX),
        at_ms: u64::MAX,
        content,
    };
    let bytes = assert_comes_back(&LaneFrame::from(message));
    assert!(
        bytes <= BODY_BYTES_MAX + ENTRY_OVERHEAD_BYTES_MAX,
        "{bytes} bytes"
    );

    let change = PresenceChange::Renamed {
        from: longest_name(),
        to: longest_name(),
    };
    let changes = vec![change; PRESENCE_NAMES_MAX];
    assert_comes_back(&LaneFrame::from(Presence {
        members: u32::MAX,
        changes,
        more: u32::MAX,
    }));
    assert_comes_back(&LaneFrame::from(Joined {
        request: RequestId(u32::MAX),
        room: RoomRef(u32::MAX),
        name: longest_room(),
        direct: Some(longest_name()),
        head: Cursor::new(Epoch(u64::MAX), Seq(u64::MAX)),
        next: Seq(u64::MAX),
        gap: None,
        members: u32::MAX,
        topic: "x".repeat(TOPIC_BYTES_MAX).parse::<Topic>().unwrap(),
    }));
}

#[test]
fn a_detail_is_cut_between_characters_when_it_is_too_long() {
    let long = format!("x{}", "é".repeat(DETAIL_BYTES_MAX));
    let short = format!("x{}", "é".repeat((DETAIL_BYTES_MAX - 1) / 2));
    let request = RequestId(1);
    let (room, nonce) = (RoomRef(1), Nonce(1));
    let failed = |detail: &str| Failed {
        request,
        code: 1,
        retry_after_ms: None,
        detail: detail.into(),
    };
    let rejected = |detail: &str| Rejected {
        room,
        nonce,
        code: 1,
        retry_after_ms: None,
        detail: detail.into(),
    };
    let closing = |detail: &str| Closing {
        code: 1,
        detail: detail.into(),
    };
    for (sent, received) in [
        (
            NodeFrame::from(failed(&long)),
            NodeFrame::from(failed(&short)),
        ),
        (rejected(&long).into(), rejected(&short).into()),
        (closing(&long).into(), closing(&short).into()),
    ] {
        assert_eq!(reread(&sent).1, Ok(Some(received)));
    }
}

#[test]
fn an_agent_or_token_is_refused_one_byte_beyond_its_limit() {
    let hello = |agent_bytes: usize, token_bytes: usize| {
        ClientFrame::from(Hello {
            minor: 0,
            features: vec![],
            agent: "x".repeat(agent_bytes),
            name: None,
            token: Some(Token("x".repeat(token_bytes))),
            resume: None,
        })
    };
    assert_comes_back(&hello(AGENT_BYTES_MAX, TOKEN_BYTES_MAX));
    for beyond in [
        hello(AGENT_BYTES_MAX + 1, TOKEN_BYTES_MAX),
        hello(AGENT_BYTES_MAX, TOKEN_BYTES_MAX + 1),
    ] {
        assert_eq!(reread(&beyond).1, Err(FrameError::Malformed(0x40)));
    }
}

fn longest_name() -> UserName {
    "é".repeat(USER_NAME_BYTES_MAX / 2).parse().unwrap()
}

fn longest_room() -> RoomName {
    "x".repeat(ROOM_NAME_BYTES_MAX).parse().unwrap()
}

/// Bytes of kind and body.
fn assert_comes_back<F: Frame + Clone + PartialEq + Debug>(frame: &F) -> usize {
    let (bytes, read) = reread(frame);
    assert_eq!(read, Ok(Some(frame.clone())));
    assert!(bytes <= FRAME_BYTES_MAX);
    bytes
}

fn reread<F: Frame>(frame: &F) -> (usize, Result<Option<F>, FrameError>) {
    let bytes = frame.to_bytes();
    let mut decoder = FrameDecoder::new();
    decoder.push(&bytes);
    let raw = decoder.next().unwrap().unwrap();
    (
        chat_protocol::varint::len(raw.kind) + raw.body.len(),
        F::decode(&raw),
    )
}
