//! The ledgers of a run: what clients send, are acked and read, room by room.
//!
//! Rooms are spread over several ledgers, so that clients rarely wait for each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_client::Event;
use chat_client::ledger::{Ledger, ReaderId, Stamp, Verdict};
use chat_protocol::{Cursor, RoomName};

/// All ledgers.
#[derive(Debug)]
pub struct Proof {
    ledgers: Vec<Mutex<Ledger>>,
}

/// Who a client is to each of the ledgers.
#[derive(Clone, Debug)]
pub struct Readers(Vec<ReaderId>);

impl Proof {
    /// For so many rooms.
    #[must_use]
    pub fn new(rooms: usize) -> Self {
        Self {
            ledgers: (0..rooms.clamp(1, LEDGERS_MAX))
                .map(|_| Mutex::default())
                .collect(),
        }
    }

    /// One more who reads.
    pub fn readers(&self) -> Readers {
        let ids = 0..self.ledgers.len();
        Readers(ids.map(|index| self.ledger(index).reader()).collect())
    }

    /// Publishes a message by `publish`, and has the ledger know of it before any reader does.
    ///
    /// # Errors
    /// As `publish`; nothing was sent then.
    pub fn send<T, E>(
        &self,
        room: usize,
        name: &RoomName,
        stamp: Stamp,
        publish: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut ledger = self.ledger(room);
        let published = publish()?;
        ledger.sent(name, stamp);
        Ok(published)
    }

    /// A message was acked.
    pub fn acked(&self, room: usize, name: &RoomName, stamp: Stamp, cursor: Cursor) {
        self.ledger(room).acked(name, stamp, cursor);
    }

    /// A message was refused for good: it is in no log.
    pub fn refused(&self, room: usize, name: &RoomName, stamp: Stamp) {
        self.ledger(room).refused(name, stamp);
    }

    /// The fate of a message will never be known.
    pub fn given_up(&self, room: usize, name: &RoomName, stamp: Stamp) {
        self.ledger(room).given_up(name, stamp);
    }

    /// A reader was told something about a room.
    pub fn observe(&self, readers: &Readers, room: usize, event: &Event) {
        let reader = readers.0[room % self.ledgers.len()];
        self.ledger(room).observe(reader, event);
    }

    /// Judges what all ledgers hold.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let ledgers = 0..self.ledgers.len();
        ledgers
            .map(|index| self.ledger(index).judge())
            .reduce(Verdict::merge)
            .unwrap_or_default()
    }

    /// Broken promises that were found so far.
    #[must_use]
    pub fn violations(&self) -> u64 {
        let ledgers = 0..self.ledgers.len();
        ledgers
            .map(|index| self.ledger(index).counts().violations())
            .sum()
    }

    /// Forgets what can no longer change.
    pub fn settle(&self) {
        for index in 0..self.ledgers.len() {
            self.ledger(index).settle();
        }
    }

    fn ledger(&self, room: usize) -> MutexGuard<'_, Ledger> {
        // No code that can panic runs under this lock.
        self.ledgers[room % self.ledgers.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// More would cost memory for each client and hardly be faster.
const LEDGERS_MAX: usize = 8;
