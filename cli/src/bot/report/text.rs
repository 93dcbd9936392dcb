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
mod tests {
    use super::*;
    use crate::bot::report::{ErrorRow, Report, sample};

    fn text(report: &Report) -> String {
        let palette = Palette::Bare;
        Text { report, palette }.to_string()
    }

    #[test]
    fn a_report_reads_from_the_verdict_to_the_command() {
        assert_eq!(text(&sample::passed()), PASSED);
    }

    #[test]
    fn what_went_wrong_stands_out() {
        let report = text(&sample::failed());
        let beginning = "\
FAIL  120,034 sent, 2,400,677 of 2,400,680 delivered, 3 lost, 1 duplicated, 2 out of order, 6
      corrupted, 7 invented, 8 disagreed
      3 messages that were acked never reached a reader
      1 of 2 asserts failed

";
        assert!(report.starts_with(beginning), "{report}");
        for part in [
            "\n!!! RESULTS LIMITED BY THIS CLIENT\n",
            "             corrupted 6, invented 7, disagreed 8, late 5, announced gaps 4\n",
            "\n             violated: bot-3 in room-7: 41 never came\n",
            "\n  p99<20ms                        measured 9.6 ms              ok\n",
            "\n  lost==0                         measured 3                   FAIL\n",
        ] {
            assert!(report.contains(part), "{part:?} is not in\n{report}");
        }
        assert!(!text(&sample::passed()).contains("LIMITED"));
        let mut passed = sample::passed();
        passed.asserts[0].passed = false;
        let report = text(&passed);
        let second = report.lines().nth(1);
        assert_eq!(
            second,
            Some("      1 of 1 assert failed"),
            "although it passed"
        );
    }

    #[test]
    fn a_run_that_ended_early_says_so_and_has_dashes_for_figures() {
        let mut report = Report::default();
        report.run.ended = Ended::ClusterGone;
        let report = text(&report);
        assert!(
            report.starts_with("INCOMPLETE  0 sent, 0 of 0 delivered, 0 lost, "),
            "{report}"
        );
        for part in [
            "drain 0.0 s; the cluster was gone\n",
            "nothing was sent; ",
            "\n  delivery                    –         –         –         –         –              0\n",
            "rtt –; 0 of 0 packets lost (0%), 0 congestion events\n",
        ] {
            assert!(report.contains(part), "{part:?} is not in\n{report}");
        }
    }

