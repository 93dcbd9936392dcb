//! Who may come in, and what they may do.
//!
//! A policy sees the hello and grants an identity and permissions, or refuses. Everything after it
//! asks the grant, so another policy changes no path.

use std::fmt::Debug;

use chat_protocol::client::Hello;
use chat_protocol::node::Permissions;
use chat_protocol::{AccountId, ErrorCode};

/// Decides about a hello.
pub trait Policy: Debug + Send + Sync + 'static {
    /// What the client is granted.
    ///
    /// # Errors
    /// The code and detail to refuse it with.
    fn admit(&self, hello: &Hello) -> Result<Grant, Refusal>;
}

/// What a session is and may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The account behind it; none for a guest.
    pub account: Option<AccountId>,
    /// What it may do.
    pub permissions: Permissions,
}

/// Why a hello or request is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The code on the wire.
    pub code: ErrorCode,
    /// What exactly, for people.
    pub detail: String,
}

impl Refusal {
    /// A refusal whose code says it all.
    #[must_use]
    pub fn of(code: ErrorCode) -> Self {
        Self {
            code,
            detail: code.text().to_owned(),
        }
    }

    /// A refusal with a detail of its own.
    #[must_use]
    pub fn because(code: ErrorCode, detail: impl ToString) -> Self {
        Self {
            code,
            detail: detail.to_string(),
        }
    }
}

/// Everybody is a guest and may do what users do. Tokens are not looked at.
#[derive(Clone, Copy, Debug)]
pub struct Open;

impl Policy for Open {
    fn admit(&self, _: &Hello) -> Result<Grant, Refusal> {
        Ok(Grant {
            account: None,
            permissions: Permissions::USER,
        })
    }
}
