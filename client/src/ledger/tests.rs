use chat_protocol::Seq;

use super::*;

mod faults;
mod memory;
mod speed;

const ONE: Epoch = Epoch(1);
const TWO: Epoch = Epoch(2);

fn room() -> RoomName {
    "lobby".parse().unwrap()
}

fn stamp(sender: u64, counter: u64) -> Stamp {
    Stamp { sender, counter }
}

/// A room in which one sender's messages are acked at the seqs of their counters.
struct Play {
    ledger: Ledger,
    room: RoomName,
}

impl Play {
    fn new(counters: u64) -> Self {
        let (mut ledger, room) = (Ledger::new(), room());
        for counter in 1..=counters {
            ledger.sent(&room, stamp(1, counter));
            ledger.acked(&room, stamp(1, counter), Cursor::new(ONE, Seq(counter)));
        }
        Self { ledger, room }
    }

    fn reader(&mut self) -> ReaderId {
        let reader = self.ledger.reader();
        self.ledger
            .start(reader, &self.room, Cursor::new(ONE, Seq::ZERO));
        reader
    }

    fn read(&mut self, reader: ReaderId, epoch: Epoch, seq: u64, counter: u64) {
        let stamp = Some(stamp(1, counter));
        let found = Found {
            stamp,
            hash: counter,
        };
        self.ledger
            .entry(reader, &self.room, Cursor::new(epoch, Seq(seq)), found);
    }

    fn read_all(&mut self, counters: u64) -> ReaderId {
        let reader = self.reader();
        (1..=counters).for_each(|counter| self.read(reader, ONE, counter, counter));
        reader
    }

    #[track_caller]
    fn expect(&self, expected: Counts) {
        let verdict = self.ledger.judge();
        let Counts {
            lost,
            duplicated,
            reordered,
            holes,
            repeated,
            disagreed,
            invented,
            behind,
            ..
        } = verdict.counts;
        let found = Counts {
            lost,
            duplicated,
            reordered,
            holes,
            repeated,
            disagreed,
            invented,
            behind,
            ..Counts::default()
        };
        assert_eq!(found, expected, "{verdict}");
        assert_eq!(verdict.is_clean(), expected.violations() == 0, "{verdict}");
    }
}

#[test]
fn a_run_that_kept_every_promise_is_clean() {
    let mut play = Play::new(3);
    play.read_all(3);
    play.read_all(3);
    play.expect(Counts::default());
    let counts = play.ledger.judge().counts;
    assert_eq!((counts.sent, counts.acked, counts.read), (3, 3, 6));
}

#[test]
fn an_acked_message_whose_place_holds_another_is_lost() {
    let mut play = Play::new(2);
    play.ledger.sent(&play.room.clone(), stamp(1, 9));
    let reader = play.reader();
    play.read(reader, ONE, 1, 1);
    play.read(reader, ONE, 2, 9);
    play.expect(Counts {
        lost: 1,
        ..Counts::default()
    });
}

#[test]
fn a_message_at_two_places_of_an_epoch_is_a_duplicate() {
    let mut play = Play::new(2);
    let reader = play.read_all(2);
    play.read(reader, ONE, 3, 2);
    play.expect(Counts {
        duplicated: 1,
        ..Counts::default()
    });
}

#[test]
fn a_message_behind_a_later_one_of_its_sender_is_reordered() {
    let (mut ledger, room) = (Ledger::new(), room());
    (1..=2).for_each(|counter| ledger.sent(&room, stamp(1, counter)));
    let mut play = Play { ledger, room };
    let reader = play.reader();
    play.read(reader, ONE, 1, 2);
    play.read(reader, ONE, 2, 1);
    play.expect(Counts {
        reordered: 1,
        ..Counts::default()
    });
}

