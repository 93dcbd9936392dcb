//! One example of everything on the wire: the bytes that `golden.rs` holds the codec to, that
//! `hostile.rs` damages, and that `docs/PROTOCOL.md` prints.
//!
//! The bytes are written by hand, not by the codec, and never change once shipped.

#![allow(dead_code, reason = "each test binary uses a part of this")]

mod client;
mod lane;
mod node;

use std::fmt::Debug;
use std::str::FromStr;

use bytes::Bytes;
use chat_protocol::{
    AccountId, ClientFrame, Cursor, Epoch, Frame, FrameError, LaneFrame, NodeFrame, RawFrame,
    Secret, Seq, SessionId,
};

/// A frame, its name in the document, and its bytes.
#[derive(Debug)]
pub(crate) struct Example {
    /// The frame's name, and after a comma which of its forms this is.
    pub(crate) title: &'static str,
    /// What the bytes mean.
    pub(crate) frame: AnyFrame,
    /// The bytes of each field in hex, and what they are.
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

impl Example {
    /// The whole frame.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.fields.iter().flat_map(|(hex, _)| unhex(hex)).collect()
    }
}

/// A frame of any set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AnyFrame {
    /// From a client.
    Client(ClientFrame),
    /// From a node, on the control stream.
    Node(NodeFrame),
    /// From a node, on a lane.
    Lane(LaneFrame),
}

impl AnyFrame {
    /// Its encoding.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Client(frame) => frame.to_bytes(),
            Self::Node(frame) => frame.to_bytes(),
            Self::Lane(frame) => frame.to_bytes(),
        }
    }

    /// Decodes `raw` as a frame of the same set as this one.
    pub(crate) fn decode_alike(&self, raw: &RawFrame) -> Result<Option<Self>, FrameError> {
        Ok(match self {
            Self::Client(_) => ClientFrame::decode(raw)?.map(Self::Client),
            Self::Node(_) => NodeFrame::decode(raw)?.map(Self::Node),
            Self::Lane(_) => LaneFrame::decode(raw)?.map(Self::Lane),
        })
    }
}

/// Every example, in the order of the document.
pub(crate) fn all() -> Vec<Example> {
    [client::examples(), node::examples(), lane::examples()]
        .into_iter()
        .flatten()
        .collect()
}

/// Hex to bytes; spaces are for the eye.
pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|digit| *digit != ' ')
        .map(|digit| digit.to_digit(16).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

const SESSION: SessionId = SessionId(0x0123_4567_89ab_cdef);
const SECRET: Secret = Secret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
const ACCOUNT: AccountId = AccountId([
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
]);
const EPOCH: Epoch = Epoch(0x5eed);
const AT_MS: u64 = 1_700_000_000_000;

fn cursor(seq: u64) -> Cursor {
    Cursor::new(EPOCH, Seq(seq))
}

fn parsed<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}
