//! Who is in the rooms.

use chat_protocol::UserName;
use chat_protocol::lane::PresenceChange;

use super::{MEMBERS, Model, Now};
use crate::report::{Place, Report};
use crate::tui::room::{MEMBERS_LEN_MAX, Room};
use crate::tui::timeline::Tone;

impl Model {
    pub(super) fn on_presence(
        &mut self,
        place: &Place,
        members: u32,
        changes: &[PresenceChange],
        more: u32,
        now: Now,
    ) {
        let Some(index) = self.index_of(place) else {
            return;
        };
        let me = self.me.clone();
        let others: Vec<PresenceChange> = changes
            .iter()
            .filter(|change| !matches!(change, PresenceChange::Joined(name) if name.as_str() == me))
            .cloned()
            .collect();
        let room = &mut self.rooms[index];
        for change in changes {
            room.members.change(change);
            if let (PresenceChange::Renamed { from, to }, Some(place)) = (change, &mut room.place)
                && place.direct.as_ref() == Some(from)
            {
                place.direct = Some(to.clone());
            }
            if let PresenceChange::Left(name) = change {
                room.typing.retain(|(typing, _)| typing != name);
            }
        }
        room.members.count = members;
        if !others.is_empty() || more > 0 {
            room.timeline.push_crowd(now.ms, &others, more);
        }
        for change in changes {
            room.note_other(change, now.ms);
        }
        if more > 0 && members as usize <= MEMBERS_LEN_MAX {
            self.stale_members.insert(place.room.clone());
        }
    }

    pub(super) fn on_members(
        &mut self,
        reference: Option<&str>,
        place: Place,
        members: Vec<UserName>,
        now: Now,
    ) {
        if let Some(index) = self.index_of(&place) {
            self.rooms[index].members.replace(members.clone());
        }
        if reference != Some(MEMBERS) {
            let report = Report::Members {
                reference: None,
                place,
                members,
            };
            self.remark_all(&report, now);
        }
    }
}

impl Room {
    /// Says when the other of a room of two goes, and comes back.
    fn note_other(&mut self, change: &PresenceChange, at_ms: u64) {
        let Some(other) = self.place.as_ref().and_then(|place| place.direct.clone()) else {
            return;
        };
        match change {
            PresenceChange::Left(name) if *name == other => {
                self.is_abandoned = true;
                let text = format!(
                    "{other} is gone, and nobody reads this room any more; /msg {other} opens \
                     another one when {other} is back"
                );
                self.remark(at_ms, Tone::Error, text);
            }
            PresenceChange::Joined(name) if *name == other => self.is_abandoned = false,
            _ => {}
        }
    }
}
