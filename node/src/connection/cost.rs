//! What one client can make the node hold, added up from the bounds of its parts.

use chat_protocol::limits::{
    ENTRY_OVERHEAD_BYTES_MAX, FRAME_BYTES_MAX, HISTORY_PAGES_MAX, IN_FLIGHT_MAX,
    ROOMS_PER_SESSION_MAX, TEXT_BYTES_MAX, TYPING_BYTES_MAX,
};

use super::lane::SLICE_BYTES;
use super::writer::CATCH_UP_LANES_MAX;
use crate::backplane::{BLOCK_BYTES_MAX, Batch, PAGE_BYTES_MAX};
use crate::endpoint::{DATAGRAMS_BYTES, RECEIVE_WINDOW_BYTES, SEND_WINDOW_BYTES};
use crate::outlet::{CONTROL_BYTES_MAX, TYPING_LEN_MAX};

/// Most bytes that a connection holds which fills every window, joins as many rooms as it may, asks
/// for as much as it may and reads nothing. A page of the log may be a block longer than its bound.
///
/// Slices of the tail are counted as if nobody else read them. An idle connection holds none of
/// this: what it costs is QUIC's own state, see `docs/PERFORMANCE.md`.
pub const BYTES_MAX: usize = WINDOWS + LANES + PAGES + ANSWERS + PUBLISHES + LOOKUP + DATAGRAMS;

const WINDOWS: usize = RECEIVE_WINDOW_BYTES as usize + SEND_WINDOW_BYTES as usize;
const LANES: usize = ROOMS_PER_SESSION_MAX * SLICE_BYTES;
const PAGES: usize = (CATCH_UP_LANES_MAX + HISTORY_PAGES_MAX) * (PAGE_BYTES_MAX + Batch::BYTES_MAX);
const ANSWERS: usize = CONTROL_BYTES_MAX + FRAME_BYTES_MAX;
const PUBLISHES: usize = IN_FLIGHT_MAX * (TEXT_BYTES_MAX + ENTRY_OVERHEAD_BYTES_MAX);
// The entry that one publish refers to: the block it is in, and once more when it has to be vetted.
const LOOKUP: usize = 2 * BLOCK_BYTES_MAX;
const DATAGRAMS: usize = 2 * DATAGRAMS_BYTES + TYPING_LEN_MAX * TYPING_BYTES_MAX;

// `ARCHITECTURE.md` and `docs/PERFORMANCE.md` name this figure.
const _: () = assert!(BYTES_MAX < 13 << 20);
