//! What a key press and a message cost the client that fills the terminal, with up to 100,000
//! messages in the room: `cargo bench -p chat-cli`.

#![allow(missing_docs, reason = "criterion makes the functions")]

use std::hint::black_box;
use std::time::Instant;

use chat_cli::canvas::Canvas;
use chat_cli::report::{Context, Place, Report};
use chat_cli::tui::model::{Model, Now};
use chat_cli::tui::options::Options;
use chat_cli::tui::view;
use chat_protocol::lane::{Author, Message};
use chat_protocol::{Content, Cursor, Epoch, Nonce, Seq, SessionId};
use criterion::{Criterion, criterion_group, criterion_main};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

const START_MS: u64 = 1_764_000_000_000;

fn now() -> Now {
    Now {
        instant: Instant::now(),
        ms: START_MS,
    }
}

fn place() -> Place {
    Place {
        room: "lobby".parse().expect("a room"),
        direct: None,
    }
}

fn message(seq: u64) -> Report {
    let author = Author {
        session: SessionId(seq % 50),
        account: None,
        name: format!("user{}", seq % 50).parse().expect("a name"),
    };
    let text = format!("message {seq} with about as many words as people write in a chat");
    Report::Message {
        place: place(),
        cursor: Cursor::new(Epoch(1), Seq(seq)),
        message: Message {
            author,
            nonce: Nonce(seq),
            at_ms: START_MS + seq * 100,
            content: Content::Text(text.parse().expect("a text")),
        },
        own: false,
        history: false,
        mention: false,
        context: Context::default(),
    }
}

/// A client in a room with so many messages.
fn model(len: u64) -> Model {
    let mut model = Model::new(Options::default(), (120, 40));
    let joined = Report::Joined {
        place: place(),
        head: Cursor::new(Epoch(1), Seq(0)),
        past: 0,
        members: 50,
        topic: "".parse().expect("a topic"),
        rejoined: false,
    };
    model.on_report(joined, now());
    model.go_to_room(1);
    for seq in 1..=len {
        model.on_report(message(seq), now());
    }
    model
}

fn draw(canvas: &mut Canvas, model: &Model) -> usize {
    let frame = canvas.draw(|frame| view::draw(frame, model, now()));
    frame.expect("it is in memory").len()
}

fn press(model: &mut Model, code: KeyCode, modifiers: KeyModifiers) {
    model.on_key(&KeyEvent::new(code, modifiers), now());
}

fn screen(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("screen");
    for len in [1_000, 100_000] {
        let mut model = model(len);
        let mut next = len + 1;
        let mut canvas = Canvas::new(model.size).expect("it is in memory");
        group.bench_function(format!("two keys and frames, {len} messages"), |bench| {
            bench.iter(|| {
                press(&mut model, KeyCode::Char('x'), KeyModifiers::NONE);
                black_box(draw(&mut canvas, &model));
                press(&mut model, KeyCode::Backspace, KeyModifiers::NONE);
                black_box(draw(&mut canvas, &model));
            });
        });
        group.bench_function(
            format!("16 messages and a frame, {len} messages"),
            |bench| {
                bench.iter(|| {
                    for _ in 0..16 {
                        model.on_report(message(next), now());
                        next += 1;
                    }
                    black_box(draw(&mut canvas, &model));
                });
            },
        );
        group.bench_function(format!("page up and a frame, {len} messages"), |bench| {
            bench.iter(|| {
                press(&mut model, KeyCode::PageUp, KeyModifiers::NONE);
                black_box(draw(&mut canvas, &model));
            });
        });
        press(&mut model, KeyCode::End, KeyModifiers::NONE);
        group.bench_function(format!("search and a frame, {len} messages"), |bench| {
            bench.iter(|| {
                press(&mut model, KeyCode::Char('s'), KeyModifiers::CONTROL);
                press(&mut model, KeyCode::Char('q'), KeyModifiers::NONE);
                black_box(draw(&mut canvas, &model));
                press(&mut model, KeyCode::Esc, KeyModifiers::NONE);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, screen);
criterion_main!(benches);
