//! The report as a page: one file that needs nothing else, to keep, to send and to attach.
//!
//! It loads nothing and runs nothing, and says so to the browser. Whatever a node or a user wrote
//! is cleaned as for the terminal and escaped; it can neither become markup nor reorder a line.

use std::fmt::{self, Display, Formatter};

use self::chart::{Bars, Lines, Series, Values};
use super::text::{LIMITED, LIMITED_WHY, POINTS, headline, points};
use super::{Ended, Report, Summary, Trust, Verdict, figure};
use crate::clean;

mod chart;
mod scale;

/// A report as an HTML file.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// What to show.
    pub report: &'a Report,
}

impl Display for Page<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (word, class) = verdict(self.report.verdict);
        let name = self.name();
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{word}: {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header class=\"{class}\">\n<p class=\"badge\">{word}</p>\n<h1>{name}</h1>\n"
        )?;
        self.verdict(out)?;
        out.write_str("</header>\n")?;
        self.limits(out)?;
        self.tiles(out)?;
        self.throughput(out)?;
        self.latency(out)?;
        self.distributions(out)?;
        self.delivery(out)?;
        self.transport(out)?;
        self.targets(out)?;
        self.errors(out)?;
        self.asserts(out)?;
        self.ending(out)?;
        out.write_str("</main>\n</body>\n</html>\n")
    }
}