    #[test]
    fn colours_mark_good_and_bad_and_change_nothing_else() {
        for (report, verdict) in [
            (sample::passed(), "\u{1b}[32mPASS\u{1b}[0m  "),
            (sample::failed(), "\u{1b}[31mFAIL\u{1b}[0m  "),
            (Report::default(), "\u{1b}[1;33mINCOMPLETE\u{1b}[0m  "),
        ] {
            let palette = Palette::Colour;
            let report = &report;
            let coloured = Text { report, palette }.to_string();
            assert!(coloured.starts_with(verdict), "{coloured}");
            let bare = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[1;33m", "\u{1b}[0m"]
                .iter()
                .fold(coloured, |text, code| text.replace(code, ""));
            assert_eq!(bare, text(report));
        }
    }

    #[test]
    fn strangers_neither_command_the_terminal_nor_fill_it() {
        let report = text(&hostile());
        for line in report.lines() {
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(!line.contains('\u{202e}'), "{line:?}");
            let columns = wrap::columns(line);
            assert!(columns <= COLUMNS_MAX, "{columns} columns: {line}");
        }
        let lines = report.lines().count();
        assert!(lines < 250, "{lines} lines");
        for part in [
            "\n      and 32 more, in the JSON report\n",
            "\n             and 35 more, in the JSON report\n",
            "\n  and 24 more, in the JSON report\n",
            "\n  and 30 more, in the JSON report\n",
        ] {
            assert!(report.contains(part), "{part:?} is not in\n{report}");
        }
    }

    #[test]
    fn the_largest_numbers_stay_in_the_text() {
        let mut report = sample::failed();
        for summary in [
            &mut report.latency_us.delivery,
            &mut report.targets[0].ack_us,
        ] {
            *summary = sample::summary(u64::MAX, 400_000_000_000_000_000);
        }
        report.rate.acked_per_s = f64::NAN;
        report.quic.deliveries_per_datagram = f64::INFINITY;
        report.targets[0].delivered = u64::MAX;
        report.errors[0].last_s = f64::MAX;
        let report = text(&report);
        assert!(report.contains("18,446,744,073,709,551,615"), "{report}");
        assert!(report.contains("acked –, delivered"), "{report}");
    }

    /// A report full of what a hostile node may have said.
    fn hostile() -> Report {
        let bad = "\u{1b}[2J\r\u{202e}<script>今日は ".repeat(9);
        let mut report = sample::failed();
        report.reasons = vec![bad.clone(); 40];
        report.violations = vec![bad.clone(); 40];
        report.targets = vec![report.targets[0].clone(); 40];
        for target in &mut report.targets {
            target.node.clone_from(&bad);
            target.target.clone_from(&bad);
        }
        let error = ErrorRow {
            code: bad.clone(),
            text: bad.clone(),
            ..report.errors[0].clone()
        };
        report.errors = vec![error; 40];
        report.asserts[0].measured.clone_from(&bad);
        report.run.title = Some(bad);
        report
    }

    const PASSED: &str = "\
PASS  120,034 sent, 2,400,680 of 2,400,680 delivered, 0 lost, 0 duplicated, 0 out of order

title        two nodes, one Redis
run          chat, 200 clients (20 senders) in 20 rooms, seed 7
             2026-11-23T19:05:02.000Z, chat-cli 0.1.0 on 2 cores
             connect 1.2 s, load 60.0 s, drain 0.4 s
load         planned 2,001/s, sent 2,001/s, acked 2,000/s, delivered 40,011/s; 2 skipped
             sent late by p50 60 µs, p99 240 µs, max 1.86 ms; the bot took 87% of a core and 141 MiB

latency                     p50       p90       p99     p99.9       max              n
  connect               4.20 ms   8.40 ms   16.8 ms   37.8 ms    130 ms            200
  ack                   1.90 ms   3.80 ms   7.60 ms   17.1 ms   58.9 ms        120,030
  delivery              2.40 ms   4.80 ms   9.60 ms   21.6 ms   74.4 ms      2,400,680
    same node           2.10 ms   4.20 ms   8.40 ms   18.9 ms   65.1 ms      1,200,340
    cross node          2.70 ms   5.40 ms   10.8 ms   24.3 ms   83.7 ms      1,200,340
  service: ack           870 µs   1.74 ms   3.48 ms   7.83 ms   27.0 ms        120,030
  service: delivery     1.30 ms   2.60 ms   5.20 ms   11.7 ms   40.3 ms      2,400,680
  ack and delivery count from when a message was due, service from when it was sent

delivery     expected 2,400,680, delivered 2,400,680, lost 0, duplicated 0, reordered 0
             corrupted 0, invented 0, disagreed 0, late 5, announced gaps 4
messages     sent 120,034, acked 120,030, unacked 3, unacked but in the log 1, refused 2
connections  opened 212, failed 1, reconnects 2, returns 10, resumed 9, open 200; made at 160/s
quic         rtt p50 310 µs, p99 1.24 ms; 36 of 181,000 packets lost (0.02%), 12 congestion events
             in 296 MiB in 400,113 datagrams, out 20.0 MiB; 6.00 deliveries a datagram

target             node      open  rtt p50  ack p99 delivery p99     acked   delivered reconn errors
  8081             node-1     100   310 µs  7.60 ms      9.60 ms    60,015   1,200,340      1      1
  8082             node-2     100   310 µs  7.60 ms      9.60 ms    60,015   1,200,340      1      1

error                    count  first at   last at  what the first said
  rate_limited               2     3.5 s    17.2 s  slower

assert
  p99<20ms                        measured 9.6 ms              ok

to repeat it
  chat-cli bot 8081 8082 -c 200 --rooms 20 --rate 2000 -z 60s --seed 7
";
}
