//! What this program publishes: messages and topics, which share a room's order.

use chat_client::{Delivery, PublishError, Room};
use chat_protocol::{Content, RoomName, Text, Topic};

use crate::operation::{Operation, Style};

/// What goes into a room's log.
pub(super) enum Body {
    Said(Text, Style),
    Topic(Topic),
}

impl Body {
    /// Queues it for a room.
    pub(super) fn publish_to(&self, room: &Room) -> Result<Delivery, PublishError> {
        match self {
            Self::Said(text, Style::Plain) => room.publish(Content::Text(text.clone())),
            Self::Said(text, Style::Action) => room.publish(Content::Action(text.clone())),
            Self::Topic(topic) => room.set_topic(topic.as_str()),
        }
    }

    /// Whether it is something that is said.
    pub(super) const fn is_message(&self) -> bool {
        matches!(self, Self::Said(..))
    }

    /// The operation that asks for it again.
    pub(super) fn into_operation(self, room: RoomName) -> Operation {
        let room = Some(room);
        match self {
            Self::Said(text, style) => Operation::Send { room, text, style },
            Self::Topic(topic) => Operation::SetTopic { room, topic },
        }
    }
}