impl Page<'_> {
    fn name(&self) -> String {
        let run = &self.report.run;
        match &run.title {
            Some(title) => safe(title),
            None => format!(
                "{}, {}",
                safe(&run.scenario),
                figure::counted(run.clients.into(), "client", "clients")
            ),
        }
    }

    fn verdict(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let run = &self.report.run;
        writeln!(out, "<p class=\"headline\">{}</p>", headline(self.report))?;
        list(out, "reasons", &self.report.reasons)?;
        writeln!(
            out,
            "<p class=\"quiet\">{}: {} ({}) in {}, seed {}. Connect {}, load {}, drain {}{}. \
             {}, chat-cli {} on {}.</p>",
            safe(&run.scenario),
            figure::counted(run.clients.into(), "client", "clients"),
            figure::counted(run.senders.into(), "sender", "senders"),
            figure::counted(run.rooms.into(), "room", "rooms"),
            run.seed,
            figure::seconds(run.connect_s),
            figure::seconds(run.load_s),
            figure::seconds(run.drain_s),
            match run.ended {
                Ended::Done => "",
                Ended::Interrupted => "; interrupted by the user",
                Ended::ClusterGone => "; the cluster was gone",
            },
            safe(&run.started),
            safe(&run.version),
            figure::counted(run.cores.into(), "core", "cores"),
        )
    }

    /// Whether the figures are the cluster's; said before any figure.
    fn limits(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.report.generator.trust {
            Trust::Ok => Ok(()),
            Trust::LimitedByClient => writeln!(
                out,
                "<section class=\"limited\"><strong>{LIMITED}</strong>: {LIMITED_WHY}.</section>"
            ),
        }
    }

    fn tiles(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Report {
            rate, latency_us, ..
        } = self.report;
        let delivery = &latency_us.delivery;
        let time = |us| match delivery.count {
            0 => figure::NOTHING.to_owned(),
            _ => figure::duration(us),
        };
        out.write_str("<section class=\"tiles\">\n")?;
        for (value, name) in [
            (figure::rate(rate.acked_per_s), "acked, of planned "),
            (figure::rate(rate.delivered_per_s), "delivered"),
            (time(delivery.p50), "delivery p50"),
            (time(delivery.p99), "delivery p99"),
            (time(delivery.max), "slowest delivery"),
            (figure::count(self.report.lost), "lost"),
        ] {
            let planned = match name.ends_with(' ') {
                true => figure::rate(rate.planned_per_s),
                false => String::new(),
            };
            writeln!(
                out,
                "<div class=\"tile\"><b>{value}</b><span>{name}{planned}</span></div>"
            )?;
        }
        out.write_str("</section>\n")
    }

    fn throughput(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let timeline = &self.report.timeline;
        out.write_str("<section>\n<h2>Throughput over time</h2>\n")?;
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
            .any(|interval| interval.reconnects + interval.errors > 0)
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

    fn latency(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let timeline = &self.report.timeline;
        out.write_str(
            "<section>\n<h2>Latency over time <small>from when a message was due; \
             logarithmic</small></h2>\n",
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

    fn distributions(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (latency, service) = (&self.report.latency_us, &self.report.service_us);
        let rows = [
            ("connect", &latency.connect),
            ("ack", &latency.ack),
            ("delivery", &latency.delivery),
            ("same node", &latency.same_node),
            ("cross node", &latency.cross_node),
            ("service: ack", &service.ack),
            ("service: delivery", &service.delivery),
        ];
        out.write_str(
            "<section>\n<h2>Latency <small>ack and delivery count from when a message was due, \
             service from when it was sent</small></h2>\n",
        )?;
        let bars = Bars {
            name: "Distributions of latencies",
            rows: &rows,
        };
        write!(out, "{bars}")?;
        let head = [&[""], POINTS.as_slice(), &["p99.99", "mean", "min", "n"]].concat();
        table_head(out, &head, 1)?;
        for (name, summary) in rows {
            let class = match name {
                "same node" | "cross node" => " class=\"sub\"",
                _ => "",
            };
            write!(out, "<tr><td{class}>{name}</td>")?;
            let rest = [summary.p9999, mean(summary), summary.min];
            for us in points(summary).into_iter().chain(rest) {
                number(out, &time(summary, us))?;
            }
            number(out, &figure::count(summary.count))?;
            out.write_str("</tr>\n")?;
        }
        out.write_str("</tbody></table>\n</section>\n")
    }

    fn delivery(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let report = self.report;
        out.write_str("<section>\n<h2>Delivery</h2>\n<div class=\"columns\">\n")?;
        let plain = |number| (figure::count(number), false);
        let wrong = |number| (figure::count(number), number > 0);
        figures(
            out,
            &[
                ("deliveries expected", plain(report.expected)),
                ("delivered", plain(report.delivered)),
                ("late, after the drain", plain(report.late)),
                ("gaps that were announced", plain(report.gaps)),
            ],
        )?;
        figures(
            out,
            &[
                ("lost", wrong(report.lost)),
                ("duplicated", wrong(report.duplicated)),
                ("reordered", wrong(report.reordered)),
                ("corrupted", wrong(report.corrupted)),
                ("invented", wrong(report.invented)),
                ("disagreed", wrong(report.disagreed)),
            ],
        )?;
        figures(
            out,
            &[
                ("messages sent", plain(report.sent)),
                ("acked", plain(report.acked)),
                ("unacked", plain(report.unacked)),
                ("unacked, but in the log", plain(report.unacked_in_log)),
                ("refused", plain(report.refused)),
            ],
        )?;
        out.write_str("</div>\n")?;
        if !report.violations.is_empty() {
            out.write_str("<h3>The first broken promises</h3>\n")?;
            list(out, "reasons", &report.violations)?;
        }
        out.write_str("</section>\n")
    }

    fn transport(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Report {
            generator,
            connections,
            quic,
            rate,
            ..
        } = self.report;
        let plain = |text: String| (text, false);
        let count = |number| (figure::count(number), false);
        let of = |summary: &Summary, us| (time(summary, us), false);
        out.write_str("<section>\n<div class=\"columns\">\n")?;
        out.write_str("<div><h2>Generator</h2>\n")?;
        let lag = &generator.lag_us;
        definitions(
            out,
            &[
                ("messages due", count(generator.planned)),
                (
                    "due and not sent",
                    (figure::count(generator.skipped), generator.skipped > 0),
                ),
                ("sent late by p50", of(lag, lag.p50)),
                ("sent late by p99", of(lag, lag.p99)),
                ("sent late by at most", of(lag, lag.max)),
                ("of a core", plain(figure::percent(generator.cpu_percent))),
                (
                    "memory, at most",
                    plain(figure::bytes(generator.memory_bytes)),
                ),
            ],
        )?;
        out.write_str("</div>\n<div><h2>Connections</h2>\n")?;
        definitions(
            out,
            &[
                ("opened", count(connections.opened)),
                ("made at", plain(figure::rate(rate.connected_per_s))),
                ("failed", count(connections.failed)),
                ("lost and made again", count(connections.reconnects)),
                ("made again on purpose", count(connections.returns)),
                ("resumed", count(connections.resumed)),
                ("open at the end", count(connections.open)),
            ],
        )?;
        out.write_str("</div>\n<div><h2>QUIC</h2>\n")?;
        let rtt = &quic.rtt_us;
        let ratio = match quic.deliveries_per_datagram {
            ratio if ratio.is_finite() => figure::three_digits(ratio),
            _ => figure::NOTHING.to_owned(),
        };
        definitions(
            out,
            &[
                ("round trip p50", of(rtt, rtt.p50)),
                ("round trip p99", of(rtt, rtt.p99)),
                ("packets sent", count(quic.packets_sent)),
                ("of those lost", count(quic.packets_lost)),
                ("in percent", plain(figure::percent(quic.loss_percent))),
                ("congestion events", count(quic.congestion_events)),
                ("datagrams received", count(quic.datagrams_received)),
                ("deliveries a datagram", plain(ratio)),
                ("received", plain(figure::bytes(quic.bytes_received))),
                ("sent", plain(figure::bytes(quic.bytes_sent))),
            ],
        )?;
        out.write_str("</div>\n</div>\n</section>\n")
    }

    fn targets(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let targets = &self.report.targets;
        if targets.is_empty() {
            return Ok(());
        }
        out.write_str("<section>\n<h2>Targets</h2>\n")?;
        let head = [
            "target",
            "node",
            "open",
            "rtt p50",
            "ack p50",
            "ack p99",
            "delivery p50",
            "delivery p99",
            "sent",
            "acked",
            "delivered",
            "reconnects",
            "errors",
        ];
        table_head(out, &head, 2)?;
        let most = targets.iter().map(|target| target.delivered).max();
        for target in targets {
            write!(
                out,
                "<tr><td>{}</td><td>{}</td>",
                safe(&target.target),
                safe(&target.node)
            )?;
            let (rtt, ack, delivery) = (&target.rtt_us, &target.ack_us, &target.delivery_us);
            number(out, &figure::count(target.connections))?;
            number(out, &time(rtt, rtt.p50))?;
            number(out, &time(ack, ack.p50))?;
            number(out, &time(ack, ack.p99))?;
            number(out, &time(delivery, delivery.p50))?;
            number(out, &time(delivery, delivery.p99))?;
            number(out, &figure::count(target.sent))?;
            number(out, &figure::count(target.acked))?;
            let share = scale::float(target.delivered) / scale::float(most.unwrap_or(0).max(1));
            write!(
                out,
                "<td class=\"n share\">{}<i style=\"width:{:.0}%\"></i></td>",
                figure::count(target.delivered),
                share * 80.0
            )?;
            number(out, &figure::count(target.reconnects))?;
            number(out, &figure::count(target.errors))?;
            out.write_str("</tr>\n")?;
        }
        out.write_str("</tbody></table>\n</section>\n")
    }

    fn errors(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.report.errors.is_empty() {
            return Ok(());
        }
        out.write_str("<section>\n<h2>Errors</h2>\n<table><thead><tr><th>code</th>")?;
        out.write_str(
            "<th class=\"n\">count</th><th class=\"n\">first at</th><th class=\"n\">last at</th>\
             <th>what the first said</th></tr></thead><tbody>\n",
        )?;
        for error in &self.report.errors {
            write!(out, "<tr><td>{}</td>", safe(&error.code))?;
            number(out, &figure::count(error.count))?;
            number(out, &figure::seconds(error.first_s))?;
            number(out, &figure::seconds(error.last_s))?;
            writeln!(out, "<td class=\"text\">{}</td></tr>", safe(&error.text))?;
        }
        out.write_str("</tbody></table>\n</section>\n")
    }

    fn asserts(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.report.asserts.is_empty() {
            return Ok(());
        }
        out.write_str("<section>\n<h2>Asserts</h2>\n<table><thead><tr><th>assert</th>")?;
        out.write_str("<th>measured</th><th>outcome</th></tr></thead><tbody>\n")?;
        for assert in &self.report.asserts {
            let (class, word) = match assert.passed {
                true => ("ok", "ok"),
                false => ("no", "FAIL"),
            };
            writeln!(
                out,
                "<tr><td class=\"text\">{}</td><td>{}</td><td class=\"{class}\">{word}</td></tr>",
                safe(&assert.assert),
                safe(&assert.measured)
            )?;
        }
        out.write_str("</tbody></table>\n</section>\n")
    }

    fn ending(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let run = &self.report.run;
        writeln!(
            out,
            "<section>\n<h2>To repeat it</h2>\n<pre>{}</pre>\n</section>\n\
             <footer>chat-cli {} · report version {}</footer>",
            safe(&run.command),
            safe(&run.version),
            self.report.schema_version
        )
    }
}

const fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("PASS", "pass"),
        Verdict::Fail => ("FAIL", "fail"),
        Verdict::Incomplete => ("INCOMPLETE", "incomplete"),
    }
}

