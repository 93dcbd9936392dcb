//! The bot as a process, and what its report says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, process};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::Value;

use super::machine::Side;
use super::meter::Window;
use super::rig::Rig;
use crate::running::{Running, at_home};
use crate::step;

/// A bot that runs; it is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Bot {
    running: Running,
    output: PathBuf,
    line: String,
}

impl Bot {
    /// Starts a bot with these words of its command line. Its files are called after `name`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        rig: &Rig,
        home: &Path,
        name: &str,
        targets: &[String],
        load: &str,
    ) -> Result<Self> {
        Self::start_as(
            rig.pins.command(Side::Load, &rig.cli),
            home,
            name,
            targets,
            load,
        )
    }

    /// Like [`start`](Self::start), and gives way to every other bot on its core.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start_nicely(
        rig: &Rig,
        home: &Path,
        name: &str,
        targets: &[String],
        load: &str,
    ) -> Result<Self> {
        let pinned = rig.pins.command(Side::Load, &rig.cli);
        let mut command = Command::new("nice");
        command
            .args(["-n", "19"])
            .arg(pinned.get_program())
            .args(pinned.get_args());
        Self::start_as(command, home, name, targets, load)
    }

    fn start_as(
        mut command: Command,
        home: &Path,
        name: &str,
        targets: &[String],
        load: &str,
    ) -> Result<Self> {
        let output = home.join(format!("{name}.json"));
        let line = format!("chat-cli bot {} {load}", targets.join(" "));
        step::say(&format!("$ {line}"));
        at_home(&mut command, home)
            .arg("bot")
            .args(targets)
            .args(load.split_whitespace())
            // The same plan in every run.
            .args(["--seed", "1", "--no-tui", "--output"])
            .arg(&output);
        let running = Running::start(&mut command, &home.join(format!("{name}.log")))?;
        Ok(Self {
            running,
            output,
            line,
        })
    }

    /// Asks it to end now, with a report.
    ///
    /// # Errors
    /// When there is no `kill`.
    pub(super) fn interrupt(&self) -> Result<()> {
        let id = self.running.id().to_string();
        Command::new("kill")
            .args(["-INT", &id])
            .stderr(process::Stdio::null())
            .status()
            .context("kill cannot be started")?;
        Ok(())
    }

    /// Waits for its end and reads its report, also one that is not all good.
    ///
    /// # Errors
    /// When it does not end in time or wrote no report; the error has what it printed.
    pub(super) fn report(mut self, max: Duration) -> Result<Report> {
        let status = self.running.await_end(max)?;
        let Ok(text) = fs::read_to_string(&self.output) else {
            let printed = self.running.printed();
            bail!(
                "`{}` ended with {status} and no report; it printed:\n{printed}",
                self.line
            );
        };
        let json = serde_json::from_str(&text)
            .with_context(|| format!("the report of `{}`: {text:?}", self.line))?;
        Ok(Report { json })
    }
}

/// What a bot found out: see docs/bot-report.schema.json.
#[derive(Debug)]
pub(super) struct Report {
    json: Value,
}

