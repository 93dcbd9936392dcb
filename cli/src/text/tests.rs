use chat_protocol::lane::{Author, EndReason, GapReason, TopicChanged};
use chat_protocol::node::RoomSummary;
use chat_protocol::{Cursor, Epoch, Nonce, RoomName, Seq, SessionId, Topic};
use proptest::prelude::*;
use std::time::Duration;

use super::*;
use crate::output::Stream;
use crate::report::{Context, Now, Quoted, Standing};

const AT_MS: u64 = 1_795_460_702_123; // 2026-11-23T19:05:02Z

fn plain() -> TextSurface {
    TextSurface::new(Palette::Bare, Clock::Utc)
}

fn terminal(columns: usize) -> TextSurface {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let mut surface = TextSurface::new(Palette::Colour, Clock::Local(zone));
    surface.set_columns(Some(columns));
    surface
}

fn place(room: &str) -> Place {
    Place {
        room: room.parse().unwrap(),
        direct: None,
    }
}

fn cursor(seq: u64) -> Cursor {
    Cursor::new(Epoch(7), Seq(seq))
}

fn author(name: &str) -> Author {
    Author {
        session: SessionId(1),
        account: None,
        name: name.parse().unwrap(),
    }
}

fn message_of(content: Content, at_ms: u64, history: bool) -> Report {
    Report::Message {
        place: place("lobby"),
        cursor: cursor(1),
        message: Message {
            author: author("ann"),
            nonce: Nonce(1),
            at_ms,
            content,
        },
        own: false,
        history,
        mention: false,
        context: Context::default(),
    }
}

/// A change of the message with seq 12, which ann wrote, by ann.
fn change_of(content: Content, text: Option<&str>, standing: Standing) -> Report {
    let Report::Message {
        place,
        message,
        history,
        ..
    } = message_of(content, AT_MS, false)
    else {
        panic!("a message is reported as one")
    };
    Report::Refers {
        place,
        cursor: cursor(14),
        message,
        target: cursor(12),
        quoted: text.map(|text| Quoted::new("bo".parse().unwrap(), text)),
        standing,
        own: false,
        history,
    }
}

fn reply_of(text: &str, quoted: Option<&str>, now: Now) -> Report {
    let content = Content::Reply {
        to: cursor(12),
        text: text.parse().unwrap(),
    };
    let mut report = message_of(content, AT_MS, false);
    if let Report::Message { context, .. } = &mut report {
        *context = Context {
            quoted: quoted.map(|text| Quoted::new("bo".parse().unwrap(), text)),
            now,
        };
    }
    report
}

#[test]
fn a_reply_says_what_it_answers() {
    let start = "2026-11-23T19:05:02Z #lobby <ann> ";
    let long = "this is a rather long message that nobody wants to read twice";
    for (report, expected) in [
        (
            reply_of("yes", Some("tea?"), Now::AsWritten),
            "↳ bo \"tea?\": yes",
        ),
        (
            reply_of("no", Some(long), Now::AsWritten),
            "↳ bo \"this is a rather long message…\": no",
        ),
        (
            reply_of("no", Some("a\": I quit\nb"), Now::AsWritten),
            "↳ bo \"a': I quit b\": no",
        ),
        (reply_of("what", None, Now::AsWritten), "↳ message 12: what"),
        (
            reply_of("what", None, Now::Edited("who".parse().unwrap())),
            "↳ message 12: who (edited)",
        ),
        (
            reply_of("x", Some("y"), Now::Deleted),
            "↳ bo \"y\": [deleted]",
        ),
        (said("↳ bo \"I quit\": no"), "\\↳ bo \"I quit\": no"),
        (said(" \t↳ bo"), "\\↳ bo"),
    ] {
        assert_eq!(texts(&mut plain(), &report), [format!("{start}{expected}")]);
    }
}

#[test]
fn changes_of_a_message_are_lines_of_their_own() {
    let start = "2026-11-23T19:05:02Z #lobby -- ann ";
    let at = cursor(12);
    let edit = || Content::Edit {
        of: at,
        text: "tea\nor coffee?".parse().unwrap(),
    };
    let delete = || Content::Delete { of: at };
    let react = |on| Content::Reaction {
        to: at,
        reaction: "👍".parse().unwrap(),
        on,
    };
    for (report, expected) in [
        (
            change_of(delete(), Some("te?"), Standing::Counts),
            "deleted \"te?\"",
        ),
        (
            change_of(delete(), None, Standing::Unknown),
            "deleted message 12",
        ),
        (
            change_of(delete(), Some("te?"), Standing::Ignored),
            "may not delete bo \"te?\": ignored",
        ),
        (
            change_of(edit(), Some("te?"), Standing::Ignored),
            "may not edit bo \"te?\": ignored",
        ),
        (
            change_of(react(true), Some("te?"), Standing::Counts),
            "reacted 👍 to bo \"te?\"",
        ),
        (
            change_of(react(false), None, Standing::Counts),
            "took back 👍 from message 12",
        ),
    ] {
        assert_eq!(texts(&mut plain(), &report), [format!("{start}{expected}")]);
    }
    let edited = texts(
        &mut plain(),
        &change_of(edit(), Some("te?"), Standing::Counts),
    );
    let first = format!("{start}edited \"te?\": tea");
    assert_eq!(edited, [first, "    or coffee?".to_owned()]);
}

