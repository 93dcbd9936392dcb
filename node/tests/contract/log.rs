//! The log: numbers, order, repeats, reading, bounds, epochs.

use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::{
    AppendError, Batch, Continuation, HEAD_MAX, LogBounds, NONCES_REMEMBERED, Outcome,
    PAGE_BYTES_MAX,
};
use chat_protocol::{Epoch, Seq, SessionId, Topic};

use super::{On, at, draft, drafts, name, numbers, place, seqs, texts, until};

pub async fn seqs_are_dense_and_in_order(on: On) {
    let cluster = on.start().await;
    let (one, two) = (cluster.node(), cluster.node());
    assert_eq!(seqs(&one.append("lobby", drafts(1, 1, 3)).await), [1, 2, 3]);
    assert_eq!(seqs(&two.append("lobby", drafts(2, 4, 1)).await), [4]);
    assert_eq!(seqs(&one.append("lobby", drafts(1, 5, 2)).await), [5, 6]);
    assert_eq!(
        seqs(&one.append("other", drafts(1, 1, 1)).await),
        [1],
        "rooms are apart"
    );
    assert_eq!(two.all("lobby").await, numbers(1, 6));
}

pub async fn many_writers_get_one_order(on: On) {
    let cluster = on.start().await;
    let nodes: Vec<_> = (0..4).map(|_| cluster.node()).collect();
    let writers = nodes.iter().zip(1_u64..).map(|(node, session)| async move {
        for nonce in 1..=50 {
            node.say("lobby", session, nonce, &format!("{session}.{nonce}"))
                .await;
        }
    });
    futures_util::future::join_all(writers).await;
    let all = nodes[0].all("lobby").await;
    assert_eq!(all.len(), 200);
    for session in 1..=4 {
        let own: Vec<_> = all
            .iter()
            .filter(|text| text.starts_with(&format!("{session}.")))
            .collect();
        let expected: Vec<_> = (1..=50).map(|nonce| format!("{session}.{nonce}")).collect();
        assert!(
            own.iter().copied().eq(&expected),
            "the order of session {session}: {own:?}"
        );
    }
    for node in &nodes {
        assert_eq!(node.all("lobby").await, all);
    }
}

pub async fn a_repeat_gets_its_first_answer(on: On) {
    let cluster = on.start().await;
    let (one, two) = (cluster.node(), cluster.node());
    let first = one.say("lobby", 1, 7, "a").await;
    one.say("lobby", 2, 7, "b").await;
    one.say("lobby", 1, 9, "c").await;
    for node in [&one, &two] {
        let outcomes = node.append("lobby", vec![draft(1, 7, "a")]).await;
        assert_eq!(
            outcomes,
            [Outcome::At {
                cursor: first,
                repeated: true
            }]
        );
    }
    assert_eq!(one.say("other", 1, 7, "another room").await.seq, Seq(1));
    assert_eq!(two.all("lobby").await, ["a", "b", "c"]);
}

pub async fn a_repeat_is_known_before_it_is_appended(on: On) {
    let cluster = on.start().await;
    let (one, two) = (cluster.node(), cluster.node());
    let (lobby, session) = (name("lobby"), SessionId(1));
    assert_eq!(two.repeat_of("lobby", session, 7).await, None, "no log yet");
    let first = one.say("lobby", 1, 7, "a").await;
    for nonce in (9..=2 * NONCES_REMEMBERED as u64 + 200).step_by(2) {
        one.say("lobby", 1, nonce, "x").await;
    }
    let last = one.say("lobby", 1, 5_000, "z").await;
    let at = |cursor| {
        Some(Outcome::At {
            cursor,
            repeated: true,
        })
    };
    let known = two.append("lobby", vec![draft(1, 501, "x")]).await[0];
    for (of, nonce, expected) in [
        (1, 5_000, at(last)),
        (1, 501, Some(known)),
        (1, 5_001, None),
        (1, 502, Some(Outcome::NonceTooOld)),
        (1, 7, Some(Outcome::NonceTooOld)),
        (2, 7, None),
    ] {
        let found = two.repeat_of("lobby", SessionId(of), nonce).await;
        assert_eq!(found, expected, "{of} {nonce}, {first}");
    }
    let other = two.repeat_of("other", session, 7).await;
    assert_eq!(other, None, "rooms are apart");
    let head = two.backplane.read_last(&lobby, 1).await.unwrap().head;
    assert_eq!(head, last, "asking appends nothing");
}

