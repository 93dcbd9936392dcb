//! What processes took, as the kernel counts it: processor time and memory.
//!
//! A thread looks ten times a second and remembers. What a window took is cut out afterwards, when
//! the bot has told when it sent; between two looks time is taken to pass evenly.

use std::collections::HashMap;
use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};

/// A stretch of time, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// When it begins.
    pub(super) from: f64,
    /// When it ends.
    pub(super) to: f64,
}

impl Window {
    /// Its length in seconds.
    pub(super) fn length_s(self) -> f64 {
        (self.to - self.from).max(f64::MIN_POSITIVE)
    }

    /// Whether all of `other` is in it.
    pub(super) fn contains(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// Looks at processes until it is told to end.
#[derive(Debug)]
pub(super) struct Watch {
    end: mpsc::Sender<()>,
    thread: JoinHandle<Result<Samples>>,
}

impl Watch {
    /// Starts to look at the processes with these ids; the first look is taken when it returns.
    ///
    /// # Errors
    /// When the system gives no thread, or a process has ended.
    pub(super) fn start(processes: Vec<u32>) -> Result<Self> {
        let (end, ended) = mpsc::channel();
        let mut clocks: Vec<_> = processes.into_iter().map(Clock::new).collect();
        let mut samples = Samples(Vec::new());
        samples.look(&mut clocks)?;
        let thread = thread::Builder::new()
            .name("meter".to_owned())
            .spawn(move || {
                while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                    samples.look(&mut clocks)?;
                }
                samples.look(&mut clocks)?;
                Ok(samples)
            })?;
        Ok(Self { end, thread })
    }

    /// Ends, with all that was seen.
    ///
    /// # Errors
    /// When a process could not be looked at: it has ended.
    pub(super) fn end(self) -> Result<Samples> {
        drop(self.end);
        self.thread
            .join()
            .map_err(|_| anyhow!("the meter panicked"))?
    }
}

/// What was seen, in order of time.
#[derive(Debug)]
pub(super) struct Samples(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    /// In seconds since 1970.
    at: f64,
    /// Of each process, in seconds since it was first looked at or since it began.
    cpu_s: Vec<f64>,
    /// Of each core, in seconds since the machine began.
    busy_s: Vec<f64>,
    /// Of each process, when it was looked at.
    memory_bytes: Option<Vec<u64>>,
}

impl Samples {
    fn look(&mut self, clocks: &mut [Clock]) -> Result<()> {
        let cpu_s = clocks
            .iter_mut()
            .map(Clock::read_s)
            .collect::<Result<_>>()?;
        let at = now_s();
        let memory_bytes = if self.0.len().is_multiple_of(MEMORY_EVERY) {
            let memory = clocks.iter().map(|clock| memory_bytes(clock.process));
            Some(memory.collect::<Result<_>>()?)
        } else {
            None
        };
        self.0.push(Sample {
            at,
            cpu_s,
            busy_s: busy_s(&fs::read_to_string("/proc/stat")?),
            memory_bytes,
        });
        Ok(())
    }

    /// Processor time of each process in the window, in seconds.
    ///
    /// # Errors
    /// When the window is not within what was seen.
    pub(super) fn cpu_s(&self, window: Window) -> Result<Vec<f64>> {
        self.between(window, |sample| &sample.cpu_s)
    }

    /// Time in which each core was busy in the window, with whatever, in seconds. Time that the
    /// machine's host took away counts: it was not there either.
    ///
    /// # Errors
    /// When the window is not within what was seen.
    pub(super) fn busy_s(&self, window: Window) -> Result<Vec<f64>> {
        self.between(window, |sample| &sample.busy_s)
    }

    /// Memory of each process when it was last looked at in the window, in bytes.
    ///
    /// # Errors
    /// When it was not.
    pub(super) fn memory_bytes(&self, window: Window) -> Result<Vec<u64>> {
        let seen = self.0.iter().rev().filter(|sample| sample.at <= window.to);
        seen.take_while(|sample| sample.at >= window.from)
            .find_map(|sample| sample.memory_bytes.clone())
            .context("memory was not looked at in that time")
    }

    fn between(&self, window: Window, of: fn(&Sample) -> &Vec<f64>) -> Result<Vec<f64>> {
        let (from, to) = (self.until(window.from, of)?, self.until(window.to, of)?);
        Ok(to.iter().zip(&from).map(|(to, from)| to - from).collect())
    }

    fn until(&self, at: f64, of: fn(&Sample) -> &Vec<f64>) -> Result<Vec<f64>> {
        let after = self.0.partition_point(|sample| sample.at < at);
        let (before, after) = match (after.checked_sub(1), self.0.get(after)) {
            (Some(before), Some(after)) => (&self.0[before], after),
            _ => return Err(anyhow!("processor time was not looked at around {at:.3}")),
        };
        let part = (at - before.at) / (after.at - before.at);
        let pairs = of(before).iter().zip(of(after));
        Ok(pairs
            .map(|(before, after)| before + (after - before) * part)
            .collect())
    }
}

/// The processor time of one process.
///
/// The kernel tells it in nanoseconds by thread, and in hundredths of a second for the process. Few
/// hundredths are too coarse for a rate that costs little, so threads are added up; one that ended
/// counts with what it had when it was last seen.
#[derive(Debug)]
struct Clock {
    process: u32,
    threads: HashMap<u32, u64>,
}

impl Clock {
    fn new(process: u32) -> Self {
        Self {
            process,
            threads: HashMap::new(),
        }
    }

