//! What a session is to the application: who it is, what it may do, and what continues it.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;

use chat_protocol::lane::{Message, TopicChanged};
use chat_protocol::node::{Permissions, SessionLimits};
use chat_protocol::{AccountId, NodeName, Nonce, Secret, SessionId, UserName};
use thiserror::Error;

/// The session as the node that serves it now has welcomed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Welcomed {
    /// The node's name.
    pub node: NodeName,
    /// The target that led there, as `host:port`.
    pub target: String,
    /// The minor version of the protocol that both sides speak.
    pub minor: u16,
    /// The session's id. Kept over reconnects while [`resumed`](Self::resumed) holds.
    pub session: SessionId,
    /// The session's name, perhaps with a suffix; follows renames.
    pub name: UserName,
    /// The session's account; none for a guest.
    pub account: Option<AccountId>,
    /// Whether an earlier session continues. When a client asked to continue one and this is
    /// false, the cluster no longer knew it: messages that were sent and not acked are settled as
    /// [`PublishError::Unknown`](crate::PublishError::Unknown); those that were not sent yet are
    /// sent in the new session.
    pub resumed: bool,
    /// What the session may do.
    pub permissions: Permissions,
    /// What the session must respect.
    pub limits: SessionLimits,
}

/// What continues a session in another process, on any node of the cluster. Keep it secret: who
/// has it is the session.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct SessionTicket {
    /// The session.
    pub session: SessionId,
    /// The proof of owning it.
    pub secret: Secret,
}

impl SessionTicket {
    /// The ticket as text, to store; [`str::parse`] reads it back. There is no `Display`, so that
    /// a ticket is not printed by accident.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}:", self.session);
        for byte in self.secret.0 {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

impl Debug for SessionTicket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SessionTicket({}:…)", self.session)
    }
}

/// A text that is no session ticket.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a session ticket is written SESSION:SECRET, both in hex")]
pub struct InvalidTicket;

impl FromStr for SessionTicket {
    type Err = InvalidTicket;

    fn from_str(text: &str) -> Result<Self, InvalidTicket> {
        let (session, digits) = text.trim().split_once(':').ok_or(InvalidTicket)?;
        let secret = crate::trust::parse_hex(digits).ok_or(InvalidTicket)?;
        Ok(Self {
            session: session.parse().map_err(|_| InvalidTicket)?,
            secret: Secret(secret),
        })
    }
}

/// Which message of a room: the author's session and its number for it. Unique within the room,
/// equal on every node and for every reader, and known to the author before the message is sent.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageId {
    /// The author's session.
    pub session: SessionId,
    /// The author's number.
    pub nonce: Nonce,
}

/// The id of an entry. A message that waited until its session could not be continued is in the log
/// under the session after that: of what [is this client's own](crate::Event::Message), the room and
/// the nonce are enough.
impl From<&Message> for MessageId {
    fn from(message: &Message) -> Self {
        Self {
            session: message.author.session,
            nonce: message.nonce,
        }
    }
}

/// The id of an entry, as of a [`Message`].
impl From<&TopicChanged> for MessageId {
    fn from(change: &TopicChanged) -> Self {
        Self {
            session: change.author.session,
            nonce: change.nonce,
        }
    }
}

impl Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.session, self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_survives_its_text_and_is_not_printed() {
        let ticket = SessionTicket {
            session: SessionId(0xabc),
            secret: Secret([0x1f; 16]),
        };
        let text = ticket.to_text();
        assert_eq!(text, format!("0000000000000abc:{}", "1f".repeat(16)));
        assert_eq!(text.parse(), Ok(ticket));
        assert_eq!(format!("{ticket:?}"), "SessionTicket(0000000000000abc:…)");
        let short = "1f".repeat(15);
        for wrong in [
            "",
            ":",
            "abc",
            &format!("abc:{short}"),
            &format!("xyz:{short}1f"),
            "abc:é",
        ] {
            assert_eq!(
                wrong.parse::<SessionTicket>(),
                Err(InvalidTicket),
                "{wrong}"
            );
        }
    }
}
