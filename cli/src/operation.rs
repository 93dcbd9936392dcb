//! What a user can ask for, whatever way it was written: as a command, a line, or JSON.

use chat_protocol::{Cursor, Reaction, RoomName, Text, Topic, UserName};

mod which;

pub use which::Which;

/// Something to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Say something.
    Send {
        /// Where; none for the current room.
        room: Option<RoomName>,
        /// What.
        text: Text,
        /// Whether it is something the author does, as in `* ann waves`.
        style: Style,
    },
    /// Answer a message.
    Reply {
        /// Where; none for the current room.
        room: Option<RoomName>,
        /// Which message.
        to: Which,
        /// What.
        text: Text,
    },
    /// Have an own message say something else.
    Edit {
        /// Where; none for the current room.
        room: Option<RoomName>,
        /// Which message.
        of: Which,
        /// What it says from now on.
        text: Text,
    },
    /// Take an own message back.
    Delete {
        /// Where; none for the current room.
        room: Option<RoomName>,
        /// Which message.
        of: Which,
    },
    /// React to a message, or take that back.
    React {
        /// Where; none for the current room.
        room: Option<RoomName>,
        /// Which message.
        to: Which,
        /// How.
        reaction: Reaction,
        /// Whether to give it; otherwise it is taken back.
        on: bool,
    },
    /// Join a room, or go back to a joined one.
    Join {
        /// Which.
        room: RoomName,
        /// How many past messages to ask for; none for the default.
        history: Option<u32>,
    },
    /// Leave a room.
    Leave {
        /// Which; none for the current room.
        room: Option<RoomName>,
    },
    /// Show older messages of a room.
    History {
        /// Which; none for the current room.
        room: Option<RoomName>,
        /// The entry they come before; none for the oldest that was shown.
        before: Option<Cursor>,
        /// How many at most, up to [`HISTORY_LIMIT_MAX`].
        limit: u32,
    },
    /// Ask which rooms have members.
    Rooms,
    /// Ask who is in a room.
    Members {
        /// Which; none for the current room.
        room: Option<RoomName>,
    },
    /// Talk to one user alone.
    Direct {
        /// To whom.
        user: UserName,
        /// What; none to go there without saying anything.
        text: Option<Text>,
    },
    /// Set a room's topic.
    SetTopic {
        /// Which; none for the current room.
        room: Option<RoomName>,
        /// The topic; empty for none.
        topic: Topic,
    },
    /// Show the current room's topic.
    ShowTopic,
    /// Take another name.
    Rename {
        /// The name wanted.
        name: UserName,
    },
    /// Measure the way to the node and back.
    Ping,
    /// Tell the others that something is being typed.
    Typing {
        /// Where; none for the current room.
        room: Option<RoomName>,
    },
    /// Tell of the node and of the way to it.
    Node,
    /// Make another connection, as if this one were lost.
    Reconnect,
    /// Explain the commands.
    Help {
        /// One of them; none for all.
        command: Option<String>,
    },
    /// Wait for the acks of what was sent, and end.
    Quit,
}

impl Operation {
    /// The same in `here`, if it refers to an earlier message of the current room.
    #[must_use]
    pub fn or_in(mut self, here: Option<RoomName>) -> Self {
        if let Self::Reply { room, .. }
        | Self::Edit { room, .. }
        | Self::Delete { room, .. }
        | Self::React { room, .. } = &mut self
            && room.is_none()
        {
            *room = here;
        }
        self
    }
}

/// Messages that are shown when nobody says how many: a screen of them.
pub const HISTORY_LIMIT: u32 = 20;

/// Most messages that are shown at once: as many as a join may ask for.
pub const HISTORY_LIMIT_MAX: u32 = chat_protocol::limits::HISTORY_LEN_MAX;

/// How a message is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// It is said.
    Plain,
    /// It is done.
    Action,
}

/// Something to do, and what ties the answer to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Comes back in the answer; chosen by who asks.
    pub reference: Option<String>,
    /// What to do.
    pub operation: Operation,
}
