//! The line being written: editing with the keys people know from their shell. Pure.
//!
//! Invariant: what is in it is the user's own, as typed; it is cleaned when it is drawn.

use std::cell::RefCell;
use std::rc::Rc;

use rustyline::line_buffer::{ChangeListener, DeleteListener, Direction, LineBuffer};
use rustyline::{At, Movement, Word};
use unicode_segmentation::UnicodeSegmentation;

use super::action::Action;
use crate::cells;
use crate::wrap;

/// A text, where the cursor is in it, and what can be undone.
#[derive(Debug)]
pub struct Composer {
    line: LineBuffer,
    /// What was deleted last.
    killed: String,
    undo: Vec<(String, usize)>,
    /// Whether the next letter goes on with what is undone in one step.
    is_typing: bool,
    /// Changes with the text.
    version: u64,
    /// What was drawn last, and of what.
    drawn: RefCell<Option<(DrawnOf, Rc<Drawn>)>>,
}

/// Columns, place of the cursor, and version of the text.
type DrawnOf = (usize, usize, u64);

/// A text as it is drawn: rows of a certain width, and the cursor's row and column among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drawn {
    /// The rows; at least one.
    pub rows: Vec<String>,
    /// The cursor's row.
    pub row: usize,
    /// The cursor's column.
    pub column: usize,
}

impl Default for Composer {
    fn default() -> Self {
        Self {
            line: LineBuffer::with_capacity(TEXT_BYTES_MAX),
            killed: String::new(),
            undo: vec![],
            is_typing: false,
            version: 0,
            drawn: RefCell::default(),
        }
    }
}

