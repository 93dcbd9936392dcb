//! What nodes send each other through the log: a room of its own for each node, `@node/<id>`.
//!
//! It carries invitations into rooms of two, and the beacon: an entry the node appends for itself
//! and must see come back, the whole way through the backplane. A node whose beacon does not come
//! back is not healthy, whatever else looks fine.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chat_protocol::codec::{Bounds, RawFrame};
use chat_protocol::{Cursor, Nonce, RoomName, SessionId, UserName, varint};
use rand::Rng;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use tracing::debug;

use crate::backplane::{AppendError, Backplane, Batch, Block, Draft, NodeId, ReadError};
use crate::outlet::Invitation;
use crate::room::follow::{self, Step};

/// An entry from node to node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Letter {
    /// Kind `0x10`: the node's own sign of life.
    Beacon(u64),
    /// Kind `0x12`: a session of the node is asked into a room of two.
    Invite(Invite),
}

/// A session of the node is asked into a room of two.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Invite {
    /// Whom.
    pub session: SessionId,
    /// Whereto.
    pub room: RoomName,
    /// Who asks.
    pub from: UserName,
    /// The room's head before anything was said.
    pub after: Cursor,
}

impl From<Invite> for Invitation {
    fn from(invite: Invite) -> Self {
        Self {
            room: invite.room,
            from: invite.from,
            after: invite.after,
        }
    }
}

impl Letter {
    /// The letter as an entry of a log.
    #[must_use]
    pub fn to_frame(&self) -> Bytes {
        let (kind, body) = match self {
            Self::Beacon(number) => (BEACON, postcard::to_stdvec(number)),
            Self::Invite(invite) => (INVITE, postcard::to_stdvec(invite)),
        };
        let body = body.expect("letters always encode");
        let mut frame = BytesMut::new();
        varint::put((varint::len(kind) + body.len()) as u64, &mut frame);
        varint::put(kind, &mut frame);
        frame.extend_from_slice(&body);
        frame.freeze()
    }

    fn decode(raw: &RawFrame) -> Option<Self> {
        match raw.kind {
            BEACON => postcard::from_bytes(&raw.body).ok().map(Self::Beacon),
            INVITE => postcard::from_bytes(&raw.body).ok().map(Self::Invite),
            // Of a later version.
            _ => None,
        }
    }
}

/// The node's room.
#[must_use]
pub fn room_of(node: NodeId) -> RoomName {
    RoomName::reserved(&["node", &node.to_string()]).expect("hex digits make a room name")
}

/// This node's inbox.
#[derive(Debug)]
pub struct Inbox {
    node: NodeId,
    room: RoomName,
    hints: mpsc::Sender<Option<Block>>,
    /// When a beacon came back last.
    seen: Mutex<Option<Instant>>,
}

impl Inbox {
    /// An inbox, and the hints [`run`](Self::run) reads.
    #[must_use]
    pub fn new(node: NodeId) -> (Self, mpsc::Receiver<Option<Block>>) {
        let (hints, receiver) = mpsc::channel(HINTS_LEN_MAX);
        (
            Self {
                node,
                room: room_of(node),
                hints,
                seen: Mutex::new(None),
            },
            receiver,
        )
    }

    /// The node's room.
    #[must_use]
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// The backplane announced something for this node.
    pub fn hint(&self, block: Block) {
        // A hint that finds no room is made up for by the next beacon.
        let _ = self.hints.try_send(Some(block));
    }

    /// Hints may have been lost.
    pub fn check_log(&self) {
        let _ = self.hints.try_send(None);
    }

