use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

mod doubt;

const LOBBY: LocalRoom = LocalRoom(1);
const DEPLOYS: LocalRoom = LocalRoom(2);

/// Messages of one or two rooms, each settled by its number.
struct Bench {
    outgoing: Outgoing<u32>,
    rng: StdRng,
    now: Instant,
}

impl Bench {
    fn new(rooms: &[LocalRoom]) -> Self {
        let now = Instant::now();
        let mut outgoing = Outgoing::new(8, Nonce(0));
        for room in rooms {
            outgoing.open(*room, now);
            outgoing.attach(*room);
        }
        Self {
            outgoing,
            rng: StdRng::seed_from_u64(1),
            now,
        }
    }

    fn push(&mut self, room: LocalRoom, number: u32) -> Result<u64, NotTaken> {
        self.outgoing
            .push(room, body(number), number)
            .map(|nonce| nonce.0)
    }

    /// The nonces that go out now.
    fn sent(&mut self, in_flight_max: usize) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| self.outgoing.next(self.now, in_flight_max))
            .map(|outbound| (outbound.room.0, outbound.nonce.0))
            .collect()
    }

    fn ack(&mut self, nonce: u64) -> Option<u32> {
        self.outgoing.on_ack(LOBBY, Nonce(nonce), self.now)
    }

    fn refuse(&mut self, nonce: u64, refusal: Refusal) -> Option<u32> {
        self.outgoing
            .on_refusal(LOBBY, Nonce(nonce), refusal, self.now, &mut self.rng)
    }
}

fn body(number: u32) -> Body {
    Body::Message {
        content_type: 0,
        body: Bytes::copy_from_slice(&number.to_be_bytes()),
    }
}

#[test]
fn a_refusal_for_now_repeats_it_and_all_later_ones_in_order() {
    let mut bench = Bench::new(&[LOBBY]);
    for number in 1..=4 {
        assert_eq!(bench.push(LOBBY, number), Ok(number.into()));
    }
    assert_eq!(
        bench.sent(3),
        [(1, 1), (1, 2), (1, 3)],
        "no more than the node takes"
    );
    assert_eq!(bench.ack(1), Some(1));
    let wait = Duration::from_secs(1);
    assert_eq!(bench.refuse(2, Refusal::ForNow(Some(wait))), None);
    bench.now += wait * 2;
    assert_eq!(
        bench.sent(3),
        [],
        "an answer is owed still: it would be taken for that of a repeat"
    );
    assert_eq!(bench.refuse(3, Refusal::ForNow(None)), None);
    assert_eq!(bench.sent(3), [(1, 2), (1, 3), (1, 4)]);
    for nonce in 2..=4 {
        assert_eq!(bench.ack(nonce), u32::try_from(nonce).ok());
    }
    assert_eq!(
        (bench.outgoing.len(), bench.outgoing.waiting_since()),
        (0, None)
    );
}

#[test]
fn a_refusal_for_now_waits_as_long_as_the_node_says() {
    let mut bench = Bench::new(&[LOBBY]);
    bench.push(LOBBY, 1).unwrap();
    assert_eq!(bench.sent(8).len(), 1);
    assert_eq!(bench.outgoing.due(), None);
    let wait = Duration::from_secs(3);
    bench.refuse(1, Refusal::ForNow(Some(wait)));
    assert_eq!(bench.outgoing.due(), Some(bench.now + wait));
    assert_eq!(bench.sent(8), []);
    bench.now += wait;
    assert_eq!(bench.sent(8), [(1, 1)]);
    bench.refuse(1, Refusal::ForNow(Some(Duration::from_secs(1 << 30))));
    assert_eq!(
        bench.outgoing.due(),
        Some(bench.now + RETRY_AFTER_MAX),
        "bounded"
    );
}

