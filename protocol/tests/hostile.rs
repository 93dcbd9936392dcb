//! Bytes from anybody: whatever they are, the codec ends in frames or in a typed error, and keeps
//! no memory for what was only claimed.

#![expect(clippy::unwrap_used, reason = "a test ends where an example is wrong")]

mod examples;
mod strategies;

use allocation_counter::measure;
use chat_protocol::client::Hello;
use chat_protocol::lane::{Presence, PresenceChange};
use chat_protocol::limits::{
    FEATURES_LEN_MAX, FRAME_BYTES_MAX, GOAWAY_NODES_MAX, PAGE_LEN_MAX, PRESENCE_NAMES_MAX,
};
use chat_protocol::node::{Goaway, MemberPage, RoomPage, RoomSummary};
use chat_protocol::{
    ClientFrame, Frame, FrameDecoder, FrameError, LaneFrame, NodeFrame, RawFrame, RequestId, varint,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use examples::{AnyFrame, Example, unhex};

proptest! {
    #[test]
    fn any_bytes_end_in_frames_or_an_error(bytes in vec(any::<u8>(), 0..4096)) {
        drain(&bytes);
    }

    #[test]
    fn any_body_of_a_known_kind_ends_in_a_frame_or_an_error(
        kind in proptest::sample::select(kinds()),
        body in vec(any::<u8>(), 0..512),
    ) {
        decode_as_all(&RawFrame { kind, body: body.into() });
    }

    #[test]
    fn damaged_frames_end_in_frames_or_an_error(
        which in any::<Index>(),
        damages in vec(damage(), 1..8),
    ) {
        let examples = examples::all();
        let mut bytes = which.get(&examples).bytes();
        for damage in damages {
            damage.apply(&mut bytes);
        }
        drain(&bytes);
    }

    #[test]
    fn every_frame_comes_back(frame in strategies::any_frame()) {
        let bytes = frame.to_bytes();
        let mut decoder = FrameDecoder::new();
        decoder.push(&bytes);
        let raw = decoder.next().unwrap().unwrap();
        prop_assert_eq!(frame.decode_alike(&raw), Ok(Some(frame.clone())));
        prop_assert!(!decoder.is_mid_frame());
    }

    #[test]
    fn frames_do_not_depend_on_where_the_stream_was_cut(
        frames in vec(strategies::any_frame(), 1..6),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.to_bytes()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();

        let mut decoder = FrameDecoder::new();
        let mut received = Vec::new();
        for cut in cuts.windows(2) {
            decoder.push(&bytes[cut[0]..cut[1]]);
            while let Some(raw) = decoder.next().unwrap() {
                received.push(frames[received.len()].decode_alike(&raw).unwrap().unwrap());
            }
        }
        prop_assert_eq!(received, frames);
        prop_assert!(!decoder.is_mid_frame());
    }

    #[test]
    fn unknown_odd_kinds_are_skipped_and_even_ones_are_errors(
        kind in prop_oneof![0u64..0x100, 0..=varint::MAX],
        body in vec(any::<u8>(), 0..16),
    ) {
        let raw = RawFrame { kind, body: body.into() };
        let outcomes = [
            (ClientFrame::KINDS, ClientFrame::decode(&raw).map(|frame| frame.is_none())),
            (NodeFrame::KINDS, NodeFrame::decode(&raw).map(|frame| frame.is_none())),
            (LaneFrame::KINDS, LaneFrame::decode(&raw).map(|frame| frame.is_none())),
        ];
        for (known, outcome) in outcomes {
            if !known.iter().any(|(known, _)| *known == kind) {
                let expected = if kind % 2 == 1 { Ok(true) } else { Err(FrameError::UnknownKind(kind)) };
                prop_assert_eq!(outcome, expected);
            }
        }
    }
}

#[test]
fn every_flipped_bit_ends_in_frames_or_an_error() {
    for example in examples::all() {
        let bytes = example.bytes();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            drain(&flipped);
        }
    }
}

#[test]
fn a_cut_stream_waits_and_a_cut_or_longer_body_is_an_error() {
    for example in examples::all() {
        let bytes = example.bytes();
        for end in 0..bytes.len() {
            let mut decoder = FrameDecoder::new();
            decoder.push(&bytes[..end]);
            assert_eq!(decoder.next(), Ok(None), "{} cut at {end}", example.title);
            assert_eq!(decoder.is_mid_frame(), end > 0);
        }
        let raw = raw(&example);
        for end in 0..raw.body.len() {
            let cut = RawFrame {
                kind: raw.kind,
                body: raw.body.slice(..end),
            };
            let outcome = example.frame.decode_alike(&cut);
            assert_eq!(
                outcome,
                Err(FrameError::Malformed(raw.kind)),
                "{}",
                example.title
            );
        }
        let longer = RawFrame {
            kind: raw.kind,
            body: [&raw.body[..], &[0]].concat().into(),
        };
        let outcome = example.frame.decode_alike(&longer);
        assert_eq!(
            outcome,
            Err(FrameError::Trailing {
                kind: raw.kind,
                bytes: 1
            })
        );
    }
}

