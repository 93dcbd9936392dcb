//! The connection for calls: made, watched and made again by one task, shared by all calls.
//!
//! A call waits for a connection within its timeout, so that a short cut is not noticed. It is
//! never repeated here: whether that helps is the caller's to know. A connection carries the run id
//! of the server at its other end, which stays the same for as long as the connection does.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisResult, ServerErrorKind};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::super::promise::{Promise, Unfit};
use super::super::{AppendError, ReadError};
use super::availability::{Availability, Part};
use super::backoff::Backoff;
use super::inspection::{self, Findings, Inspector};
use super::server::Server;

/// Makes calls over the current connection.
#[derive(Debug)]
pub(super) struct Link {
    current: watch::Receiver<Option<Connected>>,
    suspects: mpsc::Sender<Suspicion>,
    call_timeout: Duration,
    findings: watch::Receiver<Findings>,
}

/// How the connection of a [`Link`] is kept.
#[derive(Clone, Debug)]
pub(super) struct LinkOptions {
    /// What `CLIENT LIST` shows.
    pub(super) name: String,
    /// When a call without an answer ends.
    pub(super) call_timeout: Duration,
    /// How often the server is asked how it is set up.
    pub(super) inspect_every: Duration,
    /// Whether it may drop entries when its memory is full.
    pub(super) allow_eviction: bool,
}

/// What a call noticed about the connection with this id.
#[derive(Clone, Copy, Debug)]
enum Suspicion {
    /// It may be broken.
    Broken(u64),
    /// The other end is no master any more: its address may lead to another server by now.
    Replica(u64),
}

/// Why a call has no answer.
#[derive(Clone, Debug, Error)]
pub(super) enum CallError {
    /// It may have taken effect.
    #[error("{0}")]
    Unknown(String),
    /// It has not taken effect.
    #[error("{0}")]
    Refused(String),
}

impl From<CallError> for AppendError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unknown(reason) => Self::Unknown(reason),
            CallError::Refused(reason) => Self::Refused(reason),
        }
    }
}

impl From<CallError> for ReadError {
    fn from(error: CallError) -> Self {
        Self(error.to_string())
    }
}

/// A connection and the server at its other end.
#[derive(Clone)]
pub(super) struct Connected {
    id: u64,
    /// Cheap to clone; calls of all clones share one socket.
    pub(super) connection: MultiplexedConnection,
    /// The run of the server process.
    pub(super) run_id: Arc<str>,
}

impl Debug for Connected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connected")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A link and the task that keeps it, to be run.
    pub(super) fn new(
        client: Client,
        options: LinkOptions,
        availability: Arc<Availability>,
    ) -> (Self, Keeper) {
        let call_timeout = options.call_timeout;
        let (inspector, findings) = Inspector::new(options.allow_eviction);
        let (connected, current) = watch::channel(None);
        // When it is full, there is enough to look at.
        let (suspects, suspected) = mpsc::channel(16);
        let keeper = Keeper {
            client,
            options,
            inspector,
            availability,
            connected,
            suspected,
            made: 0,
        };
        (
            Self {
                current,
                suspects,
                call_timeout,
                findings,
            },
            keeper,
        )
    }

    /// What the server promises, as of the last time it was asked.
    pub(super) fn promise(&self) -> Promise {
        self.findings.borrow().promise
    }

    /// Returns when the server is refused. Cancel safe.
    pub(super) async fn unfit(&self) -> Unfit {
        let mut findings = self.findings.clone();
        let found = findings.wait_for(|found| found.unfit.is_some()).await;
        match found.map(|found| found.unfit.clone()) {
            Ok(Some(unfit)) => unfit,
            // The node is stopping.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Makes a call over the current connection, waiting for one if there is none.
    ///
    /// Ends within the call timeout.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(Connected) -> RedisResult<T>,
    ) -> Result<T, CallError> {
        let started = Instant::now();
        let mut current = self.current.clone();
        let connected = match timeout(self.call_timeout, current.wait_for(Option::is_some)).await {
            Ok(Ok(connected)) => connected.clone(),
            Ok(Err(_)) => return Err(CallError::Refused("the node is stopping".to_owned())),
            Err(_) => return Err(CallError::Refused("redis is not connected".to_owned())),
        };
        let Some(connected) = connected else {
            return Err(CallError::Refused("redis is not connected".to_owned()));
        };
        let id = connected.id;
        let rest = self.call_timeout.saturating_sub(started.elapsed());
        let error = match timeout(rest.max(CALL_TIME_MIN), call(connected)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => {
                self.suspect(Suspicion::Broken(id));
                let waited = self.call_timeout;
                return Err(CallError::Unknown(format!("nothing within {waited:?}")));
            }
        };
        let is_answer = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        use ServerErrorKind::{MasterDown, ReadOnly};
        if matches!(error.kind(), ErrorKind::Server(ReadOnly | MasterDown)) {
            self.suspect(Suspicion::Replica(id));
        } else if !is_answer {
            self.suspect(Suspicion::Broken(id));
        }
        // The server answers with an error before it does anything.
        Err(if is_answer {
            CallError::Refused(error.to_string())
        } else {
            CallError::Unknown(error.to_string())
        })
    }

    fn suspect(&self, suspicion: Suspicion) {
        // Full: the keeper is about to look anyway.
        let _ = self.suspects.try_send(suspicion);
    }
}

