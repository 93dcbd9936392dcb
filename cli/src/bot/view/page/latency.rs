//! How long acks and deliveries take, as numbers and as bars on a logarithmic scale.
//!
//! The scale is the same in every run, so that what looks the same is the same.

use ratatui::text::{Line, Span};

use super::{Look, Tone};
use crate::bot::progress::Progress;
use crate::bot::report::Summary;
use crate::bot::view::{cell, number};

/// Exactly so many rows, or the most that make sense.
pub(super) fn rows(
    progress: &Progress,
    look: &Look,
    columns: usize,
    rows_len: usize,
) -> Vec<Line<'static>> {
    if rows_len >= ROWS_LEN {
        return chart(progress, look, columns);
    }
    let mut rows = vec![short("delivery", &progress.delivery, look, columns)];
    if rows_len >= 2 {
        rows.insert(0, short("ack", &progress.ack, look, columns));
    }
    rows.truncate(rows_len);
    rows
}

/// One row, as much of it as fits.
fn short(name: &str, summary: &Summary, look: &Look, columns: usize) -> Line<'static> {
    let mut line = vec![look.span(Tone::Plain, format!(" {}", cell::left(name, 9)))];
    let mut left = columns.saturating_sub(10);
    for (name, us) in quantiles(summary) {
        // The three that say most when there is little place.
        if columns < 60 && matches!(name, "p90" | "p99.9") {
            continue;
        }
        let value = value(summary, us);
        let text = format!(" {name} {value}");
        if text.chars().count() > left {
            break;
        }
        left -= text.chars().count();
        line.push(look.span(Tone::Faint, format!(" {name} ")));
        line.push(look.span(Tone::Strong, value));
    }
    Line::from(line)
}

fn chart(progress: &Progress, look: &Look, columns: usize) -> Vec<Line<'static>> {
    let half = (columns - NAME_COLUMNS) / 2;
    let bar_columns = half.saturating_sub(VALUE_COLUMNS + 2);
    let name = if bar_columns < 8 { "" } else { " due to" };
    let mut head = cell::left(name, NAME_COLUMNS);
    for name in ["ack", "delivery"] {
        let text = cell::right(name, VALUE_COLUMNS);
        head += &cell::left(&text, half);
    }
    let mut rows = vec![look.line(Tone::Faint, &head)];
    for (ack, delivery) in quantiles(&progress.ack)
        .into_iter()
        .zip(quantiles(&progress.delivery))
    {
        let mut line = vec![look.span(Tone::Plain, format!(" {}", cell::left(ack.0, 6)))];
        for (summary, us) in [(&progress.ack, ack.1), (&progress.delivery, delivery.1)] {
            line.extend(value_and_bar(summary, us, look, bar_columns));
        }
        rows.push(Line::from(line));
    }
    let ticks = scale(bar_columns);
    let before = " ".repeat(VALUE_COLUMNS + 1);
    let axis = format!(
        "{}{before}{ticks} {before}{ticks}",
        " ".repeat(NAME_COLUMNS)
    );
    rows.push(look.line(Tone::Faint, &axis));
    rows
}

fn value_and_bar(
    summary: &Summary,
    us: u64,
    look: &Look,
    bar_columns: usize,
) -> [Span<'static>; 2] {
    let part = if summary.count == 0 { 0.0 } else { place(us) };
    let bar = cell::left(&cell::bar(part, bar_columns), bar_columns);
    [
        look.span(
            Tone::Strong,
            cell::right(&value(summary, us), VALUE_COLUMNS) + " ",
        ),
        look.span(Tone::Bar, bar + " "),
    ]
}

fn quantiles(summary: &Summary) -> [(&'static str, u64); 5] {
    [
        ("p50", summary.p50),
        ("p90", summary.p90),
        ("p99", summary.p99),
        ("p99.9", summary.p999),
        ("max", summary.max),
    ]
}

fn value(summary: &Summary, us: u64) -> String {
    if summary.count == 0 {
        return number::UNKNOWN.to_owned();
    }
    number::time(us)
}

/// Where a time is on the scale, 0 to 1.
fn place(us: u64) -> f64 {
    let decades = number::number_as_f64(us.max(1)).log10() - SCALE_BEGIN_LOG;
    (decades / SCALE_DECADES)
        .clamp(0.0, 1.0)
        .max(f64::MIN_POSITIVE)
}

/// The names of places on the scale; each ends where its place is.
fn scale(columns: usize) -> String {
    let mut text = String::new();
    for (name, us) in [
        ("1ms", 1_000),
        ("10ms", 10_000),
        ("100ms", 100_000),
        ("1s", 1_000_000),
    ] {
        let end = cell::bar(place(us), columns).chars().count();
        let used = text.chars().count();
        if end >= used + name.len() + usize::from(used > 0) {
            text += &cell::right(name, end - used);
        }
    }
    cell::left(&text, columns)
}

/// Rows of the chart: names, five values, the scale.
pub(super) const ROWS_LEN: usize = 7;
/// Of the names of the values.
const NAME_COLUMNS: usize = 7;
/// Of a value.
const VALUE_COLUMNS: usize = 8;
/// The scale begins at 100 µs: nothing between programs is faster for long.
const SCALE_BEGIN_LOG: f64 = 2.0;
/// It ends at 10 s: whoever waits longer sees that in the number.
const SCALE_DECADES: f64 = 5.0;
