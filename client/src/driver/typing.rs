//! Who is typing, in datagrams: said at once or never, and heard as a hint.

use chat_protocol::datagram::{IsTyping, Typing};
use chat_protocol::{ClientDatagram, NodeDatagram};
use tracing::debug;

use crate::driver::Driver;
use crate::driver::rooms::RoomEntry;
use crate::event::Event;
use crate::lock::lock;

impl Driver {
    /// Says where the user is typing. Without a connection, or a node that knows of it, nobody is
    /// told, and nothing waits.
    pub(crate) fn advance_typing(&mut self) {
        let rooms = std::mem::take(&mut *lock(&self.shared.typing));
        let Some(link) = self.link.as_ref().filter(|link| link.has_typing) else {
            return;
        };
        let entries = rooms.iter().filter_map(|room| self.rooms.get(room));
        for room in entries.filter_map(RoomEntry::reference) {
            let datagram = ClientDatagram::IsTyping(IsTyping { room });
            // A path or a node that does not take it: nobody misses it.
            let _ = link.connection.send_datagram(datagram.to_bytes());
        }
    }

    /// The node said something in a datagram. What is not understood is ignored.
    pub(crate) fn on_datagram(&self, datagram: &[u8]) {
        let Typing {
            room,
            session,
            name,
        } = match NodeDatagram::decode(datagram) {
            Ok(Some(NodeDatagram::Typing(typing))) => typing,
            Ok(None) => return,
            Err(error) => return debug!(%error, "a datagram that is none"),
        };
        let known = self.link.as_ref().and_then(|link| link.rooms.get(&room));
        let Some(entry) = known.and_then(|room| self.rooms.get(room)) else {
            return;
        };
        // The application hears of the room first.
        if entry.state.reached().is_some() {
            self.shared.events.push_typing(Event::Typing {
                room: entry.state.name.clone(),
                session,
                name,
            });
        }
    }
}
