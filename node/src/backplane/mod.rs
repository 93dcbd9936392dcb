//! The seam between nodes: one trait, two implementations, one contract.
//!
//! A backplane is the only source of order. [`memory`] serves one process (a node alone, several
//! nodes of a demo or test); [`redis`] serves a cluster. Both pass `contract`, and what this page
//! promises is what that suite checks.
//!
//! It owns three things: the **logs** of rooms, the **hints** that something happened, and the
//! **registry** of live nodes with their members and the names in use. It never interprets an
//! entry, and knows no session, connection or clock of a client.
//!
//! # Promises
//!
//! * [`append`](Backplane::append) numbers the entries of a room 1, 2, 3 and so on within an
//!   epoch, stores them and announces them, all in one atomic step. The same session and nonce is
//!   stored once in an epoch; a repeat gets the first answer.
//! * Announcements of a room come in the order of their seqs, at most once, **and may be lost**:
//!   they are hints. The log is the truth: [`read`](Backplane::read) is complete for what has not
//!   been trimmed.
//! * No (epoch, seq) ever names two different entries. A log that lost or rolled back its memory
//!   goes on in a new epoch, with seqs above all that were ever seen.
//! * [Whispers](Backplane::whisper) are for what nobody needs to hear: they reach the nodes that are
//!   subscribed to a room, or some of them, or none; they enter no log, and make no node miss
//!   anything else.
//! * A registry entry of a node lives as long as the node's lease. When the lease ends, all of
//!   them are gone in one step.
//! * Every call ends within the implementation's timeout. All calls are safe to repeat.
//!
//! # Cancel safety
//!
//! Dropping a call's future leaves it unknown whether the call took effect, as a timeout does.

use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chat_protocol::codec::Bounds;
use chat_protocol::{Cursor, Epoch, FrameError, Nonce, RoomName, Seq, SessionId, Topic};
use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::sync::mpsc;

pub mod memory;
mod outbox;
pub mod promise;
pub mod redis;

pub use promise::{Promise, Survival, Unfit};

