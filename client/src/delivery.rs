//! What becomes of a published message.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use chat_protocol::{Cursor, Nonce};
use tokio::sync::oneshot;

use crate::error::PublishError;
use crate::session::MessageId;

/// Resolves when the message's fate is known: to its place in the log, or to why it is not there.
///
/// It outlives reconnects. What was sent is settled at the latest
/// [`REPEAT_TIME_MAX`](crate::REPEAT_TIME_MAX) and an answer's time later, as
/// [`PublishError::Unknown`] if need be; what was not may take as long as no node can be reached.
/// Dropping it does not take the message back. Cancel safe: it may be polled in `select!` by `&mut`.
/// Polling it again after it resolved gives [`PublishError::Unknown`].
#[derive(Debug)]
#[must_use = "the message is sent all the same, but whether it arrived is known here only"]
pub struct Delivery {
    id: MessageId,
    settled: oneshot::Receiver<Settled>,
}

/// Fate of a message.
pub(crate) type Settled = Result<Cursor, PublishError>;

/// Tells a message's fate to its [`Delivery`], if that is still wanted.
pub(crate) type Settle = oneshot::Sender<Settled>;

impl Delivery {
    pub(crate) const fn new(id: MessageId, settled: oneshot::Receiver<Settled>) -> Self {
        Self { id, settled }
    }

    /// Which message it is: readers see the same id in its entry, as long as the session lasts
    /// (see [`Welcomed::resumed`](crate::Welcomed::resumed)).
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// The message's number within this session and room.
    #[must_use]
    pub const fn nonce(&self) -> Nonce {
        self.id.nonce
    }
}

impl Future for Delivery {
    type Output = Settled;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Settled> {
        if self.settled.is_terminated() {
            return Poll::Ready(Err(PublishError::Unknown));
        }
        let settled = ready!(Pin::new(&mut self.settled).poll(context));
        Poll::Ready(settled.unwrap_or(Err(PublishError::Unknown)))
    }
}
