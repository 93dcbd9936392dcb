//! The door: the UDP socket, QUIC's settings, and who is let through to a handshake.
//!
//! Every setting that bounds what a stranger can make the node hold is here, with its reason. The
//! accept loop never waits for a client.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chat_protocol::CloseCode;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    AckFrequencyConfig, Connecting, Endpoint, EndpointConfig, Incoming, MtuDiscoveryConfig,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::{task, time};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, field, info, info_span, warn};

use crate::connection;
use crate::hub::Hub;
use crate::outlet::ConnectionId;

/// Takes the address. Packets wait in the socket until the endpoint is there.
///
/// # Errors
/// When the address is taken or not of this machine.
pub fn bind(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if listen.is_ipv6() && listen.ip().is_unspecified() {
        // One socket for both families, where the system has it otherwise by default.
        socket.set_only_v6(false)?;
    }
    socket.bind(&listen.into())?;
    // A system that allows less gives what it allows.
    let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BYTES);
    let (receive, send) = (socket.recv_buffer_size()?, socket.send_buffer_size()?);
    if receive < SOCKET_BYTES || send < SOCKET_BYTES {
        info!(
            receive,
            send,
            wanted = SOCKET_BYTES,
            "small UDP buffers; for many clients raise net.core.rmem_max and net.core.wmem_max"
        );
    }
    Ok(socket.into())
}

/// An endpoint on a bound socket. Call it when the node is ready: it answers from here on.
///
/// `datagram_bytes_max` is the largest packet that is tried with a client, in bytes of UDP payload:
/// from 1,200 to [`DATAGRAM_BYTES_MAX`](chat_protocol::limits::DATAGRAM_BYTES_MAX).
///
/// # Errors
/// When the socket cannot be used.
pub fn open(
    socket: UdpSocket,
    crypto: QuicServerConfig,
    idle_timeout: Duration,
    datagram_bytes_max: u16,
) -> io::Result<Endpoint> {
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(transport(idle_timeout, datagram_bytes_max)?))
        .migration(true)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(16 << 10)
        .incoming_buffer_size_total(8 << 20);
    Endpoint::new(
        EndpointConfig::default(),
        Some(config),
        socket,
        Arc::new(TokioRuntime),
    )
}

/// How connections use the network. Each setting says why; what it was worth when it was measured is
/// in `docs/PERFORMANCE.md`.
fn transport(idle_timeout: Duration, datagram_bytes_max: u16) -> io::Result<TransportConfig> {
    let mut acks = AckFrequencyConfig::default();
    // Clients ack every tenth packet instead of every second: fewer packets to take in.
    acks.ack_eliciting_threshold(VarInt::from_u32(10));
    let mut mtu = MtuDiscoveryConfig::default();
    // A connection starts at 1,200 and tries larger ones, as far as the client takes them.
    mtu.upper_bound(datagram_bytes_max);
    let mut transport = TransportConfig::default();
    transport
        // A slot is kept for each stream a client may open; it needs one.
        .max_concurrent_bidi_streams(VarInt::from_u32(4))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(64 << 10))
        // Unlimited by default.
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        // 10 MB by default, which would hide a slow reader until it cost that much.
        .send_window(SEND_WINDOW_BYTES.into())
        // Many lanes with little in each: packets fill better when a lane is sent out whole.
        .send_fairness(false)
        // A few typing datagrams, of which the oldest go first.
        .datagram_receive_buffer_size(Some(DATAGRAMS_BYTES))
        .datagram_send_buffer_size(DATAGRAMS_BYTES)
        .max_idle_timeout(Some(idle_timeout.try_into().map_err(io::Error::other)?))
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(acks));
    Ok(transport)
}

/// Lets clients in.
#[derive(Debug)]
pub struct Door {
    hub: Arc<Hub>,
    tasks: TaskTracker,
    free: Arc<Semaphore>,
    handshakes: AtomicUsize,
}

