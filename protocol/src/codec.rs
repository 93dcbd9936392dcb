//! Bytes to frames and back: incremental, bounded, without a guess.
//!
//! A length is checked before anything is kept for it, and a buffer grows with the bytes that came,
//! never with the length that was claimed.

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::FRAME_BYTES_MAX;
use crate::varint::{self, NotShortest};

/// A frame whose kind is known and whose body is not decoded yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawFrame {
    /// What the body is.
    pub kind: u64,
    /// The encoded body.
    pub body: Bytes,
}

/// Why bytes are not the frames of this protocol. The stream they came on cannot go on.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum FrameError {
    /// A length or kind was not in its shortest form.
    #[error(transparent)]
    Varint(#[from] NotShortest),
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {bytes} bytes, limit {FRAME_BYTES_MAX}")]
    TooLarge {
        /// Bytes it claimed.
        bytes: u64,
    },
    /// Too short to have a kind.
    #[error("a frame without a kind")]
    NoKind,
    /// An even kind that this version does not know.
    #[error("unknown frame kind {0:#x}")]
    UnknownKind(u64),
    /// A body that is not what its kind says.
    #[error("malformed body of frame kind {0:#x}")]
    Malformed(u64),
    /// Bytes after the body.
    #[error("{bytes} bytes too many in frame kind {kind:#x}")]
    Trailing {
        /// The frame's kind.
        kind: u64,
        /// How many.
        bytes: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
}

/// Cuts a stream of bytes into frames.
///
/// Feed it with [`push`](Self::push), then call [`next`](Self::next) until it has none. Holds at
/// most one unfinished frame plus what was pushed last.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: BytesMut,
}

impl FrameDecoder {
    /// A decoder at the start of a frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes a bare varint, such as the stream type, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When it is not in its shortest form.
    pub fn varint(&mut self) -> Result<Option<u64>, FrameError> {
        let Some((value, length)) = varint::read(&self.buffer)? else {
            return Ok(None);
        };
        self.buffer.advance(length);
        Ok(Some(value))
    }

    /// Takes the next frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes cannot be a frame, or one that is too large; the stream is then of no use.
    #[expect(
        clippy::should_implement_trait,
        reason = "it fails, and `None` is not its end"
    )]
    pub fn next(&mut self) -> Result<Option<RawFrame>, FrameError> {
        let Some(bounds) = Bounds::read(&self.buffer)? else {
            return Ok(None);
        };
        let mut frame = self.buffer.split_to(bounds.end).freeze();
        frame.advance(bounds.body);
        Ok(Some(RawFrame {
            kind: bounds.kind,
            body: frame,
        }))
    }

    /// Whether a frame was begun and not finished.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }
}

/// Where a frame lies in the bytes it starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// The frame's kind.
    pub kind: u64,
    /// Where its body starts.
    pub body: usize,
    /// Where the next frame starts.
    pub end: usize,
}

impl Bounds {
    /// Finds the frame at the start of `bytes`, or `None` when it is not all there.
    ///
    /// # Errors
    /// When the bytes cannot be a frame, or one that is too large.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some((length, start)) = varint::read(bytes)? else {
            return Ok(None);
        };
        let length = match usize::try_from(length) {
            Ok(length) if length <= FRAME_BYTES_MAX => length,
            _ => return Err(FrameError::TooLarge { bytes: length }),
        };
        let end = start + length;
        let Some(frame) = bytes.get(start..end) else {
            return Ok(None);
        };
        let (kind, kind_bytes) = varint::read(frame)?.ok_or(FrameError::NoKind)?;
        Ok(Some(Self {
            kind,
            body: start + kind_bytes,
            end,
        }))
    }
}

/// Appends the frame of `kind` with `body` to `out`.
///
/// # Panics
/// When the body cannot be encoded, which none of this crate's bodies can cause, or when the frame
/// exceeds [`FRAME_BYTES_MAX`], which parsed names and texts cannot.
pub(crate) fn put<T: Serialize>(kind: u64, body: &T, out: &mut BytesMut) {
    let encoded = postcard::to_stdvec(body).expect("bodies of this crate always encode");
    let length = varint::len(kind) + encoded.len();
    assert!(
        length <= FRAME_BYTES_MAX,
        "a frame of kind {kind:#x} has {length} bytes"
    );
    out.reserve(varint::len(length as u64) + length);
    varint::put(length as u64, out);
    varint::put(kind, out);
    out.extend_from_slice(&encoded);
}

/// Decodes a whole body.
pub(crate) fn body<T: DeserializeOwned>(kind: u64, bytes: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(FrameError::Trailing {
            kind,
            bytes: rest.len(),
        }),
        Err(_) => Err(FrameError::Malformed(kind)),
    }
}
