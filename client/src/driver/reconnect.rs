//! Losing a connection, getting the next, and moving from a node that is about to stop.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::client::{Hello, Resume};
use chat_protocol::datagram::TYPING;
use chat_protocol::limits::AGENT_BYTES_MAX;
use chat_protocol::node::Welcome;
use chat_protocol::{MINOR, SessionId, Token};
use tokio::time::Instant;
use tracing::debug;

use crate::builder::Settings;
use crate::driver::Driver;
use crate::driver::dial::{DialError, Established};
use crate::driver::greet::DONE;
use crate::driver::link::Link;
use crate::driver::requests::Asked;
use crate::event::{Disconnect, Event};
use crate::lock::lock;
use crate::session::{SessionTicket, Welcomed};
use crate::target::Target;

impl Driver {
    /// The connection is gone. Everything without an answer waits for the next one.
    pub(crate) fn lose_link(&mut self, reason: Disconnect, is_final: bool, now: Instant) {
        let Some(link) = self.detach_link() else {
            return;
        };
        debug!(%reason, is_final, "the connection is lost");
        if self.said_bye() || is_final || !self.settings.reconnect {
            self.end = Some(if self.said_bye() {
                Disconnect::done()
            } else {
                reason
            });
            return;
        }
        // A node that breaks each connection soon must not be asked in a tight loop.
        if now >= link.since + HELD {
            self.backoff.on_success();
        }
        if self.dialing.is_some() {
            // On the move already: that attempt is the next connection.
            let attempt = self.backoff.attempts() + 1;
            self.shared.events.push(Event::Disconnected {
                reason,
                retry_in: Some(Duration::ZERO),
                attempt,
            });
            return;
        }
        // The node that was just lost comes last.
        self.turn = self.turn_after(&link.target);
        self.retry(reason, None, now);
    }

    /// Another connection is wanted, for no fault of this one.
    pub(crate) fn on_reconnect(&mut self, now: Instant) {
        let reason = Disconnect::without_code("the application wanted another connection");
        let Some(link) = &self.link else {
            self.dial_at = self.dial_at.map(|_| now);
            return;
        };
        // The session goes on, so the node is not told that it ends.
        link.connection.close(DONE, b"");
        if self.dialing.is_some() || !self.settings.reconnect {
            return self.lose_link(reason, false, now);
        }
        self.turn = self.turn_after(&link.target);
        self.detach_link();
        self.dial_at = Some(now);
        self.shared.events.push(Event::Disconnected {
            reason,
            retry_in: Some(Duration::ZERO),
            attempt: self.backoff.attempts() + 1,
        });
    }

    /// Starts an attempt to connect when it is due.
    pub(crate) fn advance_dial(&mut self, now: Instant) {
        if self.dialing.is_some() || self.dial_at.is_none_or(|at| at > now) || self.said_bye() {
            return;
        }
        self.dial_at = None;
        let targets = self.candidates();
        let (name, ticket) = {
            let session = lock(&self.shared.session);
            let welcomed = &session.welcomed;
            let ticket = SessionTicket {
                session: welcomed.session,
                secret: session.secret,
            };
            (welcomed.name.to_string(), ticket)
        };
        let hello = hello(&self.settings, Some(name), Some(ticket));
        let dialer = Arc::clone(&self.dialer);
        self.dialing = Some(Box::pin(async move { dialer.dial(&targets, hello).await }));
    }

    pub(crate) fn on_established(&mut self, established: Established, now: Instant) {
        if let Some(former) = self.detach_link() {
            // Moved: the session lives on here, so the node there is not told that it ends.
            former.connection.close(DONE, b"");
        }
        self.install(established, now);
    }

    pub(crate) fn on_not_established(&mut self, error: DialError, now: Instant) {
        debug!(?error, "no connection");
        let retry_after = error.retry_after();
        self.turn = self.turn.wrapping_add(1);
        if self.link.is_some() {
            // Still served: the move is tried again.
            self.dial_at = Some(now + self.backoff.on_failure(&mut rand::rng()));
        } else if error.is_final() {
            self.end = Some(error.disconnect());
        } else {
            self.retry(error.disconnect(), retry_after, now);
        }
    }

