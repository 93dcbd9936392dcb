//! A pseudo terminal in place of the real one, and what somebody in front of it would see.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use vt100::{Parser, Screen};

use super::SOON;

pub(super) struct Pty {
    keyboard: File,
    tty: OwnedFd,
    seen: Arc<Mutex<Parser>>,
    is_read: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Pty {
    pub(super) fn open(columns: u16, rows: u16) -> Self {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&main).unwrap();
        unlockpt(&main).unwrap();
        let name = ptsname(&main, vec![]).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let tty = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let seen = Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
        let seen = Arc::new(Mutex::new(seen));
        let is_read = Arc::new(AtomicBool::new(true));
        let reader = {
            let (seen, is_read) = (Arc::clone(&seen), Arc::clone(&is_read));
            let main = File::from(main.try_clone().unwrap());
            thread::spawn(move || show(main, &seen, &is_read))
        };
        let pty = Self {
            keyboard: File::from(main),
            tty,
            seen,
            is_read,
            reader,
        };
        pty.set_size(columns, rows);
        pty
    }

    /// What a view takes.
    pub(super) fn tty(&self) -> File {
        File::from(self.tty.try_clone().unwrap())
    }

    /// All modes, in words.
    pub(super) fn modes(&self) -> String {
        format!("{:?}", tcgetattr(&self.tty).unwrap())
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        let size = (rows.try_into().unwrap(), columns.try_into().unwrap());
        self.seen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(size.0, size.1);
        self.set_size(columns, rows);
    }

    fn set_size(&self, columns: u16, rows: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.tty, size).unwrap();
    }

    #[track_caller]
    pub(super) fn wait_for(&self, what: &str, is_there: impl Fn(&Screen) -> bool) {
        let began = Instant::now();
        loop {
            let seen = self.seen.lock().unwrap();
            if is_there(seen.screen()) {
                return;
            }
            assert!(
                began.elapsed() < SOON,
                "{what} is not on the screen:\n{}",
                seen.screen().contents()
            );
            drop(seen);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Takes nothing any more of what is written.
    pub(super) fn stop_reading(&self) {
        self.is_read.store(false, Ordering::Relaxed);
    }

    /// Whether the terminal takes more.
    pub(super) fn is_writable(&self) -> bool {
        is_ready(&self.tty, PollFlags::OUT, Duration::ZERO)
    }

    /// Goes away, as when a window is closed.
    pub(super) fn close(self) {
        self.stop_reading();
        self.reader.join().unwrap();
    }
}

fn show(mut main: File, seen: &Mutex<Parser>, is_read: &AtomicBool) {
    let mut bytes = [0; 4096];
    while is_read.load(Ordering::Relaxed) {
        if is_ready(&main, PollFlags::IN, Duration::from_millis(10)) {
            let Ok(len @ 1..) = main.read(&mut bytes) else {
                return;
            };
            seen.lock().unwrap().process(&bytes[..len]);
        }
    }
}

fn is_ready(fd: impl AsFd, flags: PollFlags, time: Duration) -> bool {
    let time = Timespec::try_from(time).unwrap();
    poll(&mut [PollFd::new(&fd, flags)], Some(&time)).unwrap() > 0
}
