//! What comes out: a table to paste, and JSON with everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use crate::network;
use crate::system::System;
use crate::workload::{Figures, Settings};

/// A run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Seconds since 1970 at its start.
    pub(crate) started_s: u64,
    /// Processor, cores, kernel.
    pub(crate) machine: BTreeMap<&'static str, String>,
    /// Commit of this project, with `-dirty` when there were changes.
    pub(crate) commit: String,
    /// How it was run.
    pub(crate) settings: Settings,
    /// What was seen.
    pub(crate) systems: Vec<(System, Figures)>,
}

impl Report {
    /// An empty report of this machine.
    ///
    /// # Errors
    /// When the machine does not say what it is.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let mut machine = BTreeMap::new();
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let models: Vec<&str> = cpus
            .lines()
            .filter(|line| line.starts_with("model name"))
            .filter_map(|line| line.split_once(": "))
            .map(|(_, model)| model)
            .collect();
        machine.insert(
            "cpu",
            models.first().copied().unwrap_or("unknown").to_owned(),
        );
        machine.insert("cores", models.len().to_string());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        machine.insert("kernel", kernel.trim().to_owned());
        machine.insert("network", format!("loopback of {}", network::whose()));
        Ok(Self {
            started_s: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            machine,
            commit: said_by("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
            settings: settings.clone(),
            systems: Vec::new(),
        })
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn save(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, serde_json::to_string_pretty(self)?)?;
        Ok(())
    }
}

fn said_by(program: &str, args: &[&str]) -> String {
    Command::new(program)
        .args(args)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map_or_else(
            || "unknown".to_owned(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
}
