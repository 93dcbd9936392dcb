//! A joined room: the application's handle, and what the client keeps of it.

use std::fmt::{self, Debug};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_protocol::{Content, Cursor, RoomName, SessionId, Text, Topic, UserName};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::command::{Command, Handle, Older};
use crate::delivery::Delivery;
use crate::error::{PublishError, RequestError};
use crate::history::HistoryPage;
use crate::lock::lock;
use crate::outgoing::{Body, LocalRoom, NotTaken};
use crate::own::OwnPlaces;
use crate::session::MessageId;

/// A joined room. Cheap to clone; dropping it does not leave the room, [`leave`](Self::leave) does.
///
/// What is said in the room comes as [`Event`](crate::Event)s of the client.
#[derive(Clone)]
pub struct Room {
    handle: Handle,
    state: Arc<RoomState>,
}

/// A room as the node described it when it was joined last, at first or after a reconnect.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoomSnapshot {
    /// The log's last entry.
    pub head: Cursor,
    /// Members, about.
    pub members: u32,
    /// The topic; empty for none.
    pub topic: Topic,
    /// The other user of a room of two.
    pub direct: Option<UserName>,
}

impl Room {
    pub(crate) const fn new(handle: Handle, state: Arc<RoomState>) -> Self {
        Self { handle, state }
    }

    /// The room's name.
    #[must_use]
    pub fn name(&self) -> &RoomName {
        &self.state.name
    }

    /// Where the application stands: everything up to here was handed to it by
    /// [`Events::next`](crate::Events::next). `None` until the room's `Joined` event was.
    ///
    /// Joining with [`Start::After`](crate::Start::After) this goes on exactly there, in this or
    /// another process, on any node.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        lock(&self.state.inner).handed
    }

    /// The room when it was joined last.
    #[must_use]
    pub fn snapshot(&self) -> RoomSnapshot {
        lock(&self.state.inner).snapshot.clone()
    }

    /// Publishes a message. Never waits: the message is queued, sent in order, and sent again after
    /// a reconnect, with the same nonce, until a node answered or
    /// [`REPEAT_TIME_MAX`](crate::REPEAT_TIME_MAX) passed. Dropping the [`Delivery`] changes nothing
    /// about that.
    ///
    /// # Errors
    /// [`PublishError::Full`] when too many messages wait for their acks: publish again when one is
    /// settled. [`PublishError::InvalidText`] when the body is longer than
    /// [`BODY_BYTES_MAX`](chat_protocol::limits::BODY_BYTES_MAX), as a long reply or edit may be:
    /// its cursor counts. [`PublishError::Left`] and [`PublishError::Closed`] are final. In every case
    /// nothing was sent.
    pub fn publish(&self, content: impl Into<Content>) -> Result<Delivery, PublishError> {
        let content = content.into();
        content.check()?;
        self.push(Body::of_content(content))
    }

    /// Publishes a text message, like [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`PublishError::InvalidText`] when it breaks a rule of [`Text`]; else as of
    /// [`publish`](Self::publish).
    pub fn publish_text(&self, text: &str) -> Result<Delivery, PublishError> {
        self.publish(Content::Text(text.parse::<Text>()?))
    }

    /// Sets the room's topic, in order with the messages; empty for none.
    ///
    /// # Errors
    /// [`PublishError::InvalidText`] when it breaks a rule of [`Topic`]; else as of
    /// [`publish`](Self::publish).
    pub fn set_topic(&self, topic: &str) -> Result<Delivery, PublishError> {
        self.push(Body::Topic(topic.parse::<Topic>()?))
    }

    /// Tells the other members that the user is typing here: call it at every key. At most one in
    /// [`TYPING_EVERY`] is sent, and the first after a message at once. Never waits, and nothing
    /// depends on it: without a connection, in a large room, or when the node does not know this,
    /// nobody is told. See [`Event::Typing`](crate::Event::Typing).
    ///
    /// Only for the room that the user looks at, and not for what is no message.
    pub fn typing(&self) {
        {
            let mut inner = lock(&self.state.inner);
            let now = Instant::now();
            if inner.typed_at.is_some_and(|at| now < at + TYPING_EVERY) {
                return;
            }
            inner.typed_at = Some(now);
        }
        let shared = self.handle.shared();
        {
            let mut typing = lock(&shared.typing);
            if typing.contains(&self.state.local) {
                return;
            }
            typing.push(self.state.local);
        }
        shared.published.notify_one();
    }

    /// Reads the entries right before a place in the room's log, to scroll back: `before` is the
    /// cursor of the oldest entry the application has, or [`HistoryPage::before`] of the page after
    /// it. At most `len` entries come, and at most 256 of them, oldest first; a page may have
    /// fewer also when there are more before it.
    ///
    /// Any cursor is answered. What is not there any more is said: see [`HistoryPage`]. What is
    /// published meanwhile comes first, and the room's [`cursor`](Self::cursor) does not change. A
    /// few pages of a client are under way at a time; more wait for their turn.
    ///
    /// Cancel safety: dropping it changes nothing but that nobody gets the page.
    ///
    /// # Errors
    /// [`RequestError::TimedOut`] when no page came in time, [`RequestError::Refused`] when the
    /// node refused, also because the room was left. Repeating is always safe.
    pub async fn history_before(
        &self,
        before: Cursor,
        len: u32,
    ) -> Result<HistoryPage, RequestError> {
        let room = self.state.local;
        self.handle
            .request(|reply| {
                Command::ReadBefore(Older {
                    room,
                    before,
                    len,
                    reply,
                })
            })
            .await
    }

    /// Leaves the room, after the acks of what was published to it. Its last event is
    /// [`Event::Left`](crate::Event::Left); what was not handed to the application by then is not.
    ///
    /// Cancel safety: once polled, the room is left even when this is dropped.
    ///
    /// # Errors
    /// [`RequestError::TimedOut`] when acks or the answer take too long: the room is left all the
    /// same, as soon as they come. Repeating is safe.
    pub async fn leave(self) -> Result<(), RequestError> {
        let room = self.state.local;
        self.handle
            .request(|reply| Command::Leave { room, reply })
            .await
    }

    fn push(&self, body: Body) -> Result<Delivery, PublishError> {
        let (settle, receiver) = oneshot::channel();
        let shared = self.handle.shared();
        let nonce = lock(&shared.outgoing)
            .push(self.state.local, body, settle)
            .map_err(|refused| match refused {
                NotTaken::Full => PublishError::Full,
                NotTaken::Left => PublishError::Left,
                NotTaken::Closed => PublishError::Closed,
            })?;
        shared.published.notify_one();
        // What was typed is said: what is typed next is news.
        lock(&self.state.inner).typed_at = None;
        let session: SessionId = lock(&shared.session).welcomed.session;
        Ok(Delivery::new(MessageId { session, nonce }, receiver))
    }
}

