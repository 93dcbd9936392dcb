use chat_protocol::Nonce;
use proptest::prelude::*;

use super::*;

const EPOCH: Epoch = Epoch(7);

fn at(seq: u64) -> Cursor {
    Cursor::new(EPOCH, Seq(seq))
}

fn author(session: u64) -> Author {
    Author {
        session: SessionId(session),
        account: None,
        name: format!("user{session}").parse().unwrap(),
    }
}

fn by(author: Author, content: Content) -> Message {
    Message {
        author,
        nonce: Nonce(1),
        at_ms: 1,
        content,
    }
}

fn said(text: &str) -> Content {
    Content::Text(text.parse().unwrap())
}

fn edit(of: u64, text: &str) -> Content {
    Content::Edit {
        of: at(of),
        text: text.parse().unwrap(),
    }
}

fn react(to: u64, reaction: &str, on: bool) -> Content {
    Content::Reaction {
        to: at(to),
        reaction: reaction.parse().unwrap(),
        on,
    }
}

/// Takes a log from a seq on; gives what each of its messages touched.
fn take(references: &mut References, from: u64, log: &[(u64, Content)]) -> Vec<Option<u64>> {
    (from..)
        .zip(log)
        .map(|(seq, (session, content))| {
            let message = by(author(*session), content.clone());
            let touched = references.on_message(at(seq), &message);
            touched.map(|cursor| cursor.seq.0)
        })
        .collect()
}

fn text(references: &References, seq: u64) -> Option<String> {
    let view = references.message(at(seq))?;
    view.text().map(|text| text.as_str().to_owned())
}

#[test]
fn a_message_is_what_its_author_made_of_it_last() {
    let mut references = References::default();
    let delete = Content::Delete { of: at(1) };
    let touched = take(
        &mut references,
        1,
        &[
            (1, said("helo")),
            (2, edit(1, "i am a fool")),
            (1, edit(1, "hello")),
            (1, edit(1, "hello all")),
            (2, delete.clone()),
        ],
    );
    assert_eq!(touched, [Some(1), None, Some(1), Some(1), None]);
    let view = references.message(at(1)).unwrap();
    assert!(view.is_edited() && !view.is_deleted());
    assert_eq!(text(&references, 1).as_deref(), Some("hello all"));
    let touched = take(&mut references, 6, &[(1, delete), (1, edit(1, "again"))]);
    assert_eq!(touched, [Some(1), None], "a deletion is final");
    let view = references.message(at(1)).unwrap();
    assert!(view.is_deleted() && !view.is_edited());
    assert_eq!(text(&references, 1), None);
}

#[test]
fn an_account_is_one_author_in_all_its_sessions() {
    let of = |session, account| Author {
        account: Some(AccountId([account; 16])),
        ..author(session)
    };
    let mut references = References::default();
    references.on_message(at(1), &by(of(1, 9), said("one")));
    references.on_message(at(2), &by(of(2, 8), edit(1, "somebody else")));
    references.on_message(at(3), &by(of(3, 9), edit(1, "two")));
    references.on_message(at(4), &by(author(1), edit(1, "the same session")));
    references.on_message(at(5), &by(of(2, 9), react(1, "+1", true)));
    references.on_message(at(6), &by(of(3, 9), react(1, "+1", true)));
    assert_eq!(text(&references, 1).as_deref(), Some("the same session"));
    let reactions = references.message(at(1)).unwrap().reactions();
    assert_eq!(reactions.len(), 1);
    assert_eq!(reactions[0].authors.len(), 1, "one account, one thumb");
}

#[test]
fn reactions_are_given_and_taken_back() {
    let mut references = References::default();
    let touched = take(
        &mut references,
        1,
        &[
            (1, said("tea?")),
            (2, react(1, "👍", true)),
            (3, react(1, "🎉", true)),
            (1, react(1, "👍", true)),
            (3, react(1, "🎉", false)),
            (3, react(1, "👍", true)),
        ],
    );
    assert!(touched.iter().all(|one| *one == Some(1)), "{touched:?}");
    let reactions = references.message(at(1)).unwrap().reactions();
    let [thumbs] = &reactions[..] else {
        panic!("{reactions:?}")
    };
    assert_eq!(thumbs.reaction.as_str(), "👍");
    let sessions: Vec<u64> = thumbs.authors.iter().map(|who| who.session.0).collect();
    assert_eq!(sessions, [2, 1, 3]);
}

