//! How much is sent, acked and delivered, now and in the last two minutes.

use ratatui::text::Line;

use super::{COLUMNS_WIDE, Look, Tone};
use crate::bot::progress::Progress;
use crate::bot::report::Interval;
use crate::bot::view::{cell, number};

/// At most so many rows.
pub(super) fn rows(
    progress: &Progress,
    look: &Look,
    columns: usize,
    rows_len: usize,
) -> Vec<Line<'static>> {
    let target = format!("of {}", number::rate(progress.target_rate));
    let rows: [(_, Count, _, _); 3] = [
        ("sent", |interval| interval.sent, target, progress.sent),
        (
            "acked",
            |interval| interval.acked,
            String::new(),
            progress.acked,
        ),
        (
            "delivered",
            |interval| interval.delivered,
            String::new(),
            progress.delivered,
        ),
    ];
    rows.into_iter()
        .take(rows_len)
        .map(|(name, of, note, total)| {
            let rates: Vec<f64> = progress
                .recent
                .iter()
                .map(|at| number::per_s(of(at), at.length_s))
                .collect();
            let now = rates.last().copied().unwrap_or_default();
            let mut line = vec![
                look.span(Tone::Plain, format!(" {}", cell::left(name, 9))),
                look.span(Tone::Strong, cell::right(&number::rate(now), 11)),
            ];
            let mut used = 21;
            let total = number::count(total);
            if columns < COLUMNS_WIDE {
                let note = if note.is_empty() { total } else { note };
                line.push(look.span(Tone::Faint, cell::right(&note, 12)));
                used += 12;
            } else {
                line.push(look.span(Tone::Faint, format!(" {}", cell::left(&note, 13))));
                line.push(look.span(Tone::Plain, cell::right(&total, 11)));
                used += 25;
            }
            let place = columns.saturating_sub(used + 2);
            line.push(look.span(Tone::Bar, format!(" {}", cell::sparkline(&rates, place))));
            Line::from(line)
        })
        .collect()
}

/// What is counted in an interval.
type Count = fn(&Interval) -> u64;
