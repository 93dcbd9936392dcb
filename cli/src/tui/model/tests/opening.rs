//! Rooms that open, and what was typed for them.

use super::*;

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
fn rooms_that_are_being_opened_are_bounded() {
    let mut model = model();
    for number in 0..70 {
        press(&mut model, &format!("/join room{number}\n"));
    }
    let told = model.room().timeline.iter();
    let told = told.filter(|(_, item)| item.text() == "too much is under way; wait a little");
    assert_eq!(told.count(), 70 - 64);
    assert_eq!(model.outbox.len(), 64);
}
