//! What can go wrong, one type per operation, each saying whether trying again helps.

use std::fmt::{self, Display};
use std::time::Duration;

use chat_protocol::limits::DETAIL_BYTES_MAX;
use chat_protocol::name::InvalidRoomName;
use chat_protocol::text::{InvalidText, is_control};
use chat_protocol::{CloseCode, ErrorCode};
use thiserror::Error;

use crate::target::InvalidTarget;
use crate::trust::TrustError;

/// Why no session came about. Nothing is left behind; connecting again is always safe.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A target cannot be understood.
    #[error(transparent)]
    InvalidTarget(#[from] InvalidTarget),
    /// No target was given.
    #[error("no target was given")]
    NoTarget,
    /// A name or token is longer than any node takes.
    #[error("the {what} has {bytes} bytes, limit {max}")]
    TooLong {
        /// `name` or `token`.
        what: &'static str,
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// What the client should trust cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No UDP socket could be opened on this machine.
    #[error("no UDP socket could be opened: {0}")]
    Socket(std::io::Error),
    /// No node answered.
    #[error("no chat-node answers at {} (UDP, waited {:.1} s)", tried.join(", "), waited.as_secs_f64())]
    Unreachable {
        /// The targets that were tried, as `host:port`.
        tried: Vec<String>,
        /// How long.
        waited: Duration,
        /// What the last attempt met, when it was more than silence.
        cause: Option<String>,
    },
    /// A node answered whose certificate is not trusted, or that does not own it.
    #[error("the certificate of {target} is not trusted: {detail}")]
    Tls {
        /// The target, as `host:port`.
        target: String,
        /// What is wrong with it.
        detail: String,
    },
    /// What answered speaks another version, or is no chat-node.
    #[error("{target} does not speak this client's version of the protocol (chat/1): {detail}")]
    Version {
        /// The target, as `host:port`.
        target: String,
        /// What it said.
        detail: String,
    },
    /// A node refused the session.
    #[error("{target} refused the session: {}", Refused(*.code, .detail))]
    Refused {
        /// The target, as `host:port`.
        target: String,
        /// An [`ErrorCode`] or [`CloseCode`], or a later one.
        code: u32,
        /// What exactly, for people.
        detail: String,
        /// Whether the same may succeed later.
        retryable: bool,
    },
}

/// Why a request was not done.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The room name breaks a rule. Nothing was sent.
    #[error(transparent)]
    InvalidRoom(#[from] InvalidRoomName),
    /// The node refused it; [`ErrorCode::is_retryable`] tells whether the same may succeed later.
    #[error("{}", Refused(*.code, .detail))]
    Refused {
        /// An [`ErrorCode`], or a later one.
        code: u32,
        /// When to try again, if that helps.
        retry_after: Option<Duration>,
        /// What exactly, for people.
        detail: String,
    },
    /// No answer within [`REQUEST_TIMEOUT`](crate::REQUEST_TIMEOUT), reconnects included. It may
    /// have been done; every request of this crate may be repeated.
    #[error("no answer within {} s", crate::REQUEST_TIMEOUT.as_secs())]
    TimedOut,
    /// The client is closed. It may have been done.
    #[error("the client is closed")]
    Closed,
}

impl RequestError {
    /// The code, when a node refused the request and this version knows the code.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => ErrorCode::from_wire(*code),
            _ => None,
        }
    }

    pub(crate) fn refused(code: ErrorCode) -> Self {
        Self::Refused {
            code: code.to_wire(),
            retry_after: None,
            detail: String::new(),
        }
    }
}

/// Why a message was not put into the log, or why that is not known.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The text breaks a rule. Nothing was sent.
    #[error(transparent)]
    InvalidText(#[from] InvalidText),
    /// [`PUBLISHES_LEN_MAX`](crate::PUBLISHES_LEN_MAX) messages wait for their acks already.
    /// Nothing was sent; publish again when one is settled.
    #[error("{} messages wait for their acks already", crate::PUBLISHES_LEN_MAX)]
    Full,
    /// The room was left or taken away. Nothing was sent, or the message was not in the log then.
    #[error("the room was left")]
    Left,
    /// The node refused it for good: it is not in the log, and the same will not succeed.
    #[error("{}", Refused(*.code, .detail))]
    Refused {
        /// An [`ErrorCode`], or a later one.
        code: u32,
        /// What exactly, for people.
        detail: String,
    },
    /// The client was closed, its session could not be continued, or
    /// [`REPEAT_TIME_MAX`](crate::REPEAT_TIME_MAX) passed, before the answer came: the message may
    /// or may not be in the log, and is not sent again. Publishing it again may put it there twice.
    #[error("whether the message was delivered is not known")]
    Unknown,
    /// The client is closed. Nothing was sent.
    #[error("the client is closed")]
    Closed,
}

impl PublishError {
    /// The code, when a node refused the message and this version knows the code.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => ErrorCode::from_wire(*code),
            _ => None,
        }
    }
}

/// A refusal for people: the node's words, or else the code's own.
struct Refused<'a>(u32, &'a str);

impl Display for Refused<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(code, detail) = *self;
        if !detail.is_empty() {
            return out.write_str(detail);
        }
        match (ErrorCode::from_wire(code), CloseCode::from_wire(code)) {
            (Some(code), _) => Display::fmt(&code, out),
            (None, Some(code)) => Display::fmt(&code, out),
            (None, None) => write!(out, "refused with code {code:#x}"),
        }
    }
}

/// Words of a node or library made safe to show: on one line, bounded, without control characters.
pub(crate) fn plain(words: &str) -> String {
    let mut text: String = words
        .chars()
        .map(|letter| if is_control(letter) { ' ' } else { letter })
        .take(DETAIL_BYTES_MAX)
        .collect();
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_cannot_command_a_terminal() {
        assert_eq!(plain("a\u{1b}[1mb\nc\u{202e}d \t"), "a [1mb c d");
        assert_eq!(plain(&"x".repeat(1_000)).len(), DETAIL_BYTES_MAX);
    }

    #[test]
    fn texts_say_what_was_tried_and_what_was_met() {
        let unreachable = ConnectError::Unreachable {
            tried: vec!["localhost:8081".to_owned(), "localhost:8082".to_owned()],
            waited: Duration::from_millis(3_000),
            cause: None,
        };
        assert_eq!(
            unreachable.to_string(),
            "no chat-node answers at localhost:8081, localhost:8082 (UDP, waited 3.0 s)"
        );
        let refused = |code, detail: &str| {
            RequestError::Refused {
                code,
                retry_after: None,
                detail: detail.to_owned(),
            }
            .to_string()
        };
        assert_eq!(refused(204, ""), "nobody of that name is here");
        assert_eq!(refused(204, "bob is not here"), "bob is not here");
        assert_eq!(
            refused(CloseCode::Overloaded.to_wire(), ""),
            "the node is full"
        );
        assert_eq!(refused(299, ""), "refused with code 0x12b");
        assert_eq!(
            RequestError::refused(ErrorCode::NoSuchUser).code(),
            Some(ErrorCode::NoSuchUser)
        );
    }
}
