//! Everything a surface may have to show: what happened, and what came of what was asked.
//!
//! Reports carry parsed values, not prose: the text and JSON surfaces each make their own of them.

pub mod node;
mod refer;

use std::fmt::{self, Display};
use std::time::Duration;

use chat_client::MessageId;
use chat_protocol::lane::{EndReason, GapReason, Message, Notice, PresenceChange, TopicChanged};
use chat_protocol::node::RoomSummary;
use chat_protocol::{Cursor, ErrorCode, NodeName, RoomName, SessionId, Topic, UserName};

use crate::report::node::NodeReport;
pub use crate::report::refer::{Context, Now, Quoted, Standing};

/// Something to show.
#[derive(Clone, Debug)]
pub enum Report {
    /// The first connection is being made.
    Connecting {
        /// Where to, as given.
        targets: Vec<String>,
    },
    /// A node welcomed the session.
    Connected {
        /// The node.
        node: NodeName,
        /// Its address.
        target: String,
        /// The session.
        session: SessionId,
        /// The session's name.
        name: UserName,
        /// Whether this is the first welcome of this run.
        first: bool,
        /// Whether the session goes on where it was.
        resumed: bool,
    },
    /// The connection is gone, or could not be made again.
    Disconnected {
        /// The node it led to.
        node: Option<NodeName>,
        /// Why.
        reason: String,
        /// When the next try is made, if one is.
        retry_in: Option<Duration>,
        /// How many tries have failed since the last welcome.
        attempt: u32,
    },
    /// A room is open.
    Joined {
        /// Which.
        place: Place,
        /// The log's last entry at this moment.
        head: Cursor,
        /// Entries that follow and are older than this moment.
        past: u64,
        /// Members, about.
        members: u32,
        /// The topic.
        topic: Topic,
        /// Whether it was open before the connection was lost.
        rejoined: bool,
    },
    /// A room is closed.
    Left {
        /// Which.
        place: Place,
        /// Why.
        reason: EndReason,
    },
    /// The current room is another one.
    Went {
        /// Which.
        place: Place,
    },
    /// Somebody said something.
    Message {
        /// Where.
        place: Place,
        /// Its place in the log.
        cursor: Cursor,
        /// What.
        message: Message,
        /// Whether this session wrote it.
        own: bool,
        /// Whether it is older than the joining.
        history: bool,
        /// Whether it names this session's user, or answers a message of this session.
        mention: bool,
        /// What it answers, and what became of it.
        context: Context,
    },
    /// Somebody edited or deleted an earlier message, or reacted to one.
    Refers {
        /// Where.
        place: Place,
        /// The place of the change itself in the log.
        cursor: Cursor,
        /// The change: an edit, a deletion or a reaction, and whose it is.
        message: Message,
        /// The message it is about.
        target: Cursor,
        /// That message as it was until then, if it is known.
        quoted: Option<Quoted>,
        /// Whether it counts.
        standing: Standing,
        /// Whether this session wrote it.
        own: bool,
        /// Whether it is older than the joining.
        history: bool,
    },
    /// Somebody set a topic.
    TopicChanged {
        /// Where.
        place: Place,
        /// Its place in the log.
        cursor: Cursor,
        /// What.
        change: TopicChanged,
        /// Whether this session wrote it.
        own: bool,
        /// Whether it is older than the joining.
        history: bool,
    },
    /// The server says something to everybody.
    Notice {
        /// Its place in the log of notices.
        cursor: Cursor,
        /// What.
        notice: Notice,
        /// Whether it is older than the connection.
        history: bool,
    },
    /// An entry cannot be read.
    Damaged {
        /// Where.
        place: Place,
        /// Its place in the log.
        cursor: Cursor,
        /// Whether it is one of older entries that were asked for.
        older: bool,
    },
    /// Entries are missing, and cannot be had any more.
    Gap {
        /// Where.
        place: Place,
        /// Why.
        reason: GapReason,
        /// The last entry before the gap, if any.
        from: Option<Cursor>,
        /// The first entry after it.
        next: Cursor,
        /// Whether it is among older entries that were asked for.
        older: bool,
    },
    /// Older entries of a room, as asked for.
    Older {
        /// As asked.
        reference: Option<String>,
        /// Where.
        place: Place,
        /// The entries, oldest first: each a report of its own.
        entries: Vec<Self>,
        /// Where what is before them ends; none when there is nothing older to be had.
        before: Option<Cursor>,
        /// Whether the room's log begins with these.
        beginning: bool,
        /// Why they are not right before what was asked, if so.
        gap: Option<GapReason>,
    },
    /// Users came and went.
    Presence {
        /// Where.
        place: Place,
        /// Members now.
        members: u32,
        /// What happened.
        changes: Vec<PresenceChange>,
        /// Changes beyond those listed.
        more: u32,
    },
    /// Somebody else is typing: for [`TYPING_TIME`](chat_client::TYPING_TIME), or until a message of
    /// theirs comes.
    Typing {
        /// Where.
        place: Place,
        /// Who.
        name: UserName,
    },
    /// The session has another name.
    Renamed {
        /// The name.
        name: UserName,
    },
    /// The session did not get the name it wanted.
    NameDiffers {
        /// The name wanted.
        wanted: String,
        /// The name given.
        name: UserName,
    },
    /// The node is about to stop; the session moves by itself.
    Draining {
        /// When.
        delay: Duration,
    },
    /// Whether the backplane answers the node.
    Backplane {
        /// Whether it does.
        available: bool,
    },
    /// The connection ended for good.
    Closed {
        /// Why.
        reason: String,
    },
    /// A message waits to be sent, or is on its way. It is settled by an ack or a
    /// [`NotSent`](Self::NotSent) with the same id; where it stands in the log, it is
    /// [`MessageId::from`] the message that has it (see there for a session that could not go on).
    Sent {
        /// As asked.
        reference: Option<String>,
        /// Where.
        place: Place,
        /// Which.
        id: MessageId,
    },
    /// A message is in the log.
    Acked {
        /// As asked.
        reference: Option<String>,
        /// Where.
        place: Place,
        /// Its place in the log.
        cursor: Cursor,
        /// Which.
        id: MessageId,
        /// Time from asking to the ack.
        took: Duration,
    },
    /// Messages are not in the log yet; they are kept and sent again.
    Overdue {
        /// How many.
        len: usize,
    },
    /// Something asked for did not come to be.
    Refused {
        /// As asked.
        reference: Option<String>,
        /// Why.
        refusal: Refusal,
    },
    /// A message that waited to be sent, or was sent, is not in the log, as far as is known.
    NotSent {
        /// As asked.
        reference: Option<String>,
        /// Where it was to be.
        place: Place,
        /// Which.
        id: MessageId,
        /// Why.
        refusal: Refusal,
    },
    /// Something asked for is done, and there is nothing else to say of it.
    Done {
        /// As asked.
        reference: Option<String>,
        /// What was asked.
        operation: &'static str,
        /// In which room, if in one.
        place: Option<Place>,
    },
    /// Who is in a room.
    Members {
        /// As asked.
        reference: Option<String>,
        /// Which room.
        place: Place,
        /// Who.
        members: Vec<UserName>,
    },
    /// Which rooms have members.
    Rooms {
        /// As asked.
        reference: Option<String>,
        /// Which.
        rooms: Vec<RoomSummary>,
    },
    /// A room's topic.
    Topic {
        /// Which room.
        place: Place,
        /// Its topic.
        topic: Topic,
    },
    /// The node answered a ping.
    Pong {
        /// As asked.
        reference: Option<String>,
        /// The time to the node and back.
        took: Duration,
    },
    /// The node, the way to it, and what it promises.
    Node(Box<NodeReport>),
    /// Another connection is made, as asked for.
    Reconnecting {
        /// As asked.
        reference: Option<String>,
    },
    /// Something to read.
    Help {
        /// Line by line.
        lines: Vec<String>,
    },
    /// The program ends.
    Bye {
        /// Its exit code.
        code: u8,
        /// Why.
        reason: &'static str,
    },
}

