//! One client of a run: connects, joins, has its messages settled, reads, and comes back when it
//! was sent away, by the cluster or by the plan.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chat_client::ledger::{Stamp, Stamped};
use chat_client::protocol::{CloseCode, Content, Cursor, ErrorCode};
use chat_client::{
    Client, ConnectError, Event, Events, PublishError, Room, SessionTicket, Start, Welcomed,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use super::plan::ClientPlan;
use super::proof::Readers;
use super::site::{Present, Sent, Site};

/// A client's task.
#[derive(Debug)]
pub struct BotClient {
    index: usize,
    plan: ClientPlan,
    site: Arc<Site>,
    readers: Readers,
    orders: mpsc::Receiver<Order>,
    /// The last entry it has of each of its rooms.
    cursors: Vec<Option<Cursor>>,
    ticket: Option<SessionTicket>,
    /// Numbers of its next messages, while it is away.
    counters: Vec<u64>,
}

/// What a client may be told to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Leave, and come back a moment later.
    Return,
}

/// A connection with its rooms.
struct Session {
    client: Client,
    events: Events,
    sent: mpsc::Receiver<Sent>,
    /// The target it is at; none while it has lost its connection.
    target: Option<usize>,
    /// Of each of its rooms, whether what it missed while it was away on purpose still comes.
    is_returning: Vec<bool>,
    /// Its connection was lost on purpose.
    is_dropped: bool,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Over {
    Ordered,
    Ended,
    /// For good, by the node.
    Closed,
}

impl BotClient {
    /// A client that is not connected yet.
    #[must_use]
    pub fn new(index: usize, site: Arc<Site>, orders: mpsc::Receiver<Order>) -> Self {
        let plan = site.plan.clients[index].clone();
        Self {
            index,
            readers: site.proof.readers(),
            orders,
            cursors: vec![None; plan.rooms.len()],
            counters: vec![1; plan.rooms.len()],
            ticket: None,
            plan,
            site,
        }
    }

