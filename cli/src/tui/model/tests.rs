//! The model, driven as the edge drives it.

use chat_client::MessageId;
use chat_protocol::lane::{Author, Message, PresenceChange};
use chat_protocol::{Content, Cursor, Epoch, Nonce, Seq, SessionId, UserName};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::*;
use crate::report::{Context, Refusal, Report};
use crate::tui::room::PendingState;
use crate::tui::timeline::Kind;

mod opening;
mod reading;
mod sending;
mod writing;

pub(crate) const ME: SessionId = SessionId(1);
const OTHER: SessionId = SessionId(2);

pub(crate) fn now() -> Now {
    Now {
        instant: Instant::now(),
        ms: 1_764_000_000_000,
    }
}

pub(crate) fn name(name: &str) -> UserName {
    name.parse().unwrap()
}

pub(crate) fn place(room: &str) -> Place {
    Place {
        room: room.parse().unwrap(),
        direct: None,
    }
}

pub(crate) fn at(seq: u64) -> Cursor {
    Cursor::new(Epoch(7), Seq(seq))
}

pub(crate) fn joined(room: &str, rejoined: bool, head: u64, past: u64) -> Report {
    Report::Joined {
        place: place(room),
        head: at(head),
        past,
        members: 2,
        topic: "".parse().unwrap(),
        rejoined,
    }
}

/// A message of somebody else, or of this client's nonce.
pub(crate) fn message(room: &str, seq: u64, nonce: Option<u64>, text: &str) -> Report {
    let author = Author {
        session: if nonce.is_some() { ME } else { OTHER },
        account: None,
        name: name(if nonce.is_some() { "ann" } else { "bo" }),
    };
    Report::Message {
        place: place(room),
        cursor: at(seq),
        message: Message {
            author,
            nonce: Nonce(nonce.unwrap_or(seq)),
            at_ms: now().ms,
            content: Content::Text(text.parse().unwrap()),
        },
        own: nonce.is_some(),
        history: false,
        mention: text.contains("ann"),
        context: Context::default(),
    }
}

/// In #lobby, as ann, on a terminal of 80 columns and 20 rows.
pub(crate) fn model() -> Model {
    let options = Options {
        zone: jiff::tz::TimeZone::UTC,
        ..Options::default()
    };
    let mut model = Model::new(options, (80, 20));
    model.me = "ann".to_owned();
    model.open_rooms_of_start(&["lobby".parse().unwrap()], now());
    model.on_report(joined("lobby", false, 0, 0), now());
    done(&mut model, "lobby");
    model.on_tick(now());
    model.outbox.clear();
    assert_eq!(model.room().title(), "#lobby");
    model
}

/// The first room that is being opened is granted.
fn done(model: &mut Model, room: &str) {
    let report = Report::Done {
        reference: Some(showing(model, 0)),
        operation: "join",
        place: Some(place(room)),
    };
    model.on_report(report, now());
}

/// What ties the answer to a room that is being opened.
fn showing(model: &Model, at: usize) -> String {
    let asked = model.outbox.iter().filter_map(|one| one.reference.as_ref());
    let mut asked = asked.filter(|reference| reference.starts_with(super::opening::SHOW));
    asked.nth(at).unwrap().clone()
}

/// The edge has taken everything.
fn taken(model: &mut Model) {
    model.outbox.clear();
}

pub(crate) fn press(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            letter => KeyCode::Char(letter),
        };
        model.on_key(&KeyEvent::new(code, KeyModifiers::NONE), now());
    }
}

fn chord(model: &mut Model, code: KeyCode, modifiers: KeyModifiers) {
    model.on_key(&KeyEvent::new(code, modifiers), now());
}

fn sent(model: &mut Model, nonce: u64) -> String {
    let request = model.outbox.pop_front().unwrap();
    let reference = request.reference.unwrap();
    let report = Report::Sent {
        reference: Some(reference.clone()),
        place: place("lobby"),
        id: MessageId {
            session: ME,
            nonce: Nonce(nonce),
        },
    };
    model.on_report(report, now());
    reference
}

fn acked(model: &mut Model, reference: &str, seq: u64, nonce: u64) {
    let report = Report::Acked {
        reference: Some(reference.to_owned()),
        place: place("lobby"),
        cursor: at(seq),
        id: MessageId {
            session: ME,
            nonce: Nonce(nonce),
        },
        took: Duration::from_millis(1),
    };
    model.on_report(report, now());
}

fn said(model: &Model) -> Vec<&str> {
    let items = model.room().timeline.iter();
    items
        .filter(|(_, item)| matches!(item.kind, Kind::Said(_)))
        .map(|(_, item)| item.text())
        .collect()
}
