//! Drafts of one room that wait for their place in the log.
//!
//! Bounded, in order, with a deadline for each. The one rule beyond a queue: once a draft of a
//! session is refused as retryable, later ones of that session are refused too until it comes
//! again, so that a sender's messages keep their order over refusals.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_protocol::node::Ack;
use chat_protocol::{Cursor, ErrorCode, Nonce, RoomRef, SessionId};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::backplane::{Batch, Draft};
use crate::outlet::Outlet;
use crate::policy::Refusal;
use crate::session;

/// A draft and who waits for it.
#[derive(Debug)]
pub struct Submission {
    /// The draft.
    pub draft: Draft,
    /// Who waits.
    pub waiter: Waiter,
}

/// Who waits for a draft.
#[derive(Debug)]
pub enum Waiter {
    /// A session on a connection, which is answered by `Ack` or `Rejected`.
    Session {
        /// The connection.
        outlet: Arc<Outlet>,
        /// The room's short name there.
        room: RoomRef,
    },
    /// Something in this process.
    Local(oneshot::Sender<Result<Cursor, Refusal>>),
}

impl Submission {
    /// The draft is in the log.
    pub fn acknowledge(self, cursor: Cursor) {
        match self.waiter {
            Waiter::Session { outlet, room } => {
                outlet.answer_publish(Ack {
                    room,
                    nonce: self.draft.nonce,
                    cursor,
                });
            }
            // Whoever asked may have stopped waiting.
            Waiter::Local(waiter) => drop(waiter.send(Ok(cursor))),
        }
    }

    /// The draft is refused.
    pub fn refuse(self, refusal: Refusal) {
        match self.waiter {
            Waiter::Session { outlet, room } => {
                outlet.answer_publish(session::rejected(room, self.draft.nonce, refusal));
            }
            Waiter::Local(waiter) => drop(waiter.send(Err(refusal))),
        }
    }
}

/// The queue of one room.
#[derive(Debug, Default)]
pub(super) struct Appends {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    /// The first refused nonce of each session that has not come again.
    gates: HashMap<SessionId, Nonce>,
}

#[derive(Debug)]
struct Queued {
    submission: Submission,
    deadline: Instant,
}

impl Appends {
    /// Queues a draft, or refuses it.
    pub(super) fn submit(&self, submission: Submission, deadline: Instant) {
        let (session, nonce) = (submission.draft.session, submission.draft.nonce);
        let mut state = self.state();
        let refusal = match state.gates.get(&session) {
            Some(&gate) if nonce > gate => Some(ErrorCode::OutOfOrder),
            _ if state.queue.len() >= QUEUE_LEN_MAX => Some(ErrorCode::Overloaded),
            _ => None,
        };
        match refusal {
            Some(code) => {
                state.shut_gate(session, nonce);
                drop(state);
                submission.refuse(Refusal::of(code));
            }
            None => {
                state.gates.remove(&session);
                state.queue.push_back(Queued {
                    submission,
                    deadline,
                });
                drop(state);
                self.filled.notify_one();
            }
        }
    }

