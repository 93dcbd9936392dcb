//! Examples of what a client sends.

use bytes::Bytes;
use chat_protocol::client::{
    AskStatus, Bye, Hello, Join, Leave, ListMembers, ListRooms, OpenDirect, Ping, Publish,
    ReadBefore, Rename, Resume, SetTopic, Start,
};
use chat_protocol::{ClientFrame, Nonce, RequestId, RoomRef, Token};

use super::{AnyFrame, Example, SECRET, SESSION, cursor};

pub(crate) fn examples() -> Vec<Example> {
    vec![
        example(
            "Hello",
            Hello {
                minor: 0,
                features: vec![],
                agent: "example/1".into(),
                name: Some("ann".into()),
                token: None,
                resume: None,
            },
            &[
                ("15", "length 21"),
                ("40 40", "kind 0x40 Hello"),
                ("00", "minor 0"),
                ("00", "features: 0"),
                ("09 65 78 61 6d 70 6c 65 2f 31", "agent \"example/1\""),
                ("01", "name: some"),
                ("03 61 6e 6e", "name \"ann\""),
                ("00", "token: none"),
                ("00", "resume: none"),
            ],
        ),
        example(
            "Hello, resuming with an account",
            Hello {
                minor: 0,
                features: vec![1, 300],
                agent: String::new(),
                name: None,
                token: Some(Token("t0k".into())),
                resume: Some(Resume {
                    session: SESSION,
                    secret: SECRET,
                }),
            },
            &[
                ("28", "length 40"),
                ("40 40", "kind 0x40 Hello"),
                ("00", "minor 0"),
                ("02", "features: 2"),
                ("01", "1"),
                ("ac 02", "300"),
                ("00", "agent \"\""),
                ("00", "name: none"),
                ("01", "token: some"),
                ("03 74 30 6b", "token \"t0k\""),
                ("01", "resume: some"),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                (
                    "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
                    "secret: 16 bytes, no length",
                ),
            ],
        ),
        example(
            "Join, live",
            Join {
                request: RequestId(1),
                room: "lobby".into(),
                start: Start::Live,
            },
            &[
                ("0a", "length 10"),
                ("40 42", "kind 0x42 Join"),
                ("01", "request 1"),
                ("05 6c 6f 62 62 79", "room \"lobby\""),
                ("00", "start: Live"),
            ],
        ),
        example(
            "Join, with history",
            Join {
                request: RequestId(1),
                room: "lobby".into(),
                start: Start::Last(1),
            },
            &[
                ("0b", "length 11"),
                ("40 42", "kind 0x42 Join"),
                ("01", "request 1"),
                ("05 6c 6f 62 62 79", "room \"lobby\""),
                ("01", "start: Last"),
                ("01", "1 entry"),
            ],
        ),
        example(
            "Join, after a cursor",
            Join {
                request: RequestId(2),
                room: "lobby".into(),
                start: Start::After(cursor(41)),
            },
            &[
                ("0e", "length 14"),
                ("40 42", "kind 0x42 Join"),
                ("02", "request 2"),
                ("05 6c 6f 62 62 79", "room \"lobby\""),
                ("02", "start: After"),
                ("ed bd 01", "epoch 0x5eed"),
                ("29", "seq 41"),
            ],
        ),
        example(
            "Leave",
            Leave {
                request: RequestId(3),
                room: RoomRef(2),
            },
            &[
                ("04", "length 4"),
                ("40 44", "kind 0x44 Leave"),
                ("03", "request 3"),
                ("02", "room 2"),
            ],
        ),
        example(
            "Publish, text",
            Publish {
                room: RoomRef(2),
                nonce: Nonce(1),
                content_type: 0,
                body: Bytes::from_static(b"hi"),
            },
            &[
                ("08", "length 8"),
                ("40 46", "kind 0x46 Publish"),
                ("02", "room 2"),
                ("01", "nonce 1"),
                ("00", "content_type 0: text"),
                ("02 68 69", "body \"hi\""),
            ],
        ),
        example(
            "Publish, action",
            Publish {
                room: RoomRef(2),
                nonce: Nonce(300),
                content_type: 1,
                body: Bytes::from_static(b"waves"),
            },
            &[
                ("0c", "length 12"),
                ("40 46", "kind 0x46 Publish"),
                ("02", "room 2"),
                ("ac 02", "nonce 300"),
                ("01", "content_type 1: action"),
                ("05 77 61 76 65 73", "body \"waves\""),
            ],
        ),
        example(
            "Rename",
            Rename {
                request: RequestId(4),
                name: "Łukasz".into(),
            },
            &[
                ("0b", "length 11"),
                ("40 48", "kind 0x48 Rename"),
                ("04", "request 4"),
                ("07 c5 81 75 6b 61 73 7a", "name \"Łukasz\""),
            ],
        ),
        example(
            "SetTopic",
            SetTopic {
                room: RoomRef(2),
                nonce: Nonce(2),
                topic: "tea".into(),
            },
            &[
                ("08", "length 8"),
                ("40 4a", "kind 0x4a SetTopic"),
                ("02", "room 2"),
                ("02", "nonce 2"),
                ("03 74 65 61", "topic \"tea\""),
            ],
        ),
        example(
            "ListMembers, first page",
            ListMembers {
                request: RequestId(5),
                room: "lobby".into(),
                after: None,
            },
            &[
                ("0a", "length 10"),
                ("40 4c", "kind 0x4c ListMembers"),
                ("05", "request 5"),
                ("05 6c 6f 62 62 79", "room \"lobby\""),
                ("00", "after: none"),
            ],
        ),
        example(
            "ListMembers, next page",
            ListMembers {
                request: RequestId(6),
                room: "lobby".into(),
                after: Some("bob".into()),
            },
            &[
                ("0e", "length 14"),
                ("40 4c", "kind 0x4c ListMembers"),
                ("06", "request 6"),
                ("05 6c 6f 62 62 79", "room \"lobby\""),
                ("01", "after: some"),
                ("03 62 6f 62", "after \"bob\""),
            ],
        ),
        example(
            "ListRooms",
            ListRooms {
                request: RequestId(7),
                after: None,
            },
            &[
                ("04", "length 4"),
                ("40 4e", "kind 0x4e ListRooms"),
                ("07", "request 7"),
                ("00", "after: none"),
            ],
        ),
        example(
            "OpenDirect",
            OpenDirect {
                request: RequestId(8),
                with: "bob".into(),
            },
            &[
                ("07", "length 7"),
                ("40 50", "kind 0x50 OpenDirect"),
                ("08", "request 8"),
                ("03 62 6f 62", "with \"bob\""),
            ],
        ),
        example(
            "Ping",
            Ping {
                request: RequestId(9),
            },
            &[
                ("03", "length 3"),
                ("40 52", "kind 0x52 Ping"),
                ("09", "request 9"),
            ],
        ),
        example(
            "Bye",
            Bye {},
            &[("02", "length 2"), ("40 54", "kind 0x54 Bye")],
        ),
        example(
            "AskStatus",
            AskStatus {
                request: RequestId(10),
            },
            &[
                ("03", "length 3"),
                ("40 56", "kind 0x56 AskStatus"),
                ("0a", "request 10"),
            ],
        ),
        example(
            "ReadBefore",
            ReadBefore {
                request: RequestId(10),
                room: RoomRef(2),
                before: cursor(41),
                len: 200,
            },
            &[
                ("0a", "length 10"),
                ("40 58", "kind 0x58 ReadBefore"),
                ("0a", "request 10"),
                ("02", "room 2"),
                ("ed bd 01", "epoch 0x5eed"),
                ("29", "before: seq 41"),
                ("c8 01", "len 200"),
            ],
        ),
    ]
}

fn example(
    title: &'static str,
    body: impl Into<ClientFrame>,
    fields: &'static [(&'static str, &'static str)],
) -> Example {
    Example {
        title,
        frame: AnyFrame::Client(body.into()),
        fields,
    }
}