#[test]
fn what_comes_before_its_message_waits_for_it() {
    let mut references = References::default();
    let later = [
        (2, edit(1, "not mine")),
        (1, edit(1, "mine")),
        (3, react(1, "+1", true)),
    ];
    assert_eq!(
        take(&mut references, 2, &later),
        [None; 3],
        "nothing to redraw"
    );
    assert!(references.message(at(1)).is_none());
    assert_eq!(take(&mut references, 1, &[(1, said("first"))]), [Some(1)]);
    assert_eq!(text(&references, 1).as_deref(), Some("mine"));
    assert_eq!(references.message(at(1)).unwrap().reactions().len(), 1);
    assert_eq!(take(&mut references, 2, &later), [None; 3], "known already");
}

#[test]
fn references_out_of_their_epoch_or_to_what_comes_later_count_for_nothing() {
    let mut references = References::default();
    let elsewhere = Cursor::new(Epoch(8), Seq(1));
    take(
        &mut references,
        1,
        &[(1, said("one")), (1, edit(3, "early")), (1, said("three"))],
    );
    let of_other = Content::Edit {
        of: elsewhere,
        text: "other".parse().unwrap(),
    };
    let reply = |to| Content::Reply {
        to,
        text: "so".parse().unwrap(),
    };
    let log = [
        (1, of_other),
        (1, reply(elsewhere)),
        (1, reply(at(6))),
        (1, reply(at(3))),
    ];
    take(&mut references, 4, &log);
    assert_eq!(text(&references, 1).as_deref(), Some("one"));
    assert_eq!(text(&references, 3).as_deref(), Some("three"));
    let reply_to = |seq| references.message(at(seq)).unwrap().reply_to();
    assert_eq!(
        (reply_to(5), reply_to(6), reply_to(7)),
        (None, None, Some(at(3)))
    );
}

#[test]
fn a_page_tells_what_to_draw_again() {
    let event = |seq, session, content| Event::Message {
        room: "lobby".parse().unwrap(),
        cursor: at(seq),
        message: by(author(session), content),
        own: false,
        history: true,
    };
    let mut references = References::default();
    references.on_event(&event(9, 1, edit(3, "new")));
    let page = HistoryPage {
        events: vec![
            event(2, 1, said("two")),
            event(3, 1, said("three")),
            event(4, 2, react(2, "+1", true)),
            event(5, 2, react(1, "+1", true)),
        ],
        before: None,
        first: at(2),
        gap: None,
    };
    assert_eq!(references.on_page(&page), [at(2), at(3)]);
    assert_eq!(references.on_page(&page), [], "nothing is news twice");
    assert_eq!(text(&references, 3).as_deref(), Some("new"));
}

#[test]
fn memory_is_bounded_and_the_newest_are_kept() {
    let mut references = References::new(10);
    for seq in (1..=100).rev().chain(1..=100) {
        references.on_message(at(seq), &by(author(1), said("x")));
    }
    assert_eq!(references.records.len(), 10);
    assert!(references.message(at(91)).is_some() && references.message(at(90)).is_none());
    for seq in 101..1_101 {
        let reaction = react(100, &format!("r{seq}"), true);
        references.on_message(at(seq), &by(author(2), reaction));
        references.on_message(at(seq), &by(author(seq), edit(99, "x")));
        references.on_message(at(seq), &by(author(seq), edit(5_000, "x")));
        references.on_message(at(9_000 + seq), &by(author(seq), edit(98, "x")));
    }
    let record = |seq| &references.records[&(Seq(seq), EPOCH)];
    assert_eq!(record(100).given.len(), GIVEN_MAX);
    assert_eq!(record(99).edits.len(), 0);
    assert_eq!(references.records.len(), 10);
    let mut unknown = References::new(1);
    for seq in 2..100 {
        unknown.on_message(at(seq), &by(author(seq), edit(1, "x")));
        let delete = Content::Delete { of: at(1) };
        unknown.on_message(at(seq), &by(author(seq), delete));
    }
    let record = &unknown.records[&(Seq(1), EPOCH)];
    assert_eq!(
        (record.edits.len(), record.deletions.len()),
        (WRITERS_MAX, WRITERS_MAX)
    );
}

