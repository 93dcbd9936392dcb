//! Datagrams of a client: few are looked at, and none that is wrong hurts.

use std::collections::HashMap;
use std::future;
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::datagram::{ClientDatagram, IsTyping, TYPING};
use chat_protocol::node::Permissions;
use chat_protocol::{RoomName, RoomRef};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::Served;
use crate::hub::Admitted;

/// What a client's datagrams are allowed.
#[derive(Debug)]
pub(super) struct Typist {
    /// Whether its datagrams are read: both sides know the feature.
    is_heard: bool,
    /// Whether it may say that it is typing.
    may_type: bool,
    /// When it was typing last, in the rooms it is in.
    last: HashMap<RoomRef, Instant>,
    pace: Pace,
}

impl Typist {
    /// A client that was just welcomed. One that knows the feature is told of others from here on.
    pub(super) fn new(admitted: &Admitted) -> Self {
        let is_heard = admitted.welcome.features.contains(&TYPING);
        if is_heard {
            admitted.member.outlet.listen(admitted.member.session);
        }
        Self {
            is_heard,
            may_type: admitted.permissions.contains(Permissions::PUBLISH),
            last: HashMap::new(),
            pace: Pace::new(Instant::now()),
        }
    }

    /// The client's next datagram, not before its time: what comes faster is dropped by QUIC, oldest
    /// first. Never when it sends none, or the connection is lost, which others notice. Cancel safe.
    pub(super) async fn next(&mut self, connection: &quinn::Connection) -> Bytes {
        if !self.is_heard {
            return future::pending().await;
        }
        // Only a flood sets a timer.
        let due = self.pace.due();
        if due > Instant::now() {
            sleep_until(due).await;
        }
        match connection.read_datagram().await {
            Ok(datagram) => {
                self.pace.note(Instant::now());
                datagram
            }
            Err(_) => future::pending().await,
        }
    }

    /// The client left a room.
    pub(super) fn forget(&mut self, room: RoomRef) {
        self.last.remove(&room);
    }

    /// Whether it may be told that the client is typing there: the first time in a while.
    fn is_due(&mut self, room: RoomRef, now: Instant) -> bool {
        let is_due = self.may_type
            && self
                .last
                .get(&room)
                .is_none_or(|last| now >= *last + TYPING_EVERY);
        if is_due {
            self.last.insert(room, now);
        }
        is_due
    }
}

impl Served {
    /// Takes a datagram in. Nothing that it says is answered.
    pub(super) fn on_datagram(&mut self, datagram: &[u8]) {
        let IsTyping { room } = match ClientDatagram::decode(datagram) {
            Ok(Some(ClientDatagram::IsTyping(is_typing))) => is_typing,
            // Of a later version.
            Ok(None) => return,
            Err(error) => {
                debug!(%error, "a datagram that is none");
                return self.hub.note_malformed();
            }
        };
        match self.joined.get(&room) {
            Some(joined)
                if *joined.room.name() != RoomName::system()
                    && self.typist.is_due(room, Instant::now()) =>
            {
                self.hub.typing(&self.member, joined.room.name());
            }
            _ => self.hub.note_dropped(),
        }
    }
}

/// How often a client's datagrams are looked at. Pure.
#[derive(Debug)]
struct Pace {
    /// When all that was looked at would have had its time.
    spent_until: Instant,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self { spent_until: now }
    }

    /// When the next one may be looked at.
    fn due(&self) -> Instant {
        self.spent_until
            .checked_sub(DATAGRAM_EVERY * BURST)
            .unwrap_or(self.spent_until)
    }

    /// One was looked at.
    fn note(&mut self, now: Instant) {
        self.spent_until = self.spent_until.max(now) + DATAGRAM_EVERY;
    }
}

/// A session's typing in a room is told so often.
const TYPING_EVERY: Duration = Duration::from_secs(2);

/// Datagrams of a client are looked at so often, in the long run.
const DATAGRAM_EVERY: Duration = Duration::from_millis(50);

/// Datagrams that are looked at at once.
const BURST: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_looked_at_a_little_at_a_time() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let looked_at = |pace: &mut Pace, now: Instant| {
            let mut looked_at = 0;
            while pace.due() < now && looked_at < 1_000 {
                pace.note(now);
                looked_at += 1;
            }
            looked_at
        };
        let later = start + Duration::from_secs(60);
        assert_eq!(looked_at(&mut pace, later), BURST);
        assert_eq!(looked_at(&mut pace, later), 0);
        assert_eq!(looked_at(&mut pace, later + Duration::from_secs(1)), BURST);
        let mut all = 0;
        for millisecond in 0..2_000 {
            let now = later + Duration::from_secs(2) + Duration::from_millis(millisecond);
            all += looked_at(&mut pace, now);
        }
        assert!((40..=40 + BURST).contains(&all), "{all}");
    }

    #[test]
    fn a_member_types_once_in_a_while_in_each_room() {
        let start = Instant::now();
        let mut typist = Typist {
            is_heard: true,
            may_type: true,
            last: HashMap::new(),
            pace: Pace::new(start),
        };
        let (one, other) = (RoomRef(1), RoomRef(2));
        assert!(typist.is_due(one, start) && typist.is_due(other, start));
        let soon = start + TYPING_EVERY - Duration::from_millis(1);
        assert!(!typist.is_due(one, soon));
        assert!(
            typist.is_due(one, start + TYPING_EVERY),
            "and not of the last try"
        );
        typist.forget(other);
        assert_eq!(typist.last.len(), 1);
        typist.may_type = false;
        assert!(!typist.is_due(other, start + TYPING_EVERY * 9));
    }
}