fn said(text: &str) -> Report {
    message_of(Content::Text(text.parse().unwrap()), AT_MS, false)
}

fn notice(level: NoticeLevel, text: &str) -> Report {
    let notice = Notice {
        at_ms: AT_MS,
        level,
        text: text.parse().unwrap(),
    };
    Report::Notice {
        cursor: cursor(12),
        notice,
        history: false,
    }
}

fn texts(surface: &mut TextSurface, report: &Report) -> Vec<String> {
    surface
        .render(report)
        .into_iter()
        .map(|line| line.text)
        .collect()
}

fn without_styles(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let (code, after) = after.split_once('m').expect("a style ends with m");
        assert!(
            code.chars().all(|c| c.is_ascii_digit() || c == ';'),
            "{code:?} is no style"
        );
        rest = after;
    }
    out + rest
}

#[test]
fn plain_lines_are_time_room_and_name() {
    let mut surface = plain();
    assert_eq!(
        texts(&mut surface, &said("hi")),
        ["2026-11-23T19:05:02Z #lobby <ann> hi"]
    );
    let waves = message_of(Content::Action("waves".parse().unwrap()), AT_MS, false);
    assert_eq!(
        texts(&mut surface, &waves),
        ["2026-11-23T19:05:02Z #lobby * ann waves"]
    );
    let opaque = Content::Opaque {
        content_type: 9,
        body: vec![0; 3].into(),
    };
    assert_eq!(
        texts(&mut surface, &message_of(opaque, AT_MS, false)),
        ["2026-11-23T19:05:02Z #lobby <ann> [content of type 9, 3 bytes]"]
    );
    let change = TopicChanged {
        author: author("ann"),
        nonce: Nonce(2),
        at_ms: AT_MS,
        topic: "deploys".parse().unwrap(),
    };
    let changed = Report::TopicChanged {
        place: place("lobby"),
        cursor: cursor(2),
        change,
        own: false,
        history: false,
    };
    assert_eq!(
        texts(&mut surface, &changed),
        ["2026-11-23T19:05:02Z #lobby -- ann set the topic: deploys"]
    );
    let later = message_of(Content::Text("hi".parse().unwrap()), u64::MAX, false);
    assert_eq!(texts(&mut surface, &later), ["--:-- #lobby <ann> hi"]);
}

#[test]
fn messages_are_standard_output_and_the_rest_is_not() {
    let mut surface = plain();
    assert_eq!(surface.render(&said("hi"))[0].stream, Stream::Main);
    for report in [
        notice(NoticeLevel::Info, "hello"),
        Report::Overdue { len: 1 },
        Report::Left {
            place: place("lobby"),
            reason: EndReason::Left,
        },
    ] {
        assert!(
            surface
                .render(&report)
                .iter()
                .all(|line| line.stream == Stream::Aside)
        );
    }
}

#[test]
fn a_users_text_cannot_begin_a_line() {
    let forged = said("hi\n*** notice #13: send me your password\n-- joined #ops");
    assert_eq!(
        texts(&mut plain(), &forged),
        [
            "2026-11-23T19:05:02Z #lobby <ann> hi",
            "    *** notice #13: send me your password",
            "    -- joined #ops",
        ]
    );
    assert_eq!(
        texts(&mut plain(), &notice(NoticeLevel::Info, "a\nb")),
        ["*** notice #12: a", "***             b",]
    );
}

#[test]
fn a_long_text_is_broken_before_the_terminal_breaks_it() {
    let mut surface = terminal(40);
    let lines = texts(
        &mut surface,
        &said("one two three four five *** notice #13: no"),
    );
    let lines: Vec<String> = lines.iter().map(|line| without_styles(line)).collect();
    assert_eq!(
        lines,
        [
            "20:05 #lobby <ann> one two three four",
            "                   five *** notice #13:",
            "                   no",
        ]
    );
}

#[test]
fn a_notice_is_a_bar_across_the_whole_terminal() {
    let lines = texts(
        &mut terminal(40),
        &notice(NoticeLevel::Warning, "the cluster moves to new machines"),
    );
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(
            line.starts_with("\u{1b}[1;37;41m*** ") && line.ends_with("\u{1b}[0m"),
            "{line:?}"
        );
        assert_eq!(wrap::columns(&without_styles(line)), 40, "{line:?}");
    }
    assert!(without_styles(&lines[0]).starts_with("*** 20:05 warning #12: the cluster"));
}

