//! Entries as rows of the message pane. Pure.
//!
//! Invariants, which make notices and other people's lines impossible to imitate:
//! * a text stands to the right of the name of who wrote it, in every row of it;
//! * only the server has `***` where names stand, only this program `--`; neither can be a name;
//! * every text of others goes through [`cells`] here.

use chat_protocol::{Content, Text};
use jiff::{Timestamp, civil};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::action::Action;
use super::options::Options;
use super::room::{Entry, Pending, PendingState, Room};
use super::theme::{Role, Sign, Theme};
use super::timeline::{Crowd, Item, Kind, Said, Tone};
use crate::cells;
use crate::operation;
use crate::wrap;

/// What rows are drawn on.
#[derive(Clone, Copy, Debug)]
pub struct Paper<'a> {
    /// How wide it is.
    pub columns: usize,
    /// How it looks.
    pub options: &'a Options,
    /// What this user is called.
    pub me: &'a str,
    /// The entry that is chosen.
    pub chosen: Option<i64>,
}

/// The rows of the entry at an index, with what stands above it: the day, and the read marker.
#[must_use]
pub fn of(room: &Room, index: i64, paper: &Paper<'_>) -> Vec<Line<'static>> {
    let Some(entry) = room.entry(index) else {
        return vec![];
    };
    let before = room.entry(index - 1).map(at_ms);
    let at_ms = at_ms(entry);
    let day = paper.day(at_ms);
    let mut rows = vec![];
    if day.is_some() && before.is_none_or(|before| paper.day(before) != day) {
        let day = day.map(|day| day.strftime("%a %-d %b %Y").to_string());
        rows.push(paper.rule(&day.unwrap_or_default(), Role::Dim));
    }
    if room.marker == Some(index) {
        rows.push(paper.rule("new", Role::Error));
    }
    let time = paper.time(at_ms);
    let is_repeated = before.is_some_and(|before| paper.time(before) == time) && rows.is_empty();
    let time = if is_repeated { String::new() } else { time };
    let body = match entry {
        Entry::Item(item) => of_item(room, item, &time, paper),
        Entry::Pending(pending) => of_pending(pending, &time, paper),
    };
    let body = body.into_iter().map(|row| {
        if paper.chosen == Some(index) {
            row.style(paper.theme().style(Role::Chosen))
        } else {
            row
        }
    });
    rows.extend(body);
    rows
}

fn of_item(room: &Room, item: &Item, time: &str, paper: &Paper<'_>) -> Vec<Line<'static>> {
    let theme = paper.theme();
    match &item.kind {
        Kind::Said(said) => {
            let head = Head::of_said(said, time, theme);
            let style = theme.style(if said.mention {
                Role::Bold
            } else {
                Role::Plain
            });
            said_rows(room, said, &head, style, paper)
        }
        Kind::Crowd(crowd) => {
            let sign = match (crowd.came.is_empty(), crowd.gone.is_empty()) {
                (false, _) => theme.sign(Sign::Came),
                (true, false) => theme.sign(Sign::Gone),
                (true, true) => "--",
            };
            let head = Head::plain(sign, time, theme.style(Role::Dim));
            paper.body(&head, &[crowd_line(crowd, theme)], theme.style(Role::Dim))
        }
        Kind::Remark(tone, text) => {
            let (name, role) = match tone {
                Tone::Quiet => ("--", Role::Dim),
                Tone::Error => ("--", Role::Error),
                Tone::Notice => ("***", Role::Notice),
                Tone::Warning => ("***", Role::Warning),
            };
            let style = theme.style(role);
            paper.body(&Head::plain(name, time, style), &cells::lines(text), style)
        }
    }
}

/// A message as it is now: what it answers, its text, what was made of it.
fn said_rows(
    room: &Room,
    said: &Said,
    head: &Head,
    style: Style,
    paper: &Paper<'_>,
) -> Vec<Line<'static>> {
    let theme = paper.theme();
    let dim = theme.style(Role::Dim);
    let view = room.references.message(said.cursor);
    let mut parts: Vec<(String, Style)> = vec![];
    let answers = match &said.content {
        Content::Reply { to, .. } => Some(*to),
        _ => None,
    };
    if let Some(to) = answers {
        let sign = theme.sign(Sign::Answer);
        let quoted = match room.references.message(to) {
            Some(quoted) => {
                let text = quoted.text().map_or("[deleted]", Text::as_str);
                cells::line(&format!("{sign} {}: {text}", quoted.author().name))
            }
            None => format!("{sign} an earlier message"),
        };
        let more = theme.sign(Sign::More);
        parts.push((cells::cut(&quoted, paper.text_columns(), more), dim));
    }
    if view.is_some_and(|view| view.is_deleted()) {
        parts.push(("[deleted]".to_owned(), dim));
        return paper.parts(head, &parts);
    }
    let mut texts = match &said.content {
        Content::Opaque { content_type, body } => {
            let bytes = body.len();
            vec![format!(
                "[content of type {content_type}, {bytes} bytes: this version cannot show it]"
            )]
        }
        _ => cells::lines(room.text_of(said)),
    };
    if let Content::Action(_) = said.content {
        let name = cells::line(said.author.name.as_str());
        texts[0] = format!("{name} {}", texts[0]);
    }
    if view.is_some_and(|view| view.is_edited())
        && let Some(last) = texts.last_mut()
    {
        last.push_str(" (edited)");
    }
    parts.extend(texts.into_iter().map(|text| (text, style)));
    let reactions = view.map(|view| view.reactions()).unwrap_or_default();
    if !reactions.is_empty() {
        let shown: Vec<String> = reactions
            .iter()
            .map(|reaction| {
                let sign = cells::line(reaction.reaction.as_str());
                match reaction.authors.as_slice() {
                    [one] => format!("{sign} {}", cells::line(one.name.as_str())),
                    authors => format!("{sign} {}", authors.len()),
                }
            })
            .collect();
        parts.push((format!("[{}]", shown.join("  ")), dim));
    }
    paper.parts(head, &parts)
}

fn of_pending(pending: &Pending, time: &str, paper: &Paper<'_>) -> Vec<Line<'static>> {
    let theme = paper.theme();
    let (mark, mark_role, role) = match &pending.state {
        PendingState::Waiting => (theme.sign(Sign::Pending), Role::Dim, Role::Dim),
        PendingState::Acked => (" ", Role::Plain, Role::Plain),
        PendingState::Refused(_) => ("!", Role::Error, Role::Plain),
        PendingState::Unknown => ("?", Role::Error, Role::Plain),
    };
    let mut texts = cells::lines(&pending.text);
    let (name, is_action) = match pending.style {
        operation::Style::Plain => (paper.me.to_owned(), false),
        operation::Style::Action => {
            texts[0] = format!("{} {}", paper.me, texts[0]);
            ("*".to_owned(), true)
        }
    };
    let head = Head {
        mark: mark.to_owned(),
        mark_style: theme.style(mark_role),
        time: time.to_owned(),
        name,
        is_user: !is_action,
        style: theme.style(Role::Bold),
    };
    let mut rows = paper.body(&head, &texts, theme.style(role));
    let why = match &pending.state {
        PendingState::Refused(why) => {
            let keys = paper.options.keymap.keys(Action::Retry);
            format!("not sent: {why} ({keys} sends it again)")
        }
        PendingState::Unknown => {
            "it may or may not be in the log: look for it before you send it again".to_owned()
        }
        PendingState::Waiting | PendingState::Acked => return rows,
    };
    let head = Head::plain("", "", theme.style(Role::Error));
    rows.extend(paper.body(&head, &[why], theme.style(Role::Error)));
    rows
}

fn crowd_line(crowd: &Crowd, theme: Theme) -> String {
    let list = |names: &[chat_protocol::UserName]| {
        let names: Vec<String> = names
            .iter()
            .map(|name| cells::line(name.as_str()))
            .collect();
        names.join(", ")
    };
    let mut parts = vec![];
    if !crowd.came.is_empty() {
        parts.push(format!("{} came", list(&crowd.came)));
    }
    if !crowd.gone.is_empty() {
        // Its sign stands in front already when nobody came.
        let gone = match crowd.came.is_empty() {
            true => String::new(),
            false => format!("{} ", theme.sign(Sign::Gone)),
        };
        parts.push(format!("{gone}{} left", list(&crowd.gone)));
    }
    for (from, to) in &crowd.renamed {
        let (from, to) = (cells::line(from.as_str()), cells::line(to.as_str()));
        parts.push(format!("{from} is now {to}"));
    }
    if crowd.more > 0 {
        parts.push(format!("{} more came or left", crowd.more));
    }
    parts.join("  ")
}

/// What stands to the left of a text.
struct Head {
    mark: String,
    mark_style: Style,
    time: String,
    name: String,
    /// Whether the name is somebody's, and not a sign.
    is_user: bool,
    style: Style,
}

impl Head {
    fn plain(name: &str, time: &str, style: Style) -> Self {
        Self {
            mark: " ".to_owned(),
            mark_style: Style::new(),
            time: time.to_owned(),
            name: name.to_owned(),
            is_user: false,
            style,
        }
    }

    fn of_said(said: &Said, time: &str, theme: Theme) -> Self {
        let name = cells::line(said.author.name.as_str());
        let style = if said.own {
            theme.style(Role::Bold)
        } else {
            theme.name(&name)
        };
        let is_action = matches!(said.content, Content::Action(_));
        Self {
            mark: if said.mention { "@" } else { " " }.to_owned(),
            mark_style: theme.style(Role::Mention),
            time: time.to_owned(),
            name: if is_action { "*".to_owned() } else { name },
            is_user: !is_action,
            style,
        }
    }
}

impl Paper<'_> {
    const fn theme(&self) -> Theme {
        self.options.theme
    }

    const fn is_wide(&self) -> bool {
        self.columns >= WIDE_COLUMNS_MIN
    }

    /// Columns of a time: hours may have one digit or two, months names of any length.
    fn time_columns(&self) -> usize {
        let of = |at_ms| wrap::columns(&self.time(at_ms));
        SAMPLE_TIMES_MS.map(of).into_iter().max().unwrap_or(0)
    }

    fn body(&self, head: &Head, texts: &[String], style: Style) -> Vec<Line<'static>> {
        let parts: Vec<(String, Style)> = texts.iter().map(|text| (text.clone(), style)).collect();
        self.parts(head, &parts)
    }

    /// Lines of a text, each in a style of its own, to the right of a head.
    fn parts(&self, head: &Head, parts: &[(String, Style)]) -> Vec<Line<'static>> {
        let (first, indent) = self.head(head);
        let first_columns: usize = first.iter().map(|span| wrap::columns(&span.content)).sum();
        let width = self.columns.saturating_sub(indent).max(1);
        let pad = " ".repeat(first_columns.saturating_sub(indent));
        let mut rows = vec![];
        let mut head = Some(first);
        for (text, style) in parts {
            let line = if head.is_some() {
                format!("{pad}{text}")
            } else {
                text.clone()
            };
            for part in wrap::wrap(&line, width) {
                let row = match head.take() {
                    Some(mut spans) => {
                        let part = part.get(pad.len()..).unwrap_or_default();
                        spans.push(Span::styled(part.to_owned(), *style));
                        spans
                    }
                    None => vec![self.margin(indent), Span::styled(part, *style)],
                };
                rows.push(Line::from(row));
            }
        }
        rows
    }

    /// What stands before the further rows of a text. Where that is little, a wall keeps a text from
    /// looking like the line of somebody else.
    fn margin(&self, indent: usize) -> Span<'static> {
        if self.is_wide() {
            return Span::raw(" ".repeat(indent));
        }
        let wall = self.theme().sign(Sign::Wall);
        Span::styled(format!(" {wall} "), self.theme().style(Role::Dim))
    }

    /// What stands before the first row of a text, and the column that its further rows begin at.
    fn head(&self, head: &Head) -> (Vec<Span<'static>>, usize) {
        let dim = self.theme().style(Role::Dim);
        let more = self.theme().sign(Sign::More);
        let time = cells::left(&head.time, self.time_columns(), "");
        let mut spans = vec![Span::styled(head.mark.clone(), head.mark_style)];
        if self.is_wide() {
            spans.push(Span::styled(format!("{time} "), dim));
            let name = cells::right(&head.name, NAME_COLUMNS, more);
            spans.push(Span::styled(name, head.style));
            spans.push(Span::raw(" "));
            return (spans, self.columns - self.text_columns());
        }
        if self.columns >= TIME_COLUMNS_MIN {
            spans.push(Span::styled(format!("{time} "), dim));
        }
        let name = cells::cut(&head.name, NAME_COLUMNS, more);
        if !name.is_empty() {
            let name = if head.is_user {
                format!("<{name}> ")
            } else {
                format!("{name} ")
            };
            spans.push(Span::styled(name, head.style));
        }
        (spans, NARROW_INDENT)
    }

    /// Columns of a text.
    fn text_columns(&self) -> usize {
        let before = if self.is_wide() {
            1 + self.time_columns() + 1 + NAME_COLUMNS + 1
        } else {
            NARROW_INDENT
        };
        self.columns.saturating_sub(before).max(1)
    }

    fn rule(&self, word: &str, role: Role) -> Line<'static> {
        let sign = self.theme().sign(Sign::Rule);
        let left = sign.repeat(2);
        let right = self
            .columns
            .saturating_sub(wrap::columns(word) + wrap::columns(&left) + 2);
        let right = sign.repeat(right);
        let line = format!("{left} {word} {right}");
        Line::styled(line, self.theme().style(role))
    }

    fn day(&self, at_ms: u64) -> Option<civil::Date> {
        let time = timestamp(at_ms)?;
        Some(time.to_zoned_datetime(self.options.zone.clone()).date())
    }

    fn time(&self, at_ms: u64) -> String {
        let Some(time) = timestamp(at_ms) else {
            return String::new();
        };
        let time = time.to_zoned_datetime(self.options.zone.clone());
        cells::line(&time.strftime(&self.options.ui.time_format).to_string())
    }
}

fn at_ms(entry: Entry<'_>) -> u64 {
    match entry {
        Entry::Item(item) => item.at_ms,
        Entry::Pending(pending) => pending.at_ms,
    }
}

/// The time of an entry, if it is one that a calendar knows.
fn timestamp(at_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()
}

/// Times that are written long: in the morning and in the evening, in months with long names.
const SAMPLE_TIMES_MS: [u64; 3] = [0, 1_790_805_599_000, 1_796_079_599_000];

/// From so many columns on names have a column of their own.
const WIDE_COLUMNS_MIN: usize = 60;

/// From so many columns on times are shown.
const TIME_COLUMNS_MIN: usize = 30;

/// Columns of a name.
const NAME_COLUMNS: usize = 12;

/// Columns that further rows of a text stand in where names have no column of their own.
const NARROW_INDENT: usize = 3;
