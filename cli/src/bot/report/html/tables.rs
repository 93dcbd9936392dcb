//! The figures of the whole run: distributions, accounts and tables.

use std::fmt::{self, Formatter};

use super::chart::Bars;
use super::element::{definitions, figures, list, number, safe, table_head, time};
use super::{Page, scale};
use crate::bot::report::{Report, Summary, figure};

impl Page<'_> {
    pub(super) fn distributions(&self, out: &mut Formatter<'_>) -> fmt::Result {
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
        let head = [
            "", "min", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max", "n",
        ];
        table_head(out, &head, 1)?;
        for (name, summary) in rows {
            let class = match name {
                "same node" | "cross node" => " class=\"sub\"",
                _ => "",
            };
            write!(out, "<tr><td{class}>{name}</td>")?;
            for us in [
                summary.min,
                figure::whole(summary.mean),
                summary.p50,
                summary.p90,
                summary.p99,
                summary.p999,
                summary.p9999,
                summary.max,
            ] {
                number(out, &time(summary, us))?;
            }
            number(out, &figure::count(summary.count))?;
            out.write_str("</tr>\n")?;
        }
        out.write_str("</tbody></table>\n</section>\n")
    }

    pub(super) fn delivery(&self, out: &mut Formatter<'_>) -> fmt::Result {
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

    pub(super) fn transport(&self, out: &mut Formatter<'_>) -> fmt::Result {
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

    pub(super) fn targets(&self, out: &mut Formatter<'_>) -> fmt::Result {
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

    pub(super) fn errors(&self, out: &mut Formatter<'_>) -> fmt::Result {
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

    pub(super) fn asserts(&self, out: &mut Formatter<'_>) -> fmt::Result {
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
}
