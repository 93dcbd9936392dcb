//! The systems that are compared: how each is started, reached and spoken to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::meter::Reader;
use crate::network::Place;
use crate::payload::PAYLOAD_BYTES;
use crate::process::Process;

mod chat;
mod redis;

/// One of the systems.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// This project: two nodes and Redis; QUIC, encrypted, logged.
    Chat,
}

/// Where the programs of the systems are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Programs {
    /// The chat-node program.
    #[arg(long, value_name = "FILE", default_value = "chat-node")]
    pub(crate) node: PathBuf,
    /// More arguments for the chat nodes, split at spaces.
    #[arg(
        long,
        value_name = "ARGS",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub(crate) node_args: String,
    /// The redis-server or valkey-server program.
    #[arg(long, value_name = "FILE", default_value = "redis-server")]
    pub(crate) redis_server: PathBuf,
}

/// A running cluster of two nodes.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Its processes, whose cost is counted.
    pub(crate) processes: Vec<Process>,
    /// Where the two nodes are reached.
    pub(crate) addresses: [SocketAddr; 2],
    dialer: Dialer,
}

/// What connections of a system share on the side of the load.
#[derive(Debug)]
enum Dialer {
    Chat(chat::Dialer),
}

/// A connection that can publish. It reads as well, as every other.
#[derive(Debug)]
pub(crate) enum Publisher {
    Chat(chat::Publisher),
}

impl System {
    /// Starts a cluster and waits until it is ready.
    ///
    /// # Errors
    /// When a program is missing or does not start.
    pub(crate) async fn start(self, programs: &Programs, place: &Place) -> Result<Cluster> {
        match self {
            Self::Chat => chat::start(programs, place),
        }
    }

    /// Versions of what is compared, each with its name.
    ///
    /// # Errors
    /// When a program is missing.
    pub(crate) fn versions(self, programs: &Programs) -> Result<Vec<(String, String)>> {
        match self {
            Self::Chat => chat::versions(programs),
        }
    }

    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Chat => "chat",
        }
    }
}

impl Cluster {
    /// Connects a member of a room, who can publish.
    ///
    /// # Errors
    /// When the node refuses.
    pub(crate) async fn connect(
        &self,
        room: &str,
        number: usize,
        reader: Reader,
    ) -> Result<Publisher> {
        let address = self.addresses[reader.node()];
        match &self.dialer {
            Dialer::Chat(dialer) => dialer
                .connect(address, room, number, reader)
                .await
                .map(Publisher::Chat),
        }
    }

    /// Processor time of each process so far.
    ///
    /// # Errors
    /// When one is gone.
    pub(crate) fn cpu(&self) -> Result<Vec<(&'static str, Duration)>> {
        self.processes
            .iter()
            .map(|process| Ok((process.name(), process.cpu()?)))
            .collect()
    }

    /// Memory of all processes, in bytes.
    ///
    /// # Errors
    /// When one is gone.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.processes.iter().map(Process::resident_bytes).sum()
    }
}

impl Publisher {
    /// Adds a message to what goes out with the next flush.
    pub(crate) fn put(&mut self, payload: &[u8; PAYLOAD_BYTES]) {
        match self {
            Self::Chat(publisher) => publisher.put(payload),
        }
    }

    /// Sends what was put.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        match self {
            Self::Chat(publisher) => publisher.flush().await,
        }
    }
}
