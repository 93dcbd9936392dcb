//! From targets to a welcomed session: names resolved, handshakes raced, one hello at a time.
//!
//! Handshakes of several targets run side by side, each started a moment after the one before. Only
//! one node at a time is said hello to: two hellos would be two sessions, or one that is torn
//! between two nodes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use quinn::{ClientConfig, Connection};
use tokio::net::lookup_host;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;

use chat_protocol::client::Hello;

use crate::builder::Settings;
use crate::driver::greet::{Greeted, greet};
use crate::driver::trouble::{Trouble, is_final};
use crate::error::ConnectError;
use crate::event::Disconnect;
use crate::sockets::{self, Dialing, Seat, Sockets};
use crate::target::Target;
use crate::trust::{Trust, TrustError};

/// Opens connections. One for the life of a client, so that it keeps its socket, and resumes TLS
/// sessions if the socket is its own.
#[derive(Debug)]
pub(crate) struct Dialer {
    settings: Settings,
    seat: Seat,
}

/// A connection whose handshake is done, and the task that drives it.
#[derive(Debug)]
pub(crate) struct Shaken {
    pub(crate) connection: Connection,
    pub(crate) task: Option<AbortHandle>,
}

/// A node that welcomed the session.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) target: Target,
    pub(crate) greeted: Greeted,
}

/// Why no target did.
#[derive(Debug)]
pub(crate) struct DialError {
    failures: Vec<Failure>,
    tried: Vec<String>,
    waited: Duration,
}

#[derive(Debug)]
struct Failure {
    target: String,
    reason: Reason,
}

#[derive(Debug)]
pub(crate) enum Reason {
    Trust(TrustError),
    Socket(std::io::Error),
    Trouble(Trouble),
    /// The node answered the hello with a refusal.
    Refused {
        code: u32,
        detail: String,
        retryable: bool,
        retry_after: Option<Duration>,
    },
}

impl Dialer {
    pub(crate) fn new(settings: &Settings) -> Result<Self, TrustError> {
        let seat = settings
            .sockets
            .as_ref()
            .map_or_else(Seat::own, Sockets::seat);
        if !matches!(settings.trust, Trust::Known(_)) {
            // What cannot be used for any target is told before one is tried.
            seat.config(settings, &settings.trust)?;
        }
        Ok(Self {
            settings: settings.clone(),
            seat,
        })
    }

    /// Connects to the first of these targets that welcomes the session, within the timeout.
    pub(crate) async fn dial(
        &self,
        targets: &[Target],
        hello: Hello,
    ) -> Result<Established, DialError> {
        let started = Instant::now();
        let deadline = started + self.settings.connect_timeout;
        let mut failures = Vec::new();
        let mut waiting: VecDeque<&Target> = targets.iter().collect();
        let mut racing = FuturesUnordered::new();
        let mut next_start = started;
        loop {
            if let Some(&target) = waiting.front()
                && (racing.is_empty() || next_start <= Instant::now())
            {
                waiting.pop_front();
                next_start = Instant::now() + STAGGER;
                racing.push(self.handshakes(target));
            }
            let finished = tokio::select! {
                finished = racing.next() => finished,
                () = sleep_until(next_start), if !waiting.is_empty() => continue,
                () = sleep_until(deadline) => None,
            };
            // All have failed, or the time is over.
            let Some(finished) = finished else { break };
            let (target, reason) = match finished {
                (target, Ok(shaken)) => match self.hello(shaken, &hello, deadline).await {
                    Ok(greeted) => {
                        return Ok(Established {
                            target: target.clone(),
                            greeted,
                        });
                    }
                    Err(reason) => (target, reason),
                },
                (target, Err(reason)) => (target, reason),
            };
            debug!(%target, ?reason, "no session there");
            let is_final = reason.is_refusal_for_good();
            failures.push(Failure {
                target: target.to_string(),
                reason,
            });
            if is_final {
                break;
            }
            next_start = Instant::now();
        }
        let tried = targets.iter().map(Target::to_string).collect();
        Err(DialError {
            failures,
            tried,
            waited: started.elapsed(),
        })
    }

