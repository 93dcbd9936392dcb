//! Whether Redis answers, as one fact made of two connections; and the way out for events.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use super::super::Event;
use super::super::outbox::Outbox;
use crate::config::RedisUrl;

/// Says once for each change, to the log and to the node, whether Redis answers.
#[derive(Debug)]
pub(super) struct Availability {
    url: RedisUrl,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    is_up: [Option<bool>; 2],
    told: Option<bool>,
    /// Why each connection is not there, as said last.
    why: [String; 2],
}

/// A connection to Redis.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// For calls.
    Calls = 0,
    /// For announcements.
    Subscriber = 1,
}

impl Availability {
    pub(super) fn new(url: RedisUrl, outbox: Outbox) -> Self {
        let state = State {
            outbox,
            is_up: [None; 2],
            told: None,
            why: Default::default(),
        };
        Self {
            url,
            state: Mutex::new(state),
        }
    }

    /// A connection is there.
    pub(super) fn up(&self, part: Part) {
        let mut state = self.state();
        state.is_up[part as usize] = Some(true);
        if state.is_up == [Some(true); 2] && state.told != Some(true) {
            state.told = Some(true);
            state.why = Default::default();
            info!(url = %self.url, "redis answers");
            state.outbox.send(Event::Available(true));
        }
    }

    /// A connection is not there, and could not be made again at once.
    pub(super) fn down(&self, part: Part, why: &str) {
        let mut state = self.state();
        state.is_up[part as usize] = Some(false);
        // The two fail together, and often for one reason.
        let is_news = state.why.iter().all(|said| said != why);
        why.clone_into(&mut state.why[part as usize]);
        if is_news {
            warn!(url = %self.url, why, "redis does not answer: trying again until it does");
        }
        if state.told != Some(false) {
            state.told = Some(false);
            state.outbox.send(Event::Available(false));
        }
    }

    /// Hands an event to the node, or drops it and says so by [`Event::Missed`]. Never waits.
    pub(super) fn send(&self, event: Event) {
        self.state().outbox.send(event);
    }

    /// To be called now and then: tells what could not be told before.
    pub(super) fn settle(&self) {
        self.state().outbox.settle();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics half-way leaves it in a wrong state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
