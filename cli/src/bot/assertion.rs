//! What somebody asserts about a run: `p99<20ms`, `lost==0`, `rate>=2k/s`.
//!
//! Parsed once, at the edge, so that a misspelt assert ends the program before the load and not
//! after it; checked against the finished report. Pure.
//!
//! A time has a unit, and so have shares and sizes: `p99<20` could mean anything, and an assert
//! that means something else than its author is worse than none.

use std::str::FromStr;

use thiserror::Error;

use super::report::{AssertRow, Report};

mod metric;

use metric::{Metric, known, nearest};

/// One assert.
#[derive(Clone, Debug)]
pub struct Assertion {
    text: String,
    metric: Metric,
    relation: Relation,
    /// In the metric's own unit: microseconds, percent, bytes, a second, or how many.
    bound: f64,
}

impl Assertion {
    /// Checks it against a finished run. A metric that has no values does not hold, whatever is
    /// asserted of it.
    #[must_use]
    pub fn check(&self, report: &Report) -> AssertRow {
        // No comparison with what is no number means anything, not even `!=`.
        let measured = self
            .metric
            .measure(report)
            .filter(|value| value.is_finite());
        AssertRow {
            assert: self.text.clone(),
            measured: measured.map_or_else(
                || "no value".to_owned(),
                |value| self.metric.unit().show(value),
            ),
            passed: measured.is_some_and(|value| self.relation.holds(value, self.bound)),
        }
    }
}

impl FromStr for Assertion {
    type Err = InvalidAssertion;

    fn from_str(text: &str) -> Result<Self, InvalidAssertion> {
        let text = text.trim();
        let Some(at) = text.find(['<', '>', '=', '!']) else {
            return Err(InvalidAssertion::NoRelation(text.to_owned()));
        };
        let (name, rest) = text.split_at(at);
        let name = name.trim();
        let end = rest
            .find(|letter| !matches!(letter, '<' | '>' | '=' | '!'))
            .unwrap_or(rest.len());
        let (symbol, value) = rest.split_at(end);
        let Some((_, relation)) = RELATIONS.iter().find(|(known, _)| *known == symbol) else {
            return Err(InvalidAssertion::UnknownRelation(symbol.to_owned()));
        };
        let Some(metric) = Metric::named(name) else {
            return Err(InvalidAssertion::UnknownMetric {
                name: name.to_owned(),
                hint: nearest(name)
                    .map_or_else(String::new, |name| format!("did you mean {name}? ")),
            });
        };
        Ok(Self {
            text: text.to_owned(),
            metric,
            relation: *relation,
            bound: metric.unit().parse(name, value.trim())?,
        })
    }
}

/// Why an assert cannot be understood.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidAssertion {
    /// Nothing is compared.
    #[error("{0} compares nothing; an assert looks like p99<20ms, lost==0 or rate>=2000/s")]
    NoRelation(String),
    /// Compared in an unknown way.
    #[error("{0} is no comparison; known are < <= > >= == !=")]
    UnknownRelation(String),
    /// Nothing of that name is measured.
    #[error("{name} is not measured; {hint}known are {}", known())]
    UnknownMetric {
        /// As typed.
        name: String,
        /// The one that may be meant, or empty.
        hint: String,
    },
    /// Nothing to compare with, or no number.
    #[error("{name} is compared with {value:?}, which is no number")]
    InvalidNumber {
        /// The metric.
        name: String,
        /// As typed.
        value: String,
    },
    /// The metric needs a unit.
    #[error("{name} needs a unit: {}", .units.join(", "))]
    NoUnit {
        /// The metric.
        name: String,
        /// What fits.
        units: Vec<String>,
    },
    /// The metric has other units.
    #[error("{unit} is no unit of {name}; {}", fitting(.units))]
    WrongUnit {
        /// The metric.
        name: String,
        /// As typed.
        unit: String,
        /// What fits.
        units: Vec<String>,
    },
}

fn fitting(units: &[String]) -> String {
    match units {
        [] => "it is a number without one".to_owned(),
        units => format!("what fits: {}", units.join(", ")),
    }
}

