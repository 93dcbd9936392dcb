//! Drafts of one room that wait for their place in the log.
//!
//! Bounded, in order, with a deadline for each. The one rule beyond a queue: once a draft that came
//! over a lane is refused as retryable, later ones of that lane are refused too until it comes
//! again, so that a sender's messages keep their order over refusals. What was refused is the
//! lane's to know: a client that comes back on another begins with the first message that was not
//! acked, which another node may have acked meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_protocol::node::Ack;
use chat_protocol::{Cursor, ErrorCode};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::backplane::{Batch, Draft};
use crate::outlet::Lane;
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
    /// A session, which is answered by `Ack` or `Rejected` on the connection of this lane.
    Session(Arc<Lane>),
    /// Something in this process.
    Local(oneshot::Sender<Result<Cursor, Refusal>>),
}

impl Submission {
    /// Whether an earlier draft of its sender was refused and must come again first.
    fn is_out_of_order(&self) -> bool {
        match &self.waiter {
            Waiter::Session(lane) => lane.is_out_of_order(self.draft.nonce),
            // What this process says by itself has no order.
            Waiter::Local(_) => false,
        }
    }

    /// Later drafts of its sender wait until it comes again.
    fn shut_gate(&self) {
        if let Waiter::Session(lane) = &self.waiter {
            lane.refuse(self.draft.nonce);
        }
    }

