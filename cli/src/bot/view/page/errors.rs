//! What went wrong, by code.

use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use super::{Look, Tone};
use crate::bot::progress::Progress;
use crate::bot::report::ErrorRow;
use crate::bot::view::{cell, number};
use crate::clean;

/// At most so many rows: one for each code, or all codes in one.
pub(super) fn rows(
    progress: &Progress,
    look: &Look,
    columns: usize,
    rows_len: usize,
) -> Vec<Line<'static>> {
    let errors = &progress.errors;
    if rows_len == 0 || errors.is_empty() {
        return vec![];
    }
    if rows_len == 1 && errors.len() > 1 {
        return vec![all(errors, look, columns)];
    }
    let hidden = errors.len().saturating_sub(rows_len);
    let shown = if hidden > 0 {
        rows_len - 1
    } else {
        errors.len()
    };
    let mut rows: Vec<_> = errors
        .iter()
        .take(shown)
        .map(|row| one(row, look, columns))
        .collect();
    if hidden > 0 {
        rows.push(all(errors.get(shown..).unwrap_or_default(), look, columns));
    }
    rows
}

fn one(row: &ErrorRow, look: &Look, columns: usize) -> Line<'static> {
    let begin = format!(" {} × {}", number::count(row.count), clean::line(&row.code));
    let begin = cell::cut(&begin, columns);
    let left = columns.saturating_sub(begin.width() + 2);
    let text = cell::cut(&clean::line(&row.text), left);
    Line::from(vec![
        look.span(Tone::Bad, begin),
        look.span(Tone::Plain, format!("  {text}")),
    ])
}

fn all(errors: &[ErrorRow], look: &Look, columns: usize) -> Line<'static> {
    let total: u64 = errors
        .iter()
        .map(|row| row.count)
        .fold(0, u64::saturating_add);
    let codes: Vec<String> = errors
        .iter()
        .map(|row| format!("{} {}", clean::line(&row.code), number::count(row.count)))
        .collect();
    let text = format!(" {} errors: {}", number::count(total), codes.join(", "));
    look.line(Tone::Bad, &cell::cut(&text, columns))
}
