//! What is shown of messages that refer to an earlier one, and of messages that others refer to.

use chat_protocol::{Text, UserName};

/// What is known around a message when it is shown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Context {
    /// The message it answers, if it is a reply and that one is known.
    pub quoted: Option<Quoted>,
    /// What became of it, as far as is known: who scrolls back knows what came later.
    pub now: Now,
}

/// The beginning of an earlier message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quoted {
    /// Who wrote it.
    pub author: UserName,
    /// Its first words, at most [`Quoted::CHARS_MAX`] characters, as they are in the log: not cleaned.
    pub text: String,
}

impl Quoted {
    /// Most characters of a quoted text: what fits a line.
    pub const CHARS_MAX: usize = 120;

    /// The beginning of a text.
    #[must_use]
    pub fn new(author: UserName, text: &str) -> Self {
        let text = text.chars().take(Self::CHARS_MAX).collect();
        Self { author, text }
    }
}

/// What a message is now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Now {
    /// What it was at first.
    #[default]
    AsWritten,
    /// It says something else.
    Edited(Text),
    /// It was taken back.
    Deleted,
}

/// Whether an edit or deletion counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It does: it is of the message's author. Reactions always do.
    Counts,
    /// It does not: the message is somebody else's. Nodes refuse such; somebody else put it there.
    Ignored,
    /// The message is not known here.
    Unknown,
}
