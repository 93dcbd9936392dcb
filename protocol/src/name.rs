//! Names of rooms, users and nodes: parsed at the edge, so that inside a bad one cannot exist.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{
    NODE_NAME_BYTES_MAX, ROOM_NAME_BYTES_MAX, USER_NAME_BYTES_MAX, USER_NAME_CHARS_MAX,
};

/// Name of a room: 1 to 64 bytes of lower-case letters and digits of any script, `-`, `_` and `.`,
/// starting with a letter or digit.
///
/// A leading `@` marks a reserved room, which only nodes open; `/` may divide its parts. People
/// write rooms as `#lobby`; [`RoomName::parse`] takes that form.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(String);

/// Why a text is no room name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidRoomName {
    /// Empty or too long.
    #[error("a room name has 1 to {ROOM_NAME_BYTES_MAX} bytes, not {0}")]
    Length(usize),
    /// A character that room names cannot have.
    #[error(
        "a room name is made of lower-case letters, digits, '-', '_' and '.', and starts with a letter or digit; {0:?} cannot be there"
    )]
    Character(char),
}

impl RoomName {
    /// The room whose entries are notices of the server; every session reads it.
    #[must_use]
    pub fn system() -> Self {
        Self("@system".to_owned())
    }

    /// The reserved room with these parts: `@first/second/…`.
    ///
    /// # Errors
    /// When a part has characters that room names cannot have, or all are too long together.
    pub fn reserved(parts: &[&str]) -> Result<Self, InvalidRoomName> {
        Self::try_from(format!("@{}", parts.join("/")))
    }

    /// Reads a name as people type it: a leading `#` and upper case are folded away.
    ///
    /// # Errors
    /// When it is no room name all the same.
    pub fn parse(text: &str) -> Result<Self, InvalidRoomName> {
        let text = text.trim();
        Self::try_from(text.strip_prefix('#').unwrap_or(text).to_lowercase())
    }

    /// Whether only nodes may open it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('@')
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomName {
    type Error = InvalidRoomName;

    fn try_from(name: String) -> Result<Self, InvalidRoomName> {
        if name.is_empty() || name.len() > ROOM_NAME_BYTES_MAX {
            return Err(InvalidRoomName::Length(name.len()));
        }
        let (reserved, rest) = match name.strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, name.as_str()),
        };
        for (index, letter) in rest.chars().enumerate() {
            let is_word = letter.is_alphanumeric() && letter.to_lowercase().eq([letter]);
            let is_mark =
                index > 0 && (matches!(letter, '-' | '_' | '.') || reserved && letter == '/');
            if !is_word && !is_mark {
                return Err(InvalidRoomName::Character(letter));
            }
        }
        if rest.is_empty() {
            Err(InvalidRoomName::Length(0))
        } else {
            Ok(Self(name))
        }
    }
}

/// Name of a user: 1 to 32 letters and digits of any script, `-`, `_` and `.`, at most 64 bytes,
/// starting with a letter, digit or `_`. Unique in the cluster by how it looks.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

/// Why a text is no user name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidUserName {
    /// Empty or too long.
    #[error(
        "a name has 1 to {USER_NAME_CHARS_MAX} characters and at most {USER_NAME_BYTES_MAX} bytes"
    )]
    Length,
    /// A character that user names cannot have.
    #[error(
        "a name is made of letters, digits, '-', '_' and '.', and starts with a letter, digit or '_'; {0:?} cannot be there"
    )]
    Character(char),
}

impl UserName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserName {
    type Error = InvalidUserName;

    fn try_from(name: String) -> Result<Self, InvalidUserName> {
        if name.is_empty()
            || name.len() > USER_NAME_BYTES_MAX
            || name.chars().count() > USER_NAME_CHARS_MAX
        {
            return Err(InvalidUserName::Length);
        }
        for (index, letter) in name.chars().enumerate() {
            let allowed = letter.is_alphanumeric()
                || letter == '_'
                || index > 0 && matches!(letter, '-' | '.');
            if !allowed {
                return Err(InvalidUserName::Character(letter));
            }
        }
        Ok(Self(name))
    }
}

/// Name of a node, as operators know it: 1 to 64 ASCII letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

/// A text that is no node name.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "a node name is made of 1 to {NODE_NAME_BYTES_MAX} ASCII letters, digits, '-', '_' and '.'"
)]
pub struct InvalidNodeName;

impl NodeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeName {
    type Error = InvalidNodeName;

    fn try_from(name: String) -> Result<Self, InvalidNodeName> {
        let is_name = (1..=NODE_NAME_BYTES_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if is_name {
            Ok(Self(name))
        } else {
            Err(InvalidNodeName)
        }
    }
}

macro_rules! text_forms {
    ($name:ident, $error:ident) => {
        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }
    };
}

text_forms!(RoomName, InvalidRoomName);
text_forms!(UserName, InvalidUserName);
text_forms!(NodeName, InvalidNodeName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_are_checked() {
        for good in [
            "lobby",
            "a",
            "dev-ops_2.x",
            "комната",
            "部屋",
            "@system",
            "@dm/1/2",
        ] {
            assert!(good.parse::<RoomName>().is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        for bad in [
            "",
            "@",
            "#lobby",
            "Lobby",
            "a b",
            "-a",
            "a/b",
            "a\u{202e}b",
            "a{b}",
            "a\n",
            "a*",
            &long,
        ] {
            assert!(bad.parse::<RoomName>().is_err(), "{bad:?}");
        }
        assert_eq!(
            RoomName::parse(" #Lobby ").map(String::from),
            Ok("lobby".to_owned())
        );
        assert!(RoomName::system().is_reserved());
        assert!(!RoomName::parse("system").unwrap().is_reserved());
    }

    #[test]
    fn user_names_are_checked() {
        for good in ["ann", "Ann_2", "_", "Łukasz", "田中", "a.b-c"] {
            assert!(good.parse::<UserName>().is_ok(), "{good}");
        }
        let long = "x".repeat(33);
        for bad in [
            "",
            "[SERVER]",
            "a b",
            "-a",
            "a\u{200b}",
            "a\u{301}",
            "\u{1b}[1m",
            "@a",
            &long,
        ] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn node_names_are_checked() {
        for good in ["node-1", "a", "eu.west_1"] {
            assert!(good.parse::<NodeName>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad:?}");
        }
    }
}
