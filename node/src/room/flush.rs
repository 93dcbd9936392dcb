//! When a room's members hear of what is new: at once while the node is idle, together while it is
//! busy.
//!
//! An append costs the node one mark of its room, whatever the number of members. A mark that finds no
//! flush under way wakes the room's writers there and then. While one is under way, rooms are only
//! marked; the next flush begins when each writer of the last has looked, and after lingering as long
//! again as that took: what is appended meanwhile leaves in the same packets, for a fraction of the
//! work. A node that has nothing else to do never lingers.
//!
//! Owns no entry and no cursor: a writer that is woken late reads on from where it stood. Called by
//! rooms; run once, by the hub.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{self, Instant};

use super::Room;

/// Wakes the writers of rooms with something new.
#[derive(Debug)]
pub struct Flusher {
    state: Mutex<State>,
    /// There is a flush to see to its end.
    begun: Notify,
    linger_max: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// Rooms for the next flush. Each is here once, which bounds them.
    marked: Vec<Arc<Room>>,
    /// A flush is under way: whoever marks a room leaves it to the next.
    is_busy: bool,
    /// The one under way, until [`Flusher::run`] takes it.
    begun: Option<Begun>,
}

/// A flush whose writers have been woken.
#[derive(Debug)]
struct Begun {
    at: Instant,
    /// Closed when the last of them has looked; never sent to.
    looked: oneshot::Receiver<()>,
}

/// Held for every writer that one flush has woken, until that writer has looked.
#[derive(Clone, Debug)]
pub struct Flush {
    _open: Arc<oneshot::Sender<()>>,
}

impl Flusher {
    /// A flusher that keeps an entry back for at most `linger_max`; zero keeps none back.
    #[must_use]
    pub fn new(linger_max: Duration) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            begun: Notify::new(),
            linger_max,
        })
    }

    /// A room has something new. Each room marks itself once until it is flushed.
    pub(super) fn mark(&self, room: Arc<Room>) {
        let mut state = self.state();
        state.marked.push(room);
        if !std::mem::replace(&mut state.is_busy, true) {
            self.flush(state);
        }
    }

    /// Sees every flush to its end and begins the next, for ever. Cancel safe: what is marked stays
    /// marked, and a flush that was waited for is not waited for again.
    pub async fn run(&self) {
        loop {
            let begun = self.state().begun.take();
            if let Some(begun) = begun {
                self.see_to_its_end(begun).await;
            }
            self.flush(self.state());
            self.begun.notified().await;
        }
    }

    async fn see_to_its_end(&self, Begun { at, looked }: Begun) {
        let _ = time::timeout(LOOK_MAX, looked).await;
        let worked = at.elapsed().min(self.linger_max);
        if worked >= LINGER_MIN {
            time::sleep(worked).await;
        }
    }

    /// Wakes whoever has something new, or notes that the next mark is to do it.
    fn flush<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        while !state.marked.is_empty() {
            let rooms = std::mem::take(&mut state.marked);
            drop(state);
            let at = Instant::now();
            let (open, looked) = oneshot::channel();
            let flush = Flush {
                _open: Arc::new(open),
            };
            let woken: usize = rooms.iter().map(|room| room.flush(&flush)).sum();
            state = self.state();
            if woken > 0 {
                state.begun = Some(Begun { at, looked });
                self.begun.notify_one();
                return;
            }
        }
        state.is_busy = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shorter than this is not worth a timer, which tells milliseconds apart.
const LINGER_MIN: Duration = Duration::from_millis(1);

