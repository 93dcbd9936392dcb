use bytes::BytesMut;
use chat_protocol::lane::{Notice, NoticeLevel};
use chat_protocol::{FrameDecoder, Topic};

use super::*;

/// Where the log of these tests stands.
const HEAD: u64 = 20;
const FIRST: u64 = 5;

/// Each entry says its seq.
fn entry(seq: u64, bytes: usize) -> LaneFrame {
    LaneFrame::from(Notice {
        at_ms: seq,
        level: NoticeLevel::Info,
        text: "x".repeat(bytes).parse().unwrap(),
    })
}

fn block(first: u64, len: u32, bytes: usize) -> Block {
    let mut frames = BytesMut::new();
    for index in 0..u64::from(len) {
        entry(first + index, bytes).encode(&mut frames);
    }
    Block {
        epoch: Epoch(2),
        first: Seq(first),
        len,
        frames: frames.freeze(),
    }
}

fn page(continuation: Continuation, blocks: &[(u64, u32)]) -> Page {
    Page {
        head: Cursor::new(Epoch(2), Seq(HEAD)),
        first: Seq(FIRST),
        topic: Topic::default(),
        continuation,
        blocks: blocks
            .iter()
            .map(|&(first, len)| block(first, len, 1))
            .collect(),
    }
}

/// The entries' seqs as they tell them, with "gap" where one is marked.
fn told(older: &Older) -> Vec<String> {
    let mut decoder = FrameDecoder::new();
    older.frames.iter().for_each(|frames| decoder.push(frames));
    let mut told = Vec::new();
    while let Some(raw) = decoder.next().unwrap() {
        told.push(match LaneFrame::decode(&raw).unwrap().unwrap() {
            LaneFrame::Notice(notice) => notice.at_ms.to_string(),
            LaneFrame::Gap(gap) => format!("gap to {}", gap.next),
            other => panic!("{other:?}"),
        });
    }
    told
}

/// What is told of a page read for (epoch, seq) and len: entries, next, end and gap.
fn check(
    (epoch, seq, len): (u64, u64, u32),
    page: Page,
    entries: &[&str],
    place: (u64, u64, Option<GapReason>),
) {
    let older = Ask::new(Cursor::new(Epoch(epoch), Seq(seq)), len).older(page);
    assert_eq!(told(&older), entries);
    assert_eq!((older.next.0, older.end.0, older.gap), place);
    assert_eq!((older.epoch, older.first), (Epoch(2), Seq(FIRST)));
}

#[test]
fn the_log_is_read_from_so_many_before() {
    let after = |seq, len| Ask::new(Cursor::new(Epoch(2), Seq(seq)), len).after.seq.0;
    assert_eq!(after(15, 4), 10);
    assert_eq!(after(3, 10), 0);
    assert_eq!(after(0, 10), 0, "nothing is before the first");
    assert_eq!(after(500, u32::MAX), 499 - u64::from(HISTORY_PAGE_LEN_MAX));
    assert_eq!(after(u64::MAX, 0), Seq::MAX.0 - 1, "exact in the backplane");
}

#[test]
fn a_page_ends_right_before_what_was_asked() {
    let seamless = |blocks: &[_]| page(Continuation::Seamless, blocks);
    check(
        (2, 12, 4),
        seamless(&[(8, 2), (10, 5)]),
        &["8", "9", "10", "11"],
        (8, 12, None),
    );
    // Of an epoch that this one continues up to there.
    check(
        (1, 12, 2),
        seamless(&[(10, 2)]),
        &["10", "11"],
        (10, 12, None),
    );
    check((2, 12, 0), seamless(&[(12, 1)]), &[], (12, 12, None));
    check(
        (2, 21, 2),
        seamless(&[(19, 2)]),
        &["19", "20"],
        (19, 21, None),
    );
}

