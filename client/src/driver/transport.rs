//! How connections use the network: windows, silence, packet sizes.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

/// The configuration of all connections of a client.
pub(crate) fn client_config(tls: QuicClientConfig, keep_alive: Duration) -> ClientConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(MTU_BYTES_MAX);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_uni_streams(LANES_MAX.into())
        .max_concurrent_bidi_streams(0u8.into())
        .stream_receive_window(LANE_WINDOW_BYTES.into())
        .receive_window(RECEIVE_WINDOW_BYTES.into())
        .send_window(SEND_WINDOW_BYTES)
        .keep_alive_interval(Some(keep_alive.max(KEEP_ALIVE_MIN)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES)
        .mtu_discovery_config(Some(discovery));
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    config
}

/// Lanes a node may open: twice the rooms a session may have, since a lane that ends and the next
/// of its room overlap.
const LANES_MAX: u32 = 256;

/// What a node may send on one lane ahead of the application, in bytes.
const LANE_WINDOW_BYTES: u32 = 128 * 1024;

/// What a node may send on all streams ahead of the application, in bytes.
const RECEIVE_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What may be sent without the node's acknowledgement, in bytes: all messages in flight at the
/// usual sizes, a fraction of what a stalled path would pile up otherwise.
const SEND_WINDOW_BYTES: u64 = 256 * 1024;

/// Silence after which a connection is given up, in milliseconds; nodes have a shorter one.
const IDLE_TIMEOUT_MS: u32 = 30_000;

/// Datagrams are for what may be lost: few are kept, in bytes.
const DATAGRAM_BUFFER_BYTES: usize = 16 * 1024;

/// Largest packet tried, in bytes: Ethernet with some tunnels around it.
const MTU_BYTES_MAX: u16 = 1452;

/// Shortest silence before a keep-alive: below it a client would do little else.
const KEEP_ALIVE_MIN: Duration = Duration::from_millis(100);