    /// Takes part until the end.
    pub async fn run(mut self) {
        let end = self.site.end.clone();
        let mut pause = RETRY_PAUSE;
        let mut is_returning = false;
        loop {
            let entered = tokio::select! {
                entered = self.enter(is_returning) => entered,
                () = end.cancelled() => return,
            };
            let Some(mut session) = entered else {
                let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.5));
                tokio::select! {
                    () = time::sleep(jittered) => {}
                    () = end.cancelled() => return,
                }
                pause = (pause * 2).min(RETRY_PAUSE_MAX);
                continue;
            };
            pause = RETRY_PAUSE;
            let over = self.stay(&mut session).await;
            match over {
                Over::Ended => return,
                // A node that sends everybody away is not to be asked at once again.
                Over::Closed => {
                    tokio::select! {
                        () = time::sleep(RETRY_PAUSE_MAX) => {}
                        () = end.cancelled() => return,
                    }
                }
                Over::Ordered => {
                    self.site.meter.shard(self.index).returns += 1;
                    let away = Duration::from_millis(rand::rng().random_range(AWAY_MS));
                    tokio::select! {
                        () = time::sleep(away) => {}
                        () = self.site.calm.cancelled() => {}
                        () = end.cancelled() => return,
                    }
                }
            }
            is_returning = true;
        }
    }

    /// Connects and joins; `None` when that failed, which is counted.
    async fn enter(&mut self, is_returning: bool) -> Option<Session> {
        let site = Arc::clone(&self.site);
        let _turn = site.connecting.acquire().await.ok()?;
        let began = Instant::now();
        let count = self.site.targets.len();
        // Its own target first, then the others in turn.
        let targets = (0..count).map(|step| &self.site.targets[(self.plan.target + step) % count]);
        let mut builder = self
            .site
            .builder
            .clone()
            .targets(targets)
            .name(format!("{}-{}", self.site.tag, self.index));
        if let Some(ticket) = self.ticket {
            builder = builder.resume(ticket);
        }
        let (client, events) = match builder.connect().await {
            Ok(connected) => connected,
            Err(error) => {
                self.failed(&code_of(&error), &error.to_string());
                return None;
            }
        };
        self.ticket = Some(client.ticket());
        let took = began.elapsed();
        self.site.meter.shard(self.index).connect.add(took);
        let mut rooms = Vec::new();
        for (nth, &room) in self.plan.rooms.iter().enumerate() {
            let start = self.cursors[nth].map_or(Start::Live, Start::After);
            match client
                .join(self.site.plan.rooms[room].as_str(), start)
                .await
            {
                Ok(room) => rooms.push(room),
                Err(error) => {
                    let code = error
                        .code()
                        .map_or_else(|| "join".to_owned(), ErrorCode::name);
                    self.failed(&code, &error.to_string());
                    client.close().await;
                    return None;
                }
            }
        }
        let (sender, sent) = mpsc::channel(chat_client::PUBLISHES_LEN_MAX);
        let mut session = Session {
            client: client.clone(),
            events,
            sent,
            target: None,
            is_returning: vec![is_returning; self.plan.rooms.len()],
            is_dropped: false,
        };
        let welcomed = client.session();
        self.welcomed(&mut session, &welcomed, is_returning);
        self.take_seat(client, rooms, sender, &session);
        Some(session)
    }

    fn take_seat(
        &self,
        client: Client,
        rooms: Vec<Room>,
        sent: mpsc::Sender<Sent>,
        session: &Session,
    ) {
        *self.site.seats[self.index].present() = Some(Present {
            client,
            rooms,
            counters: self.counters.clone(),
            sent,
            target: session.target.unwrap_or(self.plan.target),
        });
    }

    /// Reads, and has its messages settled, until the session is over.
    async fn stay(&mut self, session: &mut Session) -> Over {
        let (calm, end) = (self.site.calm.clone(), self.site.end.clone());
        let mut settling = FuturesUnordered::new();
        let batch_len = if self.plan.is_slow { 1 } else { BATCH_LEN };
        let mut batch = Vec::new();
        // A slow reader does not look before this.
        let mut blind = Box::pin(time::sleep(Duration::ZERO));
        let over = loop {
            let is_blind = self.plan.is_slow && !calm.is_cancelled() && !blind.is_elapsed();
            tokio::select! {
                len = session.events.next_many(&mut batch, batch_len), if !is_blind => {
                    if len == 0 {
                        break Over::Closed;
                    }
                    for event in batch.drain(..) {
                        self.on_event(session, &event);
                    }
                    if self.plan.is_slow {
                        blind.as_mut().reset(Instant::now() + SLOW_PAUSE);
                    }
                }
                () = &mut blind, if is_blind => {}
                () = calm.cancelled(), if is_blind => {}
                Some(sent) = session.sent.recv() => settling.push(settle(sent)),
                Some((sent, fate)) = settling.next() => self.on_fate(session, &sent, fate),
                Some(Order::Return) = self.orders.recv() => break Over::Ordered,
                () = end.cancelled() => break Over::Ended,
            }
        };
        // Nothing more is sent; what was sent is settled, while what comes is read.
        if let Some(present) = self.site.seats[self.index].present().take() {
            self.counters = present.counters;
        }
        session.sent.close();
        let patience = if over == Over::Ordered {
            SETTLE_MAX
        } else {
            Duration::ZERO
        };
        let deadline = Instant::now() + patience;
        while let Ok(sent) = session.sent.try_recv() {
            settling.push(settle(sent));
        }
        while !settling.is_empty() {
            tokio::select! {
                biased;
                Some((sent, fate)) = settling.next() => self.on_fate(session, &sent, fate),
                Some(event) = session.events.next() => self.on_event(session, &event),
                () = time::sleep_until(deadline) => break,
                () = end.cancelled(), if over == Over::Ordered => break,
            }
        }
        let closing = session.client.clone().close();
        if over == Over::Ended {
            // All at once, so nobody waits for a goodbye to be heard.
            let _ = time::timeout(GOODBYE_MAX, closing).await;
        } else {
            closing.await;
        }
        // A closed client says of every message that its fate is not known.
        while let Ok(Some((sent, fate))) = time::timeout(GOODBYE_MAX, settling.next()).await {
            self.on_fate(session, &sent, fate);
        }
        if let Some(target) = session.target.take() {
            self.site.departed(target);
        }
        self.site.meter.shard(self.index).traffic += session.client.traffic();
        over
    }

    fn on_event(&mut self, session: &mut Session, event: &Event) {
        match event {
            Event::Connected(welcomed) => self.reconnected(session, welcomed),
            Event::Disconnected { reason, .. } => {
                let target = session.target.take();
                if let Some(target) = target {
                    self.site.departed(target);
                }
                session.is_dropped |= self.site.seats[self.index].was_dropped();
                if !session.is_dropped {
                    let code = name_of(reason.code, "connection_lost");
                    let target = target.unwrap_or(self.plan.target);
                    self.error(target, &code, &reason.text);
                }
            }
            Event::Closed { reason } => {
                let code = name_of(reason.code, "closed");
                self.error(self.plan.target, &code, &reason.text);
            }
            _ => {}
        }
        let Some(nth) = event.room().and_then(|room| self.nth(room.as_str())) else {
            return;
        };
        self.site
            .proof
            .observe(&self.readers, self.plan.rooms[nth], event);
        if let Some(cursor) = event.cursor() {
            self.cursors[nth] = Some(cursor);
        }
        match event {
            Event::Gap { next, .. } => {
                self.cursors[nth] = Some(Cursor::new(next.epoch, next.seq.minus(1)));
            }
            Event::Joined { head, next, .. } if self.cursors[nth].is_none() => {
                self.cursors[nth] = Some(Cursor::new(head.epoch, next.minus(1)));
            }
            Event::Message {
                room,
                message,
                history,
                ..
            } => {
                session.is_returning[nth] &= *history;
                let is_apart = self.plan.is_slow || session.is_returning[nth];
                if let Content::Text(text) = &message.content
                    && let Ok(Some(stamped)) = Stamp::find(text.as_str(), room)
                {
                    self.delivered(session, &stamped, !is_apart);
                }
            }
            _ => {}
        }
    }

    fn delivered(&self, session: &Session, stamped: &Stamped, counts: bool) {
        let now = self.site.now();
        let due = Duration::from_micros(stamped.sent.due_us);
        let sent = due + Duration::from_micros(stamped.sent.lag_us.into());
        let sender = usize::try_from(stamped.stamp.sender).unwrap_or(usize::MAX);
        let mut shard = self.site.meter.shard(self.index);
        let target = session.target.unwrap_or(self.plan.target);
        let at = &mut shard.targets[target];
        at.delivered += 1;
        if !counts {
            return;
        }
        let latency = now.saturating_sub(due);
        at.delivery.add(latency);
        shard.service_delivery.add(now.saturating_sub(sent));
        // A sender that is none is for the ledger to judge.
        if sender < self.site.seats.len() {
            if self.site.are_together(sender, self.index) {
                shard.same_node.add(latency);
            } else {
                shard.cross_node.add(latency);
            }
        }
    }

    fn on_fate(&self, session: &Session, sent: &Sent, fate: Result<Cursor, PublishError>) {
        let room = self.plan.rooms[sent.room];
        let name = &self.site.plan.rooms[room];
        let target = session.target.unwrap_or(self.plan.target);
        match fate {
            Ok(cursor) => {
                self.site.proof.acked(room, name, sent.stamp, cursor);
                let now = self.site.now();
                let mut shard = self.site.meter.shard(self.index);
                shard.targets[target].acked += 1;
                shard.targets[target].ack.add(now.saturating_sub(sent.due));
                shard.service_ack.add(now.saturating_sub(sent.at));
            }
            Err(error) => {
                if matches!(error, PublishError::Unknown) {
                    self.site.proof.given_up(room, name, sent.stamp);
                } else {
                    self.site.meter.shard(self.index).refused += 1;
                    self.site.proof.refused(room, name, sent.stamp);
                }
                let code = match &error {
                    PublishError::Refused { code, .. } => name_of(Some(*code), "refused"),
                    PublishError::Unknown => "unknown".to_owned(),
                    PublishError::Closed => "closed".to_owned(),
                    PublishError::Left => "room_left".to_owned(),
                    _ => "not_taken".to_owned(),
                };
                self.error(target, &code, &error.to_string());
            }
        }
    }

    /// The first connection of a session.
    fn welcomed(&self, session: &mut Session, welcomed: &Welcomed, is_returning: bool) {
        let target = self
            .site
            .target_of(&welcomed.target, welcomed.node.as_str());
        session.target = Some(target);
        self.site
            .arrived(self.index, target, welcomed.node.as_str());
        let mut shard = self.site.meter.shard(self.index);
        shard.opened += 1;
        shard.resumed += u64::from(is_returning && welcomed.resumed);
    }

    /// The session went on after its connection was lost, or moved.
    fn reconnected(&self, session: &mut Session, welcomed: &Welcomed) {
        let target = self
            .site
            .target_of(&welcomed.target, welcomed.node.as_str());
        let before = session.target.replace(target);
        if before == Some(target) && self.site.node_at(target) == welcomed.node.as_str() {
            // The welcome that is known already.
            return;
        }
        if let Some(before) = before {
            self.site.departed(before);
        }
        self.site
            .arrived(self.index, target, welcomed.node.as_str());
        if let Some(present) = self.site.seats[self.index].present().as_mut() {
            present.target = target;
        }
        let mut shard = self.site.meter.shard(self.index);
        shard.opened += 1;
        if std::mem::take(&mut session.is_dropped) {
            shard.returns += 1;
        } else {
            shard.targets[target].reconnects += 1;
        }
        shard.resumed += u64::from(welcomed.resumed);
    }

    fn failed(&self, code: &str, text: &str) {
        self.site.meter.shard(self.index).failed += 1;
        self.error(self.plan.target, code, text);
    }

    fn error(&self, target: usize, code: &str, text: &str) {
        let now = self.site.now();
        self.site.meter.error(self.index, target, now, code, text);
    }

    /// Which of its rooms that is.
    fn nth(&self, name: &str) -> Option<usize> {
        let rooms = &self.site.plan.rooms;
        let is_it = |room: &usize| rooms[*room].as_str() == name;
        self.plan.rooms.iter().position(is_it)
    }
}

