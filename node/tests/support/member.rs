//! A member of the lobby by hand, whose messages are numbers, so that a hole or a repeat shows.

use bytes::Bytes;
use chat_protocol::client::{Publish, ReadBefore, Start};
use chat_protocol::lane::HistoryPage;
use chat_protocol::limits::IN_FLIGHT_MAX;
use chat_protocol::{Cursor, Epoch, LaneFrame, NodeFrame, Nonce, RequestId, RoomRef, Seq};

use super::peer::{Frames, LocalNode, Peer};
use super::soon;

/// A member of the lobby.
#[derive(Debug)]
pub struct Member {
    /// Its connection.
    pub peer: Peer,
    /// Its lane.
    pub lane: Frames,
    /// The room's name on the connection.
    pub room: RoomRef,
    /// The log's epoch.
    pub epoch: Epoch,
    published: u64,
}

impl Member {
    /// Joins.
    pub async fn join(node: &LocalNode, name: &str) -> Self {
        Self::welcomed(node.welcomed(name).await.0).await
    }

    /// Joins with a peer that was welcomed.
    pub async fn welcomed(mut peer: Peer) -> Self {
        let (lane, joined) = peer.join("lobby", Start::Live).await;
        Self {
            peer,
            lane,
            room: joined.room,
            epoch: joined.head.epoch,
            published: 0,
        }
    }

    /// Publishes texts that begin with their number, and awaits their acks.
    pub async fn publish(&mut self, len: u64, bytes: usize) {
        let last = self.published + len;
        while self.published < last {
            let burst = (last - self.published).min(IN_FLIGHT_MAX as u64 / 2);
            for _ in 0..burst {
                self.published += 1;
                let publish = Publish {
                    room: self.room,
                    nonce: Nonce(self.published),
                    content_type: 0,
                    body: text(self.published, bytes),
                };
                self.peer.say(publish).await;
            }
            for _ in 0..burst {
                match self.peer.hear().await {
                    NodeFrame::Ack(ack) => assert_eq!(ack.cursor.epoch, self.epoch),
                    other => panic!("no ack: {other:?}"),
                }
            }
        }
    }

    /// Publishes one text, in whatever epoch, and tells which that was.
    pub async fn publish_anew(&mut self) -> Epoch {
        self.published += 1;
        let publish = Publish {
            room: self.room,
            nonce: Nonce(self.published),
            content_type: 0,
            body: text(self.published, 20),
        };
        self.peer.say(publish).await;
        match self.peer.hear().await {
            NodeFrame::Ack(ack) => ack.cursor.epoch,
            other => panic!("no ack: {other:?}"),
        }
    }

    /// The numbers of the next entries of the lane.
    pub async fn read(&mut self, len: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..len {
            numbers.push(number(&self.lane.entry().await));
        }
        numbers
    }

    /// Asks for a page.
    pub async fn ask(&mut self, before: Cursor, len: u32) {
        let request = RequestId(9);
        let room = self.room;
        self.peer
            .say(ReadBefore {
                request,
                room,
                before,
                len,
            })
            .await;
    }

    /// A page, and the numbers of its entries.
    pub async fn page(&mut self, before: Cursor, len: u32) -> (HistoryPage, Vec<u64>) {
        self.ask(before, len).await;
        let (mut frames, page) = self.peer.page().await;
        assert_eq!(page.request, RequestId(9));
        let mut numbers = Vec::new();
        while let Some(frame) = soon("a frame of a page", frames.next()).await {
            numbers.push(number(&frame));
        }
        assert_eq!(numbers.len() as u64, page.end.0 - page.next.0);
        (page, numbers)
    }

    /// A place in the log.
    pub fn at(&self, seq: u64) -> Cursor {
        Cursor::new(self.epoch, Seq(seq))
    }
}

/// A text that begins with its number.
pub fn text(number: u64, bytes: usize) -> Bytes {
    let number = format!("{number} ");
    let padding = "x".repeat(bytes.saturating_sub(number.len()).max(1));
    Bytes::from(number + &padding)
}

/// The number that a message's text begins with.
pub fn number(frame: &LaneFrame) -> u64 {
    match frame {
        LaneFrame::Message(message) => {
            let (_, body) = message.content.clone().into_parts();
            let body = String::from_utf8(body.to_vec()).unwrap();
            body.split_once(' ').unwrap().0.parse().unwrap()
        }
        other => panic!("no message: {other:?}"),
    }
}

/// The numbers from one to another, both included.
pub fn numbers(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}
