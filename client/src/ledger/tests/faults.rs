//! Faults at one reader, in runs of every kind: each is counted once, and nothing else is.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;

const READERS: usize = 3;
const SENDERS: u64 = 3;

/// What stands at a place of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Entry {
    /// A message that is acked.
    Acked,
    /// One whose ack was lost.
    Unacked,
    /// What is no message of ours.
    Other,
}

/// What happens to the lane of the first reader.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Drop,
    Repeat,
    /// The entry comes again, after so many others.
    RepeatLater(usize),
    Swap,
    Alter,
    Invent,
    /// Other bytes around the same stamp.
    Forge,
}

/// One run, without chance.
#[derive(Clone, Debug)]
struct Run {
    log: Vec<Entry>,
    /// By reader and round, how much of its lane it reads.
    pace: Vec<[usize; READERS]>,
    /// Whether a round begins with the acks of what was sent before, or ends with them.
    acks_first: Vec<bool>,
    /// Messages whose ack comes a round later than those of others, by place.
    slow: Vec<bool>,
    /// Whether the ledger is told that nobody will tell the fate of what is not acked.
    tells: bool,
    faults: Vec<(usize, Fault)>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    found: Found,
    kind: Kind,
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![8 => Just(Entry::Acked), 1 => Just(Entry::Unacked), 1 => Just(Entry::Other)]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Drop),
        Just(Fault::Repeat),
        (1..6_usize).prop_map(Fault::RepeatLater),
        Just(Fault::Swap),
        Just(Fault::Alter),
        Just(Fault::Invent),
        Just(Fault::Forge),
    ]
}

fn run(faults: impl Strategy<Value = usize>) -> impl Strategy<Value = Run> {
    faults.prop_flat_map(|faults| {
        (
            prop::collection::vec(entry(), 4..60),
            prop::collection::vec([0..9_usize, 0..9_usize, 0..9_usize], 1..20),
            prop::collection::vec(any::<bool>(), 20),
            prop::collection::vec(any::<bool>(), 60),
            any::<bool>(),
            prop::collection::vec((any::<prop::sample::Index>(), fault()), faults),
        )
            .prop_map(|(mut log, pace, acks_first, slow, tells, faults)| {
                log.push(Entry::Acked);
                // The last entry is another matter: who misses that one is behind.
                let place = |index: prop::sample::Index| index.index(log.len() - 2);
                let faults = faults.into_iter().map(|(at, fault)| (place(at), fault));
                Run {
                    faults: faults.collect(),
                    log: log.clone(),
                    pace,
                    acks_first,
                    slow,
                    tells,
                }
            })
    })
}

impl Run {
    fn frame(&self, index: usize) -> Frame {
        let number = index as u64 + 1;
        let stamp = (self.log[index] != Entry::Other).then(|| stamp(number % SENDERS, number));
        Frame {
            found: Found {
                stamp,
                hash: number,
            },
            kind: Kind::Whole,
        }
    }

    fn lane(&self, reader: usize) -> Vec<Frame> {
        let mut lane: Vec<(usize, Frame)> = (0..self.log.len())
            .map(|index| (index, self.frame(index)))
            .collect();
        if reader > 0 {
            return lane.into_iter().map(|(_, frame)| frame).collect();
        }
        for (number, (index, fault)) in self.faults.iter().enumerate() {
            let Some(at) = lane.iter().position(|(other, _)| other == index) else {
                continue;
            };
            let (_, frame) = lane[at];
            let hash = 1000 + number as u64;
            match fault {
                Fault::Drop => drop(lane.remove(at)),
                Fault::Repeat => lane.insert(at + 1, (usize::MAX, frame)),
                Fault::RepeatLater(later) => {
                    lane.insert((at + 1 + later).min(lane.len() - 1), (usize::MAX, frame));
                }
                Fault::Swap if at + 1 < lane.len() => lane.swap(at, at + 1),
                Fault::Swap => {}
                Fault::Alter => {
                    lane[at].1 = Frame {
                        found: Found { stamp: None, hash },
                        kind: Kind::Corrupted,
                    };
                }
                Fault::Invent => {
                    let stamp = Some(stamp(99, hash));
                    let found = Found { stamp, hash };
                    let kind = Kind::Whole;
                    lane.insert(at, (usize::MAX, Frame { found, kind }));
                }
                Fault::Forge => lane[at].1.found.hash = hash,
            }
        }
        lane.into_iter().map(|(_, frame)| frame).collect()
    }