#[test]
fn a_skipped_place_is_a_hole_unless_it_was_told() {
    let mut play = Play::new(3);
    let reader = play.reader();
    play.read(reader, ONE, 1, 1);
    play.read(reader, ONE, 3, 3);
    let told = play.reader();
    play.read(told, ONE, 1, 1);
    let room = play.room.clone();
    play.ledger.gap(told, &room, Cursor::new(ONE, Seq(3)));
    play.read(told, ONE, 3, 3);
    // What was at the place is lost.
    play.expect(Counts {
        holes: 1,
        lost: 1,
        ..Counts::default()
    });
}

#[test]
fn an_entry_that_comes_again_is_a_repeat_also_after_a_new_join() {
    let mut play = Play::new(2);
    let reader = play.read_all(2);
    play.read(reader, ONE, 2, 2);
    play.expect(Counts {
        repeated: 1,
        ..Counts::default()
    });
}

#[test]
fn readers_that_found_different_bytes_disagree() {
    let mut play = Play::new(1);
    play.read_all(1);
    let reader = play.reader();
    let found = Found {
        stamp: Some(stamp(1, 1)),
        hash: 99,
    };
    let room = play.room.clone();
    play.ledger
        .entry(reader, &room, Cursor::new(ONE, Seq(1)), found);
    play.expect(Counts {
        disagreed: 1,
        ..Counts::default()
    });
}

#[test]
fn a_message_nobody_sent_is_invented() {
    let mut play = Play::new(1);
    let reader = play.read_all(1);
    play.read(reader, ONE, 2, 7);
    play.expect(Counts {
        invented: 1,
        ..Counts::default()
    });
}

#[test]
fn a_reader_without_the_last_acked_message_is_behind_unless_it_left() {
    let mut play = Play::new(3);
    let reader = play.reader();
    play.read(reader, ONE, 1, 1);
    play.expect(Counts {
        behind: 1,
        lost: 2,
        ..Counts::default()
    });
    let room = play.room.clone();
    play.ledger.end(reader, &room);
    play.expect(Counts::default());
}

#[test]
fn what_a_new_epoch_announced_is_counted_apart() {
    let mut play = Play::new(3);
    let reader = play.reader();
    play.read(reader, ONE, 1, 1);
    let room = play.room.clone();
    // 2 and 3 are lost with the epoch; 3 is sent again by its sender, who had no ack of it yet.
    play.ledger.gap(reader, &room, Cursor::new(TWO, Seq(4)));
    play.ledger.sent(&room, stamp(1, 4));
    play.ledger
        .acked(&room, stamp(1, 4), Cursor::new(TWO, Seq(4)));
    play.read(reader, TWO, 4, 4);
    play.expect(Counts::default());
    assert_eq!(play.ledger.judge().counts.lost_with_epoch, 2);
}

#[test]
fn a_later_epoch_must_hold_what_readers_took_over_without_a_gap() {
    let mut play = Play::new(2);
    let reader = play.read_all(2);
    let room = play.room.clone();
    play.ledger.seam(reader, &room, TWO);
    play.ledger.sent(&room, stamp(1, 3));
    play.ledger
        .acked(&room, stamp(1, 3), Cursor::new(TWO, Seq(3)));
    play.read(reader, TWO, 3, 3);
    let late = play.ledger.reader();
    play.ledger.start(late, &room, Cursor::new(TWO, Seq::ZERO));
    play.read(late, TWO, 1, 1);
    play.expect(Counts {
        behind: 1,
        lost: 2,
        ..Counts::default()
    });
    // Another message is where the second one was: the one after it is at its place.
    play.ledger.sent(&room, stamp(1, 9));
    play.read(late, TWO, 2, 9);
    play.read(late, TWO, 3, 3);
    let counts = play.ledger.judge().counts;
    assert_eq!(counts.disagreed, 1, "{}", play.ledger.judge());
}

#[test]
fn a_message_that_came_again_after_its_nonce_was_forgotten_is_no_duplicate() {
    let mut play = Play::new(2);
    let reader = play.read_all(2);
    let room = play.room.clone();
    // The log was taken over, the nonces were not, and the ack of 2 had been lost.
    play.ledger.seam(reader, &room, TWO);
    play.read(reader, TWO, 3, 2);
    let late = play.ledger.reader();
    play.ledger.start(late, &room, Cursor::new(TWO, Seq(1)));
    play.read(late, TWO, 2, 2);
    play.read(late, TWO, 3, 2);
    let counts = play.ledger.judge().counts;
    assert_eq!((counts.duplicated, counts.again_in_later_epoch), (0, 1));
}

