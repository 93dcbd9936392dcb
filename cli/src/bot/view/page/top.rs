//! The first rows of a page, and the last one.

use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use super::{COLUMNS_MIN, COLUMNS_WIDE, Look, ROWS_MIN, Tone, clients, phase_word, remaining};
use crate::bot::progress::{Phase, Progress};
use crate::bot::view::{cell, number};

/// What is going on, for how long, and how much of it is done.
pub(super) fn title(progress: &Progress, look: &Look, columns: usize) -> Vec<Line<'static>> {
    let word = if progress.is_paused && progress.phase == Phase::Load {
        "PAUSED".to_owned()
    } else {
        phase_word(progress.phase).to_uppercase()
    };
    let elapsed = number::elapsed(progress.elapsed);
    let clients = format!("{} clients", clients(progress.open, progress.clients));
    let bar = progress.done.map(|done| {
        let left = remaining(progress, look)
            .map(|left| format!("{} left", number::elapsed(left)))
            .unwrap_or_default();
        (done, number::percent(done), left)
    });
    if columns < COLUMNS_WIDE {
        let first = format!(" {word}  {elapsed}  {clients}");
        let second = bar.map_or_else(Line::default, |(done, percent, left)| {
            let bar = cell::progress(done, columns - 1 - 5 - 11);
            let rest = format!("{}{}", cell::right(&percent, 5), cell::right(&left, 10));
            Line::from(vec![
                look.span(Tone::Bar, format!(" {bar}")),
                look.span(Tone::Plain, rest),
            ])
        });
        return vec![look.line(Tone::Strong, &first), second];
    }
    // What is left of the row is the bar's.
    let begin = format!(" {} {}", cell::left(&word, 10), cell::left(&elapsed, 7));
    let rest = bar.as_ref().map_or_else(String::new, |(_, percent, left)| {
        format!("{}{}", cell::right(percent, 5), cell::right(left, 12))
    });
    let rest = format!("{rest}  {clients}");
    let place = columns.saturating_sub(begin.width() + rest.width() + 1);
    let bar = bar.map_or_else(String::new, |(done, ..)| cell::progress(done, place));
    vec![Line::from(vec![
        look.span(Tone::Strong, begin),
        look.span(Tone::Bar, cell::left(&bar, place)),
        look.span(Tone::Plain, rest),
    ])]
}

/// Whether promises were kept so far.
pub(super) fn verdict(
    progress: &Progress,
    look: &Look,
    columns: usize,
    rows_len: usize,
) -> Vec<Line<'static>> {
    if progress.violations == 0 {
        let text = if columns < COLUMNS_WIDE {
            " ok  0 lost, 0 duplicated, 0 reordered"
        } else {
            " ok  0 lost, 0 duplicated, 0 reordered, 0 corrupted so far"
        };
        return vec![look.line(Tone::Good, text)];
    }
    let number = number::count(progress.violations);
    let plural = if progress.violations == 1 { "" } else { "S" };
    let text = if columns < COLUMNS_WIDE {
        format!(" !!! {number} VIOLATION{plural} !!!")
    } else {
        format!(" !!! {number} VIOLATION{plural}: deliveries are not as promised !!!")
    };
    let text = look.band(Tone::Alarm, &text, columns);
    if rows_len < ROWS_ROOMY {
        return vec![text];
    }
    let empty = look.band(Tone::Alarm, "", columns);
    vec![empty.clone(), text, empty]
}

/// That the figures are the generator's, when they are.
pub(super) fn warning(progress: &Progress, look: &Look, columns: usize) -> Option<Line<'static>> {
    if !progress.is_limited {
        return None;
    }
    let lag = number::time(progress.lag_p99_us);
    let text = if columns < COLUMNS_WIDE {
        format!(" ! LIMITED BY THIS CLIENT: {lag} late")
    } else {
        format!(" ! LIMITED BY THIS CLIENT: sends are {lag} late, the cluster may do more")
    };
    Some(look.band(Tone::Warning, &text, columns))
}

/// What keys do.
pub(super) fn keys(progress: &Progress, look: &Look, columns: usize) -> Line<'static> {
    let pause = match (progress.phase, progress.is_paused) {
        (Phase::Done, _) => return look.line(Tone::Faint, " the report comes next"),
        (Phase::Load, true) => "  p go on",
        (Phase::Load, false) => "  p pause sending",
        _ => "",
    };
    let text = if columns < COLUMNS_WIDE {
        format!(" q end and report{pause}")
    } else {
        format!(" q end now with a report{pause}")
    };
    look.line(Tone::Faint, &text)
}

/// What there is place for on a screen that is too small for a page.
pub(super) fn too_small(
    progress: &Progress,
    look: &Look,
    columns: usize,
    rows_len: usize,
) -> Vec<Line<'static>> {
    let violations = match progress.violations {
        0 => None,
        violations => Some(format!("! {} violations", number::count(violations))),
    };
    let texts = [
        violations.map(|text| look.band(Tone::Alarm, &cell::cut(&text, columns), columns)),
        Some(format!("{columns}×{rows_len} is too small"))
            .map(|text| look.line(Tone::Strong, &text)),
        Some(format!("needs {COLUMNS_MIN}×{ROWS_MIN}")).map(|text| look.line(Tone::Plain, &text)),
        Some("q end and report").map(|text| look.line(Tone::Faint, text)),
    ];
    texts.into_iter().flatten().take(rows_len).collect()
}

/// From here on an alarm takes more than a row.
const ROWS_ROOMY: usize = 20;
