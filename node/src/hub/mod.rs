//! The hub: everything of this node that is not about one connection. Sessions, background services
//! and tests join, publish and give notice through it.
//!
//! It owns the rooms, the sessions, the names held for them and what is believed of the cluster.
//! It knows connections only as [`Outlet`]s, and no frame but those it has a room tell.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_protocol::client::Start;
use chat_protocol::lane::{self, EndReason, LaneFrame, Notice};
use chat_protocol::{
    Cursor, ErrorCode, Frame, Nonce, RequestId, RoomName, RoomRef, SessionId, UserName,
};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

mod admission;
mod claims;
mod heads;
pub mod history;
pub mod inbox;
mod keys;
mod refer;
mod services;
mod sessions;
mod typing;

pub use admission::Admitted;
use claims::Claims;
use inbox::{Inbox, Invite};
use keys::SessionKeys;
use sessions::Sessions;
pub use typing::TypingCounts;
use typing::Whispers;

use crate::backplane::{Attachment, Backplane, Draft, NodeId, Promise};
use crate::outlet::{Joined, Lane, Opening, Outlet};
use crate::policy::{Policy, Refusal};
use crate::presence::view::{Change, Fact, FactKey};
use crate::presence::{Card, Presence};
use crate::room::{Admission, Flusher, NotAdmitted, Room, Submission, Waiter};

/// The middle of a node. See the module.
#[derive(Debug)]
pub struct Hub {
    node: NodeId,
    settings: Settings,
    backplane: Arc<dyn Backplane>,
    policy: Arc<dyn Policy>,
    keys: SessionKeys,
    rooms: Mutex<HashMap<RoomName, Arc<Room>>>,
    flusher: Arc<Flusher>,
    presence: Presence,
    sessions: Sessions,
    claims: Claims,
    inbox: Inbox,
    /// Turns of readers at the backplane: see [`history`].
    turns: Semaphore,
    whispers: Whispers,
    is_available: watch::Sender<bool>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the node introduces itself.
    pub card: Card,
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
    /// How long an entry may be kept back while the node is busy, to be sent together with others.
    pub linger: Duration,
}

/// A session on its connection, as requests come from it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The session.
    pub session: SessionId,
    /// Its connection.
    pub outlet: Arc<Outlet>,
}

/// Which lane is asked for.
#[derive(Clone, Debug)]
pub struct LaneAsk {
    /// What the client called its request.
    pub request: RequestId,
    /// The room's short name on the connection.
    pub room: RoomRef,
    /// The other of a room of two.
    pub direct: Option<UserName>,
    /// Where to start.
    pub start: Start,
}

