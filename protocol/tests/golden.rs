//! The bytes of every frame, fixed: a change here is a change of the protocol.

#![expect(clippy::unwrap_used, reason = "a test ends where an example is wrong")]

mod examples;

use std::collections::BTreeSet;

use chat_protocol::client::Start;
use chat_protocol::lane::{EndReason, GapReason, NoticeLevel, PresenceChange};
use chat_protocol::{ClientFrame, Content, FrameDecoder, LaneFrame, NodeFrame};

use examples::{AnyFrame, Example};

#[test]
fn encoding_gives_exactly_these_bytes() {
    for example in examples::all() {
        let bytes = example.frame.to_bytes();
        assert_eq!(hex(&bytes), hex(&example.bytes()), "{}", example.title);
    }
}

#[test]
fn decoding_gives_back_the_frame() {
    for example in examples::all() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&example.bytes());
        let raw = decoder.next().unwrap().expect(example.title);
        assert_eq!(
            example.frame.decode_alike(&raw),
            Ok(Some(example.frame.clone()))
        );
        assert!(!decoder.is_mid_frame(), "{}", example.title);
    }
}

#[test]
fn every_kind_has_an_example_and_no_two_share_a_number() {
    let examples = examples::all();
    let mut numbers = BTreeSet::new();
    for (kinds, is_of_set) in SETS {
        for &(kind, name) in *kinds {
            assert!(numbers.insert(kind), "{kind:#x} twice");
            let mut of_kind = examples
                .iter()
                .filter(|example| is_of_set(example, kind))
                .peekable();
            assert!(
                of_kind.peek().is_some(),
                "{name} ({kind:#x}) has no example"
            );
            for example in of_kind {
                assert_eq!(example.title.split(',').next(), Some(name));
            }
        }
    }
}

/// The kinds of a set, and whether an example is of one.
type Set = (&'static [(u64, &'static str)], fn(&Example, u64) -> bool);

const SETS: &[Set] = &[
    (
        ClientFrame::KINDS,
        |example, kind| matches!(&example.frame, AnyFrame::Client(frame) if frame.kind() == kind),
    ),
    (
        NodeFrame::KINDS,
        |example, kind| matches!(&example.frame, AnyFrame::Node(frame) if frame.kind() == kind),
    ),
    (
        LaneFrame::KINDS,
        |example, kind| matches!(&example.frame, AnyFrame::Lane(frame) if frame.kind() == kind),
    ),
];

/// A new variant of an enum in a body does not compile here until it is given a place, and fails
/// until there is an example of it.
#[test]
fn every_variant_inside_bodies_has_an_example() {
    let mut seen = [
        Variants::new("Start", 3),
        Variants::new("GapReason", 3),
        Variants::new("EndReason", 3),
        Variants::new("NoticeLevel", 2),
        Variants::new("PresenceChange", 3),
        Variants::new("Content", 7),
    ];
    let [starts, gaps, ends, levels, changes, contents] = &mut seen;
    for example in examples::all() {
        match &example.frame {
            AnyFrame::Client(ClientFrame::Join(join)) => starts.add(match join.start {
                Start::Live => 0,
                Start::Last(_) => 1,
                Start::After(_) => 2,
            }),
            AnyFrame::Lane(LaneFrame::Gap(gap)) => gaps.add(match gap.reason {
                GapReason::Trimmed => 0,
                GapReason::Diverged => 1,
                GapReason::Lagged => 2,
            }),
            AnyFrame::Lane(LaneFrame::End(end)) => ends.add(match end.reason {
                EndReason::Left => 0,
                EndReason::Removed => 1,
                EndReason::Closing => 2,
            }),
            AnyFrame::Lane(LaneFrame::Notice(notice)) => levels.add(match notice.level {
                NoticeLevel::Info => 0,
                NoticeLevel::Warning => 1,
            }),
            AnyFrame::Lane(LaneFrame::Presence(presence)) => {
                for change in &presence.changes {
                    changes.add(match change {
                        PresenceChange::Joined(_) => 0,
                        PresenceChange::Left(_) => 1,
                        PresenceChange::Renamed { .. } => 2,
                    });
                }
            }
            AnyFrame::Lane(LaneFrame::Message(message)) => contents.add(match message.content {
                Content::Text(_) => 0,
                Content::Action(_) => 1,
                Content::Opaque { .. } => 2,
                Content::Reply { .. } => 3,
                Content::Edit { .. } => 4,
                Content::Delete { .. } => 5,
                Content::Reaction { .. } => 6,
            }),
            _ => {}
        }
    }
    for variants in seen {
        assert_eq!(
            variants.seen,
            (0..variants.len).collect(),
            "examples of {}",
            variants.of
        );
    }
}

struct Variants {
    of: &'static str,
    len: usize,
    seen: BTreeSet<usize>,
}

impl Variants {
    fn new(of: &'static str, len: usize) -> Self {
        Self {
            of,
            len,
            seen: BTreeSet::new(),
        }
    }

    fn add(&mut self, variant: usize) {
        self.seen.insert(variant);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(" ")
}
