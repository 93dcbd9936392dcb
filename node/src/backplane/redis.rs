//! The backplane of a cluster: a Redis 7 or newer that all nodes share.
//!
//! The truth is in Redis; this holds two connections and nothing else. One is for calls, one for
//! announcements, each kept by a task that makes it again when it is cut or silent. Redis being
//! away delays and fails calls, never more. What is written atomically is written by a script;
//! `redis/*.lua` say what they do and what the keys hold.
//!
//! An acknowledged entry is in the log in Redis. Whether it survives Redis is up to how Redis
//! keeps its data (`appendonly`, `appendfsync`, `save`): that is asked at every connection and told;
//! a loss begins a new epoch.

mod answers;
mod availability;
mod backoff;
mod cluster;
mod durability;
mod inspection;
mod keys;
mod link;
mod payload;
mod rooms;
mod server;
mod subscriber;
mod whisper;

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::{Cursor, Nonce, RoomName, SessionId};
use futures_util::future::BoxFuture;
use redis::{Client, ProtocolVersion};
use thiserror::Error;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::availability::Availability;
use self::cluster::Cluster;
use self::inspection::INSPECT_EVERY;
use self::keys::Keys;
use self::link::{Link, LinkOptions};
use self::rooms::{From, Rooms};
use self::subscriber::Subscriptions;
use super::outbox::Outbox;
use super::{
    AppendError, Appended, Attachment, Backplane, Batch, Claim, Claimed, Lease, LogBounds, NodeId,
    Outcome, Page, Promise, ReadError, Registry, RegistryChanges, Unfit, check_whisper,
};
use crate::config::RedisUrl;

/// How a node uses a Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where it is.
    pub url: RedisUrl,
    /// Starts every key and channel. Nodes of one cluster have the same, clusters that share a
    /// Redis different ones.
    pub prefix: String,
    /// What `CLIENT LIST` shows: ASCII without spaces.
    pub node_name: String,
    /// How much of a log is kept. The same on all nodes.
    pub bounds: LogBounds,
    /// When a call without an answer ends.
    pub call_timeout: Duration,
    /// How often the server is asked how it is set up, beside every connection.
    pub inspect_every: Duration,
    /// Whether a server that may drop entries when its memory is full is used all the same.
    pub allow_eviction: bool,
}

impl RedisOptions {
    /// The usual prefix, bounds and timeout.
    #[must_use]
    pub fn new(url: RedisUrl, node_name: impl Into<String>) -> Self {
        Self {
            url,
            prefix: "chat:".to_owned(),
            node_name: node_name.into(),
            bounds: LogBounds::default(),
            call_timeout: CALL_TIMEOUT,
            inspect_every: INSPECT_EVERY,
            allow_eviction: false,
        }
    }
}

/// The address cannot be connected to, whatever is there: TLS settings that cannot be.
#[derive(Debug, Error)]
#[error("{url}: {reason}")]
pub struct UnusableUrl {
    url: RedisUrl,
    reason: String,
}

/// A node's end of the Redis of its cluster.
pub struct Redis {
    link: Link,
    subscriptions: Subscriptions,
    rooms: Rooms,
    cluster: Cluster,
    /// Ends the tasks when the last handle goes.
    _stop: DropGuard,
}

impl Redis {
    /// Attaches a node, at once: connecting goes on in the background, on `tracker` until `stop`
    /// or until the attachment's backplane is dropped. `Event::Available` tells how it goes.
    ///
    /// # Errors
    /// When the URL can never work.
    pub fn attach(
        options: RedisOptions,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Attachment, UnusableUrl> {
        let RedisOptions {
            url,
            prefix,
            node_name,
            bounds,
            call_timeout,
            inspect_every,
            allow_eviction,
        } = options;
        let connection = url.connection().clone();
        // Announcements come between answers, which RESP 2 cannot tell apart.
        let settings = connection
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        let client =
            Client::open(connection.set_redis_settings(settings)).map_err(|error| UnusableUrl {
                url: url.clone(),
                reason: error.to_string(),
            })?;
        let (outbox, events) = Outbox::new();
        let availability = Arc::new(Availability::new(url, outbox));
        let keys = Keys::new(prefix);
        let link_options = LinkOptions {
            name: format!("{node_name}/calls"),
            call_timeout,
            inspect_every,
            allow_eviction,
        };
        let (link, keeper) = Link::new(client.clone(), link_options, Arc::clone(&availability));
        let (subscriptions, subscriber) = Subscriptions::new(
            client,
            format!("{node_name}/subscriber"),
            keys.clone(),
            call_timeout,
            availability,
        );
        let stop = stop.child_token();
        tracker.spawn(keeper.run(stop.clone()));
        tracker.spawn(subscriber.run(stop.clone()));
        let backplane = Self {
            link,
            subscriptions,
            rooms: Rooms::new(keys.clone(), bounds),
            cluster: Cluster::new(keys),
            _stop: stop.drop_guard(),
        };
        Ok(Attachment {
            backplane: Arc::new(backplane),
            events,
        })
    }
}

impl Debug for Redis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Backplane for Redis {
    fn append<'a>(
        &'a self,
        room: &'a RoomName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        Box::pin(self.rooms.append(&self.link, room, batch))
    }

