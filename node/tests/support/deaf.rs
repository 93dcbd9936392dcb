//! A node that misses announcements on any backplane, without anybody noticing a cut.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use chat_node::backplane::{Attachment, Event};
use chat_protocol::RoomName;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Swallows announcements.
#[derive(Debug, Default)]
pub struct Deaf {
    /// Rooms whose next announcement is swallowed.
    rooms: Mutex<HashSet<RoomName>>,
}

impl Deaf {
    /// Puts it between an attachment's events and the node.
    pub fn before(attachment: Attachment) -> (Arc<Self>, Attachment) {
        let deaf = Arc::new(Self::default());
        let (sender, events) = mpsc::channel(1_024);
        let (ear, mut heard) = (Arc::clone(&deaf), attachment.events);
        // Ends with either of the two.
        TaskTracker::new().spawn(async move {
            while let Some(event) = heard.recv().await {
                if !ear.misses(&event) && sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        let backplane = attachment.backplane;
        (deaf, Attachment { backplane, events })
    }

    /// The next announcement of this room, and only that, is not heard.
    pub fn miss_next(&self, room: &RoomName) {
        self.rooms.lock().unwrap().insert(room.clone());
    }

    /// Whether the next announcement of this room is still to be missed.
    pub fn is_to_miss(&self, room: &RoomName) -> bool {
        self.rooms.lock().unwrap().contains(room)
    }

    fn misses(&self, event: &Event) -> bool {
        match event {
            Event::Announced { room, .. } => self.rooms.lock().unwrap().remove(room),
            _ => false,
        }
    }
}