/// A text of others: harmless to read, and no markup.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in clean::line(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

const fn series(
    name: &'static str,
    style: &'static str,
    of: fn(&super::Interval) -> u64,
) -> Series {
    Series { name, style, of }
}

fn chart(out: &mut Formatter<'_>, name: &str, unit: &str, lines: &Lines<'_>) -> fmt::Result {
    write!(out, "<h3>{name} <small>{unit}</small></h3>\n{lines}")
}

/// A time of a distribution, or a dash when it has no values.
fn time(summary: &Summary, us: u64) -> String {
    match summary.count {
        0 => figure::NOTHING.to_owned(),
        _ => figure::duration(us),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of u64 is one, and the cast saturates"
)]
const fn mean(summary: &Summary) -> u64 {
    summary.mean as u64
}

/// Columns from `texts_len` on are numbers.
fn table_head(out: &mut Formatter<'_>, head: &[&str], texts_len: usize) -> fmt::Result {
    out.write_str("<table><thead><tr>")?;
    for (index, name) in head.iter().enumerate() {
        let class = if index < texts_len {
            ""
        } else {
            " class=\"n\""
        };
        write!(out, "<th{class}>{name}</th>")?;
    }
    out.write_str("</tr></thead><tbody>\n")
}

fn number(out: &mut Formatter<'_>, text: &str) -> fmt::Result {
    write!(out, "<td class=\"n\">{text}</td>")
}

/// Names with what they are, and whether that is bad.
type Figures<'a> = [(&'a str, (String, bool))];

fn figures(out: &mut Formatter<'_>, figures: &Figures<'_>) -> fmt::Result {
    out.write_str("<div>")?;
    definitions(out, figures)?;
    out.write_str("</div>\n")
}

fn definitions(out: &mut Formatter<'_>, figures: &Figures<'_>) -> fmt::Result {
    out.write_str("<dl class=\"figures\">")?;
    for (name, (text, is_bad)) in figures {
        let class = if *is_bad { " class=\"no\"" } else { "" };
        write!(out, "<dt>{name}</dt><dd{class}>{text}</dd>")?;
    }
    out.write_str("</dl>\n")
}

fn list(out: &mut Formatter<'_>, class: &str, texts: &[String]) -> fmt::Result {
    if texts.is_empty() {
        return Ok(());
    }
    write!(out, "<ul class=\"{class}\">")?;
    for text in texts {
        write!(out, "<li>{}</li>", safe(text))?;
    }
    out.write_str("</ul>\n")
}

const STYLE: &str = include_str!("html/page.css");
const NO_TIMELINE: &str =
    "<p class=\"quiet\">Nothing was recorded: the load never began.</p>\n</section>\n";