fn settle(sent: Sent) -> impl Future<Output = (Sent, Result<Cursor, PublishError>)> {
    let mut sent = sent;
    async move {
        let fate = (&mut sent.delivery).await;
        (sent, fate)
    }
}

/// The name of an error or close code, or else another.
fn name_of(code: Option<u32>, other: &str) -> String {
    let error = code.and_then(ErrorCode::from_wire).map(ErrorCode::name);
    let close = || code.and_then(CloseCode::from_wire).map(CloseCode::name);
    error.or_else(close).unwrap_or_else(|| other.to_owned())
}

fn code_of(error: &ConnectError) -> String {
    let code = match error {
        ConnectError::Refused { code, .. } => return name_of(Some(*code), "refused"),
        ConnectError::Unreachable { .. } => "unreachable",
        ConnectError::Tls { .. } | ConnectError::Trust(_) => "untrusted",
        ConnectError::Version { .. } => "version",
        ConnectError::Socket(_) => "no_socket",
        _ => "connect",
    };
    code.to_owned()
}

/// Events that are taken at once.
const BATCH_LEN: usize = 64;

/// The time between tries to connect, doubled until the longest.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long a client stays away that shall come back.
const AWAY_MS: std::ops::Range<u64> = 100..1_000;

/// A slow reader takes one event and does not look for so long.
const SLOW_PAUSE: Duration = Duration::from_millis(20);

/// How long a client that shall leave waits for what it sent.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// How long the end waits for a goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
