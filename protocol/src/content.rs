//! What a message says: a content type, which is a number, and a body.
//!
//! Some contents refer to an earlier entry of the same log by its cursor: replies, edits, deletions
//! and reactions. Their body begins with that cursor, as every cursor inside a body is encoded.

use std::fmt::{self, Display};
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;
use crate::limits::{BODY_BYTES_MAX, REACTION_BYTES_MAX};
use crate::text::{InvalidText, Text, is_control};

/// What a message says. The content type is a number, so that later versions can add some.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "WireContent", into = "WireContent")]
pub enum Content {
    /// Content type 0: plain text.
    Text(Text),
    /// Content type 1: what the author does, as in `* ann waves`.
    Action(Text),
    /// Content type 2: text that answers an earlier message.
    Reply {
        /// The message it answers.
        to: Cursor,
        /// The answer.
        text: Text,
    },
    /// Content type 3: what an earlier message of the author says from now on.
    Edit {
        /// The message.
        of: Cursor,
        /// The text that replaces its own.
        text: Text,
    },
    /// Content type 4: the author takes an earlier message back.
    Delete {
        /// The message.
        of: Cursor,
    },
    /// Content type 5: a reaction to an earlier message, given or taken back.
    Reaction {
        /// The message.
        to: Cursor,
        /// Which reaction.
        reaction: Reaction,
        /// Whether it is given; otherwise it is taken back.
        on: bool,
    },
    /// A content type this version does not know: shown as such, carried unchanged.
    Opaque {
        /// Its number.
        content_type: u32,
        /// Its bytes, at most [`BODY_BYTES_MAX`].
        body: Bytes,
    },
}

/// The earlier entry that a content is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reference {
    /// The entry.
    pub to: Cursor,
    /// Who may say this of it.
    pub right: Right,
}

/// Who may refer to an entry in some way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Right {
    /// Everybody who may publish: replies and reactions.
    Everybody,
    /// The entry's author: edits and deletions.
    Author,
}

impl Content {
    /// Content type of plain text.
    pub const TEXT: u32 = 0;
    /// Content type of an action.
    pub const ACTION: u32 = 1;
    /// Content type of a reply.
    pub const REPLY: u32 = 2;
    /// Content type of an edit.
    pub const EDIT: u32 = 3;
    /// Content type of a deletion.
    pub const DELETE: u32 = 4;
    /// Content type of a reaction.
    pub const REACTION: u32 = 5;

    /// Checks a body against its content type.
    ///
    /// # Errors
    /// When a text breaks a rule of [`Text`], a reaction one of [`Reaction`], a body is not in the
    /// form of its content type, or it is longer than [`BODY_BYTES_MAX`].
    pub fn parse(content_type: u32, body: Bytes) -> Result<Self, InvalidText> {
        if body.len() > BODY_BYTES_MAX {
            return Err(too_long(body.len()));
        }
        match content_type {
            Self::TEXT => text(&body).map(Self::Text),
            Self::ACTION => text(&body).map(Self::Action),
            Self::REPLY => {
                let (to, rest) = cursor(&body)?;
                text(rest).map(|text| Self::Reply { to, text })
            }
            Self::EDIT => {
                let (of, rest) = cursor(&body)?;
                text(rest).map(|text| Self::Edit { of, text })
            }
            Self::DELETE => match cursor(&body)? {
                (of, []) => Ok(Self::Delete { of }),
                _ => Err(InvalidText::Form),
            },
            Self::REACTION => {
                let (to, rest) = cursor(&body)?;
                let (on, rest) = match rest {
                    [0, rest @ ..] => (false, rest),
                    [1, rest @ ..] => (true, rest),
                    _ => return Err(InvalidText::Form),
                };
                let reaction = utf8(rest)?.parse()?;
                Ok(Self::Reaction { to, reaction, on })
            }
            _ => Ok(Self::Opaque { content_type, body }),
        }
    }

    /// Whether its body fits the wire. A reply or an edit has less room for its text than
    /// [`Text`] allows, by the bytes of its cursor.
    ///
    /// # Errors
    /// [`InvalidText::TooLong`] when it does not: no node takes it.
    pub fn check(&self) -> Result<(), InvalidText> {
        let bytes = match self {
            // Texts and reactions are within the limit by themselves.
            Self::Text(_) | Self::Action(_) | Self::Delete { .. } | Self::Reaction { .. } => 0,
            Self::Reply { to: at, text } | Self::Edit { of: at, text } => {
                encoded(*at).len() + text.as_str().len()
            }
            Self::Opaque { body, .. } => body.len(),
        };
        match bytes {
            0..=BODY_BYTES_MAX => Ok(()),
            _ => Err(too_long(bytes)),
        }
    }