impl Hub {
    /// A hub on a backplane, with its services running. Waits for the backplane as long as it
    /// takes; `stop` ends that.
    ///
    /// # Errors
    /// When stopped before the backplane answered.
    pub async fn start(
        settings: Settings,
        attachment: Attachment,
        policy: Arc<dyn Policy>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, Stopped> {
        let node = NodeId(rand::random_range(1 << 16..1 << 62));
        let presence = Presence::new(node, settings.card.clone(), settings.lease);
        let backplane = attachment.backplane;
        let shared = stop
            .run_until_cancelled(services::first_contact(&presence, &*backplane))
            .await
            .ok_or(Stopped)?;
        let (inbox, letters) = Inbox::new(node);
        let flusher = Flusher::new(settings.linger);
        let hub = Arc::new(Self {
            node,
            settings,
            backplane,
            policy,
            keys: SessionKeys::new(shared),
            rooms: Mutex::default(),
            flusher,
            presence,
            sessions: Sessions::default(),
            claims: Claims::new(node),
            inbox,
            turns: Semaphore::new(history::TURNS),
            whispers: Whispers::default(),
            is_available: watch::Sender::new(true),
            tasks: TaskTracker::new(),
            stop,
        });
        services::spawn(&hub, attachment.events, letters);
        Ok(hub)
    }

    /// This start of this node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What the operator set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is believed of the cluster.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Whether messages flow: the node's beacon comes back through the backplane.
    #[must_use]
    pub fn is_available(&self) -> bool {
        *self.is_available.borrow()
    }

    /// What becomes of acknowledged entries, as far as is known by now.
    #[must_use]
    pub fn promise(&self) -> Promise {
        self.backplane.promise()
    }

    /// The name of a session that is on this node.
    #[must_use]
    pub fn name_of(&self, session: SessionId) -> Option<UserName> {
        self.sessions.name(session)
    }

    /// Every connection with a session.
    #[must_use]
    pub fn outlets(&self) -> Vec<Arc<Outlet>> {
        self.sessions.outlets()
    }

    /// Lets a member into a room. The lane is open once the caller hands the opening to its outlet.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] when the backplane did not answer in time,
    /// [`ErrorCode::Overloaded`] when the node has as many rooms as it may.
    pub async fn join(
        self: &Arc<Self>,
        member: &Member,
        name: &RoomName,
        ask: LaneAsk,
    ) -> Result<Opening, Refusal> {
        let connection = member.outlet.id();
        let lane = Arc::new(Lane::new(ask.room, Arc::clone(&member.outlet)));
        let (room, admission) = self
            .within_time(self.admit_lane(&lane, name, ask.start))
            .await?;
        let members = if *name == RoomName::system() {
            0
        } else {
            if !self.sessions.join(member.session, connection, name.clone()) {
                room.release(&lane);
                return Err(Refusal::because(
                    ErrorCode::Internal,
                    "the session moved on",
                ));
            }
            self.tell(
                self.presence
                    .assert(Fact::Member(member.session, name.clone())),
            );
            self.presence.view().member_count(name)
        };
        let joined = LaneFrame::from(lane::Joined {
            request: ask.request,
            room: ask.room,
            name: name.clone(),
            direct: ask.direct,
            head: admission.head,
            next: admission.position.next,
            gap: admission.gap,
            members: u32::try_from(members).unwrap_or(u32::MAX),
            topic: admission.topic,
        });
        Ok(Opening {
            to: Joined { lane, room },
            position: admission.position,
            joined: joined.to_bytes(),
        })
    }

    /// A member leaves a room.
    pub fn leave(&self, member: &Member, Joined { lane, room }: &Joined) {
        room.release(lane);
        member.outlet.end(lane.room, EndReason::Left);
        if self
            .sessions
            .leave(member.session, member.outlet.id(), room.name())
        {
            let fact = Fact::Member(member.session, room.name().clone());
            self.tell(self.presence.retract(fact.key()));
        }
    }

    /// Appends an entry for the session of a lane. It is answered on the lane's connection, within
    /// the append timeout.
    pub fn publish(&self, joined: &Joined, draft: Draft) {
        joined.lane.outlet().begin_publish();
        let waiter = Waiter::Session(Arc::clone(&joined.lane));
        joined
            .room
            .submit(Submission { draft, waiter }, self.deadline());
    }

    /// Tells everybody in the cluster. The same sender and nonce tells it once, whichever nodes try.
    ///
    /// # Errors
    /// As for [`join`](Self::join). Repeating it with the same sender and nonce is safe.
    pub async fn notice(
        self: &Arc<Self>,
        sender: SessionId,
        nonce: Nonce,
        notice: Notice,
    ) -> Result<Cursor, Refusal> {
        let frame = LaneFrame::from(notice).to_bytes();
        let draft = Draft {
            session: sender,
            nonce,
            frame,
            topic: None,
        };
        let (waiter, answer) = oneshot::channel();
        let room = self.within_time(self.open(&RoomName::system())).await?;
        room.submit(
            Submission {
                draft,
                waiter: Waiter::Local(waiter),
            },
            self.deadline(),
        );
        answer
            .await
            .unwrap_or_else(|_| Err(Refusal::of(ErrorCode::Draining)))
    }

    /// Opens the room of two with a user who is connected somewhere, and asks the other in.
    ///
    /// # Errors
    /// [`ErrorCode::NoSuchUser`], and as for [`join`](Self::join).
    pub async fn open_direct(
        self: &Arc<Self>,
        member: &Member,
        with: &str,
        ask: LaneAsk,
    ) -> Result<Opening, Refusal> {
        let found = self.presence.view().find(with);
        let (other, name, node) = found.ok_or_else(|| Refusal::of(ErrorCode::NoSuchUser))?;
        if other == member.session {
            return Err(Refusal::because(ErrorCode::NoSuchUser, "that is you"));
        }
        let room_name = direct_room(member.session, other);
        let from = self
            .sessions
            .name(member.session)
            .ok_or_else(|| Refusal::because(ErrorCode::Internal, "the session moved on"))?;
        let invite = async {
            let room = self.open(&room_name).await?;
            let invite = Invite {
                session: other,
                room: room_name.clone(),
                from,
                after: room.head(),
            };
            inbox::invite(&*self.backplane, node, invite)
                .await
                .map_err(|_| Refusal::of(ErrorCode::Unavailable))
        };
        self.within_time(invite).await?;
        self.join(
            member,
            &room_name,
            LaneAsk {
                direct: Some(name),
                ..ask
            },
        )
        .await
    }

    /// The other of a room of two, if the session is one of the two.
    #[must_use]
    pub fn other_of(&self, session: SessionId, room: &RoomName) -> Option<SessionId> {
        let (one, other) = room.as_str().strip_prefix("@dm/")?.split_once('/')?;
        let (one, other): (SessionId, SessionId) = (one.parse().ok()?, other.parse().ok()?);
        let peer = match session {
            _ if session == one => other,
            _ if session == other => one,
            _ => return None,
        };
        (*room == direct_room(one, other)).then_some(peer)
    }

    /// A connection is gone. Unless the client said goodbye, its session is kept for the grace
    /// time.
    pub fn disconnect(
        &self,
        member: &Member,
        joined: impl IntoIterator<Item = Joined>,
        said_bye: bool,
    ) {
        for Joined { lane, room } in joined {
            room.release(&lane);
        }
        if !said_bye {
            self.sessions
                .detach(member.session, member.outlet.id(), Instant::now());
        } else if let Some((name, rooms)) = self.sessions.remove(member.session, member.outlet.id())
        {
            self.end_session(member.session, &name, rooms);
        }
    }

    /// Refuses nothing any more, and ends every room and service. Sessions elsewhere are not
    /// touched.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        match self
            .within_time_plain(self.presence.resign(&*self.backplane))
            .await
        {
            Some(Ok(())) => debug!("resigned"),
            Some(Err(error)) => debug!(%error, "the lease ends by itself"),
            None => debug!("the lease ends by itself"),
        }
    }