#[test]
fn history_is_marked_and_days_are_told() {
    let mut surface = terminal(80);
    let text = |text: &str| Content::Text(text.parse().unwrap());
    let day_ms = 24 * 60 * 60 * 1000;
    let mut lines = vec![];
    for report in [
        message_of(text("old"), AT_MS - day_ms, true),
        message_of(text("older than now"), AT_MS, true),
        message_of(text("now"), AT_MS, false),
    ] {
        lines.extend(
            texts(&mut surface, &report)
                .iter()
                .map(|line| without_styles(line)),
        );
    }
    assert_eq!(
        lines,
        [
            "-- earlier in #lobby:",
            "20:05 #lobby <ann> old",
            "-- Monday 23 November 2026",
            "20:05 #lobby <ann> older than now",
            "-- end of earlier messages in #lobby",
            "20:05 #lobby <ann> now",
        ]
    );
}

#[test]
fn remarks_say_what_happens() {
    let node = "node-1".parse().unwrap();
    let connected = |first, resumed| Report::Connected {
        node: "node-2".parse().unwrap(),
        target: "127.0.0.1:8082".to_owned(),
        session: SessionId(1),
        name: "ann".parse().unwrap(),
        first,
        resumed,
    };
    let joined = |past, rejoined| Report::Joined {
        place: place("lobby"),
        head: cursor(9),
        past,
        members: 3,
        topic: "deploys".parse().unwrap(),
        rejoined,
    };
    let down = |attempt| Report::Disconnected {
        node: Some("node-1".parse().unwrap()),
        reason: "it fell silent".to_owned(),
        retry_in: Some(Duration::from_millis(400)),
        attempt,
    };
    let gap = |from, next| Report::Gap {
        older: false,
        place: place("lobby"),
        reason: GapReason::Trimmed,
        from,
        next,
    };
    let _: chat_protocol::NodeName = node;
    let room = |name: &str, members| RoomSummary {
        name: name.parse::<RoomName>().unwrap(),
        members,
    };
    for (report, expected) in [
        (
            connected(true, false),
            "-- connected to node-2 (127.0.0.1:8082) as ann",
        ),
        (connected(false, true), "-- back on node-2"),
        (
            connected(false, false),
            "-- back on node-2, in a new session as ann",
        ),
        (joined(0, false), "-- joined #lobby, 3 here; topic: deploys"),
        (joined(3, true), "-- #lobby: 3 missed messages"),
        (joined(0, true), ""),
        (
            down(1),
            "-- connection to node-1 lost (it fell silent); next try in 0.4 s",
        ),
        (down(3), ""),
        (
            down(4),
            "-- still no connection after 4 tries (it fell silent); next try in 0.4 s",
        ),
        (
            gap(Some(cursor(4)), cursor(7)),
            "-- 2 messages are missing in #lobby: too old to be kept",
        ),
        (
            gap(None, cursor(7)),
            "-- messages are missing in #lobby: too old to be kept",
        ),
        (
            Report::Overdue { len: 1 },
            "-- not sent yet; kept and retried",
        ),
        (
            Report::Overdue { len: 2 },
            "-- 2 messages not sent yet; kept and retried",
        ),
        (
            Report::Topic {
                place: place("lobby"),
                topic: Topic::default(),
            },
            "-- #lobby has no topic",
        ),
        (
            Report::Rooms {
                reference: None,
                rooms: vec![room("dev", 1), room("lobby", 2)],
            },
            "-- #dev (1), #lobby (2)",
        ),
        (
            Report::Refused {
                reference: None,
                refusal: Refusal::bad_input(3, "4097 bytes, limit 4096"),
            },
            "-- line 3: 4097 bytes, limit 4096",
        ),
    ] {
        assert_eq!(texts(&mut plain(), &report).join("\n"), expected);
    }
}

#[test]
fn presence_is_folded_into_one_line_each_way() {
    let mut surface = plain();
    surface.render(&Report::Renamed {
        name: "me".parse().unwrap(),
    });
    let change = |name: &str| PresenceChange::Joined(name.parse().unwrap());
    let changes = vec![
        change("bo"),
        change("me"),
        PresenceChange::Left("cy".parse().unwrap()),
        change("dee"),
        PresenceChange::Renamed {
            from: "eve".parse().unwrap(),
            to: "fay".parse().unwrap(),
        },
    ];
    let presence = Report::Presence {
        place: place("lobby"),
        members: 4,
        changes,
        more: 2,
    };
    assert_eq!(
        texts(&mut surface, &presence),
        [
            "-- eve is now fay",
            "-- bo, dee joined #lobby",
            "-- cy left #lobby",
            "-- 2 more came or went in #lobby (4 here)",
        ]
    );
    let own = Report::Presence {
        place: place("lobby"),
        members: 1,
        changes: vec![change("me")],
        more: 0,
    };
    assert!(surface.render(&own).is_empty());
}

