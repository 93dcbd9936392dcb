//! The report for the terminal: the verdict first, then what it rests on, at most
//! [`COLUMNS_MAX`] columns wide but for the command that repeats the run, which stays whole.
//!
//! Colours only mark what is good and bad; everything can be read without them. What nodes said
//! (names, errors, what was violated) is made harmless before it is written.

use std::fmt::{self, Display, Formatter};

use super::{Ended, Report, Summary, Trust, Verdict, figure};
use crate::clean;
use crate::palette::{Paint, Palette};
use crate::wrap;

/// A report as text: some 40 lines, each with its end.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// What to show.
    pub report: &'a Report,
    /// Whether PASS and FAIL have colours.
    pub palette: Palette,
}

impl Display for Text<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.verdict(out)?;
        self.run(out)?;
        self.load(out)?;
        self.latency(out)?;
        self.delivery(out)?;
        self.transport(out)?;
        self.targets(out)?;
        self.errors(out)?;
        self.asserts(out)?;
        writeln!(
            out,
            "\nto repeat it\n  {}",
            clean::line(&self.report.run.command)
        )
    }
}

impl Text<'_> {
    fn verdict(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let report = self.report;
        let (word, paint) = match report.verdict {
            Verdict::Pass => ("PASS", Paint::Good),
            Verdict::Fail => ("FAIL", Paint::Error),
            Verdict::Incomplete => ("INCOMPLETE", Paint::Mention),
        };
        let parts = wrap::wrap(&headline(report), COLUMNS_MAX - word.len() - 2);
        writeln!(out, "{}  {}", self.palette.paint(paint, word), parts[0])?;
        for part in &parts[1..] {
            writeln!(out, "{INDENT}{part}")?;
        }
        for reason in report.reasons.iter().take(REASONS_MAX) {
            wrapped(out, INDENT, reason)?;
        }
        more(out, INDENT, report.reasons.len(), REASONS_MAX)?;
        match failed_asserts(report) {
            Some(failed) => {
                let failed = self.palette.paint(Paint::Error, &failed);
                writeln!(out, "{INDENT}{failed}")
            }
            None => Ok(()),
        }
    }

    fn run(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let run = &self.report.run;
        writeln!(out)?;
        if let Some(title) = &run.title {
            row(out, "title", title)?;
        }
        let what = format!(
            "{}, {} ({}) in {}, seed {}",
            run.scenario,
            figure::counted(run.clients.into(), "client", "clients"),
            figure::counted(run.senders.into(), "sender", "senders"),
            figure::counted(run.rooms.into(), "room", "rooms"),
            run.seed,
        );
        row(out, "run", &what)?;
        let where_from = format!(
            "{}, chat-cli {} on {}",
            run.started,
            run.version,
            figure::counted(run.cores.into(), "core", "cores"),
        );
        row(out, "", &where_from)?;
        let phases = format!(
            "connect {}, load {}, drain {}{}",
            figure::seconds(run.connect_s),
            figure::seconds(run.load_s),
            figure::seconds(run.drain_s),
            match run.ended {
                Ended::Done => "",
                Ended::Interrupted => "; interrupted by the user",
                Ended::ClusterGone => "; the cluster was gone",
            },
        );
        row(out, "", &phases)
    }

    fn load(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (rate, generator) = (&self.report.rate, &self.report.generator);
        let rates = format!(
            "planned {}, sent {}, acked {}, delivered {}; {} skipped",
            figure::rate(rate.planned_per_s),
            figure::rate(rate.sent_per_s),
            figure::rate(rate.acked_per_s),
            figure::rate(rate.delivered_per_s),
            figure::count(generator.skipped),
        );
        row(out, "load", &rates)?;
        let lag = match generator.lag_us {
            Summary { count: 0, .. } => "nothing was sent".to_owned(),
            lag => format!(
                "sent late by p50 {}, p99 {}, max {}",
                figure::duration(lag.p50),
                figure::duration(lag.p99),
                figure::duration(lag.max)
            ),
        };
        let own = format!(
            "{lag}; the bot took {} of a core and {}",
            figure::percent(generator.cpu_percent),
            figure::bytes(generator.memory_bytes),
        );
        row(out, "", &own)?;
        match generator.trust {
            Trust::Ok => Ok(()),
            Trust::LimitedByClient => {
                let loud = format!("{LIMITED_MARK} {}", LIMITED.to_uppercase());
                writeln!(out, "{}", self.palette.paint(Paint::Error, &loud))?;
                row(out, "", LIMITED_WHY)
            }
        }
    }

    fn latency(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (latency, service) = (&self.report.latency_us, &self.report.service_us);
        let mut head = format!("\n{:<NAME$}", "latency");
        for point in POINTS {
            head.push_str(&format!("{point:>TIME$}"));
        }
        writeln!(out, "{head}{:>COUNT$}", "n")?;
        for (label, summary) in [
            ("  connect", &latency.connect),
            ("  ack", &latency.ack),
            ("  delivery", &latency.delivery),
            ("    same node", &latency.same_node),
            ("    cross node", &latency.cross_node),
            ("  service: ack", &service.ack),
            ("  service: delivery", &service.delivery),
        ] {
            write!(out, "{label:<NAME$}")?;
            for time in points(summary) {
                match summary.count {
                    0 => write!(out, "{:>TIME$}", figure::NOTHING)?,
                    _ => write!(out, "{}", aligned(time, TIME))?,
                }
            }
            writeln!(out, "{:>COUNT$}", figure::count(summary.count))?;
        }
        let note =
            "ack and delivery count from when a message was due, service from when it was sent";
        writeln!(out, "  {note}")
    }

    fn delivery(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let report = self.report;
        writeln!(out)?;
        let of = [
            ("expected", report.expected),
            ("delivered", report.delivered),
            ("lost", report.lost),
            ("duplicated", report.duplicated),
            ("reordered", report.reordered),
        ];
        row(out, "delivery", &figures(&of))?;
        let of = [
            ("corrupted", report.corrupted),
            ("invented", report.invented),
            ("disagreed", report.disagreed),
            ("late", report.late),
            ("announced gaps", report.gaps),
        ];
        row(out, "", &figures(&of))?;
        let of = [
            ("sent", report.sent),
            ("acked", report.acked),
            ("unacked", report.unacked),
            ("unacked but in the log", report.unacked_in_log),
            ("refused", report.refused),
        ];
        row(out, "messages", &figures(&of))?;
        for violation in report.violations.iter().take(VIOLATIONS_MAX) {
            let violation = format!("violated: {violation}");
            wrapped(out, &" ".repeat(LABEL), &violation)?;
        }
        more(
            out,
            &" ".repeat(LABEL),
            report.violations.len(),
            VIOLATIONS_MAX,
        )
    }

    fn transport(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (connections, quic) = (&self.report.connections, &self.report.quic);
        let of = [
            ("opened", connections.opened),
            ("failed", connections.failed),
            ("reconnects", connections.reconnects),
            ("returns", connections.returns),
            ("resumed", connections.resumed),
            ("open", connections.open),
        ];
        let rate = figure::rate(self.report.rate.connected_per_s);
        row(
            out,
            "connections",
            &format!("{}; made at {rate}", figures(&of)),
        )?;
        let rtt = match quic.rtt_us {
            Summary { count: 0, .. } => figure::NOTHING.to_owned(),
            rtt => format!(
                "p50 {}, p99 {}",
                figure::duration(rtt.p50),
                figure::duration(rtt.p99)
            ),
        };
        let path = format!(
            "rtt {rtt}; {} of {} packets lost ({}), {}",
            figure::count(quic.packets_lost),
            figure::count(quic.packets_sent),
            figure::percent(quic.loss_percent),
            figure::counted(
                quic.congestion_events,
                "congestion event",
                "congestion events"
            ),
        );
        row(out, "quic", &path)?;
        let bytes = format!(
            "in {} in {}, out {}; {} deliveries a datagram",
            figure::bytes(quic.bytes_received),
            figure::counted(quic.datagrams_received, "datagram", "datagrams"),
            figure::bytes(quic.bytes_sent),
            match quic.deliveries_per_datagram {
                ratio if ratio.is_finite() => figure::three_digits(ratio),
                _ => figure::NOTHING.to_owned(),
            },
        );
        row(out, "", &bytes)
    }

    fn targets(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let targets = &self.report.targets;
        if targets.is_empty() {
            return Ok(());
        }
        let names = targets.iter().map(|target| wrap::columns(&target.node));
        let node = (names.max().unwrap_or(0) + 2).clamp(6, NAMES / 2);
        let name = NAMES - node;
        writeln!(
            out,
            "\n{:<name$}{:<node$}{:>6}{:>9}{:>9}{:>13}{:>10}{:>12}{:>7}{:>7}",
            "target",
            "node",
            "open",
            "rtt p50",
            "ack p99",
            "delivery p99",
            "acked",
            "delivered",
            "reconn",
            "errors"
        )?;
        for target in targets.iter().take(TARGETS_MAX) {
            let time = |summary: &Summary, us: u64, columns: usize| match summary.count {
                0 => format!("{:>columns$}", figure::NOTHING),
                _ => aligned(us, columns),
            };
            writeln!(
                out,
                "  {}{}{:>6}{}{}{}{:>10}{:>12}{:>7}{:>7}",
                column(&target.target, name - 2),
                column(&target.node, node),
                figure::count(target.connections),
                time(&target.rtt_us, target.rtt_us.p50, 9),
                time(&target.ack_us, target.ack_us.p99, 9),
                time(&target.delivery_us, target.delivery_us.p99, 13),
                figure::count(target.acked),
                figure::count(target.delivered),
                figure::count(target.reconnects),
                figure::count(target.errors),
            )?;
        }
        more(out, "  ", targets.len(), TARGETS_MAX)
    }

    fn errors(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let errors = &self.report.errors;
        if errors.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\n{:<NAME$}{:>9}{:>10}{:>10}  what the first said",
            "error", "count", "first at", "last at"
        )?;
        for error in errors.iter().take(ERRORS_MAX) {
            writeln!(
                out,
                "  {}{:>9}{:>10}{:>10}  {}",
                column(&error.code, NAME - 2),
                figure::count(error.count),
                figure::seconds(error.first_s),
                figure::seconds(error.last_s),
                cut(&clean::line(&error.text), COLUMNS_MAX - NAME - 31),
            )?;
        }
        more(out, "  ", errors.len(), ERRORS_MAX)
    }

    fn asserts(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.report.asserts.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nassert")?;
        for assert in &self.report.asserts {
            let outcome = match assert.passed {
                true => self.palette.paint(Paint::Good, "ok"),
                false => self.palette.paint(Paint::Error, "FAIL"),
            };
            writeln!(
                out,
                "  {}measured {}{outcome}",
                column(&assert.assert, 32),
                column(&assert.measured, 20),
            )?;
        }
        Ok(())
    }
}

