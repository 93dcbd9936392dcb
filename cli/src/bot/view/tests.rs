use std::time::Instant;

use super::*;
use crate::bot::report::ErrorRow;
use pty::Pty;

mod pty;

#[test]
fn keys_are_told_from_sequences() {
    let (quit, pause) = (Typed::Key(Key::Quit), Typed::Key(Key::Pause));
    for (bytes, expected) in [
        (&b"q"[..], &[quit][..]),
        (b"Q", &[quit]),
        (b"pP", &[pause, pause]),
        (b"x\r\x1a", &[Typed::Suspend]),
        (b"\x1b[A", &[]),
        (b"\x1bq", &[]),
        (b"\x1b[200~quit\x1b[201~", &[]),
        (b"", &[]),
        (b"\x03\xff", &[]),
    ] {
        assert_eq!(typed(bytes), expected, "{bytes:?}");
    }
}

#[tokio::test]
async fn pages_come_and_go() {
    let _one = ONE.lock().await;
    let mut pty = Pty::open(80, 24);
    let before = pty.modes();
    let (view, mut keys) = View::pages_on(pty.tty(), Palette::Colour).unwrap();
    view.draw(&load(12));
    pty.wait_for("the page", |screen| {
        screen.alternate_screen()
            && screen.hide_cursor()
            && screen.contents().starts_with(" LOAD       12s")
    });
    assert_ne!(pty.modes(), before);
    view.draw(&load(13));
    pty.wait_for("the next", |screen| screen.contents().contains(" 13s "));
    pty.resize(40, 10);
    pty.wait_for("a smaller page", |screen| {
        screen.contents().starts_with(" LOAD  13s  0/0 clients")
    });
    pty.press("xq");
    assert_eq!(keys.recv().await, Some(Key::Quit));
    pty.press("p");
    assert_eq!(keys.recv().await, Some(Key::Pause));
    drop(view);
    assert_eq!(pty.modes(), before);
    pty.wait_for("the first screen", |screen| {
        !screen.alternate_screen() && !screen.hide_cursor()
    });
    assert_eq!(keys.recv().await, None, "the view has ended");
}

#[tokio::test]
async fn a_panic_gives_the_terminal_back() {
    let _one = ONE.lock().await;
    let pty = Pty::open(80, 24);
    let before = pty.modes();
    let (view, _keys) = View::pages_on(pty.tty(), Palette::Bare).unwrap();
    view.draw(&load(12));
    pty.wait_for("the page", |screen| screen.contents().contains("LOAD"));
    thread::spawn(|| panic!("a panic that was asked for"))
        .join()
        .unwrap_err();
    assert_eq!(pty.modes(), before);
    pty.wait_for("the first screen", |screen| !screen.alternate_screen());
    // The run goes on, and nothing is drawn over what comes next.
    view.draw(&load(13));
    let ended = view.painter.ended.recv_timeout(SOON);
    assert_eq!(ended, Err(std_mpsc::RecvTimeoutError::Disconnected));
    pty.wait_for("an empty screen", |screen| screen.contents().is_empty());
}

#[tokio::test]
async fn a_terminal_that_goes_away_ends_the_view() {
    let _one = ONE.lock().await;
    let pty = Pty::open(80, 24);
    let tty = pty.tty();
    let (mut view, _keys) = View::pages_on(tty, Palette::Colour).unwrap();
    view.draw(&load(12));
    pty.wait_for("the page", |screen| screen.contents().contains("LOAD"));
    pty.close();
    let keyboard = view.keyboard.take().unwrap();
    let began = Instant::now();
    while !keyboard.is_finished() {
        assert!(began.elapsed() < SOON, "the keyboard is still read");
        thread::sleep(Duration::from_millis(5));
    }
    let ended = view.painter.ended.recv_timeout(SOON);
    assert_eq!(ended, Err(std_mpsc::RecvTimeoutError::Disconnected));
    view.draw(&load(13));
}

#[tokio::test]
async fn a_stuck_terminal_holds_nobody_up() {
    let _one = ONE.lock().await;
    let pty = Pty::open(200, 60);
    let before = pty.modes();
    let (view, _keys) = View::pages_on(pty.tty(), Palette::Colour).unwrap();
    view.draw(&load(0));
    pty.wait_for("the page", |screen| screen.contents().contains("LOAD"));
    pty.stop_reading();
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    let mut second = 0;
    // Nothing of one page is in the next, until the terminal takes no more.
    while pty.is_writable() {
        assert!(began.elapsed() < 4 * SOON, "the terminal takes everything");
        second += 1;
        let error = ErrorRow {
            text: char::from(b'a' + u8::try_from(second % 26).unwrap())
                .to_string()
                .repeat(180),
            ..ErrorRow::default()
        };
        let progress = Progress {
            errors: vec![error; 50],
            ..load(second)
        };
        let put = Instant::now();
        view.draw(&progress);
        longest = longest.max(put.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    view.draw(&load(second));
    assert!(longest < Duration::from_millis(100), "{longest:?}");
    let dropped = Instant::now();
    drop(view);
    assert!(dropped.elapsed() < SOON);
    assert_eq!(pty.modes(), before);
}

fn load(second: u64) -> Progress {
    Progress {
        phase: Phase::Load,
        elapsed: Duration::from_secs(second),
        ..Progress::default()
    }
}

/// There is one terminal in a process.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// Whatever takes longer does not come.
const SOON: Duration = Duration::from_secs(5);
