//! What there is to know of the node that serves the session, and of the way to it.

use std::net::SocketAddr;
use std::time::Duration;

use chat_client::{Certificate, ConnectionStats, Durability, Status, Trust};
use chat_protocol::{NodeName, SessionId, UserName};

/// The node that serves the session now, or did last.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// As asked.
    pub reference: Option<String>,
    /// The node.
    pub node: NodeName,
    /// Its address, as given.
    pub target: String,
    /// The session.
    pub session: SessionId,
    /// The session's name.
    pub name: UserName,
    /// Minor version of the protocol that both speak.
    pub minor: u16,
    /// The way there; none while there is no connection.
    pub way: Option<Way>,
    /// The node's certificate, as it was verified; none while there is no connection.
    pub certificate: Option<Certificate>,
    /// What the certificate was trusted by.
    pub trust: Trust,
    /// What the node promises of acked messages, if it said so.
    pub status: Option<Status>,
}

/// The way to a node, as measured since the connection was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// The node's address.
    pub address: SocketAddr,
    /// How old the connection is.
    pub age: Duration,
    /// Round trip time, smoothed.
    pub rtt: Duration,
    /// The shortest one.
    pub rtt_min: Duration,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets lost, of those sent.
    pub packets_lost: u64,
    /// Largest packet that fits, in bytes.
    pub mtu_bytes: u16,
    /// Bytes that may be under way.
    pub congestion_window_bytes: u64,
}

impl Way {
    /// Packets lost of a hundred sent; 0 when none was.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a percentage to one digit")]
    pub fn loss_percent(&self) -> f64 {
        if self.packets_sent == 0 {
            return 0.0;
        }
        self.packets_lost as f64 * 100.0 / self.packets_sent as f64
    }
}

impl From<ConnectionStats> for Way {
    fn from(stats: ConnectionStats) -> Self {
        Self {
            address: stats.remote_address,
            age: stats.age,
            rtt: stats.rtt,
            rtt_min: stats.rtt_min,
            packets_sent: stats.packets_sent,
            packets_lost: stats.packets_lost,
            mtu_bytes: stats.mtu_bytes,
            congestion_window_bytes: stats.congestion_window_bytes,
        }
    }
}

/// A stable word for what an acked message survives; `durability_N` for what a later version added.
#[must_use]
pub fn durability_word(durability: Durability) -> String {
    let word = match durability {
        Durability::UNKNOWN => "unknown",
        Durability::NODE => "node",
        Durability::MEMORY => "memory",
        Durability::SNAPSHOT => "snapshot",
        Durability::SYSTEM => "system",
        Durability::SECOND => "second",
        Durability::CRASH => "crash",
        Durability(other) => return format!("durability_{other}"),
    };
    word.to_owned()
}

/// What an acked message survives, for people.
#[must_use]
pub const fn durability_text(durability: Durability) -> &'static str {
    match durability {
        Durability::NODE => "acked messages are lost when the node stops",
        Durability::MEMORY => "acked messages are lost when Redis restarts",
        Durability::SNAPSHOT => "a crash of Redis loses acked messages since its last snapshot",
        Durability::SYSTEM => "acked messages survive a crash of Redis, not always of its machine",
        Durability::SECOND => "a crash of Redis loses about a second of acked messages",
        Durability::CRASH => "acked messages survive a crash of Redis",
        _ => "it is not known what acked messages survive",
    }
}

/// A stable word for what a certificate was trusted by.
#[must_use]
pub const fn trust_word(trust: &Trust) -> &'static str {
    match trust {
        Trust::Development { .. } => "development_ca",
        Trust::Ca(_) => "ca_file",
        Trust::Pin(_) => "pin",
        Trust::System => "system",
        Trust::Known(_) => "known_node",
    }
}

/// This program's name and version.
pub const CLIENT: &str = concat!("chat-cli ", env!("CARGO_PKG_VERSION"));
