//! What readers see: how many messages, and how late.
//!
//! A delivery costs a reader one addition; only every so many-th is looked into.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::payload;

/// Shared by all connections of a run. They are tasks of one thread, so nothing here contends.
#[derive(Debug)]
pub(crate) struct Meter {
    delivered: AtomicU64,
    acked: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    sample_every: AtomicU64,
    latencies: Mutex<Latencies>,
}

#[derive(Debug)]
struct Latencies {
    same_node: Histogram<u64>,
    cross_node: Histogram<u64>,
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Percentiles {
    /// How many were looked into.
    pub(crate) samples: u64,
    /// Half were faster.
    pub(crate) p50_us: f64,
    /// All but one in a hundred were faster.
    pub(crate) p99_us: f64,
    /// The slowest.
    pub(crate) max_us: f64,
}

impl Meter {
    /// A meter at zero.
    ///
    /// # Errors
    /// Never in practice: the bounds of the histograms are fixed.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let latencies = Latencies {
            same_node: histogram()?,
            cross_node: histogram()?,
        };
        Ok(Arc::new(Self {
            delivered: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            sample_every: AtomicU64::new(1),
            latencies: Mutex::new(latencies),
        }))
    }

    /// Messages that readers got so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Messages whose senders were told that they are in the log.
    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Messages whose senders were told that they are not taken.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections that ended.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn on_acked(&self, len: u64) {
        add(&self.acked, len);
    }

    pub(crate) fn on_refused(&self, len: u64) {
        add(&self.refused, len);
    }

    pub(crate) fn on_lost(&self) {
        add(&self.lost, 1);
    }

    /// Forgets latencies and looks into every so many-th delivery of a reader from now on.
    pub(crate) fn restart(&self, sample_every: u64) {
        self.sample_every
            .store(sample_every.max(1), Ordering::Relaxed);
        if let Ok(mut latencies) = self.latencies.lock() {
            latencies.same_node.reset();
            latencies.cross_node.reset();
        }
    }

    /// Latencies since the restart: all, and of those that came from the other node.
    pub(crate) fn percentiles(&self) -> (Percentiles, Percentiles) {
        let Ok(latencies) = self.latencies.lock() else {
            return Default::default();
        };
        let mut all = latencies.same_node.clone();
        // Both have the same bounds.
        let _ = all.add(&latencies.cross_node);
        (percentiles(&all), percentiles(&latencies.cross_node))
    }
}

/// One connection's own count.
#[derive(Debug)]
pub(crate) struct Reader {
    meter: Arc<Meter>,
    node: usize,
    until_sample: u64,
}

impl Reader {
    /// A reader on this node. `offset` spreads what is looked into over the readers.
    pub(crate) fn new(meter: &Arc<Meter>, node: usize, offset: usize) -> Self {
        Self {
            meter: Arc::clone(meter),
            node,
            until_sample: offset as u64 % 64 + 1,
        }
    }

    /// The meter it counts into.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Its node.
    pub(crate) fn node(&self) -> usize {
        self.node
    }

    /// A message came; `frame` ends with its payload and `after` more bytes.
    #[inline]
    pub(crate) fn on_delivery(&mut self, frame: &[u8], after: usize) {
        add(&self.meter.delivered, 1);
        self.until_sample -= 1;
        if self.until_sample == 0 {
            self.look_into(frame, after);
        }
    }

    #[cold]
    fn look_into(&mut self, frame: &[u8], after: usize) {
        self.until_sample = self.meter.sample_every.load(Ordering::Relaxed);
        let start = frame.len().checked_sub(payload::PAYLOAD_BYTES + after);
        let Some((sent, from)) =
            start.and_then(|start| payload::read(frame.get(start..).unwrap_or_default()))
        else {
            return;
        };
        let latency = payload::now_ns().saturating_sub(sent).max(1);
        if let Ok(mut latencies) = self.meter.latencies.lock() {
            let kept = if from == self.node {
                &mut latencies.same_node
            } else {
                &mut latencies.cross_node
            };
            kept.saturating_record(latency);
        }
    }
}

/// One thread writes: no locked instruction is needed.
#[inline]
fn add(counter: &AtomicU64, len: u64) {
    counter.store(counter.load(Ordering::Relaxed) + len, Ordering::Relaxed);
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(
        1_000,
        Duration::from_secs(100).as_nanos() as u64,
        3,
    )?)
}

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    let us = |ns: u64| ns as f64 / 1_000.0;
    Percentiles {
        samples: histogram.len(),
        p50_us: us(histogram.value_at_quantile(0.5)),
        p99_us: us(histogram.value_at_quantile(0.99)),
        max_us: us(histogram.max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_count_and_tell_the_nodes_apart() {
        let meter = Meter::new().unwrap();
        let mut here = Reader::new(&meter, 0, 0);
        let mut there = Reader::new(&meter, 1, 0);
        let mut frame = payload::write(payload::now_ns(), 0).to_vec();
        frame.extend_from_slice(b"\r\n");
        for _ in 0..10 {
            here.on_delivery(&frame, 2);
            there.on_delivery(&frame, 2);
        }
        let (all, cross) = meter.percentiles();
        assert_eq!(meter.delivered(), 20);
        assert_eq!(all.samples, 20);
        assert_eq!(cross.samples, 10);
        meter.restart(5);
        assert_eq!(meter.percentiles().0.samples, 0);
    }
}
