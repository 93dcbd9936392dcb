//! The text surface: a report in, lines out. Pure but for the few things it remembers to avoid
//! repeating itself (the day, whether history is being shown).
//!
//! Invariants, which make notices impossible to imitate:
//! * a line that begins with a time comes from a user, and says whose it is right after the room;
//! * every further line of a user's text is indented, also where the terminal would have broken it;
//! * lines of the server begin with `***`, lines of this program with `--`;
//! * every text of others goes through [`clean`] here, whatever was promised before.

use chat_protocol::lane::{Message, Notice, NoticeLevel, PresenceChange};
use chat_protocol::{Content, UserName};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::clean;
use crate::output::Line;
use crate::palette::{self, Paint, Palette};
use crate::report::{Context, Place, Refusal, Report};
use crate::wrap;

mod refer;
pub(crate) mod remark;
#[cfg(test)]
mod tests;

/// How times are shown.
#[derive(Clone, Debug)]
pub enum Clock {
    /// For programs and logs: date and time in UTC, to the second.
    Utc,
    /// For people: hours and minutes in a zone, and a line when the day changes.
    Local(TimeZone),
}

/// Makes lines of reports.
#[derive(Debug)]
pub struct TextSurface {
    palette: Palette,
    clock: Clock,
    /// Columns of the terminal; none when the lines go somewhere else.
    columns: Option<usize>,
    me: Option<UserName>,
    day: Option<civil::Date>,
    /// The room whose history was shown last, until something newer comes.
    history_of: Option<Place>,
}

impl TextSurface {
    /// A surface that shows nothing yet.
    #[must_use]
    pub const fn new(palette: Palette, clock: Clock) -> Self {
        Self {
            palette,
            clock,
            columns: None,
            me: None,
            day: None,
            history_of: None,
        }
    }

    /// Tells how wide the terminal is; none for unbroken lines.
    pub const fn set_columns(&mut self, columns: Option<usize>) {
        self.columns = columns;
    }

    /// The lines of a report; none when there is nothing to say about it.
    pub fn render(&mut self, report: &Report) -> Vec<Line> {
        match report {
            Report::Message {
                place,
                message,
                own,
                history,
                mention,
                context,
                ..
            } => {
                let mut lines = self.before_entry(place, message.at_ms, *history);
                lines.extend(self.message(place, message, (*own, *history, *mention), context));
                lines
            }
            Report::Refers {
                place,
                message,
                target,
                quoted,
                standing,
                history,
                ..
            } => {
                let mut lines = self.before_entry(place, message.at_ms, *history);
                let target = (*target, quoted.as_ref());
                lines.extend(self.refers(place, message, target, *standing, *history));
                lines
            }
            Report::TopicChanged {
                place,
                change,
                history,
                ..
            } => {
                let mut lines = self.before_entry(place, change.at_ms, *history);
                let what = clean::line(&remark::topic(change));
                let head = format!(
                    "{} {} --",
                    self.time(change.at_ms),
                    clean::line(&place.to_string())
                );
                lines.extend(self.entry(
                    &[(Some(Paint::Dim), head)],
                    &[what],
                    history.then_some(Paint::Dim),
                ));
                lines
            }
            Report::Older { entries, .. } => {
                // They begin and end by themselves, also right after other history.
                self.history_of = None;
                let mut lines: Vec<Line> = entries
                    .iter()
                    .flat_map(|entry| self.render(entry))
                    .collect();
                self.history_of = None;
                lines.extend(self.remarks(report));
                lines
            }
            Report::Notice { cursor, notice, .. } => self.notice(cursor.seq.0, notice),
            Report::Presence {
                place,
                members,
                changes,
                more,
            } => self.presence(place, *members, changes, *more),
            Report::Refused { refusal, .. } | Report::NotSent { refusal, .. } => {
                self.refusal(refusal)
            }
            Report::Connected { name, .. } => {
                self.me = Some(name.clone());
                self.remarks(report)
            }
            Report::Renamed { name } => {
                let is_news = self.me.replace(name.clone()).as_ref() != Some(name);
                if is_news {
                    self.remarks(report)
                } else {
                    vec![]
                }
            }
            _ => self.remarks(report),
        }
    }

    fn remarks(&self, report: &Report) -> Vec<Line> {
        let lines = remark::of(report).into_iter();
        lines
            .flat_map(|line| self.aside(&line, Some(Paint::Dim)))
            .collect()
    }

