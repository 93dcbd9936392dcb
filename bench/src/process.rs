//! Server processes: started on their core, measured by what the system says of them, ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::time;

use crate::network::Place;

/// A running server. Killed when dropped, and by the system when this process dies first.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts a program on the servers' core, in the servers' network.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(
        name: &'static str,
        place: &Place,
        program: &Path,
        change: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let mut command = place.command();
        command.arg(program);
        change(&mut command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let (sender, lines) = mpsc::sync_channel(64);
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // Read to the end, so that the server never waits; kept while there is room.
                    let _ = sender.try_send(line);
                }
            });
        }
        Ok(Self { name, child, lines })
    }

    /// Waits for a line with this text, and returns it.
    ///
    /// # Errors
    /// When the server ends or says nothing of the kind in time.
    pub(crate) fn line_with(&self, text: &str) -> Result<String> {
        let deadline = Instant::now() + START_MAX;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return Ok(line),
                Ok(_) => {}
                Err(_) => bail!("{} did not say \"{text}\"", self.name),
            }
        }
    }

    /// Its part in the cluster.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Processor time used so far.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .with_context(|| format!("{} is gone", self.name))?;
        cpu_in(&stat)
    }

    /// Memory it has, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))
            .with_context(|| format!("{} is gone", self.name))?;
        parse_resident(&rollup).with_context(|| format!("{} is gone", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A TCP port that nobody listens on now.
///
/// # Errors
/// When there is none.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Waits until something accepts connections.
///
/// # Errors
/// When nothing does in time.
pub(crate) async fn accepts(address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + START_MAX;
    while TcpStream::connect(address).await.is_err() {
        if Instant::now() > deadline {
            bail!("nothing listens on {address}");
        }
        time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Processor time in a `stat` of `/proc`.
///
/// # Errors
/// When it is none.
pub(crate) fn cpu_in(stat: &str) -> Result<Duration> {
    parse_cpu(stat).context("/proc has no processor time")
}

/// Processor time that everything on this machine used, and what its host took away.
///
/// # Errors
/// When the system does not say.
pub(crate) fn machine_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    parse_machine(&stat).context("/proc/stat has no processor time")
}

fn parse_machine(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let mut ticks = 0;
    for (place, field) in line.split_whitespace().take(8).enumerate() {
        // Idle, and idle while it waits for a disk.
        if place != 3 && place != 4 {
            ticks += field.parse::<u64>().ok()?;
        }
    }
    Some(Duration::from_millis(ticks * TICK_MS))
}

fn parse_cpu(stat: &str) -> Option<Duration> {
    // The name in parentheses may hold anything; what follows is numbered from the third field.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * TICK_MS))
}

fn parse_resident(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find(|line| line.starts_with("Rss:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Unit of processor time in `/proc`: a hundredth of a second on every Linux.
const TICK_MS: u64 = 10;

/// Time a server has until it is ready.
const START_MAX: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_understood() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 900 0 0 0 150 25 0 0 20 0 4 0 100 0 0";
        assert_eq!(parse_cpu(stat), Some(Duration::from_millis(1_750)));
        let machine = "cpu  10 2 3 1000 1000 4 5 6 0 0\ncpu0 1 1\n";
        assert_eq!(parse_machine(machine), Some(Duration::from_millis(300)));
        let rollup = "0-f ---p 0 00:00 0 [rollup]\nRss:                2048 kB\nPss: 1 kB\n";
        assert_eq!(parse_resident(rollup), Some(2 << 20));
    }
}
