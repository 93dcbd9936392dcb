//! What a client sends on the control stream (kinds `0x40`–`0x7f`).
//!
//! Names and texts are plain strings here: the node parses them, so that a bad one is answered with
//! its own error code and does not end the connection.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::cursor::Cursor;
use crate::frame::frames;
use crate::id::{Nonce, RequestId, RoomRef, Secret, SessionId, Token};
use crate::limits::{AGENT_BYTES_MAX, FEATURES_LEN_MAX};

frames! {
    /// A frame from a client.
    pub enum ClientFrame {
        /// The first frame, once.
        0x40 Hello,
        /// Asks for a room's lane.
        0x42 Join,
        /// Ends a room's lane.
        0x44 Leave,
        /// Appends a message to a joined room.
        0x46 Publish,
        /// Changes the session's name.
        0x48 Rename,
        /// Appends a new topic to a joined room.
        0x4a SetTopic,
        /// Asks who is in a room.
        0x4c ListMembers,
        /// Asks which rooms have members.
        0x4e ListRooms,
        /// Asks for the lane of the room of two with a user.
        0x50 OpenDirect,
        /// Asks for an answer.
        0x52 Ping,
        /// Ends the session; the node answers what is open and then says `Closing`.
        0x54 Bye,
        /// Asks what the node promises and how it fares.
        0x56 AskStatus,
        /// Asks for a page of older entries of a joined room.
        0x58 ReadBefore,
    }
}

/// Who the client is and what it can do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hello {
    /// Highest minor version the client speaks.
    pub minor: u16,
    /// Ids of optional features the client knows, at most
    /// [`FEATURES_LEN_MAX`]. Usable when both sides list them.
    #[serde(deserialize_with = "bounded::list::<FEATURES_LEN_MAX, _, _>")]
    pub features: Vec<u32>,
    /// Program and version, for operators. At most
    /// [`AGENT_BYTES_MAX`].
    #[serde(deserialize_with = "bounded::text::<AGENT_BYTES_MAX, _>")]
    pub agent: String,
    /// The name wanted. The node adds a suffix when it is taken, and picks one when there is none.
    pub name: Option<String>,
    /// Proof of an account.
    pub token: Option<Token>,
    /// The session to continue.
    pub resume: Option<Resume>,
}

/// A session to continue, on this or another node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Resume {
    /// As welcomed.
    pub session: SessionId,
    /// As welcomed.
    pub secret: Secret,
}

/// Asks for a room's lane. The answer is the lane itself, or `Failed`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Join {
    /// Comes back in `Joined` or `Failed`.
    pub request: RequestId,
    /// The room's name.
    pub room: String,
    /// Which entry comes first.
    pub start: Start,
}

/// Where a lane starts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Start {
    /// After the log's head: only what is appended from now on.
    Live,
    /// The last so many entries, then what follows. At most
    /// [`HISTORY_LEN_MAX`](crate::limits::HISTORY_LEN_MAX).
    Last(u32),
    /// After this cursor: what the reader missed, then what follows.
    After(Cursor),
}

/// Ends a room's lane. Answered by `Done`; the lane ends with `End`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Leave {
    /// Comes back in `Done` or `Failed`.
    pub request: RequestId,
    /// As told in `Joined`.
    pub room: RoomRef,
}

/// Appends a message. Answered by `Ack` or `Rejected`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Publish {
    /// As told in `Joined`.
    pub room: RoomRef,
    /// Comes back in the answer; repeated on a retry.
    pub nonce: Nonce,
    /// What the body is.
    pub content_type: u32,
    /// At most [`BODY_BYTES_MAX`](crate::limits::BODY_BYTES_MAX).
    pub body: Bytes,
}

/// Changes the session's name. Answered by `Renamed` or `Failed`; never suffixed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rename {
    /// Comes back in the answer.
    pub request: RequestId,
    /// The name wanted.
    pub name: String,
}

/// Appends a new topic. Shares the nonces of `Publish`; answered by `Ack` or `Rejected`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetTopic {
    /// As told in `Joined`.
    pub room: RoomRef,
    /// Comes back in the answer; repeated on a retry.
    pub nonce: Nonce,
    /// The topic wanted; empty for none.
    pub topic: String,
}

/// Asks for a page of a room's members, by name. Answered by `MemberPage`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListMembers {
    /// Comes back in the answer.
    pub request: RequestId,
    /// The room's name.
    pub room: String,
    /// The last name of the page before.
    pub after: Option<String>,
}

/// Asks for a page of the rooms that have members, by name. Answered by `RoomPage`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListRooms {
    /// Comes back in the answer.
    pub request: RequestId,
    /// The last name of the page before.
    pub after: Option<String>,
}

/// Asks for the lane of the room of two with a user who is connected. Answered like `Join`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OpenDirect {
    /// Comes back in the answer.
    pub request: RequestId,
    /// Name of the other.
    pub with: String,
}

/// Asks for `Done`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ping {
    /// Comes back in `Done`.
    pub request: RequestId,
}

/// Asks for `Status`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AskStatus {
    /// Comes back in `Status`.
    pub request: RequestId,
}

/// Ends the session without a grace time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bye {}

/// Asks for the entries right before one, to scroll back. Answered by a page, a stream of its own
/// whose first frame is [`HistoryPage`](crate::lane::HistoryPage), or by `Failed`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReadBefore {
    /// Comes back in `HistoryPage` or `Failed`.
    pub request: RequestId,
    /// As told in `Joined`.
    pub room: RoomRef,
    /// The oldest entry the reader has: the page ends right before it.
    pub before: Cursor,
    /// How many entries. At most
    /// [`HISTORY_PAGE_LEN_MAX`](crate::limits::HISTORY_PAGE_LEN_MAX); 0 only asks what there is.
    pub len: u32,
}
