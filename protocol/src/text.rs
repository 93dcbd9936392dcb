//! Texts that people read: no control characters, no escape sequences, no bidi overrides.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{TEXT_BYTES_MAX, TOPIC_BYTES_MAX};

/// Text of a message: 1 to 4096 bytes of UTF-8 with at least one visible character. Line feeds and
/// tabs are its only control characters.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

/// Why a text is refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidText {
    /// Nothing to see in it.
    #[error("a message needs at least one visible character")]
    Empty,
    /// Too long.
    #[error("{bytes} bytes, limit {max}")]
    TooLong {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A character that could command a terminal or reorder a line.
    #[error("character {0:?} is not allowed in a text")]
    Character(char),
    /// Not UTF-8.
    #[error("a text is UTF-8")]
    Encoding,
    /// A body that is not in the form of its content type.
    #[error("the body is not in the form of its content type")]
    Form,
}

impl Text {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        check(&text, TEXT_BYTES_MAX, |letter| {
            matches!(letter, '\n' | '\t')
        })?;
        if text.chars().all(char::is_whitespace) {
            return Err(InvalidText::Empty);
        }
        Ok(Self(text))
    }
}

/// Topic of a room: one line of at most 256 bytes. Empty means none.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic(String);

impl Topic {
    /// The topic itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the room has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<String> for Topic {
    type Error = InvalidText;

    fn try_from(topic: String) -> Result<Self, InvalidText> {
        check(&topic, TOPIC_BYTES_MAX, |_| false)?;
        Ok(Self(topic.trim().to_owned()))
    }
}

macro_rules! text_forms {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

text_forms!(Text);
text_forms!(Topic);

/// Whether a character could command a terminal, break a line or reorder what is around it: C0, DEL
/// and C1 controls, line and paragraph separators, bidi embeddings, overrides and isolates.
#[must_use]
pub const fn is_control(letter: char) -> bool {
    matches!(letter,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn check(text: &str, bytes_max: usize, allowed: impl Fn(char) -> bool) -> Result<(), InvalidText> {
    if text.len() > bytes_max {
        return Err(InvalidText::TooLong {
            bytes: text.len(),
            max: bytes_max,
        });
    }
    match text
        .chars()
        .find(|&letter| is_control(letter) && !allowed(letter))
    {
        Some(letter) => Err(InvalidText::Character(letter)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_checked() {
        for good in [
            "hi",
            "two\nlines\tand a tab",
            "👩‍👩‍👧 שלום",
            &"x".repeat(TEXT_BYTES_MAX),
        ] {
            assert!(good.parse::<Text>().is_ok(), "{good:?}");
        }
        assert_eq!("".parse::<Text>(), Err(InvalidText::Empty));
        assert_eq!(" \n ".parse::<Text>(), Err(InvalidText::Empty));
        for bad in [
            '\0', '\r', '\u{7}', '\u{1b}', '\u{7f}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2067}',
        ] {
            assert_eq!(
                format!("a{bad}b").parse::<Text>(),
                Err(InvalidText::Character(bad))
            );
        }
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert_eq!(
            long.parse::<Text>(),
            Err(InvalidText::TooLong {
                bytes: 4097,
                max: 4096
            })
        );
    }

    #[test]
    fn a_topic_is_one_line() {
        assert!("deploys and reviews".parse::<Topic>().is_ok());
        assert!("".parse::<Topic>().unwrap().is_empty());
        assert_eq!("a\nb".parse::<Topic>(), Err(InvalidText::Character('\n')));
    }
}
