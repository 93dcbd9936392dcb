//! What is known of one epoch of a room's log: who was acked where, and what readers found there.

use chat_protocol::Seq;

use super::hash::QuickMap;
use super::{Found, Stamp};

/// One epoch of a log. Places up to `folded` are judged and forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    slots: QuickMap<u64, Slot>,
    /// What fewer found, at places where readers did not find the same.
    others: QuickMap<u64, Vec<(Found, u32)>>,
    pub(super) folded: u64,
    /// Each sender's last message up to `folded`.
    pub(super) last_counters: QuickMap<u64, u64>,
    /// Whether anybody read it.
    pub(super) is_read: bool,
    /// Whether it is among the epochs that were counted.
    pub(super) is_counted: bool,
}

/// A place of a log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// The message that was acked here.
    pub(super) acked: Option<Stamp>,
    /// What was found first, and by how many readers.
    pub(super) found: Option<Found>,
    pub(super) votes: u32,
    /// Whether a reader passed without finding what was acked here.
    pub(super) is_missed: bool,
    /// It is at or before `folded`, and kept for a reader who may still be given it.
    pub(super) is_kept: bool,
}

impl Log {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slot(&self, place: u64) -> Option<&Slot> {
        self.slots.get(&place)
    }

    /// The place, to be written to; `None` when it is forgotten.
    pub(super) fn slot_mut(&mut self, place: u64) -> Option<&mut Slot> {
        if place > self.folded {
            return Some(self.slots.entry(place).or_default());
        }
        self.slots.get_mut(&place)
    }

    /// A known place, to be written to.
    pub(super) fn known_mut(&mut self, place: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&place)
    }

    /// One more reader found this at a place. Says whether the place is still known.
    pub(super) fn vote(&mut self, place: u64, found: Found) -> bool {
        self.is_read = true;
        let Some(slot) = self.slot_mut(place) else {
            return false;
        };
        if *slot.found.get_or_insert(found) == found {
            slot.votes += 1;
            return true;
        }
        let others = self.others.entry(place).or_default();
        let known = others.iter().position(|(other, _)| *other == found);
        match known {
            None if others.len() < OTHERS_LEN_MAX => others.push((found, 1)),
            // More kinds of difference than that are counted with the last of them.
            known => others[known.unwrap_or(OTHERS_LEN_MAX - 1)].1 += 1,
        }
        true
    }

    /// What most readers found at a place. Of two that are as many, the one that was acked there.
    pub(super) fn found(&self, place: u64) -> Option<Found> {
        let slot = self.slots.get(&place)?;
        let first = (slot.found?, slot.votes);
        let others = self.others.get(&place).into_iter().flatten().copied();
        let is_acked = |found: &Found| slot.acked.is_some() && found.stamp == slot.acked;
        let most = others.chain([first]);
        let most = most.max_by_key(|(found, votes)| (*votes, is_acked(found), Some(found.hash)));
        most.map(|(found, _)| found)
    }

    /// How many readers found something else than most did, and what.
    pub(super) fn minority(&self, place: u64) -> Vec<(Found, u32)> {
        let (Some(others), Some(most)) = (self.others.get(&place), self.found(place)) else {
            return Vec::new();
        };
        let slot = self.slots.get(&place);
        let first = slot.and_then(|slot| Some((slot.found?, slot.votes)));
        let all = others.iter().copied().chain(first);
        all.filter(|(found, _)| *found != most).collect()
    }

    /// Places with something known, in order.
    pub(super) fn places(&self) -> Vec<u64> {
        let mut places: Vec<u64> = self.slots.keys().copied().collect();
        places.sort_unstable();
        places
    }

    /// Places with something known between two others, both not included, in order.
    pub(super) fn between(&self, after: u64, before: u64) -> Vec<u64> {
        let is_short = before.saturating_sub(after) <= self.slots.len() as u64;
        if is_short {
            let range = after.saturating_add(1)..before;
            return range
                .filter(|place| self.slots.contains_key(place))
                .collect();
        }
        let known = self.slots.keys().copied();
        let mut places: Vec<u64> = known.filter(|p| *p > after && *p < before).collect();
        places.sort_unstable();
        places
    }

    /// Forgets a place.
    pub(super) fn forget(&mut self, place: u64) {
        self.slots.remove(&place);
        self.others.remove(&place);
    }

    /// Forgets all places, once they were judged.
    pub(super) fn forget_all(&mut self) {
        self.folded = self.last();
        self.slots.clear();
        self.others.clear();
    }

    /// The last place that was acked or read.
    pub(super) fn last(&self) -> u64 {
        self.slots.keys().copied().max().unwrap_or(self.folded)
    }

    /// What was found at a seq, by stamp.
    pub(super) fn stamp(&self, seq: Seq) -> Option<Option<Stamp>> {
        self.found(seq.0).map(|found| found.stamp)
    }
}

/// A place at which more than this many different things were found is broken beyond counting.
const OTHERS_LEN_MAX: usize = 16;