pub async fn repeats_within_a_batch_take_no_place(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    node.say("lobby", 1, 1, "a").await;
    let batch = vec![
        draft(1, 1, "a"),
        draft(1, 2, "b"),
        draft(2, 1, "x"),
        draft(1, 2, "b"),
        draft(1, 3, "c"),
        draft(2, 1, "x"),
    ];
    let outcomes = node.append("lobby", batch.clone()).await;
    let places: Vec<_> = outcomes.iter().map(|&outcome| place(outcome)).collect();
    let places: Vec<_> = places
        .iter()
        .map(|(cursor, repeated)| (cursor.seq.0, *repeated))
        .collect();
    let expected = [
        (1, true),
        (2, false),
        (3, false),
        (2, true),
        (4, false),
        (3, true),
    ];
    assert_eq!(places, expected);
    let again = node.append("lobby", batch).await;
    assert!(again.iter().all(|&outcome| place(outcome).1), "{again:?}");
    assert_eq!(node.all("lobby").await, ["a", "b", "x", "c"]);
}

pub async fn nonces_are_remembered_up_to_the_window(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    let window = NONCES_REMEMBERED as u64;
    // Only every second nonce, and other sessions in between.
    let last = 2 * (window + 100);
    for chunk in (2..=last).step_by(2).collect::<Vec<_>>().chunks(50) {
        let mut batch: Vec<_> = chunk.iter().map(|&nonce| draft(1, nonce, "x")).collect();
        batch.push(draft(2, chunk[0], "y"));
        node.append("lobby", batch).await;
    }
    let length = node.read_last("lobby", 1).await.head.seq;
    let oldest = last - 2 * (window - 1);
    for nonce in [oldest, oldest + 2, oldest + 200, last - 2, last] {
        let (cursor, repeated) = place(node.append("lobby", vec![draft(1, nonce, "x")]).await[0]);
        assert!(repeated && cursor.seq <= length, "{nonce}");
    }
    for nonce in [2, 40, last - 1] {
        let outcomes = node.append("lobby", vec![draft(1, nonce, "x")]).await;
        assert_eq!(outcomes, [Outcome::NonceTooOld], "{nonce}");
    }
    let outcomes = node
        .append("lobby", vec![draft(1, 2, "x"), draft(1, last + 1, "z")])
        .await;
    assert_eq!(outcomes[0], Outcome::NonceTooOld);
    assert_eq!(seqs(&outcomes[1..]), [length.0 + 1]);
}

pub async fn what_cannot_be_in_a_log_is_refused(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    let garbage = |bytes: &'static [u8]| {
        let mut draft = draft(1, 1, "x");
        draft.frame = Bytes::from_static(bytes);
        vec![draft]
    };
    let two_frames = [
        draft(1, 1, "x").frame.as_ref(),
        draft(1, 1, "y").frame.as_ref(),
    ]
    .concat();
    let mut double = draft(1, 1, "x");
    double.frame = two_frames.into();
    let large = draft(1, 1, &"x".repeat(4_000));
    let many = Batch::DRAFTS_MAX as u64 + 1;
    for drafts in [
        garbage(b""),
        garbage(b"\x05\x02"),
        garbage(b"\x01\x20"),
        vec![double],
        drafts(1, 1, many),
        vec![large; Batch::BYTES_MAX / 4_000 + 1],
        drafts(1, (1 << 53) - 1, 2),
    ] {
        let batch = Batch {
            known: None,
            drafts,
        };
        let refused = node.backplane.append(&name("lobby"), &batch).await;
        assert!(
            matches!(refused, Err(AppendError::Refused(_))),
            "{refused:?}"
        );
    }
    assert_eq!(node.append("lobby", Vec::new()).await, []);
    assert_eq!(node.read_last("lobby", 10).await.head.seq, Seq::ZERO);
    let most = drafts(1, 1, Batch::DRAFTS_MAX as u64);
    assert_eq!(node.append("lobby", most).await.len(), Batch::DRAFTS_MAX);
}

pub async fn reading_goes_on_from_any_place(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    let epoch = place(node.append("lobby", drafts(1, 1, 5)).await[0])
        .0
        .epoch;
    node.append("lobby", drafts(1, 6, 1)).await;
    node.append("lobby", drafts(1, 7, 4)).await;
    for after in 0..=10 {
        let page = node.read("lobby", at(epoch, after), 100).await;
        assert_eq!(page.continuation, Continuation::Seamless, "after {after}");
        assert_eq!((page.head, page.first), (at(epoch, 10), Seq(1)));
        assert_eq!(texts(&page.blocks), numbers(after + 1, 10), "after {after}");
        if let Some(block) = page.blocks.first() {
            assert_eq!(block.first, Seq(after + 1));
        }
    }
}