#[test]
fn values_outside_a_field_are_malformed() {
    for (kind, body, what) in [
        (
            0x42,
            "01 05 6c 6f 62 62 79 03",
            "a start that does not exist",
        ),
        (0x42, "01 02 c3 28 00", "a room that is not UTF-8"),
        (0x42, "ff ff ff ff 1f 01 61 00", "a request beyond 32 bits"),
        (
            0x46,
            "01 80 80 80 80 80 80 80 80 80 02 00 00",
            "a nonce beyond 64 bits",
        ),
        (
            0x46,
            "01 80 80 80 80 80 80 80 80 80 80 00 00 00",
            "a nonce that does not end",
        ),
        (
            0x46,
            "01 01 00 ff ff ff ff ff ff ff ff ff 01",
            "a body longer than the frame",
        ),
        (0x4e, "01 02 61", "an option that is neither none nor some"),
        (0x91, "02", "a bool that is neither false nor true"),
        (0x8e, "01 02 61 62 63", "a name shorter than its bytes"),
        (
            0x8e,
            "01 05 1b 5b 31 6d 61",
            "a name with an escape sequence",
        ),
        (0x06, "00 00 02 61 0d", "a text with a carriage return"),
        (0x06, "00 02 01 61", "a level that does not exist"),
        (0x24, "03 01 01", "a reason that does not exist"),
        (0x26, "03", "a reason that does not exist"),
        (0x27, "01 01 03 01 61 00", "a change that does not exist"),
        (0x28, "01 01 01 01 01 01 03", "a reason that does not exist"),
        (
            0x58,
            "01 01 01 01 ff ff ff ff 1f",
            "a length beyond 32 bits",
        ),
    ] {
        let raw = RawFrame {
            kind,
            body: unhex(body).into(),
        };
        let outcome = match kind {
            0x40..=0x7f => ClientFrame::decode(&raw).map(drop),
            0x80..=0xbf => NodeFrame::decode(&raw).map(drop),
            _ => LaneFrame::decode(&raw).map(drop),
        };
        let is_refused = matches!(
            outcome,
            Err(FrameError::Malformed(_) | FrameError::Trailing { .. })
        );
        assert!(is_refused, "{what}: {outcome:?}");
    }
}

#[test]
fn a_list_is_refused_one_element_beyond_its_limit() {
    let name: chat_protocol::UserName = "ann".parse().unwrap();
    let request = RequestId(1);
    let check = |len_max: usize, with: &dyn Fn(usize) -> AnyFrame| {
        for (len, is_valid) in [(len_max, true), (len_max + 1, false)] {
            let frame = with(len);
            let mut decoder = FrameDecoder::new();
            decoder.push(&frame.to_bytes());
            let raw = decoder.next().unwrap().unwrap();
            let outcome = frame.decode_alike(&raw);
            assert_eq!(
                outcome.is_ok(),
                is_valid,
                "{len} of {len_max} in {:#x}",
                raw.kind
            );
        }
    };
    check(FEATURES_LEN_MAX, &|len| {
        let features = vec![7; len];
        let agent = String::new();
        let hello = Hello {
            minor: 0,
            features,
            agent,
            name: None,
            token: None,
            resume: None,
        };
        AnyFrame::Client(hello.into())
    });
    check(PAGE_LEN_MAX, &|len| {
        let members = vec![name.clone(); len];
        AnyFrame::Node(
            MemberPage {
                request,
                total: 0,
                members,
                more: false,
            }
            .into(),
        )
    });
    check(PAGE_LEN_MAX, &|len| {
        let rooms = vec![
            RoomSummary {
                name: "lobby".parse().unwrap(),
                members: 1
            };
            len
        ];
        AnyFrame::Node(
            RoomPage {
                request,
                rooms,
                more: false,
            }
            .into(),
        )
    });
    check(GOAWAY_NODES_MAX, &|len| {
        AnyFrame::Node(
            Goaway {
                delay_ms: 0,
                nodes: vec!["a:1".to_owned(); len],
            }
            .into(),
        )
    });
    check(PRESENCE_NAMES_MAX, &|len| {
        let changes = vec![PresenceChange::Joined(name.clone()); len];
        AnyFrame::Lane(
            Presence {
                members: 1,
                changes,
                more: 0,
            }
            .into(),
        )
    });
}