#[test]
fn what_is_not_there_is_said() {
    let trimmed = |blocks: &[_]| page(Continuation::Trimmed, blocks);
    check((2, 7, 6), trimmed(&[(5, 9)]), &["5", "6"], (5, 7, None));
    check((2, 5, 6), trimmed(&[(5, 9)]), &[], (5, 5, None));
    check(
        (2, 3, 6),
        trimmed(&[(5, 9)]),
        &[],
        (5, 5, Some(GapReason::Trimmed)),
    );
    check(
        (1, 40, 6),
        page(Continuation::Diverged, &[(5, 9)]),
        &[],
        (21, 21, Some(GapReason::Diverged)),
    );
    // Beyond the head, but the page starts below it.
    check(
        (2, 23, 4),
        page(Continuation::Seamless, &[(19, 2)]),
        &["19", "20"],
        (19, 21, Some(GapReason::Diverged)),
    );
    // The fork of epoch 1 is at 8; 15 is where the new epoch goes on.
    check(
        (1, 12, 5),
        page(Continuation::Seamless, &[(7, 2), (15, 6)]),
        &["7", "8"],
        (7, 9, Some(GapReason::Diverged)),
    );
    check(
        (1, 12, 3),
        page(Continuation::Seamless, &[(15, 6)]),
        &[],
        (9, 9, Some(GapReason::Diverged)),
    );
    // A damaged entry in the middle, and right before what was asked.
    check(
        (2, 12, 4),
        page(Continuation::Seamless, &[(8, 1), (10, 2)]),
        &["8", "gap to 10", "10", "11"],
        (8, 12, None),
    );
    check(
        (2, 12, 4),
        page(Continuation::Seamless, &[(8, 2), (12, 1)]),
        &["8", "9"],
        (8, 10, Some(GapReason::Trimmed)),
    );
}

#[test]
fn a_page_that_is_too_large_loses_its_oldest_entries() {
    let mut page = page(Continuation::Seamless, &[]);
    page.head.seq = Seq(400);
    page.blocks = (0..10)
        .map(|index| block(101 + index * 20, 20, 4000))
        .collect();
    page.blocks.truncate(20);
    let asked = Cursor::new(Epoch(2), Seq(301));
    let fits = Ask::new(asked, 200).older(page.clone());
    assert_eq!((fits.next, fits.end), (Seq(101), Seq(301)));
    page.blocks = (0..10)
        .map(|index| block(46 + index * 26, 26, 4090))
        .collect();
    let cut = Ask::new(Cursor::new(Epoch(2), Seq(306)), 260).older(page);
    assert_eq!((cut.next, cut.end), (Seq(72), Seq(306)));
    let bytes: usize = cut.frames.iter().map(Bytes::len).sum();
    assert!(bytes <= PAGE_BYTES_MAX, "{bytes}");
}

#[test]
fn a_short_page_is_read_on() {
    let ask = Ask::new(Cursor::new(Epoch(2), Seq(15)), 10);
    let rest = |page: &Page| ask.rest(page).map(|cursor| cursor.seq.0);
    assert_eq!(rest(&page(Continuation::Trimmed, &[(5, 4)])), Some(8));
    assert_eq!(rest(&page(Continuation::Trimmed, &[(5, 10)])), None);
    assert_eq!(rest(&page(Continuation::Seamless, &[])), None);
    assert_eq!(rest(&page(Continuation::Diverged, &[(5, 1)])), None);
    let beyond = Ask::new(Cursor::new(Epoch(2), Seq(25)), 10);
    assert_eq!(beyond.rest(&page(Continuation::Seamless, &[(15, 6)])), None);
}

#[test]
fn an_epoch_is_not_believed_for_its_place_0() {
    let at = |epoch, seq| Ask::new(Cursor::new(Epoch(epoch), Seq(seq)), 10);
    let page = page(Continuation::Seamless, &[]);
    assert!(at(7, 4).is_of_unknown_epoch(&page));
    assert!(!at(2, 4).is_of_unknown_epoch(&page));
    assert!(!at(7, 15).is_of_unknown_epoch(&page), "the page tells");
}
