//! What this program publishes: messages and topics, which share a room's order.

use chat_client::{Delivery, PublishError, Room};
use chat_protocol::{Content, Cursor, RoomName, Text, Topic};

use crate::conversation::refer::{Effect, Saying};
use crate::operation::{Operation, Style, Which};

/// What goes into a room's log.
pub(super) enum Body {
    Said(Text, Style),
    Topic(Topic),
    /// It refers to an earlier message.
    Refers(Saying, Cursor),
}

impl Body {
    /// Queues it for a room.
    pub(super) fn publish_to(&self, room: &Room) -> Result<Delivery, PublishError> {
        match self {
            Self::Said(text, Style::Plain) => room.publish(Content::Text(text.clone())),
            Self::Said(text, Style::Action) => room.publish(Content::Action(text.clone())),
            Self::Topic(topic) => room.set_topic(topic.as_str()),
            Self::Refers(saying, at) => room.publish(saying.about(*at)),
        }
    }

    /// What it changes of the own messages of its room once it is in the log.
    pub(super) fn effect(&self) -> Effect {
        match self {
            Self::Said(..) => Effect::Said,
            Self::Topic(_) => Effect::None,
            Self::Refers(saying, at) => saying.effect(*at),
        }
    }

    /// Whether it is something that is said.
    pub(super) fn is_message(&self) -> bool {
        matches!(self.effect(), Effect::Said)
    }

    /// The operation that asks for it again.
    pub(super) fn into_operation(self, room: RoomName) -> Operation {
        let room = Some(room);
        match self {
            Self::Said(text, style) => Operation::Send { room, text, style },
            Self::Topic(topic) => Operation::SetTopic { room, topic },
            Self::Refers(saying, at) => saying.into_operation(room, Which::Exactly(at)),
        }
    }
}