/// Every byte of every example is replaced by a count that promises up to four billion elements,
/// followed by as much as fits a frame: lists inside lists, texts and bodies all lie once.
#[test]
fn a_claimed_length_never_allocates() {
    for example in examples::all() {
        let raw = raw(&example);
        for at in 0..=raw.body.len() {
            for claim in ["ff ff ff ff 0f", "ff ff 03", "80 7f", "80 02", "64"] {
                for filling in [0x00, 0x01, 0x61] {
                    let mut body = raw.body[..at].to_vec();
                    body.extend(unhex(claim));
                    body.resize(FRAME_BYTES_MAX - varint::len(raw.kind), filling);
                    let lie = RawFrame {
                        kind: raw.kind,
                        body: body.into(),
                    };
                    let used = measure(|| drop(example.frame.decode_alike(&lie)));
                    assert!(
                        used.bytes_max <= 2 * FRAME_BYTES_MAX as u64,
                        "{} bytes for {} with {claim} at {at}",
                        used.bytes_max,
                        example.title,
                    );
                }
            }
        }
    }
}

#[test]
fn a_decoder_keeps_what_came_and_not_what_was_claimed() {
    let claimed = measure(|| {
        let mut decoder = FrameDecoder::new();
        decoder.push(&unhex("80 00 40 00"));
        assert_eq!(
            decoder.next(),
            Ok(None),
            "{FRAME_BYTES_MAX} bytes are still to come"
        );
        decoder.push(&[0x02]);
        assert_eq!(decoder.next(), Ok(None));
    });
    assert!(
        claimed.bytes_max < 128,
        "{} bytes for a claim",
        claimed.bytes_max
    );

    let mut decoder = FrameDecoder::new();
    decoder.push(&unhex("80 00 40 01"));
    assert_eq!(decoder.next(), Err(FrameError::TooLarge { bytes: 16_385 }));

    // A buffer that grows holds the old and the doubled one for a moment; decoded frames are gone.
    let mut frame = unhex("80 00 40 00 03");
    frame.resize(4 + FRAME_BYTES_MAX, 0);
    let streamed = measure(|| {
        let mut decoder = FrameDecoder::new();
        let mut frames = 0;
        for _ in 0..100 {
            for packet in frame.chunks(1200) {
                decoder.push(packet);
                while let Some(raw) = decoder.next().unwrap() {
                    assert_eq!(raw.body.len(), FRAME_BYTES_MAX - 1);
                    frames += 1;
                }
            }
        }
        assert_eq!(frames, 100);
    });
    assert!(
        streamed.bytes_max <= 4 * FRAME_BYTES_MAX as u64,
        "{} bytes for frames of {FRAME_BYTES_MAX}",
        streamed.bytes_max
    );
}

/// Takes everything from a stream of these bytes; returns when nothing more can come.
fn drain(bytes: &[u8]) {
    let mut decoder = FrameDecoder::new();
    decoder.push(bytes);
    let mut taken = 0;
    while let Ok(Some(raw)) = decoder.next() {
        decode_as_all(&raw);
        taken += 1;
        assert!(taken <= bytes.len(), "a frame takes at least one byte");
    }
    let end = decoder.next();
    assert_eq!(decoder.next(), end, "the end of a stream does not move");
    drop(FrameDecoder::new().varint());
}

fn decode_as_all(raw: &RawFrame) {
    drop(ClientFrame::decode(raw));
    drop(NodeFrame::decode(raw));
    drop(LaneFrame::decode(raw));
}

fn raw(example: &Example) -> RawFrame {
    let mut decoder = FrameDecoder::new();
    decoder.push(&example.bytes());
    decoder.next().unwrap().unwrap()
}

fn kinds() -> Vec<u64> {
    [ClientFrame::KINDS, NodeFrame::KINDS, LaneFrame::KINDS]
        .concat()
        .into_iter()
        .map(|(kind, _)| kind)
        .collect()
}

/// What may happen to bytes on the way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index),
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip(at, mask) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            Self::Flip(..) => {}
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Insert(at, more) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more);
            }
            Self::Remove(at, len) => {
                let at = at.index(bytes.len() + 1);
                bytes.drain(at..(at + len).min(bytes.len()));
            }
            Self::Repeat(at) => bytes.extend_from_within(at.index(bytes.len() + 1)..),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), vec(any::<u8>(), 1..8)).prop_map(|(at, more)| Damage::Insert(at, more)),
        (any::<Index>(), 1usize..8).prop_map(|(at, len)| Damage::Remove(at, len)),
        any::<Index>().prop_map(Damage::Repeat),
    ]
}