fn event(seq: u64, text: &str) -> Event {
    use chat_protocol::lane::Author;
    use chat_protocol::{Nonce, SessionId};
    let author = Author {
        session: SessionId(1),
        name: "ann".parse().unwrap(),
        account: None,
    };
    Event::Message {
        room: room(),
        cursor: Cursor::new(ONE, Seq(seq)),
        message: Message {
            author,
            nonce: Nonce(seq),
            at_ms: 0,
            content: Content::Text(text.parse().unwrap()),
        },
        own: false,
        history: false,
    }
}

fn joined(next: u64) -> Event {
    Event::Joined {
        room: room(),
        direct: None,
        head: Cursor::new(ONE, Seq::ZERO),
        next: Seq(next),
        members: 1,
        topic: chat_protocol::Topic::default(),
        rejoined: false,
    }
}

#[test]
fn one_altered_byte_is_one_corruption_and_the_message_is_not_lost_too() {
    for is_first in [true, false] {
        let mut play = Play::new(9);
        let text = |counter| stamp(1, counter).text(&room(), Sent::default(), 100);
        for number in 0..3 {
            let reader = play.ledger.reader();
            play.ledger.observe(reader, &joined(1));
            for counter in 1..=9 {
                let is_altered = counter == 5 && (number == 0) == is_first && number < 2;
                let text = if is_altered {
                    text(counter).replacen('x', "y", 1)
                } else {
                    text(counter)
                };
                play.ledger.observe(reader, &event(counter, &text));
            }
        }
        let verdict = play.ledger.judge();
        let counts = verdict.counts;
        assert_eq!((counts.corrupted, counts.violations()), (1, 1), "{verdict}");
        assert_eq!((counts.expected, counts.delivered), (27, 26), "{verdict}");
        assert_eq!(counts.read, 27);
    }
}

#[test]
fn a_message_that_all_missed_is_lost_at_each_of_them() {
    let mut play = Play::new(3);
    for _ in 0..4 {
        let reader = play.reader();
        play.read(reader, ONE, 1, 1);
        play.read(reader, ONE, 2, 3);
    }
    play.expect(Counts {
        lost: 4,
        ..Counts::default()
    });
    let counts = play.ledger.judge().counts;
    assert_eq!((counts.expected, counts.delivered), (12, 8));
    assert_eq!(counts.unjudged, 0);
}

#[test]
fn a_message_that_is_in_the_log_twice_is_one_duplicate_however_many_read_it() {
    let mut play = Play::new(2);
    play.ledger.sent(&play.room.clone(), stamp(1, 3));
    let at = Cursor::new(ONE, Seq(4));
    play.ledger.acked(&play.room.clone(), stamp(1, 3), at);
    for _ in 0..4 {
        let reader = play.read_all(2);
        play.read(reader, ONE, 3, 2);
        play.read(reader, ONE, 4, 3);
    }
    play.expect(Counts {
        duplicated: 1,
        ..Counts::default()
    });
}

#[test]
fn an_invention_that_stands_in_the_log_takes_a_place_there() {
    let mut play = Play::new(1);
    let room = play.room.clone();
    play.ledger.sent(&room, stamp(1, 2));
    let at = Cursor::new(ONE, Seq(3));
    play.ledger.acked(&room, stamp(1, 2), at);
    for _ in 0..4 {
        let reader = play.read_all(1);
        play.read(reader, ONE, 2, 77);
        play.read(reader, ONE, 3, 2);
    }
    play.expect(Counts {
        invented: 4,
        ..Counts::default()
    });
}

