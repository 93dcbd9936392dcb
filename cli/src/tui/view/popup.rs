//! What lies over the messages: help, lists, questions, completions.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{chosen, clear, put};
use crate::cells;
use crate::command::COMMANDS;
use crate::tui::action::{Action, BINDINGS, Group};
use crate::tui::model::{LOCAL_COMMANDS, Model, Overlay};
use crate::tui::picker::Picker;
use crate::tui::theme::{Role, Sign, Theme};
use crate::wrap;
use chat_protocol::limits::TEXT_BYTES_MAX;

/// Draws what lies over the messages. Gives where the cursor is, if it is in there.
pub(super) fn draw(buffer: &mut Buffer, model: &Model, area: Rect) -> Option<(u16, u16)> {
    let theme = model.options.theme;
    match &model.overlay {
        Some(Overlay::Help(from)) => help(buffer, model, area, *from),
        Some(Overlay::Picker(picker)) => return list(buffer, picker, area, theme),
        Some(Overlay::Paste(text)) => paste(buffer, model, text, area),
        Some(Overlay::Select(_)) => {}
        None => completions(buffer, model, area, theme),
    }
    None
}

/// Clears a box in the middle of an area and draws its title. Gives what is inside.
fn box_of(
    buffer: &mut Buffer,
    area: Rect,
    (columns, rows): (usize, usize),
    title: &str,
    theme: Theme,
) -> Rect {
    let width = u16::try_from(columns).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(rows + 2).unwrap_or(u16::MAX).min(area.height);
    let outer = Rect::new(
        area.x + (area.width - width) / 2,
        area.y + (area.height - height) / 2,
        width,
        height,
    );
    clear(buffer, outer);
    let rule = theme.sign(Sign::Rule);
    let columns = usize::from(width);
    let title = cells::cut(title, columns.saturating_sub(4), theme.sign(Sign::More));
    let fill = columns.saturating_sub(wrap::columns(&title) + 3);
    let top = format!("{rule} {title} {}", rule.repeat(fill));
    let bold = theme.style(Role::Bold);
    put(buffer, outer, 0, &Line::styled(top, bold));
    let bottom = Line::styled(rule.repeat(columns), bold);
    put(
        buffer,
        outer,
        usize::from(height).saturating_sub(1),
        &bottom,
    );
    Rect::new(
        outer.x + 1.min(width),
        outer.y + 1.min(height),
        width.saturating_sub(2),
        height.saturating_sub(2),
    )
}

fn list(buffer: &mut Buffer, picker: &Picker, area: Rect, theme: Theme) -> Option<(u16, u16)> {
    let columns = usize::from(area.width).min(LIST_COLUMNS_MAX);
    let rows = usize::from(area.height.saturating_sub(2)).min(LIST_ROWS_MAX);
    let inside = box_of(buffer, area, (columns, rows), picker.title(), theme);
    let more = theme.sign(Sign::More);
    let query = cells::line(&picker.query);
    put(buffer, inside, 0, &Line::raw(format!("> {query}")));
    let height = usize::from(inside.height).saturating_sub(1);
    let first = (picker.chosen + 1).saturating_sub(height);
    if picker.matches.is_empty() {
        let line = Line::styled(picker.emptiness(), theme.style(Role::Dim));
        put(buffer, inside, 1, &line);
    }
    for (row, found) in picker.matches.iter().skip(first).take(height).enumerate() {
        let is_chosen = first + row == picker.chosen;
        let mark = if is_chosen { ">" } else { " " };
        let width = usize::from(inside.width).saturating_sub(2);
        let label = cells::left(&cells::line(&found.label), width, more);
        let line = Line::styled(format!("{mark} {label}"), chosen(theme, is_chosen));
        put(buffer, inside, 1 + row, &line);
    }
    let column = u16::try_from(2 + wrap::columns(&query)).ok()?;
    let last = inside.right().saturating_sub(1);
    Some(((inside.x + column).min(last), inside.y))
}

fn paste(buffer: &mut Buffer, model: &Model, text: &str, area: Rect) {
    let theme = model.options.theme;
    let lines: Vec<String> = text.lines().map(cells::line).collect();
    let dim = theme.style(Role::Dim);
    let shown = lines.iter().take(PASTE_ROWS_SHOWN);
    let mut rows: Vec<Line<'static>> = shown
        .map(|line| Line::styled(format!("  {line}"), dim))
        .collect();
    if lines.len() > PASTE_ROWS_SHOWN {
        rows.push(Line::styled(format!("  {}", theme.sign(Sign::More)), dim));
    }
    let fits = text.len() <= TEXT_BYTES_MAX;
    if fits {
        rows.push(Line::raw("Enter  send as one message"));
    } else {
        let bytes = text.len();
        let size = format!("{bytes} bytes; one message has at most {TEXT_BYTES_MAX}");
        rows.push(Line::styled(size, theme.style(Role::Error)));
    }
    rows.push(Line::raw("s      send line by line"));
    if fits {
        rows.push(Line::raw("e      edit first"));
    }
    let cancel = model.keys_of(Action::Cancel);
    rows.push(Line::raw(format!("{cancel:<6} do not send")));
    let title = format!("Send {} pasted lines?", lines.len());
    let columns = usize::from(area.width).min(LIST_COLUMNS_MAX);
    let inside = box_of(buffer, area, (columns, rows.len()), &title, theme);
    // The question is more important than what it is about.
    let skipped = rows.len().saturating_sub(inside.height.into());
    for (index, row) in rows.iter().skip(skipped).enumerate() {
        put(buffer, inside, index, row);
    }
}