/// What decides about a run, in a line. What is rare is named only when there is some.
pub(crate) fn headline(report: &Report) -> String {
    let mut line = format!(
        "{} sent, {} of {} delivered, {} lost, {} duplicated, {} out of order",
        figure::count(report.sent),
        figure::count(report.delivered),
        figure::count(report.expected),
        figure::count(report.lost),
        figure::count(report.duplicated),
        figure::count(report.reordered),
    );
    for (number, what) in [
        (report.corrupted, "corrupted"),
        (report.invented, "invented"),
        (report.disagreed, "disagreed"),
    ] {
        if number > 0 {
            line.push_str(&format!(", {} {what}", figure::count(number)));
        }
    }
    line
}

/// That asserts failed: whatever the verdict, the program does not end well then.
pub(crate) fn failed_asserts(report: &Report) -> Option<String> {
    let asserts = &report.asserts;
    let failed = asserts.iter().filter(|assert| !assert.passed).count();
    (failed > 0).then(|| {
        let all = figure::counted(asserts.len() as u64, "assert", "asserts");
        format!("{failed} of {all} failed")
    })
}

/// The points of a distribution that are shown, under [`POINTS`].
const fn points(summary: &Summary) -> [u64; POINTS.len()] {
    [
        summary.p50,
        summary.p90,
        summary.p99,
        summary.p999,
        summary.max,
    ]
}