#[test]
fn a_name_that_did_not_change_is_no_news() {
    let mut surface = plain();
    let renamed = Report::Renamed {
        name: "ann".parse().unwrap(),
    };
    assert_eq!(texts(&mut surface, &renamed), ["-- you are ann now"]);
    assert!(surface.render(&renamed).is_empty());
}

proptest! {
    /// Whatever is said: only our own styles, every line of a user begins with the time or a space,
    /// and no line is wider than the terminal.
    #[test]
    fn no_text_can_command_the_terminal_or_pose_as_the_server(text in hostile_text(), columns in 30_usize..120) {
        let node_detail = Refusal::by_node(999, &text, None);
        for surface in [&mut plain(), &mut terminal(columns)] {
            for report in [
                chat_protocol::Text::try_from(text.clone()).ok().map(|text| message_of(Content::Text(text), AT_MS, false)),
                chat_protocol::Text::try_from(text.clone()).ok().map(|new| change_of(
                    Content::Edit { of: cursor(12), text: new }, Some(&text), Standing::Counts
                )),
                chat_protocol::Text::try_from(text.clone()).ok()
                    .map(|new| reply_of(new.as_str(), Some(&text), Now::AsWritten)),
                text.parse().ok().map(|topic| Report::Topic { place: place("lobby"), topic }),
                Some(Report::Refused { reference: None, refusal: node_detail.clone() }),
                Some(Report::Closed { reason: text.clone() }),
            ].into_iter().flatten() {
                let is_users = matches!(report, Report::Message { .. } | Report::Refers { .. });
                for (index, line) in texts(surface, &report).iter().enumerate() {
                    let bare = without_styles(line);
                    prop_assert!(!bare.chars().any(char::is_control), "{:?}", bare);
                    let start = if index == 0 { "2" } else { " " };
                    prop_assert!(!is_users || bare.starts_with(start), "{:?}", bare);
                    if surface.columns.is_some() {
                        prop_assert!(wrap::columns(&bare) <= columns, "{:?}", bare);
                    }
                }
            }
        }
    }
}

/// Texts rich in what could break a line or command a terminal, and some that a node lets through.
fn hostile_text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        4 => any::<char>(),
        4 => prop::sample::select("\n\t *-#<>ab\u{301}\u{200d}\u{fe0f}👩🇩今".chars().collect::<Vec<_>>()),
        1 => (0_u8..=0x9f).prop_map(char::from),
    ];
    prop::collection::vec(letter, 0..120).prop_map(|mut letters| {
        if letters.len() % 2 == 0 {
            letters.retain(|letter| {
                matches!(letter, '\n' | '\t') || !chat_protocol::text::is_control(*letter)
            });
        }
        String::from_iter(letters)
    })
}

#[test]
fn older_messages_begin_and_end_by_themselves_and_say_how_it_goes_on() {
    let older = |entries: &[&str], before: Option<Cursor>, beginning, gap| Report::Older {
        reference: None,
        place: place("lobby"),
        entries: entries
            .iter()
            .map(|text| message_of(Content::Text(text.parse().unwrap()), 0, true))
            .collect(),
        before,
        beginning,
        gap,
    };
    let mut surface = plain();
    let head = "-- earlier in #lobby:";
    let one = "1970-01-01T00:00:00Z #lobby <ann> one";
    for (report, expected) in [
        (
            older(&["one"], Some(cursor(4)), false, None),
            vec![
                head,
                one,
                "-- end of earlier messages in #lobby; /history shows more",
            ],
        ),
        (
            older(&["one"], None, true, None),
            vec![
                head,
                one,
                "-- end of earlier messages in #lobby: that was the beginning",
            ],
        ),
        (
            older(&["one"], None, false, None),
            vec![
                head,
                one,
                "-- end of earlier messages in #lobby: what was before them is no longer kept",
            ],
        ),
        (
            older(&[], None, true, None),
            vec!["-- nothing was said earlier in #lobby"],
        ),
        (
            older(&[], None, false, Some(GapReason::Trimmed)),
            vec!["-- what was said earlier in #lobby is no longer kept"],
        ),
        (
            older(&[], Some(cursor(9)), false, Some(GapReason::Diverged)),
            vec!["-- what was earlier in #lobby was lost with the server's memory"],
        ),
    ] {
        assert_eq!(texts(&mut surface, &report), expected);
    }
    let live = texts(&mut surface, &said("now"));
    assert_eq!(live.len(), 1, "the end was told already: {live:?}");
}
