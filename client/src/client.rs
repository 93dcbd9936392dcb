//! The handle that applications hold.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::client::Start;
use chat_protocol::limits::PAGE_LEN_MAX;
use chat_protocol::node::{MemberPage, RoomPage, RoomSummary, Status};
use chat_protocol::{ErrorCode, RoomName, UserName};

use crate::builder::Builder;
use crate::certificate::Certificate;
use crate::command::{Command, Handle};
use crate::error::RequestError;
use crate::lock::lock;
use crate::room::Room;
use crate::session::{SessionTicket, Welcomed};
use crate::stats::{ConnectionStats, Traffic};
use crate::trust::Trust;

/// A session with a chat cluster. Cheap to clone; every clone is the same session.
///
/// When every clone, every [`Room`] and the [`Events`](crate::Events) are dropped, the session is
/// ended in the background within the close timeout, if the runtime still runs;
/// [`close`](Self::close) does the same and waits for it.
///
/// Requests wait up to [`REQUEST_TIMEOUT`](crate::REQUEST_TIMEOUT) for their answers; those without
/// one are asked again after a reconnect. Cancel safety: dropping a request's future withdraws the
/// wish for its answer, not the request; one that was polled may still be done.
#[derive(Clone)]
pub struct Client {
    handle: Handle,
}

impl Client {
    pub(crate) const fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Starts to describe a connection.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The session as it stands: as welcomed last, with the name it has now.
    #[must_use]
    pub fn session(&self) -> Welcomed {
        lock(&self.handle.shared().session).welcomed.clone()
    }

    /// What continues this session in another process, see
    /// [`Builder::resume`](crate::Builder::resume).
    #[must_use]
    pub fn ticket(&self) -> SessionTicket {
        let session = lock(&self.handle.shared().session);
        SessionTicket {
            session: session.welcomed.session,
            secret: session.secret,
        }
    }

    /// Joins a room and reads from `start` on. People's spelling is taken: `#Lobby` is `lobby`.
    ///
    /// Dropping the future before it resolved leaves the room again.
    ///
    /// # Errors
    /// [`RequestError::InvalidRoom`] before anything is sent; [`RequestError::Refused`] with
    /// [`ErrorCode::AlreadyJoined`] when the room is joined ([`room`](Self::room) gives it) or
    /// being joined, or with what the node said.
    pub async fn join(&self, room: &str, start: Start) -> Result<Room, RequestError> {
        let room = RoomName::parse(room)?;
        let state = self
            .handle
            .request(|reply| Command::Join { room, start, reply })
            .await?;
        Ok(Room::new(self.handle.clone(), state))
    }

    /// Opens the room of two with a user who is connected anywhere in the cluster. When it is open
    /// already, that is the answer.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with [`ErrorCode::NoSuchUser`] when nobody of that name is
    /// connected, or with what else the node said. Repeating is safe.
    pub async fn open_direct(&self, user: &str) -> Result<Room, RequestError> {
        let user = user.trim().to_owned();
        if user.len() > chat_protocol::limits::USER_NAME_BYTES_MAX {
            return Err(RequestError::refused(ErrorCode::InvalidName));
        }
        let state = self
            .handle
            .request(|reply| Command::OpenDirect { user, reply })
            .await?;
        Ok(Room::new(self.handle.clone(), state))
    }

    /// The room of this name, if it is joined: by [`join`](Self::join), by
    /// [`open_direct`](Self::open_direct), or because another user opened a room of two.
    #[must_use]
    pub fn room(&self, room: &RoomName) -> Option<Room> {
        let state = Arc::clone(lock(&self.handle.shared().rooms).get(room)?);
        Some(Room::new(self.handle.clone(), state))
    }

    /// Changes the session's name. Gives the name as the node spells it.
    ///
    /// # Errors
    /// [`RequestError::Refused`] when it is invalid, taken or reserved; the name stays what it was.
    /// Repeating is safe.
    pub async fn rename(&self, name: &str) -> Result<UserName, RequestError> {
        let name = name.trim().to_owned();
        if name.len() > chat_protocol::limits::USER_NAME_BYTES_MAX {
            return Err(RequestError::refused(ErrorCode::InvalidName));
        }
        self.handle
            .request(|reply| Command::Rename { name, reply })
            .await
    }

    /// The members of a room by name, at most [`MEMBERS_LEN_MAX`]: beyond, page by
    /// [`member_page`](Self::member_page).
    ///
    /// # Errors
    /// As of [`member_page`](Self::member_page).
    pub async fn members(&self, room: &str) -> Result<Vec<UserName>, RequestError> {
        let mut members: Vec<UserName> = Vec::new();
        loop {
            let page = self.member_page(room, members.last()).await?;
            let more = page.more && !page.members.is_empty();
            members.extend(page.members);
            if !more || members.len() >= MEMBERS_LEN_MAX {
                members.truncate(MEMBERS_LEN_MAX);
                return Ok(members);
            }
        }
    }

    /// The members of a room by name that come after `after`, up to 100 at a time.
    ///
    /// # Errors
    /// [`RequestError::InvalidRoom`] before anything is sent; [`RequestError::Refused`] with what
    /// the node said. Repeating is safe.
    pub async fn member_page(
        &self,
        room: &str,
        after: Option<&UserName>,
    ) -> Result<MemberPage, RequestError> {
        let (room, after) = (RoomName::parse(room)?, after.cloned());
        self.handle
            .request(|reply| Command::Members { room, after, reply })
            .await
    }