pub async fn pages_join_without_a_hole(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    for first in (1..=300).step_by(6) {
        node.append("lobby", drafts(1, first, 6)).await;
    }
    let mut after = at(node.read_last("lobby", 1).await.head.epoch, 0);
    let (mut read, mut pages) = (Vec::new(), 0);
    while read.len() < 300 {
        let page = node.read("lobby", after, 20).await;
        let page_texts = texts(&page.blocks);
        assert!((20..26).contains(&page_texts.len()) || read.len() + page_texts.len() == 300);
        read.extend(page_texts);
        after.seq = page.blocks.last().unwrap().last();
        pages += 1;
    }
    assert_eq!(read, numbers(1, 300));
    assert!(pages >= 12);
    let page = node.read("lobby", after, 20).await;
    assert_eq!(
        (page.blocks.len(), page.continuation),
        (0, Continuation::Seamless)
    );
}

pub async fn pages_are_bounded_by_bytes(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    for nonce in 0..40_u64 {
        let batch = (0..15).map(|part| draft(1, 1 + 15 * nonce + part, &"x".repeat(4_000)));
        node.append("lobby", batch.collect()).await;
    }
    let start = at(node.read_last("lobby", 1).await.head.epoch, 0);
    let page = node.read("lobby", start, 10_000).await;
    let bytes: usize = page.blocks.iter().map(|block| block.frames.len()).sum();
    assert!(
        (PAGE_BYTES_MAX..PAGE_BYTES_MAX + Batch::BYTES_MAX).contains(&bytes),
        "{bytes}"
    );
}

pub async fn the_last_entries_are_read(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    let empty = node.read_last("lobby", 5).await;
    assert_eq!(
        (empty.head.seq, empty.first, empty.blocks.len()),
        (Seq(0), Seq(1), 0)
    );
    for first in (1..=30).step_by(3) {
        node.append("lobby", drafts(1, first, 3)).await;
    }
    for (entries, from) in [(1, 28), (3, 28), (4, 25), (30, 1), (1_000, 1)] {
        let page = node.read_last("lobby", entries).await;
        assert_eq!(texts(&page.blocks), numbers(from, 30), "{entries}");
        assert_eq!(page.continuation, Continuation::Seamless);
    }
    assert_eq!(
        node.read_last("lobby", 1).await.head.epoch,
        empty.head.epoch
    );
}

pub async fn a_room_that_is_read_has_an_epoch(on: On) {
    let cluster = on.start().await;
    let (one, two) = (cluster.node(), cluster.node());
    let rooms = [name("a"), name("b"), name("c")];
    assert_eq!(
        one.backplane.heads(&rooms).await.unwrap(),
        [None, None, None]
    );
    let head = one.read("b", at(Epoch(7), 0), 10).await.head;
    assert_eq!(head.seq, Seq::ZERO);
    let entry = two.say("c", 1, 1, "x").await;
    assert_eq!(
        two.backplane.heads(&rooms).await.unwrap(),
        [None, Some(head), Some(entry)]
    );
    assert_eq!(two.say("b", 1, 1, "x").await, at(head.epoch, 1));
    assert_eq!(one.backplane.heads(&[]).await.unwrap(), []);
}

pub async fn old_entries_make_room(on: On) {
    let bounds = LogBounds {
        entries_max: 10,
        ..LogBounds::default()
    };
    let cluster = on.start_with(bounds).await;
    let node = cluster.node();
    let epoch = place(node.append("lobby", drafts(1, 1, 3)).await[0])
        .0
        .epoch;
    for first in (4..=28).step_by(3) {
        node.append("lobby", drafts(1, first, 3)).await;
    }
    // 30 entries in blocks of 3: the last 10, and the rest of the block they start in.
    let page = node.read("lobby", at(epoch, 5), 100).await;
    assert_eq!(page.continuation, Continuation::Trimmed);
    assert_eq!((page.first, page.head), (Seq(19), at(epoch, 30)));
    assert_eq!(texts(&page.blocks), numbers(19, 30));
    let page = node.read("lobby", at(epoch, 18), 100).await;
    assert_eq!(
        page.continuation,
        Continuation::Seamless,
        "nothing is missing"
    );
    assert_eq!(texts(&page.blocks), numbers(19, 30));
    assert_eq!(
        node.read("lobby", at(epoch, 17), 1).await.continuation,
        Continuation::Trimmed
    );
    let outcomes = node.append("lobby", vec![draft(1, 2, "2")]).await;
    assert_eq!(
        outcomes,
        [Outcome::At {
            cursor: at(epoch, 2),
            repeated: true
        }]
    );
}

