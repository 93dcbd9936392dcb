//! How fast the real program is, measured: `cargo test --release -p chat-cli --test end_to_end speed
//! -- --ignored --nocapture`. Says what it measured and judges nothing.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::screen::Screen;
use crate::support::{Node, Process};

use super::{open, wait_for};

#[test]
#[ignore = "a measurement of a minute, for a release build on a quiet machine"]
fn key_press_to_screen_and_start() {
    let node = Node::start(&[]);
    let mut starts: Vec<Duration> = (0..20)
        .map(|number| {
            let name = format!("starter{number}");
            let begun = Instant::now();
            let mut screen = Screen::start(node.cli(&["--name", &name]), 80);
            let status = format!("#lobby  {name}@");
            while !screen.lines().iter().any(|line| line.contains(&status)) {
                thread::sleep(Duration::from_micros(100));
            }
            let took = begun.elapsed();
            screen.press("\u{4}");
            screen.end();
            took
        })
        .collect();
    say("start to the room on the screen", &mut starts);

    let mut ann = open(&node, "ann", 120, 40);
    let quiet = measure(&mut ann, 100);
    fill(&node, 100_000);
    wait_for(&ann, "line 24999");
    thread::sleep(Duration::from_secs(3));
    let senders: Vec<_> = (0..4)
        .map(|number| {
            let name = format!("sender{number}");
            let mut sender = Process::start(node.cli(&["--name", &name]));
            thread::spawn(move || {
                let begun = Instant::now();
                for sent in 0..5_000_u32 {
                    sender.send(&format!(
                        "{sent}: a message of about eighty bytes, as people write them in a chat"
                    ));
                    let due = begun + Duration::from_millis(4) * sent;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_secs(2));
    let loaded = measure(&mut ann, 300);
    for (what, mut taken) in [
        ("key to screen, empty room", quiet),
        ("key to screen, 100,000 messages, 1,000 a second", loaded),
    ] {
        say(what, &mut taken);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", ann.id())).unwrap_or_default();
    let rss = status.lines().find(|line| line.starts_with("VmRSS"));
    tell(&format!("memory: {}", rss.unwrap_or("unknown")));
    for sender in senders {
        let _ = sender.join();
    }
}

/// Has 4 clients say so many lines as fast as they can.
fn fill(node: &Node, len: u32) {
    let senders: Vec<_> = (0..4)
        .map(|number| {
            let name = format!("filler{number}");
            let mut sender = Process::start(node.cli(&["--name", &name]));
            thread::spawn(move || {
                for sent in 0..len / 4 {
                    sender.send(&format!("line {sent}"));
                }
                sender.end().expect_code(0);
            })
        })
        .collect();
    for sender in senders {
        sender.join().expect("it sends all");
    }
}

/// Times from a key press to its letter on the screen.
fn measure(screen: &mut Screen, len: usize) -> Vec<Duration> {
    let mut taken = vec![];
    for number in 0..len {
        let letter = char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
        if number % 40 == 0 {
            screen.press("\u{15}");
            thread::sleep(Duration::from_millis(50));
        }
        let before = screen.cursor();
        let begun = Instant::now();
        screen.press(&letter.to_string());
        while screen.cursor().1 == before.1 {
            assert!(begun.elapsed() < Duration::from_secs(5), "no letter");
            thread::sleep(Duration::from_micros(100));
        }
        taken.push(begun.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    taken
}

fn say(what: &str, taken: &mut [Duration]) {
    taken.sort_unstable();
    let at = |part: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index of a short list"
        )]
        let index = ((taken.len() - 1) as f64 * part) as usize;
        taken[index].as_secs_f64() * 1e3
    };
    tell(&format!(
        "{what}: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} times)",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        taken.len()
    ));
}

fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
