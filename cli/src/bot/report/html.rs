//! The report as a page: one file that needs nothing else, to keep, to send and to attach.
//!
//! It loads nothing and runs nothing, and says so to the browser. Whatever a node or a user wrote
//! is cleaned as for the terminal and escaped; it can neither become markup nor reorder a line.

use std::fmt::{self, Display, Formatter};

use super::text::{LIMITED, LIMITED_WHY, failed_asserts, headline};
use super::{Ended, Report, Trust, Verdict, figure};

mod chart;
mod element;
mod over_time;
mod scale;
mod tables;
#[cfg(test)]
mod tests;

use element::{list, safe};

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
        let failed = failed_asserts(self.report);
        let reasons: Vec<String> = self.report.reasons.iter().cloned().chain(failed).collect();
        list(out, "reasons", &reasons)?;
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

const STYLE: &str = include_str!("html/page.css");
