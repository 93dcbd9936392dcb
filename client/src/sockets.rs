//! The UDP sockets that connections use: a client's own one, or a few that many clients share.
//!
//! Owns endpoints, how evenly clients sit on them, and the settings that clients with equal wishes
//! share. Never closes an endpoint: a client ends its connection, and an endpoint ends with the last
//! who holds it. Called by `driver::dial` only.

mod tasks;
mod transport;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_protocol::limits::DATAGRAM_BYTES_MAX;
use quinn::{ClientConfig, Endpoint, EndpointConfig};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::builder::Settings;
use crate::lock::lock;
use crate::sockets::transport::client_config;
use crate::trust::{Tickets, Trust, TrustError};

pub(crate) use crate::sockets::tasks::{Dialing, dial};
pub(crate) use crate::sockets::transport::{LANES_FIRST, LANES_MAX, forgotten_after};

/// A fixed number of UDP sockets for many clients of one process: see
/// [`Builder::sockets`](crate::Builder::sockets). Cheap to clone; every clone is the same sockets.
///
/// A client without them opens a socket of its own, which costs a file and a task each. Clients that
/// share are spread evenly: each new one gets the socket with the fewest, and keeps it for life.
/// A socket is opened when its first client connects, one more when a target needs the other IP
/// version, and closed when neither a client nor a clone of this is left.
///
/// They also share the TLS and QUIC settings of clients with the same trust, keep-alive and lane
/// window, at most [`SETTINGS_LEN_MAX`] different ones: a CA file is read once, and a change of it
/// is not noticed. TLS sessions are not resumed: each client stands for a person of its own, whose
/// node does the whole handshake.
///
/// Use it in one tokio runtime: sockets are served by the one they were opened in.
#[derive(Clone, Debug)]
pub struct Sockets {
    pool: Arc<Pool>,
}

impl Sockets {
    /// Up to `count` sockets of each IP version; from 1 to [`SOCKETS_LEN_MAX`], what is outside
    /// counts as the nearest. About one for each core, and no fewer than one for 5,000 clients,
    /// keep one socket's task from being what everybody waits for.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            pool: Arc::new(Pool::new(
                count.clamp(1, SOCKETS_LEN_MAX),
                Buffers::OfManyClients,
            )),
        }
    }

    /// How many sockets of each IP version there may be.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pool.slots.len()
    }

    /// The addresses of the sockets that are open, in no particular order.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        let endpoints = self.pool.slots.iter().flat_map(Slot::endpoints);
        endpoints
            .filter_map(|endpoint| endpoint.local_addr().ok())
            .collect()
    }

    /// What the system gave of the buffers that were asked for; `None` before a socket is open. A
    /// smaller receive buffer than asked for means lost packets in bursts: on Linux, raise
    /// `net.core.rmem_max` and `net.core.wmem_max`.
    #[must_use]
    pub fn buffers(&self) -> Option<SocketBuffers> {
        *lock(&self.pool.granted)
    }

    /// Waits until the nodes know of all connections that were closed, at most `timeout`. A client
    /// that is closed does not wait for that itself, as one with its own socket does. While clients
    /// are connected it waits for them too.
    ///
    /// Cancel safe.
    pub async fn wait_idle(&self, timeout: Duration) {
        self.pool.wait_idle(timeout).await;
    }

    pub(crate) fn seat(&self) -> Seat {
        Seat::of(Arc::clone(&self.pool), Sharing::Shared)
    }
}

/// Sizes of UDP buffers, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SocketBuffers {
    /// What was asked for, for each direction of each socket.
    pub wanted_bytes: usize,
    /// What the system gave for receiving: the smallest of all sockets.
    pub receive_bytes: usize,
    /// What the system gave for sending: the smallest of all sockets.
    pub send_bytes: usize,
}

/// A client's place on one of the sockets, for its life.
#[derive(Debug)]
pub(crate) struct Seat {
    pool: Arc<Pool>,
    slot: usize,
    sharing: Sharing,
}

/// Who else uses a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sharing {
    Own,
    Shared,
}

impl Seat {
    /// A place on a socket of one's own.
    pub(crate) fn own() -> Self {
        Self::of(Arc::new(Pool::new(1, Buffers::OfTheSystem)), Sharing::Own)
    }

    fn of(pool: Arc<Pool>, sharing: Sharing) -> Self {
        let slot = {
            let mut clients = lock(&pool.clients);
            let fewest = clients.iter().enumerate().min_by_key(|(_, len)| **len);
            let slot = fewest.map_or(0, |(slot, _)| slot);
            if let Some(len) = clients.get_mut(slot) {
                *len += 1;
            }
            slot
        };
        Self {
            pool,
            slot,
            sharing,
        }
    }

    /// The settings of connections that believe `trust`, those of others if they are equal.
    pub(crate) fn config(
        &self,
        settings: &Settings,
        trust: &Trust,
    ) -> Result<ClientConfig, TrustError> {
        let tickets = match self.sharing {
            Sharing::Own => Tickets::Kept,
            Sharing::Shared => Tickets::Refused,
        };
        self.pool.config(settings, trust, tickets)
    }

