//! The connection for announcements: made, watched and made again by one task.
//!
//! What comes is handed on where the client library reads it, without a queue in between and
//! without ever waiting: the library's own channels have no bound. A connection that is cut or
//! silent is made again, every channel is subscribed to again, and then the node is told that
//! announcements may have been missed.

use std::collections::BTreeSet;
use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::RoomName;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Value};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::super::{Event, ReadError};
use super::availability::{Availability, Part};
use super::backoff::Backoff;
use super::keys::Keys;
use super::link::{PING_EVERY, connect, ping};
use super::{payload, whisper};
use crate::damage::{self, Damage};

/// Asks for announcements, and stops asking.
#[derive(Clone, Debug)]
pub(super) struct Subscriptions {
    requests: mpsc::Sender<Request>,
    call_timeout: Duration,
}

#[derive(Debug)]
enum Request {
    /// Answered when the server confirmed it. Nobody waits any more: it is not to be kept.
    Subscribe(RoomName, oneshot::Sender<()>),
    Unsubscribe(RoomName),
}

impl Subscriptions {
    /// Subscriptions and the task that keeps them, to be run.
    pub(super) fn new(
        client: Client,
        name: String,
        keys: Keys,
        call_timeout: Duration,
        availability: Arc<Availability>,
    ) -> (Self, Subscriber) {
        let (requests, requested) = mpsc::channel(REQUESTS_LEN_MAX);
        let inlet = Arc::new(Inlet {
            availability,
            gossip: keys.gossip(),
            keys: keys.clone(),
        });
        let rooms = BTreeSet::new();
        let subscriber = Subscriber {
            client,
            name,
            keys,
            call_timeout,
            inlet,
            requested,
            rooms,
        };
        (
            Self {
                requests,
                call_timeout,
            },
            subscriber,
        )
    }

    /// Returns when the server confirmed the subscription, which is kept from then on.
    pub(super) async fn subscribe(&self, room: &RoomName) -> Result<(), ReadError> {
        let asking = async {
            loop {
                let (confirm, confirmed) = oneshot::channel();
                let request = Request::Subscribe(room.clone(), confirm);
                if self.requests.send(request).await.is_err() {
                    return Err(ReadError("the node is stopping".to_owned()));
                }
                // Dropped when the connection broke under it: ask again, the next one is near.
                if confirmed.await.is_ok() {
                    return Ok(());
                }
            }
        };
        match timeout(self.call_timeout, asking).await {
            Ok(result) => result,
            Err(_) => Err(ReadError(format!(
                "not subscribed within {:?}",
                self.call_timeout
            ))),
        }
    }

    /// Returns when the request is queued, or cannot be for long: then what comes is ignored.
    pub(super) async fn unsubscribe(&self, room: &RoomName) {
        let _ = self
            .requests
            .send_timeout(Request::Unsubscribe(room.clone()), self.call_timeout)
            .await;
    }
}

/// Keeps the connection of [`Subscriptions`].
pub(super) struct Subscriber {
    client: Client,
    name: String,
    keys: Keys,
    call_timeout: Duration,
    inlet: Arc<Inlet>,
    requested: mpsc::Receiver<Request>,
    /// Rooms whose subscriptions are kept.
    rooms: BTreeSet<RoomName>,
}

