//! The table of a run, in Markdown, to be pasted.

use std::fmt::Write;

use crate::load::Step;
use crate::report::Report;
use crate::system::System;
use crate::workload::{Figures, OTHERS_CORES_MAX};

/// A line of the table: what it is, how it is read from figures, how many decimals it has.
struct Line {
    title: String,
    decimals: usize,
    read: Box<dyn Fn(&Figures) -> Cell>,
}

/// What a system has in a line.
enum Cell {
    /// A figure.
    Figure(f64),
    /// Tried, but the system does not deliver it.
    NotDelivered,
    /// Not measured.
    Missing,
}

/// The whole table, and below it what it was measured on.
pub(crate) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let ours = report
        .systems
        .iter()
        .find(|(system, _)| *system == System::Chat)
        .map(|(_, figures)| figures);
    let mut head = "| |".to_owned();
    let mut rule = "|---|".to_owned();
    for (system, _) in &report.systems {
        let _ = write!(head, " {} |", system.title());
        rule.push_str("--:|");
        if ours.is_some() && *system != System::Chat {
            head.push_str(" chat ÷ it |");
            rule.push_str("--:|");
        }
    }
    let _ = writeln!(out, "{head}\n{rule}");
    for line in lines(report) {
        let _ = write!(out, "| {} |", line.title);
        let own = ours.map(|figures| (line.read)(figures));
        for (system, figures) in &report.systems {
            let cell = (line.read)(figures);
            let text = match cell {
                Cell::Figure(figure) => number(figure, line.decimals),
                Cell::NotDelivered => "not delivered".to_owned(),
                Cell::Missing => "–".to_owned(),
            };
            let _ = write!(out, " {text} |");
            if *system == System::Chat {
                continue;
            }
            match (&own, cell) {
                (None, _) => {}
                (Some(Cell::Figure(own)), Cell::Figure(figure)) if figure > 0.0 => {
                    let _ = write!(out, " {:.2} |", own / figure);
                }
                _ => out.push_str(" – |"),
            }
        }
        out.push('\n');
    }
    footnotes(report, &mut out);
    out
}

fn lines(report: &Report) -> Vec<Line> {
    let members = report.settings.members;
    let mut lines = vec![
        line("saturation, deliveries/s with p99 < 50 ms", 0, |figures| {
            held(figures, |step| step.delivered_per_second)
        }),
        line("most deliveries/s seen, however late", 0, |figures| {
            figures
                .saturation
                .as_ref()
                .map_or(Cell::Missing, |found| Cell::Figure(found.peak_per_second))
        }),
        line("server CPU a delivery at saturation, µs", 2, |figures| {
            held(figures, |step| step.cpu_us_per_delivery)
        }),
    ];
    let at = |title: &str, rate: u64, read: fn(&Step) -> f64| {
        let title = format!("{title} at {} deliveries/s", number(rate as f64, 0));
        line(title, 2, move |figures| {
            let tried = figures
                .rates
                .iter()
                .find(|step| (step.due_per_second - rate as f64).abs() < 1.0);
            match tried {
                Some(step) if step.delivered() => Cell::Figure(read(step)),
                None if figures.rates.is_empty() => Cell::Missing,
                // Tried, or a lower rate was too much already.
                _ => Cell::NotDelivered,
            }
        })
    };
    for &rate in &report.settings.rates {
        lines.push(at("server CPU a delivery, µs,", rate, |step| {
            step.cpu_us_per_delivery
        }));
    }
    for &rate in &report.settings.rates {
        lines.push(at("p99, ms,", rate, |step| step.latency.p99_us / 1_000.0));
    }
    for (members, name) in [(2, "p50"), (2, "p99"), (members, "p50"), (members, "p99")] {
        let title = format!("cross-node {name} at 20 messages/s, {members} members, ms");
        lines.push(line(title, 2, move |figures| {
            figures
                .latency
                .iter()
                .find(|low| low.members == members)
                .map_or(Cell::Missing, |low| percentile(&low.step, name))
        }));
    }
    lines.push(line("memory for an idle connection, KiB", 1, |figures| {
        figures.memory.as_ref().map_or(Cell::Missing, |memory| {
            Cell::Figure(memory.bytes_per_connection / 1024.0)
        })
    }));
    for loss in [0.0, 1.0, 5.0] {
        for name in ["p50", "p99"] {
            let title = format!("cross-node {name}, {loss} % of packets lost each way, ms");
            lines.push(line(title, 2, move |figures| {
                figures
                    .loss
                    .iter()
                    .find(|seen| seen.loss_percent == loss)
                    .map_or(Cell::Missing, |seen| percentile(&seen.step, name))
            }));
        }
    }
    lines.retain(|line| {
        let is_missing =
            |(_, figures): &(System, Figures)| matches!((line.read)(figures), Cell::Missing);
        !report.systems.iter().all(is_missing)
    });
    lines
}