    async fn admit_lane(
        self: &Arc<Self>,
        lane: &Arc<Lane>,
        name: &RoomName,
        start: Start,
    ) -> Result<(Arc<Room>, Admission), Refusal> {
        loop {
            let room = self.open(name).await?;
            let admitted = match room.admit(lane, start) {
                Err(NotAdmitted::AskLog(after)) => {
                    let page = self.look_up(name, after).await?;
                    room.admit_after(lane, after, &page)
                }
                admitted => admitted,
            };
            match admitted {
                Ok(admission) => return Ok((room, admission)),
                // It ended between the two steps.
                Err(_) => room.ended().await,
            }
        }
    }

    /// The room with its tail loaded.
    async fn open(self: &Arc<Self>, name: &RoomName) -> Result<Arc<Room>, Refusal> {
        let room = self.room(name)?;
        room.loaded().await;
        Ok(room)
    }

    fn room(self: &Arc<Self>, name: &RoomName) -> Result<Arc<Room>, Refusal> {
        let mut rooms = self.rooms();
        if let Some(room) = rooms.get(name) {
            return Ok(Arc::clone(room));
        }
        if rooms.len() >= ROOMS_MAX {
            return Err(Refusal::because(
                ErrorCode::Overloaded,
                "the node has no room for rooms",
            ));
        }
        if self.stop.is_cancelled() {
            return Err(Refusal::of(ErrorCode::Draining));
        }
        let (room, hints) = Room::new(
            name.clone(),
            Arc::clone(&self.flusher),
            self.stop.child_token(),
        );
        rooms.insert(name.clone(), Arc::clone(&room));
        let (hub, running) = (Arc::clone(self), Arc::clone(&room));
        self.tasks.spawn(async move {
            Arc::clone(&running)
                .run(Arc::clone(&hub.backplane), hints)
                .await;
            hub.rooms().remove(running.name());
            running.finish();
        });
        Ok(room)
    }

    async fn within_time<T>(
        &self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        self.within_time_plain(work)
            .await
            .unwrap_or_else(|| Err(Refusal::of(ErrorCode::Unavailable)))
    }

    async fn within_time_plain<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        time::timeout(self.settings.append_timeout, work).await.ok()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.settings.append_timeout
    }

    fn end_session(&self, session: SessionId, name: &UserName, rooms: Vec<RoomName>) {
        for room in rooms {
            self.forget_membership(session, room);
        }
        self.tell(self.presence.retract(FactKey::Session(session)));
        self.claims.drop_later(name, session);
    }

    fn forget_membership(&self, session: SessionId, room: RoomName) {
        self.tell(self.presence.retract(Fact::Member(session, room).key()));
    }

    /// Hands changes of members to the rooms they are about.
    fn tell(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let rooms = self.rooms();
        for change in changes {
            if let Some(room) = rooms.get(&change.room) {
                room.on_presence(change.what);
            }
        }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomName, Arc<Room>>> {
        // No code that can panic runs under this lock.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The node was stopped before it was ready.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("stopped before the backplane answered")]
pub struct Stopped;

/// The room of two sessions.
fn direct_room(one: SessionId, other: SessionId) -> RoomName {
    let (low, high) = (one.min(other), one.max(other));
    RoomName::reserved(&["dm", &low.to_string(), &high.to_string()])
        .expect("hex digits make a room name")
}

/// Rooms a node may have open. Each keeps its tail in memory: see `room::task::TAIL`.
const ROOMS_MAX: usize = 10_000;
