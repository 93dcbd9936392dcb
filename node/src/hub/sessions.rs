//! The sessions this node serves: which connection each is on, and for how long one without a
//! connection is kept. Pure but for its lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_protocol::{RoomName, SessionId, UserName};
use tokio::time::Instant;

use crate::outlet::{ConnectionId, Invitation, Outlet};

/// The sessions of this node.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    entries: Mutex<HashMap<SessionId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    name: UserName,
    state: State,
    /// Rooms it is a member of here; whether its present connection joined them too.
    rooms: HashMap<RoomName, bool>,
    /// Rooms of two it was asked into while it had no connection.
    invitations: Vec<Invitation>,
}

#[derive(Debug)]
enum State {
    /// On a connection. Until the given time it may join again the rooms it was in before.
    Attached(Arc<Outlet>, Option<Instant>),
    /// Without one, since then.
    Detached(Instant),
}

/// What to do with an invitation.
#[derive(Debug)]
pub(super) enum Invited {
    /// Open the room on this connection.
    Now(Arc<Outlet>),
    /// It is kept for the next connection, or the session is in the room already.
    Kept,
    /// The session is not here.
    Unknown,
}

/// What ends because its time is over.
#[derive(Debug, Default)]
pub(super) struct Expired {
    /// Sessions, with their names and rooms.
    pub(super) sessions: Vec<(SessionId, UserName, Vec<RoomName>)>,
    /// Rooms that sessions did not join again after a reconnect.
    pub(super) rooms: Vec<(SessionId, RoomName)>,
}

impl Sessions {
    /// A session has a connection. Returns the one it had here before, and the invitations that
    /// waited.
    pub(super) fn attach(
        &self,
        session: SessionId,
        name: UserName,
        outlet: &Arc<Outlet>,
        now: Instant,
        grace: Duration,
    ) -> (Option<Arc<Outlet>>, Vec<Invitation>) {
        let mut entries = self.entries();
        let entry = entries.entry(session).or_insert_with(|| Entry {
            name: name.clone(),
            state: State::Detached(now),
            rooms: HashMap::new(),
            invitations: Vec::new(),
        });
        entry.name = name;
        entry
            .rooms
            .values_mut()
            .for_each(|is_joined| *is_joined = false);
        let rejoin_until = (!entry.rooms.is_empty()).then(|| now + grace);
        let attached = State::Attached(Arc::clone(outlet), rejoin_until);
        let before = std::mem::replace(&mut entry.state, attached);
        let replaced = match before {
            State::Attached(before, _) if before.id() != outlet.id() => Some(before),
            _ => None,
        };
        (replaced, std::mem::take(&mut entry.invitations))
    }

    /// A connection ended without goodbye: its session is kept for a while. Does nothing when the
    /// session is on another connection by now.
    pub(super) fn detach(&self, session: SessionId, connection: ConnectionId, now: Instant) {
        if let Some(entry) = self.entries().get_mut(&session)
            && entry.is_on(connection)
        {
            entry.state = State::Detached(now);
        }
    }

    /// A session ended. Returns its name and rooms, unless it is on another connection by now.
    #[must_use]
    pub(super) fn remove(
        &self,
        session: SessionId,
        connection: ConnectionId,
    ) -> Option<(UserName, Vec<RoomName>)> {
        let mut entries = self.entries();
        if !entries.get(&session)?.is_on(connection) {
            return None;
        }
        let entry = entries.remove(&session)?;
        Some((entry.name, entry.rooms.into_keys().collect()))
    }

    /// A session joined a room. False when it is on another connection by now.
    #[must_use]
    pub(super) fn join(
        &self,
        session: SessionId,
        connection: ConnectionId,
        room: RoomName,
    ) -> bool {
        match self.entries().get_mut(&session) {
            Some(entry) if entry.is_on(connection) => {
                entry.rooms.insert(room, true);
                true
            }
            _ => false,
        }
    }

    /// A session left a room. False when it is on another connection by now.
    #[must_use]
    pub(super) fn leave(
        &self,
        session: SessionId,
        connection: ConnectionId,
        room: &RoomName,
    ) -> bool {
        match self.entries().get_mut(&session) {
            Some(entry) if entry.is_on(connection) => entry.rooms.remove(room).is_some(),
            _ => false,
        }
    }

    /// A session has another name. Returns the one before.
    pub(super) fn rename(&self, session: SessionId, name: UserName) -> Option<UserName> {
        let mut entries = self.entries();
        entries
            .get_mut(&session)
            .map(|entry| std::mem::replace(&mut entry.name, name))
    }

    /// A session's name, when it is here.
    #[must_use]
    pub(super) fn name(&self, session: SessionId) -> Option<UserName> {
        self.entries().get(&session).map(|entry| entry.name.clone())
    }

    /// Every session and its name.
    #[must_use]
    pub(super) fn names(&self) -> Vec<(SessionId, UserName)> {
        self.entries()
            .iter()
            .map(|(session, entry)| (*session, entry.name.clone()))
            .collect()
    }

    /// A session is asked into a room of two.
    pub(super) fn invite(&self, session: SessionId, invitation: Invitation) -> Invited {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(&session) else {
            return Invited::Unknown;
        };
        if entry.rooms.get(&invitation.room) == Some(&true) {
            return Invited::Kept;
        }
        match &entry.state {
            State::Attached(outlet, _) => Invited::Now(Arc::clone(outlet)),
            State::Detached(_) => {
                if entry.invitations.len() < INVITATIONS_MAX {
                    entry.invitations.push(invitation);
                }
                Invited::Kept
            }
        }
    }