    /// What comes before an entry: the day, where history begins and where it ends.
    fn before_entry(&mut self, place: &Place, at_ms: u64, history: bool) -> Vec<Line> {
        let mut lines = vec![];
        let was_history_of = std::mem::take(&mut self.history_of);
        if history {
            if was_history_of.as_ref() != Some(place) {
                lines.extend(self.aside(&format!("earlier in {place}:"), Some(Paint::Dim)));
            }
            self.history_of = Some(place.clone());
        } else if let Some(place) = was_history_of {
            lines.extend(self.aside(
                &format!("end of earlier messages in {place}"),
                Some(Paint::Dim),
            ));
        }
        if let Clock::Local(zone) = &self.clock
            && let Some(time) = timestamp(at_ms)
        {
            let day = time.to_zoned_datetime(zone.clone()).date();
            if self.day.replace(day).is_some_and(|before| before != day) {
                let day = day.strftime("%A %-d %B %Y").to_string();
                lines.extend(self.aside(&day, Some(Paint::Dim)));
            }
        }
        lines
    }

    fn message(
        &self,
        place: &Place,
        message: &Message,
        (own, history, mention): (bool, bool, bool),
        context: &Context,
    ) -> Vec<Line> {
        let name = clean::line(message.author.name.as_str());
        let name_paint = if own {
            Paint::Bold
        } else {
            palette::of_name(&name)
        };
        let time = self.time(message.at_ms);
        let place = clean::line(&place.to_string());
        let (author, texts) = match &message.content {
            Content::Text(text) => {
                let said = refer::plain(text.as_str(), &context.now);
                (format!("<{name}>"), said)
            }
            Content::Action(text) => {
                let said = refer::plain(text.as_str(), &context.now);
                (format!("* {name}"), said)
            }
            Content::Reply { to, text } => {
                let quoted = context.quoted.as_ref();
                let said = refer::reply(*to, quoted, text.as_str(), &context.now);
                (format!("<{name}>"), said)
            }
            other => {
                let (content_type, body) = other.clone().into_parts();
                let what = format!("[content of type {content_type}, {} bytes]", body.len());
                (format!("<{name}>"), vec![what])
            }
        };
        let text_paint = match (history, mention) {
            (true, _) => Some(Paint::Dim),
            (false, true) => Some(Paint::Mention),
            (false, false) => None,
        };
        let head = [
            (Some(Paint::Dim), format!("{time} {place}")),
            (Some(name_paint), author),
        ];
        self.entry(&head, &texts, text_paint)
    }

    /// An entry of a log: its head once, its text after it, every further line indented.
    fn entry(
        &self,
        head: &[(Option<Paint>, String)],
        texts: &[String],
        paint: Option<Paint>,
    ) -> Vec<Line> {
        let head_columns: usize = head.iter().map(|(_, part)| wrap::columns(part) + 1).sum();
        let (indent, width) = match self.columns {
            // On a narrow terminal the text still gets more than half of it.
            Some(columns) => {
                let indent = if head_columns * 2 < columns {
                    head_columns
                } else {
                    INDENT
                };
                (indent, Some(columns.saturating_sub(indent).max(1)))
            }
            None => (INDENT, None),
        };
        let mut shown = String::new();
        for (paint, part) in head {
            shown.push_str(&self.paint(*paint, part));
            shown.push(' ');
        }
        let mut lines = vec![];
        let mut parts = texts.iter().flat_map(|text| match width {
            Some(width) => wrap::wrap(text, width),
            None => vec![text.clone()],
        });
        let first_fits = indent == head_columns || width.is_none();
        if first_fits {
            shown.push_str(&self.paint(paint, &parts.next().unwrap_or_default()));
        }
        lines.push(Line::main(shown.trim_end()));
        for part in parts {
            let part = self.paint(paint, &part);
            lines.push(Line::main(&format!("{:indent$}{part}", "")));
        }
        lines
    }

