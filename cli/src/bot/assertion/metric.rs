//! What can be asserted: every metric with its names, its unit and where the report has it.

use super::Unit;
use crate::bot::report::{Report, Summary};
use crate::nearest::distance;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(super) enum Metric {
    /// One that stands for itself.
    Plain(&'static Plain),
    /// A point of a distribution of times.
    Time(&'static Distribution, &'static Point),
}

impl Metric {
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        if let Some(plain) = PLAIN.iter().find(|plain| plain.names.contains(&&*name)) {
            return Some(Self::Plain(plain));
        }
        DISTRIBUTIONS.iter().find_map(|distribution| {
            let point = name.strip_prefix(distribution.prefix)?;
            let point = POINTS.iter().find(|known| known.name == point)?;
            Some(Self::Time(distribution, point))
        })
    }

    pub(super) const fn unit(self) -> Unit {
        match self {
            Self::Plain(plain) => plain.unit,
            Self::Time(..) => Unit::Time,
        }
    }

    pub(super) fn measure(self, report: &Report) -> Option<f64> {
        match self {
            Self::Plain(plain) => (plain.measure)(report),
            Self::Time(distribution, point) => {
                let summary = (distribution.of)(report);
                (summary.count > 0).then(|| float((point.of)(summary)))
            }
        }
    }
}

/// A metric that stands for itself.
#[derive(Debug)]
pub(super) struct Plain {
    /// The first is the one that is listed.
    names: &'static [&'static str],
    unit: Unit,
    /// In the unit's smallest; none when the run has no such value.
    measure: fn(&Report) -> Option<f64>,
}

/// A distribution of times.
#[derive(Debug)]
pub(super) struct Distribution {
    prefix: &'static str,
    of: fn(&Report) -> &Summary,
}

/// A point of a distribution, in microseconds.
#[derive(Debug)]
pub(super) struct Point {
    name: &'static str,
    of: fn(&Summary) -> u64,
}

/// The names of everything that can be asserted.
pub(super) fn known() -> String {
    let plain = PLAIN.iter().map(|plain| plain.names[0]);
    let points: Vec<&str> = POINTS.iter().map(|point| point.name).collect();
    let prefixes: Vec<&str> = DISTRIBUTIONS[1..]
        .iter()
        .map(|distribution| distribution.prefix)
        .collect();
    format!(
        "{}, {} (of deliveries), and these with {} before them",
        plain.collect::<Vec<_>>().join(", "),
        points.join(" "),
        prefixes.join(" ")
    )
}

/// The metric that somebody meant who typed this, if one is near.
pub(super) fn nearest(typed: &str) -> Option<String> {
    let plain = PLAIN.iter().flat_map(|plain| plain.names);
    let times = DISTRIBUTIONS.iter().flat_map(|distribution| {
        POINTS
            .iter()
            .map(|point| format!("{}{}", distribution.prefix, point.name))
    });
    let typed: Vec<char> = typed.to_lowercase().chars().take(NAME_CHARS_MAX).collect();
    plain
        .map(|&name| name.to_owned())
        .chain(times)
        .map(|name| (distance(&typed, &name), name))
        .filter(|(distance, name)| *distance <= 2 && distance < &name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[expect(clippy::unnecessary_wraps, reason = "stands in the table of metrics")]
const fn some(value: u64) -> Option<f64> {
    Some(float(value))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no run counts or measures anything beyond 2^53"
)]
const fn float(value: u64) -> f64 {
    value as f64
}

fn errors(report: &Report) -> u64 {
    report
        .errors
        .iter()
        .fold(0, |sum, row| sum.saturating_add(row.count))
}

/// In percent of the messages sent.
fn error_rate(report: &Report) -> Option<f64> {
    (report.sent > 0).then(|| float(errors(report)) * 100.0 / float(report.sent))
}

/// A rate, if there was a time to have one in.
fn over_load(report: &Report, per_s: f64) -> Option<f64> {
    (report.run.load_s > 0.0).then_some(per_s)
}

const fn counted(names: &'static [&'static str], measure: fn(&Report) -> Option<f64>) -> Plain {
    Plain {
        names,
        unit: Unit::Count,
        measure,
    }
}

const PLAIN: &[Plain] = &[
    counted(&["lost", "loss"], |report| some(report.lost)),
    counted(&["duplicated", "dup"], |report| some(report.duplicated)),
    counted(&["reordered", "reorder"], |report| some(report.reordered)),
    counted(&["corrupted"], |report| some(report.corrupted)),
    counted(&["invented"], |report| some(report.invented)),
    counted(&["disagreed"], |report| some(report.disagreed)),
    counted(&["late"], |report| some(report.late)),
    counted(&["gaps"], |report| some(report.gaps)),
    counted(&["unacked"], |report| some(report.unacked)),
    counted(&["refused"], |report| some(report.refused)),
    counted(&["sent"], |report| some(report.sent)),
    counted(&["acked"], |report| some(report.acked)),
    counted(&["delivered"], |report| some(report.delivered)),
    counted(&["skipped"], |report| some(report.generator.skipped)),
    counted(&["reconnects"], |report| {
        some(report.connections.reconnects)
    }),
    counted(&["errors"], |report| some(errors(report))),
    Plain {
        names: &["error_rate"],
        unit: Unit::Percent,
        measure: error_rate,
    },
    Plain {
        names: &["rate"],
        unit: Unit::PerSecond,
        measure: |report| over_load(report, report.rate.acked_per_s),
    },
    Plain {
        names: &["delivered_rate"],
        unit: Unit::PerSecond,
        measure: |report| over_load(report, report.rate.delivered_per_s),
    },
    Plain {
        names: &["cpu"],
        unit: Unit::Percent,
        // Nothing runs in no time: zero means that the system does not tell.
        measure: |report| Some(report.generator.cpu_percent).filter(|percent| *percent > 0.0),
    },
    Plain {
        names: &["memory"],
        unit: Unit::Memory,
        measure: |report| some(report.generator.memory_bytes).filter(|bytes| *bytes > 0.0),
    },
];

/// The first needs no prefix.
const DISTRIBUTIONS: &[Distribution] = &[
    Distribution {
        prefix: "",
        of: |report| &report.latency_us.delivery,
    },
    Distribution {
        prefix: "delivery_",
        of: |report| &report.latency_us.delivery,
    },
    Distribution {
        prefix: "ack_",
        of: |report| &report.latency_us.ack,
    },
    Distribution {
        prefix: "connect_",
        of: |report| &report.latency_us.connect,
    },
    Distribution {
        prefix: "same_node_",
        of: |report| &report.latency_us.same_node,
    },
    Distribution {
        prefix: "cross_node_",
        of: |report| &report.latency_us.cross_node,
    },
    Distribution {
        prefix: "lag_",
        of: |report| &report.generator.lag_us,
    },
];

const POINTS: &[Point] = &[
    Point {
        name: "p50",
        of: |summary| summary.p50,
    },
    Point {
        name: "p90",
        of: |summary| summary.p90,
    },
    Point {
        name: "p99",
        of: |summary| summary.p99,
    },
    Point {
        name: "p999",
        of: |summary| summary.p999,
    },
    Point {
        name: "p9999",
        of: |summary| summary.p9999,
    },
    Point {
        name: "max",
        of: |summary| summary.max,
    },
];

/// Letters of a misspelt name that are looked at; no metric has more.
const NAME_CHARS_MAX: usize = 24;
