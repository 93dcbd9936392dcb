//! The load: members who read, some of whom publish at a rate, and what came of it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::time::{self, Instant};

use crate::meter::{Meter, Percentiles, Reader};
use crate::payload;
use crate::process;
use crate::system::{Cluster, Publisher};

/// Members of rooms on both nodes of a cluster.
#[derive(Debug)]
pub(crate) struct Crowd {
    meter: Arc<Meter>,
    // Those who do not publish keep their place by it.
    members: Vec<Publisher>,
    publishers: Vec<(Publisher, usize)>,
    len: usize,
}

/// How long a rate is kept up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Before counting.
    pub(crate) warm_up: Duration,
    /// While counting.
    pub(crate) counted: Duration,
}

/// What one rate came to.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Step {
    /// Messages a second that were to be published.
    pub(crate) messages_per_second: f64,
    /// Deliveries a second that these make.
    pub(crate) due_per_second: f64,
    /// Deliveries a second that readers got.
    pub(crate) delivered_per_second: f64,
    /// Processor time of all servers for a delivery, in microseconds.
    pub(crate) cpu_us_per_delivery: f64,
    /// Processor time of each server, in cores.
    pub(crate) cpu_cores: Vec<(String, f64)>,
    /// Processor time of this process, in cores.
    pub(crate) load_cores: f64,
    /// Processor time of everything else on this machine, in cores: a figure beside much of it says
    /// little.
    pub(crate) others_cores: f64,
    /// Latencies of all deliveries.
    pub(crate) latency: Percentiles,
    /// Latencies of those that came from the other node.
    pub(crate) cross_node: Percentiles,
    /// Connections lost meanwhile.
    pub(crate) lost: u64,
    /// Publishes a second that the senders were told are in the log; only this project tells.
    pub(crate) acked_per_second: f64,
    /// Publishes refused meanwhile.
    pub(crate) refused: u64,
}

impl Step {
    /// Processor time of all servers, in cores.
    pub(crate) fn server_cores(&self) -> f64 {
        self.cpu_cores.iter().map(|(_, cores)| cores).sum()
    }

    /// Whether the system delivered what was due, however late.
    pub(crate) fn delivered(&self) -> bool {
        self.lost == 0 && self.delivered_per_second >= self.due_per_second * DELIVERED_SHARE_MIN
    }

    /// Whether the system delivered what was due, and in time.
    pub(crate) fn held(&self) -> bool {
        self.delivered() && self.latency.p99_us < P99_US_MAX
    }
}

impl Crowd {
    /// Connects `len` members, half of them to each node, to rooms of at most `room_len`. The first
    /// `publishers_len` publish.
    ///
    /// # Errors
    /// When one is refused.
    pub(crate) async fn connect(
        cluster: &Cluster,
        len: usize,
        room_len: usize,
        publishers_len: usize,
    ) -> Result<Self> {
        let mut crowd = Self {
            meter: Meter::new()?,
            members: Vec::new(),
            publishers: Vec::new(),
            len: 0,
        };
        crowd.grow(cluster, len, room_len).await?;
        for (place, member) in crowd.members.drain(..publishers_len.min(len)).enumerate() {
            crowd.publishers.push((member, place % 2));
        }
        Ok(crowd)
    }

    /// Connects more, up to `len` in all.
    ///
    /// # Errors
    /// When one is refused.
    pub(crate) async fn grow(
        &mut self,
        cluster: &Cluster,
        len: usize,
        room_len: usize,
    ) -> Result<()> {
        let meter = &self.meter;
        let mut connecting = stream::iter(self.len..len)
            .map(|number| async move {
                let reader = Reader::new(meter, number % 2, number);
                let room = format!("room-{}", number / room_len);
                cluster.connect(&room, number, reader).await
            })
            .buffered(CONNECTING_MAX);
        while let Some(member) = connecting.next().await {
            self.members.push(member?);
        }
        self.len = len;
        Ok(())
    }

