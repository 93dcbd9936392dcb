//! A run in one line of text, and the thread that writes it to standard error: rewritten every
//! second on a terminal, a new line every five seconds anywhere else.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::termios;
use unicode_width::UnicodeWidthStr;

use super::page::phase_word;
use super::slot::Slot;
use super::{cell, number};
use crate::bot::progress::{Phase, Progress};
use crate::bot::report::Interval;

/// The line, in at most so many columns: what one can do without is left out first. Nothing of it
/// was written by others.
#[must_use]
pub fn line(progress: &Progress, columns_max: usize) -> String {
    let mut parts = parts(progress);
    let width = |parts: &[(Need, String)]| {
        let widths = parts.iter().map(|(_, text)| text.width() + GAP.len());
        widths.sum::<usize>().saturating_sub(GAP.len())
    };
    for need in [Need::Low, Need::Middle, Need::High] {
        if width(&parts) > columns_max {
            parts.retain(|(of_part, _)| *of_part != need);
        }
    }
    let texts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
    cell::cut(&texts.join(GAP), columns_max)
}

/// How much a part of a line is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Need {
    /// It goes first.
    Low,
    Middle,
    High,
    /// It stays.
    Always,
}

fn parts(progress: &Progress) -> Vec<(Need, String)> {
    let mut begin = format!("{:>5}  ", number::elapsed(progress.elapsed));
    begin += phase_word(progress.phase);
    if progress.is_paused {
        begin += " paused";
    }
    if let Some(done) = progress.done {
        begin += " ";
        begin += &number::percent(done);
    }
    let mut parts = vec![(Need::Always, begin)];
    if progress.is_limited {
        let lag = number::time(progress.lag_p99_us);
        parts.push((Need::Always, format!("LIMITED BY THIS CLIENT: {lag} late")));
    }
    if progress.phase == Phase::Connecting || progress.open < progress.clients {
        let open = number::count(progress.open);
        let clients = number::count(progress.clients);
        parts.push((Need::High, format!("clients {open}/{clients}")));
    }
    if progress.phase != Phase::Connecting {
        let now = |of: fn(&Interval) -> u64| {
            let last = progress.recent.last()?;
            Some(number::per_s(of(last), last.length_s))
        };
        let sent = counted("sent", progress.sent, now(|last| last.sent));
        let delivered = counted("delivered", progress.delivered, now(|last| last.delivered));
        parts.push((Need::High, sent));
        parts.push((Need::Low, counted("acked", progress.acked, None)));
        parts.push((Need::Middle, delivered));
        if progress.delivery.count > 0 {
            let p99 = number::time(progress.delivery.p99);
            parts.push((Need::High, format!("p99 {p99}")));
        }
        let name = match progress.violations {
            0 => "violations",
            _ => "VIOLATIONS",
        };
        parts.push((Need::Always, counted(name, progress.violations, None)));
    }
    let errors = progress.errors.iter().map(|row| row.count);
    let errors = errors.fold(0, u64::saturating_add);
    parts.push((Need::Always, counted("errors", errors, None)));
    parts
}

fn counted(name: &str, number: u64, per_s: Option<f64>) -> String {
    let number = number::count(number);
    match per_s {
        Some(per_s) => format!("{name} {number} ({})", number::rate(per_s)),
        None => format!("{name} {number}"),
    }
}

/// Writes lines until the slot is closed.
pub(super) fn run(slot: &Slot) {
    let mut paper = if io::stderr().is_terminal() {
        Paper::Terminal { columns: 0 }
    } else {
        Paper::Stream
    };
    let mut out = io::stderr();
    let mut newest = None;
    let mut last = None;
    loop {
        let taken = slot.wait(Duration::from_secs(60));
        newest = taken.progress.or(newest);
        let now = Instant::now();
        let is_due = |progress: &Progress| {
            taken.is_closed
                || last.is_none_or(|(phase, at)| {
                    phase != progress.phase || now.duration_since(at) >= paper.interval()
                })
        };
        if let Some(progress) = newest.take_if(|progress| is_due(progress)) {
            last = Some((progress.phase, now));
            let columns_max = paper.columns_max();
            let bytes = paper.bytes_of(&line(&progress, columns_max), columns_max);
            // Nobody may read it; that is no reason to stop.
            let _ = out.write_all(bytes.as_bytes());
        }
        if taken.is_closed {
            break;
        }
    }
    let _ = out.write_all(paper.end().as_bytes());
}

/// What is written on.
#[derive(Debug, Eq, PartialEq)]
enum Paper {
    /// A line is written over the last one, which had so many columns.
    Terminal { columns: usize },
    /// A line is written after the last one.
    Stream,
}