/// The points of a distribution that are shown.
const POINTS: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

fn row(out: &mut Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    for (index, part) in wrap::wrap(&clean::line(text), COLUMNS_MAX - LABEL)
        .iter()
        .enumerate()
    {
        let label = if index == 0 { label } else { "" };
        writeln!(out, "{label:<LABEL$}{part}")?;
    }
    Ok(())
}

fn wrapped(out: &mut Formatter<'_>, indent: &str, text: &str) -> fmt::Result {
    for part in wrap::wrap(&clean::line(text), COLUMNS_MAX - indent.len()) {
        writeln!(out, "{indent}{part}")?;
    }
    Ok(())
}

/// Says that not all were shown.
fn more(out: &mut Formatter<'_>, indent: &str, len: usize, shown_max: usize) -> fmt::Result {
    match len.saturating_sub(shown_max) {
        0 => Ok(()),
        more => writeln!(out, "{indent}and {more} more, in the JSON report"),
    }
}

/// `lost 0, late 5`.
fn figures(of: &[(&str, u64)]) -> String {
    let parts = of
        .iter()
        .map(|(name, number)| format!("{name} {}", figure::count(*number)));
    parts.collect::<Vec<_>>().join(", ")
}

/// A time in its column: numbers end at the same place, whatever their units.
fn aligned(us: u64, columns: usize) -> String {
    let text = figure::duration(us);
    let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
    format!("{number:>width$} {unit:<2}", width = columns - 3)
}

