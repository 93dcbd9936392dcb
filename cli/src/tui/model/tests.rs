//! The model, driven as the edge drives it.

use chat_client::MessageId;
use chat_protocol::lane::{Author, Message, PresenceChange};
use chat_protocol::{Content, Cursor, Epoch, Nonce, Seq, SessionId, UserName};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::*;
use crate::report::{Context, Refusal, Report};
use crate::tui::room::PendingState;
use crate::tui::timeline::Kind;

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
    let mut asked = asked.filter(|reference| reference.starts_with(opening::SHOW));
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

#[test]
fn an_own_message_is_shown_once_whatever_comes_first() {
    let mut model = model();
    press(&mut model, "one\n");
    assert_eq!(model.room().pending[0].state, PendingState::Waiting);
    let reference = sent(&mut model, 1);
    // The message itself, then its ack.
    model.on_report(message("lobby", 1, Some(1), "one"), now());
    assert!(model.room().pending.is_empty());
    acked(&mut model, &reference, 1, 1);
    assert_eq!(said(&model), ["one"]);
    // The ack first.
    press(&mut model, "two\n");
    let reference = sent(&mut model, 2);
    acked(&mut model, &reference, 2, 2);
    assert_eq!(model.room().pending[0].state, PendingState::Acked);
    model.on_report(message("lobby", 2, Some(2), "two"), now());
    assert!(model.room().pending.is_empty());
    // In another session, with another number: its place tells.
    press(&mut model, "three\n");
    let reference = sent(&mut model, 3);
    acked(&mut model, &reference, 3, 30);
    model.on_report(message("lobby", 3, Some(30), "three"), now());
    assert!(model.room().pending.is_empty());
    press(&mut model, "four\n");
    let reference = sent(&mut model, 4);
    model.on_report(message("lobby", 4, Some(40), "four"), now());
    acked(&mut model, &reference, 4, 40);
    assert!(model.room().pending.is_empty());
    assert_eq!(said(&model), ["one", "two", "three", "four"]);
}

#[test]
fn what_was_refused_stays_marked_and_is_sent_again_on_demand() {
    let mut model = model();
    press(&mut model, "one\n");
    let reference = sent(&mut model, 1);
    let refused = |code: &str| Report::NotSent {
        reference: Some(reference.clone()),
        place: place("lobby"),
        id: MessageId {
            session: ME,
            nonce: Nonce(1),
        },
        refusal: Refusal::local(code, "too fast"),
    };
    model.on_report(refused("rate_limited"), now());
    let state = &model.room().pending[0].state;
    assert_eq!(*state, PendingState::Refused("too fast".to_owned()));
    assert!(model.room().has_failed());
    chord(&mut model, KeyCode::Char('r'), KeyModifiers::ALT);
    assert_eq!(model.room().pending.len(), 1);
    assert_eq!(model.room().pending[0].state, PendingState::Waiting);
    assert_eq!(model.outbox.len(), 1);
    press(&mut model, "/discard\n");
    assert_eq!(model.room().pending.len(), 1, "what waits is not dropped");
    // What is not known is never sent again by itself.
    let reference = sent(&mut model, 2);
    let report = Report::NotSent {
        reference: Some(reference),
        place: place("lobby"),
        id: MessageId {
            session: ME,
            nonce: Nonce(2),
        },
        refusal: Refusal::local("unknown_fate", "may or may not be there"),
    };
    model.on_report(report, now());
    assert_eq!(model.room().pending[0].state, PendingState::Unknown);
    // Beside a refused one, that one alone is sent again; by itself it is when asked for twice.
    press(&mut model, "two\n");
    let reference = sent(&mut model, 3);
    let report = Report::NotSent {
        reference: Some(reference),
        place: place("lobby"),
        id: MessageId {
            session: ME,
            nonce: Nonce(3),
        },
        refusal: Refusal::local("rate_limited", "too fast"),
    };
    model.on_report(report, now());
    for (pressed, again) in [(1, "two"), (2, ""), (3, "one")] {
        taken(&mut model);
        chord(&mut model, KeyCode::Char('r'), KeyModifiers::ALT);
        let said: Vec<&Operation> = model.outbox.iter().map(|one| &one.operation).collect();
        match said.as_slice() {
            [] => assert_eq!(again, "", "{pressed}"),
            [Operation::Send { text, .. }] => assert_eq!(text.as_str(), again, "{pressed}"),
            other => panic!("{other:?}"),
        }
        let two = sent_reference(&model, "two");
        if let Some(two) = two {
            acked(&mut model, &two, 9, 9);
        }
    }
    // A room that closes tells what was not sent to it.
    let left = Report::Left {
        place: place("lobby"),
        reason: chat_protocol::lane::EndReason::Removed,
    };
    model.on_report(left, now());
    let told = model.rooms[0]
        .timeline
        .iter()
        .any(|(_, item)| item.text() == "not sent to #lobby: one");
    assert!(told);
}