#[test]
fn a_message_that_was_refused_is_invented_to_whoever_reads_it() {
    for is_refused_first in [true, false] {
        let mut play = Play::new(2);
        let room = play.room.clone();
        play.ledger.sent(&room, stamp(1, 9));
        let reader = play.read_all(2);
        if is_refused_first {
            play.ledger.refused(&room, stamp(1, 9));
        }
        play.read(reader, ONE, 3, 9);
        play.ledger.refused(&room, stamp(1, 9));
        play.expect(Counts {
            invented: 1,
            ..Counts::default()
        });
        let counts = play.ledger.judge().counts;
        assert_eq!((counts.refused, counts.unknown), (1, 0));
    }
}

#[test]
fn what_was_never_acked_may_be_in_the_log_once() {
    let mut play = Play::new(1);
    let room = play.room.clone();
    for counter in [2, 3] {
        play.ledger.sent(&room, stamp(1, counter));
        play.ledger.given_up(&room, stamp(1, counter));
    }
    let reader = play.read_all(1);
    play.read(reader, ONE, 2, 2);
    play.expect(Counts::default());
    let counts = play.ledger.judge().counts;
    assert_eq!((counts.unacked_in_log, counts.unknown), (1, 1));
    play.read(reader, ONE, 3, 2);
    play.expect(Counts {
        duplicated: 1,
        ..Counts::default()
    });
}

#[test]
fn a_reader_that_is_given_what_is_before_its_start_disagrees_once() {
    let mut play = Play::new(9);
    let reader = play.ledger.reader();
    let room = play.room.clone();
    play.ledger.start(reader, &room, Cursor::new(ONE, Seq(5)));
    for (seq, counter) in (6..).zip(3..=9) {
        play.read(reader, ONE, seq, counter);
    }
    play.expect(Counts {
        disagreed: 1,
        ..Counts::default()
    });
    let counts = play.ledger.judge().counts;
    assert_eq!((counts.expected, counts.delivered), (4, 4));
}

#[test]
fn acks_that_contradict_each_other_are_a_disagreement() {
    let mut play = Play::new(2);
    let room = play.room.clone();
    let at = Cursor::new(ONE, Seq(1));
    play.ledger.acked(&room, stamp(1, 1), at);
    play.read_all(2);
    play.expect(Counts::default());
    play.ledger.acked(&room, stamp(1, 2), at);
    play.expect(Counts {
        disagreed: 1,
        ..Counts::default()
    });
}

#[test]
fn verdicts_are_merged() {
    let mut play = Play::new(3);
    let reader = play.reader();
    play.read(reader, ONE, 1, 1);
    play.read(reader, ONE, 2, 3);
    let one = play.ledger.judge();
    assert_eq!((one.counts.lost, one.violations.len()), (1, 1));
    let both = one.clone().merge(one.clone());
    assert_eq!((both.counts.lost, both.counts.read), (2, 4));
    assert_eq!(both.violations.len(), 2);
    assert!(!Verdict::default().merge(one).is_clean());
    let many = (0..30).fold(both.clone(), |many, _| many.merge(both.clone()));
    assert_eq!((many.counts.lost, many.violations.len()), (62, 20));
}

#[test]
fn an_ack_that_comes_late_is_waited_for_where_it_tells_what_is_missing() {
    let (mut ledger, room) = (Ledger::new(), room());
    for counter in 1..=4 {
        ledger.sent(&room, stamp(1, counter));
    }
    let ack = |ledger: &mut Ledger, counter| {
        ledger.acked(&room, stamp(1, counter), Cursor::new(ONE, Seq(counter)));
    };
    for counter in [1, 2, 4] {
        ack(&mut ledger, counter);
    }
    let mut play = Play {
        ledger,
        room: room.clone(),
    };
    let reader = play.reader();
    for (seq, counter) in (1..).zip([1, 2, 2, 4]) {
        play.read(reader, ONE, seq, counter);
    }
    // The third is missing, and not replaced by the second.
    play.ledger.settle();
    ack(&mut play.ledger, 3);
    play.expect(Counts {
        lost: 1,
        duplicated: 1,
        ..Counts::default()
    });
    let counts = play.ledger.judge().counts;
    assert_eq!((counts.expected, counts.delivered), (4, 3));
}
