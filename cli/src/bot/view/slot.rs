//! The newest progress on its way to the thread that shows it: one place, and what is newer
//! replaces what nobody took yet. Putting never waits for a screen.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bot::progress::Progress;

/// The place.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    newest: Option<Progress>,
    is_closed: bool,
}

/// What a wait ended with.
#[derive(Debug)]
pub(super) struct Taken {
    /// What was put since the last time.
    pub(super) progress: Option<Progress>,
    /// Whether nothing will be put any more.
    pub(super) is_closed: bool,
}

impl Slot {
    /// Replaces what is there.
    pub(super) fn put(&self, progress: &Progress) {
        let progress = progress.clone();
        self.lock().newest = Some(progress);
        self.changed.notify_all();
    }

    /// Ends every wait.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Whether nothing will be put any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits until something is put or the slot is closed, at most so long.
    pub(super) fn wait(&self, time: Duration) -> Taken {
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| {
                state.newest.is_none() && !state.is_closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        Taken {
            progress: state.newest.take(),
            is_closed: state.is_closed,
        }
    }

    /// Waits until the slot is closed, at most so long.
    pub(super) fn wait_closed(&self, time: Duration) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
