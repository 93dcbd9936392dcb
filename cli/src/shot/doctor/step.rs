//! A step of the doctor: what was found, and what to do about it. Pure.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clean;
use crate::exit::{Exit, Failure};
use crate::palette::{Paint, Palette};

/// What was found in one step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its name.
    pub step: &'static str,
    /// How it went.
    pub state: State,
    /// What was found, in one line.
    pub text: String,
    /// More of it, line by line.
    pub details: Vec<String>,
    /// What to do, line by line.
    pub help: Vec<String>,
    /// What was measured.
    pub facts: Map<String, Value>,
    /// What the program ends with, when this failed.
    #[serde(skip)]
    pub exit: Exit,
}

/// How a step went.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and may not for long, or not well.
    Warning,
    /// It does not work.
    Failed,
    /// It was not tried.
    Skipped,
}

impl Step {
    /// A step in which all was well.
    #[must_use]
    pub fn ok(step: &'static str, text: impl Into<String>) -> Self {
        Self {
            step,
            state: State::Ok,
            text: text.into(),
            details: vec![],
            help: vec![],
            facts: Map::new(),
            exit: Exit::Done,
        }
    }

    /// A step that failed.
    #[must_use]
    pub fn failed(step: &'static str, exit: Exit, text: impl Into<String>) -> Self {
        Self {
            state: State::Failed,
            exit,
            ..Self::ok(step, text)
        }
    }

    /// A step that was not tried.
    #[must_use]
    pub fn skipped(step: &'static str, why: impl Into<String>) -> Self {
        Self {
            state: State::Skipped,
            ..Self::ok(step, why)
        }
    }

    /// A failure as a step.
    #[must_use]
    pub fn of_failure(step: &'static str, failure: Failure) -> Self {
        Self {
            details: failure.cause.into_iter().collect(),
            help: failure.help,
            ..Self::failed(step, failure.exit, failure.what)
        }
    }

    /// The same, as a warning with what to do.
    #[must_use]
    pub fn warn(mut self, help: impl Into<String>) -> Self {
        self.state = State::Warning;
        self.help.push(help.into());
        self
    }

    /// The same, with one more line of what was found.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// The same, with one more line of what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The same, with a measurement.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// The lines for people.
    #[must_use]
    pub fn lines(&self, marks: Marks, palette: Palette) -> String {
        let (mark, paint) = match (self.state, marks) {
            (State::Ok, Marks::Signs) => ("✓", Paint::Good),
            (State::Ok, Marks::Words) => ("ok  ", Paint::Good),
            (State::Warning, Marks::Signs) => ("!", Paint::Mention),
            (State::Warning, Marks::Words) => ("WARN", Paint::Mention),
            (State::Failed, Marks::Signs) => ("✗", Paint::Error),
            (State::Failed, Marks::Words) => ("FAIL", Paint::Error),
            (State::Skipped, Marks::Signs) => ("-", Paint::Dim),
            (State::Skipped, Marks::Words) => ("skip", Paint::Dim),
        };
        let mark = palette.paint(paint, mark);
        let indent = match marks {
            Marks::Signs => "  ",
            Marks::Words => "     ",
        };
        let mut lines = format!("{mark} {:<11} {}\n", self.step, clean::line(&self.text));
        for detail in &self.details {
            lines.push_str(&format!("{indent}{:11} {}\n", "", clean::line(detail)));
        }
        for (index, help) in self.help.iter().enumerate() {
            let label = if index == 0 { "help:" } else { "" };
            lines.push_str(&format!("{indent}{label:>11} {}\n", clean::line(help)));
        }
        lines
    }
}

/// How states are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Marks {
    /// One character each.
    Signs,
    /// Words of ASCII.
    Words,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_line_with_what_belongs_to_it() {
        let step = Step::failed("udp", Exit::Unreachable, "no answer\u{1b}[1m")
            .detail("tried 2 addresses")
            .help("is it running?")
            .help("is it UDP?");
        assert_eq!(
            step.lines(Marks::Words, Palette::Bare),
            "FAIL udp         no answer␛[1m\n                 tried 2 addresses\n           help: is it running?\n                 is it UDP?\n"
        );
        let ok = Step::ok("udp", "answers");
        assert_eq!(
            ok.lines(Marks::Signs, Palette::Bare),
            "✓ udp         answers\n"
        );
        assert!(ok.lines(Marks::Words, Palette::Bare).is_ascii());
    }
}