    /// The rooms that have members, by name, at most [`ROOMS_LEN_MAX`].
    ///
    /// # Errors
    /// [`RequestError::Refused`] with what the node said. Repeating is safe.
    pub async fn rooms(&self) -> Result<Vec<RoomSummary>, RequestError> {
        let mut rooms: Vec<RoomSummary> = Vec::new();
        loop {
            let after = rooms.last().map(|room| room.name.clone());
            let page: RoomPage = self
                .handle
                .request(|reply| Command::Rooms { after, reply })
                .await?;
            let more = page.more && !page.rooms.is_empty();
            rooms.extend(page.rooms);
            if !more || rooms.len() >= ROOMS_LEN_MAX {
                rooms.truncate(ROOMS_LEN_MAX);
                return Ok(rooms);
            }
        }
    }

    /// Asks the node for an answer: how long it took, through the node's session, not only its
    /// network stack.
    ///
    /// # Errors
    /// [`RequestError::TimedOut`] when none came. Repeating is safe.
    pub async fn ping(&self) -> Result<Duration, RequestError> {
        self.handle.request(|reply| Command::Ping { reply }).await
    }

    /// What the node promises of acked messages, and how it fares.
    ///
    /// # Errors
    /// [`RequestError::TimedOut`] when no answer came. Repeating is safe.
    pub async fn status(&self) -> Result<Status, RequestError> {
        self.handle.request(|reply| Command::Status { reply }).await
    }

    /// Measurements of the connection; `None` while there is none.
    #[must_use]
    pub fn connection_stats(&self) -> Option<ConnectionStats> {
        lock(&self.handle.shared().line).stats()
    }

    /// What the node that serves the session is believed by: its certificate was verified against
    /// it. Never [`Trust::Known`], but what that says of this node.
    #[must_use]
    pub fn trust(&self) -> Trust {
        let trust = &self.handle.shared().trust;
        match self.session().target.parse() {
            Ok(target) => trust.of(&target),
            Err(_) => trust.clone(),
        }
    }

    /// The certificate of the node that serves the session; `None` while there is no connection.
    #[must_use]
    pub fn certificate(&self) -> Option<Certificate> {
        lock(&self.handle.shared().line).certificate()
    }

    /// What the network carried for this client, over all its connections. It stays readable when
    /// the client is closed.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        lock(&self.handle.shared().line).traffic()
    }

    /// Drops the connection and resumes on another at once, as if the network had lost it and the
    /// client had noticed. Kept: the session, its rooms and where they are read, messages without an
    /// ack and requests without an answer, which are sent again. Nothing is lost by it. Like after a
    /// loss, the next target comes first, and [`Event::Disconnected`](crate::Event::Disconnected)
    /// and [`Event::Connected`](crate::Event::Connected) tell of it.
    ///
    /// Does not wait: several calls before the client comes to it are one. While an attempt to
    /// connect is waited for, it is made at once; while one is made, nothing changes. A client that
    /// shall not reconnect by itself ([`Builder::reconnect`](crate::Builder::reconnect)) is ended.
    pub fn reconnect(&self) {
        self.handle.shared().reconnect.notify_one();
    }

    /// Ends as a process does that crashes: not a packet more is sent, not even to say goodbye. The
    /// node notices by its idle timeout, and keeps the session for its grace time after that, so
    /// that [`ticket`](Self::ticket), taken before, can [`resume`](crate::Builder::resume) it.
    ///
    /// Lost are messages without an ack: they settle as
    /// [`PublishError::Unknown`](crate::PublishError::Unknown), or as
    /// [`PublishError::Closed`](crate::PublishError::Closed) when they were never sent. Requests
    /// fail as closed, and [`Event::Closed`](crate::Event::Closed) comes after the events that wait.
    /// What the node repeats meanwhile is taken and thrown away.
    ///
    /// Cancel safety: once polled, the client is ended even when this is dropped.
    pub async fn abandon(self) {
        self.handle.abandon().await;
    }

    /// Ends the session: waits for the acks of what was published, at most the close timeout (see
    /// [`Builder::close_timeout`](crate::Builder::close_timeout)), says goodbye, and closes the
    /// connection. Takes at most that and two seconds. Messages without an ack by then settle as
    /// [`PublishError::Unknown`](crate::PublishError::Unknown) or, when they were never sent, as
    /// [`PublishError::Closed`](crate::PublishError::Closed).
    ///
    /// Other handles stay valid, and refuse what is asked of them. Cancel safety: once polled, the
    /// session is ended even when this is dropped.
    pub async fn close(self) {
        self.handle.close().await;
    }
}

impl Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = lock(&self.handle.shared().session).welcomed.session;
        out.debug_struct("Client")
            .field("session", &session)
            .finish_non_exhaustive()
    }
}

/// Most names [`Client::members`] joins from pages.
pub const MEMBERS_LEN_MAX: usize = 10_000;

/// Most rooms [`Client::rooms`] joins from pages.
pub const ROOMS_LEN_MAX: usize = 10_000;

const _: () = assert!(MEMBERS_LEN_MAX.is_multiple_of(PAGE_LEN_MAX));
