//! What the application is told.

use std::fmt::{self, Display};
use std::time::Duration;

use chat_protocol::lane::{EndReason, GapReason, Message, Notice, PresenceChange, TopicChanged};
use chat_protocol::{CloseCode, Cursor, RoomName, Seq, SessionId, Topic, UserName};

use crate::session::Welcomed;

/// Something happened. Events of one room come in the order of its log; events of different rooms,
/// and those of the connection, have no order among each other beyond what their texts say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A node welcomed the session: at first, after a reconnect, and after a move to another node.
    Connected(Welcomed),
    /// The connection is lost, or an attempt to connect again failed. What is published now waits.
    Disconnected {
        /// Why.
        reason: Disconnect,
        /// When the next attempt starts; `None` when there will be none.
        retry_in: Option<Duration>,
        /// Which attempt that is, from 1, since the last connection that held.
        attempt: u32,
    },
    /// The first event of a room: where reading starts, and what the room looks like.
    Joined {
        /// The room.
        room: RoomName,
        /// The other user of a room of two.
        direct: Option<UserName>,
        /// The log's last entry at that moment: what comes up to it is history.
        head: Cursor,
        /// Seq of the first entry that follows, in the epoch of `head`.
        next: Seq,
        /// Members, about.
        members: u32,
        /// The topic; empty for none.
        topic: Topic,
        /// Whether the room was joined before a reconnect and reading goes on where it was.
        rejoined: bool,
    },
    /// Somebody said something.
    Message {
        /// The room.
        room: RoomName,
        /// Its place in the room's log.
        cursor: Cursor,
        /// Who, when and what.
        message: Message,
        /// Whether this client wrote it. What somebody put into the log in its name, such as a copy
        /// of one of its latest 256 messages there, is not its own.
        own: bool,
        /// Whether it was in the log before the room was joined, or rejoined.
        history: bool,
    },
    /// Somebody set the topic.
    TopicChanged {
        /// The room.
        room: RoomName,
        /// Its place in the room's log.
        cursor: Cursor,
        /// Who, when and what.
        change: TopicChanged,
        /// Whether it was in the log before the room was joined, or rejoined.
        history: bool,
    },
    /// The server says something to everybody.
    Notice {
        /// Its place in the log of `@system`.
        cursor: Cursor,
        /// When, how important and what.
        notice: Notice,
        /// Whether it was there before the connection.
        history: bool,
    },
    /// An entry is damaged and cannot be read, by anybody.
    Damaged {
        /// The room.
        room: RoomName,
        /// Its place in the room's log.
        cursor: Cursor,
    },
    /// Entries are missing here and cannot be had any more.
    Gap {
        /// The room.
        room: RoomName,
        /// Why.
        reason: GapReason,
        /// The last entry before the hole, if there was one.
        from: Option<Cursor>,
        /// The first entry after the hole.
        next: Cursor,
    },
    /// Who came and went: a hint that converges, without order among the messages.
    Presence {
        /// The room.
        room: RoomName,
        /// Members now.
        members: u32,
        /// What happened.
        changes: Vec<PresenceChange>,
        /// Changes beyond those listed.
        more: u32,
    },
    /// Somebody else is typing, as far as is known: for [`TYPING_TIME`](crate::TYPING_TIME) from now
    /// on, or until a [`Message`](Self::Message) of that session comes. A hint without order, of which
    /// some are lost, and the first to go when events wait.
    Typing {
        /// The room.
        room: RoomName,
        /// Who.
        session: SessionId,
        /// Their name.
        name: UserName,
    },
    /// The last event of a room: it was left, or taken away.
    Left {
        /// The room.
        room: RoomName,
        /// Why.
        reason: EndReason,
    },
    /// The session has a new name.
    Renamed {
        /// The name.
        name: UserName,
    },
    /// The node is about to stop. The client moves by itself, without losing anything.
    Goaway {
        /// When the move starts.
        delay: Duration,
        /// The other nodes the node told, as `host:port`.
        nodes: Vec<String>,
    },
    /// Whether the node reaches the backplane. While it does not, what is published waits.
    BackplaneState {
        /// Whether it does.
        available: bool,
    },
    /// The last event: the client is closed and will not connect again.
    Closed {
        /// Why.
        reason: Disconnect,
    },
}

impl Event {
    /// The room this is about, if any. Notices belong to `@system`.
    #[must_use]
    pub const fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Joined { room, .. }
            | Self::Message { room, .. }
            | Self::TopicChanged { room, .. }
            | Self::Damaged { room, .. }
            | Self::Gap { room, .. }
            | Self::Presence { room, .. }
            | Self::Typing { room, .. }
            | Self::Left { room, .. } => Some(room),
            _ => None,
        }
    }

    /// The place in the room's log, when this is an entry.
    #[must_use]
    pub const fn cursor(&self) -> Option<Cursor> {
        match self {
            Self::Message { cursor, .. }
            | Self::TopicChanged { cursor, .. }
            | Self::Notice { cursor, .. }
            | Self::Damaged { cursor, .. } => Some(*cursor),
            _ => None,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disconnect {
    /// A [`CloseCode`] or [`ErrorCode`](chat_protocol::ErrorCode), or a later one; `None` when no
    /// node said why, such as when it fell silent.
    pub code: Option<u32>,
    /// What happened, for people. Never empty.
    pub text: String,
}

impl Disconnect {
    /// A close code with the node's words, or else its own.
    pub(crate) fn by_node(code: u32, detail: &str) -> Self {
        let text = match (detail, CloseCode::from_wire(code)) {
            ("", Some(code)) => code.text().to_owned(),
            ("", None) => format!("closed with code {code:#x}"),
            (detail, _) => detail.to_owned(),
        };
        Self {
            code: Some(code),
            text,
        }
    }

    /// What no node said.
    pub(crate) fn without_code(text: impl Into<String>) -> Self {
        Self {
            code: None,
            text: text.into(),
        }
    }

    /// What this client closed itself for.
    pub(crate) fn done() -> Self {
        Self::by_node(CloseCode::Done.to_wire(), "")
    }
}

impl Display for Disconnect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}
