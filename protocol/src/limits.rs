//! Limits of the wire: units in the name, the reason beside each, relations checked at compile time.
//!
//! Both sides enforce them before memory is spent. A node repeats those a client must respect in
//! [`Welcome`](crate::node::Welcome), where a deployment may have lowered them.

/// Largest frame, in bytes of kind and body. A reader holds at most one unfinished frame a stream.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;

/// Largest text of one message, in bytes of UTF-8. Long enough for a pasted paragraph of any script.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Largest opaque body of one message, in bytes (content types this version does not know).
pub const BODY_BYTES_MAX: usize = TEXT_BYTES_MAX;

/// Largest topic of a room, in bytes of UTF-8. One line of a wide terminal.
pub const TOPIC_BYTES_MAX: usize = 256;

/// Longest reaction in bytes of UTF-8: a family or a flag of several code points, or a short word.
pub const REACTION_BYTES_MAX: usize = 32;

/// Longest name of a user, in characters.
pub const USER_NAME_CHARS_MAX: usize = 32;

/// Longest name of a user, in bytes of UTF-8.
pub const USER_NAME_BYTES_MAX: usize = 64;

/// Longest name of a room, in bytes of UTF-8. It becomes a part of Redis keys.
pub const ROOM_NAME_BYTES_MAX: usize = 64;

/// Longest name of a node, in bytes of ASCII.
pub const NODE_NAME_BYTES_MAX: usize = 64;

/// Longest bearer token, in bytes. A signed token with a few claims is about 1 KiB.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// Longest agent string of a hello, in bytes of UTF-8.
pub const AGENT_BYTES_MAX: usize = 64;

/// Most feature ids a hello or welcome may list.
pub const FEATURES_LEN_MAX: usize = 32;

/// Most rooms a session may be in. Each costs the node one stream.
pub const ROOMS_PER_SESSION_MAX: usize = 128;

/// Most publishes of a session without an answer. A node stops reading the control stream there.
pub const IN_FLIGHT_MAX: usize = 256;

/// Most past entries a join gives; a larger number counts as this one.
pub const HISTORY_LEN_MAX: u32 = 1_000;

/// Most entries of a page of older entries; a larger number counts as this one. About a screen of a
/// very long terminal, and at most about a megabyte.
pub const HISTORY_PAGE_LEN_MAX: u32 = 256;

/// Most pages of older entries that a connection may have under way.
pub const HISTORY_PAGES_MAX: usize = 4;

/// Most rows of a page of members or rooms.
pub const PAGE_LEN_MAX: usize = 100;

/// Most names a presence frame carries; its count stays exact beyond.
pub const PRESENCE_NAMES_MAX: usize = 64;

/// Longest detail text of a refusal, in bytes of UTF-8.
pub const DETAIL_BYTES_MAX: usize = 256;

/// Most other nodes a goaway names.
pub const GOAWAY_NODES_MAX: usize = 16;

/// Largest frame around a body: kind, names, ids, times and lengths of an entry. Two 10-byte ids,
/// a 17-byte account, a 64-byte name, nonce and time of 10 bytes each, and a few lengths.
pub const ENTRY_OVERHEAD_BYTES_MAX: usize = 256;

/// Largest datagram about who is typing, in bytes: a kind, two ids and the longest name, with room to
/// spare.
pub const TYPING_BYTES_MAX: usize = 128;

/// Most members of a room whose members are told who is typing. In larger rooms somebody always is,
/// and each would be told to all.
pub const TYPING_MEMBERS_MAX: usize = 50;

/// Largest UDP payload a node sends, where the client takes it (QUIC's `max_udp_payload_size`) and the
/// path carries it, in bytes. Ten of them fit into the 64 KiB that a system takes in one call.
pub const DATAGRAM_BYTES_MAX: u16 = 6_500;

const _: () = assert!(BODY_BYTES_MAX + ENTRY_OVERHEAD_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(2 + 5 + 10 + 1 + USER_NAME_BYTES_MAX <= TYPING_BYTES_MAX);
const _: () = assert!(TOKEN_BYTES_MAX + 512 <= FRAME_BYTES_MAX);
const _: () = assert!(PAGE_LEN_MAX * (ROOM_NAME_BYTES_MAX + 16) + 64 <= FRAME_BYTES_MAX);
const _: () = assert!(PRESENCE_NAMES_MAX * 2 * (USER_NAME_BYTES_MAX + 4) + 64 <= FRAME_BYTES_MAX);
