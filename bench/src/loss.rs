//! Networks that lose packets: servers in one namespace, clients in another, a pair of virtual
//! cards between them.
//!
//! `netem` loses packets where the kernel has it; else the firewall drops them at random as they
//! come in, which for few and small packets is the same. Neither delays them, so what is seen is
//! the time a system takes to notice and repair a loss.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time;

use crate::load::Crowd;
use crate::network::Place;
use crate::workload::{Bench, LOW_RATE, Lossy as Seen};

/// Measures a system under each loss, in networks made for it.
///
/// # Errors
/// When this system or user cannot have such networks, or the measurement fails.
pub(crate) fn run(bench: &Bench<'_>) -> Result<(Vec<Seen>, &'static str)> {
    let networks = Networks::new()?;
    let way = networks.way()?;
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &networks.clients])
        .arg(std::env::current_exe()?)
        .arg("lossy")
        .args(["--way", way.name(), "--servers", &networks.servers])
        .args(["--clients", &networks.clients])
        .args(["--server-core", &bench.settings.server_core.to_string()])
        .args(["--system", &system_name(bench)])
        .args(bench.programs.arguments());
    if bench.settings.quick {
        command.arg("--quick");
    }
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the measurement ended with {}", output.status);
    }
    Ok((serde_json::from_slice(&output.stdout)?, way.name()))
}

fn system_name(bench: &Bench<'_>) -> String {
    use clap::ValueEnum;
    bench
        .system
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

/// How packets are lost, and between which namespaces.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Lossy {
    /// What loses packets.
    #[arg(long)]
    way: Way,
    /// Network namespace of the servers.
    #[arg(long)]
    servers: String,
    /// Network namespace of the clients, which this process is in.
    #[arg(long)]
    clients: String,
}

impl Lossy {
    /// Where the servers are.
    pub(crate) fn servers(&self, core: usize) -> Place {
        Place {
            core,
            namespace: Some(self.servers.clone()),
            address: SERVERS,
        }
    }

    /// Latency at a low load under each loss.
    ///
    /// # Errors
    /// When the cluster cannot be started or breaks.
    pub(crate) async fn measure(&self, bench: &Bench<'_>) -> Result<Vec<Seen>> {
        let ends = [self.servers.as_str(), self.clients.as_str()];
        let mut all = Vec::new();
        for loss_percent in LOSSES_PERCENT {
            let cluster = bench.system.start(bench.programs, bench.place).await?;
            let mut crowd = Crowd::connect(&cluster, MEMBERS, MEMBERS, 2).await?;
            time::sleep(SETTLE).await;
            self.way.lose(loss_percent, &ends)?;
            let seen = crowd.measure(&cluster, LOW_RATE, bench.low_span()).await;
            self.way.stop(&ends);
            let step = seen?;
            bench.note(&format!("{loss_percent} % of packets lost each way:"));
            bench.say(&step);
            all.push(Seen { loss_percent, step });
        }
        Ok(all)
    }
}

/// What loses packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Way {
    /// The kernel's network emulator, as packets go out.
    Netem,
    /// The firewall, as packets come in.
    Iptables,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Netem => "netem",
            Self::Iptables => "iptables",
        }
    }

    /// Loses so many packets from now on, at each end.
    fn lose(self, percent: f64, namespaces: &[&str]) -> Result<()> {
        if percent == 0.0 {
            return Ok(());
        }
        for namespace in namespaces {
            match self {
                Self::Netem => inside(
                    namespace,
                    &format!("tc qdisc add dev {CARD} root netem loss {percent}%"),
                )?,
                Self::Iptables => inside(
                    namespace,
                    &format!(
                        "iptables -A INPUT -i {CARD} -m statistic --mode random --probability {} \
                         -j DROP",
                        percent / 100.0
                    ),
                )?,
            }
        }
        Ok(())
    }

    /// Loses none any more. There may have been no loss.
    fn stop(self, namespaces: &[&str]) {
        for namespace in namespaces {
            let _ = match self {
                Self::Netem => inside(namespace, &format!("tc qdisc del dev {CARD} root")),
                Self::Iptables => inside(namespace, "iptables -F INPUT"),
            };
        }
    }
}

/// Two namespaces and what connects them. Removed when dropped.
#[derive(Debug)]
struct Networks {
    servers: String,
    clients: String,
}

impl Networks {
    fn new() -> Result<Self> {
        let id = std::process::id();
        let networks = Self {
            servers: format!("compare-servers-{id}"),
            clients: format!("compare-clients-{id}"),
        };
        let (servers, clients) = (&networks.servers, &networks.clients);
        for namespace in [servers, clients] {
            plain(&format!("ip netns add {namespace}"))
                .context("no network namespaces here (root is needed)")?;
            inside(namespace, "ip link set lo up")?;
        }
        plain(&format!(
            "ip -n {servers} link add {CARD} type veth peer name {CARD} netns {clients}"
        ))
        .context("no virtual network cards here")?;
        for (namespace, address) in [(servers, SERVERS), (clients, CLIENTS)] {
            inside(namespace, &format!("ip addr add {address}/24 dev {CARD}"))?;
            // One packet on the wire for each that is lost or not.
            inside(namespace, &format!("ip link set {CARD} gso_max_segs 1 up"))?;
        }
        Ok(networks)
    }

    /// The first way that works here.
    fn way(&self) -> Result<Way> {
        let all = [Way::Netem, Way::Iptables];
        let works = |way: &Way| {
            let works = way.lose(1.0, &[&self.servers]).is_ok();
            way.stop(&[&self.servers]);
            works
        };
        all.into_iter()
            .find(works)
            .context("nothing here loses packets: no netem, no statistic match of iptables")
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for namespace in [&self.servers, &self.clients] {
            let _ = plain(&format!("ip netns del {namespace}"));
        }
    }
}

fn inside(namespace: &str, line: &str) -> Result<()> {
    plain(&format!("ip netns exec {namespace} {line}"))
}

fn plain(line: &str) -> Result<()> {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .output()
        .with_context(|| line.to_owned())?;
    if !output.status.success() {
        bail!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Packets lost each way, in percent. Without loss first, to compare with.
const LOSSES_PERCENT: [f64; 3] = [0.0, 1.0, 5.0];

/// Members of the room: enough that five per cent of a hundred samples are many, few enough that
/// fan-out takes no time.
const MEMBERS: usize = 20;

/// The card at each end.
const CARD: &str = "compare";

const SERVERS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
const CLIENTS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

/// Joins have calmed down.
const SETTLE: Duration = Duration::from_millis(500);
