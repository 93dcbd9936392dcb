//! Holds `docs/PROTOCOL.md` to the code: every frame, code and limit stands in it as it is.
//!
//! What is missing is printed as it should stand in the document.

#![expect(clippy::unwrap_used, reason = "a test ends where an example is wrong")]

mod examples;

use std::collections::BTreeSet;

use chat_protocol::node::{Durability, Permissions};
use chat_protocol::{
    ALPN, ClientFrame, CloseCode, Content, ErrorCode, LaneFrame, MINOR, NodeFrame, StreamCode,
    StreamType, limits,
};

use examples::Example;

const DOCUMENT: &str = include_str!("../../docs/PROTOCOL.md");

#[test]
fn every_example_is_printed_in_its_section_byte_for_byte() {
    for example in examples::all() {
        let name = example.title.split(',').next().unwrap();
        let heading = format!("{name}\n");
        let mut sections = DOCUMENT.split("\n### 0x").skip(1);
        let section =
            sections.find(|section| section.split_once(' ').unwrap().1.starts_with(&heading));
        let block = format!("```text\n{}\n```", block(&example));
        let is_printed = section.is_some_and(|section| section.contains(&block));
        assert!(
            is_printed,
            "{} is missing in the section {name}:\n\n{block}\n",
            example.title
        );
    }
}

#[test]
fn every_kind_has_its_section_and_no_other_has_one() {
    let kinds = [ClientFrame::KINDS, NodeFrame::KINDS, LaneFrame::KINDS].concat();
    let expected: BTreeSet<String> = kinds
        .iter()
        .map(|(kind, name)| format!("### 0x{kind:02x} {name}"))
        .collect();
    let sections: BTreeSet<String> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("### 0x"))
        .map(str::to_owned)
        .collect();
    assert_eq!(sections, expected);
}

#[test]
fn every_code_is_listed_and_no_other_is() {
    let errors = ErrorCode::ALL
        .iter()
        .map(|code| format!("| {} | `{}` | {code} |", code.to_wire(), code.name()));
    let closes = CloseCode::ALL.iter().map(|code| {
        format!(
            "| {} | `{}` | {code} |",
            in_hex(code.to_wire()),
            code.name()
        )
    });
    let streams = StreamCode::ALL.iter().map(|code| {
        format!(
            "| {} | `{}` | {code} |",
            in_hex(code.to_wire()),
            code.name()
        )
    });
    let sections = [
        ("### Error codes", errors.collect::<Vec<_>>()),
        ("### Close codes", closes.collect()),
        ("### Stream codes", streams.collect()),
    ];
    for (section, rows) in sections {
        let listed: Vec<&str> = table(section, "| Code |");
        for row in &rows {
            assert!(
                listed.iter().any(|line| line.starts_with(row)),
                "{section} lacks\n{row}"
            );
        }
        assert_eq!(
            listed.len(),
            rows.len(),
            "{section} lists a code that does not exist"
        );
    }
}