    /// Its number and bytes on the wire.
    #[must_use]
    pub fn into_parts(self) -> (u32, Bytes) {
        match self {
            Self::Text(text) => (Self::TEXT, String::from(text).into()),
            Self::Action(text) => (Self::ACTION, String::from(text).into()),
            Self::Reply { to, text } => (Self::REPLY, joined(to, text.as_str().as_bytes())),
            Self::Edit { of, text } => (Self::EDIT, joined(of, text.as_str().as_bytes())),
            Self::Delete { of } => (Self::DELETE, joined(of, &[])),
            Self::Reaction { to, reaction, on } => {
                let mut body = encoded(to);
                body.put_u8(u8::from(on));
                body.put_slice(reaction.as_str().as_bytes());
                (Self::REACTION, body.freeze())
            }
            Self::Opaque { content_type, body } => (content_type, body),
        }
    }

    /// The earlier entry it is about, and who may say this of it; none of what stands for itself.
    #[must_use]
    pub const fn reference(&self) -> Option<Reference> {
        let (to, right) = match self {
            Self::Reply { to, .. } | Self::Reaction { to, .. } => (*to, Right::Everybody),
            Self::Edit { of, .. } | Self::Delete { of } => (*of, Right::Author),
            Self::Text(_) | Self::Action(_) | Self::Opaque { .. } => return None,
        };
        Some(Reference { to, right })
    }

    /// Whether it is a message, which others can refer to, and not a change of one.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        match self {
            Self::Text(_) | Self::Action(_) | Self::Reply { .. } | Self::Opaque { .. } => true,
            Self::Edit { .. } | Self::Delete { .. } | Self::Reaction { .. } => false,
        }
    }

    /// The text that people read, if it has one. Of an edit that is the new one.
    #[must_use]
    pub const fn text(&self) -> Option<&Text> {
        match self {
            Self::Text(text)
            | Self::Action(text)
            | Self::Reply { text, .. }
            | Self::Edit { text, .. } => Some(text),
            Self::Delete { .. } | Self::Reaction { .. } | Self::Opaque { .. } => None,
        }
    }
}

#[derive(Deserialize, Serialize)]
struct WireContent {
    content_type: u32,
    body: Bytes,
}

impl TryFrom<WireContent> for Content {
    type Error = InvalidText;

    fn try_from(wire: WireContent) -> Result<Self, InvalidText> {
        Self::parse(wire.content_type, wire.body)
    }
}

impl From<Content> for WireContent {
    fn from(content: Content) -> Self {
        let (content_type, body) = content.into_parts();
        Self { content_type, body }
    }
}

/// A reaction: usually an emoji, or a short word. 1 to [`REACTION_BYTES_MAX`] bytes of UTF-8 without
/// white space and control characters, and not only characters that nobody sees.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reaction(String);

impl Reaction {
    /// The reaction itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reaction {
    type Error = InvalidText;

    fn try_from(reaction: String) -> Result<Self, InvalidText> {
        if reaction.len() > REACTION_BYTES_MAX {
            return Err(InvalidText::TooLong {
                bytes: reaction.len(),
                max: REACTION_BYTES_MAX,
            });
        }
        let is_bad = |letter: &char| is_control(*letter) || letter.is_whitespace();
        if let Some(letter) = reaction.chars().find(is_bad) {
            return Err(InvalidText::Character(letter));
        }
        if reaction.chars().all(is_invisible) {
            return Err(InvalidText::Empty);
        }
        Ok(Self(reaction))
    }
}

impl FromStr for Reaction {
    type Err = InvalidText;

    fn from_str(reaction: &str) -> Result<Self, InvalidText> {
        Self::try_from(reaction.to_owned())
    }
}

