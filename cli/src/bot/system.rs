//! What the bot needs of the system, and what it takes: open files, processor time, memory.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Has the system allow so many open files.
///
/// # Errors
/// When it does not, with how many it allows.
pub fn allow_open_files(wanted: u64) -> Result<(), u64> {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else {
        return Ok(());
    };
    if current >= wanted {
        return Ok(());
    }
    let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let outcome = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        },
    );
    match outcome {
        Ok(()) if raised >= wanted => Ok(()),
        Ok(()) => Err(raised),
        Err(_) => Err(current),
    }
}

/// Processor time this process used, over all its threads.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Most memory this process had resident, in bytes; `None` where the system does not tell.
#[must_use]
pub fn memory_peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Processors this process may use.
#[must_use]
pub fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_what_is_used() {
        let before = cpu_time();
        let sum: u64 = (0..2_000_000_u64)
            .map(|number| number ^ (number >> 3))
            .sum();
        assert!(sum > 0);
        assert!(cpu_time() > before);
        if cfg!(target_os = "linux") {
            assert!(memory_peak().is_some_and(|bytes| bytes > 1 << 20));
        }
        assert!(cores() >= 1);
    }

    #[test]
    fn a_limit_that_is_high_enough_is_left_alone() {
        assert_eq!(allow_open_files(16), Ok(()));
        let most = getrlimit(Resource::Nofile).maximum;
        if let Some(most) = most {
            assert!(allow_open_files(most.saturating_add(1)).is_err());
        }
    }
}