    /// Waits for drafts and takes as many as fit a batch, with the earliest deadline. Cancel safe:
    /// nothing is taken before it returns.
    pub(super) async fn next_batch(&self) -> (Vec<Submission>, Instant) {
        loop {
            if let Some(batch) = self.try_batch() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    /// Refuses the given drafts as retryable, and with them all that wait behind them: their
    /// senders repeat them in order.
    pub(super) fn refuse_all(&self, failed: Vec<Submission>, refusal: &Refusal) {
        let mut state = self.state();
        let queued = std::mem::take(&mut state.queue);
        let refused: Vec<Submission> = failed
            .into_iter()
            .chain(queued.into_iter().map(|queued| queued.submission))
            .collect();
        for submission in &refused {
            state.shut_gate(submission.draft.session, submission.draft.nonce);
        }
        drop(state);
        for submission in refused {
            submission.refuse(refusal.clone());
        }
    }

    /// The session left the room: what it was refused is forgotten.
    pub(super) fn forget(&self, session: SessionId) {
        self.state().gates.remove(&session);
    }

    /// Whether nothing waits.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.state().queue.is_empty()
    }

    fn try_batch(&self) -> Option<(Vec<Submission>, Instant)> {
        let mut state = self.state();
        let deadline = state.queue.front()?.deadline;
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(queued) = state.queue.front() {
            bytes += queued.submission.draft.frame.len();
            let is_full = batch.len() >= Batch::DRAFTS_MAX || bytes > Batch::BYTES_MAX;
            if is_full && !batch.is_empty() {
                break;
            }
            batch.extend(state.queue.pop_front().map(|queued| queued.submission));
        }
        Some((batch, deadline))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn shut_gate(&mut self, session: SessionId, nonce: Nonce) {
        let gate = self.gates.entry(session).or_insert(nonce);
        *gate = nonce.min(*gate);
    }
}

/// Drafts of one room that may wait: two full batches of a busy room, and a second of a slow one.
const QUEUE_LEN_MAX: usize = 4_096;

/// How long the append loop waits between tries of the same batch.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chat_protocol::{Epoch, Seq};

    use super::*;

    type Answer = oneshot::Receiver<Result<Cursor, Refusal>>;

    fn submit(appends: &Appends, session: u64, nonce: u64) -> Answer {
        let (waiter, answer) = oneshot::channel();
        let draft = Draft {
            session: SessionId(session),
            nonce: Nonce(nonce),
            frame: Bytes::from_static(&[0; 1000]),
            topic: None,
        };
        let submission = Submission {
            draft,
            waiter: Waiter::Local(waiter),
        };
        appends.submit(submission, Instant::now() + Duration::from_secs(5));
        answer
    }

    fn code(answer: &mut Answer) -> Option<ErrorCode> {
        answer
            .try_recv()
            .ok()
            .map(|answer| answer.map_err(|refusal| refusal.code).unwrap_err())
    }

    #[tokio::test]
    async fn after_a_refusal_later_drafts_wait_for_the_earlier_one() {
        let appends = Appends::default();
        let mut first = submit(&appends, 1, 1);
        let (batch, _) = appends.next_batch().await;
        let mut second = submit(&appends, 1, 2);
        appends.refuse_all(batch, &Refusal::of(ErrorCode::Unavailable));
        assert_eq!(code(&mut first), Some(ErrorCode::Unavailable));
        assert_eq!(
            code(&mut second),
            Some(ErrorCode::Unavailable),
            "it stood behind"
        );
        assert_eq!(
            code(&mut submit(&appends, 1, 3)),
            Some(ErrorCode::OutOfOrder)
        );
        let mut other = submit(&appends, 2, 9);
        assert_eq!(code(&mut other), None, "others are not held up");
        let mut again = submit(&appends, 1, 1);
        let mut next = submit(&appends, 1, 2);
        assert_eq!((code(&mut again), code(&mut next)), (None, None));
        let (batch, _) = appends.next_batch().await;
        assert_eq!(batch.len(), 3);
    }

    #[tokio::test]
    async fn a_batch_is_bounded_and_in_order() {
        let appends = Appends::default();
        for nonce in 1..=200 {
            submit(&appends, 1, nonce);
        }
        let mut nonces = Vec::new();
        while !appends.is_empty() {
            let (batch, _) = appends.next_batch().await;
            assert!(batch.len() <= Batch::BYTES_MAX / 1000);
            nonces.extend(batch.iter().map(|submission| submission.draft.nonce.0));
            for submission in batch {
                submission.acknowledge(Cursor::new(Epoch(1), Seq(1)));
            }
        }
        assert_eq!(nonces, (1..=200).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let appends = Appends::default();
        for nonce in 1..=QUEUE_LEN_MAX as u64 {
            submit(&appends, 1, nonce);
        }
        assert_eq!(
            code(&mut submit(&appends, 2, 1)),
            Some(ErrorCode::Overloaded)
        );
    }
}
