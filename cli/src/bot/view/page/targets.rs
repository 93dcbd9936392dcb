//! A row for each target, with as many columns as there is place for.

use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use super::{Look, Tone, clients};
use crate::bot::progress::{Progress, TargetProgress};
use crate::bot::view::{cell, number};
use crate::clean;

/// At most so many rows, the first of them names the columns.
pub(super) fn rows(
    progress: &Progress,
    look: &Look,
    columns: usize,
    rows_len: usize,
) -> Vec<Line<'static>> {
    if rows_len < 2 || progress.targets.is_empty() {
        return vec![];
    }
    let name_columns = progress
        .targets
        .iter()
        .map(|target| cell::cut(&clean::line(&target.target), NAME_COLUMNS_MAX))
        .map(|name| name.width())
        .max()
        .unwrap_or_default()
        .max("target".len());
    let clients_columns = progress
        .targets
        .iter()
        .map(|target| clients(target.open, target.clients).len() + 2)
        .max()
        .unwrap_or_default()
        .max("  clients".len());
    let fields = fields(columns.saturating_sub(1 + name_columns), clients_columns);
    let mut head = format!(" {}", cell::left("target", name_columns));
    for field in &fields {
        head += &field.0.head(field.1);
    }
    let mut rows = vec![look.line(Tone::Faint, &head)];
    let fit = rows_len - 1;
    let hidden = progress.targets.len().saturating_sub(fit);
    // The last row tells what there is no place for.
    let shown = if hidden > 0 { fit - 1 } else { fit };
    for target in progress.targets.iter().take(shown) {
        let name = cell::left(&clean::line(&target.target), name_columns);
        let mut line = vec![look.span(Tone::Plain, format!(" {name}"))];
        for field in &fields {
            line.push(look.span(field.0.tone(target), field.0.of(target, field.1)));
        }
        rows.push(Line::from(line));
    }
    if hidden > 0 {
        let text = format!(" … and {} more", progress.targets.len() - shown);
        rows.push(look.line(Tone::Faint, &text));
    }
    rows
}

/// A column behind the name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Field {
    Clients,
    Rtt,
    Acked,
    Delivered,
    Reconnects,
    Errors,
    /// What others wrote is last.
    Node,
}

/// The fields that fit, in the order they stand, with their columns.
fn fields(columns: usize, clients_columns: usize) -> Vec<(Field, usize)> {
    let mut left = columns;
    let mut fields = vec![];
    // In order of importance.
    for (field, columns) in [
        (Field::Clients, clients_columns),
        (Field::Delivered, 11),
        (Field::Errors, 8),
        (Field::Rtt, 9),
        (Field::Reconnects, 8),
        (Field::Acked, 10),
        (Field::Node, 8),
    ] {
        if columns <= left {
            left -= columns;
            fields.push((field, columns));
        }
    }
    fields.sort_unstable();
    fields
}

impl Field {
    fn head(self, columns: usize) -> String {
        let name = match self {
            Self::Clients => "clients",
            Self::Rtt => "rtt",
            Self::Acked => "acked",
            Self::Delivered => "delivered",
            Self::Reconnects => "reconn",
            Self::Errors => "errors",
            Self::Node => return "  node".to_owned(),
        };
        cell::right(name, columns)
    }

    fn of(self, target: &TargetProgress, columns: usize) -> String {
        let text = match self {
            Self::Clients => clients(target.open, target.clients),
            Self::Rtt if target.rtt.is_zero() => number::UNKNOWN.to_owned(),
            Self::Rtt => number::time(u64::try_from(target.rtt.as_micros()).unwrap_or(u64::MAX)),
            Self::Acked => number::rate(target.acked_per_s),
            Self::Delivered => number::rate(target.delivered_per_s),
            Self::Reconnects => number::count(target.reconnects),
            Self::Errors => number::count(target.errors),
            Self::Node => return format!("  {}", clean::line(&target.node)),
        };
        cell::right(&text, columns)
    }

    const fn tone(self, target: &TargetProgress) -> Tone {
        match self {
            Self::Clients if target.open < target.clients => Tone::Strong,
            Self::Errors if target.errors > 0 => Tone::Bad,
            Self::Reconnects if target.reconnects > 0 => Tone::Strong,
            _ => Tone::Plain,
        }
    }
}

/// Of the names of targets.
const NAME_COLUMNS_MAX: usize = 21;