    /// An endpoint for an address of this kind.
    pub(crate) fn endpoint(&self, address: IpAddr) -> io::Result<Endpoint> {
        let slot = self.pool.slots.get(self.slot);
        let slot = slot.ok_or_else(|| io::Error::other("no such socket"))?;
        let (place, unspecified): (_, IpAddr) = match address {
            IpAddr::V4(_) => (&slot.v4, Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => (&slot.v6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let mut place = lock(place);
        if let Some(endpoint) = &*place {
            return Ok(endpoint.clone());
        }
        let opened = self.pool.open(unspecified)?;
        Ok(place.insert(opened).clone())
    }

    /// Waits until the node knows that the connection is closed, at most `timeout`. Not on a shared
    /// socket, which lives on and sees to it.
    pub(crate) async fn wait_idle(&self, timeout: Duration) {
        if self.sharing == Sharing::Own {
            self.pool.wait_idle(timeout).await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(len) = lock(&self.pool.clients).get_mut(self.slot) {
            *len = len.saturating_sub(1);
        }
    }
}

/// The sockets and what goes with them.
#[derive(Debug)]
struct Pool {
    slots: Box<[Slot]>,
    /// Clients on each slot.
    clients: Mutex<Box<[usize]>>,
    /// Settings that were used, latest last.
    configs: Mutex<Vec<(Wishes, ClientConfig)>>,
    buffers: Buffers,
    granted: Mutex<Option<SocketBuffers>>,
}

/// One socket for each IP version, opened when first needed: not every machine has both.
#[derive(Debug, Default)]
struct Slot {
    v4: Mutex<Option<Endpoint>>,
    v6: Mutex<Option<Endpoint>>,
}

/// How large UDP buffers shall be.
#[derive(Clone, Copy, Debug)]
enum Buffers {
    /// As the system has it: one client's traffic fits.
    OfTheSystem,
    OfManyClients,
}

/// What settings depend on.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Wishes {
    trust: Trust,
    keep_alive: Duration,
    lane_window_bytes: u32,
}

impl Pool {
    fn new(count: usize, buffers: Buffers) -> Self {
        Self {
            slots: (0..count).map(|_| Slot::default()).collect(),
            clients: Mutex::new(vec![0; count].into()),
            configs: Mutex::default(),
            buffers,
            granted: Mutex::default(),
        }
    }

    fn config(
        &self,
        settings: &Settings,
        trust: &Trust,
        tickets: Tickets,
    ) -> Result<ClientConfig, TrustError> {
        let wishes = Wishes {
            trust: trust.clone(),
            keep_alive: settings.keep_alive,
            lane_window_bytes: settings.lane_window_bytes,
        };
        let mut configs = lock(&self.configs);
        if let Some((_, config)) = configs.iter().find(|(known, _)| *known == wishes) {
            return Ok(config.clone());
        }
        let config = client_config(
            wishes.trust.tls_config(tickets)?,
            wishes.keep_alive,
            wishes.lane_window_bytes,
        );
        if configs.len() >= SETTINGS_LEN_MAX {
            configs.remove(0);
        }
        configs.push((wishes, config.clone()));
        Ok(config)
    }

    fn open(&self, address: IpAddr) -> io::Result<Endpoint> {
        let address = SocketAddr::new(address, 0);
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&address.into())?;
        if matches!(self.buffers, Buffers::OfManyClients) {
            // A system that allows less gives what it allows.
            let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
            let _ = socket.set_send_buffer_size(SOCKET_BYTES);
            self.note_buffers(
                usable(socket.recv_buffer_size()?),
                usable(socket.send_buffer_size()?),
            );
        }
        let mut config = EndpointConfig::default();
        // The buffer for many of that size is address space until they come.
        config
            .max_udp_payload_size(DATAGRAM_BYTES_MAX)
            .map_err(io::Error::other)?;
        Endpoint::new(config, None, socket.into(), tasks::runtime())
    }

    fn note_buffers(&self, receive_bytes: usize, send_bytes: usize) {
        let mut granted = lock(&self.granted);
        let before = granted.get_or_insert(SocketBuffers {
            wanted_bytes: SOCKET_BYTES,
            receive_bytes: usize::MAX,
            send_bytes: usize::MAX,
        });
        let is_news = receive_bytes < before.receive_bytes || send_bytes < before.send_bytes;
        before.receive_bytes = before.receive_bytes.min(receive_bytes);
        before.send_bytes = before.send_bytes.min(send_bytes);
        if is_news && receive_bytes.min(send_bytes) < SOCKET_BYTES {
            info!(
                receive_bytes,
                send_bytes,
                wanted_bytes = SOCKET_BYTES,
                "small UDP buffers; for many clients raise net.core.rmem_max and net.core.wmem_max"
            );
        }
    }

    async fn wait_idle(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        for endpoint in self.slots.iter().flat_map(Slot::endpoints) {
            // Beyond that the node learns it from its idle timeout.
            let _ = timeout_at(deadline, endpoint.wait_idle()).await;
        }
    }
}

impl Slot {
    /// Those that are open.
    fn endpoints(&self) -> impl Iterator<Item = Endpoint> + use<> {
        let (v4, v6) = (lock(&self.v4).clone(), lock(&self.v6).clone());
        [v4, v6].into_iter().flatten()
    }
}

/// What of a buffer is for packets: Linux doubles what it is asked for, and takes half of that for
/// its own books.
const fn usable(told: usize) -> usize {
    if cfg!(target_os = "linux") {
        told / 2
    } else {
        told
    }
}

/// Most sockets of each IP version that clients share.
pub const SOCKETS_LEN_MAX: usize = 64;

/// Different settings that shared sockets remember, in number.
pub const SETTINGS_LEN_MAX: usize = 16;

/// Buffers of a shared socket, in bytes, each direction: a datagram of 1,452 bytes each for 2,800
/// clients at once, which is what one event of a big room is.
const SOCKET_BYTES: usize = 4 << 20;
