//! The workloads, one after the other, each on a fresh cluster.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::time;

use crate::load::{Crowd, Span, Step};
use crate::network::Place;
use crate::system::{Cluster, Programs, System};

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Workload {
    /// Processor time for a delivery at given rates.
    Rates,
    /// The highest rate that is carried.
    Saturation,
    /// Latency at a rate that costs nothing.
    Latency,
    /// Memory for an idle connection.
    Memory,
    /// Latency when packets are lost.
    Loss,
}

/// How the workloads are run.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub(crate) struct Settings {
    /// Members of the room, half of them on each node.
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) members: usize,
    /// How many of them publish.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) publishers: usize,
    /// Deliveries a second of the workload `rates`.
    #[arg(
        long,
        value_name = "RATES",
        value_delimiter = ',',
        default_value = "50000,200000,500000"
    )]
    pub(crate) rates: Vec<u64>,
    /// Deliveries a second that the search for saturation starts from.
    #[arg(long, value_name = "RATE", default_value_t = 50_000)]
    pub(crate) saturation_start: u64,
    /// Connections of the workload `memory`, at first and in the end.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "500,2500"
    )]
    pub(crate) idle: Vec<usize>,
    /// Core of the servers.
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    pub(crate) server_core: usize,
    /// A short run: steps of two seconds, a coarse search.
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Figures of one system.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// Names and versions of its programs.
    pub(crate) versions: Vec<(String, String)>,
    /// At given rates.
    pub(crate) rates: Vec<Step>,
    /// The search for the highest rate.
    pub(crate) saturation: Option<Saturation>,
    /// At a low rate.
    pub(crate) latency: Vec<LowLoad>,
    /// For an idle connection.
    pub(crate) memory: Option<Memory>,
    /// At a low rate with packets lost.
    pub(crate) loss: Vec<Lossy>,
    /// What lost the packets.
    pub(crate) loss_by: Option<&'static str>,
    /// What could not be measured, and why.
    pub(crate) missing: Vec<String>,
}

/// How far a system goes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Saturation {
    /// The highest rate that was carried.
    pub(crate) held: Option<Step>,
    /// Most deliveries a second that were seen, however late.
    pub(crate) peak_per_second: f64,
    /// Every rate tried, in order.
    pub(crate) steps: Vec<Step>,
}

/// Latency at a low rate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LowLoad {
    /// Members of the room.
    pub(crate) members: usize,
    /// What was seen.
    pub(crate) step: Step,
}

/// Latency when packets are lost.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Lossy {
    /// Packets lost each way between clients and servers, in percent.
    pub(crate) loss_percent: f64,
    /// What was seen.
    pub(crate) step: Step,
}

/// Memory of all servers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Memory {
    /// Connections at first, and bytes then.
    pub(crate) first: (usize, u64),
    /// Connections in the end, and bytes then.
    pub(crate) last: (usize, u64),
    /// The difference for one connection, in bytes.
    pub(crate) bytes_per_connection: f64,
}

/// A system under test, and where.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) system: System,
    pub(crate) programs: &'a Programs,
    pub(crate) place: &'a Place,
    pub(crate) settings: &'a Settings,
}

impl Figures {
    /// Every step of every workload.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        let found = self.saturation.iter().flat_map(|found| &found.steps);
        (self.rates.iter().chain(found))
            .chain(self.latency.iter().map(|low| &low.step))
            .chain(self.loss.iter().map(|seen| &seen.step))
    }
}