/// Keeps the connection of a [`Link`]: the only one that makes it.
pub(super) struct Keeper {
    client: Client,
    options: LinkOptions,
    inspector: Inspector,
    availability: Arc<Availability>,
    connected: watch::Sender<Option<Connected>>,
    suspected: mpsc::Receiver<Suspicion>,
    made: u64,
}

impl Keeper {
    /// Connects, watches and connects again until `stop`, or until the server is refused.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        // Cancel safe: dropping a connection closes it.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
        self.connected.send_replace(None);
    }

    async fn keep(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.connect().await {
                Ok((connected, server)) => {
                    if self.inspector.on_connected(&server).is_err() {
                        // Nothing is ever written to it: the node is about to end.
                        return std::future::pending().await;
                    }
                    self.connected.send_replace(Some(connected.clone()));
                    self.availability.up(Part::Calls);
                    let why = self.watch(connected, &mut backoff).await;
                    debug!(why, "the connection to redis is gone");
                    self.connected.send_replace(None);
                }
                Err(why) => self.availability.down(Part::Calls, &why),
            }
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    async fn connect(&mut self) -> Result<(Connected, Server), String> {
        let time = self.options.call_timeout;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(time))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(CALLS_QUEUED_MAX);
        let mut connection = connect(&self.client, &config, &self.options.name, time).await?;
        let server = inspection::ask(&mut connection, time).await?;
        // A server that is still loading has an `INFO`, and nothing else.
        ping(&mut connection, time).await?;
        self.made += 1;
        let connected = Connected {
            id: self.made,
            connection,
            run_id: server.run_id.as_deref().unwrap_or_default().into(),
        };
        Ok((connected, server))
    }

    /// Returns why the connection is of no use any more.
    async fn watch(&mut self, mut connected: Connected, backoff: &mut Backoff) -> String {
        let time = self.options.call_timeout;
        let mut ticks = every(PING_EVERY);
        let mut inspections = every(self.options.inspect_every);
        loop {
            // All arms are cancel safe.
            let has_held = tokio::select! {
                _ = ticks.tick() => true,
                _ = inspections.tick() => {
                    match inspection::ask(&mut connected.connection, time).await {
                        Ok(server) => self.inspector.on_asked_again(&server),
                        Err(why) => return why,
                    }
                    continue;
                }
                suspicion = self.suspected.recv() => match suspicion {
                    Some(Suspicion::Broken(id)) if id == connected.id => false,
                    Some(Suspicion::Replica(id)) if id == connected.id => {
                        return "it is no master any more".to_owned();
                    }
                    // Of an earlier connection.
                    Some(_) => continue,
                    None => return "nobody needs it".to_owned(),
                },
            };
            if let Err(why) = ping(&mut connected.connection, time).await {
                return why;
            }
            self.availability.settle();
            if has_held {
                backoff.reset();
            }
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Makes a connection named `name` within `time`.
pub(super) async fn connect(
    client: &Client,
    config: &AsyncConnectionConfig,
    name: &str,
    time: Duration,
) -> Result<MultiplexedConnection, String> {
    let connecting = client.get_multiplexed_async_connection_with_config(config);
    let mut connection = match timeout(time, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no connection within {time:?}")),
    };
    let mut naming = redis::cmd("CLIENT");
    naming.arg("SETNAME").arg(name);
    // A user without the right to it works all the same.
    match timeout(time, naming.query_async::<()>(&mut connection)).await {
        Ok(_) => Ok(connection),
        Err(_) => Err(format!("nothing within {time:?}")),
    }
}

/// Asks whether the other end is there.
pub(super) async fn ping(
    connection: &mut MultiplexedConnection,
    time: Duration,
) -> Result<(), String> {
    let ping = redis::cmd("PING");
    match timeout(time, ping.query_async::<()>(connection)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer to a ping within {time:?}")),
    }
}

/// How often an idle connection is asked for a sign of life.
pub(super) const PING_EVERY: Duration = Duration::from_secs(1);

/// A call that had to wait for a connection still gets this long.
const CALL_TIME_MIN: Duration = Duration::from_millis(250);

/// Calls that wait to be written; more wait for room.
const CALLS_QUEUED_MAX: usize = 1_024;