/// Relay between nodes. The module says what it promises.
pub trait Backplane: Debug + Send + Sync + 'static {
    /// Appends drafts to a room's log, in their order, as one block with one announcement.
    ///
    /// The answer has one outcome for each draft, in the same order. A draft that repeats an
    /// earlier one takes no place.
    ///
    /// # Errors
    /// See [`AppendError`]. Repeating the same drafts is always safe.
    fn append<'a>(
        &'a self,
        room: &'a RoomName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended, AppendError>>;

    /// What [`append`](Self::append) would answer of a draft of this session and nonce if it is a
    /// repeat; `None` when it would be new. Changes nothing.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn repeat_of<'a>(
        &'a self,
        room: &'a RoomName,
        session: SessionId,
        nonce: Nonce,
    ) -> BoxFuture<'a, Result<Option<Outcome>, ReadError>>;

    /// Reads on from `after`, oldest first, about `entries_max` entries, fewer when they are large
    /// ([`PAGE_BYTES_MAX`]): read on until the page ends at its head.
    ///
    /// A room that has no log yet gets an epoch by being read.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn read<'a>(
        &'a self,
        room: &'a RoomName,
        after: Cursor,
        entries_max: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>>;

    /// Reads the last entries, oldest first, at least `entries` of them if there are so many.
    ///
    /// A room that has no log yet gets an epoch by being read.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn read_last<'a>(
        &'a self,
        room: &'a RoomName,
        entries: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>>;

    /// The heads of several rooms, in their order; `None` for a room without a log.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn heads<'a>(
        &'a self,
        rooms: &'a [RoomName],
    ) -> BoxFuture<'a, Result<Vec<Option<Cursor>>, ReadError>>;

    /// Asks for announcements of a room. When this returns, what is appended from now on is
    /// announced to this node (but for faults). Kept over reconnects.
    ///
    /// # Errors
    /// When the backplane does not answer; the subscription is then not kept.
    fn subscribe<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, Result<(), ReadError>>;

    /// Ends announcements of a room. Never fails: what is left over is ignored by the reader.
    fn unsubscribe<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, ()>;

    /// Tells something to the nodes that are subscribed to a room, this one included if it is.
    /// It is kept nowhere, has no order with announcements, may be lost, and is dropped first where a
    /// node is behind. At most [`WHISPER_BYTES_MAX`].
    ///
    /// # Errors
    /// When it is too long, or the backplane does not answer. There is no need to repeat it.
    fn whisper<'a>(
        &'a self,
        room: &'a RoomName,
        whisper: Bytes,
    ) -> BoxFuture<'a, Result<(), ReadError>>;

    /// Renews a node's lease and sends `gossip` to every node, itself included.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn renew<'a>(
        &'a self,
        node: NodeId,
        lease: Duration,
        gossip: Bytes,
    ) -> BoxFuture<'a, Result<Lease, ReadError>>;

    /// Writes entries of a node's registry, renews its lease and sends `gossip` to every node,
    /// itself included, in one atomic step.
    ///
    /// With [`Lease::Lost`] nothing was written or sent: write again with `changes.reset` and
    /// everything, and then [claim again](Self::claim_again) what was claimed.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn write_registry<'a>(
        &'a self,
        node: NodeId,
        lease: Duration,
        changes: &'a RegistryChanges,
        gossip: Bytes,
    ) -> BoxFuture<'a, Result<Lease, ReadError>>;

    /// A node's registry; `None` when it holds no lease.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn read_registry(&self, node: NodeId) -> BoxFuture<'_, Result<Option<Registry>, ReadError>>;

    /// Nodes that hold a lease.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeId>, ReadError>>;

    /// Ends a node's lease: its registry and its claims are gone. Sends `gossip` to every node.
    ///
    /// # Errors
    /// When the backplane does not answer; the lease then ends by itself.
    fn resign(&self, node: NodeId, gossip: Bytes) -> BoxFuture<'_, Result<(), ReadError>>;

    /// Claims a key (a name's skeleton) for a session on a node. Granted when nobody holds it, when
    /// its holder's node holds no lease any more, or when the holder is the same session: the claim
    /// then moves to this node.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn claim<'a>(&'a self, key: &'a str, claim: Claim)
    -> BoxFuture<'a, Result<Claimed, ReadError>>;

    /// Claims keys again that were granted before, in their order, when the backplane may have
    /// forgotten them. As [`claim`](Self::claim), but a key that is held for the same session on
    /// another live node stays there: the session may have gone to it. Some hundred keys at most.
    ///
    /// # Errors
    /// When the backplane does not answer: some may be claimed by now. Safe to repeat.
    fn claim_again<'a>(
        &'a self,
        claims: &'a [(String, Claim)],
    ) -> BoxFuture<'a, Result<Vec<Claimed>, ReadError>>;

    /// Gives a key back, if exactly this claim holds it.
    ///
    /// # Errors
    /// When the backplane does not answer; the claim then ends with the node's lease.
    fn release<'a>(&'a self, key: &'a str, claim: Claim) -> BoxFuture<'a, Result<(), ReadError>>;

    /// Random bytes that all nodes of the cluster share and nobody else has. `proposal` becomes
    /// them when there are none yet.
    ///
    /// # Errors
    /// When the backplane does not answer.
    fn shared_secret(&self, proposal: [u8; 32]) -> BoxFuture<'_, Result<[u8; 32], ReadError>>;

    /// What becomes of acknowledged entries, as far as is known by now.
    fn promise(&self) -> Promise {
        Promise::default()
    }

    /// Returns when the backplane turns out to be set up so that a node must not start with it,
    /// which is known at the first contact, before anything is written. Otherwise never. Cancel
    /// safe.
    fn unfit(&self) -> BoxFuture<'_, Unfit> {
        Box::pin(std::future::pending())
    }
}

/// A node's end of a backplane.
#[derive(Debug)]
pub struct Attachment {
    /// For calls.
    pub backplane: Arc<dyn Backplane>,
    /// What the backplane says by itself. Bounded: when it is full, events are dropped and an
    /// [`Event::Missed`] follows as soon as there is room.
    pub events: mpsc::Receiver<Event>,
}

/// Events a node may be behind before hints are dropped: a second of a busy cluster.
pub const EVENTS_LEN_MAX: usize = 4_096;

/// Most bytes of a whisper.
pub const WHISPER_BYTES_MAX: usize = 256;

/// Refuses a whisper that is too long.
pub(crate) fn check_whisper(whisper: &Bytes) -> Result<(), ReadError> {
    match whisper.len() {
        ..=WHISPER_BYTES_MAX => Ok(()),
        bytes => Err(ReadError(format!(
            "a whisper of {bytes} bytes, limit {WHISPER_BYTES_MAX}"
        ))),
    }
}

/// What a backplane says by itself.
#[derive(Clone, Debug)]
pub enum Event {
    /// Entries were appended to a room.
    Announced {
        /// The room, as the announcement's payload names it.
        room: RoomName,
        /// The entries.
        block: Block,
    },
    /// Something was whispered in a room.
    Whispered {
        /// The room, as the whisper names it.
        room: RoomName,
        /// What.
        whisper: Bytes,
    },
    /// A node told the others something about itself.
    Gossip(Bytes),
    /// Announcements may have been lost (a reconnect, an overflow): compare heads and registries.
    Missed,
    /// Whether the backplane answers. The first such event may be missing while it does.
    Available(bool),
}

/// One start of one node: a restarted node is another.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub u64);

impl Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl Debug for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "NodeId({self})")
    }
}

