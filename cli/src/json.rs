//! The JSON-lines surface, version 1: one object a line, events out, operations in.
//!
//! `docs/events.schema.json` is the same in JSON Schema, and the tests hold the two together.
//! Readers must ignore fields and types they do not know; within a version none is removed or
//! renamed.

use std::time::SystemTime;

use chat_client::MessageId;
use chat_protocol::Content;
use chat_protocol::lane::{EndReason, GapReason, Message, NoticeLevel, PresenceChange};
use jiff::Timestamp;

use crate::clean;
use crate::json::event::{Change, Connection, Envelope, Event, NodeEvent, RoomEntry};
use crate::output::Line;
use crate::report::{Place, Refusal, Report, Standing};

pub mod event;
mod node;
pub mod operation;
mod refer;

/// Makes JSON lines of reports.
#[derive(Debug)]
pub struct JsonSurface;

impl JsonSurface {
    /// The lines of a report; none when JSON has another way to tell it.
    #[must_use]
    pub fn render(&self, report: &Report, now: SystemTime) -> Vec<Line> {
        let now = Timestamp::try_from(now).map_or_else(|_| String::new(), rfc3339);
        let events = events(report, &now);
        events
            .iter()
            .map(|event| Line::main(&line(event)))
            .collect()
    }
}

/// One event as one line.
fn line(event: &Event<'_>) -> String {
    // Strings, numbers and booleans only, and no map with other keys: nothing here can fail.
    serde_json::to_string(&Envelope { v: 1, event }).unwrap_or_default()
}

