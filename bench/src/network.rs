//! Where servers and load are: which cores, which network.

use std::env;
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

/// Puts this process on a core, and into a network of its own where that is allowed, by starting
/// it anew there; returns when it is there.
///
/// A fresh network has loopback and nothing else: no firewall of this machine looks at packets.
///
/// # Errors
/// When the program cannot be started anew.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    if env::var_os(PLACED).is_some() {
        return Ok(());
    }
    let own = Command::new("unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .output();
    let mut command = if own.is_ok_and(|output| output.status.success()) {
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$@\"",
            "sh",
        ]);
        command.args(["taskset", "-c", &core.to_string()]);
        command.env(PLACED, "its own");
        command
    } else {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]);
        command.env(PLACED, "the machine's");
        command
    };
    let error = command
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .exec();
    bail!("this program cannot be put on core {core} with taskset: {error}");
}

/// Whose network this is, for people.
pub(crate) fn whose() -> String {
    env::var(PLACED).unwrap_or_default()
}

/// Environment variable that says that this process is where it should be, and whose network it
/// is in.
const PLACED: &str = "CHAT_COMPARE_NETWORK";
