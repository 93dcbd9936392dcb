//! The end of a client: acks first, then goodbye, each for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::client::Bye;
use tokio::time::Instant;

use crate::command::Shared;
use crate::driver::Driver;
use crate::driver::greet::DONE;
use crate::error::PublishError;
use crate::event::Disconnect;
use crate::lock::lock;
use crate::sockets::forgotten_after;

/// How far closing has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Closing {
    /// Waits for acks, at most until then.
    Acks(Instant),
    /// Waits for the node's goodbye, at most until then.
    Goodbye(Instant),
}

impl Closing {
    pub(crate) const fn until(&self) -> Instant {
        match self {
            Self::Acks(until) | Self::Goodbye(until) => *until,
        }
    }
}

impl Driver {
    /// Takes nothing more from the application, and ends what it gave.
    pub(crate) fn begin_close(&mut self, now: Instant) {
        if self.closing.is_none() {
            lock(&self.shared.outgoing).close();
            self.closing = Some(Closing::Acks(now + self.settings.close_timeout));
        }
    }

    pub(crate) fn advance_close(&mut self, now: Instant) {
        let Some(closing) = self.closing else {
            return;
        };
        let is_due = now >= closing.until();
        match (closing, self.link.as_mut()) {
            (Closing::Acks(_), _) if !is_due && lock(&self.shared.outgoing).len() > 0 => {}
            (Closing::Acks(_), Some(link)) => {
                link.send(Bye {});
                self.dialing = None;
                self.closing = Some(Closing::Goodbye(now + GOODBYE_TIMEOUT));
            }
            (Closing::Goodbye(_), Some(_)) if !is_due => {}
            _ => self.end = Some(Disconnect::done()),
        }
    }

    /// Ends at once, and without a word to the node.
    pub(crate) fn on_abandon(&mut self) {
        if let Some(link) = self.link.take() {
            link.cut(forgotten_after(self.settings.keep_alive));
        }
        self.end = Some(Disconnect::without_code("the client was abandoned"));
    }

    /// Whether the session is ended as far as this client is concerned.
    pub(crate) const fn said_bye(&self) -> bool {
        matches!(self.closing, Some(Closing::Goodbye(_)))
    }

    /// Tells everybody that it is over, and the node too.
    pub(crate) async fn finish(&mut self, reason: Disconnect) {
        self.commands.close();
        self.shared.end(reason);
        if let Some(link) = self.link.take() {
            link.connection.close(DONE, b"");
        }
        self.dialing = None;
        if !self.shared.abandon.is_cancelled() {
            self.dialer.wait_idle().await;
        }
    }
}

/// Ends what handles wait for when the driver's task ends, however it does: also by a panic, and
/// with its runtime.
pub(crate) struct Ending(pub(crate) Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0
            .end(Disconnect::without_code("the client's task was ended"));
        self.0.ended.cancel();
    }
}

impl Shared {
    /// Settles what nobody will answer any more. Only the first reason counts.
    fn end(&self, reason: Disconnect) {
        lock(&self.line).change(None);
        lock(&self.rooms).clear();
        let given_up = {
            let mut outgoing = lock(&self.outgoing);
            outgoing.close();
            outgoing.give_up()
        };
        for message in given_up {
            let error = if message.is_unknown {
                PublishError::Unknown
            } else {
                PublishError::Closed
            };
            // Nobody may be waiting for it.
            drop(message.settle.send(Err(error)));
        }
        self.events.finish(reason);
    }
}

/// How long the node's goodbye is waited for.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
