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
        Ok(with_basic_colours(&mem::take(
            &mut *self.ink.0.borrow_mut(),
        )))
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

/// The same bytes with the 16 basic colours spelled as every terminal with colours knows them. The
/// terminal's library spells them as those of a terminal of 256 (`38;5;1`).
fn with_basic_colours(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|two| two == b"\x1b[") {
        let (before, code) = rest.split_at(at + 2);
        out.extend_from_slice(before);
        let is_parameter = |byte: &u8| byte.is_ascii_digit() || *byte == b';';
        let len = code.iter().position(|byte| !is_parameter(byte));
        let (parameters, after) = code.split_at(len.unwrap_or(code.len()));
        if after.first() == Some(&b'm') {
            out.extend_from_slice(basic(parameters).as_bytes());
        } else {
            out.extend_from_slice(parameters);
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// Parameters of a style with its basic colours as numbers of their own.
fn basic(parameters: &[u8]) -> String {
    let text = String::from_utf8_lossy(parameters);
    let mut numbers = text.split(';').peekable();
    let mut out: Vec<String> = vec![];
    while let Some(number) = numbers.next() {
        let base = match number {
            "38" => 30,
            "48" => 40,
            _ => {
                out.push(number.to_owned());
                continue;
            }
        };
        let kind = numbers.next().unwrap_or_default();
        let colour = numbers.peek().and_then(|colour| colour.parse::<u8>().ok());
        match (kind, colour) {
            ("5", Some(colour @ 0..=7)) => out.push((base + colour).to_string()),
            ("5", Some(colour @ 8..=15)) => out.push((base + 60 + colour - 8).to_string()),
            _ => {
                out.extend([number.to_owned(), kind.to_owned()]);
                continue;
            }
        }
        numbers.next();
    }
    out.join(";")
}

/// No style, an empty screen.
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_colours_are_spelled_for_every_terminal() {
        for (theirs, ours) in [
            ("a\u{1b}[38;5;1mb", "a\u{1b}[31mb"),
            ("\u{1b}[38;5;13;48;5;0m", "\u{1b}[95;40m"),
            ("\u{1b}[1m\u{1b}[7m", "\u{1b}[1m\u{1b}[7m"),
            ("\u{1b}[38;5;200m", "\u{1b}[38;5;200m"),
            ("\u{1b}[38;2;1;2;3m", "\u{1b}[38;2;1;2;3m"),
            ("\u{1b}[39;49m\u{1b}[3;5H", "\u{1b}[39;49m\u{1b}[3;5H"),
            ("\u{1b}[38;5", "\u{1b}[38;5"),
            ("\u{1b}[0m", "\u{1b}[0m"),
        ] {
            let bytes = with_basic_colours(theirs.as_bytes());
            assert_eq!(String::from_utf8(bytes).unwrap(), ours);
        }
    }
}
