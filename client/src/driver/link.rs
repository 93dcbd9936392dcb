//! An established connection as the driver sees it: bytes to write, and what comes in.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use chat_protocol::datagram::TYPING;
use chat_protocol::limits::IN_FLIGHT_MAX;
use chat_protocol::{ClientFrame, Frame, FrameDecoder, RoomRef};
use quinn::{Chunk, Connection, ConnectionError, ReadError, RecvStream, SendStream, WriteError};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error};

use crate::command::Shared;
use crate::driver::greet::{Greeted, READ_BYTES};
use crate::driver::lanes::{LaneId, LaneReader, Note};
use crate::outgoing::LocalRoom;
use crate::sockets::{LANES_FIRST, LANES_MAX};

/// A connection whose session is welcomed. Dropping it ends its lanes' tasks.
#[derive(Debug)]
pub(crate) struct Link {
    /// Tells this connection's lanes from those of others.
    pub(crate) id: u64,
    pub(crate) connection: Connection,
    /// The task that drives it: see [`Link::cut`].
    task: Option<AbortHandle>,
    pub(crate) since: Instant,
    /// The target that led here, as `host:port`.
    pub(crate) target: String,
    pub(crate) decoder: FrameDecoder,
    /// Publishes the node takes without having answered.
    pub(crate) in_flight_max: usize,
    /// Whether the node tells who is typing, and wants to be told.
    pub(crate) has_typing: bool,
    /// The rooms that are joined on this connection.
    pub(crate) rooms: HashMap<RoomRef, LocalRoom>,
    send: SendStream,
    recv: RecvStream,
    /// Frames that wait to be written. Requests are few and publishes stop at [`Link::has_space`].
    out: BytesMut,
    lanes: JoinSet<()>,
    /// Lanes the node may open.
    lanes_len_max: u32,
}

/// What happened on a connection.
#[derive(Debug)]
pub(crate) enum LinkInput {
    Wrote(Result<usize, WriteError>),
    Read(Result<Option<Chunk>, ReadError>),
    Lane(Result<RecvStream, ConnectionError>),
    Datagram(Result<Bytes, ConnectionError>),
}

impl Link {
    pub(crate) fn new(id: u64, target: String, greeted: Greeted, now: Instant) -> Self {
        let in_flight_max = usize::try_from(greeted.welcome.limits.in_flight_max)
            .unwrap_or(IN_FLIGHT_MAX)
            .clamp(1, IN_FLIGHT_MAX);
        Self {
            id,
            connection: greeted.connection,
            task: greeted.task,
            since: now,
            target,
            decoder: greeted.decoder,
            in_flight_max,
            has_typing: greeted.welcome.features.contains(&TYPING),
            rooms: HashMap::new(),
            send: greeted.send,
            recv: greeted.recv,
            out: BytesMut::new(),
            lanes: JoinSet::new(),
            lanes_len_max: LANES_FIRST,
        }
    }

    /// Waits for whatever happens next. Cancel safe: each of the four calls is.
    pub(crate) async fn input(&mut self) -> LinkInput {
        let Self {
            connection,
            send,
            recv,
            out,
            has_typing,
            ..
        } = self;
        tokio::select! {
            wrote = send.write(out), if !out.is_empty() => LinkInput::Wrote(wrote),
            read = recv.read_chunk(READ_BYTES, true) => LinkInput::Read(read),
            lane = connection.accept_uni() => LinkInput::Lane(lane),
            datagram = connection.read_datagram(), if *has_typing => LinkInput::Datagram(datagram),
        }
    }

    /// Queues a frame.
    pub(crate) fn send(&mut self, frame: impl Into<ClientFrame>) {
        frame.into().encode(&mut self.out);
    }

    /// Whether publishes may be queued: what waits here can not be reordered any more.
    pub(crate) fn has_space(&self) -> bool {
        self.out.len() < OUT_BYTES_MAX
    }

    /// So many bytes were written.
    pub(crate) fn on_wrote(&mut self, bytes: usize) {
        self.out.advance(bytes);
        if self.out.is_empty() {
            self.out = BytesMut::new();
        }
    }

    /// Gives back the buffer of frames that were taken: a node may be silent for long.
    pub(crate) fn shrink(&mut self) {
        if !self.decoder.is_mid_frame() {
            self.decoder = FrameDecoder::new();
        }
    }

    /// Starts to read a lane.
    pub(crate) fn spawn_lane(
        &mut self,
        lane: u64,
        stream: RecvStream,
        notes: &mpsc::Sender<Box<Note>>,
        shared: &Arc<Shared>,
    ) {
        while let Some(ended) = self.lanes.try_join_next() {
            if let Err(panic) = ended {
                error!(%panic, "a lane's task ended early");
            }
        }
        self.allow_lanes();
        let id = LaneId {
            link: self.id,
            lane,
        };
        let reader = LaneReader::new(id, stream, notes.clone(), Arc::clone(shared));
        self.lanes.spawn(reader.run().in_current_span());
    }
}

impl Link {
    /// Lets the node open more lanes when half of what it may is open.
    fn allow_lanes(&mut self) {
        let open = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        if open >= self.lanes_len_max / 2 && self.lanes_len_max < LANES_MAX {
            self.lanes_len_max = self.lanes_len_max.saturating_mul(2).min(LANES_MAX);
            self.connection
                .set_max_concurrent_uni_streams(self.lanes_len_max.into());
        }
    }

    /// Ends it as a crash would: no packet is sent any more, not even to say so.
    ///
    /// The socket must know the connection until the node has forgotten it, or it would answer the
    /// node's packets with the news that nobody is there: so it is kept for `grave`. What the node
    /// repeats until then is kept too, at most its send window and a few packets.
    pub(crate) fn cut(self, grave: Duration) {
        let Some(task) = &self.task else {
            return;
        };
        task.abort();
        let connection = self.connection.clone();
        TaskTracker::new().spawn(async move {
            sleep(grave).await;
            drop(connection);
        });
    }
}

/// What a lost control stream says about its connection.
pub(crate) enum Lost {
    /// The connection is gone.
    Connection(ConnectionError),
    /// The node ended the stream alone, which breaks the protocol.
    Stream(io::Error),
}

impl From<WriteError> for Lost {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => Self::Connection(error),
            other => Self::Stream(other.into()),
        }
    }
}

impl From<ReadError> for Lost {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => Self::Connection(error),
            other => Self::Stream(other.into()),
        }
    }
}

/// Bytes that may wait to be written before publishes stop: a few packets' worth.
const OUT_BYTES_MAX: usize = 32 * 1024;
