//! What peers say in QUIC datagrams: what may be lost, is never said again, and enters no log.
//!
//! A datagram is a kind (QUIC varint) and a body (postcard), without a length. Unlike a frame, one
//! that cannot be understood is ignored: nothing depends on it, and the connection lives on. Peers
//! send datagrams only when the feature that they belong to is in use: see [`TYPING`].

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::{self, FrameError};
use crate::id::{RoomRef, SessionId};
use crate::limits::TYPING_BYTES_MAX;
use crate::name::UserName;
use crate::varint;

/// Id of the feature that has members told who is typing. In use when `Hello` and `Welcome` list it.
pub const TYPING: u32 = 1;

/// How long somebody counts as typing after a [`Typing`]. A message of theirs ends it earlier.
pub const TYPING_TIME: Duration = Duration::from_secs(5);

/// A datagram from a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientDatagram {
    /// The session is typing.
    IsTyping(IsTyping),
}

/// A datagram from a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NodeDatagram {
    /// Somebody is typing.
    Typing(Typing),
}

/// The session is typing in a room.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IsTyping {
    /// As told in `Joined`.
    pub room: RoomRef,
}

/// Somebody is typing in a room.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Typing {
    /// As told in `Joined`.
    pub room: RoomRef,
    /// Who: messages of this session end it.
    pub session: SessionId,
    /// Their name.
    pub name: UserName,
}

/// Why bytes are no datagram of this protocol.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum DatagramError {
    /// Longer than [`TYPING_BYTES_MAX`].
    #[error("a datagram of {0} bytes, limit {TYPING_BYTES_MAX}")]
    TooLarge(usize),
    /// Its kind is not there, or its body is not what the kind says.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl ClientDatagram {
    /// Kind of [`IsTyping`].
    pub const IS_TYPING: u64 = 0xc0;

    /// The datagram's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::IsTyping(body) => encode(Self::IS_TYPING, body),
        }
    }

    /// Reads a datagram; `None` for a kind that this version does not know.
    ///
    /// # Errors
    /// When it is too long, or not what its kind says: it is to be ignored.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DatagramError> {
        Ok(match open(bytes)? {
            (Self::IS_TYPING, body) => Some(Self::IsTyping(codec::body(Self::IS_TYPING, body)?)),
            _ => None,
        })
    }
}

impl NodeDatagram {
    /// Kind of [`Typing`].
    pub const TYPING: u64 = 0xc2;

    /// The datagram's bytes: at most [`TYPING_BYTES_MAX`].
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Typing(body) => encode(Self::TYPING, body),
        }
    }

    /// Reads a datagram; `None` for a kind that this version does not know.
    ///
    /// # Errors
    /// When it is too long, or not what its kind says: it is to be ignored.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DatagramError> {
        Ok(match open(bytes)? {
            (Self::TYPING, body) => Some(Self::Typing(codec::body(Self::TYPING, body)?)),
            _ => None,
        })
    }
}

fn encode<T: Serialize>(kind: u64, body: &T) -> Bytes {
    let body = postcard::to_stdvec(body).expect("bodies of this crate always encode");
    let mut out = BytesMut::with_capacity(varint::len(kind) + body.len());
    varint::put(kind, &mut out);
    out.extend_from_slice(&body);
    out.freeze()
}

fn open(bytes: &[u8]) -> Result<(u64, &[u8]), DatagramError> {
    if bytes.len() > TYPING_BYTES_MAX {
        return Err(DatagramError::TooLarge(bytes.len()));
    }
    let (kind, length) = varint::read(bytes)
        .map_err(FrameError::from)?
        .ok_or(FrameError::NoKind)?;
    Ok((kind, bytes.get(length..).unwrap_or_default()))
}