pub async fn entries_end_by_age(on: On) {
    let age_max = Duration::from_millis(300);
    let cluster = on
        .start_with(LogBounds {
            age_max,
            ..LogBounds::default()
        })
        .await;
    let node = cluster.node();
    let mut head = node.append("lobby", drafts(1, 1, 2)).await;
    for nonce in 3..=40 {
        head = node.append("lobby", drafts(1, nonce, 1)).await;
    }
    let head = place(head[0]).0;
    until(|| async { node.read_last("lobby", 100).await.blocks.is_empty() }).await;
    let page = node.read("lobby", at(head.epoch, 1), 100).await;
    assert_eq!(
        (page.continuation, page.head, page.first),
        (Continuation::Trimmed, head, Seq(41))
    );
    assert_eq!(
        node.say("lobby", 1, 41, "41").await,
        at(head.epoch, 41),
        "numbers go on"
    );
    assert_eq!(node.all("lobby").await, ["41"]);
    // Also while it is written: new entries push the old ones out.
    until(|| async {
        let nonce = node.read_last("lobby", 1).await.head.seq.0 + 1;
        node.append("lobby", drafts(1, nonce, 1)).await;
        node.read_last("lobby", 1).await.first > Seq(41)
    })
    .await;
}

pub async fn an_unused_room_is_forgotten(on: On) {
    let idle_max = Duration::from_millis(300);
    let bounds = LogBounds {
        age_max: idle_max,
        idle_max,
        ..LogBounds::default()
    };
    let cluster = on.start_with(bounds).await;
    let node = cluster.node();
    let first = node.say("lobby", 1, 1, "a").await;
    tokio::time::sleep(idle_max).await;
    let page = node.read("lobby", first, 10).await;
    assert_ne!(page.head.epoch, first.epoch);
    assert_eq!(
        (page.continuation, page.blocks.len()),
        (Continuation::Diverged, 0)
    );
    assert_eq!(node.say("lobby", 1, 1, "a").await, at(page.head.epoch, 1));
}

pub async fn a_cursor_of_another_epoch_is_told(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    let epoch = place(node.append("lobby", drafts(1, 1, 4)).await[0])
        .0
        .epoch;
    let strange = Epoch(epoch.0 ^ 1);
    let page = node.read("lobby", at(strange, 2), 10).await;
    assert_eq!(page.continuation, Continuation::Diverged);
    assert_eq!(
        (texts(&page.blocks), page.head),
        (numbers(1, 4), at(epoch, 4))
    );
    let page = node.read("lobby", at(strange, 0), 10).await;
    assert_eq!(
        page.continuation,
        Continuation::Seamless,
        "nothing was read of it yet"
    );
    assert_eq!(texts(&page.blocks), numbers(1, 4));
    let page = node.read("lobby", at(epoch, 9), 10).await;
    assert_eq!(
        (page.continuation, page.blocks.len()),
        (Continuation::Diverged, 0)
    );
    assert_eq!(page.head, at(epoch, 4), "a reader's cursor moves no log");
}

pub async fn a_log_behind_what_is_known_begins_anew(on: On) {
    let cluster = on.start().await;
    let (node, other) = (cluster.node(), cluster.node());
    let epoch = place(node.append("lobby", drafts(1, 1, 5)).await[0])
        .0
        .epoch;
    let known = Some(at(epoch, 9));
    let (next, _) = place(node.append_knowing("lobby", known, drafts(1, 10, 1)).await[0]);
    assert_ne!(next.epoch, epoch);
    assert_eq!(next.seq, Seq(10), "above everything that was seen");
    // The old epoch goes on in the new one up to the fork.
    let page = other.read("lobby", at(epoch, 3), 100).await;
    assert_eq!(
        (page.continuation, page.head),
        (Continuation::Seamless, next)
    );
    assert_eq!(texts(&page.blocks), ["4", "5", "10"]);
    assert!(page.blocks.iter().all(|block| block.epoch == next.epoch));
    let page = other.read("lobby", at(epoch, 7), 100).await;
    assert_eq!(page.continuation, Continuation::Diverged);
    assert_eq!(texts(&page.blocks), ["10"]);
    // Who still knows the old epoch does not begin another one.
    let (after, _) = place(other.append_knowing("lobby", known, drafts(1, 11, 1)).await[0]);
    assert_eq!(after, at(next.epoch, 11));
    let (repeat, repeated) = place(other.append("lobby", drafts(1, 5, 1)).await[0]);
    assert_eq!(
        (repeat, repeated),
        (at(next.epoch, 5), true),
        "what is in the log is remembered"
    );
}

