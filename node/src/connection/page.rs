//! Sends one page of older entries on a stream of its own, behind everything live.
//!
//! It holds the page until the client has taken it, so pages under way are counted by slots, and
//! one that is not read makes its connection one of a slow reader.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chat_protocol::lane::LaneFrame;
use chat_protocol::{Frame, StreamCode, StreamType, varint};
use quinn::{SendStream, VarInt, WriteError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time;

use crate::outlet::PageOut;

/// What became of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    /// It was written, or the client did not want it, or the connection is gone.
    Done,
    /// The client took nothing for too long.
    Stalled,
}

/// Sends a page. `patience` is how long the client may take no byte of it. Dropping this cuts the
/// page, which the client is told by a reset.
pub(super) async fn send(connection: quinn::Connection, page: PageOut, patience: Duration) -> Sent {
    let mut stream = match time::timeout(patience, connection.open_uni()).await {
        Ok(Ok(stream)) => Unfinished(Some(stream)),
        Ok(Err(_)) => return Sent::Done,
        Err(_) => return Sent::Stalled,
    };
    let mut head = BytesMut::new();
    varint::put(StreamType::Page.to_wire(), &mut head);
    LaneFrame::from(page.head).encode(&mut head);
    let mut frames = vec![head.freeze()];
    frames.extend(page.frames);
    stream.write(frames, page.slot, patience).await
}

/// A stream whose page is cut when this is dropped.
struct Unfinished(Option<SendStream>);

impl Unfinished {
    async fn write(
        &mut self,
        mut frames: Vec<Bytes>,
        slot: OwnedSemaphorePermit,
        patience: Duration,
    ) -> Sent {
        let Some(stream) = &mut self.0 else {
            return Sent::Done;
        };
        // Fails, like the rest, only when the connection is gone or the client stopped it.
        let _ = stream.set_priority(PRIORITY);
        let mut rest = &mut frames[..];
        while !rest.is_empty() {
            match time::timeout(patience, stream.write_chunks(rest)).await {
                Ok(Ok(written)) => rest = &mut rest[written.chunks..],
                Ok(Err(WriteError::Stopped(_) | WriteError::ConnectionLost(_))) => break,
                Ok(Err(_)) => return Sent::Done,
                Err(_) => return Sent::Stalled,
            }
        }
        // Before the client can know that it has all of it, and asks for another.
        drop(slot);
        if let Some(mut stream) = self.0.take() {
            // Fails only when the client stopped it.
            let _ = stream.finish();
        }
        Sent::Done
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.0 {
            // Fails only when the client stopped it.
            let _ = stream.reset(VarInt::from_u32(StreamCode::Closing.to_wire()));
        }
    }
}

/// Behind lanes, also those that catch up.
const PRIORITY: i32 = -2;
