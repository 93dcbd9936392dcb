//! The page: what a run looks like on a screen of a certain size. Pure.
//!
//! Each part of it is made of whole rows. The title, the verdict, the warning that the figures are
//! the generator's and the keys are always there; what else fits is decided in order of
//! importance, so that a small screen loses what one can do without first.
//!
//! Invariant: what others wrote goes through [`crate::clean`], and stands last in its row.

use std::time::Duration;

use ratatui::Frame;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::{cell, number};
use crate::bot::progress::{Phase, Progress};
use crate::palette::Palette;

mod errors;
mod latency;
mod rates;
mod targets;
mod top;

/// What is not about the run, but about how it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether there are colours. Without them bold and reversed cells remain.
    pub palette: Palette,
    /// [`Progress::elapsed`] when the phase began.
    pub phase_began: Duration,
}

/// Draws a page on the whole of a frame.
pub fn draw(frame: &mut Frame<'_>, progress: &Progress, look: &Look) {
    let area = frame.area();
    let rows = rows(progress, look, area.width.into(), area.height.into());
    for (row, y) in rows.iter().zip(area.top()..area.bottom()) {
        frame.buffer_mut().set_line(area.x, y, row, area.width);
    }
}

fn rows(progress: &Progress, look: &Look, columns: usize, rows_len: usize) -> Vec<Line<'static>> {
    if columns < COLUMNS_MIN || rows_len < ROWS_MIN {
        return top::too_small(progress, look, columns, rows_len);
    }
    let mut head = top::title(progress, look, columns);
    head.extend(top::verdict(progress, look, columns, rows_len));
    head.extend(top::warning(progress, look, columns));
    let mut room = Room(rows_len.saturating_sub(head.len() + 1));

    // In order of importance.
    let rates = room.take(3, 3);
    let mut errors = room.take(1, progress.errors.len().min(1));
    let mut latency = room.take(1, 2);
    if latency == 2 {
        latency += room.take(latency::ROWS_LEN - 2, latency::ROWS_LEN - 2);
    }
    let targets = room.take(2, 1 + progress.targets.len());
    errors += room.take(1, progress.errors.len().saturating_sub(errors));

    let mut parts = [
        head,
        rates::rows(progress, look, columns, rates),
        latency::rows(progress, look, columns, latency),
        targets::rows(progress, look, columns, targets),
        errors::rows(progress, look, columns, errors),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect::<Vec<_>>();
    // Some air between them, from the top.
    let parts_len = parts.len();
    for part in parts.iter_mut().take(parts_len - 1) {
        if room.take(1, 1) == 1 {
            part.push(Line::default());
        }
    }
    let mut page = parts.concat();
    page.resize(rows_len - 1, Line::default());
    page.push(top::keys(progress, look, columns));
    page
}

/// Rows that nothing is on yet.
#[derive(Debug)]
struct Room(usize);

impl Room {
    /// As many as wanted or as there are; none when that is too few.
    fn take(&mut self, few: usize, wanted: usize) -> usize {
        let taken = wanted.min(self.0);
        if taken < few {
            return 0;
        }
        self.0 -= taken;
        taken
    }
}

/// How a part of a page looks.
#[derive(Clone, Copy, Debug)]
enum Tone {
    /// As it is.
    Plain,
    /// More important than the rest.
    Strong,
    /// Names of columns.
    Faint,
    /// Bars.
    Bar,
    /// Something is as it should be.
    Good,
    /// Something is not.
    Bad,
    /// Across the row: a promise was broken.
    Alarm,
    /// Across the row: figures are not what they seem.
    Warning,
}

impl Look {
    fn span(&self, tone: Tone, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(tone))
    }

    fn line(&self, tone: Tone, text: &str) -> Line<'static> {
        Line::from(self.span(tone, text))
    }

    /// A row of one tone, to its end.
    fn band(&self, tone: Tone, text: &str, columns: usize) -> Line<'static> {
        self.line(tone, &cell::left(text, columns))
    }

    fn style(&self, tone: Tone) -> Style {
        let (modifier, foreground, background) = match tone {
            Tone::Plain => (Modifier::empty(), None, None),
            Tone::Strong => (Modifier::BOLD, None, None),
            Tone::Faint => (Modifier::DIM, None, None),
            Tone::Bar => (Modifier::empty(), Some(Color::Cyan), None),
            Tone::Good => (Modifier::empty(), Some(Color::Green), None),
            Tone::Bad => (Modifier::BOLD, Some(Color::Red), None),
            Tone::Alarm => (Modifier::BOLD, Some(Color::White), Some(Color::Red)),
            Tone::Warning => (Modifier::BOLD, Some(Color::Black), Some(Color::Yellow)),
        };
        let style = Style::new().add_modifier(modifier);
        match (self.palette, foreground, background) {
            (Palette::Bare, _, Some(_)) => style.add_modifier(Modifier::REVERSED),
            (Palette::Bare, _, None) => style,
            (Palette::Colour, foreground, background) => Style {
                fg: foreground,
                bg: background,
                ..style
            },
        }
    }
}

/// The word for a phase.
pub(super) const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "connecting",
        Phase::Load => "load",
        Phase::Drain => "drain",
        Phase::Done => "done",
    }
}

/// How much longer the phase takes, if it goes on as it went.
pub(super) fn remaining(progress: &Progress, look: &Look) -> Option<Duration> {
    let done = progress
        .done
        .filter(|done| *done >= DONE_MIN && !progress.is_paused)?;
    let so_far = progress.elapsed.saturating_sub(look.phase_began);
    Duration::try_from_secs_f64(so_far.as_secs_f64() * ((1.0 - done) / done).max(0.0)).ok()
}

/// Clients there are of those there shall be.
fn clients(open: u64, clients: u64) -> String {
    let clients = number::count(clients);
    format!(
        "{}/{clients}",
        cell::right(&number::count(open), clients.len())
    )
}

/// A smaller screen shows no page.
const COLUMNS_MIN: usize = 40;
/// A lower screen shows no page.
const ROWS_MIN: usize = 10;
/// From here on there is place for what one can do without.
const COLUMNS_WIDE: usize = 72;
/// Before this part is done, nobody can tell how long the rest takes.
const DONE_MIN: f64 = 0.02;

#[cfg(test)]
mod tests;
