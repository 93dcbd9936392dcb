//! What a node sends on the control stream (kinds `0x80`–`0xbf`).

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::cursor::Cursor;
use crate::frame::frames;
use crate::id::{AccountId, Nonce, RequestId, RoomRef, Secret, SessionId};
use crate::limits::{DETAIL_BYTES_MAX, FEATURES_LEN_MAX, GOAWAY_NODES_MAX, PAGE_LEN_MAX};
use crate::name::{NodeName, RoomName, UserName};

frames! {
    /// A frame from a node.
    pub enum NodeFrame {
        /// Answers `Hello`.
        0x80 Welcome,
        /// A request is done.
        0x82 Done,
        /// A request is refused.
        0x84 Failed,
        /// A publish is in the log.
        0x86 Ack,
        /// A publish is refused.
        0x88 Rejected,
        /// Members of a room.
        0x8a MemberPage,
        /// Rooms that have members.
        0x8c RoomPage,
        /// The session has a new name.
        0x8e Renamed,
        /// The node is about to stop: connect elsewhere, resume, then leave.
        0x90 Goaway,
        /// Whether the backplane answers. Odd: a client may not care.
        0x91 BackplaneState,
        /// The last frame: the client closes the connection when it has read it.
        0x92 Closing,
        /// Answers `AskStatus`.
        0x96 Status,
    }
}

/// The session, and what it may do here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Welcome {
    /// Highest minor version both sides speak.
    pub minor: u16,
    /// Ids of optional features both sides know.
    #[serde(deserialize_with = "bounded::list::<FEATURES_LEN_MAX, _, _>")]
    pub features: Vec<u32>,
    /// The node's name.
    pub node: NodeName,
    /// The session's id.
    pub session: SessionId,
    /// What resumes the session, on any node of the cluster.
    pub secret: Secret,
    /// The session's name, perhaps with a suffix.
    pub name: UserName,
    /// The session's account; none for a guest.
    pub account: Option<AccountId>,
    /// Whether this is the session the hello asked to resume: its nonces continue.
    pub resumed: bool,
    /// What the session may do: see [`Permissions`].
    pub permissions: Permissions,
    /// What the session must respect.
    pub limits: SessionLimits,
}

/// What a session may do, as bits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Permissions(pub u32);

impl Permissions {
    /// Join rooms and read them.
    pub const JOIN: Self = Self(1);
    /// Publish messages.
    pub const PUBLISH: Self = Self(1 << 1);
    /// Set topics.
    pub const TOPIC: Self = Self(1 << 2);
    /// Open rooms of two.
    pub const DIRECT: Self = Self(1 << 3);
    /// List rooms and members.
    pub const LIST: Self = Self(1 << 4);
    /// Change its own name.
    pub const RENAME: Self = Self(1 << 5);
    /// Everything a user may do.
    pub const USER: Self = Self((1 << 6) - 1);

    /// Whether all of `wanted` is granted.
    #[must_use]
    pub const fn contains(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// Limits of a session, as configured on the node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionLimits {
    /// Largest text, in bytes.
    pub text_bytes_max: u32,
    /// Most rooms.
    pub rooms_max: u32,
    /// Most publishes without an answer.
    pub in_flight_max: u32,
    /// Silence after which the node takes the client for gone, in milliseconds.
    pub idle_ms: u32,
}

/// A request is done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Done {
    /// As asked.
    pub request: RequestId,
}

/// A request is refused. [`RequestId::NONE`] refuses the hello.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failed {
    /// As asked.
    pub request: RequestId,
    /// An [`ErrorCode`](crate::ErrorCode), or a later one.
    pub code: u32,
    /// When to try again, in milliseconds, if that helps.
    pub retry_after_ms: Option<u32>,
    /// What exactly, for people. Encoding cuts it to [`DETAIL_BYTES_MAX`].
    #[serde(
        serialize_with = "bounded::cut::<DETAIL_BYTES_MAX, _>",
        deserialize_with = "bounded::text::<DETAIL_BYTES_MAX, _>"
    )]
    pub detail: String,
}

/// A publish is in the log, whether by this or an earlier try.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ack {
    /// As published.
    pub room: RoomRef,
    /// As published.
    pub nonce: Nonce,
    /// Its place in the log.
    pub cursor: Cursor,
}

