//! Makes the bytes that turn one screen into the next.

use std::cell::RefCell;
use std::io::{self, Write};
use std::mem;
use std::rc::Rc;

use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

/// What a terminal of a certain size shows.
#[derive(Debug)]
pub struct Canvas {
    terminal: Terminal<CrosstermBackend<Ink>>,
    ink: Ink,
}

impl Canvas {
    /// An empty one, of so many columns and rows.
    ///
    /// # Errors
    /// None that comes from outside: it is kept in memory.
    pub fn new((columns, rows): (u16, u16)) -> io::Result<Self> {
        let ink = Ink::default();
        ink.0.borrow_mut().extend_from_slice(CLEAR);
        let terminal = Terminal::with_options(
            CrosstermBackend::new(ink.clone()),
            TerminalOptions {
                // With another one it would ask the terminal for its size and its cursor.
                viewport: Viewport::Fixed(Rect::new(0, 0, columns, rows)),
            },
        )?;
        Ok(Self { terminal, ink })
    }

    /// The bytes that show what `render` draws, when all bytes before were written.
    ///
    /// # Errors
    /// None that comes from outside: it is kept in memory.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<Vec<u8>> {
        self.terminal.draw(render)?;
        Ok(mem::take(&mut *self.ink.0.borrow_mut()))
    }
}

/// Bytes on their way from the terminal's library to the terminal.
#[derive(Clone, Debug, Default)]
struct Ink(Rc<RefCell<Vec<u8>>>);

impl Write for Ink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// No style, an empty screen.
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J";
