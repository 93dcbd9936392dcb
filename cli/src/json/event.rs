//! The events of the JSON surface, field by field. Fields are only ever added.

use std::fmt::Write;
use std::time::Duration;

use chat_protocol::Cursor;
use serde::Serialize;

pub use crate::json::node::NodeEvent;

/// An event with its version.
#[derive(Debug, Serialize)]
pub struct Envelope<'a> {
    /// Version of the format.
    pub v: u8,
    /// The event.
    #[serde(flatten)]
    pub event: &'a Event<'a>,
}

/// An event. Names of rooms are without `#`; epochs are hex, because JSON numbers lose digits.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "docs/events.schema.json describes each field")]
pub enum Event<'a> {
    Hello {
        ts: &'a str,
        protocol: u8,
        node: &'a str,
        target: &'a str,
        session: String,
        nick: &'a str,
        resumed: bool,
    },
    Joined {
        ts: &'a str,
        room: &'a str,
        direct: Option<&'a str>,
        epoch: String,
        last_seq: u64,
        past: u64,
        members: u32,
        topic: &'a str,
        rejoined: bool,
    },
    Left {
        ts: &'a str,
        room: &'a str,
        reason: &'a str,
    },
    Message {
        ts: String,
        room: &'a str,
        direct: Option<&'a str>,
        epoch: String,
        seq: u64,
        id: String,
        from: &'a str,
        account: Option<String>,
        text: &'a str,
        content_type: u32,
        action: bool,
        #[serde(rename = "self")]
        own: bool,
        history: bool,
        mention: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        reply_to: Option<Target>,
    },
    Edit {
        #[serde(flatten)]
        change: Change<'a>,
        text: &'a str,
        allowed: Option<bool>,
    },
    Delete {
        #[serde(flatten)]
        change: Change<'a>,
        allowed: Option<bool>,
    },
    Reaction {
        #[serde(flatten)]
        change: Change<'a>,
        reaction: &'a str,
        on: bool,
    },
    Topic {
        ts: String,
        room: &'a str,
        epoch: String,
        seq: u64,
        id: String,
        from: &'a str,
        topic: &'a str,
        #[serde(rename = "self")]
        own: bool,
        history: bool,
    },
    Ack {
        ts: &'a str,
        #[serde(rename = "ref")]
        reference: Option<&'a str>,
        room: &'a str,
        epoch: String,
        seq: u64,
        id: String,
        rtt_ms: f64,
    },
    Done {
        ts: &'a str,
        #[serde(rename = "ref")]
        reference: Option<&'a str>,
        op: &'a str,
        room: Option<&'a str>,
    },
    Members {
        ts: &'a str,
        #[serde(rename = "ref")]
        reference: Option<&'a str>,
        room: &'a str,
        total: usize,
        members: Vec<&'a str>,
    },
    Rooms {
        ts: &'a str,
        #[serde(rename = "ref")]
        reference: Option<&'a str>,
        rooms: Vec<RoomEntry<'a>>,
    },
    Pong {
        ts: &'a str,
        #[serde(rename = "ref")]
        reference: Option<&'a str>,
        rtt_ms: f64,
    },
    Node(NodeEvent<'a>),
    Nick {
        ts: &'a str,
        nick: &'a str,
    },
    Presence {
        ts: &'a str,
        room: &'a str,
        event: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        nick: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<u32>,
        members: u32,
    },
    Typing {
        ts: &'a str,
        room: &'a str,
        direct: Option<&'a str>,
        nick: &'a str,
    },
    Notice {
        ts: String,
        level: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        history: Option<bool>,
    },
    Damaged {
        ts: &'a str,
        room: &'a str,
        epoch: String,
        seq: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        history: Option<bool>,
    },
    Gap {
        ts: &'a str,
        room: &'a str,
        reason: &'a str,
        from_epoch: Option<String>,
        from_seq: Option<u64>,
        epoch: String,
        to_seq: u64,
        recovered: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        history: Option<bool>,
    },
    History {
        ts: &'a str,
        #[serde(rename = "ref")]
        reference: Option<&'a str>,
        room: &'a str,
        count: usize,
        before: Option<String>,
        beginning: bool,
        gap: Option<&'a str>,
    },
    Connection(Connection<'a>),
    Error {
        ts: &'a str,
        #[serde(rename = "ref")]
        reference: Option<&'a str>,
        code: &'a str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
        retryable: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u64>,
    },
    Bye {
        ts: &'a str,
        code: u8,
        reason: &'a str,
    },
}

/// What edits, deletions and reactions have in common.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "docs/events.schema.json describes each field")]
pub struct Change<'a> {
    pub ts: String,
    pub room: &'a str,
    pub direct: Option<&'a str>,
    pub epoch: String,
    pub seq: u64,
    pub id: String,
    pub from: &'a str,
    pub account: Option<String>,
    pub target: Target,
    #[serde(rename = "self")]
    pub own: bool,
    pub history: bool,
}

/// An earlier message, by its place in the room's log.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Its epoch, in hex.
    pub epoch: String,
    /// Its seq.
    pub seq: u64,
}

impl From<Cursor> for Target {
    fn from(cursor: Cursor) -> Self {
        Self {
            epoch: cursor.epoch.to_string(),
            seq: cursor.seq.0,
        }
    }
}

/// What the connection is about.
#[derive(Debug, Default, Serialize)]
#[expect(missing_docs, reason = "docs/events.schema.json describes each field")]
pub struct Connection<'a> {
    pub ts: &'a str,
    pub state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<&'a [String]>,
}

/// A room that has members.
#[derive(Debug, Serialize)]
pub struct RoomEntry<'a> {
    /// Its name.
    pub room: &'a str,
    /// Its members.
    pub members: u32,
}

/// Whole milliseconds.
#[must_use]
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds to the microsecond.
#[must_use]
pub fn fractional_milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Bytes in hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
