//! Who came and went in a room, as its members are told: a few frames, encoded once for all. Pure.

use std::collections::VecDeque;

use bytes::Bytes;
use chat_protocol::Frame;
use chat_protocol::lane::{LaneFrame, Presence, PresenceChange};
use chat_protocol::limits::PRESENCE_NAMES_MAX;

/// The last few changes of a room's members, encoded once for all of them.
#[derive(Debug, Default)]
pub(super) struct PresenceTail {
    version: u64,
    frames: VecDeque<Bytes>,
    members: usize,
    pending: Vec<PresenceChange>,
    more: u32,
}

impl PresenceTail {
    /// Which changes were told last.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Somebody came or went.
    pub(super) fn note(&mut self, change: PresenceChange) {
        if self.pending.len() < PRESENCE_NAMES_MAX {
            self.pending.push(change);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Whether something waits to be told.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Puts what waits into one frame; false when nothing does.
    pub(super) fn flush(&mut self, members: usize) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        self.members = members;
        let frame = presence_frame(members, std::mem::take(&mut self.pending), self.more);
        self.more = 0;
        self.version += 1;
        self.frames.push_back(frame);
        if self.frames.len() > PRESENCE_FRAMES_MAX {
            self.frames.pop_front();
        }
        true
    }

    /// What a lane that told up to `version` has to tell. One that fell behind gets the count.
    pub(super) fn after(&self, version: u64) -> Option<Bytes> {
        let missing = usize::try_from(self.version.saturating_sub(version)).unwrap_or(usize::MAX);
        match missing {
            0 => None,
            1 => self.frames.back().cloned(),
            _ if missing <= self.frames.len() => Some(
                self.frames
                    .range(self.frames.len() - missing..)
                    .flatten()
                    .copied()
                    .collect(),
            ),
            _ => Some(presence_frame(self.members, Vec::new(), 0)),
        }
    }
}

fn presence_frame(members: usize, changes: Vec<PresenceChange>, more: u32) -> Bytes {
    let members = u32::try_from(members).unwrap_or(u32::MAX);
    LaneFrame::from(Presence {
        members,
        changes,
        more,
    })
    .to_bytes()
}

/// Ticks of presence a lane may be behind and still be told every name.
const PRESENCE_FRAMES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_is_told_together_and_bounded() {
        let mut tail = PresenceTail::default();
        for index in 0..PRESENCE_NAMES_MAX + 5 {
            tail.note(PresenceChange::Joined(
                format!("user{index}").parse().unwrap(),
            ));
        }
        assert!(tail.flush(69));
        assert!(!tail.flush(69), "nothing new");
        assert_eq!(tail.version, 1);
        assert!(tail.after(1).is_none());
        let one = tail.after(0).unwrap();
        tail.note(PresenceChange::Left("user0".parse().unwrap()));
        tail.flush(68);
        let two = tail.after(0).unwrap();
        assert!(two.starts_with(&one) && two.len() > one.len());
        for _ in 0..PRESENCE_FRAMES_MAX {
            tail.note(PresenceChange::Left("user1".parse().unwrap()));
            tail.flush(1);
        }
        assert_eq!(
            tail.after(0).unwrap(),
            presence_frame(1, Vec::new(), 0),
            "fell behind"
        );
    }
}
