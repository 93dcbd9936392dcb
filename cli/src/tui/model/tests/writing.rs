//! What is being typed, and where it stays.

use super::*;

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
