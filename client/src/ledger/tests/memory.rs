//! What is held stays bounded, and what was given up for that is no violation.

use chat_protocol::Seq;

use super::*;

/// A long run in one room.
struct Long {
    ledger: Ledger,
    readers: Vec<ReaderId>,
    next: u64,
}

impl Long {
    fn new(window: usize, readers: usize) -> Self {
        let mut ledger = Ledger::new().with_window(window);
        let readers = (0..readers).map(|_| ledger.reader()).collect();
        let mut long = Self {
            ledger,
            readers,
            next: 1,
        };
        for reader in long.readers.clone() {
            long.start(reader, 0);
        }
        long
    }

    fn start(&mut self, reader: ReaderId, after: u64) {
        let after = Cursor::new(ONE, Seq(after));
        self.ledger.start(reader, &room(), after);
    }

    fn read(&mut self, reader: ReaderId, seq: u64) {
        let stamp = Some(stamp(seq % 7, seq));
        let found = Found { stamp, hash: seq };
        let cursor = Cursor::new(ONE, Seq(seq));
        self.ledger.entry(reader, &room(), cursor, found);
    }

    /// So many messages are sent, acked and read by these readers.
    fn go_on(&mut self, messages: u64, readers: &[ReaderId]) {
        for seq in self.next..self.next + messages {
            let stamp = stamp(seq % 7, seq);
            self.ledger.sent(&room(), stamp);
            let cursor = Cursor::new(ONE, Seq(seq));
            self.ledger.acked(&room(), stamp, cursor);
            for reader in readers {
                self.read(*reader, seq);
            }
        }
        self.next += messages;
        self.ledger.settle();
    }

    fn held(&self) -> usize {
        self.ledger.rooms.values().map(RoomLedger::len).sum()
    }

    #[track_caller]
    fn clean(&self) -> Counts {
        let verdict = self.ledger.judge();
        assert!(verdict.is_clean(), "{verdict}");
        let counts = verdict.counts;
        assert_eq!(counts.expected, counts.delivered, "{verdict}");
        counts
    }
}

#[test]
fn what_all_are_past_is_forgotten_and_still_counted() {
    let mut long = Long::new(100_000, 3);
    let readers = long.readers.clone();
    for _ in 0..50 {
        long.go_on(1_000, &readers);
        assert!(long.held() <= 3 * HISTORY_LEN, "{}", long.held());
    }
    let counts = long.clean();
    assert_eq!((counts.acked, counts.delivered), (50_000, 150_000));
    assert_eq!(counts.unjudged_deliveries, 0);
    // What is forgotten is known when it comes again.
    long.read(readers[0], 5);
    let counts = long.ledger.judge().counts;
    assert_eq!((counts.violations(), counts.repeated), (1, 1));
}

#[test]
fn one_who_joins_is_checked_against_the_last_thousand_places() {
    let mut long = Long::new(100_000, 2);
    let readers = long.readers.clone();
    long.go_on(10_000, &readers);
    let late = long.ledger.reader();
    long.start(late, 9_000);
    for seq in (9_001..=10_000).filter(|seq| *seq != 9_500) {
        long.read(late, seq);
    }
    let counts = long.ledger.judge().counts;
    assert_eq!((counts.lost, counts.holes, counts.violations()), (1, 1, 2));
    assert_eq!(counts.unjudged_deliveries, 0);
}

#[test]
fn one_who_stays_away_holds_no_more_than_the_window_and_is_not_accused() {
    let mut long = Long::new(5_000, 3);
    let [one, two, away] = long.readers[..] else {
        panic!("three readers");
    };
    for _ in 0..40 {
        long.go_on(1_000, &[one, two]);
        assert!(long.held() <= 5_000, "{}", long.held());
    }
    // It comes back and reads all of it.
    (1..=40_000).for_each(|seq| long.read(away, seq));
    let counts = long.clean();
    assert_eq!(counts.delivered, 120_000);
    assert!(counts.unjudged_deliveries > 30_000);
    assert!(
        counts.unjudged_deliveries < 40_000,
        "the last ones are judged"
    );
}

#[test]
fn acks_that_never_come_hold_no_more_than_the_window() {
    let mut long = Long::new(5_000, 2);
    let readers = long.readers.clone();
    for round in 0..20 {
        // A message that has no ack, and all behind it wait.
        let seq = long.next;
        long.ledger.sent(&room(), stamp(seq % 7, seq));
        readers.iter().for_each(|reader| long.read(*reader, seq));
        long.next += 1;
        long.go_on(999, &readers);
        assert!(long.held() <= 5_000, "{} in round {round}", long.held());
    }
    let counts = long.clean();
    assert_eq!((counts.unacked_in_log, counts.delivered), (20, 40_000));
}

#[test]
fn rooms_of_many_epochs_hold_no_more_than_the_window() {
    let mut long = Long::new(5_000, 2);
    let readers = long.readers.clone();
    long.go_on(1_000, &readers);
    for reader in &readers {
        long.ledger.gap(*reader, &room(), Cursor::new(TWO, Seq(1)));
    }
    for counter in 1..=30_000 {
        let (stamp, at) = (stamp(8, counter), Cursor::new(TWO, Seq(counter)));
        long.ledger.sent(&room(), stamp);
        long.ledger.acked(&room(), stamp, at);
        for reader in &readers {
            let found = Found {
                stamp: Some(stamp),
                hash: counter,
            };
            long.ledger.entry(*reader, &room(), at, found);
        }
        if counter % 500 == 0 {
            long.ledger.settle();
            assert!(long.held() <= 5_000, "{}", long.held());
        }
    }
    assert_eq!(long.clean().epochs, 2);
}
