//! Stable numbers for everything that can go wrong, each with a text and whether retrying helps.
//!
//! The ranges are the contract, so that a client can act on a code it has never seen: errors of
//! 400–499 may be retried, others not; close codes of `0x1xx` invite a reconnect, `0x2xx` do not.

use std::fmt::{self, Display};

macro_rules! codes {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $value,)+
        }

        impl $name {
            /// Every code, in order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number on the wire.
            #[must_use]
            pub const fn to_wire(self) -> u32 {
                self as u32
            }

            /// The code with this number, if this version knows it.
            #[must_use]
            pub const fn from_wire(value: u32) -> Option<Self> {
                match value {
                    $($value => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Its name in JSON and metrics.
            #[must_use]
            pub fn name(self) -> String {
                let mut name = String::new();
                for letter in format!("{self:?}").chars() {
                    if letter.is_uppercase() && !name.is_empty() {
                        name.push('_');
                    }
                    name.extend(letter.to_lowercase());
                }
                name
            }
        }

        impl Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.text())
            }
        }
    };
}

codes! {
    /// Why a request or publish was refused.
    pub enum ErrorCode {
        /// The name breaks a rule of user names.
        InvalidName = 101 => "that is not a valid name",
        /// Somebody in the cluster has this name, or one that looks like it.
        NameTaken = 102 => "that name, or one that looks like it, is taken",
        /// The name is kept for the server.
        NameReserved = 103 => "that name is reserved for the server",
        /// The name breaks a rule of room names.
        InvalidRoom = 104 => "that is not a valid room name",
        /// The text breaks a rule of texts.
        InvalidText = 105 => "that text cannot be sent",
        /// The text is longer than the node takes.
        TextTooLong = 106 => "the text is too long",
        /// The topic breaks a rule of topics.
        InvalidTopic = 107 => "that is not a valid topic",
        /// The node does not take this content type.
        UnsupportedContent = 108 => "the node does not take this kind of content",
        /// The token is malformed, expired or signed by somebody else.
        InvalidToken = 109 => "the token is not valid",
        /// The nonce is 0 or beyond the largest.
        InvalidNonce = 110 => "the nonce is out of range",
        /// The session is not in this room.
        NotJoined = 201 => "join the room first",
        /// The session is in this room.
        AlreadyJoined = 202 => "you are in that room already",
        /// The session is in as many rooms as it may.
        TooManyRooms = 203 => "you are in as many rooms as you may; leave one first",
        /// Nobody of this name is connected.
        NoSuchUser = 204 => "nobody of that name is here",
        /// The nonce left the window in which repeats are recognised.
        NonceTooOld = 205 => "too old to tell whether it was delivered",
        /// A request of this number is still being answered.
        RequestInUse = 206 => "that request number is in use",
        /// The entry that a publish refers to is not in the log, or is no message.
        NoSuchEntry = 207 => "there is no such message, or it is no longer kept",
        /// The session may not do this.
        Forbidden = 301 => "you may not do that",
        /// The backplane did not answer in time. A publish may still be in the log: retry with the
        /// same nonce.
        Unavailable = 401 => "the backplane is away; try again in a moment",
        /// Too much in too short a time.
        RateLimited = 402 => "too fast; wait a little",
        /// The node is at a limit of its own.
        Overloaded = 403 => "the node is at its limit; try again or another node",
        /// An earlier publish of this session was refused: repeat that one first, to keep the order.
        OutOfOrder = 404 => "an earlier message must be repeated first",
        /// The node is stopping.
        Draining = 405 => "the node is stopping; use another node",
        /// A fault of the node.
        Internal = 406 => "the node had a fault; try again",
    }
}

impl ErrorCode {
    /// Whether the same request may succeed later, for any number, known or not.
    #[must_use]
    pub const fn is_retryable(value: u32) -> bool {
        matches!(value, 400..=499)
    }
}

codes! {
    /// Why a connection ended.
    pub enum CloseCode {
        /// Both sides are done.
        Done = 0 => "done",
        /// The node is stopping.
        Draining = 0x100 => "the node is stopping",
        /// The client did not read what it asked for, for too long.
        SlowReader = 0x101 => "messages were not read for too long",
        /// The node has no room for another connection.
        Overloaded = 0x102 => "the node is full",
        /// A fault of the node.
        Internal = 0x103 => "the node had a fault",
        /// The backplane could not be asked to admit the session.
        Unavailable = 0x104 => "the backplane is away",
        /// A frame could not be understood.
        BadFrame = 0x200 => "a frame could not be understood",
        /// A frame was longer than the limit.
        FrameTooLarge = 0x201 => "a frame was longer than the limit",
        /// A frame came where it is not allowed.
        Unexpected = 0x202 => "a frame came where it is not allowed",
        /// No hello in time.
        HelloTimeout = 0x203 => "no hello came in time",
        /// The hello was refused; the frame before says why.
        Refused = 0x204 => "the hello was refused",
        /// The same session connected again; this connection is the old one.
        Replaced = 0x205 => "the session continued on another connection",
        /// An operator removed the session.
        Removed = 0x206 => "an operator ended the session",
        /// A frame was begun and not finished in time.
        FrameTimeout = 0x207 => "a frame was begun and not finished in time",
    }
}

impl CloseCode {
    /// Whether connecting again may help, for any number, known or not.
    #[must_use]
    pub const fn invites_reconnect(value: u32) -> bool {
        matches!(value, 0x100..=0x1ff)
    }
}

codes! {
    /// Why a stream was stopped or reset, when it did not simply end.
    pub enum StreamCode {
        /// The receiver does not know this stream type.
        UnsupportedStream = 0x300 => "unknown stream type",
        /// The client left the room.
        Left = 0x301 => "the room was left",
        /// The connection is going.
        Closing = 0x302 => "the connection is closing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_ranges_hold() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_wire(code.to_wire()), Some(code));
        }
        for &code in CloseCode::ALL {
            assert_eq!(CloseCode::from_wire(code.to_wire()), Some(code));
        }
        assert!(ErrorCode::is_retryable(ErrorCode::Unavailable.to_wire()));
        assert!(ErrorCode::is_retryable(499), "a later code of the range");
        assert!(!ErrorCode::is_retryable(ErrorCode::NameTaken.to_wire()));
        assert!(CloseCode::invites_reconnect(CloseCode::Draining.to_wire()));
        assert!(!CloseCode::invites_reconnect(CloseCode::Replaced.to_wire()));
        assert_eq!(ErrorCode::NameTaken.name(), "name_taken");
        assert_eq!(ErrorCode::from_wire(0), None);
    }
}