fn completions(buffer: &mut Buffer, model: &Model, area: Rect, theme: Theme) {
    let Some((words, at)) = model.choices().filter(|(words, _)| words.len() > 1) else {
        return;
    };
    let mut spans = vec![];
    for (index, word) in words.iter().enumerate() {
        let word = cells::line(word.trim_end());
        spans.push(Span::styled(word, chosen(theme, index == at)));
        spans.push(Span::raw("  "));
    }
    // Those before the one that is there give way.
    let before = spans.iter().take(at * 2 + 1);
    let before: usize = before.map(|span| wrap::columns(&span.content)).sum();
    let skipped = if before > usize::from(area.width) {
        at * 2
    } else {
        0
    };
    let row = Rect {
        y: area.bottom().saturating_sub(1),
        height: 1,
        ..area
    };
    clear(buffer, row);
    put(buffer, row, 0, &Line::from(spans.split_off(skipped)));
}

fn help(buffer: &mut Buffer, model: &Model, area: Rect, from: usize) {
    let theme = model.options.theme;
    let columns = usize::from(area.width).min(HELP_COLUMNS_MAX);
    let rows = help_rows(model, columns.saturating_sub(2));
    let height = usize::from(area.height.saturating_sub(2));
    let title = format!(
        "Help: Up and Down scroll, {} closes",
        model.keys_of(Action::Cancel)
    );
    let inside = box_of(buffer, area, (columns, height), &title, theme);
    let from = from.min(rows.len().saturating_sub(inside.height.into()));
    for (index, row) in rows.iter().skip(from).enumerate() {
        put(buffer, inside, index, row);
    }
}

/// The whole help in so many columns: every key as it is now, every command.
fn help_rows(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let theme = model.options.theme;
    let bold = theme.style(Role::Bold);
    let title = |text: &str| Line::styled(text.to_owned(), bold);
    let entry = |what: &str, about: &str| {
        let what = format!("  {what}");
        let indent = if columns < HELP_COLUMNS_WIDE {
            HELP_NARROW_INDENT
        } else {
            HELP_WHAT_COLUMNS
        };
        let parts = wrap::wrap(about, columns.saturating_sub(indent).max(1));
        let mut rows: Vec<Line<'static>> = vec![];
        let fits = wrap::columns(&what) < indent;
        if !fits {
            rows.push(Line::styled(what.clone(), bold));
        }
        for (index, part) in parts.into_iter().enumerate() {
            let before = if fits && index == 0 {
                what.as_str()
            } else {
                ""
            };
            let gap = " ".repeat(indent - wrap::columns(before));
            rows.push(Line::from(vec![
                Span::styled(before.to_owned(), bold),
                Span::raw(format!("{gap}{part}")),
            ]));
        }
        rows
    };
    let mut rows = vec![];
    for group in [Group::Input, Group::Messages, Group::Rooms, Group::Screen] {
        rows.push(title(group.title()));
        for binding in BINDINGS.iter().filter(|binding| binding.group == group) {
            let keys = model.keys_of(binding.action);
            if !keys.is_empty() {
                rows.extend(entry(&keys, binding.about));
            }
        }
        if group == Group::Rooms {
            rows.extend(entry("Alt-1 to Alt-9", "room of this number"));
        }
        rows.push(Line::raw(""));
    }
    rows.push(title("Commands"));
    let of_all = COMMANDS.iter();
    let of_all = of_all.map(|command| (command.name, command.arguments, command.about));
    let local = LOCAL_COMMANDS.iter();
    let local = local.map(|command| (command.name, command.arguments, command.about));
    for (name, arguments, about) in of_all.chain(local) {
        rows.extend(entry(format!("/{name} {arguments}").trim_end(), about));
    }
    rows.extend(entry("//text", "send /text"));
    rows.push(Line::raw(""));
    rows.push(title("Marks"));
    for (sign, about) in [
        (
            theme.sign(Sign::Pending),
            "on its way; kept and sent again until it is acked",
        ),
        ("!", "not sent; the line below says why"),
        ("?", "it may or may not be in the log"),
        ("@", "names you"),
        (theme.sign(Sign::Up), "connected"),
        (
            theme.sign(Sign::Away),
            "no connection; what you write is kept",
        ),
    ] {
        rows.extend(entry(sign, about));
    }
    rows
}

const LIST_COLUMNS_MAX: usize = 76;
const LIST_ROWS_MAX: usize = 16;
const HELP_COLUMNS_MAX: usize = 90;
const HELP_WHAT_COLUMNS: usize = 26;
/// In fewer columns what something does stands below what it is.
const HELP_COLUMNS_WIDE: usize = 60;
const HELP_NARROW_INDENT: usize = 6;
/// Lines of a pasted text that are shown of it.
const PASTE_ROWS_SHOWN: usize = 4;