fn events<'a>(report: &'a Report, now: &'a str) -> Vec<Event<'a>> {
    let event = match report {
        Report::Connecting { targets } => Event::Connection(Connection {
            ts: now,
            state: "connecting",
            targets: Some(targets),
            ..Connection::default()
        }),
        Report::Connected {
            node,
            target,
            session,
            name,
            resumed,
            ..
        } => {
            let hello = Event::Hello {
                ts: now,
                protocol: 1,
                node: node.as_str(),
                target,
                session: session.to_string(),
                nick: name.as_str(),
                resumed: *resumed,
            };
            let up = Event::Connection(Connection {
                ts: now,
                state: "up",
                node: Some(node.as_str()),
                ..Connection::default()
            });
            return vec![up, hello];
        }
        Report::Disconnected {
            node,
            reason,
            retry_in,
            attempt,
        } => Event::Connection(Connection {
            ts: now,
            state: "down",
            node: node.as_ref().map(|node| node.as_str()),
            attempt: Some(*attempt),
            retry_in_ms: retry_in.map(event::milliseconds),
            reason: Some(clean::line(reason)),
            ..Connection::default()
        }),
        Report::Draining { delay } => Event::Connection(Connection {
            ts: now,
            state: "draining",
            retry_in_ms: Some(event::milliseconds(*delay)),
            ..Connection::default()
        }),
        Report::Closed { reason } => Event::Connection(Connection {
            ts: now,
            state: "closed",
            reason: Some(clean::line(reason)),
            ..Connection::default()
        }),
        Report::Joined {
            place,
            head,
            past,
            members,
            topic,
            rejoined,
        } => Event::Joined {
            ts: now,
            room: place.room.as_str(),
            direct: direct(place),
            epoch: head.epoch.to_string(),
            last_seq: head.seq.0,
            past: *past,
            members: *members,
            topic: topic.as_str(),
            rejoined: *rejoined,
        },
        Report::Left { place, reason } => Event::Left {
            ts: now,
            room: place.room.as_str(),
            reason: match reason {
                EndReason::Left => "left",
                EndReason::Removed => "removed",
                EndReason::Closing => "closing",
            },
        },
        Report::Message {
            place,
            cursor,
            message,
            own,
            history,
            mention,
            ..
        } => {
            let (text, content_type) = said(message);
            let reference = message.content.reference();
            Event::Message {
                ts: time(message.at_ms),
                room: place.room.as_str(),
                direct: direct(place),
                epoch: cursor.epoch.to_string(),
                seq: cursor.seq.0,
                id: MessageId::from(message).to_string(),
                from: message.author.name.as_str(),
                account: message.author.account.map(|account| event::hex(&account.0)),
                text,
                content_type,
                action: content_type == Content::ACTION,
                own: *own,
                history: *history,
                mention: *mention,
                reply_to: reference.map(|reference| reference.to.into()),
            }
        }
        Report::Refers {
            place,
            cursor,
            message,
            target,
            standing,
            own,
            history,
            ..
        } => {
            let change = Change {
                ts: time(message.at_ms),
                room: place.room.as_str(),
                direct: direct(place),
                epoch: cursor.epoch.to_string(),
                seq: cursor.seq.0,
                id: format!("{}-{}", message.author.session, message.nonce),
                from: message.author.name.as_str(),
                account: message.author.account.map(|account| event::hex(&account.0)),
                target: (*target).into(),
                own: *own,
                history: *history,
            };
            let allowed = match standing {
                Standing::Counts => Some(true),
                Standing::Ignored => Some(false),
                Standing::Unknown => None,
            };
            match &message.content {
                Content::Edit { text, .. } => Event::Edit {
                    change,
                    text: text.as_str(),
                    allowed,
                },
                Content::Delete { .. } => Event::Delete { change, allowed },
                Content::Reaction { reaction, on, .. } => Event::Reaction {
                    change,
                    reaction: reaction.as_str(),
                    on: *on,
                },
                // Others are reported as messages.
                _ => return vec![],
            }
        }
        Report::TopicChanged {
            place,
            cursor,
            change,
            own,
            history,
        } => Event::Topic {
            ts: time(change.at_ms),
            room: place.room.as_str(),
            epoch: cursor.epoch.to_string(),
            seq: cursor.seq.0,
            id: MessageId::from(change).to_string(),
            from: change.author.name.as_str(),
            topic: change.topic.as_str(),
            own: *own,
            history: *history,
        },
        Report::Notice {
            cursor,
            notice,
            history,
        } => Event::Notice {
            ts: time(notice.at_ms),
            level: match notice.level {
                NoticeLevel::Info => "info",
                NoticeLevel::Warning => "warn",
            },
            code: None,
            text: notice.text.as_str().to_owned(),
            epoch: Some(cursor.epoch.to_string()),
            seq: Some(cursor.seq.0),
            history: Some(*history),
        },
        Report::Backplane { available: true } => local_notice(
            now,
            "info",
            "backplane_up",
            "the node's backplane is back".to_owned(),
        ),
        Report::Backplane { available: false } => local_notice(
            now,
            "warn",
            "backplane_down",
            "the node lost its backplane: messages are kept and sent when it is back".to_owned(),
        ),
        Report::NameDiffers { wanted, name } => local_notice(
            now,
            "info",
            "name_differs",
            format!("{} is not to be had: you are {name}", clean::line(wanted)),
        ),
        Report::Overdue { len } => local_notice(
            now,
            "warn",
            "not_sent_yet",
            format!("{len} not sent yet; kept and retried"),
        ),
        Report::Damaged {
            place,
            cursor,
            older,
        } => Event::Damaged {
            ts: now,
            room: place.room.as_str(),
            epoch: cursor.epoch.to_string(),
            seq: cursor.seq.0,
            history: older.then_some(true),
        },
        Report::Older {
            reference,
            place,
            entries,
            before,
            beginning,
            gap,
        } => {
            let mut all: Vec<Event<'_>> = entries
                .iter()
                .flat_map(|entry| events(entry, now))
                .collect();
            all.push(Event::History {
                ts: now,
                reference: reference.as_deref(),
                room: place.room.as_str(),
                count: entries.len(),
                before: before.map(|before| before.to_string()),
                beginning: *beginning,
                gap: gap.map(reason),
            });
            return all;
        }
        Report::Gap {
            place,
            reason,
            from,
            next,
            older,
        } => Event::Gap {
            ts: now,
            room: place.room.as_str(),
            reason: self::reason(*reason),
            history: older.then_some(true),
            from_epoch: from.map(|from| from.epoch.to_string()),
            from_seq: from.map(|from| from.seq.0.saturating_add(1)),
            epoch: next.epoch.to_string(),
            to_seq: next.seq.0.saturating_sub(1),
            recovered: false,
        },
        Report::Presence {
            place,
            members,
            changes,
            more,
        } => {
            return presence(now, place, *members, changes, *more);
        }
        Report::Typing { place, name } => Event::Typing {
            ts: now,
            room: place.room.as_str(),
            direct: direct(place),
            nick: name.as_str(),
        },
        Report::Renamed { name } => Event::Nick {
            ts: now,
            nick: name.as_str(),
        },
        Report::Acked {
            reference,
            place,
            cursor,
            id,
            took,
        } => Event::Ack {
            ts: now,
            reference: reference.as_deref(),
            room: place.room.as_str(),
            epoch: cursor.epoch.to_string(),
            seq: cursor.seq.0,
            id: id.to_string(),
            rtt_ms: event::fractional_milliseconds(*took),
        },
        Report::Refused { reference, refusal }
        | Report::NotSent {
            reference, refusal, ..
        } => refused(now, reference.as_deref(), refusal),
        Report::Done {
            reference,
            operation,
            place,
        } => Event::Done {
            ts: now,
            reference: reference.as_deref(),
            op: operation,
            room: place.as_ref().map(|place| place.room.as_str()),
        },
        Report::Members {
            reference,
            place,
            members,
        } => Event::Members {
            ts: now,
            reference: reference.as_deref(),
            room: place.room.as_str(),
            total: members.len(),
            members: members.iter().map(|name| name.as_str()).collect(),
        },
        Report::Rooms { reference, rooms } => Event::Rooms {
            ts: now,
            reference: reference.as_deref(),
            rooms: rooms
                .iter()
                .map(|room| RoomEntry {
                    room: room.name.as_str(),
                    members: room.members,
                })
                .collect(),
        },
        Report::Pong { reference, took } => Event::Pong {
            ts: now,
            reference: reference.as_deref(),
            rtt_ms: event::fractional_milliseconds(*took),
        },
        Report::Node(report) => Event::Node(NodeEvent::of(report, now)),
        Report::Reconnecting { reference } => Event::Done {
            ts: now,
            reference: reference.as_deref(),
            op: "reconnect",
            room: None,
        },
        Report::Bye { code, reason } => Event::Bye {
            ts: now,
            code: *code,
            reason,
        },
        // The current room, topics on request and help are for people. What is on its way shows in
        // a view; programs are told what became of it.
        Report::Went { .. } | Report::Topic { .. } | Report::Help { .. } | Report::Sent { .. } => {
            return vec![];
        }
    };
    vec![event]
}