impl Paper {
    const fn interval(&self) -> Duration {
        // A little less than what is meant, since progress does not come on the dot.
        match self {
            Self::Terminal { .. } => Duration::from_millis(900),
            Self::Stream => Duration::from_millis(4_900),
        }
    }

    fn columns_max(&self) -> usize {
        match self {
            // The last column stays free: a full line would wrap.
            Self::Terminal { .. } => {
                let size = termios::tcgetwinsize(io::stderr().as_fd()).ok();
                let columns = size.map(|size| size.ws_col.into()).filter(|len| *len > 0);
                columns.unwrap_or(COLUMNS_DEFAULT) - 1
            }
            Self::Stream => usize::MAX,
        }
    }

    fn bytes_of(&mut self, line: &str, columns_max: usize) -> String {
        match self {
            // What is left of a longer line is overwritten with spaces, which every terminal
            // understands; a narrower terminal has no place for all of it.
            Self::Terminal { columns } => {
                let width = line.width();
                let covered = (*columns).min(columns_max).max(width);
                *columns = width;
                format!("\r{}", cell::left(line, covered))
            }
            Self::Stream => format!("{line}\n"),
        }
    }

    /// What ends the last line.
    const fn end(&self) -> &'static str {
        match self {
            Self::Terminal { columns: 1.. } => "\n",
            _ => "",
        }
    }
}

/// Between two parts.
const GAP: &str = "  ";
/// Where the terminal does not say.
const COLUMNS_DEFAULT: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::report::{ErrorRow, Summary};

    #[test]
    fn a_run_is_told_in_a_line() {
        let connecting = Progress {
            elapsed: Duration::from_secs(3),
            done: Some(0.4),
            open: 80,
            clients: 200,
            ..Progress::default()
        };
        assert_eq!(
            line(&connecting, 80),
            "   3s  connecting 40%  clients 80/200  errors 0"
        );
        let load = Progress {
            phase: Phase::Load,
            elapsed: Duration::from_secs(12),
            open: 200,
            sent: 2_400,
            acked: 2_398,
            delivered: 47_960,
            delivery: Summary {
                count: 47_960,
                p99: 3_200,
                ..Summary::default()
            },
            recent: vec![Interval {
                length_s: 0.5,
                sent: 100,
                delivered: 1_998,
                ..Interval::default()
            }],
            ..connecting
        };
        assert_eq!(
            line(&load, 200),
            "  12s  load 40%  sent 2,400 (200/s)  acked 2,398  delivered 47,960 (3,996/s)  \
             p99 3.20 ms  violations 0  errors 0"
        );
        for (columns, expected) in [
            (
                100,
                "  12s  load 40%  sent 2,400 (200/s)  delivered 47,960 (3,996/s)  \
                 p99 3.20 ms  violations 0  errors 0",
            ),
            (
                79,
                "  12s  load 40%  sent 2,400 (200/s)  p99 3.20 ms  violations 0  errors 0",
            ),
            (40, "  12s  load 40%  violations 0  errors 0"),
            (20, "  12s  load 40%  vi…"),
            (0, ""),
        ] {
            assert_eq!(line(&load, columns), expected);
        }
        let row = |count| ErrorRow {
            code: "\u{1b}[2J".to_owned(),
            count,
            ..ErrorRow::default()
        };
        let bad = Progress {
            phase: Phase::Drain,
            elapsed: Duration::from_secs(3_725),
            done: None,
            is_paused: true,
            open: 199,
            violations: 7,
            errors: vec![row(2), row(u64::MAX)],
            is_limited: true,
            lag_p99_us: 120_000,
            recent: vec![],
            delivery: Summary::default(),
            ..load
        };
        assert_eq!(
            line(&bad, 200),
            "1h02m  drain paused  LIMITED BY THIS CLIENT: 120 ms late  clients 199/200  \
             sent 2,400  acked 2,398  delivered 47,960  VIOLATIONS 7  errors 18446.7P"
        );
    }

    #[test]
    fn a_terminal_line_covers_the_one_before() {
        let mut paper = Paper::Terminal { columns: 0 };
        assert_eq!(paper.end(), "");
        assert_eq!(paper.bytes_of("twelve chars", 80), "\rtwelve chars");
        assert_eq!(paper.bytes_of("four", 80), "\rfour        ");
        assert_eq!(paper.bytes_of("four", 80), "\rfour");
        assert_eq!(paper.bytes_of("longer", 80), "\rlonger");
        assert_eq!(paper.bytes_of("x", 3), "\rx  ", "it has become narrow");
        assert_eq!(paper.end(), "\n");
        let mut paper = Paper::Stream;
        assert_eq!(paper.bytes_of("twelve chars", 5), "twelve chars\n");
        assert_eq!(paper.end(), "");
    }
}
