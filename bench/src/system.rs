//! The systems that are compared: how each is started, reached and spoken to.

use std::ffi::OsString;
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
pub(crate) mod grpc;
mod nats;
mod redis;
mod socket_io;

/// One of the systems.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// This project: two nodes and Redis; QUIC, encrypted, logged.
    Chat,
    /// Two NATS servers: plain TCP, nothing kept.
    Nats,
    /// Socket.IO with its Redis adapter: two node.js processes, plain WebSocket, nothing kept.
    SocketIo,
    /// The original's design: bidirectional gRPC streams and Redis pub/sub; plain, nothing kept.
    Grpc,
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
    /// The nats-server program.
    #[arg(long, value_name = "FILE", default_value = "nats-server")]
    pub(crate) nats_server: PathBuf,
    /// The node.js program.
    #[arg(long, value_name = "FILE", default_value = "node")]
    pub(crate) node_js: PathBuf,
    /// Folder with `bench/socket-io` after `npm ci`.
    #[arg(long, value_name = "DIR", default_value = "target/compare/socket-io")]
    pub(crate) socket_io: PathBuf,
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
    Chat(Box<chat::Dialer>),
    Nats,
    SocketIo,
    Grpc,
}

/// A connection that can publish. It reads as well, as every other.
#[derive(Debug)]
pub(crate) enum Publisher {
    Chat(chat::Publisher),
    Nats(nats::Publisher),
    SocketIo(socket_io::Publisher),
    Grpc(grpc::Publisher),
}

impl Programs {
    /// As arguments of this program.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec![OsString::from(format!("--node-args={}", self.node_args))];
        for (name, path) in [
            ("--node", &self.node),
            ("--redis-server", &self.redis_server),
            ("--nats-server", &self.nats_server),
            ("--node-js", &self.node_js),
            ("--socket-io", &self.socket_io),
        ] {
            arguments.push(name.into());
            arguments.push(path.into());
        }
        arguments
    }
}

impl System {
    /// Starts a cluster and waits until it is ready.
    ///
    /// # Errors
    /// When a program is missing or does not start.
    pub(crate) async fn start(self, programs: &Programs, place: &Place) -> Result<Cluster> {
        match self {
            Self::Chat => chat::start(programs, place),
            Self::Nats => nats::start(programs, place).await,
            Self::SocketIo => socket_io::start(programs, place),
            Self::Grpc => grpc::start(programs, place),
        }
    }

    /// Versions of what is compared, each with its name.
    ///
    /// # Errors
    /// When a program is missing.
    pub(crate) fn versions(self, programs: &Programs) -> Result<Vec<(String, String)>> {
        match self {
            Self::Chat => chat::versions(programs),
            Self::Nats => nats::versions(programs),
            Self::SocketIo => socket_io::versions(programs),
            Self::Grpc => grpc::versions(programs),
        }
    }

    /// Its name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Nats => "NATS",
            Self::SocketIo => "Socket.IO",
            Self::Grpc => "gRPC + Redis",
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
            Dialer::Nats => nats::connect(address, room, reader)
                .await
                .map(Publisher::Nats),
            Dialer::SocketIo => socket_io::connect(address, room, reader)
                .await
                .map(Publisher::SocketIo),
            Dialer::Grpc => grpc::connect(address, room, reader)
                .await
                .map(Publisher::Grpc),
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
            Self::Nats(publisher) => publisher.put(payload),
            Self::SocketIo(publisher) => publisher.put(payload),
            Self::Grpc(publisher) => publisher.put(payload),
        }
    }

    /// Sends what was put.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        match self {
            Self::Chat(publisher) => publisher.flush().await,
            Self::Nats(publisher) => publisher.flush().await,
            Self::SocketIo(publisher) => publisher.flush().await,
            Self::Grpc(publisher) => publisher.flush().await,
        }
    }
}