impl Composer {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.line.as_str()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// The text up to the cursor.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.line.as_str()[..self.line.pos()]
    }

    /// Replaces everything; the cursor is at the end.
    pub fn set(&mut self, text: &str) {
        self.version += 1;
        self.keep();
        let text = cut(text, TEXT_BYTES_MAX);
        self.line.update(text, text.len(), &mut Heard::default());
    }

    /// Takes everything out.
    pub fn take(&mut self) -> String {
        self.version += 1;
        let text = self.text().to_owned();
        self.line.update("", 0, &mut Heard::default());
        self.undo.clear();
        self.is_typing = false;
        text
    }

    /// Types a letter.
    pub fn insert(&mut self, letter: char) {
        self.version += 1;
        if !self.is_typing || letter.is_whitespace() {
            self.keep();
            self.is_typing = true;
        }
        let _ = self.line.insert(letter, 1, &mut Heard::default());
    }

    /// Puts a text in; whether it fits.
    pub fn insert_text(&mut self, text: &str) -> bool {
        self.version += 1;
        if self.line.len() + text.len() > TEXT_BYTES_MAX {
            return false;
        }
        self.keep();
        let _ = self.line.yank(text, 1, &mut Heard::default());
        true
    }

    /// Replaces the text between two places by another one; the cursor goes behind it.
    pub fn replace(&mut self, start: usize, end: usize, text: &str) {
        self.version += 1;
        self.keep();
        self.line.replace(start..end, text, &mut Heard::default());
        self.line.set_pos(start + text.len());
    }

    /// Does what an action says; whether it was one for this.
    pub fn edit(&mut self, action: Action) -> bool {
        self.version += 1;
        let mut heard = Heard::default();
        let before = (self.text().to_owned(), self.line.pos());
        match action {
            Action::NewLine => {
                let _ = self.line.insert('\n', 1, &mut heard);
            }
            Action::Left => {
                let _ = self.line.move_backward(1);
            }
            Action::Right => {
                let _ = self.line.move_forward(1);
            }
            Action::WordLeft => {
                let _ = self.line.move_to_prev_word(Word::Emacs, 1);
            }
            Action::WordRight => {
                let _ = self.line.move_to_next_word(At::AfterEnd, Word::Emacs, 1);
            }
            Action::LineStart => {
                let _ = self.line.move_home();
            }
            Action::LineEnd => {
                let _ = self.line.move_end();
            }
            Action::DeleteBack => {
                let _ = self.line.backspace(1, &mut heard);
            }
            Action::Delete => {
                let _ = self.line.delete(1, &mut heard);
            }
            Action::DeleteWordBack => {
                let _ = self
                    .line
                    .kill(&Movement::BackwardWord(1, Word::Big), &mut heard);
            }
            Action::DeleteWord => {
                let word = Movement::ForwardWord(1, At::AfterEnd, Word::Emacs);
                let _ = self.line.kill(&word, &mut heard);
            }
            Action::DeleteToEnd => {
                let _ = self.line.kill(&Movement::EndOfLine, &mut heard);
            }
            Action::DeleteToStart => {
                let _ = self.line.kill(&Movement::BeginningOfLine, &mut heard);
            }
            Action::Yank => {
                let killed = std::mem::take(&mut self.killed);
                let _ = self.line.yank(&killed, 1, &mut heard);
                self.killed = killed;
            }
            Action::Transpose => {
                let _ = self.line.transpose_chars(&mut heard);
            }
            Action::Undo => {
                if let Some((text, pos)) = self.undo.pop() {
                    self.line.update(&text, pos, &mut heard);
                }
                self.is_typing = false;
                return true;
            }
            _ => return false,
        }
        self.is_typing = false;
        if before.0 != self.text() {
            push_bounded(&mut self.undo, before);
        }
        if !heard.killed.is_empty() {
            self.killed = heard.killed;
        }
        true
    }

    /// Whether the cursor is in the first line.
    #[must_use]
    pub fn is_in_first_line(&self) -> bool {
        !self.before().contains('\n')
    }

    /// Whether the cursor is in the last line.
    #[must_use]
    pub fn is_in_last_line(&self) -> bool {
        !self.text()[self.line.pos()..].contains('\n')
    }

    /// Moves the cursor to the line above, to about the same place.
    pub fn move_up(&mut self) {
        let before = self.before();
        let Some(end) = before.rfind('\n') else {
            return;
        };
        let column = wrap::columns(&before[end + 1..]);
        let start = before[..end].rfind('\n').map_or(0, |feed| feed + 1);
        let pos = start + at_column(&before[start..end], column);
        self.line.set_pos(pos);
    }

    /// Moves the cursor to the line below, to about the same place.
    pub fn move_down(&mut self) {
        let before = self.before();
        let start = before.rfind('\n').map_or(0, |feed| feed + 1);
        let column = wrap::columns(&before[start..]);
        let after = &self.text()[before.len()..];
        let Some(feed) = after.find('\n') else { return };
        let below = before.len() + feed + 1;
        let line = self.text()[below..].split('\n').next().unwrap_or_default();
        let pos = below + at_column(line, column);
        self.line.set_pos(pos);
    }

    /// The text in rows of so many columns. The same again costs nothing.
    #[must_use]
    pub fn draw(&self, columns: usize) -> Rc<Drawn> {
        let key = (columns, self.line.pos(), self.version);
        let mut kept = self.drawn.borrow_mut();
        match &*kept {
            Some((of, drawn)) if *of == key => Rc::clone(drawn),
            _ => {
                let drawn = Rc::new(self.draw_anew(columns));
                *kept = Some((key, Rc::clone(&drawn)));
                drawn
            }
        }
    }

    fn draw_anew(&self, columns: usize) -> Drawn {
        let columns = columns.max(2);
        let mut drawn = Drawn {
            rows: vec![],
            row: 0,
            column: 0,
        };
        let mut row = String::new();
        let mut row_columns = 0;
        for (at, grapheme) in self.text().grapheme_indices(true) {
            let is_feed = grapheme == "\n";
            let shown = if is_feed {
                String::new()
            } else {
                cells::line(grapheme)
            };
            let shown_columns = wrap::columns(&shown);
            // One column stays free for the cursor behind the last character.
            if row_columns + shown_columns >= columns {
                drawn.rows.push(std::mem::take(&mut row));
                row_columns = 0;
            }
            if at == self.line.pos() {
                (drawn.row, drawn.column) = (drawn.rows.len(), row_columns);
            }
            if is_feed {
                drawn.rows.push(std::mem::take(&mut row));
                row_columns = 0;
            }
            row.push_str(&shown);
            row_columns += shown_columns;
        }
        if self.line.is_cursor_at_end() {
            (drawn.row, drawn.column) = (drawn.rows.len(), row_columns);
        }
        drawn.rows.push(row);
        drawn
    }

    fn keep(&mut self) {
        let now = (self.text().to_owned(), self.line.pos());
        push_bounded(&mut self.undo, now);
        self.is_typing = false;
    }
}

/// The place in a line that is so many columns from its start, or its end.
fn at_column(line: &str, columns: usize) -> usize {
    let mut so_far = 0;
    for (at, grapheme) in line.grapheme_indices(true) {
        if so_far >= columns {
            return at;
        }
        so_far += wrap::columns(grapheme);
    }
    line.len()
}

