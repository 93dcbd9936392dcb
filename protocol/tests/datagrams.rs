//! Datagrams: their bytes, fixed; where they stand in the document; and what becomes of any others.

#![expect(clippy::unwrap_used, reason = "a test ends where an example is wrong")]

use chat_protocol::datagram::{DatagramError, IsTyping, TYPING, TYPING_TIME, Typing};
use chat_protocol::limits::TYPING_BYTES_MAX;
use chat_protocol::{ClientDatagram, FrameError, NodeDatagram, RoomRef, SessionId};
use proptest::collection::vec;
use proptest::prelude::*;

const DOCUMENT: &str = include_str!("../../docs/PROTOCOL.md");

const IS_TYPING: &[(&str, &str)] = &[("40 c0", "kind 0xc0 IsTyping"), ("03", "room 3")];

const TYPING_OF_ANN: &[(&str, &str)] = &[
    ("40 c2", "kind 0xc2 Typing"),
    ("03", "room 3"),
    ("ef 9b af cd f8 ac d1 91 01", "session 0123456789abcdef"),
    ("03 61 6e 6e", "name: \"ann\""),
];

fn is_typing() -> ClientDatagram {
    ClientDatagram::IsTyping(IsTyping { room: RoomRef(3) })
}

fn typing() -> NodeDatagram {
    NodeDatagram::Typing(Typing {
        room: RoomRef(3),
        session: SessionId(0x0123_4567_89ab_cdef),
        name: "ann".parse().unwrap(),
    })
}

fn bytes(fields: &[(&str, &str)]) -> Vec<u8> {
    let digits = fields.iter().flat_map(|(hex, _)| hex.split(' '));
    digits
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

#[test]
fn encoding_gives_exactly_these_bytes_and_decoding_the_datagram() {
    assert_eq!(is_typing().to_bytes(), bytes(IS_TYPING));
    assert_eq!(
        ClientDatagram::decode(&bytes(IS_TYPING)),
        Ok(Some(is_typing()))
    );
    assert_eq!(typing().to_bytes(), bytes(TYPING_OF_ANN));
    assert_eq!(
        NodeDatagram::decode(&bytes(TYPING_OF_ANN)),
        Ok(Some(typing()))
    );
}

#[test]
fn the_longest_fits() {
    let longest = NodeDatagram::Typing(Typing {
        room: RoomRef(u32::MAX),
        session: SessionId(u64::MAX),
        name: "𐐷".repeat(16).parse().unwrap(),
    });
    let bytes = longest.to_bytes();
    assert!(bytes.len() <= TYPING_BYTES_MAX, "{}", bytes.len());
    assert_eq!(NodeDatagram::decode(&bytes), Ok(Some(longest)));
}

#[test]
fn what_is_wrong_is_told_and_what_is_new_is_nothing() {
    let wrong = |bytes: &[u8]| ClientDatagram::decode(bytes).unwrap_err();
    let good = bytes(IS_TYPING);
    assert_eq!(wrong(&[]), FrameError::NoKind.into());
    assert_eq!(wrong(&good[..1]), FrameError::NoKind.into());
    assert_eq!(wrong(&good[..2]), FrameError::Malformed(0xc0).into());
    let long = [good.as_slice(), &[0]].concat();
    let trailing = FrameError::Trailing {
        kind: 0xc0,
        bytes: 1,
    };
    assert_eq!(wrong(&long), trailing.into());
    let huge = [good.as_slice(), &[0; TYPING_BYTES_MAX]].concat();
    assert_eq!(wrong(&huge), DatagramError::TooLarge(huge.len()));
    // Kinds of later versions, odd and even, and those of the other side.
    for kind in [0x01, 0x02, 0x3f] {
        assert_eq!(ClientDatagram::decode(&[kind]), Ok(None));
        assert_eq!(NodeDatagram::decode(&[kind, 1, 2]), Ok(None));
    }
    assert_eq!(NodeDatagram::decode(&good), Ok(None));
    // A name that could command a terminal is none.
    let mut evil = bytes(TYPING_OF_ANN);
    *evil.last_mut().unwrap() = 0x1b;
    assert_eq!(
        NodeDatagram::decode(&evil).unwrap_err(),
        FrameError::Malformed(0xc2).into()
    );
}

#[test]
fn they_stand_in_the_document_byte_for_byte() {
    for fields in [IS_TYPING, TYPING_OF_ANN] {
        let width = fields.iter().map(|(hex, _)| hex.len()).max().unwrap();
        let lines: Vec<String> = fields
            .iter()
            .map(|(hex, what)| format!("{hex:width$}  {what}"))
            .collect();
        let block = format!("```text\n{}\n```", lines.join("\n"));
        assert!(DOCUMENT.contains(&block), "no\n{block}");
    }
    let feature = format!("| {TYPING} | typing |");
    assert!(DOCUMENT.contains(&feature), "no {feature:?}");
    let time = format!(
        "| somebody counts as typing | {} s |",
        TYPING_TIME.as_secs()
    );
    assert!(DOCUMENT.contains(&time), "no {time:?}");
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_datagram_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let _ = ClientDatagram::decode(&bytes);
        let _ = NodeDatagram::decode(&bytes);
    }

    #[test]
    fn any_body_ends_in_a_datagram_or_an_error(body in vec(any::<u8>(), 0..130)) {
        for kind in [[0x40, 0xc0], [0x40, 0xc2]] {
            let bytes = [&kind[..], &body].concat();
            if let Ok(Some(datagram)) = ClientDatagram::decode(&bytes) {
                prop_assert!(ClientDatagram::decode(&datagram.to_bytes()) == Ok(Some(datagram)));
            }
            if let Ok(Some(datagram)) = NodeDatagram::decode(&bytes) {
                prop_assert!(NodeDatagram::decode(&datagram.to_bytes()) == Ok(Some(datagram)));
            }
        }
    }
}
