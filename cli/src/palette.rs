//! The few styles of the text surface: which escape codes they are, or none at all.
//!
//! Only SGR codes (`ESC [ … m`) are ever written, in pairs with a reset, and never from a text.

use std::hash::{DefaultHasher, Hash, Hasher};

/// How a part of a line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Paint {
    /// Less important than the rest: times, rooms, history.
    Dim,
    /// More important than the rest.
    Bold,
    /// A name, in one of the colours of names.
    Name(usize),
    /// A message that names the reader.
    Mention,
    /// A notice of the server, for the record: across the whole line.
    Notice,
    /// A notice of the server, somebody should act: across the whole line.
    Warning,
    /// Something went wrong.
    Error,
    /// All is well.
    Good,
}

/// Whether styles are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Palette {
    /// Escape codes, of the 16 colours that every terminal has.
    Colour,
    /// None.
    Bare,
}

impl Palette {
    /// The text in a style.
    #[must_use]
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if self == Self::Bare || text.is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Dim => "2",
            Paint::Bold => "1",
            Paint::Name(index) => NAME_CODES[index % NAME_CODES.len()],
            Paint::Mention => "1;33",
            Paint::Notice => "1;37;44",
            Paint::Warning => "1;37;41",
            Paint::Error => "31",
            Paint::Good => "32",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The style of a name: always the same for the same name.
#[must_use]
pub fn of_name(name: &str) -> Paint {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "any bits of the hash will do"
    )]
    Paint::Name(hasher.finish() as usize % NAME_CODES.len())
}

/// Readable on black and on white: no white, no black, no plain yellow.
const NAME_CODES: [&str; 6] = ["31", "32", "34", "35", "36", "1;35"];