pub async fn many_forks_are_remembered(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    let mut heads = vec![node.say("lobby", 1, 1, "1").await];
    for nonce in 2..=20 {
        let head = heads.last().unwrap();
        let known = Some(at(head.epoch, head.seq.0 + 1));
        heads.push(
            place(
                node.append_knowing("lobby", known, drafts(1, nonce, 1))
                    .await[0],
            )
            .0,
        );
    }
    for head in &heads[8..] {
        let page = node.read("lobby", *head, 100).await;
        assert_eq!(page.continuation, Continuation::Seamless, "{head}");
        let next = head.seq.0 / 2 + 2;
        assert_eq!(texts(&page.blocks), numbers(next, 20));
    }
    assert_eq!(
        node.read("lobby", heads[0], 100).await.continuation,
        Continuation::Diverged
    );
}

pub async fn numbers_beyond_fourteen_digits_stay_exact(on: On) {
    let cluster = on.start().await;
    let node = cluster.node();
    let first = node.say("lobby", 1, 1, "1").await;
    let high = 100_000_000_000_000;
    let known = Some(at(first.epoch, high));
    let outcomes = node.append_knowing("lobby", known, drafts(1, 2, 3)).await;
    assert_eq!(seqs(&outcomes), [high + 1, high + 2, high + 3]);
    let outcomes = node.append("lobby", drafts(1, high, 2)).await;
    assert_eq!(seqs(&outcomes), [high + 4, high + 5]);
    let epoch = place(outcomes[0]).0.epoch;
    let page = node.read("lobby", at(epoch, high + 2), 10).await;
    assert_eq!(page.head, at(epoch, high + 5));
    assert_eq!(page.blocks[0].first, Seq(high + 3));
    let (repeat, repeated) = place(node.append("lobby", drafts(1, high + 1, 1)).await[0]);
    assert_eq!((repeat, repeated), (at(epoch, high + 5), true));
    // Nobody has seen the end of the numbers: who says so does not take the room there.
    for (number, known) in [HEAD_MAX.0 + 1, Seq::MAX.0 - 1, Seq::MAX.0]
        .into_iter()
        .enumerate()
    {
        let number = number as u64;
        let known = Some(at(epoch, known));
        let outcomes = node
            .append_knowing("lobby", known, drafts(1, high + 9 + number, 1))
            .await;
        assert_eq!(seqs(&outcomes), [high + 6 + number]);
        assert_eq!(place(outcomes[0]).0.epoch, epoch);
    }
}

pub async fn the_topic_is_kept(on: On) {
    let cluster = on.start().await;
    let (node, other) = (cluster.node(), cluster.node());
    let topic = |text: &str| text.parse::<Topic>().unwrap();
    assert_eq!(node.read_last("lobby", 1).await.topic, Topic::default());
    let mut batch = drafts(1, 1, 3);
    batch[0].topic = Some(topic("first"));
    batch[1].topic = Some(topic("second"));
    let epoch = place(node.append("lobby", batch.clone()).await[0]).0.epoch;
    assert_eq!(other.read_last("lobby", 1).await.topic, topic("second"));
    let mut change = draft(2, 1, "x");
    change.topic = Some(topic("third"));
    other.append("lobby", vec![change]).await;
    node.append("lobby", batch.clone()).await;
    batch.push(draft(1, 4, "new"));
    node.append("lobby", batch).await;
    assert_eq!(
        node.read("lobby", at(epoch, 0), 1).await.topic,
        topic("third"),
        "no repeat sets it"
    );
    let mut clear = draft(2, 2, "x");
    clear.topic = Some(Topic::default());
    other.append("lobby", vec![clear]).await;
    assert!(node.read_last("lobby", 1).await.topic.is_empty());
}