#[test]
fn a_final_refusal_settles_one_and_goes_on() {
    let mut bench = Bench::new(&[LOBBY]);
    for number in 1..=3 {
        bench.push(LOBBY, number).unwrap();
    }
    assert_eq!(bench.sent(2), [(1, 1), (1, 2)]);
    assert_eq!(bench.refuse(1, Refusal::Final), Some(1));
    assert_eq!(bench.sent(2), [(1, 3)]);
    assert_eq!(
        (bench.ack(2), bench.ack(3), bench.ack(3)),
        (Some(2), Some(3), None)
    );
}

#[test]
fn a_lost_connection_repeats_what_has_no_answer() {
    let mut bench = Bench::new(&[LOBBY, DEPLOYS]);
    for number in 1..=3 {
        bench.push(LOBBY, number).unwrap();
        bench.push(DEPLOYS, number + 10).unwrap();
    }
    assert_eq!(
        bench.sent(4),
        [(1, 1), (2, 1), (1, 2), (2, 2)],
        "rooms take turns"
    );
    assert_eq!(bench.ack(1), Some(1));
    bench.outgoing.detach();
    assert_eq!(bench.sent(8), [], "before the rooms are joined again");
    bench.outgoing.attach(LOBBY);
    assert_eq!(bench.sent(8), [(1, 2), (1, 3)]);
    bench.outgoing.attach(DEPLOYS);
    assert_eq!(bench.sent(8), [(2, 1), (2, 2), (2, 3)]);
}

#[test]
fn what_cannot_be_taken_is_refused_at_once() {
    let mut bench = Bench::new(&[LOBBY]);
    assert_eq!(bench.push(DEPLOYS, 1), Err(NotTaken::Left));
    for number in 1..=8 {
        bench.push(LOBBY, number).unwrap();
    }
    assert_eq!(bench.push(LOBBY, 9), Err(NotTaken::Full));
    assert_eq!(bench.sent(8).len(), 8);
    assert_eq!(bench.ack(1), Some(1));
    assert_eq!(bench.push(LOBBY, 9), Ok(9), "a refused one takes no nonce");
    bench.outgoing.seal(LOBBY);
    assert_eq!(bench.push(LOBBY, 10), Err(NotTaken::Left));
    let given_up = bench.outgoing.remove(LOBBY);
    let is_unknown: Vec<bool> = given_up.iter().map(|message| message.is_unknown).collect();
    assert_eq!(
        is_unknown,
        [true, true, true, true, true, true, true, false]
    );
    bench.outgoing.close();
    bench.outgoing.open(DEPLOYS, bench.now);
    assert_eq!(bench.push(DEPLOYS, 1), Err(NotTaken::Closed));
}

#[test]
fn a_room_that_is_joined_again_goes_on_with_its_nonces() {
    let mut bench = Bench::new(&[LOBBY]);
    bench.push(LOBBY, 1).unwrap();
    bench.push(LOBBY, 2).unwrap();
    bench.outgoing.remove(LOBBY);
    bench.outgoing.open(DEPLOYS, bench.now);
    assert_eq!(
        bench.push(DEPLOYS, 3),
        Ok(3),
        "it may be the same room to the node"
    );
    assert_eq!(Outgoing::<u32>::new(1, Nonce(70)).used.next(), Nonce(71));
}

#[test]
fn silence_of_the_node_is_measured() {
    let mut bench = Bench::new(&[LOBBY]);
    bench.push(LOBBY, 1).unwrap();
    assert_eq!(bench.outgoing.waiting_since(), None, "nothing is asked yet");
    assert_eq!(bench.sent(8).len(), 1);
    let asked = bench.now;
    bench.now += Duration::from_secs(5);
    bench.push(LOBBY, 2).unwrap();
    assert_eq!(bench.sent(8).len(), 1);
    assert_eq!(bench.outgoing.waiting_since(), Some(asked));
    assert_eq!(bench.ack(1), Some(1));
    assert_eq!(bench.outgoing.waiting_since(), Some(bench.now));
}

/// What a node does with the next publish on its connection.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Append,
    RefuseForNow,
    RefuseForGood,
}

