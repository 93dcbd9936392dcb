//! Whole frames from the control stream, or the code to close the connection with.

use std::time::Duration;

use chat_protocol::client::ClientFrame;
use chat_protocol::{CloseCode, Frame, FrameDecoder, FrameError, StreamType};
use quinn::{ReadError, RecvStream};
use tokio::time::{self, Instant};
use tracing::debug;

/// Reads frames from a stream. Whatever is not a whole frame yet stays here, so its futures can be
/// dropped at any time.
pub(super) struct FrameReader {
    recv: RecvStream,
    decoder: FrameDecoder,
    /// When the frame that was begun must be whole.
    deadline: Option<Instant>,
}

impl FrameReader {
    pub(super) fn new(recv: RecvStream) -> Self {
        Self {
            recv,
            decoder: FrameDecoder::new(),
            deadline: None,
        }
    }

    /// The stream's type; `None` for one this version does not know.
    pub(super) async fn stream_type(&mut self) -> Result<Option<StreamType>, CloseCode> {
        loop {
            if let Some(value) = self.decoder.varint().map_err(|error| close_code(&error))? {
                return Ok(StreamType::from_wire(value));
            }
            if !self.fill().await? {
                return Err(CloseCode::BadFrame);
            }
        }
    }

    /// The next frame this version knows; `None` at the end of the stream. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<ClientFrame>, CloseCode> {
        loop {
            while let Some(raw) = self.decoder.next().map_err(|error| close_code(&error))? {
                self.deadline = None;
                if let Some(frame) =
                    ClientFrame::decode(&raw).map_err(|error| close_code(&error))?
                {
                    return Ok(Some(frame));
                }
            }
            if !self.decoder.is_mid_frame() {
                self.deadline = None;
                if !self.fill().await? {
                    return Ok(None);
                }
                continue;
            }
            let deadline = *self
                .deadline
                .get_or_insert_with(|| Instant::now() + FRAME_MAX);
            match time::timeout_at(deadline, self.fill()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Err(CloseCode::BadFrame),
                Ok(Err(code)) => return Err(code),
                Err(_) => return Err(CloseCode::FrameTimeout),
            }
        }
    }

    /// Reads what is there. False at the end of the stream. Cancel safe.
    async fn fill(&mut self) -> Result<bool, CloseCode> {
        match self.recv.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => {
                self.decoder.push(&chunk.bytes);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(ReadError::ConnectionLost(_)) => Err(CloseCode::Done),
            Err(_) => Err(CloseCode::Unexpected),
        }
    }
}

fn close_code(error: &FrameError) -> CloseCode {
    debug!(%error, "a bad frame");
    match error {
        FrameError::TooLarge { .. } => CloseCode::FrameTooLarge,
        _ => CloseCode::BadFrame,
    }
}

/// Time from the first byte of a frame to its last.
const FRAME_MAX: Duration = Duration::from_secs(10);

/// Bytes taken from QUIC at once: with an unfinished frame, at most twice a frame is buffered.
const READ_BYTES: usize = 16 * 1024;
