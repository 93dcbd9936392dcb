//! What the network did for a client: its connection now, and the sum over all it had.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use quinn::Connection;
use tokio::time::Instant;

use crate::certificate::Certificate;

/// Measurements of a connection. Counts are from its start.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// The node's address.
    pub remote_address: SocketAddr,
    /// Since when the node serves the session on this connection.
    pub age: Duration,
    /// Round trip time, smoothed.
    pub rtt: Duration,
    /// The shortest round trip time so far.
    pub rtt_min: Duration,
    /// Bytes that may be on their way to the node.
    pub congestion_window_bytes: u64,
    /// Largest packet that fits the path, in bytes.
    pub mtu_bytes: u16,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets lost, of those sent.
    pub packets_lost: u64,
    /// How often loss made the client slower.
    pub congestion_events: u64,
    /// UDP datagrams sent.
    pub datagrams_sent: u64,
    /// UDP datagrams received.
    pub datagrams_received: u64,
    /// Bytes sent in UDP datagrams.
    pub bytes_sent: u64,
    /// Bytes received in UDP datagrams.
    pub bytes_received: u64,
}

impl ConnectionStats {
    fn of(connection: &Connection, since: Instant) -> Self {
        let stats = connection.stats();
        Self {
            remote_address: connection.remote_address(),
            age: since.elapsed(),
            rtt: stats.path.rtt,
            rtt_min: stats.path.min_rtt,
            congestion_window_bytes: stats.path.cwnd,
            mtu_bytes: stats.path.current_mtu,
            packets_sent: stats.path.sent_packets,
            packets_lost: stats.path.lost_packets,
            congestion_events: stats.path.congestion_events,
            datagrams_sent: stats.udp_tx.datagrams,
            datagrams_received: stats.udp_rx.datagrams,
            bytes_sent: stats.udp_tx.bytes,
            bytes_received: stats.udp_rx.bytes,
        }
    }
}

/// Sums over connections: the one there is and all before. Not in it: handshakes that led to no
/// session, and what a connection exchanged after the client was done with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections whose node welcomed the session.
    pub connections: u64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// QUIC packets lost, of those sent.
    pub packets_lost: u64,
    /// How often loss made the client slower.
    pub congestion_events: u64,
    /// UDP datagrams sent.
    pub datagrams_sent: u64,
    /// UDP datagrams received.
    pub datagrams_received: u64,
    /// Bytes sent in UDP datagrams.
    pub bytes_sent: u64,
    /// Bytes received in UDP datagrams.
    pub bytes_received: u64,
}

impl From<ConnectionStats> for Traffic {
    fn from(stats: ConnectionStats) -> Self {
        Self {
            connections: 1,
            packets_sent: stats.packets_sent,
            packets_lost: stats.packets_lost,
            congestion_events: stats.congestion_events,
            datagrams_sent: stats.datagrams_sent,
            datagrams_received: stats.datagrams_received,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.packets_sent += other.packets_sent;
        self.packets_lost += other.packets_lost;
        self.congestion_events += other.congestion_events;
        self.datagrams_sent += other.datagrams_sent;
        self.datagrams_received += other.datagrams_received;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }
}

/// The connection, while there is one, and what those before it carried.
#[derive(Debug, Default)]
pub(crate) struct Line {
    connection: Option<(Connection, Instant)>,
    former: Traffic,
}

impl Line {
    /// Changes to another connection, or none. What the one before carried is kept.
    pub(crate) fn change(&mut self, connection: Option<Connection>) {
        if let Some(stats) = self.stats() {
            self.former += stats.into();
        }
        self.connection = connection.map(|connection| (connection, Instant::now()));
    }

    pub(crate) fn stats(&self) -> Option<ConnectionStats> {
        let (connection, since) = self.connection.as_ref()?;
        Some(ConnectionStats::of(connection, *since))
    }

    pub(crate) fn certificate(&self) -> Option<Certificate> {
        let (connection, _) = self.connection.as_ref()?;
        Certificate::of(connection)
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let mut traffic = self.former;
        if let Some(stats) = self.stats() {
            traffic += stats.into();
        }
        traffic
    }
}
