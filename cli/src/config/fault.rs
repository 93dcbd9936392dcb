//! What is wrong with a configuration file, and where.

use std::fmt::{self, Display};
use std::ops::Range;
use std::path::Path;

use crate::exit::{Exit, Failure};

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub what: String,
    /// What to try.
    pub help: Option<String>,
}

/// A place in a text, from 1, as editors count.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl Place {
    /// Where a span of bytes begins.
    #[must_use]
    pub fn of(text: &str, span: &Range<usize>) -> Self {
        let start = (0..=span.start.min(text.len())).rev();
        let before = start.filter_map(|at| text.get(..at)).next().unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
        }
    }
}

impl Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.line, self.column)
    }
}

/// The first of these faults, for people, with how to see the others.
#[must_use]
pub fn failure(path: &Path, faults: &[Fault]) -> Failure {
    let shown = path.display();
    let Some(first) = faults.first() else {
        return Failure::new(
            Exit::CONFIG,
            "config",
            format!("{shown}: it cannot be used"),
        );
    };
    let Fault { place, what, help } = first;
    let mut failure = Failure::new(Exit::CONFIG, "config", format!("{shown}:{place}: {what}"));
    if let Some(help) = help {
        failure = failure.try_this(help);
    }
    match faults.len() - 1 {
        0 => failure,
        more => failure.try_this(format!("{more} more:  chat-cli config check {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_editors_do() {
        let text = "a\nbé = 1\n";
        assert_eq!(Place::of(text, &(0..1)).to_string(), "1:1");
        assert_eq!(Place::of(text, &(2..3)).to_string(), "2:1");
        assert_eq!(Place::of(text, &(6..7)).to_string(), "2:4");
        // Inside a character, and beyond the end.
        assert_eq!(Place::of(text, &(4..5)).to_string(), "2:2");
        assert_eq!(Place::of(text, &(99..99)).to_string(), "3:1");
    }
}
