//! Every event that the JSON surface can make fits `docs/events.schema.json`.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use chat_cli::json::JsonSurface;
use chat_cli::report::node::{NodeReport, Way};
use chat_cli::report::{Context, Place, Refusal, Report, Standing};
use chat_client::{Certificate, Durability, Fingerprint, MessageId, Status, Trust};
use chat_protocol::lane::{
    Author, EndReason, GapReason, Message, Notice, NoticeLevel, PresenceChange, TopicChanged,
};
use chat_protocol::node::RoomSummary;
use chat_protocol::{AccountId, Content, Cursor, Epoch, Nonce, RequestId, Seq, SessionId, Topic};

use crate::support::schema::EventSchema;

#[test]
fn every_event_fits_the_schema() {
    let schema = EventSchema::load();
    let mut met = BTreeSet::new();
    for report in reports() {
        for line in JsonSurface.render(&report, SystemTime::now()) {
            let event = schema.check(&line.text);
            met.insert(event["type"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(
        met,
        schema.kinds(),
        "reports of this test, and types of the schema"
    );
}

#[test]
fn a_wrong_event_does_not_fit() {
    let schema = EventSchema::load();
    let good = r#"{"v":1,"type":"pong","ts":"2026-11-23T19:05:02.000Z","ref":null,"rtt_ms":1.5}"#;
    assert_eq!(schema.check(good)["rtt_ms"], 1.5);
    for wrong in [
        good.replace("1.5", "\"1.5\""),
        good.replace("\"ref\":null,", ""),
        good.replace("pong", "ping"),
        good.replace(".000Z", "Z"),
        good.replace("\"v\":1", "\"v\":2"),
        good.replace("\"ref\"", "\"extra\":1,\"ref\""),
    ] {
        let checked = std::panic::catch_unwind(|| EventSchema::load().check(&wrong));
        assert!(checked.is_err(), "{wrong}");
    }
}

#[test]
fn an_epoch_keeps_all_its_bits() {
    let cursor = Cursor::new(Epoch(u64::MAX), Seq(Seq::MAX.0));
    let line = &JsonSurface.render(
        &Report::Damaged {
            place: place(None),
            cursor,
            older: false,
        },
        SystemTime::now(),
    )[0];
    let event = EventSchema::load().check(&line.text);
    assert_eq!(event["epoch"], "ffffffffffffffff");
    assert_eq!(event["seq"], 9_007_199_254_740_991_u64);
}

fn place(direct: Option<&str>) -> Place {
    let room = if direct.is_some() { "@dm/1/2" } else { "lobby" };
    Place {
        room: room.parse().unwrap(),
        direct: direct.map(|name| name.parse().unwrap()),
    }
}

fn message(content: Content, account: Option<AccountId>, at_ms: u64) -> Report {
    let author = Author {
        session: SessionId(0xabc),
        account,
        name: "łukasz".parse().unwrap(),
    };
    let message = Message {
        author,
        nonce: Nonce(7),
        at_ms,
        content,
    };
    let cursor = Cursor::new(Epoch(0xdead), Seq(5));
    Report::Message {
        place: place(Some("bo")),
        cursor,
        message,
        own: false,
        history: true,
        mention: true,
        context: Context::default(),
    }
}

fn change(content: Content, standing: Standing) -> Report {
    let Report::Message {
        place,
        cursor,
        message,
        ..
    } = message(content, None, 5)
    else {
        panic!("a message is reported as one")
    };
    Report::Refers {
        place,
        cursor,
        message,
        target: Cursor::new(Epoch(0xdead), Seq(4)),
        quoted: None,
        standing,
        own: false,
        history: false,
    }
}

fn node_report(reference: Option<String>, connected: bool, trust: Trust) -> Report {
    let way = Way {
        address: "127.0.0.1:8081".parse().unwrap(),
        age: Duration::from_secs(60),
        rtt: Duration::from_micros(1_834),
        rtt_min: Duration::from_micros(940),
        packets_sent: 3,
        packets_lost: 1,
        mtu_bytes: 1_452,
        congestion_window_bytes: 14_520,
    };
    let status = Status {
        request: RequestId(1),
        durability: Durability(7),
        may_evict: true,
        damaged: 0,
        panics: 0,
    };
    Report::Node(Box::new(NodeReport {
        reference,
        node: "node-1".parse().unwrap(),
        target: "localhost:8081".to_owned(),
        session: SessionId(7),
        name: "ann".parse().unwrap(),
        minor: 0,
        way: connected.then_some(way),
        certificate: connected.then(|| Certificate::of_der(b"abc")),
        trust,
        status: connected.then_some(status),
    }))
}

#[expect(clippy::too_many_lines, reason = "a table of every report")]
fn reports() -> Vec<Report> {
    let cursor = Cursor::new(Epoch(0xdead_beef), Seq(5));
    let reference = Some("a1".to_owned());
    let node = Some("node-1".parse().unwrap());
    let author = Author {
        session: SessionId(1),
        account: None,
        name: "ann".parse().unwrap(),
    };
    let ann: chat_protocol::UserName = "ann".parse().unwrap();
    let took = Duration::from_micros(1_834);
    let id = MessageId {
        session: SessionId(1),
        nonce: Nonce(9),
    };
    let refusal = Refusal::by_node(402, "slower\u{1b}[31m", Some(Duration::from_millis(250)));
    let notice = |level, text: &str| Report::Notice {
        cursor,
        notice: Notice {
            at_ms: 1_795_460_702_123,
            level,
            text: text.parse().unwrap(),
        },
        history: false,
    };
    let disconnected = |node, retry_in| Report::Disconnected {
        node,
        reason: "it fell silent".to_owned(),
        retry_in,
        attempt: 2,
    };
    let gap = |reason, from| Report::Gap {
        older: false,
        place: place(None),
        reason,
        from,
        next: cursor,
    };
    let left = |reason| Report::Left {
        place: place(None),
        reason,
    };
    let joined = |direct, topic: Topic| Report::Joined {
        place: place(direct),
        head: Cursor::new(Epoch(1), Seq::ZERO),
        past: 0,
        members: 12,
        topic,
        rejoined: false,
    };
    vec![
        Report::Connecting {
            targets: vec!["8081".to_owned()],
        },
        Report::Connected {
            node: "node-1".parse().unwrap(),
            target: "127.0.0.1:8081".to_owned(),
            session: SessionId(7),
            name: ann.clone(),
            first: true,
            resumed: false,
        },
        disconnected(node, Some(Duration::from_millis(800))),
        disconnected(None, None),
        Report::Draining {
            delay: Duration::from_secs(1),
        },
        Report::Closed {
            reason: "an operator ended the session".to_owned(),
        },
        joined(None, "deploys".parse().unwrap()),
        joined(Some("bo"), Topic::default()),
        left(EndReason::Left),
        left(EndReason::Removed),
        left(EndReason::Closing),
        message(
            Content::Text("hi\n\"there\"".parse().unwrap()),
            None,
            1_795_460_702_123,
        ),
        message(
            Content::Action("waves".parse().unwrap()),
            Some(AccountId([0xf1; 16])),
            0,
        ),
        message(
            Content::Opaque {
                content_type: 9,
                body: vec![1].into(),
            },
            None,
            u64::MAX,
        ),
        message(
            Content::Reply {
                to: cursor,
                text: "yes".parse().unwrap(),
            },
            None,
            5,
        ),
        change(
            Content::Edit {
                of: cursor,
                text: "two\nlines".parse().unwrap(),
            },
            Standing::Counts,
        ),
        change(Content::Delete { of: cursor }, Standing::Ignored),
        change(Content::Delete { of: cursor }, Standing::Unknown),
        change(
            Content::Reaction {
                to: cursor,
                reaction: "👍".parse().unwrap(),
                on: true,
            },
            Standing::Counts,
        ),
        Report::TopicChanged {
            place: place(None),
            cursor,
            change: TopicChanged {
                author,
                nonce: Nonce(8),
                at_ms: 5,
                topic: Topic::default(),
            },
            own: true,
            history: false,
        },
        notice(NoticeLevel::Info, "hello"),
        notice(NoticeLevel::Warning, "two\nlines"),
        Report::Backplane { available: true },
        Report::Backplane { available: false },
        Report::NameDiffers {
            wanted: "ann".to_owned(),
            name: "ann-2".parse().unwrap(),
        },
        Report::Overdue { len: 2 },
        Report::Damaged {
            place: place(None),
            cursor,
            older: false,
        },
        Report::Older {
            reference: reference.clone(),
            place: place(None),
            entries: vec![
                message(Content::Text("old".parse().unwrap()), None, 1),
                Report::Damaged {
                    place: place(None),
                    cursor,
                    older: true,
                },
                Report::Gap {
                    place: place(None),
                    reason: GapReason::Trimmed,
                    from: None,
                    next: cursor,
                    older: true,
                },
            ],
            before: Some(cursor),
            beginning: false,
            gap: None,
        },
        Report::Older {
            reference: None,
            place: place(None),
            entries: vec![],
            before: None,
            beginning: true,
            gap: Some(GapReason::Diverged),
        },
        gap(GapReason::Trimmed, Some(Cursor::new(Epoch(1), Seq(2)))),
        gap(GapReason::Diverged, None),
        gap(GapReason::Lagged, None),
        Report::Presence {
            place: place(None),
            members: 3,
            changes: vec![
                PresenceChange::Joined(ann.clone()),
                PresenceChange::Left(ann.clone()),
                PresenceChange::Renamed {
                    from: ann.clone(),
                    to: "bo".parse().unwrap(),
                },
            ],
            more: 4,
        },
        Report::Typing {
            place: place(Some("bo")),
            name: ann.clone(),
        },
        Report::Typing {
            place: place(None),
            name: ann.clone(),
        },
        Report::Renamed { name: ann.clone() },
        Report::Acked {
            reference: reference.clone(),
            place: place(None),
            cursor,
            id,
            took,
        },
        Report::Refused {
            reference: reference.clone(),
            refusal,
        },
        Report::Refused {
            reference: None,
            refusal: Refusal::bad_input(3, "not JSON"),
        },
        Report::Refused {
            reference: None,
            refusal: Refusal::by_node(999, "", None),
        },
        Report::Done {
            reference: reference.clone(),
            operation: "join",
            place: Some(place(None)),
        },
        Report::Done {
            reference: None,
            operation: "nick",
            place: None,
        },
        Report::Members {
            reference: reference.clone(),
            place: place(None),
            members: vec![ann],
        },
        Report::Rooms {
            reference: reference.clone(),
            rooms: vec![RoomSummary {
                name: "lobby".parse().unwrap(),
                members: 3,
            }],
        },
        Report::Pong {
            reference: reference.clone(),
            took,
        },
        Report::Sent {
            reference: reference.clone(),
            place: place(None),
            id,
        },
        Report::NotSent {
            reference: reference.clone(),
            place: place(None),
            id,
            refusal: Refusal::by_node(201, "", None),
        },
        Report::Reconnecting {
            reference: reference.clone(),
        },
        node_report(reference, true, Trust::development()),
        node_report(None, true, Trust::Ca("ca.pem".into())),
        node_report(None, true, Trust::Pin(Fingerprint([7; 32]))),
        node_report(None, true, Trust::System),
        node_report(None, false, Trust::System),
        Report::Bye {
            code: 143,
            reason: "signal",
        },
    ]
}
