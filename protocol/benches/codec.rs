//! What the codec costs: a message's entry, as it is in the log and on every lane, and a publish.
//!
//! `cargo bench -p chat-protocol`. Bytes come as a stream's reader gets them: 4 KiB at a time.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on may panic anywhere"
)]

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chat_protocol::client::{ClientFrame, Publish};
use chat_protocol::lane::{Author, LaneFrame, Message};
use chat_protocol::{Content, Frame, FrameDecoder, Nonce, RoomRef, SessionId};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/encode");
    group.throughput(Throughput::Elements(1));
    let mut out = BytesMut::with_capacity(CHUNK_BYTES);
    let frame = entry(1);
    group.bench_function("message entry", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(&frame).encode(&mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/decode");

    let chunk = chunk(|number| entry(number).to_bytes());
    group.throughput(Throughput::Elements(frames_in(&chunk)));
    group.bench_function("4 KiB to frames", |bencher| {
        let mut decoder = FrameDecoder::new();
        bencher.iter(|| {
            decoder.push(black_box(&chunk));
            while let Some(raw) = decoder.next().unwrap() {
                black_box(raw);
            }
        });
    });
    group.bench_function("4 KiB to message entries", |bencher| {
        let mut decoder = FrameDecoder::new();
        bencher.iter(|| {
            decoder.push(black_box(&chunk));
            while let Some(raw) = decoder.next().unwrap() {
                black_box(LaneFrame::decode(&raw).unwrap());
            }
        });
    });

    let chunk = self::chunk(|number| publish(number).to_bytes());
    group.throughput(Throughput::Elements(frames_in(&chunk)));
    group.bench_function("4 KiB to publishes", |bencher| {
        let mut decoder = FrameDecoder::new();
        bencher.iter(|| {
            decoder.push(black_box(&chunk));
            while let Some(raw) = decoder.next().unwrap() {
                black_box(ClientFrame::decode(&raw).unwrap());
            }
        });
    });
    group.finish();
}

fn entry(number: u64) -> LaneFrame {
    Message {
        author: Author {
            session: SessionId(0x1234_5678_9abc),
            account: None,
            name: "somebody".parse().unwrap(),
        },
        nonce: Nonce(number),
        at_ms: 1_700_000_000_000 + number,
        content: Content::parse(Content::TEXT, text()).unwrap(),
    }
    .into()
}

fn publish(number: u64) -> ClientFrame {
    Publish {
        room: RoomRef(2),
        nonce: Nonce(number),
        content_type: Content::TEXT,
        body: text(),
    }
    .into()
}

fn text() -> Bytes {
    Bytes::from("m".repeat(TEXT_BYTES))
}

/// As many whole frames as fit.
fn chunk(frame: impl Fn(u64) -> Bytes) -> Bytes {
    let mut chunk = BytesMut::new();
    for number in 1.. {
        let frame = frame(number);
        if chunk.len() + frame.len() > CHUNK_BYTES {
            break;
        }
        chunk.extend_from_slice(&frame);
    }
    chunk.freeze()
}

fn frames_in(chunk: &[u8]) -> u64 {
    let mut decoder = FrameDecoder::new();
    decoder.push(chunk);
    let mut frames = 0;
    while decoder.next().unwrap().is_some() {
        frames += 1;
    }
    assert!(frames > 0 && !decoder.is_mid_frame());
    frames
}

const TEXT_BYTES: usize = 128;
const CHUNK_BYTES: usize = 4 * 1024;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = encode, decode
}
criterion_main!(benches);
