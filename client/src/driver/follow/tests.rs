use bytes::Bytes;
use chat_protocol::lane::{At, Damaged, End, Gap, Notice, NoticeLevel};
use chat_protocol::{FrameDecoder, RequestId, RoomName, RoomRef, Topic};
use proptest::prelude::*;

use super::*;

const EPOCH: Epoch = Epoch(7);

fn at(seq: u64) -> Cursor {
    Cursor::new(EPOCH, Seq(seq))
}

fn raw(frame: impl Into<LaneFrame>) -> RawFrame {
    let mut decoder = FrameDecoder::new();
    decoder.push(&frame.into().to_bytes());
    decoder.next().unwrap().unwrap()
}

fn joined(head: u64, next: u64) -> Joined {
    Joined {
        request: RequestId(1),
        room: RoomRef(1),
        name: RoomName::parse("lobby").unwrap(),
        direct: None,
        head: at(head),
        next: Seq(next),
        gap: None,
        members: 1,
        topic: Topic::default(),
    }
}

fn notice(at_ms: u64) -> LaneFrame {
    Notice {
        at_ms,
        level: NoticeLevel::Info,
        text: "hi".parse().unwrap(),
    }
    .into()
}

fn unknown(kind: u64) -> RawFrame {
    RawFrame {
        kind,
        body: Bytes::from_static(b"later"),
    }
}

fn gap(reason: GapReason, epoch: Epoch, next: u64) -> RawFrame {
    raw(Gap {
        reason,
        epoch,
        next: Seq(next),
    })
}

#[test]
fn a_lane_starts_with_joined() {
    assert_eq!(Follow::first(&raw(joined(1, 2))), Ok(Some(joined(1, 2))));
    assert_eq!(
        Follow::first(&unknown(0x29)),
        Ok(None),
        "a later mark is skipped"
    );
    assert_eq!(
        Follow::first(&unknown(0x0b)),
        Err(LaneFault::Unexpected(0x0b)),
        "an entry cannot be"
    );
    assert_eq!(
        Follow::first(&raw(notice(1))),
        Err(LaneFault::Unexpected(0x06))
    );
    assert!(matches!(
        Follow::first(&unknown(0x2a)),
        Err(LaneFault::Frame(_))
    ));
}

#[test]
fn entries_are_counted_from_where_the_lane_starts() {
    let (mut follow, gap) = Follow::start(&joined(11, 10), None).unwrap();
    assert_eq!((follow.reached(), gap), (at(9), None));
    for (seq, history) in [(10, true), (11, true), (12, false)] {
        let step = follow.on_frame(&raw(notice(seq))).unwrap();
        assert_eq!(
            step,
            Step::Entry {
                cursor: at(seq),
                entry: notice(seq),
                history
            }
        );
        assert_eq!(follow.reached(), at(seq));
    }
    assert_eq!(
        follow.on_frame(&raw(At {
            epoch: EPOCH,
            next: Seq(13)
        })),
        Ok(Step::Counted)
    );
}

#[test]
fn an_unknown_odd_entry_takes_a_seq_and_an_unknown_odd_mark_takes_none() {
    let (mut follow, _) = Follow::start(&joined(0, 1), None).unwrap();
    assert_eq!(follow.on_frame(&unknown(0x0d)), Ok(Step::Counted));
    assert_eq!(follow.reached(), at(1));
    assert_eq!(follow.on_frame(&unknown(0x3f)), Ok(Step::Nothing));
    let step = follow.on_frame(&raw(Damaged {})).unwrap();
    assert_eq!(
        step,
        Step::Entry {
            cursor: at(2),
            entry: Damaged {}.into(),
            history: false
        }
    );
}

#[test]
fn what_the_reader_has_is_not_given_again() {
    let (mut follow, gap) = Follow::start(&joined(12, 10), Some(at(11))).unwrap();
    assert_eq!((follow.reached(), gap), (at(11), None));
    assert_eq!(follow.on_frame(&raw(notice(10))), Ok(Step::Counted));
    assert_eq!(follow.on_frame(&raw(notice(11))), Ok(Step::Counted));
    assert_eq!(follow.reached(), at(11), "never back");
    assert!(
        matches!(follow.on_frame(&raw(notice(12))), Ok(Step::Entry { cursor, .. }) if cursor == at(12))
    );
}

