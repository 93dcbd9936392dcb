//! What is sent: shown once, marked, sent again.

use super::*;

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