impl Door {
    /// A door for so many connections, whose tasks are on `tasks`.
    #[must_use]
    pub fn new(hub: Arc<Hub>, tasks: TaskTracker, connections_max: usize) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(connections_max));
        Arc::new(Self {
            hub,
            tasks,
            free,
            handshakes: AtomicUsize::new(0),
        })
    }

    /// Lets clients in until the endpoint is closed.
    pub async fn run(self: Arc<Self>, endpoint: Endpoint) {
        let mut next_id = 0;
        while let Some(incoming) = endpoint.accept().await {
            next_id += 1;
            self.on_incoming(incoming, ConnectionId(next_id));
            // Everybody else has a turn before the next one: a storm of clients then costs those who
            // are here the time of one handshake, and not of all that wait.
            task::yield_now().await;
        }
    }

    fn on_incoming(self: &Arc<Self>, incoming: Incoming, id: ConnectionId) {
        let handshakes = self.handshakes.load(Ordering::Relaxed);
        if handshakes >= HANDSHAKES_MAX {
            // Not even an answer: there are more than can be worked on.
            incoming.ignore();
            return;
        }
        if handshakes >= HANDSHAKES_UNPROVEN_MAX
            && !incoming.remote_address_validated()
            && incoming.may_retry()
        {
            // Under pressure an address must first show that it can be answered.
            if let Err(error) = incoming.retry() {
                debug!(%error, "no retry");
            }
            return;
        }
        match Arc::clone(&self.free).try_acquire_owned() {
            Ok(place) => {
                let peer = incoming.remote_address();
                // The most expensive step of a handshake.
                let Ok(connecting) = incoming.accept() else {
                    debug!(%peer, "the handshake failed");
                    return;
                };
                self.handshakes.fetch_add(1, Ordering::Relaxed);
                let span = info_span!("connection", id = id.0, %peer, session = field::Empty);
                let door = Arc::clone(self);
                self.tasks
                    .spawn(door.serve(connecting, id, place).instrument(span));
            }
            Err(_) => {
                warn!(peer = %incoming.remote_address(), "as many connections as may be");
                incoming.refuse();
            }
        }
    }

    async fn serve(
        self: Arc<Self>,
        connecting: Connecting,
        id: ConnectionId,
        place: OwnedSemaphorePermit,
    ) {
        let connection = time::timeout(HANDSHAKE_MAX, connecting).await;
        self.handshakes.fetch_sub(1, Ordering::Relaxed);
        match connection {
            Ok(Ok(connection)) => {
                let (hub, tasks) = (Arc::clone(&self.hub), self.tasks.clone());
                connection::serve(connection, id, hub, tasks).await;
            }
            Ok(Err(error)) => debug!(%error, "the handshake failed"),
            Err(_) => debug!("the handshake took too long"),
        }
        drop(place);
    }
}

/// Closes every connection that is left, and waits a moment until the clients were told.
pub async fn close(endpoint: &Endpoint, code: CloseCode) {
    endpoint.close(VarInt::from_u32(code.to_wire()), code.text().as_bytes());
    // A client that is gone does not answer.
    let _ = time::timeout(CLOSE_MAX, endpoint.wait_idle()).await;
}

/// Largest packet that every network with Ethernet's 1,500 bytes takes, with some tunnels around it.
pub const DATAGRAM_BYTES_ETHERNET: u16 = 1_452;

/// What a client may send ahead of the node's reading, in bytes: a burst of 60 of the largest
/// messages.
pub(crate) const RECEIVE_WINDOW_BYTES: u32 = 256 << 10;

/// What the node keeps of what a client has not acknowledged, in bytes: a fifth of a second at 10
/// Mbit/s. Beyond it a lane waits at its cursor, which costs nothing.
pub(crate) const SEND_WINDOW_BYTES: u32 = 256 << 10;

/// Datagrams that wait to be read or sent, each way, in bytes: some dozens, a second of a busy client.
pub(crate) const DATAGRAMS_BYTES: usize = 4 << 10;

/// Buffers of the UDP socket, in bytes: about a tenth of a second of a busy node.
const SOCKET_BYTES: usize = 4 << 20;

/// Connection attempts that wait to be looked at.
const INCOMING_MAX: usize = 1024;

/// Handshakes at a time; each costs about a third of a millisecond of a core.
const HANDSHAKES_MAX: usize = 2_048;

/// Handshakes at a time before an address must prove itself.
const HANDSHAKES_UNPROVEN_MAX: usize = 512;

/// Time from the first packet to the end of the handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// Time clients have to hear of the end.
const CLOSE_MAX: Duration = Duration::from_secs(1);
