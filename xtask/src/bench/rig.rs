//! What every run needs: the programs, the cores, and one way to measure a load on a new cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Settings;
use super::bot::{Bot, Report};
use super::cluster::Cluster;
use super::machine::{Pins, Side};
use super::meter::{Samples, Watch, Window};
use crate::{folders, redis, step};

/// Programs and cores.
#[derive(Debug)]
pub(super) struct Rig {
    /// The nodes' program.
    pub(super) node: PathBuf,
    /// The bot's.
    pub(super) cli: PathBuf,
    /// Redis's.
    pub(super) redis: PathBuf,
    /// Who runs where.
    pub(super) pins: Pins,
    /// Fewer and shorter runs.
    pub(super) is_quick: bool,
    /// Deliveries a second where shapes are compared.
    pub(super) flat_per_s: u32,
}

impl Rig {
    /// Builds what is not given, and finds or installs Redis.
    ///
    /// # Errors
    /// When that fails, or a program that is given is none.
    pub(super) fn set_up(settings: &Settings) -> Result<Self> {
        let redis = redis::find_or_install()?;
        if settings.node.is_none() || settings.cli.is_none() {
            step::run_beside_stdout(
                step::cargo()
                    .args(["build", "--release", "--locked"])
                    .args(["--bin", "chat-node", "--bin", "chat-cli"]),
            )?;
        }
        let built = folders::target().join("release");
        let program = |given: &Option<PathBuf>, name: &str| -> Result<PathBuf> {
            let path = given.clone().unwrap_or_else(|| built.join(name));
            ensure!(
                step::is_executable(&path),
                "{} is no program",
                path.display()
            );
            std::path::absolute(&path).with_context(|| path.display().to_string())
        };
        let pins = Pins::find();
        step::say(&pins.to_string());
        Ok(Self {
            node: program(&settings.node, "chat-node")?,
            cli: program(&settings.cli, "chat-cli")?,
            redis,
            pins,
            is_quick: settings.quick,
            flat_per_s: settings.flat_rate,
        })
    }

    /// How long messages are sent in a run, in seconds.
    pub(super) const fn load_s(&self) -> u32 {
        if self.is_quick { 3 } else { 6 }
    }

    /// Runs the bot with these words of its command line against a new cluster.
    ///
    /// # Errors
    /// When something cannot be started, or the bot ends without a report.
    pub(super) fn measure(&self, nodes: usize, load: &str) -> Result<Measured> {
        let home = tempfile::tempdir()?;
        let cluster = Cluster::start(self, home.path(), nodes)?;
        self.measure_on(&cluster, home.path(), load)
    }

    /// Runs the bot against a cluster that is there.
    ///
    /// # Errors
    /// When the bot ends without a report.
    pub(super) fn measure_on(
        &self,
        cluster: &Cluster,
        home: &Path,
        load: &str,
    ) -> Result<Measured> {
        let watch = Watch::start(cluster.processes())?;
        let bot = Bot::start(self, home, "bot", &cluster.targets(), load)?;
        let report = bot.report(RUN_MAX)?;
        let samples = watch.end()?;
        Ok(Measured {
            report,
            samples,
            nodes: cluster.nodes_len(),
            is_pinned: self.pins == Pins::Pinned,
        })
    }
}

/// A run.
#[derive(Debug)]
pub(super) struct Measured {
    /// What the bot says.
    pub(super) report: Report,
    /// What the kernel says: nodes first, then Redis.
    samples: Samples,
    nodes: usize,
    is_pinned: bool,
}

impl Measured {
    /// Processor time of all nodes together, in seconds.
    ///
    /// # Errors
    /// When the window was not watched.
    pub(super) fn nodes_cpu_s(&self, window: Window) -> Result<f64> {
        let cpu = self.samples.cpu_s(window)?;
        Ok(cpu.iter().take(self.nodes).sum())
    }