/// Writers are waited for this long at most. One that has ended is not waited for at all, so nothing
/// but a node that cannot keep up comes near this.
const LOOK_MAX: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use chat_protocol::client::Start;
    use chat_protocol::{Cursor, Epoch, RoomRef, Seq};
    use futures_util::FutureExt;
    use futures_util::task::noop_waker;
    use tokio_util::sync::CancellationToken;

    use super::super::log::{Bounds, Log};
    use super::*;
    use crate::outlet::{ConnectionId, Lane, Outlet};

    const LINGER: Duration = Duration::from_millis(5);

    fn room(flusher: &Arc<Flusher>) -> Arc<Room> {
        let stop = CancellationToken::new();
        let (room, _hints) = Room::new("lobby".parse().unwrap(), Arc::clone(flusher), stop);
        let bounds = Bounds {
            entries_max: 10,
            bytes_max: 1000,
        };
        room.state().log = Some(Log::new(Cursor::new(Epoch(1), Seq(7)), bounds));
        room
    }

    fn member(room: &Arc<Room>, number: u64) -> Arc<Lane> {
        let (outlet, _) = Outlet::new(ConnectionId(number));
        let lane = Arc::new(Lane::new(RoomRef(1), Arc::new(outlet)));
        room.admit(&lane, Start::Live).unwrap();
        lane
    }

    fn take(lane: &Lane) -> usize {
        let word = lane.outlet().take(&noop_waker());
        lane.clear();
        word.dirty.len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_while_writers_are_busy_waits_for_the_next_go() {
        let flusher = Flusher::new(LINGER);
        let room = room(&flusher);
        let (quick, slow) = (member(&room, 1), member(&room, 2));
        let mut run = Box::pin(flusher.run());
        room.mark();
        assert_eq!(take(&quick), 1, "woken at once, by no other task");
        assert!(run.as_mut().now_or_never().is_none());

        // The slow one has not looked: nobody is woken again.
        room.mark();
        room.mark();
        time::advance(LINGER).await;
        assert!(run.as_mut().now_or_never().is_none());
        assert_eq!(take(&quick), 0);

        // Now it has. It took five milliseconds, so the next go comes after as long again.
        assert_eq!(take(&slow), 1);
        assert!(run.as_mut().now_or_never().is_none());
        time::advance(LINGER - Duration::from_millis(2)).await;
        assert!(run.as_mut().now_or_never().is_none());
        assert_eq!(take(&quick), 0);
        time::advance(Duration::from_millis(3)).await;
        assert!(run.as_mut().now_or_never().is_none());
        assert_eq!((take(&quick), take(&slow)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_was_cancelled_is_gone_on_with() {
        let flusher = Flusher::new(LINGER);
        let room = room(&flusher);
        let (quick, _slow) = (member(&room, 1), member(&room, 2));
        room.mark();
        assert_eq!(take(&quick), 1);
        // It waits for the slow one, and then no more.
        assert!(flusher.run().now_or_never().is_none());
        room.mark();
        assert_eq!(take(&quick), 0);
        assert!(flusher.run().now_or_never().is_none());
        assert_eq!(take(&quick), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_has_ended_keeps_nobody_waiting() {
        let flusher = Flusher::new(Duration::ZERO);
        let room = room(&flusher);
        let (quick, woken, gone) = (member(&room, 1), member(&room, 2), member(&room, 3));
        gone.outlet().end_taking();
        let mut run = Box::pin(flusher.run());
        room.mark();
        assert!(run.as_mut().now_or_never().is_none());
        woken.outlet().end_taking();
        assert_eq!(take(&quick), 1);
        room.mark();
        assert!(run.as_mut().now_or_never().is_none());
        assert_eq!(take(&quick), 1, "with no time gone by");
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_never_looks_keeps_others_waiting_for_a_moment_only() {
        let flusher = Flusher::new(Duration::ZERO);
        let room = room(&flusher);
        let (quick, _gone) = (member(&room, 1), member(&room, 2));
        let mut run = Box::pin(flusher.run());
        room.mark();
        assert!(run.as_mut().now_or_never().is_none());
        assert_eq!(take(&quick), 1);
        room.mark();
        time::advance(LOOK_MAX + Duration::from_millis(1)).await;
        assert!(run.as_mut().now_or_never().is_none());
        assert_eq!(take(&quick), 1);
    }
}