#[test]
fn a_start_beyond_what_the_reader_has_is_a_gap_even_without_a_reason() {
    let start = |joined: &Joined, reached| Follow::start(joined, reached).unwrap();
    let (follow, gap) = start(&joined(20, 15), Some(at(11)));
    let hole = |reason, from, next| Some(Step::Gap { reason, from, next });
    assert_eq!(gap, hole(GapReason::Lagged, Some(at(11)), at(15)));
    assert_eq!(follow.reached(), at(14));

    let trimmed = Joined {
        gap: Some(GapReason::Trimmed),
        ..joined(20, 15)
    };
    assert_eq!(
        start(&trimmed, Some(at(11))).1,
        hole(GapReason::Trimmed, Some(at(11)), at(15))
    );
    assert_eq!(
        start(&trimmed, None).1,
        hole(GapReason::Trimmed, None, at(15))
    );
    assert_eq!(
        start(&trimmed, Some(at(14))).1,
        None,
        "nothing is missing for this reader"
    );

    let before = Cursor::new(Epoch(6), Seq(90));
    let (follow, gap) = start(&joined(3, 1), Some(before));
    assert_eq!(gap, hole(GapReason::Diverged, Some(before), at(1)));
    assert_eq!(follow.reached(), at(0));
}

#[test]
fn a_gap_on_the_way_is_told_and_counting_goes_on_behind_it() {
    let (mut follow, _) = Follow::start(&joined(3, 3), None).unwrap();
    let _ = follow.on_frame(&raw(notice(3))).unwrap();
    let told = follow.on_frame(&gap(GapReason::Lagged, EPOCH, 9)).unwrap();
    assert_eq!(
        told,
        Step::Gap {
            reason: GapReason::Lagged,
            from: Some(at(3)),
            next: at(9)
        }
    );
    assert_eq!(follow.reached(), at(8));
    let epoch = Epoch(8);
    let next = Cursor::new(epoch, Seq(4));
    let told = follow
        .on_frame(&gap(GapReason::Diverged, epoch, 4))
        .unwrap();
    assert_eq!(
        told,
        Step::Gap {
            reason: GapReason::Diverged,
            from: Some(at(8)),
            next
        }
    );
    let step = follow.on_frame(&raw(notice(4))).unwrap();
    assert_eq!(
        step,
        Step::Entry {
            cursor: next,
            entry: notice(4),
            history: false
        }
    );
}

#[test]
fn an_epoch_that_continues_the_one_before_is_no_gap() {
    let epoch = Epoch(8);
    let (mut follow, _) = Follow::start(&joined(3, 3), None).unwrap();
    let _ = follow.on_frame(&raw(notice(3))).unwrap();
    assert_eq!(
        follow.on_frame(&raw(At {
            epoch,
            next: Seq(4)
        })),
        Ok(Step::Counted)
    );
    assert_eq!(follow.reached(), Cursor::new(epoch, Seq(3)));
    let cursor = Cursor::new(epoch, Seq(4));
    let step = follow.on_frame(&raw(notice(4))).unwrap();
    assert_eq!(
        step,
        Step::Entry {
            cursor,
            entry: notice(4),
            history: false
        }
    );

    let head = Cursor::new(epoch, Seq(9));
    let (follow, told) = Follow::start(
        &Joined {
            head,
            ..joined(0, 4)
        },
        Some(at(3)),
    )
    .unwrap();
    assert_eq!((follow.reached(), told), (Cursor::new(epoch, Seq(3)), None));
    let (follow, told) = Follow::start(
        &Joined {
            head,
            ..joined(0, 3)
        },
        Some(at(3)),
    )
    .unwrap();
    let next = Cursor::new(epoch, Seq(3));
    let hole = Step::Gap {
        reason: GapReason::Diverged,
        from: Some(at(3)),
        next,
    };
    assert_eq!(
        told,
        Some(hole),
        "not where the reader is: it cannot be the same log"
    );
    assert_eq!(follow.reached(), Cursor::new(epoch, Seq(2)));
}

#[test]
fn disagreement_is_a_fault() {
    let fault = |frame: &RawFrame| {
        let (mut follow, _) = Follow::start(&joined(12, 10), Some(at(10))).unwrap();
        let _ = follow.on_frame(&raw(notice(10))).unwrap();
        follow.on_frame(frame).unwrap_err()
    };
    let miscounted = |told| LaneFault::Miscounted {
        told,
        counted: at(11),
    };
    assert_eq!(
        fault(&raw(At {
            epoch: EPOCH,
            next: Seq(12)
        })),
        miscounted(at(12))
    );
    let other = Cursor::new(Epoch(8), Seq(12));
    assert_eq!(
        fault(&raw(At {
            epoch: Epoch(8),
            next: Seq(12)
        })),
        miscounted(other)
    );
    assert_eq!(
        fault(&gap(GapReason::Lagged, EPOCH, 10)),
        miscounted(at(10)),
        "back"
    );
    assert_eq!(
        fault(&gap(GapReason::Diverged, Epoch(8), 0)),
        LaneFault::Seq
    );
    assert_eq!(fault(&raw(joined(12, 11))), LaneFault::Unexpected(0x20));
    assert_eq!(
        fault(&unknown(0x11)),
        LaneFault::Unexpected(0x11),
        "between nodes only"
    );
    assert!(matches!(
        fault(&unknown(0x0c)),
        LaneFault::Frame(FrameError::UnknownKind(0x0c))
    ));
    assert!(matches!(fault(&unknown(0x02)), LaneFault::Frame(_)));
    for next in [0, Seq::MAX.0 + 1, u64::MAX] {
        assert_eq!(
            Follow::start(&joined(0, next), None).unwrap_err(),
            LaneFault::Seq
        );
    }
    let (mut last, _) = Follow::start(&joined(0, Seq::MAX.0), None).unwrap();
    assert!(last.on_frame(&raw(notice(1))).is_ok());
    assert_eq!(last.on_frame(&raw(notice(1))), Err(LaneFault::Seq));
}