    /// Every connection there is.
    #[must_use]
    pub(super) fn outlets(&self) -> Vec<Arc<Outlet>> {
        self.entries()
            .values()
            .filter_map(|entry| match &entry.state {
                State::Attached(outlet, _) => Some(Arc::clone(outlet)),
                State::Detached(_) => None,
            })
            .collect()
    }

    /// Sessions that have a connection.
    #[must_use]
    pub(super) fn attached(&self) -> Vec<SessionId> {
        self.entries()
            .iter()
            .filter(|(_, entry)| matches!(entry.state, State::Attached(..)))
            .map(|(session, _)| *session)
            .collect()
    }

    /// Takes out what had its time.
    #[must_use]
    pub(super) fn expire(&self, now: Instant, grace: Duration) -> Expired {
        let mut expired = Expired::default();
        self.entries()
            .retain(|session, entry| match &mut entry.state {
                State::Detached(since) if now.duration_since(*since) >= grace => {
                    let rooms = std::mem::take(&mut entry.rooms).into_keys().collect();
                    expired.sessions.push((*session, entry.name.clone(), rooms));
                    false
                }
                State::Attached(_, until) if until.is_some_and(|until| now >= until) => {
                    *until = None;
                    entry.rooms.retain(|room, is_joined| {
                        if !*is_joined {
                            expired.rooms.push((*session, room.clone()));
                        }
                        *is_joined
                    });
                    true
                }
                _ => true,
            });
        expired
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        // No code that can panic runs under this lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_on(&self, connection: ConnectionId) -> bool {
        matches!(&self.state, State::Attached(outlet, _) if outlet.id() == connection)
    }
}

/// Rooms of two a session without a connection may be asked into.
const INVITATIONS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use chat_protocol::{Cursor, Epoch, Seq};

    use super::*;

    const ANN: SessionId = SessionId(1);
    const GRACE: Duration = Duration::from_secs(5);

    fn outlet(id: u64) -> Arc<Outlet> {
        Arc::new(Outlet::new(ConnectionId(id)).0)
    }

    fn lobby() -> RoomName {
        "lobby".parse().unwrap()
    }

    fn name() -> UserName {
        "ann".parse().unwrap()
    }

    #[test]
    fn a_short_absence_is_no_leave() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        sessions.attach(ANN, name(), &outlet(1), start, GRACE);
        assert!(sessions.join(ANN, ConnectionId(1), lobby()));
        sessions.detach(ANN, ConnectionId(1), start);
        assert!(
            sessions
                .expire(start + GRACE / 2, GRACE)
                .sessions
                .is_empty()
        );
        sessions.attach(ANN, name(), &outlet(2), start + GRACE / 2, GRACE);
        assert!(sessions.join(ANN, ConnectionId(2), lobby()));
        let expired = sessions.expire(start + GRACE * 4, GRACE);
        assert!(expired.sessions.is_empty() && expired.rooms.is_empty());
    }

    #[test]
    fn a_long_absence_is_a_leave_of_all_rooms() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        sessions.attach(ANN, name(), &outlet(1), start, GRACE);
        assert!(sessions.join(ANN, ConnectionId(1), lobby()));
        sessions.detach(ANN, ConnectionId(1), start);
        let expired = sessions.expire(start + GRACE, GRACE);
        assert_eq!(expired.sessions, [(ANN, name(), vec![lobby()])]);
        assert_eq!(sessions.name(ANN), None);
    }

    #[test]
    fn a_room_that_is_not_joined_again_is_left() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        sessions.attach(ANN, name(), &outlet(1), start, GRACE);
        assert!(sessions.join(ANN, ConnectionId(1), lobby()));
        sessions.attach(ANN, name(), &outlet(2), start, GRACE);
        assert_eq!(
            sessions.expire(start + GRACE, GRACE).rooms,
            [(ANN, lobby())]
        );
    }

    #[test]
    fn an_old_connection_cannot_touch_its_replacement() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let (old, new) = (outlet(1), outlet(2));
        sessions.attach(ANN, name(), &old, start, GRACE);
        let (replaced, _) = sessions.attach(ANN, name(), &new, start, GRACE);
        assert_eq!(replaced.map(|outlet| outlet.id()), Some(ConnectionId(1)));
        sessions.detach(ANN, ConnectionId(1), start);
        assert!(sessions.remove(ANN, ConnectionId(1)).is_none());
        assert!(!sessions.join(ANN, ConnectionId(1), lobby()));
        assert!(sessions.expire(start + GRACE, GRACE).sessions.is_empty());
        assert!(sessions.remove(ANN, ConnectionId(2)).is_some());
    }

    #[test]
    fn an_invitation_waits_for_the_next_connection() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let invitation = Invitation {
            room: RoomName::reserved(&["dm", "1", "2"]).unwrap(),
            from: "bo".parse().unwrap(),
            after: Cursor::new(Epoch(1), Seq(0)),
        };
        assert!(matches!(
            sessions.invite(ANN, invitation.clone()),
            Invited::Unknown
        ));
        sessions.attach(ANN, name(), &outlet(1), start, GRACE);
        assert!(matches!(
            sessions.invite(ANN, invitation.clone()),
            Invited::Now(_)
        ));
        sessions.detach(ANN, ConnectionId(1), start);
        assert!(matches!(
            sessions.invite(ANN, invitation.clone()),
            Invited::Kept
        ));
        let (_, waiting) = sessions.attach(ANN, name(), &outlet(2), start, GRACE);
        assert_eq!(waiting, [invitation]);
    }
}