impl Display for Reaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Whether a character shows nothing by itself: joiners, directional marks, variation selectors,
/// tags and fillers.
const fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn too_long(bytes: usize) -> InvalidText {
    InvalidText::TooLong {
        bytes,
        max: BODY_BYTES_MAX,
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, InvalidText> {
    std::str::from_utf8(bytes).map_err(|_| InvalidText::Encoding)
}

fn text(bytes: &[u8]) -> Result<Text, InvalidText> {
    utf8(bytes)?.parse()
}

/// The cursor that a body begins with, and what follows it.
fn cursor(body: &[u8]) -> Result<(Cursor, &[u8]), InvalidText> {
    postcard::take_from_bytes(body).map_err(|_| InvalidText::Form)
}

fn encoded(cursor: Cursor) -> BytesMut {
    let mut bytes = [0; CURSOR_BYTES_MAX];
    // Two integers of at most 10 bytes each: it always fits.
    let bytes = postcard::to_slice(&cursor, &mut bytes).unwrap_or_default();
    BytesMut::from(&*bytes)
}

fn joined(cursor: Cursor, rest: &[u8]) -> Bytes {
    let mut body = encoded(cursor);
    body.put_slice(rest);
    body.freeze()
}

/// Most bytes of a cursor in a body.
const CURSOR_BYTES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cursor::{Epoch, Seq};

    const AT: Cursor = Cursor::new(Epoch(0x5eed), Seq(41));
    const FAR: Cursor = Cursor::new(Epoch(u64::MAX), Seq::MAX);

    fn text(text: &str) -> Text {
        text.parse().unwrap()
    }

    fn parse(content_type: u32, body: &[u8]) -> Result<Content, InvalidText> {
        Content::parse(content_type, Bytes::copy_from_slice(body))
    }

    #[test]
    fn contents_that_refer_keep_their_bytes() {
        let reaction = |on| Content::Reaction {
            to: AT,
            reaction: "👍".parse().unwrap(),
            on,
        };
        for (content, content_type, body) in [
            (
                Content::Reply {
                    to: AT,
                    text: text("hi"),
                },
                2,
                &b"\xed\xbd\x01\x29hi"[..],
            ),
            (
                Content::Edit {
                    of: AT,
                    text: text("hi"),
                },
                3,
                b"\xed\xbd\x01\x29hi",
            ),
            (Content::Delete { of: AT }, 4, b"\xed\xbd\x01\x29"),
            (
                Content::Delete { of: FAR },
                4,
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xff\xff\xff\xff\xff\xff\xff\x0f",
            ),
            (reaction(true), 5, b"\xed\xbd\x01\x29\x01\xf0\x9f\x91\x8d"),
            (reaction(false), 5, b"\xed\xbd\x01\x29\x00\xf0\x9f\x91\x8d"),
        ] {
            let parts = (content_type, Bytes::from_static(body));
            assert_eq!(content.clone().into_parts(), parts);
            assert_eq!(parse(content_type, body), Ok(content));
        }
    }

    #[test]
    fn bodies_in_another_form_are_refused() {
        for (content_type, body, error) in [
            (2, &b""[..], InvalidText::Form),
            (2, b"\xed\xbd\x01", InvalidText::Form),
            (2, b"\xed\xbd\x01\x29", InvalidText::Empty),
            (2, b"\xed\xbd\x01\x29 \n", InvalidText::Empty),
            (2, b"\xed\xbd\x01\x29\xff", InvalidText::Encoding),
            (
                3,
                b"\xed\xbd\x01\x29a\x1bb",
                InvalidText::Character('\u{1b}'),
            ),
            (
                3,
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01x",
                InvalidText::Form,
            ),
            (4, b"\xed\xbd\x01\x29\x00", InvalidText::Form),
            (4, b"\xed", InvalidText::Form),
            (5, b"\xed\xbd\x01\x29", InvalidText::Form),
            (5, b"\xed\xbd\x01\x29\x02x", InvalidText::Form),
            (5, b"\xed\xbd\x01\x29\x01", InvalidText::Empty),
            (5, b"\xed\xbd\x01\x29\x01a b", InvalidText::Character(' ')),
            (5, b"\xed\xbd\x01\x29\x01\xff", InvalidText::Encoding),
        ] {
            assert_eq!(parse(content_type, body), Err(error), "{body:02x?}");
        }
        assert_eq!(parse(0, b"\xff"), Err(InvalidText::Encoding));
        assert!(matches!(parse(6, b"\xff"), Ok(Content::Opaque { .. })));
    }

    #[test]
    fn reactions_are_short_and_visible() {
        for good in ["👍", "👩‍👩‍👧", "+1", "lol", "❤️", "é", &"x".repeat(32)] {
            assert!(good.parse::<Reaction>().is_ok(), "{good:?}");
        }
        for (bad, error) in [
            ("", InvalidText::Empty),
            ("\u{200d}\u{fe0f}", InvalidText::Empty),
            ("a\n", InvalidText::Character('\n')),
            ("\u{202e}x", InvalidText::Character('\u{202e}')),
            (&"x".repeat(33), InvalidText::TooLong { bytes: 33, max: 32 }),
        ] {
            assert_eq!(bad.parse::<Reaction>(), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn a_long_text_leaves_room_for_its_cursor() {
        let of = |cursor, len| Content::Edit {
            of: cursor,
            text: text(&"x".repeat(len)),
        };
        assert_eq!(of(AT, BODY_BYTES_MAX - 4).check(), Ok(()));
        assert_eq!(of(FAR, BODY_BYTES_MAX - 18).check(), Ok(()));
        let error = of(AT, BODY_BYTES_MAX - 3).check();
        assert_eq!(
            error,
            Err(InvalidText::TooLong {
                bytes: 4097,
                max: 4096
            })
        );
        let (content_type, body) = of(AT, BODY_BYTES_MAX - 3).into_parts();
        assert!(Content::parse(content_type, body).is_err(), "as said");
    }

    proptest! {
        #[test]
        fn whatever_is_parsed_comes_back(content_type in 2u32..7, body in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(content) = parse(content_type, &body) {
                let (content_type, body) = content.clone().into_parts();
                prop_assert_eq!(Content::parse(content_type, body), Ok(content));
            }
        }
    }
}