impl Subscriber {
    /// Connects, subscribes, watches and connects again until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        // Cancel safe: dropping a connection closes it.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
    }

    async fn keep(&mut self) {
        let mut backoff = Backoff::default();
        let mut is_first = true;
        loop {
            let cut = Arc::new(Notify::new());
            match self.connect(&cut).await {
                Ok(mut connection) => {
                    if !is_first {
                        self.inlet.availability.send(Event::Missed);
                    }
                    is_first = false;
                    self.inlet.availability.up(Part::Subscriber);
                    let why = self.serve(&mut connection, &cut, &mut backoff).await;
                    warn!(why, "the subscription to redis is cut: subscribing again");
                }
                Err(why) => self.inlet.availability.down(Part::Subscriber, &why),
            }
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    /// A connection that is subscribed to everything it should be.
    async fn connect(&mut self, cut: &Arc<Notify>) -> Result<MultiplexedConnection, String> {
        let (inlet, cut) = (Arc::clone(&self.inlet), Arc::clone(cut));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.call_timeout))
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| -> Result<(), Closed> {
                if push.kind == PushKind::Disconnection {
                    cut.notify_one();
                } else {
                    inlet.take(push);
                }
                Ok(())
            });
        let mut connection = connect(&self.client, &config, &self.name, self.call_timeout).await?;
        let mut channels = vec![self.keys.gossip()];
        channels.extend(self.rooms.iter().map(|room| self.keys.hints(room)));
        for channels in channels.chunks(CHANNELS_PER_CALL) {
            self.subscribe(&mut connection, channels).await?;
        }
        Ok(connection)
    }

    async fn subscribe(
        &self,
        connection: &mut MultiplexedConnection,
        channels: &[String],
    ) -> Result<(), String> {
        match timeout(self.call_timeout, connection.subscribe(channels)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("not subscribed within {:?}", self.call_timeout)),
        }
    }

    /// Returns why the connection is of no use any more.
    async fn serve(
        &mut self,
        connection: &mut MultiplexedConnection,
        cut: &Notify,
        backoff: &mut Backoff,
    ) -> String {
        let mut ticks = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut requests = Vec::new();
        loop {
            // All arms are cancel safe.
            let result = tokio::select! {
                _ = ticks.tick() => {
                    let result = ping(connection, self.call_timeout).await;
                    self.inlet.availability.settle();
                    backoff.reset();
                    result
                }
                () = cut.notified() => Err("the connection was closed".to_owned()),
                count = self.requested.recv_many(&mut requests, CHANNELS_PER_CALL) => {
                    if count == 0 {
                        // The node has gone.
                        return std::future::pending().await;
                    }
                    self.perform(connection, requests.drain(..)).await
                }
            };
            if let Err(why) = result {
                return why;
            }
        }
    }

    /// Performs requests in their order, runs of the same kind in one command.
    async fn perform(
        &mut self,
        connection: &mut MultiplexedConnection,
        requests: impl Iterator<Item = Request>,
    ) -> Result<(), String> {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for request in requests {
            match request {
                Request::Subscribe(room, confirm) => {
                    self.unsubscribe_all(connection, &mut unwanted).await?;
                    wanted.push((room, confirm));
                }
                Request::Unsubscribe(room) => {
                    self.subscribe_all(connection, &mut wanted, &mut unwanted)
                        .await?;
                    unwanted.push(room);
                }
            }
        }
        self.subscribe_all(connection, &mut wanted, &mut unwanted)
            .await?;
        self.unsubscribe_all(connection, &mut unwanted).await
    }

    /// Subscribes; who does not wait any more goes to `unwanted`.
    async fn subscribe_all(
        &mut self,
        connection: &mut MultiplexedConnection,
        wanted: &mut Vec<(RoomName, oneshot::Sender<()>)>,
        unwanted: &mut Vec<RoomName>,
    ) -> Result<(), String> {
        wanted.retain(|(_, confirm)| !confirm.is_closed());
        if wanted.is_empty() {
            return Ok(());
        }
        let channels: Vec<String> = wanted
            .iter()
            .map(|(room, _)| self.keys.hints(room))
            .collect();
        self.subscribe(connection, &channels).await?;
        for (room, confirm) in wanted.drain(..) {
            let was_kept = !self.rooms.insert(room.clone());
            if confirm.send(()).is_err() && !was_kept {
                unwanted.push(room);
            }
        }
        Ok(())
    }

    async fn unsubscribe_all(
        &mut self,
        connection: &mut MultiplexedConnection,
        unwanted: &mut Vec<RoomName>,
    ) -> Result<(), String> {
        if unwanted.is_empty() {
            return Ok(());
        }
        let channels: Vec<String> = unwanted.iter().map(|room| self.keys.hints(room)).collect();
        for room in unwanted.drain(..) {
            self.rooms.remove(&room);
        }
        match timeout(self.call_timeout, connection.unsubscribe(&channels)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("not unsubscribed within {:?}", self.call_timeout)),
        }
    }
}

impl Debug for Subscriber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Subscriber")
            .field("rooms", &self.rooms.len())
            .finish_non_exhaustive()
    }
}

/// Where announcements come in.
#[derive(Debug)]
struct Inlet {
    availability: Arc<Availability>,
    gossip: String,
    keys: Keys,
}

impl Inlet {
    /// Takes what the server pushed. Called where the connection is read: never waits.
    fn take(&self, push: PushInfo) {
        if push.kind != PushKind::Message {
            return;
        }
        let mut parts = push.data.into_iter();
        let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) =
            (parts.next(), parts.next())
        else {
            return;
        };
        if channel == self.gossip.as_bytes() {
            if payload.len() <= GOSSIP_BYTES_MAX {
                self.availability.send(Event::Gossip(Bytes::from(payload)));
            } else {
                ignore(&channel, format_args!("gossip of {} bytes", payload.len()));
            }
            return;
        }
        if whisper::is_whisper(&payload) {
            match whisper::read(Bytes::from(payload)) {
                Some((room, whisper)) if self.keys.hints(&room).as_bytes() == channel => {
                    self.availability.send(Event::Whispered { room, whisper });
                }
                _ => ignore(&channel, "a whisper that no node made"),
            }
            return;
        }
        match payload::read(Bytes::from(payload)) {
            Ok((room, block)) if self.keys.hints(&room).as_bytes() == channel => {
                self.availability.send(Event::Announced { room, block });
            }
            Ok((room, _)) => ignore(&channel, format_args!("a block of room {room}")),
            Err(error) => ignore(&channel, error),
        }
    }
}

/// Somebody else writes to the channels of this chat.
fn ignore(channel: &[u8], why: impl Display) {
    let channel = String::from_utf8_lossy(channel);
    debug!(%channel, %why, "ignored an announcement");
    damage::note(Damage::Announcement, 1, channel, why);
}

/// The push sender's error type; it has no error.
#[derive(Debug)]
struct Closed;

/// Channels in one command: a command of this size takes Redis well below a millisecond.
const CHANNELS_PER_CALL: usize = 512;

/// Requests that wait for the subscriber; more wait for room.
const REQUESTS_LEN_MAX: usize = 1_024;

/// Largest gossip that is handed on, in bytes.
const GOSSIP_BYTES_MAX: usize = 256 * 1024;