fn push_bounded(undo: &mut Vec<(String, usize)>, state: (String, usize)) {
    if undo.len() == UNDO_LEN_MAX {
        undo.remove(0);
    }
    undo.push(state);
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Hears what an edit deletes, to put it back elsewhere.
#[derive(Debug, Default)]
struct Heard {
    is_killing: bool,
    killed: String,
}

impl DeleteListener for Heard {
    fn start_killing(&mut self) {
        self.is_killing = true;
    }

    fn delete(&mut self, _: usize, text: &str, direction: Direction) {
        match direction {
            _ if !self.is_killing => {}
            Direction::Forward => self.killed.push_str(text),
            Direction::Backward => self.killed.insert_str(0, text),
        }
    }

    fn stop_killing(&mut self) {
        self.is_killing = false;
    }
}

impl ChangeListener for Heard {
    fn insert_char(&mut self, _: usize, _: char) {}

    fn insert_str(&mut self, _: usize, _: &str) {}

    fn replace(&mut self, _: usize, _: &str, _: &str) {}
}

/// Longest text that can be written: some messages long, so that it can be split.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Steps that can be undone.
const UNDO_LEN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn composer(text: &str) -> Composer {
        let mut composer = Composer::default();
        for letter in text.chars() {
            composer.insert(letter);
        }
        composer
    }

    fn after(text: &str, actions: &[Action]) -> String {
        let mut composer = composer(text);
        for action in actions {
            assert!(composer.edit(*action), "{action:?}");
        }
        let pos = composer.before().len();
        format!("{}|{}", composer.before(), &composer.text()[pos..])
    }

    #[test]
    fn keys_edit_as_in_a_shell() {
        use Action::*;
        for (text, actions, expected) in [
            ("one two", &[WordLeft][..], "one |two"),
            ("one two", &[LineStart, WordRight], "one| two"),
            ("one two", &[DeleteWordBack], "one |"),
            ("one two", &[DeleteWordBack, LineStart, Yank], "two|one "),
            ("one two", &[LineStart, DeleteWord], "| two"),
            (
                "one two",
                &[WordLeft, DeleteToEnd, Yank, Yank],
                "one twotwo|",
            ),
            ("one two", &[WordLeft, DeleteToStart], "|two"),
            ("ab", &[Transpose], "ba|"),
            ("e\u{301}x", &[Left, DeleteBack], "|x"),
            ("👩\u{200d}💻", &[DeleteBack], "|"),
            ("ab", &[LineStart, Delete], "|b"),
            ("one two", &[DeleteWordBack, Undo], "one two|"),
            ("one two", &[Undo], "one|"),
            ("a", &[NewLine, Undo, Undo, Undo], "|"),
        ] {
            assert_eq!(after(text, actions), expected, "{text:?} {actions:?}");
        }
        assert!(!composer("a").edit(Help));
    }

    #[test]
    fn lines_are_gone_through_by_column() {
        let mut composer = composer("long line\nab\nlast line");
        composer.move_up();
        assert_eq!(composer.before(), "long line\nab");
        composer.move_up();
        assert_eq!(composer.before(), "lo");
        assert!(composer.is_in_first_line() && !composer.is_in_last_line());
        composer.move_up();
        assert_eq!(composer.before(), "lo");
        composer.move_down();
        composer.move_down();
        assert_eq!(composer.before(), "long line\nab\nla");
        assert!(composer.is_in_last_line());
    }

    #[test]
    fn it_is_drawn_with_the_cursor_where_it_is() {
        let drawn = |text: &str, columns| {
            let drawn = composer(text).draw(columns);
            (drawn.rows.join("/"), drawn.row, drawn.column)
        };
        assert_eq!(drawn("", 5), (String::new(), 0, 0));
        assert_eq!(drawn("abcd", 5), ("abcd".to_owned(), 0, 4));
        assert_eq!(drawn("abcde", 5), ("abcd/e".to_owned(), 1, 1));
        assert_eq!(drawn("ab\ncd", 5), ("ab/cd".to_owned(), 1, 2));
        assert_eq!(drawn("日本語", 5), ("日本/語".to_owned(), 1, 2));
        assert_eq!(drawn("a\u{1b}[2J", 20).0, "a␛[2J");
    }

    #[test]
    fn it_is_bounded() {
        let mut composer = Composer::default();
        composer.set(&"é".repeat(TEXT_BYTES_MAX));
        assert_eq!(composer.text().len(), TEXT_BYTES_MAX);
        composer.insert('x');
        assert!(!composer.insert_text("x"));
        assert_eq!(composer.text().len(), TEXT_BYTES_MAX);
        for _ in 0..200 {
            composer.edit(Action::DeleteBack);
        }
        assert!(composer.undo.len() <= UNDO_LEN_MAX);
        assert_eq!(composer.take().len(), TEXT_BYTES_MAX - 400);
        assert!(composer.is_empty());
    }

    #[test]
    fn every_change_is_drawn() {
        let mut composer = composer("abc");
        assert_eq!(composer.draw(20).rows, ["abc"]);
        composer.replace(0, 3, "xyz");
        assert_eq!(composer.draw(20).rows, ["xyz"]);
        composer.set("uvw");
        assert_eq!(composer.draw(20).rows, ["uvw"]);
        composer.edit(Action::Transpose);
        assert_eq!(composer.draw(20).rows, ["uwv"]);
        composer.edit(Action::Undo);
        assert_eq!(composer.draw(20).rows, ["uvw"]);
        composer.take();
        composer.insert_text("rst");
        assert_eq!(composer.draw(20).rows, ["rst"]);
    }
}
