//! What handles and driver share: the bounded command queue, and the state both may look at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_protocol::client::Start;
use chat_protocol::node::{MemberPage, RoomPage, Status};
use chat_protocol::{Cursor, RoomName, Secret, SessionId, UserName};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::delivery::Settle;
use crate::error::RequestError;
use crate::events::EventQueue;
use crate::history::HistoryPage;
use crate::outgoing::{LocalRoom, Outgoing};
use crate::room::RoomState;
use crate::session::Welcomed;
use crate::stats::Line;
use crate::trust::Trust;

/// Where a command's answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, RequestError>>;

/// What a handle asks of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Join {
        room: RoomName,
        start: Start,
        reply: Reply<Arc<RoomState>>,
    },
    OpenDirect {
        user: String,
        reply: Reply<Arc<RoomState>>,
    },
    Leave {
        room: LocalRoom,
        reply: Reply<()>,
    },
    ReadBefore(Older),
    Rename {
        name: String,
        reply: Reply<UserName>,
    },
    Members {
        room: RoomName,
        after: Option<UserName>,
        reply: Reply<MemberPage>,
    },
    Rooms {
        after: Option<RoomName>,
        reply: Reply<RoomPage>,
    },
    Ping {
        reply: Reply<Duration>,
    },
    Status {
        reply: Reply<Status>,
    },
}

/// A page of older entries that is wanted.
#[derive(Debug)]
pub(crate) struct Older {
    pub(crate) room: LocalRoom,
    pub(crate) before: Cursor,
    pub(crate) len: u32,
    pub(crate) reply: Reply<HistoryPage>,
}

/// What driver and handles both look at. Locks are held for a few statements, never over an await;
/// the event queue's lock is taken before a room's, and no other two together.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) outgoing: Mutex<Outgoing<Settle>>,
    /// Rooms where the user is typing, each once: told at once or never.
    pub(crate) typing: Mutex<Vec<LocalRoom>>,
    /// Something was added to `outgoing` or `typing`.
    pub(crate) published: Notify,
    pub(crate) session: Mutex<Session>,
    /// The rooms that are joined, over reconnects.
    pub(crate) rooms: Mutex<HashMap<RoomName, Arc<RoomState>>>,
    pub(crate) line: Mutex<Line>,
    /// Which nodes are believed.
    pub(crate) trust: Trust,
    pub(crate) events: EventQueue,
    /// Cancelled when the driver shall end. Not a command, which might have to wait.
    pub(crate) close: CancellationToken,
    /// Cancelled when the driver shall end without a word.
    pub(crate) abandon: CancellationToken,
    /// Another connection is wanted.
    pub(crate) reconnect: Notify,
    /// Cancelled when the driver has ended.
    pub(crate) ended: CancellationToken,
}

/// The session as it stands.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) welcomed: Welcomed,
    pub(crate) secret: Secret,
    /// Sessions this client had before one could not be resumed, latest last.
    pub(crate) former: Vec<SessionId>,
}

/// One handle's end: the client is closed when all of them, and the events, are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    /// Boxed, as a channel keeps space for 32 of what it carries.
    commands: mpsc::Sender<Box<Command>>,
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) const fn new(commands: mpsc::Sender<Box<Command>>, shared: Arc<Shared>) -> Self {
        Self { commands, shared }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Asks the driver and waits for the answer, at most [`REQUEST_TIMEOUT`].
    pub(crate) async fn request<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, RequestError> {
        let (reply, answer) = oneshot::channel();
        let ask = async {
            // When the queue is full this waits: the driver empties it without waiting for anybody.
            self.commands
                .send(Box::new(command(reply)))
                .await
                .map_err(|_| RequestError::Closed)?;
            answer.await.map_err(|_| RequestError::Closed)?
        };
        timeout(REQUEST_TIMEOUT, ask)
            .await
            .unwrap_or(Err(RequestError::TimedOut))
    }

    /// Asks the driver to end, and waits until it has.
    pub(crate) async fn close(&self) {
        self.shared.close.cancel();
        self.shared.ended.cancelled().await;
    }

    /// Makes the driver end without a word, and waits until it has.
    pub(crate) async fn abandon(&self) {
        self.shared.abandon.cancel();
        self.shared.ended.cancelled().await;
    }
}

/// How long a request waits for its answer, reconnects included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Commands that wait for the driver. It takes them at once, so this is for bursts only.
pub(crate) const COMMANDS_LEN_MAX: usize = 64;