    /// Takes a welcomed connection into use.
    pub(crate) fn install(&mut self, established: Established, now: Instant) {
        let Established { target, greeted } = established;
        let welcome = &greeted.welcome;
        let welcomed = welcomed(&target, welcome);
        let is_other = {
            let mut session = lock(&self.shared.session);
            let before = session.welcomed.session;
            let is_other = before != welcome.session;
            if is_other {
                session.former.retain(|former| *former != before);
                if session.former.len() >= FORMER_LEN_MAX {
                    session.former.remove(0);
                }
                session.former.push(before);
            }
            session.welcomed = welcomed.clone();
            session.secret = welcome.secret;
            is_other
        };
        if is_other {
            for entry in self.rooms.values() {
                lock(&entry.state.inner).own.clear();
            }
        }
        if is_other || !welcomed.resumed {
            self.give_up_doubtful();
        }
        debug!(node = %welcomed.node, target = welcomed.target, resumed = welcomed.resumed, "welcomed");
        self.dial_at = None;
        lock(&self.shared.line).change(Some(greeted.connection.clone()));
        let id = self.number();
        self.link = Some(Link::new(id, welcomed.target.clone(), greeted, now));
        self.shared.events.push(Event::Connected(welcomed));
        let kept = self.requests.take_all();
        self.rejoin_all(now);
        for asked in kept {
            self.ask(asked, now);
        }
        self.on_control(now);
    }

    fn detach_link(&mut self) -> Option<Link> {
        let link = self.link.take()?;
        lock(&self.shared.line).change(None);
        self.detach_rooms();
        for asked in self.requests.take_all() {
            match asked {
                // Rooms are joined again, or not, by what is known of them then.
                Asked::Rejoin { .. } | Asked::Leave { .. } | Asked::Forget { .. } => {}
                // Asked again when its room is joined again.
                Asked::ReadBefore { older, .. } => self.older.push_back(older),
                asked => self.requests.keep(asked),
            }
        }
        Some(link)
    }

    fn retry(&mut self, reason: Disconnect, retry_after: Option<Duration>, now: Instant) {
        let wait = self.backoff.on_failure(&mut rand::rng());
        let wait = wait.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        self.dial_at = Some(now + wait);
        let attempt = self.backoff.attempts();
        self.shared.events.push(Event::Disconnected {
            reason,
            retry_in: Some(wait),
            attempt,
        });
    }

    /// The targets in the order they shall be tried: the application's, one further at each attempt,
    /// then nodes that a goaway named; those first when this is to move away.
    fn candidates(&self) -> Vec<Target> {
        let current = self.link.as_ref().map(|link| link.target.as_str());
        let mut candidates = self.targets.clone();
        let len = candidates.len();
        candidates.rotate_left(self.turn.checked_rem(len).unwrap_or(0));
        let mut all: Vec<Target> = Vec::new();
        let learned = self.learned.clone();
        let in_order = if current.is_some() {
            [learned, candidates]
        } else {
            [candidates, learned]
        };
        for target in in_order.into_iter().flatten() {
            if !all.contains(&target) {
                all.push(target);
            }
        }
        // The node to move away from is the last resort: it may have been restarted.
        all.sort_by_key(|target| current.is_some_and(|current| current == target.to_string()));
        all
    }

    fn turn_after(&self, lost: &str) -> usize {
        let index = self
            .targets
            .iter()
            .position(|target| target.to_string() == lost);
        index.map_or(self.turn, |index| index + 1)
    }
}

/// What to say to a node.
pub(crate) fn hello(
    settings: &Settings,
    name: Option<String>,
    resume: Option<SessionTicket>,
) -> Hello {
    let mut agent = settings.agent.clone();
    while agent.len() > AGENT_BYTES_MAX {
        agent.pop();
    }
    Hello {
        minor: MINOR,
        features: vec![TYPING],
        agent,
        name,
        token: settings.token.clone().map(Token),
        resume: resume.map(|ticket| Resume {
            session: ticket.session,
            secret: ticket.secret,
        }),
    }
}

pub(crate) fn welcomed(target: &Target, welcome: &Welcome) -> Welcomed {
    Welcomed {
        node: welcome.node.clone(),
        target: target.to_string(),
        minor: welcome.minor,
        session: welcome.session,
        name: welcome.name.clone(),
        account: welcome.account,
        resumed: welcome.resumed,
        permissions: welcome.permissions,
        limits: welcome.limits.clone(),
    }
}

/// The session that could not be continued, whose messages are this client's all the same.
pub(crate) fn former_of(resume: Option<SessionTicket>, welcome: &Welcome) -> Vec<SessionId> {
    let former = resume
        .map(|ticket| ticket.session)
        .filter(|former| *former != welcome.session);
    former.into_iter().collect()
}

/// How long a connection must have held for the waits to start over.
const HELD: Duration = Duration::from_secs(5);

/// Longest wait a node may ask for before the next attempt.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Sessions of this client that are remembered as its own.
const FORMER_LEN_MAX: usize = 16;