impl Report {
    /// A number in it, by its path such as `/rate/acked_per_s`.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn number(&self, path: &str) -> Result<f64> {
        let number = self.json.pointer(path).and_then(Value::as_f64);
        number.with_context(|| format!("the bot's report has no {path}"))
    }

    /// A text in it.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn text(&self, path: &str) -> Result<&str> {
        let text = self.json.pointer(path).and_then(Value::as_str);
        text.with_context(|| format!("the bot's report has no {path}"))
    }

    /// When clients connected.
    ///
    /// # Errors
    /// When it does not say.
    pub(super) fn connecting(&self) -> Result<Window> {
        let started: Timestamp = self.text("/run/started")?.parse()?;
        let from = started.as_nanosecond() as f64 / 1e9;
        Ok(Window {
            from,
            to: from + self.number("/run/connect_s")?,
        })
    }

    /// What happened while messages were due.
    ///
    /// The rates of the report itself also count what came in the drain, which is a lot when the
    /// cluster does not keep up. Its timeline does not; only what is left of a second at the end may
    /// reach a few tenths into the drain, and then the window does, too.
    ///
    /// # Errors
    /// When it does not say.
    pub(super) fn sending(&self) -> Result<Sending> {
        let load_s = self.number("/run/load_s")?;
        let rows = self.json.pointer("/timeline").and_then(Value::as_array);
        let rows = rows.context("the bot's report has no timeline")?;
        let from = self.connecting()?.to + LEAD_S;
        let mut sending = Sending {
            window: Window { from, to: from },
            sent: 0.0,
            acked: 0.0,
            delivered: 0.0,
        };
        for row in rows {
            let number = |name: &str| {
                let number = row.get(name).and_then(Value::as_f64);
                number.with_context(|| format!("a row of the timeline has no {name}"))
            };
            let ends_s = number("at_s")?;
            if ends_s - number("length_s")? / 2.0 > load_s {
                break;
            }
            sending.window.to = from + ends_s;
            sending.sent += number("sent")?;
            sending.acked += number("acked")?;
            sending.delivered += number("delivered")?;
        }
        Ok(sending)
    }

    /// What else a reader of its figures must know, in a few words; nothing when all is well.
    ///
    /// # Errors
    /// When it does not say.
    pub(super) fn remark(&self) -> Result<String> {
        let mut remarks = Vec::new();
        match self.text("/verdict")? {
            "pass" => {}
            verdict => {
                let reasons = self.json.pointer("/reasons").and_then(Value::as_array);
                let reason = reasons.and_then(|all| all.first()?.as_str());
                remarks.push(format!("{verdict}: {}", reason.unwrap_or("no reason")));
            }
        }
        let skipped = self.number("/generator/skipped")?;
        if skipped > 0.0 {
            remarks.push(format!("{skipped:.0} not sent, too many without an ack"));
        }
        if self.text("/generator/trust")? != "ok" {
            remarks.push("limited by the bot".to_owned());
        }
        Ok(remarks.join("; "))
    }
}

/// What happened while messages were due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sending {
    /// When that was.
    pub(super) window: Window,
    /// Messages sent.
    pub(super) sent: f64,
    /// Messages acked.
    pub(super) acked: f64,
    /// Deliveries.
    pub(super) delivered: f64,
}

impl Sending {
    /// A second's worth.
    pub(super) fn per_s(&self, count: f64) -> f64 {
        count / self.window.length_s()
    }
}

/// The bot's load begins so long after everybody is there.
const LEAD_S: f64 = 0.1;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(at_s: f64, length_s: f64, delivered: u64) -> Value {
        json!({"at_s": at_s, "length_s": length_s, "sent": 1, "acked": 2, "delivered": delivered})
    }

    fn report(timeline: &[Value]) -> Report {
        let run = json!({"started": "1970-01-01T00:01:40.5Z", "connect_s": 2.0, "load_s": 2.6});
        Report {
            json: json!({"run": run, "timeline": timeline}),
        }
    }

    #[test]
    fn what_came_in_the_drain_does_not_count() {
        let seconds = [row(1.0, 1.0, 10), row(2.0, 1.0, 10), row(2.599, 0.599, 6)];
        let drain = [row(3.6, 1.001, 500), row(4.0, 0.4, 100)];
        let sending = report(&[&seconds[..], &drain[..]].concat())
            .sending()
            .unwrap();
        assert_eq!((sending.sent, sending.acked), (3.0, 6.0));
        assert_eq!(sending.delivered, 26.0);
        assert!((sending.window.from - 102.6).abs() < 1e-6);
        assert!((sending.window.length_s() - 2.599).abs() < 1e-6);
        assert!((sending.per_s(26.0) - 10.0).abs() < 0.01);

        // A drain of a tenth is a part of the last second.
        let joined = [row(1.0, 1.0, 10), row(2.0, 1.0, 10), row(2.7, 0.7, 7)];
        let sending = report(&joined).sending().unwrap();
        assert_eq!(sending.delivered, 27.0);
        assert!((sending.window.length_s() - 2.7).abs() < 1e-6);
    }

    #[test]
    fn clients_connect_before() {
        let expected = Window {
            from: 100.5,
            to: 102.5,
        };
        assert_eq!(report(&[]).connecting().unwrap(), expected);
        assert!(report(&[]).number("/run/drain_s").is_err());
    }

    #[test]
    fn what_is_not_well_is_remarked() {
        let unwell = |verdict: &str, skipped: u64, trust: &str| Report {
            json: json!({
                "verdict": verdict,
                "reasons": ["3 lost", "more"],
                "generator": {"skipped": skipped, "trust": trust},
            }),
        };
        assert_eq!(unwell("pass", 0, "ok").remark().unwrap(), "");
        assert_eq!(
            unwell("fail", 2, "limited_by_client").remark().unwrap(),
            "fail: 3 lost; 2 not sent, too many without an ack; limited by the bot"
        );
    }
}
