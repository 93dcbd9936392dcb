//! Examples of what a node sends on a lane.

use bytes::Bytes;
use chat_protocol::lane::{
    At, Author, Damaged, End, EndReason, Gap, GapReason, HistoryPage, Joined, Message, Notice,
    NoticeLevel, Presence, PresenceChange, TopicChanged,
};
use chat_protocol::{
    Content, Epoch, LaneFrame, Nonce, RequestId, RoomName, RoomRef, Seq, SessionId, Topic,
};

use super::{ACCOUNT, AT_MS, AnyFrame, EPOCH, Example, SESSION, cursor, parsed};

pub(crate) fn examples() -> Vec<Example> {
    vec![
        example(
            "Joined",
            Joined {
                request: RequestId(1),
                room: RoomRef(2),
                name: parsed("lobby"),
                direct: None,
                head: cursor(41),
                next: Seq(41),
                gap: None,
                members: 2,
                topic: parsed("tea"),
            },
            &[
                ("15", "length 21"),
                ("20", "kind 0x20 Joined"),
                ("01", "request 1"),
                ("02", "room 2"),
                ("05 6c 6f 62 62 79", "name \"lobby\""),
                ("00", "direct: none"),
                ("ed bd 01", "epoch 0x5eed"),
                ("29", "head: seq 41"),
                ("29", "next 41"),
                ("00", "gap: none"),
                ("02", "members 2"),
                ("03 74 65 61", "topic \"tea\""),
            ],
        ),
        example(
            "Joined, the notices",
            Joined {
                request: RequestId::NONE,
                room: RoomRef(1),
                name: RoomName::system(),
                direct: None,
                head: cursor(7),
                next: Seq(8),
                gap: None,
                members: 0,
                topic: Topic::default(),
            },
            &[
                ("14", "length 20"),
                ("20", "kind 0x20 Joined"),
                ("00", "request 0"),
                ("01", "room 1"),
                ("07 40 73 79 73 74 65 6d", "name \"@system\""),
                ("00", "direct: none"),
                ("ed bd 01", "epoch 0x5eed"),
                ("07", "head: seq 7"),
                ("08", "next 8"),
                ("00", "gap: none"),
                ("00", "members 0"),
                ("00", "topic \"\""),
            ],
        ),
        example(
            "Joined, a room of two",
            Joined {
                request: RequestId(8),
                room: RoomRef(3),
                name: parsed("@dm/000000000000002a/0123456789abcdef"),
                direct: Some(parsed("bob")),
                head: cursor(9),
                next: Seq(4),
                gap: Some(GapReason::Trimmed),
                members: 2,
                topic: Topic::default(),
            },
            &[
                ("37", "length 55"),
                ("20", "kind 0x20 Joined"),
                ("08", "request 8"),
                ("03", "room 3"),
                (
                    "25 40 64 6d 2f 30 30 30 30 30 30 30 30 30 30 30 30 30 30 32 61 2f 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66",
                    "name \"@dm/000000000000002a/0123456789abcdef\"",
                ),
                ("01", "direct: some"),
                ("03 62 6f 62", "direct \"bob\""),
                ("ed bd 01", "epoch 0x5eed"),
                ("09", "head: seq 9"),
                ("04", "next 4"),
                ("01", "gap: some"),
                ("00", "gap: Trimmed"),
                ("02", "members 2"),
                ("00", "topic \"\""),
            ],
        ),
        example(
            "Message, text",
            Message {
                author: ann(),
                nonce: Nonce(1),
                at_ms: AT_MS,
                content: Content::Text(parsed("hi")),
            },
            &[
                ("1a", "length 26"),
                ("02", "kind 0x02 Message"),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                ("00", "account: none"),
                ("03 61 6e 6e", "name \"ann\""),
                ("01", "nonce 1"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("00", "content_type 0: text"),
                ("02 68 69", "body \"hi\""),
            ],
        ),
        example(
            "Message, action of an account",
            Message {
                author: bob(),
                nonce: Nonce(300),
                at_ms: AT_MS,
                content: Content::Action(parsed("waves")),
            },
            &[
                ("26", "length 38"),
                ("02", "kind 0x02 Message"),
                ("2a", "session 0x000000000000002a"),
                ("01", "account: some"),
                (
                    "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af",
                    "16 bytes, no length",
                ),
                ("03 62 6f 62", "name \"bob\""),
                ("ac 02", "nonce 300"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("01", "content_type 1: action"),
                ("05 77 61 76 65 73", "body \"waves\""),
            ],
        ),
        example(
            "Message, a reply",
            Message {
                author: ann(),
                nonce: Nonce(3),
                at_ms: AT_MS,
                content: Content::Reply {
                    to: cursor(41),
                    text: parsed("hi"),
                },
            },
            &[
                ("1e", "length 30"),
                ("02", "kind 0x02 Message"),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                ("00", "account: none"),
                ("03 61 6e 6e", "name \"ann\""),
                ("03", "nonce 3"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("02", "content_type 2: reply"),
                ("06", "body: 6 bytes"),
                ("ed bd 01", "to: epoch 0x5eed"),
                ("29", "to: seq 41"),
                ("68 69", "text \"hi\""),
            ],
        ),
        example(
            "Message, an edit",
            Message {
                author: ann(),
                nonce: Nonce(3),
                at_ms: AT_MS,
                content: Content::Edit {
                    of: cursor(41),
                    text: parsed("hi"),
                },
            },
            &[
                ("1e", "length 30"),
                ("02", "kind 0x02 Message"),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                ("00", "account: none"),
                ("03 61 6e 6e", "name \"ann\""),
                ("03", "nonce 3"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("03", "content_type 3: edit"),
                ("06", "body: 6 bytes"),
                ("ed bd 01", "of: epoch 0x5eed"),
                ("29", "of: seq 41"),
                ("68 69", "text \"hi\""),
            ],
        ),
        example(
            "Message, a deletion",
            Message {
                author: ann(),
                nonce: Nonce(3),
                at_ms: AT_MS,
                content: Content::Delete { of: cursor(41) },
            },
            &[
                ("1c", "length 28"),
                ("02", "kind 0x02 Message"),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                ("00", "account: none"),
                ("03 61 6e 6e", "name \"ann\""),
                ("03", "nonce 3"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("04", "content_type 4: deletion"),
                ("04", "body: 4 bytes"),
                ("ed bd 01", "of: epoch 0x5eed"),
                ("29", "of: seq 41"),
            ],
        ),
        example(
            "Message, a reaction",
            Message {
                author: ann(),
                nonce: Nonce(3),
                at_ms: AT_MS,
                content: Content::Reaction {
                    to: cursor(41),
                    reaction: parsed("👍"),
                    on: true,
                },
            },
            &[
                ("21", "length 33"),
                ("02", "kind 0x02 Message"),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                ("00", "account: none"),
                ("03 61 6e 6e", "name \"ann\""),
                ("03", "nonce 3"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("05", "content_type 5: reaction"),
                ("09", "body: 9 bytes"),
                ("ed bd 01", "to: epoch 0x5eed"),
                ("29", "to: seq 41"),
                ("01", "on: true"),
                ("f0 9f 91 8d", "reaction \"👍\""),
            ],
        ),
        example(
            "Message, of a later content type",
            Message {
                author: ann(),
                nonce: Nonce(2),
                at_ms: AT_MS,
                content: Content::Opaque {
                    content_type: 1000,
                    body: Bytes::from_static(&[0x00, 0xff]),
                },
            },
            &[
                ("1b", "length 27"),
                ("02", "kind 0x02 Message"),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                ("00", "account: none"),
                ("03 61 6e 6e", "name \"ann\""),
                ("02", "nonce 2"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("e8 07", "content_type 1000"),
                ("02 00 ff", "body: 2 bytes"),
            ],
        ),
        example(
            "TopicChanged",
            TopicChanged {
                author: ann(),
                nonce: Nonce(2),
                at_ms: AT_MS,
                topic: parsed("tea"),
            },
            &[
                ("1a", "length 26"),
                ("04", "kind 0x04 TopicChanged"),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                ("00", "account: none"),
                ("03 61 6e 6e", "name \"ann\""),
                ("02", "nonce 2"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("03 74 65 61", "topic \"tea\""),
            ],
        ),
        example(
            "Notice, info",
            Notice {
                at_ms: AT_MS,
                level: NoticeLevel::Info,
                text: parsed("welcome"),
            },
            &[
                ("10", "length 16"),
                ("06", "kind 0x06 Notice"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("00", "level: Info"),
                ("07 77 65 6c 63 6f 6d 65", "text \"welcome\""),
            ],
        ),
        example(
            "Notice, warning",
            Notice {
                at_ms: AT_MS,
                level: NoticeLevel::Warning,
                text: parsed("restart soon"),
            },
            &[
                ("15", "length 21"),
                ("06", "kind 0x06 Notice"),
                ("80 d0 95 ff bc 31", "at_ms 1700000000000"),
                ("01", "level: Warning"),
                (
                    "0c 72 65 73 74 61 72 74 20 73 6f 6f 6e",
                    "text \"restart soon\"",
                ),
            ],
        ),
        example(
            "Damaged",
            Damaged {},
            &[("01", "length 1"), ("08", "kind 0x08 Damaged")],
        ),
        example(
            "At",
            At {
                epoch: EPOCH,
                next: Seq(43),
            },
            &[
                ("05", "length 5"),
                ("22", "kind 0x22 At"),
                ("ed bd 01", "epoch 0x5eed"),
                ("2b", "next 43"),
            ],
        ),
        example(
            "Gap, trimmed",
            Gap {
                reason: GapReason::Trimmed,
                epoch: EPOCH,
                next: Seq(120),
            },
            &[
                ("06", "length 6"),
                ("24", "kind 0x24 Gap"),
                ("00", "reason: Trimmed"),
                ("ed bd 01", "epoch 0x5eed"),
                ("78", "next 120"),
            ],
        ),
        example(
            "Gap, diverged",
            Gap {
                reason: GapReason::Diverged,
                epoch: Epoch(0x5eee),
                next: Seq(31),
            },
            &[
                ("06", "length 6"),
                ("24", "kind 0x24 Gap"),
                ("01", "reason: Diverged"),
                ("ee bd 01", "epoch 0x5eee"),
                ("1f", "next 31"),
            ],
        ),
        example(
            "Gap, lagged",
            Gap {
                reason: GapReason::Lagged,
                epoch: EPOCH,
                next: Seq(500),
            },
            &[
                ("07", "length 7"),
                ("24", "kind 0x24 Gap"),
                ("02", "reason: Lagged"),
                ("ed bd 01", "epoch 0x5eed"),
                ("f4 03", "next 500"),
            ],
        ),
        example(
            "End, left",
            End {
                reason: EndReason::Left,
            },
            &[
                ("02", "length 2"),
                ("26", "kind 0x26 End"),
                ("00", "reason: Left"),
            ],
        ),
        example(
            "End, removed",
            End {
                reason: EndReason::Removed,
            },
            &[
                ("02", "length 2"),
                ("26", "kind 0x26 End"),
                ("01", "reason: Removed"),
            ],
        ),
        example(
            "End, closing",
            End {
                reason: EndReason::Closing,
            },
            &[
                ("02", "length 2"),
                ("26", "kind 0x26 End"),
                ("02", "reason: Closing"),
            ],
        ),
        example(
            "Presence",
            Presence {
                members: 2,
                changes: vec![
                    PresenceChange::Joined(parsed("ann")),
                    PresenceChange::Left(parsed("cy")),
                    PresenceChange::Renamed {
                        from: parsed("bo"),
                        to: parsed("bob"),
                    },
                ],
                more: 0,
            },
            &[
                ("15", "length 21"),
                ("27", "kind 0x27 Presence"),
                ("02", "members 2"),
                ("03", "changes: 3"),
                ("00", "Joined"),
                ("03 61 6e 6e", "name \"ann\""),
                ("01", "Left"),
                ("02 63 79", "name \"cy\""),
                ("02", "Renamed"),
                ("02 62 6f", "from \"bo\""),
                ("03 62 6f 62", "to \"bob\""),
                ("00", "more 0"),
            ],
        ),
        example(
            "HistoryPage",
            HistoryPage {
                request: RequestId(10),
                epoch: EPOCH,
                first: Seq(1),
                next: Seq(40),
                end: Seq(41),
                gap: None,
            },
            &[
                ("09", "length 9"),
                ("28", "kind 0x28 HistoryPage"),
                ("0a", "request 10"),
                ("ed bd 01", "epoch 0x5eed"),
                ("01", "first 1"),
                ("28", "next 40"),
                ("29", "end 41"),
                ("00", "gap: none"),
            ],
        ),
        example(
            "HistoryPage, all of it is trimmed",
            HistoryPage {
                request: RequestId(11),
                epoch: EPOCH,
                first: Seq(120),
                next: Seq(120),
                end: Seq(120),
                gap: Some(GapReason::Trimmed),
            },
            &[
                ("0a", "length 10"),
                ("28", "kind 0x28 HistoryPage"),
                ("0b", "request 11"),
                ("ed bd 01", "epoch 0x5eed"),
                ("78", "first 120"),
                ("78", "next 120"),
                ("78", "end 120"),
                ("01", "gap: some"),
                ("00", "gap: Trimmed"),
            ],
        ),
    ]
}

fn ann() -> Author {
    Author {
        session: SESSION,
        account: None,
        name: parsed("ann"),
    }
}

fn bob() -> Author {
    Author {
        session: SessionId(42),
        account: Some(ACCOUNT),
        name: parsed("bob"),
    }
}

fn example(
    title: &'static str,
    body: impl Into<LaneFrame>,
    fields: &'static [(&'static str, &'static str)],
) -> Example {
    Example {
        title,
        frame: AnyFrame::Lane(body.into()),
        fields,
    }
}