/// What a metric counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unit {
    /// Things.
    Count,
    /// Things a second.
    PerSecond,
    /// Parts of a hundred.
    Percent,
    /// Microseconds.
    Time,
    /// Bytes.
    Memory,
}

impl Unit {
    /// The units somebody may write, and how many of the metric's own each is.
    const fn known(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Count => &[("", 1.0), ("k", 1e3), ("M", 1e6)],
            Self::PerSecond => &[
                ("/s", 1.0),
                ("", 1.0),
                ("k/s", 1e3),
                ("k", 1e3),
                ("M/s", 1e6),
                ("M", 1e6),
            ],
            Self::Percent => &[("%", 1.0)],
            // The micro sign and the Greek letter look the same.
            Self::Time => &[
                ("us", 1.0),
                ("\u{b5}s", 1.0),
                ("\u{3bc}s", 1.0),
                ("ms", 1e3),
                ("s", 1e6),
            ],
            Self::Memory => &[
                ("B", 1.0),
                ("KiB", 1024.0),
                ("MiB", 1_048_576.0),
                ("GiB", 1_073_741_824.0),
            ],
        }
    }

    /// Those worth telling somebody who wrote none or another.
    fn offered(self) -> Vec<String> {
        let units: &[&str] = match self {
            Self::Count => &[],
            Self::PerSecond => &["/s", "k/s"],
            Self::Percent => &["%"],
            Self::Time => &["us", "ms", "s"],
            Self::Memory => &["B", "KiB", "MiB", "GiB"],
        };
        units.iter().map(|&unit| unit.to_owned()).collect()
    }

    /// The number of the metric's own unit that somebody wrote.
    fn parse(self, name: &str, text: &str) -> Result<f64, InvalidAssertion> {
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, '.' | '_'))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let Ok(number) = number.replace('_', "").parse::<f64>() else {
            return Err(InvalidAssertion::InvalidNumber {
                name: name.to_owned(),
                value: text.to_owned(),
            });
        };
        let unit = unit.trim();
        if let Some((_, scale)) = self.known().iter().find(|(known, _)| *known == unit) {
            // Without the rounding 1.005 ms would be less than 1005 µs.
            return Ok((number * scale * 1e3).round() / 1e3);
        }
        let (name, units) = (name.to_owned(), self.offered());
        Err(match unit {
            "" => InvalidAssertion::NoUnit { name, units },
            _ => InvalidAssertion::WrongUnit {
                name,
                unit: unit.to_owned(),
                units,
            },
        })
    }

    /// A measured value, exact enough not to contradict the outcome.
    fn show(self, value: f64) -> String {
        let shortest = |value: f64, decimals: usize| {
            let text = format!("{value:.decimals$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        };
        match self {
            Self::Count => shortest(value, 0),
            Self::PerSecond => format!("{}/s", shortest(value, 3)),
            Self::Percent => format!("{}%", shortest(value, 4)),
            Self::Time if value < 1e3 => format!("{} \u{b5}s", shortest(value, 0)),
            Self::Time if value < 1e6 => format!("{} ms", shortest(value / 1e3, 3)),
            Self::Time => format!("{} s", shortest(value / 1e6, 6)),
            Self::Memory => format!("{} MiB", shortest(value / 1_048_576.0, 3)),
        }
    }
}

/// How a value is compared with its bound.
#[derive(Clone, Copy, Debug)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    Unequal,
}

impl Relation {
    #[expect(
        clippy::float_cmp,
        reason = "counts are whole, and what is equal for the others is up to the author"
    )]
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
            Self::Equal => value == bound,
            Self::Unequal => value != bound,
        }
    }
}

