//! What people do at the terminal, read by a thread of its own.

use std::io;
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event};
use tokio::sync::mpsc;

use crate::screen::Screen;

/// Starts to read keys, pastes, the mouse, and changes of size. It ends when nobody takes them any
/// more; the queue ends when the terminal has gone.
///
/// # Errors
/// When the system has no thread to give.
pub fn listen(screen: Screen) -> io::Result<mpsc::Receiver<Event>> {
    let (sender, receiver) = mpsc::channel(QUEUE_LEN_MAX);
    thread::Builder::new()
        .name("keyboard".to_owned())
        .spawn(move || read(&screen, &sender))?;
    Ok(receiver)
}

fn read(screen: &Screen, sender: &mpsc::Sender<Event>) {
    while !sender.is_closed() {
        // Keys are another program's, or a shell's; a read would stop this process.
        if !screen.is_ours() {
            thread::sleep(INTERVAL);
            continue;
        }
        match event::poll(INTERVAL) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        }
        match event::read() {
            Ok(event) => {
                if sender.blocking_send(event).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// How often the keyboard is left to see whether it is still ours, and somebody takes the keys.
pub const INTERVAL: Duration = Duration::from_millis(50);

/// Keys that nobody took yet.
const QUEUE_LEN_MAX: usize = 256;
