//! What a node sends on a lane or a page: entries of the room's log, and marks between them.
//!
//! Kinds below `0x20` are **entries**: each takes the next seq, also one of an unknown odd kind that
//! is skipped. Kinds `0x10`–`0x1f` are entries of nodes among themselves and never on a lane. Kinds
//! `0x20`–`0x3f` are **marks** and take no seq.

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::content::Content;
use crate::cursor::{Cursor, Epoch, Seq};
use crate::frame::frames;
use crate::id::{AccountId, Nonce, RequestId, RoomRef, SessionId};
use crate::limits::PRESENCE_NAMES_MAX;
use crate::name::{RoomName, UserName};
use crate::text::{Text, Topic};

frames! {
    /// A frame on a lane.
    pub enum LaneFrame {
        /// Entry: somebody said something.
        0x02 Message,
        /// Entry: somebody set the topic.
        0x04 TopicChanged,
        /// Entry: the server says something to everybody. Only in `@system`.
        0x06 Notice,
        /// Entry: what was here is damaged and cannot be read.
        0x08 Damaged,
        /// Mark: the first frame of a lane.
        0x20 Joined,
        /// Mark: where the next entry stands.
        0x22 At,
        /// Mark: entries are missing before the next one.
        0x24 Gap,
        /// Mark: the last frame of a lane.
        0x26 End,
        /// Mark: who came and went. Odd: a client may not care.
        0x27 Presence,
        /// Mark: the first frame of a page. Never on a lane.
        0x28 HistoryPage,
    }
}

/// Whether a frame of this kind takes a seq.
#[must_use]
pub const fn is_entry(kind: u64) -> bool {
    kind < 0x20
}

/// Whether an entry of this kind is between nodes only.
#[must_use]
pub const fn is_internal(kind: u64) -> bool {
    matches!(kind, 0x10..=0x1f)
}

/// Who wrote an entry: set by the node from the session, never by the client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Author {
    /// The session that wrote it.
    pub session: SessionId,
    /// Its account; none for a guest.
    pub account: Option<AccountId>,
    /// Its name when it wrote.
    pub name: UserName,
}

impl Author {
    /// Whether the other is the same by what nodes can prove: the same session, or the same account.
    /// A name proves nothing: it is free for others when its session has ended.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let is_same_account = self.account.is_some() && self.account == other.account;
        self.session == other.session || is_same_account
    }
}

/// Somebody said something.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Message {
    /// Who.
    pub author: Author,
    /// The author's number for it: with the session it identifies the message.
    pub nonce: Nonce,
    /// When the node took it: milliseconds since 1970. For people; order is by seq.
    pub at_ms: u64,
    /// What.
    pub content: Content,
}

/// Somebody set the topic.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TopicChanged {
    /// Who.
    pub author: Author,
    /// The author's number for it.
    pub nonce: Nonce,
    /// When the node took it: milliseconds since 1970.
    pub at_ms: u64,
    /// The new topic; empty for none.
    pub topic: Topic,
}

/// The server says something to everybody.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notice {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// How important.
    pub level: NoticeLevel,
    /// What.
    pub text: Text,
}

/// How important a notice is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum NoticeLevel {
    /// For the record.
    Info,
    /// Somebody should act.
    Warning,
}

/// What was here is damaged and cannot be read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Damaged {}

/// The lane is open.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Joined {
    /// As asked, or [`RequestId::NONE`] when the node opened the lane by itself.
    pub request: RequestId,
    /// The room's short name on this connection.
    pub room: RoomRef,
    /// The room.
    pub name: RoomName,
    /// The other user of a room of two.
    pub direct: Option<UserName>,
    /// The log's last entry at this moment: what comes up to it is history.
    pub head: Cursor,
    /// Seq of the first entry that follows, in the epoch of `head`.
    pub next: Seq,
    /// Why `next` is not what was asked for, if so.
    pub gap: Option<GapReason>,
    /// Members of the room, about.
    pub members: u32,
    /// The topic at this moment; empty for none.
    pub topic: Topic,
}

/// Where the next entry stands. A receiver that counted otherwise has met a fault.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct At {
    /// The log's epoch.
    pub epoch: Epoch,
    /// Seq of the next entry.
    pub next: Seq,
}

/// Entries are missing before the next one, and cannot be had any more.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// The log's epoch from here on.
    pub epoch: Epoch,
    /// Seq of the next entry.
    pub next: Seq,
}

/// Why entries are missing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum GapReason {
    /// They left the log's bounds before the reader came.
    Trimmed,
    /// The log began anew; what the reader had beyond the fork is not in it.
    Diverged,
    /// The reader was too slow.
    Lagged,
}

/// The lane ends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
}

/// Why a lane ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum EndReason {
    /// The client left.
    Left,
    /// The session may not be there any more.
    Removed,
    /// The connection is closing.
    Closing,
}

/// Who came and went since the last such frame: a hint that converges, unordered with entries.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Presence {
    /// Members of the room now.
    pub members: u32,
    /// What happened; at most [`PRESENCE_NAMES_MAX`].
    #[serde(deserialize_with = "bounded::list::<PRESENCE_NAMES_MAX, _, _>")]
    pub changes: Vec<PresenceChange>,
    /// Changes beyond those listed.
    pub more: u32,
}

/// One change of a room's members.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum PresenceChange {
    /// A user came.
    Joined(UserName),
    /// A user left.
    Left(UserName),
    /// A user has another name.
    Renamed {
        /// The name before.
        from: UserName,
        /// The name now.
        to: UserName,
    },
}

/// A page of older entries follows: those from `next` up to but not including `end`. Seqs are of
/// `epoch`, which may be another than was asked with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HistoryPage {
    /// As asked.
    pub request: RequestId,
    /// The log's epoch.
    pub epoch: Epoch,
    /// Seq of the oldest entry that can be had. A page with `next` up to here is the last one.
    pub first: Seq,
    /// Seq of the first entry that follows, and where the page before this one ends.
    pub next: Seq,
    /// Seq after the last entry that follows.
    pub end: Seq,
    /// Why the page does not end right before what was asked, if so.
    pub gap: Option<GapReason>,
}
