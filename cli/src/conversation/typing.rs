//! Telling the others that the user is typing.

use chat_protocol::RoomName;

use super::Conversation;
use crate::report::Report;

impl Conversation {
    /// Tells the members of a room that the user is typing there: to be called at every key. Cheap,
    /// and nothing comes of it here: no report, and nothing when the room is not open.
    pub fn typing(&self, room: &RoomName) {
        if let Some(room) = self.client.room(room) {
            room.typing();
        }
    }

    /// The same as an operation, which is answered.
    pub(super) fn tell_typing(&mut self, reference: Option<String>, room: Option<RoomName>) {
        let Some(room) = self.open_room(reference.as_deref(), room) else {
            return;
        };
        room.typing();
        let place = Some(self.place(room.name()));
        self.ready.push_back(Report::Done {
            reference,
            operation: "typing",
            place,
        });
    }
}
