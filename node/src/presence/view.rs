//! What this node believes of the whole cluster: which node serves which session, and who is in
//! which room. Pure: changes in, what people should be told out.
//!
//! A session may be on two nodes at once while it moves; it is there as long as one node says so,
//! and a name or membership is told once.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use chat_protocol::lane::PresenceChange;
use chat_protocol::{RoomName, SessionId, UserName};
use serde::{Deserialize, Serialize};

use crate::backplane::{NodeId, Registry};
use crate::names;

/// One fact a node registers about itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fact {
    /// It serves a session of this name.
    Session(SessionId, UserName),
    /// A session it serves is in a room.
    Member(SessionId, RoomName),
}

/// The key of a fact: what is removed when it is no longer so.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum FactKey {
    /// A session.
    Session(SessionId),
    /// A membership.
    Member(SessionId, RoomName),
}

impl Fact {
    /// The fact's key.
    #[must_use]
    pub fn key(&self) -> FactKey {
        match self {
            Self::Session(session, _) => FactKey::Session(*session),
            Self::Member(session, room) => FactKey::Member(*session, room.clone()),
        }
    }

    /// Key and value, as the backplane keeps them.
    #[must_use]
    pub fn to_entry(&self) -> (Bytes, Bytes) {
        let value = match self {
            Self::Session(_, name) => Bytes::copy_from_slice(name.as_str().as_bytes()),
            Self::Member(..) => Bytes::new(),
        };
        (self.key().to_bytes(), value)
    }

    /// The fact in an entry, unless it is damaged or of a later version.
    #[must_use]
    pub fn from_entry(key: &[u8], value: &[u8]) -> Option<Self> {
        match FactKey::from_bytes(key)? {
            FactKey::Session(session) => {
                let name = String::from_utf8(value.to_vec()).ok()?;
                Some(Self::Session(session, UserName::try_from(name).ok()?))
            }
            FactKey::Member(session, room) => Some(Self::Member(session, room)),
        }
    }
}

impl FactKey {
    /// Which session it is about.
    #[must_use]
    pub fn session(&self) -> SessionId {
        match self {
            Self::Session(session) | Self::Member(session, _) => *session,
        }
    }

    /// As the backplane keeps it.
    ///
    /// # Panics
    /// Never: a key of numbers and a short name always encodes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        postcard::to_stdvec(self)
            .expect("a key always encodes")
            .into()
    }

    /// The key in these bytes, unless they are damaged or of a later version.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

/// Something people in a room should be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The room.
    pub room: RoomName,
    /// What happened there.
    pub what: PresenceChange,
}

/// Everything this node believes.
#[derive(Debug, Default)]
pub struct View {
    nodes: HashMap<NodeId, HashMap<FactKey, Fact>>,
    sessions: HashMap<SessionId, SessionView>,
    names: HashMap<String, HashSet<SessionId>>,
    rooms: BTreeMap<RoomName, HashSet<SessionId>>,
}

/// What is known of a session. Kept as long as a node serves it or says it is in a room.
#[derive(Debug, Default)]
struct SessionView {
    /// Unknown while only a membership has come.
    name: Option<UserName>,
    nodes: HashSet<NodeId>,
    rooms: HashMap<RoomName, HashSet<NodeId>>,
}

impl View {
    /// A node says something is so. Returns what people should be told.
    pub fn assert(&mut self, node: NodeId, fact: Fact) -> Vec<Change> {
        self.nodes
            .entry(node)
            .or_default()
            .insert(fact.key(), fact.clone());
        match fact {
            Fact::Session(session, name) => self.assert_session(node, session, name),
            Fact::Member(session, room) => self.assert_member(node, session, room),
        }
    }

    /// A node says something is no longer so. Returns what people should be told.
    pub fn retract(&mut self, node: NodeId, key: &FactKey) -> Vec<Change> {
        match self
            .nodes
            .get_mut(&node)
            .and_then(|facts| facts.remove(key))
        {
            Some(Fact::Session(session, _)) => self.retract_session(node, session),
            Some(Fact::Member(session, room)) => self.retract_member(node, session, &room),
            None => Vec::new(),
        }
    }

