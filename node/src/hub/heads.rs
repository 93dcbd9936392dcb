//! Compares rooms with the heads of their logs: a lost last hint leaves a hole that nothing coming
//! after it would show.
//!
//! One round of questions to the backplane a second, however much is lost: whether a hint was lost
//! or is on its way is seen by looking at the room once more.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::RoomName;
use tokio::time::{self, MissedTickBehavior};
use tracing::debug;

use super::Hub;
use crate::backplane::ReadError;
use crate::room::Room;

impl Hub {
    /// Compares all rooms of this node with the backplane, for ever.
    pub(super) async fn watch_heads(&self) {
        let mut checks = time::interval(HEADS_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            checks.tick().await;
            let rooms: Vec<Arc<Room>> = self.rooms().values().cloned().collect();
            let mut ahead = Vec::new();
            if let Err(error) = self.check_heads(rooms, &mut ahead).await {
                debug!(%error, "heads not compared");
            }
            for _ in 0..LOOKS_MAX {
                if ahead.is_empty() {
                    break;
                }
                time::sleep(LOOK_AGAIN).await;
                ahead.retain(|room| room.is_still_ahead());
            }
        }
    }

    /// Asks for the heads of all rooms, and adds to `ahead` those of whose log the head has not
    /// come.
    async fn check_heads(
        &self,
        rooms: Vec<Arc<Room>>,
        ahead: &mut Vec<Arc<Room>>,
    ) -> Result<(), ReadError> {
        for rooms in rooms.chunks(HEADS_LEN_MAX) {
            let names: Vec<RoomName> = rooms.iter().map(|room| room.name().clone()).collect();
            for (room, head) in rooms.iter().zip(self.backplane.heads(&names).await?) {
                match head {
                    Some(head) if room.on_head(head) => ahead.push(Arc::clone(room)),
                    Some(_) => {}
                    // Forgotten, with a room's members still here: reading begins it anew, and
                    // they are told.
                    None => room.check_log(),
                }
            }
        }
        Ok(())
    }
}

/// Heads are compared so often. A lost last message is read at most this, one look and one read of
/// the log after it was appended.
const HEADS_EVERY: Duration = Duration::from_secs(1);

/// A room whose head has not come is looked at again after this: hints are on their way for
/// milliseconds, on a busy machine for tens of them.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Looks after one check; then comes the next.
const LOOKS_MAX: u32 = 3;

/// Heads asked for in one call.
const HEADS_LEN_MAX: usize = 256;