/// What ties answers to a message of this text that waits.
fn sent_reference(model: &Model, text: &str) -> Option<String> {
    let pending = model.room().pending.iter();
    let mut waiting = pending.filter(|pending| pending.state == PendingState::Waiting);
    let found = waiting.find(|pending| pending.text == text)?;
    Some(found.reference.clone())
}

#[test]
fn what_is_typed_for_a_room_that_opens_never_goes_to_another() {
    let mut model = model();
    press(&mut model, "/join dev\nfor dev\n");
    assert!(model.room().pending.is_empty());
    model.on_report(joined("dev", false, 0, 0), now());
    done(&mut model, "dev");
    assert_eq!(model.room().title(), "#dev");
    assert_eq!(model.room().pending[0].text, "for dev");
    taken(&mut model);
    // Answered before its first event.
    press(&mut model, "/join ops\nfor ops\n");
    done(&mut model, "ops");
    assert_eq!(model.room().title(), "#dev");
    model.on_report(joined("ops", false, 0, 0), now());
    assert_eq!(model.room().title(), "#ops");
    assert_eq!(model.room().pending[0].text, "for ops");
    taken(&mut model);
    // Refused: it is back where one types.
    press(&mut model, "/join secret\nfor nobody\n");
    let refused = Report::Refused {
        reference: Some(showing(&model, 0)),
        refusal: Refusal::local("forbidden", "not for you"),
    };
    model.on_report(refused, now());
    assert_eq!(model.composer.text(), "for nobody");
    assert_eq!(model.room().pending.len(), 1);
    // Nor is it sent elsewhere by a key that was pressed at the same moment.
    press(&mut model, "\n");
    assert_eq!(model.composer.text(), "for nobody");
    assert_eq!(model.room().pending.len(), 1);
    chord(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL);
    taken(&mut model);
    // Two at once: each gets its own, also while the one that is shown is left.
    press(
        &mut model,
        "/leave\n/join one\nfor one\n/join two\nfor two\n",
    );
    let left = Report::Left {
        place: place("ops"),
        reason: chat_protocol::lane::EndReason::Left,
    };
    model.on_report(left, now());
    let (one, two) = (showing(&model, 0), showing(&model, 1));
    for (room, reference) in [("one", one), ("two", two)] {
        model.on_report(joined(room, false, 0, 0), now());
        let report = Report::Done {
            reference: Some(reference),
            operation: "join",
            place: Some(place(room)),
        };
        model.on_report(report, now());
        assert_eq!(model.room().title(), format!("#{room}"));
        assert_eq!(model.room().pending.len(), 1);
        assert_eq!(model.room().pending[0].text, format!("for {room}"));
    }
}

#[test]
fn rooms_that_are_not_shown_count() {
    let mut model = model();
    model.on_report(joined("dev", false, 0, 0), now());
    assert_eq!(model.room().title(), "#lobby", "nobody asked to see it");
    model.on_report(message("dev", 1, None, "hi"), now());
    assert!(model.take_wishes().is_empty());
    model.on_report(message("dev", 2, None, "hi ann"), now());
    assert_eq!(model.take_wishes(), [Wish::Bell]);
    assert_eq!(model.active(), [(2, 2, 1)]);
    press(&mut model, "/notify off\n");
    chord(&mut model, KeyCode::Char('a'), KeyModifiers::ALT);
    assert_eq!(model.room().title(), "#dev");
    assert!(model.room().marker.is_some());
    assert!(model.active().is_empty());
    // Muted: neither rings nor counts as active.
    model.on_report(message("lobby", 1, None, "ann!"), now());
    assert!(model.take_wishes().is_empty());
    assert!(model.active().is_empty());
    // Leaving the room that is shown goes back.
    let left = Report::Left {
        place: place("dev"),
        reason: chat_protocol::lane::EndReason::Left,
    };
    model.on_report(left, now());
    assert_eq!(model.room().title(), "#lobby");
}

