//! What a room's tail costs: appending a block once for a node, and reading it once for a reader.
//!
//! `cargo bench -p chat-node --bench log`. Entries are messages of 128 bytes.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on may panic anywhere"
)]

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chat_node::backplane::Block;
use chat_node::room::log::{Bounds, Log, Read};
use chat_protocol::lane::{Author, LaneFrame, Message};
use chat_protocol::{Content, Cursor, Epoch, Frame, Nonce, Seq, SessionId};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log/append");
    for len in [1, 8, 32] {
        let frames = entries(len);
        // Full from the start: what is added pushes out what is old, as in a room that goes on.
        let mut log = full(&frames, len);
        group.throughput(Throughput::Elements(len.into()));
        group.bench_function(BenchmarkId::new("block of entries", len), |bencher| {
            bencher.iter(|| {
                let block = block(log.head().seq.next(), len, &frames);
                log.append(black_box(block)).unwrap();
            });
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log/read");
    // As groups of appends come from the backplane of a busy room.
    let log = full(&entries(8), 8);
    let (first, head) = (log.first(), log.head().seq);
    let held = head.0 - first.0 + 1;
    assert_eq!(walk(&log, first), held);

    group.throughput(Throughput::Elements(held));
    group.bench_function("all of a full tail", |bencher| {
        bencher.iter(|| walk(black_box(&log), first));
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("nothing new", |bencher| {
        bencher.iter(|| black_box(&log).read(black_box(head.next()), SLICE_BYTES));
    });
    group.bench_function("the newest entry", |bencher| {
        bencher.iter(|| black_box(&log).read(black_box(head), SLICE_BYTES));
    });
    group.bench_function("a slice from the middle", |bencher| {
        let middle = first.plus(held / 2);
        bencher.iter(|| black_box(&log).read(black_box(middle), SLICE_BYTES));
    });
    group.finish();
}

/// Reads on to the head, slice by slice, and counts the entries.
fn walk(log: &Log, from: Seq) -> u64 {
    let mut at = from;
    while let Read::Frames { frames, next } = log.read(at, SLICE_BYTES) {
        black_box(frames);
        at = next;
    }
    at.0 - from.0
}

fn full(frames: &Bytes, len: u32) -> Log {
    let mut log = Log::new(Cursor::new(Epoch(1), Seq::ZERO), BOUNDS);
    while log.first() == Seq(1) {
        log.append(block(log.head().seq.next(), len, frames))
            .unwrap();
    }
    log
}

fn block(first: Seq, len: u32, frames: &Bytes) -> Block {
    Block {
        epoch: Epoch(1),
        first,
        len,
        frames: frames.clone(),
    }
}

fn entries(len: u32) -> Bytes {
    let mut frames = BytesMut::new();
    for number in 1..=len {
        let message = Message {
            author: Author {
                session: SessionId(0x1234_5678_9abc),
                account: None,
                name: "somebody".parse().unwrap(),
            },
            nonce: Nonce(number.into()),
            at_ms: 1_700_000_000_000,
            content: Content::parse(Content::TEXT, "m".repeat(TEXT_BYTES).into()).unwrap(),
        };
        LaneFrame::from(message).encode(&mut frames);
    }
    frames.freeze()
}

const TEXT_BYTES: usize = 128;

/// What a lane takes at a time.
const SLICE_BYTES: usize = 32 * 1024;

/// As a node keeps of a room.
const BOUNDS: Bounds = Bounds {
    entries_max: 2_000,
    bytes_max: 256 * 1024,
};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = append, read
}
criterion_main!(benches);
