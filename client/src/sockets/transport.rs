//! How connections use the network: windows, silence, packet sizes.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

/// The configuration of all connections of a client.
pub(super) fn client_config(
    tls: QuicClientConfig,
    keep_alive: Duration,
    lane_window_bytes: u32,
) -> ClientConfig {
    let keep_alive = keep_alive.max(KEEP_ALIVE_MIN);
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(MTU_BYTES_MAX);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_uni_streams(LANES_FIRST.into())
        .max_concurrent_bidi_streams(0u8.into())
        .stream_receive_window(lane_window_bytes.into())
        .receive_window(RECEIVE_WINDOW_BYTES.into())
        .send_window(SEND_WINDOW_BYTES)
        .keep_alive_interval(Some(keep_alive))
        .max_idle_timeout(Some(IdleTimeout::from(idle_timeout(keep_alive))))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES)
        .mtu_discovery_config(Some(discovery));
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    config
}

/// In milliseconds, as QUIC has it.
fn idle_timeout(keep_alive: Duration) -> VarInt {
    let idle = keep_alive.saturating_mul(IDLE_KEEP_ALIVES).as_millis();
    VarInt::from_u32(u32::try_from(idle).unwrap_or(u32::MAX))
}

/// Lanes a node may open at first, pages among them: a slot is kept for each, in a hundred bytes.
pub(crate) const LANES_FIRST: u32 = 8;

/// Lanes a node may open in the end: twice the rooms a session may have, since a lane that ends and
/// the next of its room overlap.
pub(crate) const LANES_MAX: u32 = 256;

/// What a node may send on all streams ahead of the application, in bytes.
const RECEIVE_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What may be sent without the node's acknowledgement, in bytes: all messages in flight at the
/// usual sizes, a fraction of what a stalled path would pile up otherwise.
const SEND_WINDOW_BYTES: u64 = 256 * 1024;

/// How long a node can take a connection for alive that has fallen silent. The time runs anew when
/// the node sends something itself, and is longer on slow paths.
pub(crate) fn forgotten_after(keep_alive: Duration) -> Duration {
    let idle = keep_alive
        .max(KEEP_ALIVE_MIN)
        .saturating_mul(IDLE_KEEP_ALIVES);
    idle.saturating_mul(2).saturating_add(SLOW_PATH)
}

/// Silence after which a connection is given up, in keep-alives: QUIC repeats each until it is
/// answered, so that three without an answer are no bad luck. With the default, a node that was
/// killed is noticed before its lease ends, and nobody is told that its people left.
const IDLE_KEEP_ALIVES: u32 = 3;

/// Three round trips of the slowest path that is of use, with their timers.
const SLOW_PATH: Duration = Duration::from_secs(5);

/// Datagrams are for what may be lost: few are kept, in bytes.
const DATAGRAM_BUFFER_BYTES: usize = 16 * 1024;

/// Largest packet tried, in bytes: Ethernet with some tunnels around it.
const MTU_BYTES_MAX: u16 = 1452;

/// Shortest silence before a keep-alive: below it a client would do little else.
const KEEP_ALIVE_MIN: Duration = Duration::from_millis(100);