/// A publish is refused. If the code may be retried, repeat it with the same nonce, and the later
/// ones of that room after it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rejected {
    /// As published.
    pub room: RoomRef,
    /// As published.
    pub nonce: Nonce,
    /// An [`ErrorCode`](crate::ErrorCode), or a later one.
    pub code: u32,
    /// When to try again, in milliseconds, if that helps.
    pub retry_after_ms: Option<u32>,
    /// What exactly, for people. Encoding cuts it to [`DETAIL_BYTES_MAX`].
    #[serde(
        serialize_with = "bounded::cut::<DETAIL_BYTES_MAX, _>",
        deserialize_with = "bounded::text::<DETAIL_BYTES_MAX, _>"
    )]
    pub detail: String,
}

/// A page of a room's members, ordered by name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MemberPage {
    /// As asked.
    pub request: RequestId,
    /// All members of the room.
    pub total: u32,
    /// At most [`PAGE_LEN_MAX`].
    #[serde(deserialize_with = "bounded::list::<PAGE_LEN_MAX, _, _>")]
    pub members: Vec<UserName>,
    /// Whether more follow after the last.
    pub more: bool,
}

/// A page of rooms, ordered by name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RoomPage {
    /// As asked.
    pub request: RequestId,
    /// At most [`PAGE_LEN_MAX`].
    #[serde(deserialize_with = "bounded::list::<PAGE_LEN_MAX, _, _>")]
    pub rooms: Vec<RoomSummary>,
    /// Whether more follow after the last.
    pub more: bool,
}

/// A room and how many are in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RoomSummary {
    /// Its name.
    pub name: RoomName,
    /// Its members.
    pub members: u32,
}

/// The session has a new name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Renamed {
    /// As asked, or [`RequestId::NONE`].
    pub request: RequestId,
    /// The name.
    pub name: UserName,
}

/// The node is about to stop.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Goaway {
    /// How long this client should wait before it moves, in milliseconds; nodes spread it.
    pub delay_ms: u32,
    /// Other nodes as `host:port`, at most
    /// [`GOAWAY_NODES_MAX`].
    #[serde(deserialize_with = "bounded::list::<GOAWAY_NODES_MAX, _, _>")]
    pub nodes: Vec<String>,
}

/// Whether the backplane answers this node. While it does not, publishes are refused as retryable.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BackplaneState {
    /// Whether it answers.
    pub available: bool,
}

/// What a node promises, and how it fares.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// As asked.
    pub request: RequestId,
    /// What an acked entry survives: a [`Durability`], or a later one.
    pub durability: Durability,
    /// Whether the backplane may drop acked entries when its memory is full.
    pub may_evict: bool,
    /// Entries and announcements that were damaged or foreign, since the node started.
    pub damaged: u64,
    /// Panics of the node's services, since it started.
    pub panics: u64,
}

/// What an acked entry survives. Later versions may add to these.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Durability(pub u32);

impl Durability {
    /// Not known: the backplane does not tell.
    pub const UNKNOWN: Self = Self(0);
    /// Nothing: the log is in the node's own memory.
    pub const NODE: Self = Self(1);
    /// Nothing: the log is in the backplane's memory.
    pub const MEMORY: Self = Self(2);
    /// A crash of the backplane, if it is older than the last snapshot.
    pub const SNAPSHOT: Self = Self(3);
    /// A crash of the backplane's process; one of its machine if the system had written it to disk.
    pub const SYSTEM: Self = Self(4);
    /// A crash of the backplane, if it is older than about a second.
    pub const SECOND: Self = Self(5);
    /// A crash of the backplane.
    pub const CRASH: Self = Self(6);
}

/// The last frame of a connection.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Closing {
    /// A [`CloseCode`](crate::CloseCode), or a later one.
    pub code: u32,
    /// What exactly, for people. Encoding cuts it to [`DETAIL_BYTES_MAX`].
    #[serde(
        serialize_with = "bounded::cut::<DETAIL_BYTES_MAX, _>",
        deserialize_with = "bounded::text::<DETAIL_BYTES_MAX, _>"
    )]
    pub detail: String,
}
