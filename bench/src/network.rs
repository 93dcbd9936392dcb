//! Where servers and load are: which cores, which network.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, bail};

/// Where servers run.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Their core.
    pub(crate) core: usize,
    /// Their network namespace; `None` for this process's own.
    pub(crate) namespace: Option<String>,
    /// Their address.
    pub(crate) address: IpAddr,
}

impl Place {
    /// On this machine's loopback.
    pub(crate) fn loopback(core: usize) -> Self {
        Self {
            core,
            namespace: None,
            address: Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// The start of a command that runs a server there. Each part replaces itself by the next, so
    /// that the process is the server in the end.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(namespace) = &self.namespace {
            command.args(["ip", "netns", "exec", namespace]);
        }
        command.args(["taskset", "-c", &self.core.to_string()]);
        command
    }
}

/// Puts this process on a core by starting it anew there; returns when it is there.
///
/// # Errors
/// When the program cannot be started anew.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap_or_default()
        .trim();
    if allowed == core.to_string() {
        return Ok(());
    }
    let error = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .exec();
    bail!("this program cannot be put on core {core} with taskset: {error}");
}
