//! The bot as a process, and what its report says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, process};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::Value;

use super::cluster::{Running, at_home};
use super::machine::Side;
use super::meter::Window;
use super::rig::Rig;
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

    /// When messages were due.
    ///
    /// # Errors
    /// When it does not say.
    pub(super) fn load(&self) -> Result<Window> {
        let from = self.connecting()?.to + LEAD_S;
        Ok(Window {
            from,
            to: from + self.number("/run/load_s")?,
        })
    }

    /// Deliveries while messages were due.
    ///
    /// # Errors
    /// When it does not say.
    pub(super) fn deliveries_in_load(&self) -> Result<f64> {
        Ok(self.number("/rate/delivered_per_s")? * self.number("/run/load_s")?)
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

/// The bot's load begins so long after everybody is there.
const LEAD_S: f64 = 0.1;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn phases_follow_each_other() {
        let report = Report {
            json: json!({"run": {
                "started": "1970-01-01T00:01:40.5Z", "connect_s": 2.0, "load_s": 10.0
            }}),
        };
        let window = |from, to| Window { from, to };
        assert_eq!(report.connecting().unwrap(), window(100.5, 102.5));
        let load = report.load().unwrap();
        assert!((load.from - 102.6).abs() < 1e-6 && (load.to - 112.6).abs() < 1e-6);
        assert!(report.number("/run/drain_s").is_err());
    }

    #[test]
    fn what_is_not_well_is_remarked() {
        let report = |verdict: &str, skipped: u64, trust: &str| Report {
            json: json!({
                "verdict": verdict,
                "reasons": ["3 lost", "more"],
                "generator": {"skipped": skipped, "trust": trust},
            }),
        };
        assert_eq!(report("pass", 0, "ok").remark().unwrap(), "");
        assert_eq!(
            report("fail", 2, "limited_by_client").remark().unwrap(),
            "fail: 3 lost; 2 not sent, too many without an ack; limited by the bot"
        );
    }
}