impl Bench<'_> {
    /// Processor time for a delivery, at the given rates.
    ///
    /// # Errors
    /// When the cluster cannot be started or breaks.
    pub(crate) async fn rates(&self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for &rate in &self.settings.rates {
            // A fresh one each: a rate beyond the limit leaves queues behind.
            let cluster = self.system.start(self.programs, self.place).await?;
            let (members, publishers) = (self.settings.members, self.settings.publishers);
            let mut crowd = Crowd::connect(&cluster, members, members, publishers).await?;
            self.warm(&cluster, &mut crowd).await?;
            let step = crowd
                .measure(&cluster, rate as f64 / members as f64, self.span())
                .await?;
            self.say(&step);
            let delivered = step.delivered();
            steps.push(step);
            if !delivered {
                self.note("that is more than it delivers");
                break;
            }
        }
        Ok(steps)
    }

    /// Doubles the rate until it is not carried, then searches between.
    ///
    /// # Errors
    /// When the cluster cannot be started.
    pub(crate) async fn saturation(&self) -> Result<Saturation> {
        let members = self.settings.members;
        let mut found = Saturation {
            held: None,
            peak_per_second: 0.0,
            steps: Vec::new(),
        };
        let mut rate = self.settings.saturation_start as f64;
        let mut refused: Option<f64> = None;
        let mut tries = 1;
        let mut running = None;
        loop {
            let (cluster, mut crowd) = match running.take() {
                Some(running) => running,
                None => {
                    let cluster = self.system.start(self.programs, self.place).await?;
                    let publishers = self.settings.publishers;
                    let mut crowd = Crowd::connect(&cluster, members, members, publishers).await?;
                    self.warm(&cluster, &mut crowd).await?;
                    (cluster, crowd)
                }
            };
            let step = crowd
                .measure(&cluster, rate / members as f64, self.span())
                .await;
            let held = match step {
                Ok(step) => {
                    self.say(&step);
                    let held = step.held();
                    found.peak_per_second = found.peak_per_second.max(step.delivered_per_second);
                    if held {
                        found.held = Some(step.clone());
                    }
                    found.steps.push(step);
                    held
                }
                Err(error) => {
                    self.note(&format!("{rate:.0}/s: {error:#}"));
                    false
                }
            };
            let carried = found.held.as_ref().map_or(0.0, |step| step.due_per_second);
            if held {
                // One that was overrun is not used again.
                running = Some((cluster, crowd));
            } else if tries < self.tries_max() {
                // Something else on this machine may have been in the way.
                tries += 1;
                self.note("not carried; once more");
                continue;
            } else {
                self.note("not carried");
                refused = Some(rate);
            }
            tries = 1;
            rate = match refused {
                None => carried * 2.0,
                Some(refused) if carried == 0.0 => refused / 2.0,
                Some(refused) if refused / carried < self.closeness() => return Ok(found),
                Some(refused) => (refused * carried).sqrt(),
            };
            if rate < members as f64 {
                return Ok(found);
            }
        }
    }

    /// Latency at a rate that costs nothing: a full room, and two members on different nodes.
    ///
    /// # Errors
    /// When the cluster cannot be started or breaks.
    pub(crate) async fn latency(&self) -> Result<Vec<LowLoad>> {
        let mut all = Vec::new();
        for members in [2, self.settings.members] {
            let cluster = self.system.start(self.programs, self.place).await?;
            let publishers = if members == 2 { 1 } else { 2 };
            let mut crowd = Crowd::connect(&cluster, members, members, publishers).await?;
            time::sleep(SETTLE).await;
            let step = crowd.measure(&cluster, LOW_RATE, self.low_span()).await?;
            self.say(&step);
            all.push(LowLoad { members, step });
        }
        Ok(all)
    }

    /// Memory of all servers with few and with many idle members.
    ///
    /// # Errors
    /// When the cluster cannot be started or breaks.
    pub(crate) async fn memory(&self) -> Result<Memory> {
        let [few, many] = self.settings.idle[..] else {
            anyhow::bail!("--idle takes two numbers");
        };
        let cluster = self.system.start(self.programs, self.place).await?;
        let mut crowd = Crowd::connect(&cluster, few, IDLE_ROOM_LEN, 0).await?;
        time::sleep(SETTLE_IDLE).await;
        let first = cluster.resident_bytes()?;
        crowd.grow(&cluster, many, IDLE_ROOM_LEN).await?;
        time::sleep(SETTLE_IDLE).await;
        let last = cluster.resident_bytes()?;
        let memory = Memory {
            first: (few, first),
            last: (many, last),
            bytes_per_connection: (last as f64 - first as f64) / (many - few) as f64,
        };
        self.note(&format!(
            "{:.1} KiB for an idle connection",
            memory.bytes_per_connection / 1024.0
        ));
        drop(crowd);
        Ok(memory)
    }

    /// A light load on a fresh cluster, which is not looked at: joins calm down, and code that is
    /// compiled as it runs gets compiled.
    async fn warm(&self, cluster: &Cluster, crowd: &mut Crowd) -> Result<()> {
        time::sleep(SETTLE).await;
        let rate = self.settings.saturation_start as f64 / 5.0 / self.settings.members as f64;
        crowd.measure(cluster, rate, WARM).await?;
        Ok(())
    }

    fn span(&self) -> Span {
        if self.settings.quick {
            Span {
                warm_up: Duration::from_millis(500),
                counted: Duration::from_millis(1_500),
            }
        } else {
            Span {
                warm_up: Duration::from_millis(1_500),
                counted: Duration::from_secs(3),
            }
        }
    }

    /// At a low rate a second holds few messages: twenty.
    pub(crate) fn low_span(&self) -> Span {
        let counted = Duration::from_secs(if self.settings.quick { 5 } else { 15 });
        Span {
            warm_up: Duration::from_secs(1),
            counted,
        }
    }

    /// How close the search comes: the ratio of a rate that was not carried to one that was.
    fn closeness(&self) -> f64 {
        if self.settings.quick { 1.25 } else { 1.1 }
    }

    /// How often a rate is tried before it counts as too much.
    fn tries_max(&self) -> u32 {
        if self.settings.quick { 1 } else { 2 }
    }

    /// Shows a remark.
    pub(crate) fn note(&self, text: &str) {
        eprintln!("  {}: {text}", self.system.title());
    }

    /// Shows what a step came to.
    pub(crate) fn say(&self, step: &Step) {
        let cores: Vec<String> = step
            .cpu_cores
            .iter()
            .map(|(name, cores)| format!("{name} {cores:.2}"))
            .collect();
        let others = if step.others_cores > OTHERS_CORES_MAX {
            format!(", OTHERS USED {:.2} CORES", step.others_cores)
        } else {
            String::new()
        };
        let lost = if step.lost + step.refused > 0 {
            format!(", {} lost, {} refused", step.lost, step.refused)
        } else {
            String::new()
        };
        self.note(&format!(
            "{:>9.0}/s due, {:>9.0}/s delivered, {:.3} µs CPU each ({}; load {:.2}), p50 {:.2} ms, \
             p99 {:.2} ms, cross p50 {:.2} ms, p99 {:.2} ms{lost}{others}",
            step.due_per_second,
            step.delivered_per_second,
            step.cpu_us_per_delivery,
            cores.join(", "),
            step.load_cores,
            step.latency.p50_us / 1e3,
            step.latency.p99_us / 1e3,
            step.cross_node.p50_us / 1e3,
            step.cross_node.p99_us / 1e3,
        ));
    }
}

/// Cores that others may use before it is said: kernel threads and the like.
pub(crate) const OTHERS_CORES_MAX: f64 = 0.15;

/// Messages a second of a low load.
pub(crate) const LOW_RATE: f64 = 20.0;

/// Members of a room of those that are idle.
const IDLE_ROOM_LEN: usize = 50;

/// For how long a fresh cluster is warmed.
const WARM: Span = Span {
    warm_up: Duration::ZERO,
    counted: Duration::from_secs(2),
};

/// Joins and their presence have calmed down.
const SETTLE: Duration = Duration::from_millis(500);

/// Buffers of handshakes are free again.
const SETTLE_IDLE: Duration = Duration::from_secs(5);
