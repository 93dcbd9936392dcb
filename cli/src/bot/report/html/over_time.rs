//! What happened when: the charts over the time of the run.

use std::fmt::{self, Formatter};

use super::Page;
use super::chart::{Lines, Series, Values, intervals_per_point};
use crate::bot::report::Interval;

impl Page<'_> {
    pub(super) fn throughput(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let timeline = &self.report.timeline;
        write!(
            out,
            "<section>\n<h2>Throughput over time{}</h2>\n",
            merged(timeline, "the mean")
        )?;
        if timeline.is_empty() {
            return out.write_str(NO_TIMELINE);
        }
        chart(
            out,
            "Messages",
            "a second",
            &Lines {
                name: "Messages a second over time",
                timeline,
                values: Values::Rate,
                series: &[
                    series("planned", "grey dashed", |interval| interval.planned),
                    series("sent", "blue", |interval| interval.sent),
                    series("acked", "aqua", |interval| interval.acked),
                ],
                height: 210.0,
            },
        )?;
        chart(
            out,
            "Deliveries",
            "a second",
            &Lines {
                name: "Deliveries a second over time",
                timeline,
                values: Values::Rate,
                series: &[series("delivered", "violet", |interval| interval.delivered)],
                height: 170.0,
            },
        )?;
        chart(
            out,
            "Connections",
            "open",
            &Lines {
                name: "Open connections over time",
                timeline,
                values: Values::Level,
                series: &[series("open", "blue", |interval| interval.open)],
                height: 120.0,
            },
        )?;
        if timeline
            .iter()
            .any(|interval| interval.reconnects > 0 || interval.errors > 0)
        {
            chart(
                out,
                "Trouble",
                "a second",
                &Lines {
                    name: "Reconnects and errors a second over time",
                    timeline,
                    values: Values::Rate,
                    series: &[
                        series("reconnects", "orange", |interval| interval.reconnects),
                        series("errors", "pink", |interval| interval.errors),
                    ],
                    height: 120.0,
                },
            )?;
        }
        out.write_str("</section>\n")
    }
    pub(super) fn latency(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let timeline = &self.report.timeline;
        write!(
            out,
            "<section>\n<h2>Latency over time <small>from when a message was due; \
             logarithmic</small>{}</h2>\n",
            merged(timeline, "the worst")
        )?;
        if timeline.is_empty() {
            return out.write_str(NO_TIMELINE);
        }
        chart(
            out,
            "Delivery",
            "to a reader",
            &Lines {
                name: "Latency of deliveries over time",
                timeline,
                values: Values::Time,
                series: &[
                    series("max", "pink", |interval| interval.delivery_max_us),
                    series("p99", "orange", |interval| interval.delivery_p99_us),
                    series("p50", "blue", |interval| interval.delivery_p50_us),
                ],
                height: 250.0,
            },
        )?;
        chart(
            out,
            "Ack",
            "and how late the bot itself sent",
            &Lines {
                name: "Latency of acks and lag of the generator over time",
                timeline,
                values: Values::Time,
                series: &[
                    series("bot's lag p99", "grey dashed", |interval| {
                        interval.lag_p99_us
                    }),
                    series("ack p99", "orange", |interval| interval.ack_p99_us),
                    series("ack p50", "blue", |interval| interval.ack_p50_us),
                ],
                height: 190.0,
            },
        )?;
        out.write_str("</section>\n")
    }
}

/// Says that points are not intervals, when there are too many of these.
fn merged(timeline: &[Interval], how: &str) -> String {
    match intervals_per_point(timeline) {
        1 => String::new(),
        len => format!(" <small>each point is {how} of {len} intervals</small>"),
    }
}

const fn series(name: &'static str, style: &'static str, of: fn(&Interval) -> u64) -> Series {
    Series { name, style, of }
}

fn chart(out: &mut Formatter<'_>, name: &str, unit: &str, lines: &Lines<'_>) -> fmt::Result {
    write!(out, "<h3>{name} <small>{unit}</small></h3>\n{lines}")
}

const NO_TIMELINE: &str =
    "<p class=\"quiet\">Nothing was recorded: the load never began.</p>\n</section>\n";
