//! Who is typing: told to the members who are here at once, and kept nowhere.

use chat_protocol::limits::TYPING_MEMBERS_MAX;
use chat_protocol::{SessionId, UserName};

use super::Room;

impl Room {
    /// Tells the members that somebody is typing, but for the one who is; nobody when there are more
    /// than [`TYPING_MEMBERS_MAX`].
    pub fn tell_typing(&self, author: SessionId, name: &UserName) {
        let state = self.state();
        if state.lanes.len() > TYPING_MEMBERS_MAX {
            return;
        }
        for lane in state.lanes.values() {
            lane.outlet().tell_typing(lane.room, author, name);
        }
    }
}
