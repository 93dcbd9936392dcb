//! Lines of messages that refer to an earlier one.
//!
//! A reply says in front of its text what it answers. Edits, deletions and reactions are lines of
//! this program about an entry, as those about topics: no text of a user begins like them.

use chat_protocol::lane::Message;
use chat_protocol::{Content, Cursor};

use super::TextSurface;
use crate::clean;
use crate::output::Line;
use crate::palette::Paint;
use crate::report::{Now, Place, Quoted, Standing};
use crate::wrap;

impl TextSurface {
    /// The lines of an edit, a deletion or a reaction.
    pub(super) fn refers(
        &self,
        place: &Place,
        message: &Message,
        (target, quoted): (Cursor, Option<&Quoted>),
        standing: Standing,
        history: bool,
    ) -> Vec<Line> {
        let name = clean::line(message.author.name.as_str());
        let texts = match (&message.content, standing) {
            (content, Standing::Ignored) => {
                let verb = match content {
                    Content::Delete { .. } => "delete",
                    _ => "edit",
                };
                let whose = by_whom(quoted, target);
                vec![format!("{name} may not {verb} {whose}: ignored")]
            }
            (Content::Edit { text, .. }, _) => {
                let mut lines = clean::lines(text.as_str());
                if let Some(first) = lines.first_mut() {
                    *first = format!("{name} edited {}: {first}", what(quoted, target));
                }
                lines
            }
            (Content::Delete { .. }, _) => {
                vec![format!("{name} deleted {}", what(quoted, target))]
            }
            (Content::Reaction { reaction, on, .. }, _) => {
                let (reaction, whose) = (clean::line(reaction.as_str()), by_whom(quoted, target));
                vec![match on {
                    true => format!("{name} reacted {reaction} to {whose}"),
                    false => format!("{name} took back {reaction} from {whose}"),
                }]
            }
            // Others are shown as messages.
            _ => vec![],
        };
        let place = clean::line(&place.to_string());
        let head = format!("{} {place} --", self.time(message.at_ms));
        let paint = history.then_some(Paint::Dim);
        self.entry(&[(Some(Paint::Dim), head)], &texts, paint)
    }
}

/// What a message says: as it is now, and with what it answers in front.
pub(super) fn said(text: &str, now: &Now) -> Vec<String> {
    match now {
        Now::AsWritten => clean::lines(text),
        Now::Edited(text) => {
            let mut lines = clean::lines(text.as_str());
            if let Some(last) = lines.last_mut() {
                last.push_str(" (edited)");
            }
            lines
        }
        Now::Deleted => vec!["[deleted]".to_owned()],
    }
}

/// The same of a text that stands for itself: it cannot pose as a reply.
pub(super) fn plain(text: &str, now: &Now) -> Vec<String> {
    let mut lines = said(text, now);
    if let Some(first) = lines.first_mut()
        && first.trim_start().starts_with(ANSWERS)
    {
        *first = format!("\\{}", first.trim_start());
    }
    lines
}

/// The same of a reply.
pub(super) fn reply(to: Cursor, quoted: Option<&Quoted>, text: &str, now: &Now) -> Vec<String> {
    let mut lines = said(text, now);
    if let Some(first) = lines.first_mut() {
        *first = format!("{ANSWERS} {}: {first}", by_whom(quoted, to));
    }
    lines
}

/// A message and whose it is.
fn by_whom(quoted: Option<&Quoted>, at: Cursor) -> String {
    match quoted {
        Some(quoted) => {
            let name = clean::line(quoted.author.as_str());
            format!("{name} {}", what(Some(quoted), at))
        }
        None => what(None, at),
    }
}

/// A message: its first words, or its seq when it is not known.
fn what(quoted: Option<&Quoted>, at: Cursor) -> String {
    let Some(quoted) = quoted else {
        return format!("message {}", at.seq);
    };
    // A quotation mark inside would end the quotation early.
    let text = clean::line(&quoted.text).replace('"', "'");
    let mut parts = wrap::wrap(text.trim(), QUOTED_COLUMNS).into_iter();
    let first = parts.next().unwrap_or_default();
    match parts.next() {
        Some(_) => format!("\"{first}…\""),
        None => format!("\"{first}\""),
    }
}

/// Stands in front of what a reply answers.
const ANSWERS: char = '↳';

/// Columns of a quoted text: enough to know it again.
const QUOTED_COLUMNS: usize = 32;