    fn repeat_of<'a>(
        &'a self,
        room: &'a RoomName,
        session: SessionId,
        nonce: Nonce,
    ) -> BoxFuture<'a, Result<Option<Outcome>, ReadError>> {
        Box::pin(self.rooms.repeat_of(&self.link, room, session, nonce))
    }

    fn read<'a>(
        &'a self,
        room: &'a RoomName,
        after: Cursor,
        entries_max: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        Box::pin(
            self.rooms
                .read(&self.link, room, From::After(after), entries_max),
        )
    }

    fn read_last<'a>(
        &'a self,
        room: &'a RoomName,
        entries: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        Box::pin(self.rooms.read(&self.link, room, From::Last, entries))
    }

    fn heads<'a>(
        &'a self,
        rooms: &'a [RoomName],
    ) -> BoxFuture<'a, Result<Vec<Option<Cursor>>, ReadError>> {
        Box::pin(self.rooms.heads(&self.link, rooms))
    }

    fn subscribe<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, Result<(), ReadError>> {
        Box::pin(self.subscriptions.subscribe(room))
    }

    fn unsubscribe<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, ()> {
        Box::pin(self.subscriptions.unsubscribe(room))
    }

    fn whisper<'a>(
        &'a self,
        room: &'a RoomName,
        whisper: Bytes,
    ) -> BoxFuture<'a, Result<(), ReadError>> {
        Box::pin(async move {
            check_whisper(&whisper)?;
            self.rooms.whisper(&self.link, room, &whisper).await
        })
    }

    fn renew<'a>(
        &'a self,
        node: NodeId,
        lease: Duration,
        gossip: Bytes,
    ) -> BoxFuture<'a, Result<Lease, ReadError>> {
        Box::pin(async move {
            self.cluster
                .write(&self.link, node, lease, None, &gossip)
                .await
        })
    }

    fn write_registry<'a>(
        &'a self,
        node: NodeId,
        lease: Duration,
        changes: &'a RegistryChanges,
        gossip: Bytes,
    ) -> BoxFuture<'a, Result<Lease, ReadError>> {
        let cluster = &self.cluster;
        Box::pin(async move {
            cluster
                .write(&self.link, node, lease, Some(changes), &gossip)
                .await
        })
    }

    fn read_registry(&self, node: NodeId) -> BoxFuture<'_, Result<Option<Registry>, ReadError>> {
        Box::pin(self.cluster.read(&self.link, node))
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeId>, ReadError>> {
        Box::pin(self.cluster.live(&self.link))
    }

    fn resign(&self, node: NodeId, gossip: Bytes) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(async move { self.cluster.resign(&self.link, node, &gossip).await })
    }

    fn claim<'a>(
        &'a self,
        key: &'a str,
        claim: Claim,
    ) -> BoxFuture<'a, Result<Claimed, ReadError>> {
        Box::pin(self.cluster.claim(&self.link, key, claim))
    }

    fn claim_again<'a>(
        &'a self,
        claims: &'a [(String, Claim)],
    ) -> BoxFuture<'a, Result<Vec<Claimed>, ReadError>> {
        Box::pin(self.cluster.claim_again(&self.link, claims))
    }

    fn release<'a>(&'a self, key: &'a str, claim: Claim) -> BoxFuture<'a, Result<(), ReadError>> {
        Box::pin(self.cluster.release(&self.link, key, claim))
    }

    fn shared_secret(&self, proposal: [u8; 32]) -> BoxFuture<'_, Result<[u8; 32], ReadError>> {
        Box::pin(self.cluster.secret(&self.link, proposal))
    }

    fn promise(&self) -> Promise {
        self.link.promise()
    }

    fn unfit(&self) -> BoxFuture<'_, Unfit> {
        Box::pin(self.link.unfit())
    }
}

/// Long enough for a Redis that is saving to disk, short enough for a person to wait.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
