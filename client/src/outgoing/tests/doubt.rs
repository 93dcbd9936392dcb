//! What may be in the log, and what becomes of it when no answer comes.

use super::*;

/// Within this a message may be repeated, and not at it.
const TIME: Duration = crate::REPEAT_TIME_MAX;

const MOMENT: Duration = Duration::from_millis(1);

impl Bench {
    /// What is given up now, and whether the node waits for it.
    fn forgotten(&mut self) -> (Vec<u32>, bool) {
        let forgotten = self.outgoing.give_up_forgotten(self.now);
        (forgotten.settles, forgotten.is_awaited)
    }

    fn reconnect(&mut self) {
        self.outgoing.detach();
        self.outgoing.attach(LOBBY);
    }
}

#[test]
fn what_was_sent_is_given_up_in_time_and_what_was_not_is_kept() {
    let mut bench = Bench::new(&[LOBBY]);
    for number in 1..=3 {
        bench.push(LOBBY, number).unwrap();
    }
    assert_eq!(bench.sent(1), [(1, 1)]);
    assert_eq!(bench.outgoing.forgotten_at(), None, "its answer is owed");
    let first = bench.now;
    bench.now += Duration::from_secs(60);
    assert_eq!(bench.sent(2), [(1, 2)]);
    bench.reconnect();
    assert_eq!(bench.outgoing.forgotten_at(), Some(first + TIME));
    bench.now = first + TIME - MOMENT;
    assert_eq!(bench.forgotten(), (vec![], false));
    assert_eq!(bench.sent(1), [(1, 1)], "within the time");
    bench.reconnect();
    bench.now += MOMENT;
    assert_eq!(
        bench.forgotten(),
        (vec![1], false),
        "since it was sent first"
    );
    bench.outgoing.detach();
    bench.now = first + Duration::from_secs(60) + TIME;
    assert_eq!(bench.forgotten(), (vec![2], false), "connected or not");
    assert_eq!(bench.outgoing.forgotten_at(), None);
    bench.now += TIME * 10;
    assert_eq!(bench.forgotten(), (vec![], false));
    bench.outgoing.attach(LOBBY);
    assert_eq!(bench.sent(8), [(1, 3)], "never sent before");
    assert_eq!((bench.ack(3), bench.outgoing.len()), (Some(3), 0));
}

#[test]
fn an_answer_that_is_owed_is_waited_for() {
    let mut bench = Bench::new(&[LOBBY]);
    bench.push(LOBBY, 1).unwrap();
    assert_eq!(bench.sent(1), [(1, 1)]);
    bench.reconnect();
    bench.now += TIME - MOMENT;
    assert_eq!(bench.sent(1), [(1, 1)]);
    bench.now += Duration::from_secs(5);
    assert_eq!(bench.forgotten(), (vec![], false));
    assert_eq!(bench.ack(1), Some(1));
}

#[test]
fn a_refusal_that_says_so_ends_the_doubt() {
    let mut bench = Bench::new(&[LOBBY]);
    for number in 1..=4 {
        bench.push(LOBBY, number).unwrap();
    }
    assert_eq!(bench.sent(3).len(), 3);
    bench.refuse(1, Refusal::ForNow(None));
    bench.refuse(2, Refusal::Unsure(None));
    bench.refuse(3, Refusal::ForNow(None));
    bench.now += TIME;
    assert_eq!(bench.forgotten(), (vec![2], false), "the node waits for 1");
    assert_eq!(bench.sent(3), [(1, 1), (1, 3), (1, 4)]);
    bench.reconnect();
    assert_eq!(bench.sent(3).len(), 3);
    for nonce in [1, 3, 4] {
        bench.refuse(nonce, Refusal::ForNow(None));
    }
    bench.now += TIME;
    assert_eq!(
        bench.forgotten(),
        (vec![1, 3, 4], true),
        "what the first connection did is not known, and the node waits for 1"
    );
}

#[test]
fn another_session_sends_nothing_again() {
    let mut bench = Bench::new(&[LOBBY, DEPLOYS]);
    for number in 1..=2 {
        bench.push(LOBBY, number).unwrap();
        bench.push(DEPLOYS, number + 10).unwrap();
    }
    assert_eq!(bench.sent(3), [(1, 1), (2, 1), (1, 2)]);
    bench.refuse(2, Refusal::ForNow(None));
    bench.outgoing.detach();
    assert_eq!(bench.outgoing.give_up_doubtful(), [1, 11]);
    bench.outgoing.attach(LOBBY);
    bench.outgoing.attach(DEPLOYS);
    assert_eq!(bench.sent(8), [(2, 2), (1, 2)]);
    assert_eq!(bench.outgoing.len(), 2);
}

#[test]
fn time_that_the_clock_did_not_count_counts() {
    let mut bench = Bench::new(&[LOBBY]);
    bench.push(LOBBY, 1).unwrap();
    bench.push(LOBBY, 2).unwrap();
    assert_eq!(bench.sent(1), [(1, 1)]);
    bench.outgoing.age(TIME * 1_000_000, bench.now);
    bench.reconnect();
    assert_eq!(bench.forgotten(), (vec![1], false));
    assert_eq!(bench.sent(8), [(1, 2)]);
}