#[derive(Clone, Debug)]
enum Act {
    Publish(LocalRoom),
    Send(usize),
    Answer(Fate),
    /// So many publishes on the wire still arrive, the rest and all answers are lost.
    Break(usize),
    /// As before, and nobody is reached for so many minutes.
    Away(usize, u64),
    /// As before, and the next node does not know the session.
    Renew(usize),
    Wait,
}

fn act() -> impl Strategy<Value = Act> {
    let room = prop_oneof![Just(LOBBY), Just(DEPLOYS)];
    let fate = prop_oneof![
        6 => Just(Fate::Append),
        2 => Just(Fate::RefuseForNow),
        1 => Just(Fate::RefuseForGood),
    ];
    prop_oneof![
        4 => room.prop_map(Act::Publish),
        4 => (1usize..6).prop_map(Act::Send),
        6 => fate.prop_map(Act::Answer),
        1 => (0usize..4).prop_map(Act::Break),
        1 => (0usize..4, 1u64..40).prop_map(|(arrive, minutes)| Act::Away(arrive, minutes)),
        1 => (0usize..4).prop_map(Act::Renew),
        2 => Just(Act::Wait),
    ]
}

/// A node that keeps order as the protocol says: after a refusal for now it refuses what comes later
/// until the refused one is repeated, and it answers a repeat like the first, for as long as it must.
#[derive(Default)]
struct Node {
    log: BTreeMap<LocalRoom, Vec<u64>>,
    /// What a repeat is known by, and when the last of a room was appended.
    known: BTreeMap<LocalRoom, (BTreeSet<u64>, Option<Instant>)>,
    refused: BTreeMap<LocalRoom, u64>,
    wire: VecDeque<(LocalRoom, u64)>,
}

enum Answer {
    Ack,
    Refused(Refusal),
}

impl Node {
    fn take(&mut self, fate: Fate, now: Instant) -> Option<(LocalRoom, u64, Answer)> {
        let (room, nonce) = self.wire.pop_front()?;
        let (known, appended) = self.known.entry(room).or_default();
        if appended.is_some_and(|at| now > at + Duration::from_secs(15 * 60)) {
            known.clear();
        }
        if known.contains(&nonce) {
            return Some((room, nonce, Answer::Ack));
        }
        if self
            .refused
            .get(&room)
            .is_some_and(|refused| nonce > *refused)
        {
            return Some((room, nonce, Answer::Refused(Refusal::ForNow(None))));
        }
        self.refused.remove(&room);
        let answer = match fate {
            Fate::Append => {
                self.log.entry(room).or_default().push(nonce);
                known.insert(nonce);
                *appended = Some(now);
                Answer::Ack
            }
            Fate::RefuseForNow => {
                self.refused.insert(room, nonce);
                Answer::Refused(Refusal::ForNow(Some(Duration::from_millis(10))))
            }
            Fate::RefuseForGood => Answer::Refused(Refusal::Final),
        };
        Some((room, nonce, answer))
    }
}