    fn read_s(&mut self) -> Result<f64> {
        let folder = format!("/proc/{}/task", self.process);
        let threads = fs::read_dir(&folder).with_context(|| format!("{folder}: did it end?"))?;
        for thread in threads {
            let thread = thread?;
            let name = thread.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A thread that ended since has no file any more.
            if let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) {
                self.threads.insert(id, on_cpu_ns(&text)?);
            }
        }
        if self.threads.is_empty() {
            return ticks_s(self.process);
        }
        Ok(self.threads.values().sum::<u64>() as f64 / 1e9)
    }
}

/// The first number of `schedstat`: time on a core, in nanoseconds.
fn on_cpu_ns(schedstat: &str) -> Result<u64> {
    let first = schedstat.split_whitespace().next();
    first
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("not a schedstat: {schedstat}"))
}

/// Processor time by `stat`, where the kernel keeps no `schedstat`.
fn ticks_s(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("{path}: did it end?"))?;
    user_and_system_ticks(&text)
        .map(|ticks| ticks as f64 / TICKS_PER_S)
        .with_context(|| format!("not a stat: {text}"))
}

/// Fields 14 and 15 of `stat`. The second is a name that may hold anything, also parentheses.
fn user_and_system_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// By core, what the kernel's own `stat` counts besides idling and waiting for a disk.
fn busy_s(stat: &str) -> Vec<f64> {
    let cores = stat.lines().filter(|line| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    });
    cores
        .map(|line| {
            // user, nice, system, idle, iowait, irq, softirq, steal; what follows is in these.
            let fields = line.split_whitespace().skip(1).take(8).enumerate();
            let busy = fields.filter(|(index, _)| !matches!(index, 3 | 4));
            let ticks: f64 = busy
                .filter_map(|(_, ticks)| ticks.parse::<f64>().ok())
                .sum();
            ticks / TICKS_PER_S
        })
        .collect()
}

/// Memory of a process in bytes: its own, and its share of what it has in common with others (Pss).
pub(super) fn memory_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("{path}: did it end?"))?;
    pss_bytes(&text).with_context(|| format!("{path} tells no Pss"))
}

fn pss_bytes(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

pub(super) fn now_s() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Time between two looks: what is cut wrongly at the ends of a load of some seconds is little.
const EVERY: Duration = Duration::from_millis(100);

/// Looks between two at memory, for which the kernel walks through all of it.
const MEMORY_EVERY: usize = 10;

/// Linux tells its programs times in this unit on every machine that Rust knows.
const TICKS_PER_S: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Samples {
        let sample = |at, cpu_s: &[f64], memory: Option<u64>| Sample {
            at,
            cpu_s: cpu_s.to_vec(),
            busy_s: vec![at],
            memory_bytes: memory.map(|bytes| vec![bytes]),
        };
        Samples(vec![
            sample(10.0, &[1.0, 5.0], Some(100)),
            sample(11.0, &[1.5, 5.0], None),
            sample(12.0, &[2.5, 6.0], Some(300)),
        ])
    }

    #[test]
    fn a_window_is_cut_between_looks() {
        let window = |from, to| Window { from, to };
        assert_eq!(
            samples().cpu_s(window(10.0, 12.0)).unwrap_err().to_string(),
            { "processor time was not looked at around 10.000" }
        );
        assert_eq!(samples().cpu_s(window(10.5, 11.5)).unwrap(), [0.75, 0.5]);
        assert_eq!(samples().busy_s(window(10.5, 11.5)).unwrap(), [1.0]);
        assert!(samples().cpu_s(window(11.0, 12.5)).is_err());
        assert_eq!(samples().memory_bytes(window(9.0, 11.9)).unwrap(), [100]);
        assert_eq!(samples().memory_bytes(window(9.0, 12.0)).unwrap(), [300]);
        assert!(samples().memory_bytes(window(10.5, 11.5)).is_err());
    }

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(on_cpu_ns("1234567 89 3\n").unwrap(), 1_234_567);
        assert!(on_cpu_ns("").is_err());
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 95 0 0 0 31 11 0 0 20 0 1 0 4 5 6";
        assert_eq!(user_and_system_ticks(stat), Some(42));
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 20 30 999 999 4 5 41 7 7\ncpu1 1 0 0 9 9 0 0 0 0 0\nintr 5\n";
        assert_eq!(busy_s(stat), [2.0, 0.01]);
        let rollup = "5581-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  20 kB\nPss:  16 kB\n";
        assert_eq!(pss_bytes(rollup), Some(16 * 1024));
    }

    #[test]
    fn this_process_is_measured() {
        let watch = Watch::start(vec![std::process::id()]).unwrap();
        let begins = now_s();
        let mut sum = 0_u64;
        while now_s() < begins + 0.5 {
            sum = (0..10_000_u64).fold(sum, |sum, number| sum ^ (number * 3));
        }
        assert_ne!(sum, 1);
        let samples = watch.end().unwrap();
        let window = Window {
            from: begins + 0.15,
            to: begins + 0.4,
        };
        let cpu_s = samples.cpu_s(window).unwrap()[0];
        assert!(cpu_s > 0.01, "{cpu_s} s of work");
        assert!(samples.memory_bytes(window).is_ok() || samples.0.len() < MEMORY_EVERY);
    }
}
