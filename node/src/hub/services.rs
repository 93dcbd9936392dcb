//! What the hub does by itself: hears the backplane, keeps presence, watches over rooms, sessions
//! and names, and knows whether messages flow.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::UserName;
use chat_protocol::node::BackplaneState;
use tokio::sync::{self, mpsc};
use tokio::time::{self, Instant};
use tracing::{debug, info, warn};

use super::Hub;
use super::inbox::Invite;
use super::sessions::Invited;
use crate::backplane::{Backplane, Block, Event};
use crate::presence::{self, Presence};
use crate::room::Room;
use crate::supervise::supervise;

/// Takes the node's lease and learns what the cluster shares, however long the backplane takes.
pub(super) async fn first_contact(presence: &Presence, backplane: &dyn Backplane) -> [u8; 32] {
    let mut is_told = false;
    loop {
        let contact = async {
            presence.write(backplane).await?;
            backplane.shared_secret(rand::random()).await
        };
        match contact.await {
            Ok(shared) => return shared,
            Err(error) if !is_told => {
                warn!(%error, "waiting for the backplane");
                is_told = true;
            }
            Err(error) => debug!(%error, "waiting for the backplane"),
        }
        time::sleep(CONTACT_PAUSE).await;
    }
}

/// Starts the services. Each ends when the hub stops.
pub(super) fn spawn(
    hub: &Arc<Hub>,
    events: mpsc::Receiver<Event>,
    letters: mpsc::Receiver<Option<Block>>,
) {
    let events = Arc::new(sync::Mutex::new(events));
    let letters = Arc::new(sync::Mutex::new(letters));
    service(hub, "events", move |hub| {
        let events = Arc::clone(&events);
        async move { hub.hear(&mut *events.lock().await).await }
    });
    service(hub, "presence", |hub| async move {
        presence::keep(&hub.presence, &*hub.backplane, |changes| hub.tell(changes)).await;
    });
    service(hub, "inbox", move |hub| {
        let letters = Arc::clone(&letters);
        async move {
            let deliver = |invite| hub.on_invite(invite);
            hub.inbox
                .run(&*hub.backplane, &mut *letters.lock().await, deliver)
                .await;
        }
    });
    service(hub, "flusher", |hub| async move { hub.flusher.run().await });
    service(hub, "rooms", |hub| async move { hub.watch_rooms().await });
    service(hub, "heads", |hub| async move { hub.watch_heads().await });
    service(
        hub,
        "sessions",
        |hub| async move { hub.watch_sessions().await },
    );
    service(hub, "names", |hub| async move { hub.watch_names().await });
    service(hub, "secret", |hub| async move { hub.watch_secret().await });
    service(hub, "health", |hub| async move { hub.watch_health().await });
}

fn service<F>(
    hub: &Arc<Hub>,
    name: &'static str,
    run: impl Fn(Arc<Hub>) -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let hub = Arc::clone(hub);
    let tasks = hub.tasks.clone();
    tasks.spawn(async move {
        let stop = hub.stop.clone();
        stop.run_until_cancelled(supervise(name, || run(Arc::clone(&hub))))
            .await;
    });
}