fn line(
    title: impl Into<String>,
    decimals: usize,
    read: impl Fn(&Figures) -> Cell + 'static,
) -> Line {
    Line {
        title: title.into(),
        decimals,
        read: Box::new(read),
    }
}

fn held(figures: &Figures, read: impl Fn(&Step) -> f64) -> Cell {
    match &figures.saturation {
        Some(found) => found
            .held
            .as_ref()
            .map_or(Cell::NotDelivered, |step| Cell::Figure(read(step))),
        None => Cell::Missing,
    }
}

fn percentile(step: &Step, name: &str) -> Cell {
    let us = if name == "p50" {
        step.cross_node.p50_us
    } else {
        step.cross_node.p99_us
    };
    Cell::Figure(us / 1_000.0)
}

fn footnotes(report: &Report, out: &mut String) {
    out.push('\n');
    for (system, figures) in &report.systems {
        let versions: Vec<String> = figures
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        let _ = writeln!(out, "* {}: {}.", system.title(), versions.join(", "));
        for missing in &figures.missing {
            let _ = writeln!(out, "  Not measured: {missing}.");
        }
        let disturbed = figures
            .steps()
            .filter(|step| step.others_cores > OTHERS_CORES_MAX)
            .count();
        if disturbed > 0 {
            let _ = writeln!(
                out,
                "  In {disturbed} of {} steps something else used this machine: measure again.",
                figures.steps().count()
            );
        }
        for step in figures.saturation.iter().flat_map(|found| &found.held) {
            if step.load_cores > LOAD_CORES_FREE {
                let _ = writeln!(
                    out,
                    "  At saturation the load used {:.0} % of its core: the system may go further.",
                    step.load_cores * 100.0
                );
            }
        }
    }
    let is_full = |step: &Step| step.server_cores() > SERVER_CORES_FULL;
    if (report.systems.iter()).any(|(_, figures)| figures.rates.iter().any(is_full)) {
        out.push_str(
            "* Where the servers' core is full, CPU a delivery is what there was to spend, not what is \
             needed: see p99 and saturation.\n",
        );
    }
    if let Some(way) = report.systems.iter().find_map(|(_, seen)| seen.loss_by) {
        let _ = writeln!(
            out,
            "* Packets are lost by {way} between the clients' network namespace and the servers', \
             without any delay; 20 members, 20 messages/s."
        );
    }
    let machine: Vec<String> = report
        .machine
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let _ = writeln!(
        out,
        "* 128-byte messages; {} members of one room, half of them on each of two nodes, {} of them \
         publish; servers and Redis on one core, the load on another. A rate counts as \
         delivered when readers get 98 % of it and no connection is lost.\n* {}; commit {}.",
        report.settings.members,
        report.settings.publishers,
        machine.join("; "),
        report.commit
    );
}

/// With thousands set apart, as `1 234 567`.
fn number(figure: f64, decimals: usize) -> String {
    let text = format!("{figure:.decimals$}");
    let whole = text.find('.').unwrap_or(text.len());
    let mut out = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place < whole && (whole - place) % 3 == 0 {
            out.push(' ');
        }
        out.push(letter);
    }
    out
}

/// Cores of all servers together beyond which theirs counts as full.
const SERVER_CORES_FULL: f64 = 0.93;

/// Share of its core beyond which the load may be what bounds a figure.
const LOAD_CORES_FREE: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(number(1_234_567.0, 0), "1 234 567");
        assert_eq!(number(123.456, 2), "123.46");
        assert_eq!(number(1_000.5, 1), "1 000.5");
    }
}