/// What nodes or users said, in a column of so many, at least one of them empty.
fn column(text: &str, columns: usize) -> String {
    let text = cut(&clean::line(text), columns - 1);
    let rest = columns.saturating_sub(wrap::columns(&text));
    text + &" ".repeat(rest)
}

/// The beginning of a harmless text.
fn cut(text: &str, columns: usize) -> String {
    if wrap::columns(text) <= columns {
        return text.to_owned();
    }
    let mut parts = wrap::wrap(text, columns - 1);
    format!("{}…", parts.swap_remove(0))
}

/// What is said when the figures are not the cluster's.
pub(crate) const LIMITED: &str = "results limited by this client";
/// Why that is.
pub(crate) const LIMITED_WHY: &str =
    "this generator was late or could not send: the cluster may be able to do more";

const LIMITED_MARK: &str = "!!!";

/// As wide as most terminals and mails can show.
pub const COLUMNS_MAX: usize = 100;
/// Before what belongs to the verdict.
const INDENT: &str = "      ";
/// Columns of the labels at the left.
const LABEL: usize = 13;
/// Columns of the names at the left of a table.
const NAME: usize = 21;
/// Columns of the names of a target and its node together.
const NAMES: usize = 27;
/// Columns of a time: `12.4 ms` and what keeps it apart.
const TIME: usize = 10;
/// Columns of a number of values.
const COUNT: usize = 15;

/// How many are shown: the most that still leave the rest of the report in view.
const REASONS_MAX: usize = 8;
const VIOLATIONS_MAX: usize = 5;
const TARGETS_MAX: usize = 16;
const ERRORS_MAX: usize = 10;

#[cfg(test)]
mod tests;