proptest! {
    /// Whatever a node and the network do: nothing is lost, nothing is twice, order is kept, and
    /// everything is settled once, by what really became of it.
    #[test]
    fn every_message_reaches_the_log_once_and_in_order(acts in prop::collection::vec(act(), 0..120)) {
        let mut bench = Bench::new(&[LOBBY, DEPLOYS]);
        let mut node = Node::default();
        let mut published: BTreeMap<LocalRoom, Vec<u64>> = BTreeMap::new();
        let mut acked: BTreeMap<LocalRoom, Vec<u64>> = BTreeMap::new();
        let mut refused: BTreeMap<LocalRoom, Vec<u64>> = BTreeMap::new();
        let mut unknown: BTreeMap<LocalRoom, Vec<u64>> = BTreeMap::new();
        let number = |room: LocalRoom, nonce: u64| u32::try_from(room.0 * 1_000 + nonce).unwrap();
        // In the end the node is well: everything comes to rest.
        let rest = std::iter::repeat_n([Act::Wait, Act::Send(3), Act::Answer(Fate::Append)], 200);
        for act in acts.into_iter().chain(rest.flatten()) {
            let mut given_up = Vec::new();
            match act {
                Act::Publish(room) => {
                    let next = published.get(&room).map_or(1, |nonces| nonces.len() as u64 + 1);
                    match bench.push(room, number(room, next)) {
                        Ok(nonce) => {
                            prop_assert_eq!(nonce, next);
                            published.entry(room).or_default().push(nonce);
                        }
                        Err(error) => prop_assert_eq!((error, bench.outgoing.len()), (NotTaken::Full, 8)),
                    }
                }
                Act::Send(in_flight_max) => {
                    while let Some(outbound) = bench.outgoing.next(bench.now, in_flight_max) {
                        let nonce = outbound.nonce.0;
                        prop_assert_eq!(outbound.body, body(number(outbound.room, nonce)));
                        node.wire.push_back((outbound.room, nonce));
                        prop_assert!(node.wire.len() <= in_flight_max);
                    }
                }
                Act::Answer(fate) => {
                    let Some((room, nonce, answer)) = node.take(fate, bench.now) else { continue };
                    let now = bench.now;
                    let (settled, settles) = match answer {
                        Answer::Ack => {
                            (bench.outgoing.on_ack(room, Nonce(nonce), now), &mut acked)
                        }
                        Answer::Refused(refusal) => {
                            let settled =
                                bench.outgoing.on_refusal(room, Nonce(nonce), refusal, now, &mut bench.rng);
                            prop_assert_eq!(settled.is_some(), refusal == Refusal::Final);
                            (settled, &mut refused)
                        }
                    };
                    if let Some(settled) = settled {
                        prop_assert_eq!(settled, number(room, nonce));
                        settles.entry(room).or_default().push(nonce);
                    }
                }
                Act::Break(arrive) | Act::Away(arrive, _) | Act::Renew(arrive) => {
                    for _ in 0..arrive {
                        node.take(Fate::Append, bench.now);
                    }
                    node.wire.clear();
                    node.refused.clear();
                    bench.outgoing.detach();
                    if let Act::Away(_, minutes) = act {
                        bench.now += Duration::from_secs(60 * minutes);
                        given_up.extend(bench.outgoing.give_up_forgotten(bench.now).settles);
                    }
                    if let Act::Renew(_) = act {
                        node.known.clear();
                        given_up.extend(bench.outgoing.give_up_doubtful());
                    }
                    bench.outgoing.attach(DEPLOYS);
                    bench.outgoing.attach(LOBBY);
                }
                Act::Wait => bench.now += Duration::from_secs(6),
            }
            let forgotten = bench.outgoing.give_up_forgotten(bench.now);
            given_up.extend(forgotten.settles);
            let is_silent = bench
                .outgoing
                .waiting_since()
                .is_some_and(|since| bench.now >= since + Duration::from_secs(30));
            if forgotten.is_awaited || is_silent {
                node.wire.clear();
                node.refused.clear();
                bench.outgoing.detach();
                bench.outgoing.attach(DEPLOYS);
                bench.outgoing.attach(LOBBY);
            }
            for settled in given_up {
                let room = LocalRoom(u64::from(settled / 1_000));
                unknown.entry(room).or_default().push(u64::from(settled % 1_000));
            }
        }
        prop_assert_eq!(bench.outgoing.len(), 0, "everything is settled");
        prop_assert_eq!(bench.outgoing.owed, 0);
        for (room, nonces) in published {
            let log = node.log.remove(&room).unwrap_or_default();
            prop_assert!(log.is_sorted_by(|a, b| a < b), "in order and once: {:?}", log);
            let acked = acked.remove(&room).unwrap_or_default();
            let unknown = unknown.remove(&room).unwrap_or_default();
            let mut told = log.clone();
            told.retain(|nonce| !unknown.contains(nonce));
            prop_assert_eq!(&acked, &told, "acked is what is in the log");
            let mut settled = acked;
            settled.extend(unknown);
            settled.extend(refused.remove(&room).unwrap_or_default());
            settled.sort_unstable();
            prop_assert_eq!(settled, nonces, "each settled once");
        }
    }
}