impl Hub {
    async fn hear(&self, events: &mut mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            match event {
                Event::Announced { room, block } if room == *self.inbox.room() => {
                    self.inbox.hint(block);
                }
                Event::Announced { room, block } => {
                    let room = self.rooms().get(&room).cloned();
                    if let Some(room) = room {
                        room.hint(block);
                    }
                }
                Event::Whispered { room, whisper } => self.on_whisper(&room, &whisper),
                Event::Gossip(gossip) => self.tell(self.presence.on_gossip(&gossip)),
                Event::Missed => {
                    self.presence.on_missed();
                    self.inbox.check_log();
                    self.rooms().values().for_each(|room| room.check_log());
                }
                Event::Available(false) => {
                    self.inbox.forget_beacon();
                    self.set_available(false);
                }
                // The beacon tells when messages flow again.
                Event::Available(true) => {}
            }
        }
    }

    fn on_invite(self: &Arc<Self>, invite: Invite) {
        let session = invite.session;
        match self.sessions.invite(session, invite.clone().into()) {
            Invited::Now(outlet) => outlet.invite(invite.into()),
            Invited::Kept => {}
            Invited::Unknown => debug!(%session, "an invitation for somebody who left"),
        }
    }

    async fn watch_rooms(&self) {
        let mut look_at = Instant::now();
        loop {
            time::sleep(PRESENCE_TICK).await;
            let rooms: Vec<Arc<Room>> = self.rooms().values().cloned().collect();
            for room in rooms.iter().filter(|room| room.has_presence_to_flush()) {
                room.flush_presence(self.presence.view().member_count(room.name()));
            }
            let now = Instant::now();
            if now < look_at {
                continue;
            }
            look_at = now + IDLE_EVERY;
            if let Some(before) = now.checked_sub(ROOM_IDLE) {
                for room in &rooms {
                    if room.close_if_idle(before) {
                        debug!(room = %room.name(), "nobody is here any more");
                    }
                }
            }
        }
    }

    async fn watch_sessions(&self) {
        loop {
            time::sleep(SESSIONS_EVERY).await;
            let expired = self.sessions.expire(Instant::now(), self.settings.grace);
            for (session, name, rooms) in expired.sessions {
                debug!(%session, "a session did not come back");
                self.end_session(session, &name, rooms);
            }
            for (session, room) in expired.rooms {
                self.forget_membership(session, room);
            }
            self.prove_sessions(Instant::now());
            if let Err(error) = self.claims.release(&*self.backplane).await {
                debug!(%error, "names are given back later");
            }
        }
    }

    /// Claims the names of all sessions again whenever the node has registered anew.
    async fn watch_names(&self) {
        let mut registrations = self.presence.registrations();
        // Also what one that ended early left over.
        registrations.mark_changed();
        let mut names = Vec::new();
        loop {
            let pause = async {
                if names.is_empty() {
                    std::future::pending::<()>().await;
                }
                time::sleep(NAMES_EVERY).await;
            };
            tokio::select! {
                changed = registrations.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    names = self.sessions.names();
                }
                () = pause => {}
            }
            let is_named =
                |session, name: &UserName| self.sessions.name(session).as_ref() == Some(name);
            let claimed = self
                .claims
                .claim_again(&*self.backplane, &mut names, is_named);
            if let Err(error) = claimed.await {
                debug!(%error, waiting = names.len(), "names are claimed again later");
            }
        }
    }

    /// After this process was stopped: a connection that lasts so long is one with somebody at its
    /// other end. What waited to be read when it went on may be from somebody who is gone.
    fn prove_sessions(&self, now: Instant) {
        // Silence counts from the last packet, and once more from the first one sent after it.
        let silence = self.settings.idle_timeout * 2 + SESSIONS_EVERY;
        if let Some(woke_at) = self.presence.withholding_since()
            && now.duration_since(woke_at) >= silence
        {
            self.presence.prove(self.sessions.attached());
        }
    }

    /// Keeps what the cluster shares in the backplane, also when it lost its memory: a node that
    /// starts later must find the same, or sessions could not move to it.
    async fn watch_secret(&self) {
        loop {
            time::sleep(SECRET_EVERY).await;
            match self.backplane.shared_secret(self.keys.shared()).await {
                Ok(shared) => {
                    if self.keys.adopt(shared) {
                        warn!("the cluster shares another secret; older sessions resume here only");
                    }
                }
                Err(error) => debug!(%error, "the shared secret is not compared"),
            }
        }
    }

    async fn watch_health(&self) {
        // The first beacon has had its time.
        time::sleep(super::inbox::BEACON_EVERY * 3).await;
        loop {
            self.set_available(self.inbox.is_flowing());
            time::sleep(HEALTH_EVERY).await;
        }
    }

    fn set_available(&self, is_available: bool) {
        let is_change = self
            .is_available
            .send_if_modified(|state| std::mem::replace(state, is_available) != is_available);
        if !is_change {
            return;
        }
        if is_available {
            info!("messages flow through the backplane again");
        } else {
            warn!("no messages flow through the backplane; publishes are refused as retryable");
        }
        for outlet in self.sessions.outlets() {
            outlet.send(BackplaneState {
                available: is_available,
            });
        }
    }
}

/// Pause between tries to reach a backplane that was never there yet.
const CONTACT_PAUSE: Duration = Duration::from_millis(300);

/// Changes of members are told together so often.
const PRESENCE_TICK: Duration = Duration::from_millis(200);

/// Rooms that nobody is in are looked for so often.
const IDLE_EVERY: Duration = Duration::from_secs(1);

/// A room nobody is in stays loaded so long: people come back.
const ROOM_IDLE: Duration = Duration::from_secs(30);

/// Sessions and names are looked over so often.
const SESSIONS_EVERY: Duration = Duration::from_millis(250);

/// Names that could not be claimed again are tried so often.
const NAMES_EVERY: Duration = Duration::from_secs(1);

/// The shared secret is compared so often.
const SECRET_EVERY: Duration = Duration::from_secs(2);

/// The beacon is looked for so often.
const HEALTH_EVERY: Duration = Duration::from_millis(500);