    /// A node is gone with everything it said.
    pub fn remove_node(&mut self, node: NodeId) -> Vec<Change> {
        let keys: Vec<FactKey> = self
            .nodes
            .get(&node)
            .map(|facts| facts.keys().cloned().collect())
            .unwrap_or_default();
        let changes = self.retract_all(node, keys);
        self.nodes.remove(&node);
        changes
    }

    /// A node's whole registry was read: what it does not say any more is retracted.
    pub fn replace_node(&mut self, node: NodeId, registry: &Registry) -> Vec<Change> {
        let facts: Vec<Fact> = registry
            .entries
            .iter()
            .filter_map(|(key, value)| Fact::from_entry(key, value))
            .collect();
        let keep: HashSet<FactKey> = facts.iter().map(Fact::key).collect();
        let known = self.nodes.entry(node).or_default();
        let gone: Vec<FactKey> = known
            .keys()
            .filter(|key| !keep.contains(*key))
            .cloned()
            .collect();
        let mut changes = Vec::new();
        for fact in facts {
            changes.extend(self.assert(node, fact));
        }
        changes.extend(self.retract_all(node, gone));
        changes
    }

    /// Nodes that said anything.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.keys().copied()
    }

    /// Everything `node` said, for writing it anew.
    pub fn facts(&self, node: NodeId) -> impl Iterator<Item = &Fact> + '_ {
        self.nodes.get(&node).into_iter().flat_map(HashMap::values)
    }

    /// What `node` said of one session.
    #[must_use]
    pub fn facts_of(&self, node: NodeId, session: SessionId) -> Vec<Fact> {
        let Some(view) = self.sessions.get(&session) else {
            return Vec::new();
        };
        let rooms = view.rooms.keys().cloned();
        let keys = rooms.map(|room| FactKey::Member(session, room));
        let facts = self.nodes.get(&node);
        std::iter::once(FactKey::Session(session))
            .chain(keys)
            .filter_map(|key| facts?.get(&key).cloned())
            .collect()
    }

    /// Members of a room.
    #[must_use]
    pub fn member_count(&self, room: &RoomName) -> usize {
        self.rooms.get(room).map_or(0, HashSet::len)
    }

    /// Names of a room's members after `after`, ordered, at most `len_max`, and whether more follow.
    #[must_use]
    pub fn members(
        &self,
        room: &RoomName,
        after: Option<&UserName>,
        len_max: usize,
    ) -> (Vec<UserName>, bool) {
        let mut names: Vec<&UserName> = self
            .rooms
            .get(room)
            .into_iter()
            .flatten()
            .filter_map(|session| self.name(*session))
            .filter(|name| after.is_none_or(|after| *name > after))
            .collect();
        names.sort_unstable();
        let more = names.len() > len_max;
        (names.into_iter().take(len_max).cloned().collect(), more)
    }

    /// Rooms with members after `after`, ordered, that people may see, at most `len_max`, and
    /// whether more follow.
    #[must_use]
    pub fn rooms(
        &self,
        after: Option<&RoomName>,
        len_max: usize,
    ) -> (Vec<(RoomName, usize)>, bool) {
        let mut rooms: Vec<_> = self
            .rooms
            .iter()
            .filter(|(room, _)| !room.is_reserved())
            .filter(|(room, _)| after.is_none_or(|after| *room > after))
            .take(len_max + 1)
            .map(|(room, members)| (room.clone(), members.len()))
            .collect();
        let more = rooms.len() > len_max;
        rooms.truncate(len_max);
        (rooms, more)
    }

    /// The session of this name (or one that looks like it), its exact name and a node it is on.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(SessionId, UserName, NodeId)> {
        let mut found = None;
        for session in self.names.get(&names::key(name))? {
            let Some(view) = self.sessions.get(session) else {
                continue;
            };
            let (Some(known), Some(&node)) = (&view.name, view.nodes.iter().next()) else {
                continue;
            };
            found = Some((*session, known.clone(), node));
            if known.as_str() == name {
                break;
            }
        }
        found
    }

    /// A session's name.
    #[must_use]
    pub fn name(&self, session: SessionId) -> Option<&UserName> {
        self.sessions.get(&session)?.name.as_ref()
    }

    fn assert_session(&mut self, node: NodeId, session: SessionId, name: UserName) -> Vec<Change> {
        let view = self.sessions.entry(session).or_default();
        view.nodes.insert(node);
        if view.name.as_ref() == Some(&name) {
            return Vec::new();
        }
        let before = view.name.replace(name.clone());
        let what = match &before {
            Some(from) => PresenceChange::Renamed {
                from: from.clone(),
                to: name.clone(),
            },
            None => PresenceChange::Joined(name.clone()),
        };
        let changes = view
            .rooms
            .keys()
            .map(|room| Change {
                room: room.clone(),
                what: what.clone(),
            })
            .collect();
        if let Some(before) = before {
            self.forget_name(session, &before);
        }
        self.names
            .entry(names::key(name.as_str()))
            .or_default()
            .insert(session);
        changes
    }

    fn assert_member(&mut self, node: NodeId, session: SessionId, room: RoomName) -> Vec<Change> {
        let view = self.sessions.entry(session).or_default();
        view.rooms.entry(room.clone()).or_default().insert(node);
        let is_new = self.rooms.entry(room.clone()).or_default().insert(session);
        match &view.name {
            Some(name) if is_new => {
                vec![Change {
                    room,
                    what: PresenceChange::Joined(name.clone()),
                }]
            }
            _ => Vec::new(),
        }
    }

    fn retract_session(&mut self, node: NodeId, session: SessionId) -> Vec<Change> {
        let Some(view) = self.sessions.get_mut(&session) else {
            return Vec::new();
        };
        view.nodes.remove(&node);
        if !view.nodes.is_empty() {
            return Vec::new();
        }
        // Nobody serves it any more, so it is in no room, whatever was said of that.
        let rooms: Vec<RoomName> = view.rooms.drain().map(|(room, _)| room).collect();
        let name = view.name.take();
        self.sessions.remove(&session);
        for room in &rooms {
            self.forget_member(session, room);
        }
        let Some(name) = name else {
            return Vec::new();
        };
        self.forget_name(session, &name);
        rooms
            .into_iter()
            .map(|room| Change {
                room,
                what: PresenceChange::Left(name.clone()),
            })
            .collect()
    }

    fn retract_member(&mut self, node: NodeId, session: SessionId, room: &RoomName) -> Vec<Change> {
        let Some(view) = self.sessions.get_mut(&session) else {
            return Vec::new();
        };
        if let Some(nodes) = view.rooms.get_mut(room) {
            nodes.remove(&node);
            if !nodes.is_empty() {
                return Vec::new();
            }
        }
        let was_there = view.rooms.remove(room).is_some();
        let name = view.name.clone();
        if view.nodes.is_empty() && view.rooms.is_empty() {
            self.sessions.remove(&session);
        }
        self.forget_member(session, room);
        match name {
            Some(name) if was_there => {
                vec![Change {
                    room: room.clone(),
                    what: PresenceChange::Left(name),
                }]
            }
            _ => Vec::new(),
        }
    }

    fn retract_all(&mut self, node: NodeId, keys: Vec<FactKey>) -> Vec<Change> {
        keys.iter()
            .flat_map(|key| self.retract(node, key))
            .collect()
    }

    fn forget_member(&mut self, session: SessionId, room: &RoomName) {
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(&session);
            if members.is_empty() {
                self.rooms.remove(room);
            }
        }
    }

    fn forget_name(&mut self, session: SessionId, name: &UserName) {
        let key = names::key(name.as_str());
        if let Some(sessions) = self.names.get_mut(&key) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.names.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANN: SessionId = SessionId(1);
    const NODES: [NodeId; 2] = [NodeId(1), NodeId(2)];

    fn session(id: SessionId, name: &str) -> Fact {
        Fact::Session(id, name.parse().unwrap())
    }

    fn member(id: SessionId, room: &str) -> Fact {
        Fact::Member(id, room.parse().unwrap())
    }

    fn told(changes: &[Change]) -> Vec<String> {
        changes
            .iter()
            .map(|change| match &change.what {
                PresenceChange::Joined(name) => format!("{} +{name}", change.room),
                PresenceChange::Left(name) => format!("{} -{name}", change.room),
                PresenceChange::Renamed { from, to } => format!("{} {from}>{to}", change.room),
            })
            .collect()
    }

    #[test]
    fn a_session_that_moves_is_told_once() {
        let mut view = View::default();
        assert_eq!(told(&view.assert(NODES[0], session(ANN, "ann"))), [""; 0]);
        assert_eq!(
            told(&view.assert(NODES[0], member(ANN, "lobby"))),
            ["lobby +ann"]
        );
        assert_eq!(told(&view.assert(NODES[1], session(ANN, "ann"))), [""; 0]);
        assert_eq!(told(&view.assert(NODES[1], member(ANN, "lobby"))), [""; 0]);
        assert_eq!(
            told(&view.remove_node(NODES[0])),
            [""; 0],
            "she is on the other node"
        );
        assert_eq!(view.find("ANN").map(|(_, _, node)| node), Some(NODES[1]));
        assert_eq!(told(&view.remove_node(NODES[1])), ["lobby -ann"]);
        assert_eq!(view.member_count(&"lobby".parse().unwrap()), 0);
        assert_eq!(view.find("ann"), None);
    }

    #[test]
    fn a_rename_is_told_in_every_room() {
        let mut view = View::default();
        view.assert(NODES[0], member(ANN, "lobby"));
        assert_eq!(
            told(&view.assert(NODES[0], session(ANN, "ann"))),
            ["lobby +ann"],
            "a membership that came before its session"
        );
        assert_eq!(
            told(&view.assert(NODES[0], session(ANN, "anna"))),
            ["lobby ann>anna"]
        );
        assert_eq!(view.find("ann"), None);
        assert_eq!(
            view.members(&"lobby".parse().unwrap(), None, 9).0[0].as_str(),
            "anna"
        );
    }

    #[test]
    fn facts_survive_the_backplane() {
        for fact in [session(ANN, "ann"), member(ANN, "lobby")] {
            let (key, value) = fact.to_entry();
            assert_eq!(Fact::from_entry(&key, &value), Some(fact));
        }
        assert_eq!(Fact::from_entry(b"\xff\xff", b""), None);
        assert_eq!(
            Fact::from_entry(&FactKey::Session(ANN).to_bytes(), b"[SERVER]"),
            None
        );
    }

    proptest! {
        /// Whatever order things are said in, what is told adds up to who is there.
        #[test]
        fn what_is_told_adds_up(steps in prop::collection::vec((0usize..2, 0u64..3, 0usize..5), 1..60)) {
            let mut view = View::default();
            let mut there: HashMap<(String, String), bool> = HashMap::new();
            for (node, id, action) in steps {
                let node = NODES[node];
                let id = SessionId(id);
                let name = format!("user{}", id.0);
                let changes = match action {
                    0 => view.assert(node, session(id, &name)),
                    1 => view.assert(node, member(id, "a")),
                    2 => view.retract(node, &FactKey::Session(id)),
                    3 => view.retract(node, &member(id, "a").key()),
                    _ => view.remove_node(node),
                };
                for change in changes {
                    let (name, here) = match change.what {
                        PresenceChange::Joined(name) => (name, true),
                        PresenceChange::Left(name) => (name, false),
                        PresenceChange::Renamed { .. } => continue,
                    };
                    let slot = there.entry((change.room.to_string(), name.to_string())).or_default();
                    prop_assert_ne!(*slot, here, "told twice");
                    *slot = here;
                }
                let room: RoomName = "a".parse().unwrap();
                let (members, _) = view.members(&room, None, 10);
                let told: HashSet<String> = there
                    .iter()
                    .filter(|(_, here)| **here)
                    .map(|((_, name), _)| name.clone())
                    .collect();
                let seen: HashSet<String> = members.iter().map(ToString::to_string).collect();
                prop_assert_eq!(told, seen);
            }
        }
    }
}