/// An entry that wants a place in a log.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who wrote it.
    pub session: SessionId,
    /// The writer's number for it, rising within the session and room, up to [`Nonce::MAX`].
    pub nonce: Nonce,
    /// The entry as the frame that readers get.
    pub frame: Bytes,
    /// The room's topic from here on, when this entry sets it.
    pub topic: Option<Topic>,
}

/// Drafts of one room that are appended together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The highest place the appending node has seen of this room: a log that is behind it has
    /// lost its memory. One beyond [`HEAD_MAX`] is not believed.
    pub known: Option<Cursor>,
    /// At most [`Batch::DRAFTS_MAX`] drafts of at most [`Batch::BYTES_MAX`] bytes.
    pub drafts: Vec<Draft>,
}

impl Batch {
    /// Most drafts of a batch: bounds the time one script call holds the backplane.
    pub const DRAFTS_MAX: usize = 128;
    /// Most bytes of a batch's frames, unless it is a single draft.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// Whether a log can take it: within the bounds, and each draft exactly one frame of an entry.
    /// One bad frame would make its whole block unreadable for everybody.
    ///
    /// # Errors
    /// [`AppendError::Refused`] when it cannot.
    pub(crate) fn check(&self) -> Result<(), AppendError> {
        let refuse = |reason: &str| Err(AppendError::Refused(reason.to_owned()));
        let bytes: usize = self.drafts.iter().map(|draft| draft.frame.len()).sum();
        let is_single = self.drafts.len() == 1;
        if self.drafts.len() > Self::DRAFTS_MAX || bytes > Self::BYTES_MAX && !is_single {
            return refuse("a batch beyond its bounds");
        }
        for draft in &self.drafts {
            match Bounds::read(&draft.frame) {
                Ok(Some(bounds))
                    if bounds.end == draft.frame.len()
                        && chat_protocol::lane::is_entry(bounds.kind) => {}
                _ => return refuse("a draft that is not one frame of an entry"),
            }
            if draft.nonce > Nonce::MAX {
                return refuse("a nonce beyond its bounds");
            }
        }
        Ok(())
    }
}

/// Highest seq that is believed to be a log's last one. No chat gets there: who reads a higher
/// one reads what somebody else wrote, and a log could not go on above it.
pub const HEAD_MAX: Seq = Seq((1 << 52) - 1);

/// How much of a room's log is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogBounds {
    /// Entries that are kept, and up to one block more.
    pub entries_max: u64,
    /// How long an entry is kept. Checked when the room is used, and for whole blocks.
    pub age_max: Duration,
    /// A room that is neither written nor read for this long is forgotten, with its topic; its
    /// next log is of another epoch. At least `age_max`.
    pub idle_max: Duration,
}

impl Default for LogBounds {
    /// A day of a busy room, and a week for the topic of a quiet one.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            entries_max: 10_000,
            age_max: DAY,
            idle_max: DAY.saturating_mul(7),
        }
    }
}

/// Most bytes of frames in a page of [`Backplane::read`], give or take a block.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct Appended {
    /// One outcome for each draft.
    pub outcomes: Vec<Outcome>,
}

/// What became of a draft.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is in the log at this place, by this call or an earlier one.
    At {
        /// The place.
        cursor: Cursor,
        /// Whether an earlier call had put it there.
        repeated: bool,
    },
    /// Its nonce is older than the window of nonces that are remembered: whether it was ever
    /// appended cannot be told, and it was not appended now.
    NonceTooOld,
}

/// Nonces that are remembered of a session in a room. More than a session may have in flight.
pub const NONCES_REMEMBERED: usize = 2 * chat_protocol::limits::IN_FLIGHT_MAX;

/// How long a session's nonces are remembered at least, after its last append to the room.
pub const NONCES_KEPT: Duration = Duration::from_secs(15 * 60);

/// Consecutive entries of one room: their frames, as readers get them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// The log's epoch.
    pub epoch: Epoch,
    /// Seq of the first entry.
    pub first: Seq,
    /// Number of entries, at least 1.
    pub len: u32,
    /// Their frames, one after the other.
    pub frames: Bytes,
}