    /// Processor time of Redis, in seconds.
    ///
    /// # Errors
    /// When the window was not watched.
    pub(super) fn redis_cpu_s(&self, window: Window) -> Result<f64> {
        let cpu = self.samples.cpu_s(window)?;
        Ok(cpu.iter().skip(self.nodes).sum())
    }

    /// What the servers took for so many of something.
    ///
    /// # Errors
    /// When the window was not watched.
    pub(super) fn costs(&self, window: Window, count: f64) -> Result<Costs> {
        let (nodes, redis) = (self.nodes_cpu_s(window)?, self.redis_cpu_s(window)?);
        Ok(Costs {
            nodes_us: nodes * 1e6 / count,
            redis_us: redis * 1e6 / count,
            nodes_percent: nodes * 100.0 / window.length_s(),
            redis_percent: redis * 100.0 / window.length_s(),
        })
    }

    /// What else a reader of figures of the sending phase must know, in a few words; nothing when all
    /// is well.
    ///
    /// # Errors
    /// When the bot does not say, or the window was not watched.
    pub(super) fn remark(&self, window: Window, costs: &Costs) -> Result<String> {
        let bot_percent = self.report.number("/generator/cpu_percent")?;
        let mut remarks = self.core_remarks(window, Side::Server, costs.percent())?;
        remarks.extend(self.core_remarks(window, Side::Load, bot_percent)?);
        let unwell = self.report.remark()?;
        if !unwell.is_empty() {
            remarks.push(unwell);
        }
        Ok(remarks.join("; "))
    }

    /// Whether a side's core was full, or others ran there, when its own processes took so much.
    ///
    /// # Errors
    /// When the window was not watched.
    pub(super) fn core_remarks(
        &self,
        window: Window,
        side: Side,
        own_percent: f64,
    ) -> Result<Vec<String>> {
        let (core, whose) = match side {
            Side::Server => (0, "servers'"),
            Side::Load => (1, "bot's"),
        };
        let mut remarks = Vec::new();
        let busy_s = self.samples.busy_s(window)?;
        if let Some(busy_s) = busy_s.get(core).filter(|_| self.is_pinned) {
            let others = busy_s * 100.0 / window.length_s() - own_percent;
            if others >= OTHERS_PERCENT {
                remarks.push(format!("OTHERS took {others:.0} % of the {whose} core"));
            }
        }
        // Processor time for each is then what there was, and not what it took.
        if own_percent >= FULL_PERCENT {
            remarks.push(format!("the {whose} core is full"));
        }
        Ok(remarks)
    }

    /// Memory of the first node when `window` ended, in bytes.
    ///
    /// # Errors
    /// When nothing was looked at in it.
    pub(super) fn node_memory(&self, window: Window) -> Result<u64> {
        let memory = self.samples.memory_bytes(window)?;
        memory.first().copied().context("no node was watched")
    }

    /// Memory of Redis when `window` ended, in bytes.
    ///
    /// # Errors
    /// When nothing was looked at in it.
    pub(super) fn redis_memory(&self, window: Window) -> Result<u64> {
        let memory = self.samples.memory_bytes(window)?;
        memory.last().copied().context("Redis was not watched")
    }
}

/// Processor time of the servers, for each of something and in percent of a core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Costs {
    pub(super) nodes_us: f64,
    pub(super) redis_us: f64,
    pub(super) nodes_percent: f64,
    pub(super) redis_percent: f64,
}

impl Costs {
    /// Of nodes and Redis, for each.
    pub(super) fn servers_us(&self) -> f64 {
        self.nodes_us + self.redis_us
    }

    /// Of nodes and Redis, in percent of a core.
    pub(super) fn percent(&self) -> f64 {
        self.nodes_percent + self.redis_percent
    }
}

/// What others take of a core without being in the way: this program, the system itself, and what
/// counting by ticks gets wrong.
const OTHERS_PERCENT: f64 = 10.0;

/// A core that is busy for so much of the time has nothing left: the rest is the system's.
const FULL_PERCENT: f64 = 93.0;

/// No run takes this long.
const RUN_MAX: Duration = Duration::from_secs(180);
