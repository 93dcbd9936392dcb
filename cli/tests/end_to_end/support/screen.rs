//! A pseudo terminal with the program on it, and what somebody in front of it would see.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::Parser;

use crate::support::SOON;

/// The program on a terminal.
pub(crate) struct Screen {
    child: Child,
    keyboard: File,
    terminal: OwnedFd,
    seen: Arc<Mutex<Parser>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    /// On a terminal of 24 lines.
    pub(crate) fn start(command: Command, columns: u16) -> Self {
        Self::start_sized(command, columns, ROWS)
    }

    pub(crate) fn start_sized(mut command: Command, columns: u16, rows: u16) -> Self {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&main).unwrap();
        unlockpt(&main).unwrap();
        let name = ptsname(&main, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        tcsetwinsize(&terminal, size_of(columns, rows)).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let child = command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let seen = Arc::new(Mutex::new(Parser::new(
            rows.try_into().unwrap(),
            columns.try_into().unwrap(),
            0,
        )));
        let written_by_it = Arc::new(Mutex::new(vec![]));
        let mut written = File::from(main.try_clone().unwrap());
        let shown = Arc::clone(&seen);
        let kept = Arc::clone(&written_by_it);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = written.read(&mut bytes) {
                kept.lock().unwrap().extend_from_slice(&bytes[..len]);
                shown.lock().unwrap().process(&bytes[..len]);
            }
        });
        Self {
            child,
            keyboard: File::from(main),
            terminal,
            seen,
            written: written_by_it,
        }
    }

    /// The terminal gets another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns_of, rows_of) = (columns.try_into().unwrap(), rows.try_into().unwrap());
        let mut seen = self.seen.lock().unwrap();
        seen.screen_mut().set_size(rows_of, columns_of);
        tcsetwinsize(&self.terminal, size_of(columns, rows)).unwrap();
        drop(seen);
        let status = Command::new("kill")
            .args(["-WINCH", &self.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Everything the program has written.
    pub(crate) fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }

    /// The whole screen, line by line, as wide as it is.
    pub(crate) fn rows(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let screen = seen.screen();
        let columns = screen.size().1.get();
        screen.rows(0, columns).collect()
    }

    /// What is in every cell, row by row; what follows a wide character is empty.
    pub(crate) fn cells(&self) -> Vec<Vec<String>> {
        let seen = self.seen.lock().unwrap();
        let screen = seen.screen();
        let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
        let cell = |row, column| {
            let cell = screen.cell(row, column);
            cell.map_or_else(String::new, |cell| cell.contents().to_owned())
        };
        (0..rows)
            .map(|row| (0..columns).map(|column| cell(row, column)).collect())
            .collect()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// The lines on the screen, without those that are empty at its end.
    pub(crate) fn lines(&self) -> Vec<String> {
        let contents = self.seen.lock().unwrap().screen().contents();
        contents
            .trim_end_matches('\n')
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// The line the cursor is in, and the column it is in.
    pub(crate) fn cursor(&self) -> (String, u16) {
        let seen = self.seen.lock().unwrap();
        let screen = seen.screen();
        let (row, column) = screen.cursor_position();
        let columns = screen.size().1.get();
        let line = screen.rows(0, columns).nth(row.into()).unwrap_or_default();
        (line.trim_end().to_owned(), column)
    }

    /// Whether a cell of the line that begins like this has a background of its own.
    pub(crate) fn is_bar(&self, begin: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        let screen = seen.screen();
        let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
        (0..rows).any(|row| {
            let line = screen.rows(0, columns).nth(row.into()).unwrap_or_default();
            let is_coloured = |column| {
                screen
                    .cell(row, column)
                    .is_some_and(|cell| cell.bgcolor() != vt100::Color::Default)
            };
            line.starts_with(begin) && (0..columns).all(is_coloured)
        })
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is_there: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + SOON;
        while !is_there(&self.lines()) {
            assert!(
                Instant::now() < deadline,
                "{what} is not on the screen: {:#?}",
                self.lines()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a line that ends like this.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, end: &str) {
        self.wait_for(end, |lines| {
            lines.iter().any(|line| line.trim_end().ends_with(end))
        });
    }

    /// Waits until the cursor stands in this line, behind its last character.
    #[track_caller]
    pub(crate) fn wait_for_prompt(&self, line: &str) {
        let end = u16::try_from(line.chars().count()).unwrap();
        let line = line.trim_end();
        self.wait_for(line, |_| self.cursor() == (line.to_owned(), end));
    }

    /// Whether the terminal echoes keys and gathers them to lines, as it does for a shell.
    pub(crate) fn is_given_back(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end: its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "it does not end: {:#?}",
                self.lines()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const fn size_of(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

const ROWS: u16 = 24;