fn presence<'a>(
    now: &'a str,
    place: &'a Place,
    members: u32,
    changes: &'a [PresenceChange],
    more: u32,
) -> Vec<Event<'a>> {
    let event = |event, nick: Option<&'a str>, to, count| Event::Presence {
        ts: now,
        room: place.room.as_str(),
        event,
        nick,
        to,
        count,
        members,
    };
    let mut events: Vec<Event<'_>> = changes
        .iter()
        .map(|change| match change {
            PresenceChange::Joined(name) => event("join", Some(name.as_str()), None, None),
            PresenceChange::Left(name) => event("part", Some(name.as_str()), None, None),
            PresenceChange::Renamed { from, to } => {
                event("nick", Some(from.as_str()), Some(to.as_str()), None)
            }
        })
        .collect();
    if more > 0 || events.is_empty() {
        events.push(event("more", None, None, Some(more)));
    }
    events
}

fn refused<'a>(now: &'a str, reference: Option<&'a str>, refusal: &'a Refusal) -> Event<'a> {
    Event::Error {
        ts: now,
        reference,
        code: &refusal.code,
        message: clean::line(&refusal.message),
        hint: refusal.hint,
        retryable: refusal.retryable,
        retry_after_ms: refusal.retry_after.map(event::milliseconds),
        line: refusal.line,
    }
}

fn local_notice<'a>(ts: &'a str, level: &'a str, code: &'a str, text: String) -> Event<'a> {
    Event::Notice {
        ts: ts.to_owned(),
        level,
        code: Some(code),
        text,
        epoch: None,
        seq: None,
        history: None,
    }
}

const fn reason(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Trimmed => "trimmed",
        GapReason::Diverged => "diverged",
        GapReason::Lagged => "lagged",
    }
}

/// What a message says, and its content type.
fn said(message: &Message) -> (&str, u32) {
    match &message.content {
        Content::Text(text) => (text.as_str(), Content::TEXT),
        Content::Action(text) => (text.as_str(), Content::ACTION),
        Content::Opaque { content_type, .. } => ("", *content_type),
        Content::Reply { text, .. } => (text.as_str(), Content::REPLY),
        // Reported as changes.
        Content::Edit { .. } | Content::Delete { .. } | Content::Reaction { .. } => {
            ("", message.content.clone().into_parts().0)
        }
    }
}

fn direct(place: &Place) -> Option<&str> {
    place.direct.as_ref().map(|user| user.as_str())
}

/// A time of an entry; the first moment of 1970 for one that no calendar knows.
fn time(at_ms: u64) -> String {
    let time = i64::try_from(at_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    rfc3339(time.unwrap_or(Timestamp::UNIX_EPOCH))
}

fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