#[test]
fn the_end_and_presence_are_passed_on() {
    let (mut follow, _) = Follow::start(&joined(0, 1), None).unwrap();
    let presence = Presence {
        members: 3,
        changes: Vec::new(),
        more: 1,
    };
    assert_eq!(
        follow.on_frame(&raw(presence.clone())),
        Ok(Step::Presence(presence))
    );
    let end = raw(End {
        reason: EndReason::Closing,
    });
    assert_eq!(follow.on_frame(&end), Ok(Step::End(EndReason::Closing)));
}

/// What one connection's lane carries of the log, from where the client is.
#[derive(Clone, Debug)]
struct Lane {
    /// Entries that are trimmed before the client comes.
    trimmed: u64,
    /// Entries sent again although the client has them.
    again: u64,
    /// Entries sent before the connection breaks.
    entries: u64,
    /// Entries jumped over in the middle, with a mark.
    jump: u64,
}

fn lane() -> impl Strategy<Value = Lane> {
    (0u64..3, 0u64..3, 0u64..6, 0u64..3).prop_map(|(trimmed, again, entries, jump)| Lane {
        trimmed,
        again,
        entries,
        jump,
    })
}

proptest! {
    /// Over any number of connections: what a reader is told covers the log without a silent hole
    /// and without a repeat.
    #[test]
    fn a_reader_meets_every_seq_once_or_is_told(lanes in prop::collection::vec(lane(), 1..12)) {
        let mut reached: Option<Cursor> = None;
        // The seq that the reader must meet next, by what it was told.
        let mut expected = 1;
        for lane in lanes {
            let start = expected + lane.trimmed;
            let first = if lane.trimmed > 0 { start } else { expected.saturating_sub(lane.again).max(1) };
            let reason = (lane.trimmed > 0).then_some(GapReason::Trimmed);
            let mut follow;
            let told;
            (follow, told) = Follow::start(&Joined { gap: reason, ..joined(start, first) }, reached).unwrap();
            if let Some(Step::Gap { next, .. }) = &told {
                prop_assert_eq!(next.seq.0, start);
                expected = start;
            }
            prop_assert_eq!(told.is_some(), lane.trimmed > 0);
            let mut seq = first;
            for index in 0..lane.entries {
                if index == 2 && lane.jump > 0 {
                    seq += lane.jump;
                    match follow.on_frame(&gap(GapReason::Lagged, EPOCH, seq)).unwrap() {
                        Step::Gap { next, .. } => {
                            prop_assert!(next.seq.0 > expected);
                            expected = next.seq.0;
                        }
                        step => prop_assert_eq!((step, seq <= expected), (Step::Nothing, true)),
                    }
                }
                // Some entries are of a later version.
                let is_unknown = seq % 5 == 0;
                let frame = if is_unknown { unknown(0x0f) } else { raw(notice(seq)) };
                match follow.on_frame(&frame).unwrap() {
                    Step::Entry { cursor, entry, .. } => {
                        prop_assert_eq!(cursor, at(expected));
                        prop_assert_eq!(entry, notice(expected), "the entry of that seq");
                        expected += 1;
                    }
                    Step::Counted if is_unknown && seq == expected => expected += 1,
                    step => prop_assert_eq!((step, seq < expected), (Step::Counted, true)),
                }
                seq += 1;
            }
            reached = Some(follow.reached());
            prop_assert_eq!(reached, Some(at(expected - 1)));
        }
    }

    #[test]
    fn no_frame_panics(kind in 0u64..0x100, body in prop::collection::vec(any::<u8>(), 0..64)) {
        let raw = RawFrame { kind, body: body.into() };
        let (mut follow, _) = Follow::start(&joined(0, 1), None).unwrap();
        let _ = Follow::first(&raw);
        let _ = follow.on_frame(&raw);
    }
}