    /// Keeps up a rate of messages a second, and counts.
    ///
    /// # Errors
    /// When a server is gone, or publishers cannot end.
    pub(crate) async fn measure(
        &mut self,
        cluster: &Cluster,
        messages_per_second: f64,
        span: Span,
    ) -> Result<Step> {
        let publishing = self.publish(messages_per_second, span.warm_up + span.counted);
        time::sleep(span.warm_up).await;

        let due_per_second = messages_per_second * self.len as f64;
        let per_reader_samples = SAMPLES_PER_SECOND / due_per_second;
        self.meter.restart((1.0 / per_reader_samples) as u64);
        let before = Instant::now();
        let (delivered, lost) = (self.meter.delivered(), self.meter.lost());
        let (acked, refused) = (self.meter.acked(), self.meter.refused());
        let (cpu, own, machine) = (cluster.cpu()?, own_cpu()?, process::machine_cpu()?);
        time::sleep_until(before + span.counted).await;

        let delivered = (self.meter.delivered() - delivered) as f64;
        let acked = (self.meter.acked() - acked) as f64;
        let seconds = before.elapsed().as_secs_f64();
        let cpu_cores: Vec<(String, f64)> = cluster
            .cpu()?
            .into_iter()
            .zip(cpu)
            .map(|((name, after), (_, before))| {
                (name.to_owned(), (after - before).as_secs_f64() / seconds)
            })
            .collect();
        let (latency, cross_node) = self.meter.percentiles();
        let load_cores = (own_cpu()? - own).as_secs_f64() / seconds;
        let machine_cores = (process::machine_cpu()? - machine).as_secs_f64() / seconds;
        let cores: f64 = cpu_cores.iter().map(|(_, cores)| cores).sum();
        let step = Step {
            messages_per_second,
            due_per_second,
            delivered_per_second: delivered / seconds,
            cpu_us_per_delivery: cores * 1e6 * seconds / delivered.max(1.0),
            cpu_cores,
            load_cores,
            others_cores: (machine_cores - cores - load_cores).max(0.0),
            latency,
            cross_node,
            lost: self.meter.lost() - lost,
            acked_per_second: acked / seconds,
            refused: self.meter.refused() - refused,
        };
        for task in publishing {
            let Ok(ended) = time::timeout(QUIET_MAX, task).await else {
                bail!("a publisher is stuck");
            };
            self.publishers.push(ended?);
        }
        self.quiet().await;
        Ok(step)
    }

    /// Starts publishers, evenly in time, for so long.
    fn publish(
        &mut self,
        messages_per_second: f64,
        duration: Duration,
    ) -> Vec<tokio::task::JoinHandle<(Publisher, usize)>> {
        let publishers = std::mem::take(&mut self.publishers);
        let step_ns = 1e9 / messages_per_second;
        let every_ns = step_ns * publishers.len() as f64;
        let start = payload::now_ns() as f64;
        let end = start + duration.as_nanos() as f64;
        let place = |place: usize| start + step_ns * (place + 1) as f64;
        publishers
            .into_iter()
            .enumerate()
            .map(|(at, (publisher, node))| {
                tokio::spawn(publish(publisher, node, place(at), every_ns, end))
            })
            .collect()
    }

    /// Waits until nothing is on its way any more.
    async fn quiet(&self) {
        let until = Instant::now() + QUIET_MAX;
        let mut before = u64::MAX;
        while before != self.meter.delivered() && Instant::now() < until {
            before = self.meter.delivered();
            time::sleep(QUIET).await;
        }
    }
}

/// Sends a message whenever one is due.
async fn publish(
    mut publisher: Publisher,
    node: usize,
    first_ns: f64,
    every_ns: f64,
    end_ns: f64,
) -> (Publisher, usize) {
    let mut due = first_ns;
    while due < end_ns {
        let mut now = payload::now_ns() as f64;
        if due > now {
            time::sleep(Duration::from_nanos((due - now) as u64)).await;
            now = payload::now_ns() as f64;
        }
        if now > end_ns {
            // What was not sent in time counts as not delivered.
            break;
        }
        let mut batch = 0;
        while due <= now && batch < BATCH_MAX {
            publisher.put(&payload::write(due as u64, node));
            due += every_ns;
            batch += 1;
        }
        if publisher.flush().await.is_err() {
            // The reader of this connection has counted its loss.
            break;
        }
    }
    (publisher, node)
}

fn own_cpu() -> Result<Duration> {
    process::cpu_in(&fs::read_to_string("/proc/self/stat")?)
}

/// What a system must deliver of what is due.
const DELIVERED_SHARE_MIN: f64 = 0.98;

/// Slowest of a hundred, in microseconds, up to which a rate counts as carried.
const P99_US_MAX: f64 = 50_000.0;

/// Deliveries looked into, a second, over all readers.
const SAMPLES_PER_SECOND: f64 = 20_000.0;

/// Messages sent in one go by a publisher that is behind.
const BATCH_MAX: u32 = 64;

/// Connections being made at a time.
const CONNECTING_MAX: usize = 32;

/// Nothing came for so long: nothing is on its way.
const QUIET: Duration = Duration::from_millis(300);

/// Longest wait for what is on its way.
const QUIET_MAX: Duration = Duration::from_secs(15);