const RELATIONS: &[(&str, Relation)] = &[
    ("<", Relation::Below),
    ("<=", Relation::AtMost),
    (">", Relation::Above),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("!=", Relation::Unequal),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::report::sample;

    #[test]
    fn every_metric_reads_its_own_figure() {
        let report = metrics_apart();
        for (assert, measured) in [
            ("lost==1", "1"),
            ("loss==1", "1"),
            ("duplicated==2", "2"),
            ("dup==2", "2"),
            ("reordered==3", "3"),
            ("reorder==3", "3"),
            ("corrupted==4", "4"),
            ("invented==5", "5"),
            ("disagreed==6", "6"),
            ("late==7", "7"),
            ("gaps==8", "8"),
            ("unacked==9", "9"),
            ("refused==10", "10"),
            ("sent==400", "400"),
            ("acked==390", "390"),
            ("delivered==12k", "12000"),
            ("skipped==11", "11"),
            ("reconnects==12", "12"),
            ("errors==2", "2"),
            ("error_rate==0.5%", "0.5%"),
            ("rate==1.5k/s", "1500/s"),
            ("delivered_rate==40_011.3", "40011.3/s"),
            ("cpu==87.4%", "87.4%"),
            ("memory==3MiB", "3 MiB"),
            ("p50==100us", "100 µs"),
            ("p90==200us", "200 µs"),
            ("p99==400us", "400 µs"),
            ("p999==900us", "900 µs"),
            ("p9999==2ms", "2 ms"),
            ("max==3.1ms", "3.1 ms"),
            ("delivery_p50==100us", "100 µs"),
            ("ack_p50==101us", "101 µs"),
            ("connect_p50==102us", "102 µs"),
            ("same_node_p50==103us", "103 µs"),
            ("cross_node_p50==104us", "104 µs"),
            ("lag_p50==105us", "105 µs"),
            ("cross_node_max==3.224ms", "3.224 ms"),
        ] {
            let row = assert.parse::<Assertion>().unwrap().check(&report);
            assert_eq!(row.assert, assert);
            assert_eq!(row.measured, measured, "{assert}");
            assert!(row.passed, "{assert}: {measured}");
        }
    }

    #[test]
    fn every_relation_has_its_edge() {
        // A p99 of 400 µs.
        for (relation, below, equal, above) in [
            ("<", true, false, false),
            ("<=", true, true, false),
            (">", false, false, true),
            (">=", false, true, true),
            ("==", false, true, false),
            ("!=", true, false, true),
        ] {
            for (bound, holds) in [("0.401ms", below), ("0.4ms", equal), ("0.399ms", above)] {
                let assert = format!("p99 {relation} {bound}");
                let row = assert.parse::<Assertion>().unwrap().check(&metrics_apart());
                assert_eq!(row.passed, holds, "{assert}");
            }
        }
    }

    #[test]
    fn units_are_scaled_without_an_error_of_the_last_digit() {
        let mut report = Report::default();
        report.latency_us.delivery.count = 1;
        report.latency_us.delivery.p99 = 1_005;
        for assert in [
            "p99==1.005ms",
            "p99==1005us",
            "p99==1005µs",
            "p99==1005μs",
            "p99 == 0.001005 s",
            "P99==1.005ms",
            "  p99==1.005ms  ",
        ] {
            let row = assert.parse::<Assertion>().unwrap().check(&report);
            assert!(row.passed, "{assert}");
            assert_eq!(row.assert, assert.trim());
        }
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let nothing = Report::default();
        for assert in [
            "p99<20ms",
            "p99!=20ms",
            "ack_max<=1s",
            "lag_p50>=0us",
            "error_rate<1%",
            "rate<1/s",
            "delivered_rate>=0/s",
            "cpu<100%",
            "memory<1GiB",
        ] {
            let row = assert.parse::<Assertion>().unwrap().check(&nothing);
            assert_eq!((row.measured.as_str(), row.passed), ("no value", false));
        }
        let lost = "lost==0".parse::<Assertion>().unwrap().check(&nothing);
        assert!(lost.passed, "nothing was lost of nothing");

        let mut absurd = sample::passed();
        absurd.rate.acked_per_s = f64::NAN;
        let row = "rate!=1".parse::<Assertion>().unwrap().check(&absurd);
        assert_eq!((row.measured.as_str(), row.passed), ("no value", false));
    }

    #[test]
    fn what_is_shown_does_not_contradict_the_outcome() {
        let mut report = sample::passed();
        report.latency_us.delivery.p99 = 20_001;
        let row = "p99<=20ms".parse::<Assertion>().unwrap().check(&report);
        assert_eq!((row.measured.as_str(), row.passed), ("20.001 ms", false));
        report.latency_us.delivery.p99 = 2_000_000;
        let row = "p99<=2s".parse::<Assertion>().unwrap().check(&report);
        assert_eq!((row.measured.as_str(), row.passed), ("2 s", true));
    }

    #[test]
    fn a_wrong_assert_is_told_what_would_be_right() {
        for (assert, refusal) in [
            (
                "",
                " compares nothing; an assert looks like p99<20ms, lost==0 or rate>=2000/s",
            ),
            (
                "p99",
                "p99 compares nothing; an assert looks like p99<20ms, lost==0 or rate>=2000/s",
            ),
            ("lost=0", "= is no comparison; known are < <= > >= == !="),
            ("lost=<0", "=< is no comparison; known are < <= > >= == !="),
            ("p99<20", "p99 needs a unit: us, ms, s"),
            ("lag_max<0", "lag_max needs a unit: us, ms, s"),
            ("memory<512", "memory needs a unit: B, KiB, MiB, GiB"),
            ("cpu<80", "cpu needs a unit: %"),
            ("p99<20%", "% is no unit of p99; what fits: us, ms, s"),
            ("p99<20MS", "MS is no unit of p99; what fits: us, ms, s"),
            (
                "memory<1MB",
                "MB is no unit of memory; what fits: B, KiB, MiB, GiB",
            ),
            (
                "lost==0%",
                "% is no unit of lost; it is a number without one",
            ),
            ("rate>5ms", "ms is no unit of rate; what fits: /s, k/s"),
            ("lost==", "lost is compared with \"\", which is no number"),
            (
                "lost==-1",
                "lost is compared with \"-1\", which is no number",
            ),
            (
                "p99<1.2.3ms",
                "p99 is compared with \"1.2.3ms\", which is no number",
            ),
            (
                "p99<infms",
                "p99 is compared with \"infms\", which is no number",
            ),
        ] {
            let error = assert.parse::<Assertion>().unwrap_err();
            assert_eq!(error.to_string(), refusal, "{assert}");
        }
    }

    #[test]
    fn a_misspelt_metric_is_answered_with_the_one_that_is_meant() {
        for (name, meant) in [
            ("losst", "lost"),
            ("reorderd", "reordered"),
            ("p99.9", "p999"),
            ("ack-p99", "ack_p99"),
            ("acl_p99", "ack_p99"),
            ("samenode_p50", "same_node_p50"),
            ("deliverd_rate", "delivered_rate"),
        ] {
            let error = format!("{name}<1").parse::<Assertion>().unwrap_err();
            let text = error.to_string();
            let hint = format!("{name} is not measured; did you mean {meant}? known are lost, ");
            assert!(text.starts_with(&hint), "{text}");
        }
        let text = "throughput>1".parse::<Assertion>().unwrap_err().to_string();
        assert_eq!(
            text,
            "throughput is not measured; known are lost, duplicated, reordered, corrupted, \
             invented, disagreed, late, gaps, unacked, refused, sent, acked, delivered, skipped, \
             reconnects, errors, error_rate, rate, delivered_rate, cpu, memory, \
             p50 p90 p99 p999 p9999 max (of deliveries), and these with \
             delivery_ ack_ connect_ same_node_ cross_node_ lag_ before them"
        );
    }

    /// A report in which no two metrics are the same.
    fn metrics_apart() -> Report {
        let mut report = sample::passed();
        report.lost = 1;
        report.duplicated = 2;
        report.reordered = 3;
        report.corrupted = 4;
        report.invented = 5;
        report.disagreed = 6;
        report.late = 7;
        report.gaps = 8;
        report.unacked = 9;
        report.refused = 10;
        report.sent = 400;
        report.acked = 390;
        report.delivered = 12_000;
        report.generator.skipped = 11;
        report.connections.reconnects = 12;
        report.rate.acked_per_s = 1_500.0;
        report.generator.memory_bytes = 3 << 20;
        let latency = &mut report.latency_us;
        for (summary, p50) in [
            (&mut latency.delivery, 100),
            (&mut latency.ack, 101),
            (&mut latency.connect, 102),
            (&mut latency.same_node, 103),
            (&mut latency.cross_node, 104),
            (&mut report.generator.lag_us, 105),
        ] {
            *summary = sample::summary(10, p50);
        }
        report
    }
}