impl Block {
    /// Seq of the last entry.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.first.plus(u64::from(self.len)).minus(1)
    }

    /// Where each frame ends, if the block is what it says: exactly `len` frames, all entries,
    /// within the bounds of a seq. Everything a backplane hands over is checked by this first.
    ///
    /// # Errors
    /// When it is not.
    pub fn ends(&self) -> Result<Vec<u32>, DamagedBlock> {
        let len = self.len as usize;
        if self.len == 0 || self.first == Seq::ZERO || self.last() > Seq::MAX {
            return Err(DamagedBlock::Numbers);
        }
        if self.frames.len() > BLOCK_BYTES_MAX || len > self.frames.len() {
            return Err(DamagedBlock::Size);
        }
        let mut ends = Vec::with_capacity(len);
        let mut at = 0;
        while at < self.frames.len() {
            let rest = self.frames.get(at..).unwrap_or_default();
            let bounds = Bounds::read(rest)?.ok_or(DamagedBlock::Truncated)?;
            if !chat_protocol::lane::is_entry(bounds.kind) {
                return Err(DamagedBlock::Kind(bounds.kind));
            }
            at += bounds.end;
            ends.push(u32::try_from(at).map_err(|_| DamagedBlock::Size)?);
        }
        if ends.len() == len {
            Ok(ends)
        } else {
            Err(DamagedBlock::Numbers)
        }
    }

    /// The part of the block after `seq`; `None` when nothing is left.
    ///
    /// # Errors
    /// When the block is damaged.
    pub fn after(self, seq: Seq) -> Result<Option<Self>, DamagedBlock> {
        if seq >= self.last() {
            return Ok(None);
        }
        if seq < self.first {
            return Ok(Some(self));
        }
        let skipped = seq.0 - self.first.0 + 1;
        let ends = self.ends()?;
        let index = usize::try_from(skipped - 1).map_err(|_| DamagedBlock::Numbers)?;
        let start = *ends.get(index).ok_or(DamagedBlock::Numbers)? as usize;
        Ok(Some(Self {
            epoch: self.epoch,
            first: seq.next(),
            len: self.len - u32::try_from(skipped).map_err(|_| DamagedBlock::Numbers)?,
            frames: self.frames.slice(start..),
        }))
    }
}

/// Largest block that is believed, in bytes: a full batch and one frame more.
pub const BLOCK_BYTES_MAX: usize = Batch::BYTES_MAX + chat_protocol::limits::FRAME_BYTES_MAX + 8;

/// A block that is not what it says: damaged, or written by somebody else.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum DamagedBlock {
    /// Seqs or counts that cannot be.
    #[error("a block whose numbers do not fit its frames")]
    Numbers,
    /// Larger than any node writes.
    #[error("a block larger than any node writes")]
    Size,
    /// Ends inside a frame.
    #[error("a block that ends inside a frame")]
    Truncated,
    /// A frame that is no entry.
    #[error("frame kind {0:#x} in a log")]
    Kind(u64),
    /// Not frames at all.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// A part of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// The log's last entry at the time of reading; seq 0 when it has none.
    pub head: Cursor,
    /// Seq of the first entry that can be read; `head.seq + 1` when there is none.
    pub first: Seq,
    /// The room's topic.
    pub topic: Topic,
    /// How the page continues what the reader had. [`Continuation::Seamless`] for `read_last`.
    pub continuation: Continuation,
    /// The entries, without holes unless one is damaged (then the reader sees seqs jump). The
    /// first block starts right after the reader's cursor when the page is seamless, otherwise
    /// where reading can go on.
    pub blocks: Vec<Block>,
}

/// How a page continues what its reader had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Continuation {
    /// Entry after entry.
    Seamless,
    /// Entries between the cursor and the page are not kept any more.
    Trimmed,
    /// The cursor is of another epoch and beyond the fork (or ahead of the log): what the reader
    /// had last may not be in this log.
    Diverged,
}

/// Whether a node still held its lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lease {
    /// It did, and holds it on.
    Kept,
    /// It had ended: the others take the node's members for gone.
    Lost,
}

/// What changes in a node's registry.
#[derive(Clone, Debug, Default)]
pub struct RegistryChanges {
    /// Forget everything before.
    pub reset: bool,
    /// Version of the registry after the change.
    pub version: u64,
    /// Keys and values to set.
    pub set: Vec<(Bytes, Bytes)>,
    /// Keys to remove.
    pub remove: Vec<Bytes>,
}

/// What a node registered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Registry {
    /// As written last.
    pub version: u64,
    /// Keys and values, in no order.
    pub entries: Vec<(Bytes, Bytes)>,
}

/// Who holds a key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Claim {
    /// The node the session is on.
    pub node: NodeId,
    /// The session.
    pub session: SessionId,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claimed {
    /// It holds.
    Granted,
    /// Another session holds the key, or the same one on another node.
    Held(Claim),
}

/// Why drafts were not acknowledged.
#[derive(Debug, Error)]
pub enum AppendError {
    /// No answer in time, or the connection broke: the drafts may be in the log. Repeat them with
    /// the same nonces.
    #[error("no answer from the backplane: {0}")]
    Unknown(String),
    /// The backplane refused or could not be reached; nothing was written. Safe to repeat.
    #[error("the backplane refused: {0}")]
    Refused(String),
}

/// Why a question got no answer. Safe to repeat.
#[derive(Debug, Error)]
#[error("no answer from the backplane: {0}")]
pub struct ReadError(pub String);