impl Debug for Room {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Room")
            .field("name", &self.state.name)
            .finish_non_exhaustive()
    }
}

/// What the client keeps of a joined room; shared by handles, driver, lane and event queue.
#[derive(Debug)]
pub(crate) struct RoomState {
    pub(crate) local: LocalRoom,
    pub(crate) name: RoomName,
    /// The lane that may add events; 0 for none. Written and compared under the lock of the event
    /// queue, so that nothing of an older lane comes after something of a newer.
    pub(crate) lane: AtomicU64,
    pub(crate) inner: Mutex<RoomInner>,
}

#[derive(Debug)]
pub(crate) struct RoomInner {
    pub(crate) snapshot: RoomSnapshot,
    /// Everything up to here is in the event queue or was handed out: where a rejoin goes on.
    pub(crate) reached: Option<Cursor>,
    /// Everything up to here was handed to the application.
    pub(crate) handed: Option<Cursor>,
    pub(crate) own: OwnPlaces,
    /// When it was told last that the user is typing.
    pub(crate) typed_at: Option<Instant>,
}

impl RoomState {
    pub(crate) fn new(local: LocalRoom, name: RoomName, snapshot: RoomSnapshot) -> Self {
        let inner = RoomInner {
            snapshot,
            reached: None,
            handed: None,
            own: OwnPlaces::default(),
            typed_at: None,
        };
        Self {
            local,
            name,
            lane: AtomicU64::new(0),
            inner: Mutex::new(inner),
        }
    }

    pub(crate) fn reached(&self) -> Option<Cursor> {
        lock(&self.inner).reached
    }
}

/// How often the other members are told that the user is typing: often enough for them to take it for
/// one ([`TYPING_TIME`](crate::TYPING_TIME)), also when one is lost now and then.
pub const TYPING_EVERY: Duration = Duration::from_secs(3);