/// Everything that can be seen of the first messages of a log.
fn seen(references: &References) -> Vec<String> {
    (1..40)
        .map(|seq| match references.message(at(seq)) {
            None => "nothing".to_owned(),
            Some(view) => format!(
                "{:?} {:?} {} {} {:?} {:?}",
                view.author(),
                view.text(),
                view.is_edited(),
                view.is_deleted(),
                view.reply_to(),
                view.reactions()
            ),
        })
        .collect()
}

fn content() -> impl Strategy<Value = Content> {
    let to = || (1_u64..20).prop_map(at);
    let text = || "[a-c]{1,2}".prop_map(|text| text.parse().unwrap());
    prop_oneof![
        2 => text().prop_map(Content::Text),
        1 => (to(), text()).prop_map(|(to, text)| Content::Reply { to, text }),
        3 => (to(), text()).prop_map(|(of, text)| Content::Edit { of, text }),
        1 => to().prop_map(|of| Content::Delete { of }),
        3 => (to(), "[ab]", any::<bool>()).prop_map(|(to, reaction, on)| {
            let reaction = reaction.parse().unwrap();
            Content::Reaction { to, reaction, on }
        }),
    ]
}

/// A log of three people, of whom two are sessions of one account.
fn log() -> impl Strategy<Value = Vec<(Cursor, Message)>> {
    let entry = (1_u64..4, content()).prop_map(|(session, content)| {
        let account = (session > 1).then_some(AccountId([1; 16]));
        by(
            Author {
                account,
                ..author(session)
            },
            content,
        )
    });
    prop::collection::vec(entry, 0..40).prop_map(|entries| {
        let numbered = (1..).zip(entries);
        numbered.map(|(seq, entry)| (at(seq), entry)).collect()
    })
}

proptest! {
    #[test]
    fn any_order_gives_the_same_result(
        (log, shuffled) in log().prop_flat_map(|log| (Just(log.clone()), Just(log).prop_shuffle())),
        kept in 5_usize..50,
    ) {
        let (mut in_order, mut out_of_order) = (References::new(kept), References::new(kept));
        for (cursor, message) in &log {
            in_order.on_message(*cursor, message);
        }
        for (cursor, message) in shuffled.iter().chain(log.iter().take(10)) {
            out_of_order.on_message(*cursor, message);
        }
        prop_assert_eq!(seen(&in_order), seen(&out_of_order));
    }

    #[test]
    fn what_looks_different_is_told(log in log()) {
        let mut references = References::default();
        for (cursor, message) in log.iter().rev() {
            let before = seen(&references);
            let touched = references.on_message(*cursor, message);
            let after = seen(&references);
            let changed: Vec<u64> = (1..)
                .zip(before.iter().zip(&after))
                .filter(|(_, (before, after))| before != after)
                .map(|(seq, _)| seq)
                .collect();
            let touched = touched.map(|cursor| cursor.seq.0);
            prop_assert!(changed.iter().all(|seq| Some(*seq) == touched), "{:?}", changed);
        }
    }
}

#[test]
fn what_is_forgotten_can_be_taken_again() {
    let mut references = References::default();
    let log = [
        (1, said("one")),
        (1, said("two")),
        (1, edit(2, "two!")),
        (2, said("three")),
    ];
    take(&mut references, 1, &log);
    references.forget_before(at(4));
    assert_eq!(text(&references, 1), None);
    assert_eq!(text(&references, 2), None);
    assert_eq!(text(&references, 4).as_deref(), Some("three"));
    take(&mut references, 1, &log);
    assert_eq!(text(&references, 2).as_deref(), Some("two!"));
}
