//! Identifiers: each its own type, so that none is taken for another.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounded;
use crate::limits::TOKEN_BYTES_MAX;

/// A user's presence in the cluster: chosen by the node at the first hello, kept over reconnects.
/// Public: it is in every entry the session wrote.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct SessionId(pub u64);

impl Display for SessionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

/// A text that is not a session id: up to 16 hex digits.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a session id is up to 16 hex digits")]
pub struct InvalidSessionId;

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| InvalidSessionId)
    }
}

/// An authenticated account, the same over all its sessions. Guests have none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct AccountId(pub [u8; 16]);

/// Proof that a client owns a session. Never printed.
#[derive(Clone, Copy, Deserialize, Eq, PartialEq, Serialize)]
pub struct Secret(pub [u8; 16]);

impl Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// A bearer token, of at most [`TOKEN_BYTES_MAX`]. Never printed.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Token(#[serde(deserialize_with = "bounded::text::<TOKEN_BYTES_MAX, _>")] pub String);

impl Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(…)")
    }
}

/// Ties an answer to its request. Chosen by the client; [`RequestId::NONE`] is the node's own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct RequestId(pub u32);

impl RequestId {
    /// What the node uses when nobody asked. Clients start at 1.
    pub const NONE: Self = Self(0);
}

/// A room on one connection: the short name that publishes and acks use. Chosen by the node.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct RoomRef(pub u32);

/// A client's number for a publish: rising within a session and room. A retry repeats it, and gets
/// the first answer again. Starts at 1.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct Nonce(pub u64);

impl Nonce {
    /// Largest nonce: integers beyond it are not exact in the Lua of the backplane.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The nonce after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Display for Nonce {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, out)
    }
}
