//! What quinn says of a connection that did not come about, or broke: sorted by what a user can do.

use chat_protocol::CloseCode;
use quinn::{ConnectionError, TransportErrorCode};

use crate::error::plain;
use crate::event::Disconnect;

/// Why a handshake did not succeed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// Nobody answered.
    Unreachable(Option<String>),
    /// The certificate is not trusted, or not owned.
    Tls(String),
    /// Another protocol or version.
    Version(String),
    /// It answers, but not like a node.
    Strange(String),
    /// The node closed it with a code.
    Closed { code: u32, detail: String },
}

impl Trouble {
    pub(crate) fn of(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::VersionMismatch => Self::Version("it speaks another QUIC".to_owned()),
            // Found by this side: the reason is the TLS library's, and says what is wrong.
            ConnectionError::TransportError(error) => match alert(error.code.into()) {
                Some(NO_APPLICATION_PROTOCOL) => Self::Version(plain(&error.reason)),
                Some(_) => Self::Tls(plain(&error.reason)),
                None => Self::Unreachable(Some(plain(&error.to_string()))),
            },
            // Found by the node, which does not check who a client is: so no matter of trust.
            ConnectionError::ConnectionClosed(close)
                if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
            {
                let code = CloseCode::Overloaded.to_wire();
                Self::Closed {
                    code,
                    detail: "the node takes no more connections now".to_owned(),
                }
            }
            ConnectionError::ConnectionClosed(close) => match alert(close.error_code.into()) {
                Some(HANDSHAKE_FAILURE | PROTOCOL_VERSION | NO_APPLICATION_PROTOCOL) => {
                    Self::Version(plain(&String::from_utf8_lossy(&close.reason)))
                }
                _ => Self::Unreachable(Some(plain(&close.to_string()))),
            },
            ConnectionError::ApplicationClosed(close) => Self::Closed {
                // Codes of this protocol fit 32 bits; what does not is none of it.
                code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
                detail: plain(&String::from_utf8_lossy(&close.reason)),
            },
            ConnectionError::TimedOut => Self::Unreachable(None),
            other => Self::Unreachable(Some(other.to_string())),
        }
    }
}

/// Why an established connection broke.
pub(crate) fn disconnect(error: &ConnectionError) -> Disconnect {
    match Trouble::of(error) {
        Trouble::Closed { code, detail } => Disconnect::by_node(code, &detail),
        Trouble::Unreachable(None) => Disconnect::without_code("the node fell silent"),
        Trouble::Strange(text)
        | Trouble::Unreachable(Some(text))
        | Trouble::Tls(text)
        | Trouble::Version(text) => Disconnect::without_code(text),
    }
}

/// Whether a close with this code ends the session for good.
pub(crate) const fn is_final(code: u32) -> bool {
    !CloseCode::invites_reconnect(code) && matches!(code, 0x200..=0x2ff)
}

/// The TLS alert in a transport error code, if it is one (RFC 9001, section 4.8).
fn alert(code: u64) -> Option<u8> {
    match code {
        0x100..=0x1ff => u8::try_from(code - 0x100).ok(),
        _ => None,
    }
}

// Alerts of RFC 8446, section 6, and RFC 7301.
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
const NO_APPLICATION_PROTOCOL: u8 = 120;