    /// Waits until the node knows that the connections are closed, for a moment.
    pub(crate) async fn wait_idle(&self) {
        self.seat.wait_idle(IDLE_WAIT).await;
    }

    async fn hello(
        &self,
        shaken: Shaken,
        hello: &Hello,
        deadline: Instant,
    ) -> Result<Greeted, Reason> {
        // A node that shakes hands and then says nothing must not take the time of all others.
        let deadline = deadline.min(Instant::now() + self.settings.connect_timeout / 2);
        match timeout_at(deadline, greet(shaken, hello)).await {
            Ok(greeted) => greeted,
            Err(_) => {
                let silent = "it opened the connection but did not answer the hello";
                Err(Reason::Trouble(Trouble::Unreachable(Some(
                    silent.to_owned(),
                ))))
            }
        }
    }

    /// Tries the addresses of a target, each a moment after the one before.
    async fn handshakes<'a>(&self, target: &'a Target) -> (&'a Target, Result<Shaken, Reason>) {
        (target, self.try_handshakes(target).await)
    }

    async fn try_handshakes(&self, target: &Target) -> Result<Shaken, Reason> {
        let trust = self.settings.trust.of(target);
        trust.check(target).map_err(Reason::Trust)?;
        let config = self.seat.config(&self.settings, &trust);
        let config = config.map_err(Reason::Trust)?;
        let mut waiting: VecDeque<SocketAddr> = resolve(target)
            .await
            .map_err(|cause| Reason::Trouble(Trouble::Unreachable(Some(cause))))?
            .into();
        let mut racing: FuturesUnordered<BoxFuture<'_, Result<Shaken, Reason>>> =
            FuturesUnordered::new();
        let mut reason: Option<Reason> = None;
        let mut answered_at = None;
        loop {
            if let Some(address) = waiting.pop_front() {
                racing.push(Box::pin(self.handshake(address, target, config.clone())));
            }
            let now = Instant::now();
            // A node that answered is told about soon, and not hidden by an address that is silent,
            // such as the other loopback of a bare port.
            let give_up = answered_at.map_or(now, |answered: Instant| answered + ANSWERED_WAIT);
            tokio::select! {
                finished = racing.next() => match finished {
                    Some(Ok(shaken)) => return Ok(shaken),
                    Some(Err(error)) => {
                        if error.is_answer() {
                            answered_at.get_or_insert_with(Instant::now);
                        }
                        // Of equals the first says most: that of the address that is named first.
                        if reason.as_ref().is_none_or(|known| error.weight() < known.weight()) {
                            reason = Some(error);
                        }
                    }
                    None => break,
                },
                () = sleep_until(now + STAGGER), if !waiting.is_empty() => {}
                () = sleep_until(give_up), if answered_at.is_some() && waiting.is_empty() => break,
            }
        }
        Err(reason.unwrap_or(Reason::Trouble(Trouble::Unreachable(None))))
    }

    async fn handshake(
        &self,
        address: SocketAddr,
        target: &Target,
        config: ClientConfig,
    ) -> Result<Shaken, Reason> {
        let endpoint = self.seat.endpoint(address.ip()).map_err(Reason::Socket)?;
        let Dialing { connecting, task } =
            sockets::dial(&endpoint, config, address, &target.server_name())
                .map_err(|error| Reason::Trouble(Trouble::Unreachable(Some(error.to_string()))))?;
        let connection = connecting
            .await
            .map_err(|error| Reason::Trouble(Trouble::of(&error)))?;
        Ok(Shaken { connection, task })
    }
}

impl DialError {
    /// Whether another attempt makes no sense: a node has refused for good, or every target was
    /// found to be none that this client may talk to.
    pub(crate) fn is_final(&self) -> bool {
        let is_wrong = |failure: &Failure| {
            matches!(
                failure.reason,
                Reason::Trouble(Trouble::Tls(_) | Trouble::Version(_))
            )
        };
        self.failures
            .iter()
            .any(|failure| failure.reason.is_refusal_for_good())
            || self.failures.len() == self.tried.len() && self.failures.iter().all(is_wrong)
    }

