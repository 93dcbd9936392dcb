//! What this program says about a report by itself: plain sentences, one a line, styled and cleaned
//! by the surface.

use std::time::Duration;

use chat_protocol::UserName;
use chat_protocol::lane::{EndReason, GapReason, TopicChanged};

use crate::report::Report;

mod node;

/// What this program says about a report by itself.
pub(crate) fn of(report: &Report) -> Vec<String> {
    let line = match report {
        Report::Connecting { targets } => format!("connecting to {} …", targets.join(", ")),
        Report::Connected {
            node,
            target,
            name,
            first: true,
            ..
        } => {
            format!("connected to {node} ({target}) as {name}")
        }
        Report::Connected {
            node,
            resumed: true,
            ..
        } => format!("back on {node}"),
        Report::Connected { node, name, .. } => {
            format!("back on {node}, in a new session as {name}")
        }
        Report::Disconnected {
            node,
            reason,
            retry_in,
            attempt,
        } => {
            match disconnected(
                node.as_ref().map(ToString::to_string),
                reason,
                *retry_in,
                *attempt,
            ) {
                Some(line) => line,
                None => return vec![],
            }
        }
        Report::Joined {
            place,
            past,
            rejoined: true,
            ..
        } => match past {
            0 => return vec![],
            1 => format!("{place}: 1 missed message"),
            past => format!("{place}: {past} missed messages"),
        },
        Report::Joined {
            place,
            members,
            topic,
            ..
        } => {
            let topic = if topic.is_empty() {
                String::new()
            } else {
                format!("; topic: {topic}")
            };
            match place.direct {
                Some(_) => format!("talking to {place} alone{topic}"),
                None => format!("joined {place}, {members} here{topic}"),
            }
        }
        Report::Left {
            place,
            reason: EndReason::Left,
        } => format!("left {place}"),
        Report::Left {
            place,
            reason: EndReason::Removed,
        } => format!("you were removed from {place}"),
        Report::Left {
            place,
            reason: EndReason::Closing,
        } => format!("{place} was closed"),
        Report::Went { place } => format!("what you type goes to {place} now"),
        Report::Damaged { place, .. } => {
            format!("a message in {place} is damaged and cannot be shown")
        }
        Report::Gap {
            place,
            reason,
            from,
            next,
            ..
        } => {
            let missing = match from {
                Some(from) if from.epoch == next.epoch => next.seq.0.saturating_sub(from.seq.0 + 1),
                _ => 0,
            };
            let missing = match missing {
                0 => "messages are".to_owned(),
                1 => "1 message is".to_owned(),
                missing => format!("{missing} messages are"),
            };
            let why = match reason {
                GapReason::Trimmed => "too old to be kept",
                GapReason::Diverged => "lost with the server's memory",
                GapReason::Lagged => "left out because they came too fast to be read",
            };
            format!("{missing} missing in {place}: {why}")
        }
        Report::Older { .. } => return vec![older(report)],
        Report::Renamed { name } => format!("you are {name} now"),
        Report::NameDiffers { wanted, name } => {
            format!("{wanted} is not to be had: you are {name}")
        }
        Report::Draining { .. } => "the node is about to stop; moving to another one".to_owned(),
        Report::Backplane { available: false } => {
            "the node lost its backplane: messages are kept and sent when it is back".to_owned()
        }
        Report::Backplane { available: true } => "the node's backplane is back".to_owned(),
        Report::Closed { reason } => format!("the connection is closed for good: {reason}"),
        Report::Overdue { len: 1 } => "not sent yet; kept and retried".to_owned(),
        Report::Overdue { len } => format!("{len} messages not sent yet; kept and retried"),
        Report::Members { place, members, .. } => {
            let names: Vec<&str> = members.iter().map(UserName::as_str).collect();
            format!("{} in {place}: {}", names.len(), names.join(", "))
        }
        Report::Rooms { rooms, .. } if rooms.is_empty() => "no room has members".to_owned(),
        Report::Rooms { rooms, .. } => {
            let rooms: Vec<String> = rooms
                .iter()
                .map(|room| format!("#{} ({})", room.name, room.members))
                .collect();
            rooms.join(", ")
        }
        Report::Topic { place, topic } if topic.is_empty() => format!("{place} has no topic"),
        Report::Topic { place, topic } => format!("topic of {place}: {topic}"),
        Report::Pong { took, .. } => {
            format!("{:.1} ms to the node and back", took.as_secs_f64() * 1e3)
        }
        Report::Node(report) => return node::lines(report),
        Report::Reconnecting { .. } => "making another connection".to_owned(),
        Report::Help { lines } => return lines.clone(),
        _ => return vec![],
    };
    vec![line]
}

/// What is said of a topic that was set; not cleaned.
pub(crate) fn topic(change: &TopicChanged) -> String {
    let name = &change.author.name;
    match change.topic.as_str() {
        "" => format!("{name} removed the topic"),
        topic => format!("{name} set the topic: {topic}"),
    }
}

/// What to say at the end of older messages: how they go on.
fn older(report: &Report) -> String {
    let Report::Older {
        place,
        entries,
        before,
        beginning,
        gap,
        ..
    } = report
    else {
        return String::new();
    };
    let end = format!("end of earlier messages in {place}");
    match (before, entries.is_empty(), gap) {
        (Some(_), true, Some(GapReason::Diverged)) => {
            format!("what was earlier in {place} was lost with the server's memory")
        }
        (Some(_), ..) => format!("{end}; /history shows more"),
        (None, true, _) if *beginning => format!("nothing was said earlier in {place}"),
        (None, true, _) => format!("what was said earlier in {place} is no longer kept"),
        (None, false, _) if *beginning => format!("{end}: that was the beginning"),
        (None, false, _) => format!("{end}: what was before them is no longer kept"),
    }
}

/// What to say of a lost connection, or of a try that failed; nothing for most of many tries.
fn disconnected(
    node: Option<String>,
    reason: &str,
    retry_in: Option<Duration>,
    attempt: u32,
) -> Option<String> {
    let lost = match node {
        Some(node) => format!("connection to {node} lost"),
        None => "connection lost".to_owned(),
    };
    let what = if attempt <= 1 {
        lost
    } else {
        format!("still no connection after {attempt} tries")
    };
    // Tries 1, 2, 4, 8 … are told: often at first, when somebody watches, and rarely later.
    if attempt > 1 && !attempt.is_power_of_two() {
        return None;
    }
    Some(match retry_in {
        Some(delay) => format!(
            "{what} ({reason}); next try in {:.1} s",
            delay.as_secs_f64()
        ),
        None => format!("{what} ({reason})"),
    })
}
