//! The terminal in interactive mode: a line editor in a thread of its own, and a sink that prints
//! above the line being typed.
//!
//! Enter on a message hands it over without leaving the editor, so the line simply empties and
//! nothing that arrives meanwhile can get between. Enter on a command leaves the editor until the
//! command is done, because only then is the prompt (which names the room) known.
//!
//! Invariants: lines reach the screen in the order they were printed; nothing is written to the
//! terminal between the end of one edit and the first draw of the next; the terminal's modes are
//! given back on every way out, also when the editor still waits for a key.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use rustix::termios::{self, OptionalActions, Termios};
use rustyline::error::ReadlineError;
use rustyline::{ColorMode, Config, Editor, ExternalPrinter};
use tokio::sync::mpsc;

use crate::input::Input;
use crate::output::{Line, Sink};
use crate::palette::{Paint, Palette};
use crate::terminal::assistant::Assistant;
use crate::terminal::desk::Desk;
use crate::terminal::recall::Wanted;

mod assistant;
mod complete;
mod desk;
mod recall;

pub use desk::Words;

/// An open terminal. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Terminal {
    desk: Arc<Desk>,
    before: Option<Termios>,
}

impl Terminal {
    /// Starts the line editor. It shows its first prompt after [`Terminal::set_ready`].
    ///
    /// # Errors
    /// When the terminal cannot do what a line editor needs, such as moving the cursor.
    pub fn open(palette: Palette) -> io::Result<(Self, mpsc::Receiver<Input>, impl Sink)> {
        let before = termios::tcgetattr(io::stdin().as_fd()).ok();
        let (queue, inputs) = mpsc::channel(QUEUE_LEN_MAX);
        let desk = Arc::new(Desk::default());
        let colours = match palette {
            Palette::Colour => ColorMode::Enabled,
            Palette::Bare => ColorMode::Disabled,
        };
        let config = Config::builder()
            .auto_add_history(false)
            .color_mode(colours)
            .build();
        let history = Wanted(desk.clone());
        let mut editor = Editor::with_history(config, history).map_err(io::Error::other)?;
        let printer = editor.create_external_printer().map_err(io::Error::other)?;
        editor.set_helper(Some(Assistant::new(desk.clone())));
        assistant::bind_keys(&mut editor, &desk, &queue);
        let of_thread = desk.clone();
        thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || edit(editor, &of_thread, &queue, palette))?;
        let sink = Screen {
            printer,
            desk: desk.clone(),
        };
        Ok((Self { desk, before }, inputs, sink))
    }

    /// Tells that the input of this number is done, and which prompt the next one gets.
    pub fn set_ready(&self, number: u64, prompt: &str) {
        self.desk.set_ready(number, prompt);
    }

    /// Changes the words that Tab knows.
    pub fn change_words(&self, change: impl FnOnce(&mut Words)) {
        self.desk.change_words(change);
    }

    /// Columns of the terminal.
    #[must_use]
    pub fn columns() -> Option<usize> {
        let size = termios::tcgetwinsize(io::stdout().as_fd()).ok()?;
        (size.ws_col > 0).then_some(size.ws_col.into())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The editor gave the terminal back itself when it has ended.
        if self.desk.end()
            && let Some(before) = &self.before
        {
            let _ = termios::tcsetattr(io::stdin().as_fd(), OptionalActions::Now, before);
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(LEAVE.as_bytes());
            let _ = stdout.flush();
        }
    }
}

fn edit(
    mut editor: Editor<Assistant, Wanted>,
    desk: &Desk,
    queue: &mpsc::Sender<Input>,
    palette: Palette,
) {
    let mut number = 0;
    loop {
        let prompt = desk.wait_ready(number);
        let styled = palette.paint(Paint::Bold, &prompt);
        let line = editor.readline(&(prompt, styled));
        desk.pause();
        let input = match line {
            Ok(text) => {
                number = desk.next_number();
                Input::Line { number, text }
            }
            Err(ReadlineError::Interrupted) => Input::Interrupt,
            Err(_) => Input::End,
        };
        let is_last = !matches!(input, Input::Line { .. });
        if is_last {
            desk.end();
        }
        if queue.blocking_send(input).is_err() || is_last {
            return;
        }
    }
}

/// Prints above the line being typed.
#[derive(Debug)]
struct Screen<P> {
    printer: P,
    desk: Arc<Desk>,
}

impl<P: ExternalPrinter + Send + 'static> Sink for Screen<P> {
    fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        if self.desk.wait_drawn() {
            self.printer.print(text).map_err(io::Error::other)
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        }
    }
}

/// Lines typed ahead of what is done with them.
const QUEUE_LEN_MAX: usize = 64;

/// Ends what the editor began: bracketed paste, and the line being typed.
const LEAVE: &str = "\u{1b}[?2004l\r\u{1b}[K";
