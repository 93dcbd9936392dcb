//! Which earlier message an operation is about.

use chat_protocol::{Cursor, Seq};

/// Which earlier message of a room is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The last one of somebody else.
    Last,
    /// The last one of this session that was not deleted.
    LastOwn,
    /// The one with this seq, in the epoch that the room is in.
    At(Seq),
    /// This one.
    Exactly(Cursor),
}