    /// Whether a beacon came back lately.
    #[must_use]
    pub fn is_flowing(&self) -> bool {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|seen| seen.elapsed() < BEACON_EVERY * 3)
    }

    /// The backplane is away: beacons that came back before say nothing any more.
    pub fn forget_beacon(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Sends beacons and hands over letters until dropped.
    pub async fn run(
        &self,
        backplane: &dyn Backplane,
        hints: &mut mpsc::Receiver<Option<Block>>,
        deliver: impl Fn(Invite),
    ) {
        let mut last = loop {
            match self.start(backplane).await {
                Ok(head) => break head,
                Err(error) => debug!(%error, "the inbox waits"),
            }
            time::sleep(BEACON_EVERY).await;
        };
        let mut beacon_at = Instant::now();
        let mut number = 0;
        loop {
            tokio::select! {
                () = time::sleep_until(beacon_at) => {
                    number += 1;
                    self.send_beacon(backplane, number, last).await;
                    beacon_at = Instant::now() + BEACON_EVERY;
                }
                // Cancel safe.
                hint = hints.recv() => match hint {
                    None => return,
                    Some(Some(block)) if follow::on_block(last, &block) == Step::Deliver => {
                        if let Ok(Some(block)) = block.after(last.seq) {
                            last = self.open(block, &deliver);
                        }
                    }
                    Some(Some(block)) if follow::on_block(last, &block) == Step::Ignore => {}
                    Some(_) => match self.read(backplane, last, &deliver).await {
                        Ok(head) => last = head,
                        Err(error) => debug!(%error, "the inbox waits"),
                    },
                }
            }
        }
    }

    async fn start(&self, backplane: &dyn Backplane) -> Result<Cursor, ReadError> {
        backplane.subscribe(&self.room).await?;
        Ok(backplane.read_last(&self.room, 1).await?.head)
    }

    async fn send_beacon(&self, backplane: &dyn Backplane, number: u64, last: Cursor) {
        let draft = Draft {
            session: SessionId(self.node.0),
            nonce: Nonce(number),
            frame: Letter::Beacon(number).to_frame(),
            topic: None,
        };
        let batch = Batch {
            known: Some(last),
            drafts: vec![draft],
        };
        if let Err(error) = backplane.append(&self.room, &batch).await {
            debug!(%error, "no beacon");
        }
    }

    async fn read(
        &self,
        backplane: &dyn Backplane,
        mut last: Cursor,
        deliver: &impl Fn(Invite),
    ) -> Result<Cursor, ReadError> {
        loop {
            let page = backplane.read(&self.room, last, PAGE_ENTRIES).await?;
            let is_end = page.blocks.is_empty();
            for block in page.blocks {
                last = self.open(block, deliver);
            }
            if is_end {
                return Ok(page.head);
            }
        }
    }

    /// Reads the letters of a block; returns where it ends.
    fn open(&self, block: Block, deliver: &impl Fn(Invite)) -> Cursor {
        let end = Cursor::new(block.epoch, block.last());
        let mut rest = block.frames;
        while let Ok(Some(bounds)) = Bounds::read(&rest) {
            let frame = rest.split_to(bounds.end);
            let raw = RawFrame {
                kind: bounds.kind,
                body: frame.slice(bounds.body..),
            };
            match Letter::decode(&raw) {
                Some(Letter::Beacon(_)) => {
                    *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Instant::now());
                }
                Some(Letter::Invite(invite)) => deliver(invite),
                None => debug!(kind = raw.kind, "a letter of a later version, or damaged"),
            }
        }
        end
    }
}

/// Asks a session of a node into a room of two.
///
/// # Errors
/// When the backplane does not answer. Safe to repeat: who is in the room already stays there.
pub async fn invite(
    backplane: &dyn Backplane,
    node: NodeId,
    invite: Invite,
) -> Result<(), AppendError> {
    let draft = Draft {
        // Invitations of one node may overtake each other, so each is from a sender of its own.
        session: SessionId(rand::rng().random_range(1 << 16..1 << 62)),
        nonce: Nonce(1),
        frame: Letter::Invite(invite).to_frame(),
        topic: None,
    };
    backplane
        .append(
            &room_of(node),
            &Batch {
                known: None,
                drafts: vec![draft],
            },
        )
        .await?;
    Ok(())
}

/// A beacon is sent so often, and is missed after three times this.
pub const BEACON_EVERY: Duration = Duration::from_secs(2);

const BEACON: u64 = 0x10;
const INVITE: u64 = 0x12;

/// Hints the inbox may be behind.
const HINTS_LEN_MAX: usize = 256;

/// Entries of one page when a hole is read.
const PAGE_ENTRIES: u32 = 200;

#[cfg(test)]
mod tests {
    use chat_protocol::{Epoch, Seq, lane};

    use super::*;

    #[test]
    fn letters_keep_their_bytes_and_are_internal_entries() {
        let invite = Letter::Invite(Invite {
            session: SessionId(5),
            room: "@dm/1/2".parse().unwrap(),
            from: "ann".parse().unwrap(),
            after: Cursor::new(Epoch(7), Seq(3)),
        });
        for (letter, bytes) in [
            (Letter::Beacon(300), &[0x03, 0x10, 0xac, 0x02][..]),
            (invite, b"\x10\x12\x05\x07@dm/1/2\x03ann\x07\x03"),
        ] {
            let frame = letter.to_frame();
            assert_eq!(frame, bytes);
            let bounds = Bounds::read(&frame).unwrap().unwrap();
            assert!(lane::is_internal(bounds.kind) && bounds.end == frame.len());
            let raw = RawFrame {
                kind: bounds.kind,
                body: frame.slice(bounds.body..),
            };
            assert_eq!(Letter::decode(&raw), Some(letter));
        }
    }
}
