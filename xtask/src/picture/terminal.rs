//! Terminals that tmux emulates, in a server of its own that ends with [`Terminals`].

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cluster::command;
use crate::running::{POLL, Running};
use crate::step;

/// The tmux program of this machine.
///
/// # Errors
/// When there is none; the error says how to install it.
pub(super) fn find_tmux() -> Result<PathBuf> {
    step::find_program("tmux", std::env::var_os("PATH")).context(
        "the picture needs tmux, which is not on PATH\nhelp: install it, for example with \
         `apt-get install tmux`, `dnf install tmux` or `brew install tmux`",
    )
}

/// A private tmux server.
#[derive(Debug)]
pub(super) struct Terminals<'a> {
    tmux: &'a Path,
    home: &'a Path,
    /// Not a daemon: a Ctrl-C that ends this task reaches it too.
    _server: Running,
}

impl<'a> Terminals<'a> {
    /// Starts the server, with its socket below `home`.
    ///
    /// # Errors
    /// When tmux does not start; the error has what it printed.
    pub(super) fn start(tmux: &'a Path, home: &'a Path) -> Result<Self> {
        let mut server = in_private(tmux, home);
        server.args(["-f", "/dev/null", "-D"]);
        let server = Running::start(&mut server, &home.join("tmux.log"))?;
        server.await_ready(|| {
            // A screen outlives its program, so that an error can show what that printed last.
            step::succeeds(in_private(tmux, home).args([
                "set-option",
                "-g",
                "remain-on-exit",
                "on",
            ]))
        })?;
        let terminals = Self {
            tmux,
            home,
            _server: server,
        };
        terminals.ask(&["set-option", "-g", "status", "off"])?;
        terminals.ask(&["set-option", "-g", "default-terminal", "screen-256color"])?;
        Ok(terminals)
    }

    /// Starts `line` in a new terminal of so many rows as the user `name`.
    ///
    /// # Errors
    /// When tmux refuses.
    pub(super) fn open(&self, name: &'static str, line: &str, rows: usize) -> Result<Terminal<'_>> {
        let (columns, rows) = (COLUMNS.to_string(), rows.to_string());
        let user = format!("USER={name}");
        self.ask(&[
            "new-session",
            "-d",
            "-s",
            name,
            "-x",
            &columns,
            "-y",
            &rows,
            "-e",
            &user,
            line,
        ])?;
        Ok(Terminal {
            terminals: self,
            name,
        })
    }

    /// What tmux answers to one command.
    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = in_private(self.tmux, self.home)
            .arg("-N")
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            bail!(
                "`tmux {}`: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Terminals<'_> {
    fn drop(&mut self) {
        // Ends the programs in the terminals in order; the server's process goes down after it.
        let _ = self.ask(&["kill-server"]);
    }
}

/// One terminal with one program in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal<'a> {
    terminals: &'a Terminals<'a>,
    name: &'static str,
}

impl Terminal<'_> {
    /// Types `text`.
    ///
    /// # Errors
    /// When tmux refuses.
    pub(super) fn write(&self, text: &str) -> Result<()> {
        self.terminals
            .ask(&["send-keys", "-t", self.name, "-l", text])
            .map(drop)
    }

    /// Presses a key, as tmux names it.
    ///
    /// # Errors
    /// When tmux refuses.
    pub(super) fn press(&self, key: &str) -> Result<()> {
        self.terminals
            .ask(&["send-keys", "-t", self.name, key])
            .map(drop)
    }

    /// Types `text` and Enter.
    ///
    /// # Errors
    /// When tmux refuses.
    pub(super) fn submit(&self, text: &str) -> Result<()> {
        self.write(text)?;
        self.terminals
            .ask(&["send-keys", "-t", self.name, "Enter"])
            .map(drop)
    }

    /// Returns once `text` is on the screen.
    ///
    /// # Errors
    /// When it does not appear within [`TEXT_MAX`]; the error has the screen.
    pub(super) fn await_text(&self, text: &str) -> Result<()> {
        self.await_screen_with(text).map(drop)
    }

    /// The screen, once its last line ends with `text`.
    ///
    /// # Errors
    /// As those of [`Self::await_text`].
    pub(super) fn await_last_line(&self, text: &str) -> Result<Screen> {
        self.await_screen(text, |screen| screen.last_line().ends_with(text))
    }

    /// The screen, once `text` is on it.
    ///
    /// # Errors
    /// As those of [`Self::await_text`].
    pub(super) fn await_screen_with(&self, text: &str) -> Result<Screen> {
        self.await_screen(text, |screen| screen.plain.contains(text))
    }

    fn await_screen(&self, text: &str, is_awaited: impl Fn(&Screen) -> bool) -> Result<Screen> {
        let deadline = Instant::now() + TEXT_MAX;
        loop {
            let screen = self.screen()?;
            if is_awaited(&screen) {
                return Ok(screen);
            }
            if Instant::now() > deadline {
                bail!(
                    "\"{text}\" is not where it should be on the screen of {} within \
                     {TEXT_MAX:?}:\n{}",
                    self.name,
                    screen.plain
                );
            }
            thread::sleep(POLL);
        }
    }

    /// What the terminal shows now.
    fn screen(&self) -> Result<Screen> {
        let capture = |how: &str| self.terminals.ask(&["capture-pane", how, "-t", self.name]);
        let column =
            self.terminals
                .ask(&["display-message", "-p", "-t", self.name, "#{cursor_x}"])?;
        Ok(Screen {
            plain: capture("-p")?.trim_end().to_owned(),
            // With the cells at the end of a line that have nothing but a background.
            coloured: capture("-epN")?.trim_end().to_owned(),
            cursor_column: column.trim_end().parse()?,
        })
    }
}

/// What a terminal shows, without the empty lines at its end.
#[derive(Debug)]
pub(super) struct Screen {
    /// The text alone.
    pub(super) plain: String,
    /// The text with the escape codes that colour it.
    pub(super) coloured: String,
    /// Where the cursor is in the last line, in columns from 0.
    pub(super) cursor_column: usize,
}

impl Screen {
    /// The line with the cursor.
    pub(super) fn last_line(&self) -> &str {
        self.plain.lines().next_back().unwrap_or_default()
    }
}

/// Width of a terminal in the picture, and of the smallest ones in use.
pub(super) const COLUMNS: usize = 80;

/// Time an awaited text may take. A notice takes up to its own 10 seconds, a bot's run longer.
const TEXT_MAX: Duration = Duration::from_secs(30);

/// A tmux command for the private server only. No command but `-D` starts one here.
fn in_private(tmux: &Path, home: &Path) -> Command {
    let mut tmux = command(home, &tmux.to_string_lossy());
    tmux.env("TMUX_TMPDIR", home).args(["-L", "picture"]);
    tmux
}
