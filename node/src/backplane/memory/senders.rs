//! The nonces that a log remembers of each session, so that a repeat gets its first answer.

use std::collections::{HashMap, VecDeque};

use chat_protocol::{Nonce, Seq, SessionId};
use tokio::time::Instant;

use super::super::{NONCES_KEPT, NONCES_REMEMBERED};

/// Nonces by session, in two generations: what is in neither was not used for [`NONCES_KEPT`].
#[derive(Debug)]
pub(super) struct Senders {
    current: HashMap<SessionId, Window>,
    old: HashMap<SessionId, Window>,
    rotated: Instant,
}

/// The last nonces of a session, rising, with their places.
type Window = VecDeque<(Nonce, Seq)>;

/// What is known of a nonce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Known {
    /// It is above all before.
    New,
    /// It has this place.
    At(Seq),
    /// It is not above all before, and not remembered.
    TooOld,
}

impl Senders {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            current: HashMap::new(),
            old: HashMap::new(),
            rotated: now,
        }
    }

    /// Forgets sessions that have not appended for long.
    pub(super) fn rotate(&mut self, now: Instant) {
        let age = now - self.rotated;
        if age >= NONCES_KEPT {
            self.old = std::mem::take(&mut self.current);
            if age >= 2 * NONCES_KEPT {
                self.old.clear();
            }
            self.rotated = now;
        }
    }

    pub(super) fn find(&self, session: SessionId, nonce: Nonce) -> Known {
        let window = self
            .current
            .get(&session)
            .or_else(|| self.old.get(&session));
        let Some(window) = window else {
            return Known::New;
        };
        if window.back().is_none_or(|&(last, _)| nonce > last) {
            return Known::New;
        }
        match window.binary_search_by_key(&nonce, |&(nonce, _)| nonce) {
            Ok(index) => window
                .get(index)
                .map_or(Known::TooOld, |&(_, seq)| Known::At(seq)),
            Err(_) => Known::TooOld,
        }
    }

    /// Remembers the place of a nonce above all before.
    pub(super) fn remember(&mut self, session: SessionId, nonce: Nonce, seq: Seq) {
        let old = &mut self.old;
        let window = self
            .current
            .entry(session)
            .or_insert_with(|| old.remove(&session).unwrap_or_default());
        if window.len() >= NONCES_REMEMBERED {
            window.pop_front();
        }
        window.push_back((nonce, seq));
    }
}
