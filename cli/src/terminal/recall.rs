//! Lines typed before, for the Up and Down keys.
//!
//! The editor keeps a place in its own history from one line to the next, and with ours it never
//! begins a new line. So the place is kept here, and the editor only fetches the line to show.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use rustyline::Result;
use rustyline::history::{History, SearchDirection, SearchResult};

use crate::terminal::desk::Desk;

/// Lines typed before, and where among them the user is.
#[derive(Debug, Default)]
pub(super) struct Recall {
    lines: VecDeque<String>,
    /// The line shown; none while a new one is typed.
    at: Option<usize>,
    /// The new line as it was before Up was pressed.
    draft: String,
    /// The line that the editor is about to fetch.
    wanted: Option<String>,
}

impl Recall {
    /// Keeps a line for the editor to fetch.
    pub(super) fn want(&mut self, line: String) {
        self.wanted = Some(line);
    }

    /// Remembers a line that was entered.
    pub(super) fn push(&mut self, line: &str) {
        self.at = None;
        if self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == LINES_LEN_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// The line before the one shown, if there is one. `line` is what is typed now.
    pub(super) fn up(&mut self, line: &str) -> Option<String> {
        let at = match self.at {
            None => {
                line.clone_into(&mut self.draft);
                self.lines.len().checked_sub(1)?
            }
            Some(at) => at.checked_sub(1)?,
        };
        self.at = Some(at);
        self.lines.get(at).cloned()
    }

    /// The line after the one shown; after the last comes the new one, as it was.
    pub(super) fn down(&mut self) -> Option<String> {
        let at = self.at? + 1;
        if at < self.lines.len() {
            self.at = Some(at);
            return self.lines.get(at).cloned();
        }
        self.at = None;
        Some(std::mem::take(&mut self.draft))
    }

    /// Forgets where the user was: the line was cleared.
    pub(super) fn leave(&mut self) {
        self.at = None;
    }
}

/// What the editor takes for its history: it always stands in the middle, and shows what is wanted.
pub(super) struct Wanted(pub(super) Arc<Desk>);

impl History for Wanted {
    fn get(&self, _: usize, _: SearchDirection) -> Result<Option<SearchResult<'_>>> {
        let wanted = self.0.change_recall(|recall| recall.wanted.take());
        Ok(wanted.map(|line| SearchResult {
            entry: Cow::Owned(line),
            idx: MIDDLE,
            pos: 0,
        }))
    }

    fn add(&mut self, _: &str) -> Result<bool> {
        Ok(false)
    }

    fn add_owned(&mut self, _: String) -> Result<bool> {
        Ok(false)
    }

    fn len(&self) -> usize {
        LEN
    }

    fn is_empty(&self) -> bool {
        false
    }

    fn set_max_len(&mut self, _: usize) -> Result<()> {
        Ok(())
    }

    fn ignore_dups(&mut self, _: bool) -> Result<()> {
        Ok(())
    }

    fn ignore_space(&mut self, _: bool) {}

    fn save(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn append(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn load(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        Ok(())
    }

    fn search(&self, _: &str, _: usize, _: SearchDirection) -> Result<Option<SearchResult<'_>>> {
        Ok(None)
    }

    fn starts_with(
        &self,
        _: &str,
        _: usize,
        _: SearchDirection,
    ) -> Result<Option<SearchResult<'_>>> {
        Ok(None)
    }
}

/// A place with a line before it and one after it, as far as the editor knows.
const MIDDLE: usize = 1;
const LEN: usize = 3;

/// Lines remembered: more than anybody goes back by hand.
const LINES_LEN_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_and_down_walk_through_what_was_typed_and_back_to_the_draft() {
        let mut recall = Recall::default();
        assert_eq!(recall.up("draft"), None);
        for line in ["one", "two", "two"] {
            recall.push(line);
        }
        assert_eq!(recall.down(), None);
        assert_eq!(recall.up("draft").as_deref(), Some("two"));
        assert_eq!(recall.up("two").as_deref(), Some("one"));
        assert_eq!(recall.up("one"), None);
        assert_eq!(recall.down().as_deref(), Some("two"));
        assert_eq!(recall.down().as_deref(), Some("draft"));
        assert_eq!(recall.down(), None);
        recall.up("x");
        recall.push("three");
        assert_eq!(recall.up("").as_deref(), Some("three"));
    }

    #[test]
    fn only_so_many_lines_are_kept() {
        let mut recall = Recall::default();
        for number in 0..LINES_LEN_MAX + 10 {
            recall.push(&number.to_string());
        }
        assert_eq!(recall.lines.len(), LINES_LEN_MAX);
        assert_eq!(recall.lines.front().map(String::as_str), Some("10"));
    }
}
