//! What comes, and what is kept of it.

use super::*;

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
    // Told late: it was about the message that is there.
    model.on_report(message("lobby", 1, None, "done typing"), now());
    let late = Report::Typing {
        place: place("lobby"),
        name: name("bo"),
    };
    model.on_report(late, now());
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
