//! What it costs to take publishes: bytes to frames, frames to requests, requests to commands.
//!
//! `cargo bench -p chat-node --bench session`. A stream's reader gets 32 publishes of 128 bytes.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on may panic anywhere"
)]

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chat_node::session::{Command, Session};
use chat_protocol::client::{ClientFrame, Join, Publish, Start};
use chat_protocol::node::Permissions;
use chat_protocol::{Content, Frame, FrameDecoder, Nonce, RequestId, RoomRef};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn take(criterion: &mut Criterion) {
    let mut session = Session::new(Permissions::USER);
    let lane = join(&mut session);
    let bytes = publishes(lane);
    let mut decoder = FrameDecoder::new();
    assert_eq!(commands(&mut decoder, &mut session, &bytes), PUBLISHES);

    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Elements(PUBLISHES));
    group.bench_function("publishes to commands", |bencher| {
        bencher.iter(|| commands(&mut decoder, &mut session, black_box(&bytes)));
    });
    group.finish();
}

/// How many commands to publish the bytes are.
fn commands(decoder: &mut FrameDecoder, session: &mut Session, bytes: &[u8]) -> u64 {
    let mut publishes = 0;
    decoder.push(bytes);
    while let Some(raw) = decoder.next().unwrap() {
        let frame = ClientFrame::decode(&raw).unwrap().unwrap();
        let command = black_box(session.on_frame(frame)).unwrap();
        publishes += u64::from(matches!(command, Command::Publish { .. }));
    }
    publishes
}

fn join(session: &mut Session) -> RoomRef {
    let join = Join {
        request: RequestId(1),
        room: "lobby".to_owned(),
        start: Start::Live,
    };
    match session.on_frame(join.into()).unwrap() {
        Command::Join { lane, .. } => lane,
        other => panic!("a join became {other:?}"),
    }
}

fn publishes(lane: RoomRef) -> Bytes {
    let mut bytes = BytesMut::new();
    for number in 1..=PUBLISHES {
        let publish = Publish {
            room: lane,
            nonce: Nonce(number),
            content_type: Content::TEXT,
            body: "m".repeat(TEXT_BYTES).into(),
        };
        ClientFrame::from(publish).encode(&mut bytes);
    }
    bytes.freeze()
}

const PUBLISHES: u64 = 32;
const TEXT_BYTES: usize = 128;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = take
}
criterion_main!(benches);
