//! Examples of what a node sends on the control stream.

use chat_protocol::node::{
    Ack, BackplaneState, Closing, Done, Durability, Failed, Goaway, MemberPage, Permissions,
    Rejected, Renamed, RoomPage, RoomSummary, SessionLimits, Status, Welcome,
};
use chat_protocol::{CloseCode, ErrorCode, NodeFrame, Nonce, RequestId, RoomRef};

use super::{ACCOUNT, AnyFrame, Example, SECRET, SESSION, cursor, parsed};

pub(crate) fn examples() -> Vec<Example> {
    vec![
        example(
            "Welcome",
            Welcome {
                minor: 0,
                features: vec![],
                node: parsed("node-1"),
                session: SESSION,
                secret: SECRET,
                name: parsed("ann"),
                account: None,
                resumed: false,
                permissions: Permissions::USER,
                limits: SessionLimits {
                    text_bytes_max: 4096,
                    rooms_max: 128,
                    in_flight_max: 256,
                    idle_ms: 15_000,
                },
            },
            &[
                ("33", "length 51"),
                ("40 80", "kind 0x80 Welcome"),
                ("00", "minor 0"),
                ("00", "features: 0"),
                ("06 6e 6f 64 65 2d 31", "node \"node-1\""),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                (
                    "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
                    "secret: 16 bytes, no length",
                ),
                ("03 61 6e 6e", "name \"ann\""),
                ("00", "account: none"),
                ("00", "resumed: false"),
                ("3f", "permissions 0x3f: all"),
                ("80 20", "text_bytes_max 4096"),
                ("80 01", "rooms_max 128"),
                ("80 02", "in_flight_max 256"),
                ("98 75", "idle_ms 15000"),
            ],
        ),
        example(
            "Welcome, resumed with an account",
            Welcome {
                minor: 0,
                features: vec![1],
                node: parsed("node-2"),
                session: SESSION,
                secret: SECRET,
                name: parsed("ann"),
                account: Some(ACCOUNT),
                resumed: true,
                permissions: Permissions(0b11),
                limits: SessionLimits {
                    text_bytes_max: 4096,
                    rooms_max: 128,
                    in_flight_max: 256,
                    idle_ms: 15_000,
                },
            },
            &[
                ("40 44", "length 68"),
                ("40 80", "kind 0x80 Welcome"),
                ("00", "minor 0"),
                ("01", "features: 1"),
                ("01", "1"),
                ("06 6e 6f 64 65 2d 32", "node \"node-2\""),
                ("ef 9b af cd f8 ac d1 91 01", "session 0x0123456789abcdef"),
                (
                    "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
                    "secret: 16 bytes, no length",
                ),
                ("03 61 6e 6e", "name \"ann\""),
                ("01", "account: some"),
                (
                    "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af",
                    "16 bytes, no length",
                ),
                ("01", "resumed: true"),
                ("03", "permissions 0x03: JOIN, PUBLISH"),
                ("80 20", "text_bytes_max 4096"),
                ("80 01", "rooms_max 128"),
                ("80 02", "in_flight_max 256"),
                ("98 75", "idle_ms 15000"),
            ],
        ),
        example(
            "Done",
            Done {
                request: RequestId(3),
            },
            &[
                ("03", "length 3"),
                ("40 82", "kind 0x82 Done"),
                ("03", "request 3"),
            ],
        ),
        example(
            "Failed",
            Failed {
                request: RequestId(4),
                code: ErrorCode::NameTaken.to_wire(),
                retry_after_ms: None,
                detail: "bob is here".into(),
            },
            &[
                ("11", "length 17"),
                ("40 84", "kind 0x84 Failed"),
                ("04", "request 4"),
                ("66", "code 102 name_taken"),
                ("00", "retry_after_ms: none"),
                (
                    "0b 62 6f 62 20 69 73 20 68 65 72 65",
                    "detail \"bob is here\"",
                ),
            ],
        ),
        example(
            "Ack",
            Ack {
                room: RoomRef(2),
                nonce: Nonce(1),
                cursor: cursor(42),
            },
            &[
                ("08", "length 8"),
                ("40 86", "kind 0x86 Ack"),
                ("02", "room 2"),
                ("01", "nonce 1"),
                ("ed bd 01", "epoch 0x5eed"),
                ("2a", "seq 42"),
            ],
        ),
        example(
            "Rejected",
            Rejected {
                room: RoomRef(2),
                nonce: Nonce(2),
                code: ErrorCode::Unavailable.to_wire(),
                retry_after_ms: Some(1000),
                detail: String::new(),
            },
            &[
                ("0a", "length 10"),
                ("40 88", "kind 0x88 Rejected"),
                ("02", "room 2"),
                ("02", "nonce 2"),
                ("91 03", "code 401 unavailable"),
                ("01", "retry_after_ms: some"),
                ("e8 07", "1000"),
                ("00", "detail \"\""),
            ],
        ),
        example(
            "MemberPage",
            MemberPage {
                request: RequestId(5),
                total: 3,
                members: vec![parsed("ann"), parsed("bob")],
                more: true,
            },
            &[
                ("0e", "length 14"),
                ("40 8a", "kind 0x8a MemberPage"),
                ("05", "request 5"),
                ("03", "total 3"),
                ("02", "members: 2"),
                ("03 61 6e 6e", "name \"ann\""),
                ("03 62 6f 62", "name \"bob\""),
                ("01", "more: true"),
            ],
        ),
        example(
            "RoomPage",
            RoomPage {
                request: RequestId(7),
                rooms: vec![RoomSummary {
                    name: parsed("lobby"),
                    members: 2,
                }],
                more: false,
            },
            &[
                ("0c", "length 12"),
                ("40 8c", "kind 0x8c RoomPage"),
                ("07", "request 7"),
                ("01", "rooms: 1"),
                ("05 6c 6f 62 62 79", "name \"lobby\""),
                ("02", "members 2"),
                ("00", "more: false"),
            ],
        ),
        example(
            "Renamed",
            Renamed {
                request: RequestId(4),
                name: parsed("Łukasz"),
            },
            &[
                ("0b", "length 11"),
                ("40 8e", "kind 0x8e Renamed"),
                ("04", "request 4"),
                ("07 c5 81 75 6b 61 73 7a", "name \"Łukasz\""),
            ],
        ),
        example(
            "Goaway",
            Goaway {
                delay_ms: 750,
                nodes: vec!["127.0.0.1:8082".into()],
            },
            &[
                ("14", "length 20"),
                ("40 90", "kind 0x90 Goaway"),
                ("ee 05", "delay_ms 750"),
                ("01", "nodes: 1"),
                (
                    "0e 31 32 37 2e 30 2e 30 2e 31 3a 38 30 38 32",
                    "node \"127.0.0.1:8082\"",
                ),
            ],
        ),
        example(
            "BackplaneState, there",
            BackplaneState { available: true },
            &[
                ("03", "length 3"),
                ("40 91", "kind 0x91 BackplaneState"),
                ("01", "available: true"),
            ],
        ),
        example(
            "BackplaneState, away",
            BackplaneState { available: false },
            &[
                ("03", "length 3"),
                ("40 91", "kind 0x91 BackplaneState"),
                ("00", "available: false"),
            ],
        ),
        example(
            "Closing, done",
            Closing {
                code: CloseCode::Done.to_wire(),
                detail: "done".into(),
            },
            &[
                ("08", "length 8"),
                ("40 92", "kind 0x92 Closing"),
                ("00", "code 0 done"),
                ("04 64 6f 6e 65", "detail \"done\""),
            ],
        ),
        example(
            "Closing, the hello was refused",
            Closing {
                code: CloseCode::Refused.to_wire(),
                detail: String::new(),
            },
            &[
                ("05", "length 5"),
                ("40 92", "kind 0x92 Closing"),
                ("84 04", "code 0x204 refused"),
                ("00", "detail \"\""),
            ],
        ),
        example(
            "Status",
            Status {
                request: RequestId(10),
                durability: Durability::SECOND,
                may_evict: false,
                damaged: 300,
                panics: 0,
            },
            &[
                ("08", "length 8"),
                ("40 96", "kind 0x96 Status"),
                ("0a", "request 10"),
                ("05", "durability 5: about a second"),
                ("00", "may_evict: false"),
                ("ac 02", "damaged 300"),
                ("00", "panics 0"),
            ],
        ),
    ]
}

fn example(
    title: &'static str,
    body: impl Into<NodeFrame>,
    fields: &'static [(&'static str, &'static str)],
) -> Example {
    Example {
        title,
        frame: AnyFrame::Node(body.into()),
        fields,
    }
}