/// A room, as people know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The room.
    pub room: RoomName,
    /// The other user of a room of two.
    pub direct: Option<UserName>,
}

impl Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.direct {
            Some(user) => write!(out, "@{user}"),
            None => write!(out, "#{}", self.room),
        }
    }
}

/// Why something did not come to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// A stable word for it.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// What to do about it, for people.
    pub hint: Option<&'static str>,
    /// Whether the same may succeed later.
    pub retryable: bool,
    /// When, if known.
    pub retry_after: Option<Duration>,
    /// The line of the input that asked for it, from 1.
    pub line: Option<u64>,
}

impl Refusal {
    /// A refusal of this program itself, that will be one every time.
    #[must_use]
    pub fn local(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            retryable: false,
            retry_after: None,
            line: None,
        }
    }

    /// A line of the input that could not be understood.
    #[must_use]
    pub fn bad_input(line: u64, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::local("bad_input", message)
        }
    }

    /// A refusal of the node, by its number.
    #[must_use]
    pub fn by_node(code: u32, detail: &str, retry_after: Option<Duration>) -> Self {
        let known = ErrorCode::from_wire(code);
        let text = known.map_or_else(
            || format!("refused with code {code}"),
            |code| code.text().to_owned(),
        );
        Self {
            code: known.map_or_else(|| format!("code_{code}"), ErrorCode::name),
            message: if detail.is_empty() || detail == text {
                text
            } else {
                format!("{text}: {detail}")
            },
            hint: known.and_then(hint),
            retryable: ErrorCode::is_retryable(code),
            retry_after,
            line: None,
        }
    }

    /// The same, with something to do about it.
    #[must_use]
    pub fn with_hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }
}

/// What to do about a refusal, where the code's text does not say it.
const fn hint(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::InvalidName => Some("names are made of letters, digits, '-', '_' and '.'"),
        ErrorCode::NameTaken | ErrorCode::NameReserved => Some("choose another name: /nick NAME"),
        ErrorCode::InvalidRoom => Some("rooms are made of letters, digits, '-', '_' and '.'"),
        ErrorCode::InvalidText | ErrorCode::InvalidTopic => Some("remove control characters"),
        ErrorCode::TextTooLong => Some("send it in parts"),
        ErrorCode::InvalidToken => Some("ask for a new token"),
        ErrorCode::NotJoined => Some("/join it"),
        ErrorCode::NoSuchUser => Some("/who lists who is here"),
        ErrorCode::NoSuchEntry => Some("name a message that is still there"),
        ErrorCode::NonceTooOld => Some("look for it in the room before you send it again"),
        ErrorCode::Forbidden => Some("ask an operator"),
        _ => None,
    }
}
