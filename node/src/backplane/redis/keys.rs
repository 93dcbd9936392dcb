//! Names of keys and channels. A room's keys share the hash tag `{room}`, those of the cluster
//! `{cluster}`: each group is in one slot.

use chat_protocol::RoomName;

use super::super::NodeId;

/// Names keys and channels of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The keys of a room's log in the order in which its scripts take them.
    pub(super) fn log(&self, room: &RoomName) -> [String; 4] {
        ["log", "meta", "senders", "senders:old"].map(|key| self.of_room(room, key))
    }

    /// The hash that holds the log's head.
    pub(super) fn meta(&self, room: &RoomName) -> String {
        self.of_room(room, "meta")
    }

    /// The channel on which a room's blocks are announced.
    pub(super) fn hints(&self, room: &RoomName) -> String {
        self.of_room(room, "hint")
    }

    /// What a node registered; its expiry is the node's lease.
    pub(super) fn registry(&self, node: NodeId) -> String {
        self.of_cluster(&format!("registry:{node}"))
    }

    /// Nodes by the end of their lease.
    pub(super) fn nodes(&self) -> String {
        self.of_cluster("nodes")
    }

    /// Who holds which key.
    pub(super) fn claims(&self) -> String {
        self.of_cluster("claims")
    }

    /// What all nodes know and nobody else.
    pub(super) fn secret(&self) -> String {
        self.of_cluster("secret")
    }

    /// The channel on which nodes tell of themselves.
    pub(super) fn gossip(&self) -> String {
        self.of_cluster("gossip")
    }

    fn of_room(&self, room: &RoomName, key: &str) -> String {
        format!("{}{{{}}}:{key}", self.prefix, room.as_str())
    }

    fn of_cluster(&self, key: &str) -> String {
        format!("{}{{cluster}}:{key}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_operators_see_them() {
        let keys = Keys::new("chat:".to_owned());
        let lobby = RoomName::parse("lobby").unwrap();
        let [log, meta, senders, old] = keys.log(&lobby);
        assert_eq!(log, "chat:{lobby}:log");
        assert_eq!(meta, keys.meta(&lobby));
        assert_eq!(senders, "chat:{lobby}:senders");
        assert_eq!(old, "chat:{lobby}:senders:old");
        assert_eq!(keys.hints(&lobby), "chat:{lobby}:hint");
        let node = NodeId(10);
        assert_eq!(
            keys.registry(node),
            "chat:{cluster}:registry:000000000000000a"
        );
    }
}
