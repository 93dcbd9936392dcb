//! Single entries of the tail, for what refers to them.

use bytes::Bytes;
use chat_protocol::Cursor;

use super::Room;
use super::log::Read;

impl Room {
    /// The frame of an entry; none when it is not in the tail: then the log may have it.
    #[must_use]
    pub fn entry(&self, at: Cursor) -> Option<Bytes> {
        let state = self.state();
        let log = state.log.as_ref()?;
        if log.head().epoch != at.epoch {
            return None;
        }
        // As few bytes as can be: one frame.
        match log.read(at.seq, 1) {
            Read::Frames { frames, .. } => Some(frames),
            Read::UpToDate | Read::Behind(_) => None,
        }
    }
}