    /// Plays it. Each ack comes at the latest in the round after its message was read.
    fn play(&self, mut ledger: Ledger, settles: impl Fn(usize) -> bool) -> Ledger {
        let room = room();
        let readers: Vec<ReaderId> = (0..READERS).map(|_| ledger.reader()).collect();
        for reader in &readers {
            ledger.start(*reader, &room, Cursor::new(ONE, Seq::ZERO));
        }
        let lanes: Vec<Vec<Frame>> = (0..READERS).map(|reader| self.lane(reader)).collect();
        let mut read = [0; READERS];
        let (mut sent, mut open) = (0, Vec::new());
        let rounds = self.pace.len() + 1;
        for round in 0..rounds {
            let is_over = round == rounds - 1;
            let pace = self
                .pace
                .get(round)
                .copied()
                .unwrap_or([usize::MAX; READERS]);
            let acks_first = self.acks_first[round % self.acks_first.len()];
            let sent_before = sent;
            if acks_first {
                self.ack(&mut ledger, &mut open, |index| !self.is_slow(index));
            }
            for (reader, lane) in lanes.iter().enumerate() {
                for _ in 0..pace[reader] {
                    let Some(frame) = lane.get(read[reader]) else {
                        break;
                    };
                    // Whatever it is, it is sent before it is read, and so is what it hides.
                    while sent < self.log.len() && sent <= read[reader] + self.faults.len() + 1 {
                        self.send(&mut ledger, sent);
                        open.push(sent);
                        sent += 1;
                    }
                    read[reader] += 1;
                    let cursor = Cursor::new(ONE, Seq(read[reader] as u64));
                    if frame.kind == Kind::Corrupted {
                        ledger.findings.counts.corrupted += 1;
                    }
                    ledger.read(readers[reader], &room, cursor, frame.found, frame.kind);
                }
            }
            self.ack(&mut ledger, &mut open, |index| {
                let is_quick = !acks_first && !self.is_slow(index);
                is_over || is_quick || index < sent_before
            });
            if settles(round) {
                ledger.settle();
            }
        }
        ledger.head(&room, Cursor::new(ONE, Seq(self.log.len() as u64)));
        ledger
    }

    fn send(&self, ledger: &mut Ledger, index: usize) {
        if let Some(stamp) = self.frame(index).found.stamp {
            ledger.sent(&room(), stamp);
        }
    }

    fn is_slow(&self, index: usize) -> bool {
        self.slow[index % self.slow.len()]
    }

    /// Acks those of the open messages that are due.
    fn ack(&self, ledger: &mut Ledger, open: &mut Vec<usize>, is_due: impl Fn(usize) -> bool) {
        open.retain(|index| {
            if !is_due(*index) {
                return true;
            }
            let at = Cursor::new(ONE, Seq(*index as u64 + 1));
            match (self.frame(*index).found.stamp, self.log[*index]) {
                (Some(stamp), Entry::Acked) => ledger.acked(&room(), stamp, at),
                (Some(stamp), _) if self.tells => ledger.given_up(&room(), stamp),
                _ => {}
            }
            false
        });
    }

    /// Whether all that the faults touch was acked: what has no ack can be confused with its like.
    fn is_certain(&self) -> bool {
        let is_acked = |index: &usize| self.log[*index] == Entry::Acked;
        let mut faults = self.faults.iter();
        faults.all(|(index, fault)| match fault {
            Fault::Swap => is_acked(index) || is_acked(&(index + 1)),
            _ => true,
        })
    }

    /// What one fault is to be counted as.
    fn truth(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, fault) in &self.faults {
            match fault {
                Fault::Drop => counts.lost += 1,
                Fault::Repeat | Fault::RepeatLater(_) => counts.duplicated += 1,
                Fault::Swap => counts.reordered += 1,
                Fault::Alter => counts.corrupted += 1,
                Fault::Invent => counts.invented += 1,
                Fault::Forge => counts.disagreed += 1,
            }
        }
        counts
    }
}

fn faults_of(counts: Counts) -> [u64; 9] {
    [
        counts.lost,
        counts.duplicated,
        counts.reordered,
        counts.corrupted,
        counts.invented,
        counts.disagreed,
        counts.holes,
        counts.repeated,
        counts.behind,
    ]
}

fn check_one(run: &Run) -> TestCaseResult {
    prop_assume!(run.is_certain());
    let verdict = run
        .play(
            Ledger {
                history: 3,
                ..Ledger::new()
            },
            |_| true,
        )
        .judge();
    let counts = verdict.counts;
    prop_assert_eq!(faults_of(counts), faults_of(run.truth()), "{}", verdict);
    let expected = (READERS * run.log.len()) as u64;
    prop_assert_eq!(counts.expected, expected, "{}", &verdict);
    let accounted = counts.delivered + counts.lost + counts.corrupted;
    prop_assert_eq!(counts.expected, accounted, "{}", &verdict);
    let unacked = run
        .log
        .iter()
        .filter(|entry| **entry == Entry::Unacked)
        .count();
    prop_assert_eq!(counts.unacked_in_log, unacked as u64, "{}", &verdict);
    prop_assert_eq!(counts.unknown + counts.unjudged, 0, "{}", &verdict);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_without_a_fault_is_clean_and_all_of_it_is_delivered(run in run(Just(0))) {
        check_one(&run)?;
    }

    #[test]
    fn one_fault_at_one_reader_is_counted_once_and_as_what_it_is(run in run(Just(1))) {
        check_one(&run)?;
    }

    #[test]
    fn the_verdict_does_not_depend_on_when_the_ledger_was_settled(
        run in run(0..6_usize),
        settled in prop::collection::vec(any::<bool>(), 20),
    ) {
        let whole = run.play(Ledger::new(), |_| false).judge();
        let mut ledger = Ledger::new();
        ledger.history = 3;
        let in_parts = run.play(ledger, |round| settled[round % 20]).judge();
        prop_assert_eq!(whole.counts, in_parts.counts, "{}\n{}", whole, in_parts);
        let counts = in_parts.counts;
        let most = counts.delivered + counts.lost + counts.corrupted;
        prop_assert!(counts.delivered + counts.lost <= counts.expected && counts.expected <= most);
        prop_assert!(whole.is_clean() || !run.faults.is_empty(), "{}", whole);
    }
}