    fn notice(&self, number: u64, notice: &Notice) -> Vec<Line> {
        let paint = match notice.level {
            NoticeLevel::Info => Paint::Notice,
            NoticeLevel::Warning => Paint::Warning,
        };
        let word = match notice.level {
            NoticeLevel::Info => "notice",
            NoticeLevel::Warning => "warning",
        };
        let head = match self.clock {
            Clock::Utc => format!("*** {word} #{number}: "),
            Clock::Local(_) => format!("*** {} {word} #{number}: ", self.time(notice.at_ms)),
        };
        let indent = wrap::columns(&head);
        let width = self
            .columns
            .map(|columns| columns.saturating_sub(indent).max(1));
        let mut lines = vec![];
        for text in clean::lines(notice.text.as_str()) {
            let parts = match width {
                Some(width) => wrap::wrap(&text, width),
                None => vec![text],
            };
            for part in parts {
                let before = if lines.is_empty() {
                    head.as_str()
                } else {
                    CONTINUED
                };
                let pad = indent - wrap::columns(before);
                let line = format!("{before}{:pad$}{part}", "");
                // The bar reaches from edge to edge: no text of a user ever does.
                let free = self
                    .columns
                    .unwrap_or(0)
                    .saturating_sub(wrap::columns(&line));
                let free = if self.palette == Palette::Bare {
                    0
                } else {
                    free
                };
                lines.push(Line::aside(
                    &self.paint(Some(paint), &format!("{line}{:free$}", "")),
                ));
            }
        }
        lines
    }

    fn presence(
        &self,
        place: &Place,
        members: u32,
        changes: &[PresenceChange],
        more: u32,
    ) -> Vec<Line> {
        let mut joined = vec![];
        let mut left = vec![];
        let mut said = vec![];
        for change in changes {
            match change {
                PresenceChange::Joined(name) if self.me.as_ref() == Some(name) => {}
                PresenceChange::Joined(name) => joined.push(clean::line(name.as_str())),
                PresenceChange::Left(name) => left.push(clean::line(name.as_str())),
                PresenceChange::Renamed { from, to } => said.push(format!(
                    "{} is now {}",
                    clean::line(from.as_str()),
                    clean::line(to.as_str())
                )),
            }
        }
        for (names, verb) in [(joined, "joined"), (left, "left")] {
            if !names.is_empty() {
                said.push(format!("{} {verb} {place}", names.join(", ")));
            }
        }
        if more > 0 {
            said.push(format!("{more} more came or went in {place}"));
        }
        match said.last_mut() {
            Some(last) => last.push_str(&format!(" ({members} here)")),
            None => return vec![],
        }
        said.iter()
            .flat_map(|line| self.aside(line, Some(Paint::Dim)))
            .collect()
    }

    fn refusal(&self, refusal: &Refusal) -> Vec<Line> {
        let place = refusal
            .line
            .map_or_else(String::new, |line| format!("line {line}: "));
        let mut lines = self.aside(&format!("{place}{}", refusal.message), Some(Paint::Error));
        if let Some(hint) = refusal.hint {
            lines.extend(self.aside(&format!("help: {hint}"), Some(Paint::Dim)));
        }
        lines
    }

    /// A remark of this program.
    fn aside(&self, text: &str, paint: Option<Paint>) -> Vec<Line> {
        let width = self
            .columns
            .map(|columns| columns.saturating_sub(CONTINUED.len()).max(1));
        let mut lines = vec![];
        for text in clean::lines(text) {
            let parts = match width {
                Some(width) => wrap::wrap(&text, width),
                None => vec![text],
            };
            for part in parts {
                let before = if lines.is_empty() { "-- " } else { "   " };
                lines.push(Line::aside(
                    &self.paint(paint, format!("{before}{part}").trim_end()),
                ));
            }
        }
        lines
    }

    fn paint(&self, paint: Option<Paint>, text: &str) -> String {
        match paint {
            Some(paint) => self.palette.paint(paint, text),
            None => text.to_owned(),
        }
    }

    fn time(&self, at_ms: u64) -> String {
        let Some(time) = timestamp(at_ms) else {
            return NO_TIME.to_owned();
        };
        match &self.clock {
            Clock::Utc => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Clock::Local(zone) => time
                .to_zoned_datetime(zone.clone())
                .strftime("%H:%M")
                .to_string(),
        }
    }
}

/// The time of an entry, if it is one that a calendar knows.
fn timestamp(at_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()
}

/// Columns that further lines of a text stand in, where they do not stand under its first.
const INDENT: usize = 4;

/// What a further line of a notice begins with.
const CONTINUED: &str = "***";

/// Shown for a time that no calendar knows.
const NO_TIME: &str = "--:--";
