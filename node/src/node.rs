//! A node as a whole: what starts in which order, and what stops in which.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::limits::GOAWAY_NODES_MAX;
use chat_protocol::node::Goaway;
use chat_protocol::{CloseCode, NodeName, Text};
use quinn::Endpoint;
use thiserror::Error;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::backplane::{Attachment, Unfit};
use crate::certs::{CertsError, NodeCertificate};
use crate::endpoint::{self, Door};
use crate::hub::{Hub, Settings, Stopped};
use crate::notices;
use crate::policy::Policy;
use crate::presence::Card;
use crate::supervise::supervise;

/// A running node. Dropping it stops nothing: call [`drain`](Self::drain).
#[derive(Debug)]
pub struct Node {
    name: NodeName,
    address: SocketAddr,
    hub: Arc<Hub>,
    endpoint: Endpoint,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// How a node runs.
#[derive(Debug)]
pub struct Options {
    /// Its name.
    pub name: NodeName,
    /// Where other nodes' clients reach it, as `host:port`; `None` when that is not known.
    pub advertise: Option<String>,
    /// What it shows clients.
    pub certificate: NodeCertificate,
    /// Who may come in.
    pub policy: Arc<dyn Policy>,
    /// The periodic notice.
    pub notice: Option<(Duration, Text)>,
    /// How long a lost session may come back before its leave is announced.
    pub grace: Duration,
    /// How long a dead node's members stay.
    pub lease: Duration,
    /// How long a publish or join waits for the backplane before it is refused as retryable.
    pub append_timeout: Duration,
    /// Silence after which a client is taken for gone.
    pub idle_timeout: Duration,
    /// How long a client may leave a stream full before it is closed as a slow reader.
    pub slow_reader_timeout: Duration,
    /// Largest packet that is tried with a client, in bytes of UDP payload.
    pub datagram_bytes_max: u16,
    /// How long an entry may be kept back while the node is busy, to be sent together with others.
    pub linger: Duration,
    /// Most connections.
    pub connections_max: usize,
}

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// It was stopped while it waited for the backplane.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The backplane would break the node's promises as it is set up.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertsError),
    /// The socket cannot be used.
    #[error("the socket cannot be used")]
    Socket(#[from] io::Error),
}

impl Node {
    /// Starts a node: the backplane first, the door last, so that a node that answers is ready.
    ///
    /// Waits for the backplane as long as it takes, until `stop`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        options: Options,
        socket: std::net::UdpSocket,
        attachment: Attachment,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let address = socket.local_addr()?;
        let crypto = options.certificate.server_crypto()?;
        let settings = Settings {
            card: Card {
                name: options.name.clone(),
                address: options.advertise.unwrap_or_default(),
            },
            grace: options.grace,
            lease: options.lease,
            append_timeout: options.append_timeout,
            idle_timeout: options.idle_timeout,
            slow_reader_timeout: options.slow_reader_timeout,
            linger: options.linger,
        };
        let backplane = Arc::clone(&attachment.backplane);
        // Cancel safe: until the backplane has answered, nothing runs that would have to be stopped.
        let hub = tokio::select! {
            hub = Hub::start(settings, attachment, options.policy, stop.child_token()) => hub?,
            unfit = backplane.unfit() => return Err(unfit.into()),
        };
        let tasks = TaskTracker::new();
        if let Some((every, text)) = options.notice {
            let (hub, stop) = (Arc::clone(&hub), stop.clone());
            tasks.spawn(async move {
                let run = || notices::run(Arc::clone(&hub), every, text.clone());
                stop.run_until_cancelled(supervise("notices", run)).await;
            });
        }
        let endpoint = endpoint::open(
            socket,
            crypto,
            options.idle_timeout,
            options.datagram_bytes_max,
        )?;
        let door = Door::new(Arc::clone(&hub), tasks.clone(), options.connections_max);
        tasks.spawn(door.run(endpoint.clone()));
        Ok(Self {
            name: options.name,
            address,
            hub,
            endpoint,
            tasks,
            stop,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// The address it answers on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its middle.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Stops the node within `deadline`, give or take a second: refuses new clients, asks those it
    /// has to go elsewhere, closes what is left, gives up its lease.
    pub async fn drain(self, deadline: Duration) {
        let end = Instant::now() + deadline;
        self.endpoint.set_server_config(None);
        let outlets = self.hub.outlets();
        let nodes: Vec<String> = self.hub.presence().other_nodes();
        let nodes: Vec<String> = nodes.into_iter().take(GOAWAY_NODES_MAX).collect();
        info!(
            clients = outlets.len(),
            other_nodes = nodes.len(),
            "draining"
        );
        if !nodes.is_empty() {
            // Spread, so that the other nodes do not get all of them at once.
            let window = deadline / 3;
            let share = u32::try_from(outlets.len().max(1)).unwrap_or(u32::MAX);
            for (place, outlet) in (0u32..).zip(&outlets) {
                let delay = window / share * place;
                let delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
                outlet.send(Goaway {
                    delay_ms,
                    nodes: nodes.clone(),
                });
            }
            self.wait_until_empty(end - deadline / 3).await;
        }
        // With nowhere else to go there is nothing to wait for: clients come back by themselves.
        for outlet in self.hub.outlets() {
            outlet.close(CloseCode::Draining, CloseCode::Draining.text());
        }
        self.wait_until_empty(end).await;
        let left = self.endpoint.open_connections();
        if left > 0 {
            warn!(left, "the drain deadline passed, closing the rest");
        }
        endpoint::close(&self.endpoint, CloseCode::Draining).await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.hub.shut_down().await;
        info!("stopped");
    }

    async fn wait_until_empty(&self, end: Instant) {
        let empty = async {
            while self.endpoint.open_connections() > 0 {
                time::sleep(EMPTY_POLL).await;
            }
        };
        // Whoever is left then is closed by the caller.
        let _ = time::timeout_at(end, empty).await;
    }
}

/// Pace of looking whether the last client has left.
const EMPTY_POLL: Duration = Duration::from_millis(10);
