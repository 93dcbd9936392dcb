//! What a mode makes of reports and of lines of input: text for people, JSON for programs.

use std::time::SystemTime;

use crate::command;
use crate::json::{self, JsonSurface};
use crate::operation::Request;
use crate::output::Line;
use crate::report::{Refusal, Report};
use crate::text::TextSurface;

/// How the program speaks and listens.
#[derive(Debug)]
pub enum Surface {
    /// Lines of text, to people on a terminal: commands and messages.
    Typed(TextSurface),
    /// Lines of text, to programs and files: commands and messages, by their line numbers.
    Piped {
        /// What speaks.
        text: TextSurface,
        /// Whether a line that begins with a slash is a message too.
        is_raw: bool,
    },
    /// Lines of JSON: operations.
    Json(JsonSurface),
}

impl Surface {
    /// The lines of a report.
    pub fn render(&mut self, report: &Report, columns: Option<usize>) -> Vec<Line> {
        match self {
            Self::Typed(text) => {
                text.set_columns(columns);
                text.render(report)
            }
            Self::Piped { text, .. } => text.render(report),
            Self::Json(json) => json.render(report, SystemTime::now()),
        }
    }

    /// What a line of input asks for; nothing when it is empty.
    ///
    /// # Errors
    /// The report to show instead.
    pub fn parse(&self, number: u64, line: &str) -> Result<Option<Request>, Box<Report>> {
        let operation = match self {
            Self::Json(_) => {
                return json::operation::parse(line).map_err(|(reference, problem)| {
                    let refusal = Refusal::bad_input(number, problem);
                    Box::new(Report::Refused { reference, refusal })
                });
            }
            Self::Piped { is_raw: true, .. } => command::parse_raw(line),
            _ => command::parse(line),
        };
        match operation {
            Ok(operation) => Ok(operation.map(|operation| Request {
                reference: None,
                operation,
            })),
            Err(error) => Err(Box::new(self.bad_input(number, &error.to_string()))),
        }
    }

    /// The report for a line that cannot be taken.
    #[must_use]
    pub fn bad_input(&self, number: u64, problem: &str) -> Report {
        let mut refusal = Refusal::bad_input(number, problem);
        if let Self::Typed(_) = self {
            // It is right above.
            refusal.line = None;
        }
        Report::Refused {
            reference: None,
            refusal,
        }
    }
}