#[test]
fn what_was_missed_is_counted_and_marked() {
    let mut model = model();
    model.on_report(message("lobby", 1, None, "before"), now());
    model.on_report(
        Report::Disconnected {
            node: None,
            reason: "gone".to_owned(),
            retry_in: Some(Duration::from_secs(3)),
            attempt: 1,
        },
        now(),
    );
    assert!(matches!(model.link, Link::Away { .. }));
    model.on_report(joined("lobby", true, 3, 2), now());
    for seq in 2..=3 {
        let Report::Message {
            place,
            cursor,
            message,
            own,
            mention,
            context,
            ..
        } = message("lobby", seq, None, "missed")
        else {
            panic!("a message")
        };
        let report = Report::Message {
            place,
            cursor,
            message,
            own,
            history: true,
            mention,
            context,
        };
        model.on_report(report, now());
    }
    let last = model.room().timeline.iter().next_back().unwrap().1;
    assert_eq!(last.text(), "caught up: 2 missed messages");
    let marker = model.room().marker.unwrap();
    assert_eq!(model.room().timeline.get(marker).unwrap().text(), "missed");
}

#[test]
fn ctrl_c_clears_and_only_twice_leaves() {
    let mut model = model();
    press(&mut model, "a draft");
    chord(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(model.composer.is_empty());
    assert!(model.take_wishes().iter().all(|wish| *wish != Wish::Quit));
    // What was cleared can be had again.
    chord(&mut model, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(model.composer.text(), "a draft");
    chord(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL);
    chord(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(!model.take_wishes().contains(&Wish::Quit));
    chord(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(model.take_wishes().contains(&Wish::Quit));
}

#[test]
fn drafts_and_history_belong_to_their_rooms() {
    let mut model = model();
    press(&mut model, "sent here\ndraft here");
    model.on_report(joined("dev", false, 0, 0), now());
    chord(&mut model, KeyCode::Char('2'), KeyModifiers::ALT);
    assert!(model.composer.is_empty());
    chord(&mut model, KeyCode::Up, KeyModifiers::NONE);
    assert!(model.composer.is_empty(), "nothing was sent from here");
    chord(&mut model, KeyCode::Char('0'), KeyModifiers::ALT);
    assert_eq!(model.composer.text(), "draft here");
    chord(&mut model, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(model.composer.text(), "sent here");
    chord(&mut model, KeyCode::Down, KeyModifiers::NONE);
    assert_eq!(model.composer.text(), "draft here");
}

#[test]
fn memory_is_bounded_over_all_rooms() {
    let mut model = model();
    let text = "x".repeat(4096);
    for room in ["a", "b"] {
        model.on_report(joined(room, false, 0, 0), now());
    }
    for seq in 0..20_000 {
        let room = if seq % 3 == 0 { "a" } else { "b" };
        model.on_report(message(room, seq + 1, None, &text), now());
    }
    let bytes: usize = model.rooms.iter().map(|room| room.timeline.bytes()).sum();
    assert!(bytes <= TIMELINES_BYTES_MAX, "{bytes}");
    assert!(bytes > TIMELINES_BYTES_MAX / 2);
    // What was dropped can be loaded again.
    assert_eq!(model.rooms[3].past, crate::tui::room::Past::More);
}

#[test]
fn presence_keeps_the_list_and_ends_typing() {
    let mut model = model();
    let list = Report::Members {
        reference: Some(MEMBERS.to_owned()),
        place: place("lobby"),
        members: vec![name("ann"), name("bo")],
    };
    model.on_report(list, now());
    let typing = Report::Typing {
        place: place("lobby"),
        name: name("bo"),
    };
    model.on_report(typing, now());
    assert_eq!(model.room().typing.len(), 1);
    let presence = Report::Presence {
        place: place("lobby"),
        members: 1,
        changes: vec![PresenceChange::Left(name("bo"))],
        more: 0,
    };
    model.on_report(presence, now());
    assert_eq!(model.room().members.names, [name("ann")]);
    assert!(model.room().typing.is_empty());
    let later = Now {
        instant: Instant::now() + Duration::from_secs(60),
        ms: 0,
    };
    let typing = Report::Typing {
        place: place("lobby"),
        name: name("cy"),
    };
    model.on_report(typing, now());
    model.on_tick(later);
    assert!(model.room().typing.is_empty(), "it ends by itself");
}

#[test]
fn what_was_being_typed_comes_back_after_an_edit() {
    let mut model = model();
    model.on_report(message("lobby", 1, Some(1), "mine"), now());
    press(&mut model, "a draft");
    chord(&mut model, KeyCode::Char('e'), KeyModifiers::ALT);
    assert_eq!(model.composer.text(), "mine");
    chord(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    assert_eq!(model.composer.text(), "a draft");
    // Also when the user goes elsewhere in between: an edit never becomes a message.
    chord(&mut model, KeyCode::Char('e'), KeyModifiers::ALT);
    chord(&mut model, KeyCode::Char('n'), KeyModifiers::CONTROL);
    chord(&mut model, KeyCode::Char('p'), KeyModifiers::CONTROL);
    assert_eq!((model.composer.text(), &model.aim), ("a draft", &None));
    // And when it is sent.
    chord(&mut model, KeyCode::Char('e'), KeyModifiers::ALT);
    press(&mut model, "!\n");
    assert!(matches!(
        model.outbox.back().unwrap().operation,
        Operation::Edit { .. }
    ));
    assert_eq!(model.composer.text(), "a draft");
}

#[test]
fn what_is_half_typed_stays_with_the_user() {
    let mut model = model();
    press(&mut model, "/join dev\nhalf");
    model.on_report(joined("dev", false, 0, 0), now());
    done(&mut model, "dev");
    assert_eq!(
        (model.room().title().as_str(), model.composer.text()),
        ("#dev", "half")
    );
    // A room that closes takes nothing with it, and gives nothing to another.
    let left = Report::Left {
        place: place("dev"),
        reason: chat_protocol::lane::EndReason::Removed,
    };
    model.on_report(left, now());
    assert!(model.composer.is_empty());
    chord(&mut model, KeyCode::Up, KeyModifiers::NONE);
    assert_eq!(model.composer.text(), "half");
    chord(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL);
    // A reply that becomes an edit.
    model.on_report(message("lobby", 1, Some(1), "mine"), now());
    press(&mut model, "my draft");
    chord(&mut model, KeyCode::Up, KeyModifiers::ALT);
    press(&mut model, "r");
    chord(&mut model, KeyCode::Char('e'), KeyModifiers::ALT);
    chord(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    assert_eq!(model.composer.text(), "my draft");
    // What was written as an answer stays, whatever is answered, and wherever one goes between.
    chord(&mut model, KeyCode::Up, KeyModifiers::ALT);
    press(&mut model, "r");
    chord(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    assert_eq!((model.composer.text(), &model.aim), ("my draft", &None));
    chord(&mut model, KeyCode::Up, KeyModifiers::ALT);
    press(&mut model, "r!");
    chord(&mut model, KeyCode::Up, KeyModifiers::ALT);
    press(&mut model, "r!");
    assert_eq!(model.composer.text(), "my draft!!");
    model.go_to_room(0);
    model.go_to_room(1);
    assert_eq!(model.composer.text(), "my draft!!");
    // What is written for an edit that is left can be had again.
    chord(&mut model, KeyCode::Char('e'), KeyModifiers::ALT);
    press(&mut model, " more");
    chord(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    assert_eq!(model.composer.text(), "my draft!!");
    assert_eq!(model.room().sent.back().unwrap(), "mine more");
    // An edit that changes nothing is none.
    taken(&mut model);
    chord(&mut model, KeyCode::Char('e'), KeyModifiers::ALT);
    press(&mut model, "\n");
    assert!(model.outbox.is_empty());
}

#[test]
fn who_goes_elsewhere_is_not_brought_back() {
    let mut model = model();
    model.on_report(joined("dev", false, 0, 0), now());
    press(&mut model, "/join ops\nfor ops\n");
    chord(&mut model, KeyCode::Char('2'), KeyModifiers::ALT);
    assert_eq!(model.room().title(), "#dev");
    press(&mut model, "for dev\n");
    assert_eq!(model.room().pending[0].text, "for dev");
    model.on_report(joined("ops", false, 0, 0), now());
    done(&mut model, "ops");
    assert_eq!(model.room().title(), "#dev");
    chord(&mut model, KeyCode::Char('1'), KeyModifiers::ALT);
    assert_eq!(
        model.composer.text(),
        "for ops",
        "sent nowhere, and not lost"
    );
}

#[test]
fn an_answer_that_was_refused_is_sent_again_as_one() {
    let mut model = model();
    model.on_report(message("lobby", 1, None, "a question"), now());
    chord(&mut model, KeyCode::Up, KeyModifiers::ALT);
    press(&mut model, "ran answer\n");
    let request = model.outbox.pop_back().unwrap();
    assert!(matches!(request.operation, Operation::Reply { .. }));
    let report = Report::NotSent {
        reference: request.reference,
        place: place("lobby"),
        id: MessageId {
            session: ME,
            nonce: Nonce(1),
        },
        refusal: Refusal::local("x", "no"),
    };
    model.on_report(report, now());
    chord(&mut model, KeyCode::Char('r'), KeyModifiers::ALT);
    let again = model.outbox.pop_back().unwrap();
    assert_eq!(again.operation, request.operation);
}

#[test]
fn commands_work_while_a_message_is_edited_or_a_room_opens() {
    let mut model = model();
    model.on_report(message("lobby", 1, Some(1), "mine"), now());
    chord(&mut model, KeyCode::Char('e'), KeyModifiers::ALT);
    chord(&mut model, KeyCode::Char('u'), KeyModifiers::CONTROL);
    press(&mut model, "/node\n");
    assert_eq!(model.outbox.pop_back().unwrap().operation, Operation::Node);
    assert_eq!(model.aim, None);
    // A message that begins with a slash stays one.
    model.on_report(message("lobby", 2, Some(2), "/quit"), now());
    chord(&mut model, KeyCode::Char('e'), KeyModifiers::ALT);
    assert_eq!(model.composer.text(), "//quit");
    press(&mut model, "!\n");
    let edit = model.outbox.pop_back().unwrap().operation;
    let Operation::Edit { text, .. } = edit else {
        panic!("{edit:?}");
    };
    assert_eq!(text.as_str(), "/quit!");
    press(&mut model, "/join far\n/leave\n/quit\n");
    assert_eq!(model.outbox.len(), 1, "what is for the room waits for it");
    assert!(model.take_wishes().contains(&Wish::Quit));
}

#[test]
fn a_room_of_two_follows_the_name_of_the_other() {
    let mut model = model();
    let direct = Place {
        room: "@dm/1".parse().unwrap_or_else(|_| "dm1".parse().unwrap()),
        direct: Some(name("cat")),
    };
    let opened = Report::Joined {
        place: direct.clone(),
        head: at(0),
        past: 0,
        members: 2,
        topic: "".parse().unwrap(),
        rejoined: false,
    };
    model.on_report(opened, now());
    let renamed = PresenceChange::Renamed {
        from: name("cat"),
        to: name("catty"),
    };
    let presence = Report::Presence {
        place: direct,
        members: 2,
        changes: vec![renamed],
        more: 0,
    };
    model.on_report(presence, now());
    assert_eq!(model.rooms[2].title(), "@catty");
    press(&mut model, "/msg catty hello\n");
    assert_eq!(model.room().title(), "@catty");
    assert_eq!(model.room().pending[0].text, "hello");
}

#[test]
fn nobody_writes_to_somebody_who_has_gone() {
    let mut model = model();
    let direct = Place {
        room: "dm1".parse().unwrap(),
        direct: Some(name("hal")),
    };
    let opened = |room: &str| Report::Joined {
        place: Place {
            room: room.parse().unwrap(),
            direct: Some(name("hal")),
        },
        head: at(0),
        past: 0,
        members: 2,
        topic: "".parse().unwrap(),
        rejoined: false,
    };
    model.on_report(opened("dm1"), now());
    model.go_to_room(2);
    let presence = Report::Presence {
        place: direct,
        members: 1,
        changes: vec![PresenceChange::Left(name("hal"))],
        more: 0,
    };
    model.on_report(presence, now());
    press(&mut model, "are you there?\n");
    assert!(model.room().pending.is_empty());
    assert_eq!(model.composer.text(), "are you there?");
    chord(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut model, "/msg hal again\n");
    let asked: Vec<&Operation> = model.outbox.iter().map(|one| &one.operation).collect();
    assert!(
        matches!(
            asked.as_slice(),
            [Operation::Leave { .. }, Operation::Direct { .. }]
        ),
        "{asked:?}"
    );
}

#[test]
fn what_was_cleared_can_be_loaded_again() {
    let mut model = model();
    for seq in 1..=5 {
        model.on_report(message("lobby", seq, None, "x"), now());
    }
    press(&mut model, "/clear\n");
    chord(&mut model, KeyCode::PageUp, KeyModifiers::NONE);
    let Operation::History { before, .. } = &model.outbox.back().unwrap().operation else {
        panic!("no history");
    };
    assert_eq!(*before, Some(at(6)));
    // A topic has its place, too: what is loaded comes before it.
    let mut model = self::model();
    let change = chat_protocol::lane::TopicChanged {
        author: Author {
            session: OTHER,
            account: None,
            name: name("bo"),
        },
        nonce: Nonce(1),
        at_ms: now().ms,
        topic: "tea".parse().unwrap(),
    };
    let report = Report::TopicChanged {
        place: place("lobby"),
        cursor: at(3),
        change,
        own: false,
        history: false,
    };
    model.on_report(report, now());
    chord(&mut model, KeyCode::PageUp, KeyModifiers::NONE);
    let Operation::History { before, .. } = &model.outbox.back().unwrap().operation else {
        panic!("no history");
    };
    assert_eq!(*before, Some(at(3)));
}

#[test]
fn typing_on_closes_the_help_and_is_not_swallowed() {
    let mut model = model();
    press(&mut model, "?");
    assert!(matches!(model.overlay, Some(Overlay::Help(_))));
    press(&mut model, "?");
    assert_eq!(
        model.composer.text(),
        "?",
        "also a question mark can begin a message"
    );
    chord(&mut model, KeyCode::Backspace, KeyModifiers::NONE);
    press(&mut model, "?/serch\n");
    let told = model.room().timeline.iter().next_back().unwrap().1;
    assert_eq!(
        told.text(),
        "there is no command /serch; did you mean /search?"
    );
    press(&mut model, "?/help edit");
    assert!(model.overlay.is_none());
    assert_eq!(model.composer.text(), "/help edit");
}

#[test]
fn lists_show_what_messages_say_now() {
    let mut model = model();
    model.on_report(message("lobby", 1, None, "ann, a secret"), now());
    let Report::Message { mut message, .. } = message("lobby", 2, None, "x") else {
        panic!("a message")
    };
    message.content = Content::Delete { of: at(1) };
    let report = Report::Refers {
        place: place("lobby"),
        cursor: at(2),
        message,
        target: at(1),
        quoted: None,
        standing: crate::report::Standing::Counts,
        own: false,
        history: false,
    };
    model.on_report(report, now());
    for key in ['m', 's'] {
        let modifiers = if key == 'm' {
            KeyModifiers::ALT
        } else {
            KeyModifiers::CONTROL
        };
        chord(&mut model, KeyCode::Char(key), modifiers);
        press(&mut model, "secret");
        let Some(Overlay::Picker(picker)) = &model.overlay else {
            panic!("no list")
        };
        assert!(picker.matches.is_empty(), "{:?}", picker.matches);
        chord(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    }
}

#[test]
fn the_mouse_scrolls_goes_and_chooses() {
    let mut model = model();
    for seq in 1..=40 {
        model.on_report(message("lobby", seq, None, "x"), now());
    }
    model.on_report(joined("dev", false, 0, 0), now());
    let mouse = |kind, column, row| MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    };
    let left = MouseEventKind::Down(MouseButton::Left);
    // The row above the status line is the newest message.
    model.on_mouse(mouse(left, 40, 17), now());
    let newest = model.room().timeline.end() - 1;
    assert!(matches!(model.overlay, Some(Overlay::Select(index)) if index == newest));
    // Whoever clicked to get here and types, types.
    press(&mut model, "add");
    assert!(model.overlay.is_none());
    assert_eq!(model.composer.text(), "add");
    model.on_mouse(mouse(MouseEventKind::ScrollUp, 40, 10), now());
    assert!(model.room().anchor.is_some());
    // The lowest row says how much is below.
    model.on_mouse(mouse(left, 40, 17), now());
    assert!(model.room().anchor.is_none());
    model.on_mouse(mouse(left, 3, 3), now());
    assert_eq!(model.room().title(), "#dev");
}
