//! The wire between chat clients and nodes: what the bytes mean, and nothing else.
//!
//! This crate owns frames, names, cursors, codes and limits. It never opens a socket, reads a
//! clock, spawns a task or knows Redis; both sides of every connection, and the tests, build on
//! it. `docs/PROTOCOL.md` is the same content in prose, with an example of every frame in hex.
//!
//! # One page
//!
//! A client opens one bidirectional **control stream**, says [`Hello`](client::Hello) and then
//! sends requests and publishes; answers come back on it. For each room the client joined the node
//! opens one unidirectional **lane**: [`Joined`](lane::Joined) first, then the room's entries.
//! A client that scrolls back asks for a page of older entries, which comes on a stream of its own,
//! behind everything that is live.
//! Every stream starts with a varint [`StreamType`]; after it come frames:
//!
//! ```text
//! frame = length (QUIC varint: bytes of kind and body) · kind (QUIC varint) · body (postcard)
//! ```
//!
//! Entries carry no seq of their own: the log is dense, so a lane says once where it starts and
//! each entry that follows is one further. That is what lets every node send the very bytes that
//! are in the log, to every reader.
//!
//! What may be lost, such as who is typing, is said in [datagrams](datagram).
//!
//! Unknown kinds: an odd one is skipped, an even one is an error. A shipped body never changes.

mod bounded;
pub mod client;
pub mod code;
pub mod codec;
pub mod content;
pub mod cursor;
pub mod datagram;
mod frame;
pub mod id;
pub mod lane;
pub mod limits;
pub mod name;
pub mod node;
pub mod text;
pub mod varint;

pub use client::ClientFrame;
pub use code::{CloseCode, ErrorCode, StreamCode};
pub use codec::{FrameDecoder, FrameError, RawFrame};
pub use content::{Content, Reaction, Reference, Right};
pub use cursor::{Cursor, Epoch, Seq};
pub use datagram::{ClientDatagram, NodeDatagram};
pub use frame::Frame;
pub use id::{AccountId, Nonce, RequestId, RoomRef, Secret, SessionId, Token};
pub use lane::LaneFrame;
pub use name::{NodeName, RoomName, UserName};
pub use node::NodeFrame;
pub use text::{Text, Topic};

/// The ALPN protocol name, and with it the major version: peers with another one never talk.
pub const ALPN: &[u8] = b"chat/1";

/// The minor version this crate speaks. A higher one only adds frame kinds and features.
pub const MINOR: u16 = 0;

/// What a stream carries: the first varint on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamType {
    /// Requests, publishes and their answers. Bidirectional, opened once by the client.
    Control,
    /// The events of one room. Unidirectional, opened by the node.
    Lane,
    /// A page of older entries of one room. Unidirectional, opened by the node.
    Page,
}

impl StreamType {
    /// The value on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u64 {
        match self {
            Self::Control => 0x00,
            Self::Lane => 0x01,
            Self::Page => 0x02,
        }
    }

    /// The type with this value, if this version knows it. Refuse a stream of an unknown type with
    /// [`StreamCode::UnsupportedStream`]; the connection lives on.
    #[must_use]
    pub const fn from_wire(value: u64) -> Option<Self> {
        match value {
            0x00 => Some(Self::Control),
            0x01 => Some(Self::Lane),
            0x02 => Some(Self::Page),
            _ => None,
        }
    }
}