    /// The longest wait a node asked for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let asked = |failure: &Failure| match failure.reason {
            Reason::Refused { retry_after, .. } => retry_after,
            _ => None,
        };
        self.failures.iter().filter_map(asked).max()
    }

    pub(crate) fn disconnect(self) -> Disconnect {
        let code = self
            .failures
            .iter()
            .find_map(|failure| match failure.reason {
                Reason::Refused { code, .. } => Some(code),
                _ => None,
            });
        Disconnect {
            code,
            text: self.into_connect_error().to_string(),
        }
    }

    /// The failure that says most about what to do.
    pub(crate) fn into_connect_error(self) -> ConnectError {
        let Self {
            mut failures,
            tried,
            waited,
        } = self;
        failures.sort_by_key(|failure| failure.reason.weight());
        let Some(Failure { target, reason }) = failures.into_iter().next() else {
            return ConnectError::Unreachable {
                tried,
                waited,
                cause: None,
            };
        };
        match reason {
            Reason::Refused {
                code,
                detail,
                retryable,
                ..
            } => ConnectError::Refused {
                target,
                code,
                detail,
                retryable,
            },
            Reason::Trust(error) => error.into(),
            Reason::Socket(error) => ConnectError::Socket(error),
            Reason::Trouble(Trouble::Tls(detail)) => ConnectError::Tls { target, detail },
            Reason::Trouble(Trouble::Version(detail) | Trouble::Strange(detail)) => {
                ConnectError::Version { target, detail }
            }
            Reason::Trouble(Trouble::Closed { code, detail }) => {
                let retryable = !is_final(code);
                ConnectError::Refused {
                    target,
                    code,
                    detail,
                    retryable,
                }
            }
            Reason::Trouble(Trouble::Unreachable(cause)) => ConnectError::Unreachable {
                tried,
                waited,
                cause,
            },
        }
    }
}

impl Reason {
    fn is_refusal_for_good(&self) -> bool {
        match self {
            Self::Refused { retryable, .. } => !retryable,
            Self::Trouble(Trouble::Closed { code, .. }) => is_final(*code),
            _ => false,
        }
    }

    /// Whether somebody is there, and said no.
    const fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Trouble(Trouble::Tls(_) | Trouble::Version(_) | Trouble::Closed { .. })
        )
    }

    /// Lower says more.
    const fn weight(&self) -> u8 {
        match self {
            Self::Refused {
                retryable: false, ..
            } => 0,
            Self::Trouble(Trouble::Tls(_)) => 1,
            Self::Trouble(Trouble::Version(_) | Trouble::Strange(_)) => 2,
            Self::Refused { .. } | Self::Trouble(Trouble::Closed { .. }) => 3,
            Self::Trust(_) => 4,
            Self::Socket(_) => 5,
            Self::Trouble(Trouble::Unreachable(Some(_))) => 6,
            Self::Trouble(Trouble::Unreachable(None)) => 7,
        }
    }
}

/// The addresses of a target, or why there are none.
pub(crate) async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, String> {
    let with_port = |address| SocketAddr::new(address, target.port());
    let name = match target.addresses() {
        Ok(addresses) => return Ok(addresses.into_iter().map(with_port).collect()),
        Err(name) => name,
    };
    let found = lookup_host((name, target.port()))
        .await
        .map_err(|error| format!("the name {name} cannot be resolved: {error}"))?;
    let mut addresses: Vec<SocketAddr> = found.take(ADDRESSES_LEN_MAX).collect();
    if target.is_loopback() {
        addresses.retain(|address| address.ip().is_loopback());
    }
    if addresses.is_empty() {
        return Err(format!("the name {name} has no usable address"));
    }
    Ok(addresses)
}

/// Head start of a target, or address, over the next: longer than most round trips.
const STAGGER: Duration = Duration::from_millis(300);

/// How long the other addresses of a target may still answer when one has said no.
const ANSWERED_WAIT: Duration = Duration::from_millis(500);

/// How long closing waits for the last packets.
const IDLE_WAIT: Duration = Duration::from_millis(500);

/// Addresses of one name that are tried.
const ADDRESSES_LEN_MAX: usize = 8;