#[test]
fn every_limit_is_listed_with_its_value() {
    macro_rules! limits {
        ($($name:ident),+ $(,)?) => { [$((stringify!($name), wide(limits::$name))),+] };
    }
    let limits = limits![
        FRAME_BYTES_MAX,
        TEXT_BYTES_MAX,
        BODY_BYTES_MAX,
        TOPIC_BYTES_MAX,
        REACTION_BYTES_MAX,
        USER_NAME_CHARS_MAX,
        USER_NAME_BYTES_MAX,
        ROOM_NAME_BYTES_MAX,
        NODE_NAME_BYTES_MAX,
        TOKEN_BYTES_MAX,
        AGENT_BYTES_MAX,
        FEATURES_LEN_MAX,
        ROOMS_PER_SESSION_MAX,
        IN_FLIGHT_MAX,
        HISTORY_LEN_MAX,
        HISTORY_PAGE_LEN_MAX,
        HISTORY_PAGES_MAX,
        PAGE_LEN_MAX,
        PRESENCE_NAMES_MAX,
        DETAIL_BYTES_MAX,
        GOAWAY_NODES_MAX,
        ENTRY_OVERHEAD_BYTES_MAX,
        TYPING_BYTES_MAX,
        TYPING_MEMBERS_MAX,
        DATAGRAM_BYTES_MAX,
    ];
    let rows = table("## 14. Limits and times", "| Limit |");
    for (name, value) in limits {
        let row = format!("| `{name}` | {value} |");
        assert!(
            rows.iter().any(|line| line.starts_with(&row)),
            "no row\n{row}"
        );
    }
    let declared = include_str!("../src/limits.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .collect::<BTreeSet<_>>();
    let checked = limits
        .iter()
        .map(|(name, _)| *name)
        .collect::<BTreeSet<_>>();
    assert_eq!(declared, checked, "every limit is checked here");
    assert_eq!(
        rows.len(),
        checked.len(),
        "a limit is listed that does not exist"
    );
}

#[test]
fn the_names_of_small_numbers_are_listed() {
    let alpn = std::str::from_utf8(ALPN).unwrap();
    for line in [
        format!("# The chat protocol, `{alpn}`"),
        format!("* ALPN is `{alpn}`."),
        format!("* The **minor** version is {MINOR} here."),
        format!("| `0x{:02x}` | control |", StreamType::Control.to_wire()),
        format!("| `0x{:02x}` | lane |", StreamType::Lane.to_wire()),
        format!("| `0x{:02x}` | page |", StreamType::Page.to_wire()),
        format!("| {} | text |", Content::TEXT),
        format!("| {} | action:", Content::ACTION),
        format!("| {} | reply:", Content::REPLY),
        format!("| {} | edit:", Content::EDIT),
        format!("| {} | deletion:", Content::DELETE),
        format!("| {} | reaction:", Content::REACTION),
    ] {
        assert!(DOCUMENT.contains(&line), "no {line:?}");
    }
    let permissions = [
        (Permissions::JOIN, "JOIN"),
        (Permissions::PUBLISH, "PUBLISH"),
        (Permissions::TOPIC, "TOPIC"),
        (Permissions::DIRECT, "DIRECT"),
        (Permissions::LIST, "LIST"),
        (Permissions::RENAME, "RENAME"),
    ];
    let all = permissions
        .iter()
        .fold(0, |bits, (permission, _)| bits | permission.0);
    assert_eq!(
        Permissions(all),
        Permissions::USER,
        "every permission is checked here"
    );
    let rows = table("### 0x80 Welcome", "| Bit |");
    assert_eq!(rows.len(), permissions.len());
    for ((bits, name), row) in permissions.iter().zip(rows) {
        assert!(
            row.starts_with(&format!("| `0x{:02x}` | {name} |", bits.0)),
            "{row}"
        );
    }
}

#[test]
fn the_example_session_is_made_of_the_examples() {
    let examples = examples::all();
    let mut dump = Vec::new();
    for (from, stream, what) in SESSION {
        let bytes = match *what {
            CONTROL => vec![0x00],
            LANE => vec![0x01],
            title => examples
                .iter()
                .find(|example| example.title == title)
                .expect(title)
                .bytes(),
        };
        for (index, line) in bytes.chunks(16).enumerate() {
            let line = line
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .join(" ");
            dump.push(match index {
                0 => format!("{from:<6} {stream}  {line:<47}  {what}"),
                _ => format!("          {line}"),
            });
        }
    }
    let dump = format!("```text\n{}\n```", dump.join("\n"));
    assert!(
        DOCUMENT.contains(&dump),
        "the example session is missing:\n\n{dump}\n"
    );
}

/// Who sends what on which QUIC stream.
const SESSION: &[(&str, u64, &str)] = &[
    ("client", 0, CONTROL),
    ("client", 0, "Hello"),
    ("node", 0, "Welcome"),
    ("node", 0, "BackplaneState, there"),
    ("node", 3, LANE),
    ("node", 3, "Joined, the notices"),
    ("client", 0, "Join, with history"),
    ("node", 7, LANE),
    ("node", 7, "Joined"),
    ("node", 7, "Message, action of an account"),
    ("client", 0, "Publish, text"),
    ("node", 7, "Message, text"),
    ("node", 0, "Ack"),
    ("client", 0, "Bye"),
    ("node", 3, "End, closing"),
    ("node", 7, "End, closing"),
    ("node", 0, "Closing, done"),
];

const CONTROL: &str = "stream type: control";
const LANE: &str = "stream type: lane";

/// An example as the document prints it: 16 bytes a line, each field beside its bytes.
fn block(example: &Example) -> String {
    let mut lines = Vec::new();
    for &(hex, meaning) in example.fields {
        let bytes: Vec<&str> = hex.split(' ').collect();
        for (index, line) in bytes.chunks(16).enumerate() {
            lines.push((line.join(" "), if index == 0 { meaning } else { "" }));
        }
    }
    let width = lines.iter().map(|(hex, _)| hex.len()).max().unwrap_or(0);
    let lines = lines
        .iter()
        .map(|(hex, meaning)| format!("{hex:<width$}  {meaning}"));
    lines
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The rows of the table that starts with `header`, in the section that starts with `section`.
#[test]
fn every_durability_is_listed_with_its_number() {
    let expected = [
        (Durability::UNKNOWN, "unknown"),
        (Durability::NODE, "node's own memory"),
        (Durability::MEMORY, "in memory"),
        (Durability::SNAPSHOT, "last snapshot"),
        (Durability::SYSTEM, "the system"),
        (Durability::SECOND, "about a second"),
        (Durability::CRASH, "a crash of the backplane |"),
    ];
    let rows = table("### 0x96 Status", "| `durability` | An acked");
    assert_eq!(rows.len(), expected.len());
    for ((durability, words), row) in expected.iter().zip(rows) {
        assert!(
            row.starts_with(&format!("| {} |", durability.0)) && row.contains(words),
            "{durability:?}: {row}"
        );
    }
}

fn table(section: &str, header: &str) -> Vec<&'static str> {
    let rest = &DOCUMENT[DOCUMENT.find(&format!("\n{section}\n")).expect(section)..];
    let rest = &rest[rest.find(&format!("\n{header}")).expect(header)..];
    rest.lines()
        .skip(3)
        .take_while(|line| line.starts_with('|'))
        .collect()
}

fn in_hex(code: u32) -> String {
    if code == 0 {
        "0".to_owned()
    } else {
        format!("`{code:#05x}`")
    }
}

fn wide(limit: impl TryInto<u64>) -> u64 {
    limit.try_into().ok().unwrap()
}
