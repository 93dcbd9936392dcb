//! What a delivery costs. By hand: `cargo test --release -p chat-client ledger::tests::speed -- --ignored
//! --nocapture`.

use std::hint::black_box;
use std::time::Duration;

use chat_protocol::lane::Author;
use chat_protocol::{Nonce, Seq, SessionId};

use super::*;

const MESSAGES: u64 = 20_000;
const READERS: u32 = 50;

#[test]
#[ignore = "a measurement"]
fn a_delivery_takes_well_under_a_microsecond() {
    let room: RoomName = "lobby".parse().unwrap();
    for (when, is_acked_first) in [("acks first", true), ("acks last", false)] {
        let mut ledger = Ledger::new();
        let readers: Vec<ReaderId> = (0..READERS).map(|_| ledger.reader()).collect();
        for reader in &readers {
            ledger.start(*reader, &room, Cursor::new(Epoch(1), Seq::ZERO));
        }
        // Of all batches the quickest: the others shared the processor.
        let mut took = Duration::MAX;
        let mut settled = Duration::MAX;
        for batch in 0..MESSAGES / 1000 {
            let counters = batch * 1000 + 1..=batch * 1000 + 1000;
            let events: Vec<Event> = counters
                .clone()
                .map(|counter| event(&room, counter))
                .collect();
            counters
                .clone()
                .for_each(|counter| ledger.sent(&room, stamp(counter)));
            let ack = |ledger: &mut Ledger, counter| {
                ledger.acked(&room, stamp(counter), Cursor::new(Epoch(1), Seq(counter)));
            };
            if is_acked_first {
                counters
                    .clone()
                    .for_each(|counter| ack(&mut ledger, counter));
            }
            let observed = timed(|| {
                for event in &events {
                    for reader in &readers {
                        ledger.observe(*reader, black_box(event));
                    }
                }
            });
            if !is_acked_first {
                counters.for_each(|counter| ack(&mut ledger, counter));
            }
            took = took.min(observed);
            settled = settled.min(timed(|| ledger.settle()));
        }
        let deliveries = MESSAGES * u64::from(READERS);
        let each = |took: Duration| took.as_nanos() / u128::from(1000 * READERS);
        let counts = ledger.judge().counts;
        assert_eq!((counts.violations(), counts.delivered), (0, deliveries));
        eprintln!(
            "{when}: {} ns to observe, {} ns to settle",
            each(took),
            each(settled)
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn what_of_it_is_the_checksum_and_the_hash() {
    let room: RoomName = "lobby".parse().unwrap();
    let Event::Message { message, .. } = event(&room, 1) else {
        panic!("a message");
    };
    let Content::Text(text) = &message.content else {
        panic!("a text");
    };
    let find = || {
        black_box(Stamp::find(black_box(text.as_str()), &room).is_ok());
    };
    eprintln!("checksum: {} ns", quickest(find));
    let hash = || {
        black_box(hash::hash_message(black_box(&message)));
    };
    eprintln!("hash: {} ns", quickest(hash));
}

fn quickest(what: impl Fn()) -> u128 {
    let runs = (0..1000).map(|_| timed(|| (0..1000).for_each(|_| what())));
    runs.min().unwrap_or_default().as_nanos() / 1000
}

#[test]
#[ignore = "a measurement"]
fn what_things_take() {
    let sizes = [
        ("message", size_of::<(Stamp, book::Message)>()),
        ("place", size_of::<(u64, log::Slot)>()),
        ("delivery that waits", size_of::<Item>()),
        ("reader in a room", size_of::<(ReaderId, reader::Reader)>()),
    ];
    for (what, bytes) in sizes {
        eprintln!("{what}: {bytes} bytes");
    }
}

fn timed(what: impl FnOnce()) -> Duration {
    let start = std::time::Instant::now();
    what();
    start.elapsed()
}

fn stamp(counter: u64) -> Stamp {
    Stamp { sender: 1, counter }
}

fn event(room: &RoomName, counter: u64) -> Event {
    let text = stamp(counter).text(room, Sent::default(), 128);
    Event::Message {
        room: room.clone(),
        cursor: Cursor::new(Epoch(1), Seq(counter)),
        message: Message {
            author: Author {
                session: SessionId(1),
                name: "ann".parse().unwrap(),
                account: None,
            },
            nonce: Nonce(counter),
            at_ms: 0,
            content: Content::Text(text.parse().unwrap()),
        },
        own: false,
        history: false,
    }
}