    /// The draft is in the log.
    pub fn acknowledge(self, cursor: Cursor) {
        match self.waiter {
            Waiter::Session(lane) => {
                lane.outlet().answer_publish(Ack {
                    room: lane.room,
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
            Waiter::Session(lane) => {
                let rejected = session::rejected(lane.room, self.draft.nonce, refusal);
                lane.outlet().answer_publish(rejected);
            }
            Waiter::Local(waiter) => drop(waiter.send(Err(refusal))),
        }
    }
}

/// The queue of one room.
#[derive(Debug, Default)]
pub(super) struct Appends {
    queue: Mutex<VecDeque<Queued>>,
    filled: Notify,
}

#[derive(Debug)]
struct Queued {
    submission: Submission,
    deadline: Instant,
}

impl Appends {
    /// Queues a draft, or refuses it.
    pub(super) fn submit(&self, submission: Submission, deadline: Instant) {
        let mut queue = self.queue();
        let refusal = if submission.is_out_of_order() {
            Some(ErrorCode::OutOfOrder)
        } else if queue.len() >= QUEUE_LEN_MAX {
            Some(ErrorCode::Overloaded)
        } else {
            None
        };
        match refusal {
            Some(code) => {
                submission.shut_gate();
                drop(queue);
                submission.refuse(Refusal::of(code));
            }
            None => {
                queue.push_back(Queued {
                    submission,
                    deadline,
                });
                drop(queue);
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
        let mut queue = self.queue();
        let queued = std::mem::take(&mut *queue);
        let refused: Vec<Submission> = failed
            .into_iter()
            .chain(queued.into_iter().map(|queued| queued.submission))
            .collect();
        refused.iter().for_each(Submission::shut_gate);
        drop(queue);
        for submission in refused {
            submission.refuse(refusal.clone());
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    fn try_batch(&self) -> Option<(Vec<Submission>, Instant)> {
        let mut queue = self.queue();
        let deadline = queue.front()?.deadline;
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(queued) = queue.front() {
            bytes += queued.submission.draft.frame.len();
            let is_full = batch.len() >= Batch::DRAFTS_MAX || bytes > Batch::BYTES_MAX;
            if is_full && !batch.is_empty() {
                break;
            }
            batch.extend(queue.pop_front().map(|queued| queued.submission));
        }
        Some((batch, deadline))
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        // No code that can panic runs under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drafts of one room that may wait: two full batches of a busy room, and a second of a slow one.
const QUEUE_LEN_MAX: usize = 4_096;

/// How long the append loop waits between tries of the same batch.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use chat_protocol::{Epoch, Frame, FrameDecoder, NodeFrame, Nonce, RoomRef, Seq, SessionId};
    use futures_util::task::noop_waker_ref;

    use super::*;
    use crate::outlet::{ConnectionId, Outlet};

    /// A lane, and what is answered on its connection.
    struct Sender(Arc<Lane>);

    impl Sender {
        fn new() -> Self {
            let (outlet, _) = Outlet::new(ConnectionId(1));
            Self(Arc::new(Lane::new(RoomRef(1), Arc::new(outlet))))
        }

        fn submit(&self, appends: &Appends, nonce: u64) {
            self.0.outlet().begin_publish();
            let draft = Draft {
                session: SessionId(1),
                nonce: Nonce(nonce),
                frame: Bytes::from_static(&[0; 1000]),
                topic: None,
            };
            let submission = Submission {
                draft,
                waiter: Waiter::Session(Arc::clone(&self.0)),
            };
            appends.submit(submission, Instant::now() + Duration::from_secs(5));
        }

        /// Nonces and codes of refusals since the last call.
        fn refusals(&self) -> Vec<(u64, ErrorCode)> {
            let control: BytesMut = self.0.outlet().take(noop_waker_ref()).control;
            let mut decoder = FrameDecoder::new();
            decoder.push(&control);
            let mut refusals = Vec::new();
            while let Some(raw) = decoder.next().unwrap() {
                if let Some(NodeFrame::Rejected(no)) = NodeFrame::decode(&raw).unwrap() {
                    refusals.push((no.nonce.0, ErrorCode::from_wire(no.code).unwrap()));
                }
            }
            refusals
        }
    }

    #[tokio::test]
    async fn after_a_refusal_later_drafts_wait_for_the_earlier_one() {
        let (appends, sender, other) = (Appends::default(), Sender::new(), Sender::new());
        sender.submit(&appends, 1);
        let (batch, _) = appends.next_batch().await;
        sender.submit(&appends, 2);
        appends.refuse_all(batch, &Refusal::of(ErrorCode::Unavailable));
        let both = [(1, ErrorCode::Unavailable), (2, ErrorCode::Unavailable)];
        assert_eq!(sender.refusals(), both, "the second stood behind");
        sender.submit(&appends, 3);
        assert_eq!(sender.refusals(), [(3, ErrorCode::OutOfOrder)]);
        other.submit(&appends, 9);
        assert_eq!(other.refusals(), [], "others are not held up");
        sender.submit(&appends, 1);
        sender.submit(&appends, 2);
        assert_eq!(sender.refusals(), []);
        let (batch, _) = appends.next_batch().await;
        assert_eq!(batch.len(), 3);
    }

    #[tokio::test]
    async fn a_new_lane_begins_with_what_was_not_acked_elsewhere() {
        let (appends, before) = (Appends::default(), Sender::new());
        before.submit(&appends, 1);
        let (batch, _) = appends.next_batch().await;
        appends.refuse_all(batch, &Refusal::of(ErrorCode::Unavailable));
        // Another node acked 1 meanwhile: it never comes again.
        let again = Sender::new();
        again.submit(&appends, 2);
        assert_eq!(again.refusals(), []);
        before.submit(&appends, 2);
        let refused = [(1, ErrorCode::Unavailable), (2, ErrorCode::OutOfOrder)];
        assert_eq!(before.refusals(), refused);
    }

    #[tokio::test]
    async fn a_batch_is_bounded_and_in_order() {
        let (appends, sender) = (Appends::default(), Sender::new());
        for nonce in 1..=200 {
            sender.submit(&appends, nonce);
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
        let (appends, sender) = (Appends::default(), Sender::new());
        for nonce in 1..=QUEUE_LEN_MAX as u64 {
            sender.submit(&appends, nonce);
        }
        let late = Sender::new();
        late.submit(&appends, 1);
        assert_eq!(late.refusals(), [(1, ErrorCode::Overloaded)]);
    }
}
