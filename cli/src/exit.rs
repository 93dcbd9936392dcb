//! How the program ends: its exit codes, and what it says on standard error when it fails.

use std::fmt::{self, Display};

use crate::clean;

/// Exit codes, the same for every program of the project.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something failed that no other code is for.
    Failed = 1,
    /// Wrong arguments, or input that cannot be sent.
    Usage = 2,
    /// No node answers.
    Unreachable = 3,
    /// The certificate or the login was refused.
    Refused = 4,
    /// The node sent the session away.
    SentAway = 6,
    /// The answer did not come in time.
    TimedOut = 7,
    /// The protocol versions do not match, or the configuration file is invalid.
    Version = 8,
    /// A bot found messages lost, twice, out of order or altered.
    NotDelivered = 98,
    /// What was asserted of a bot's run does not hold.
    AssertFailed = 99,
    /// Ended by Ctrl-C.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The configuration file is invalid.
    pub const CONFIG: Self = Self::Version;

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// The exit codes, for the help.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done                             6  the node sent us away
  1  another failure                  7  no ack or message in time
  2  wrong arguments or input         8  versions do not match, or configuration
  3  no node answers               98  bot: delivery was wrong
  4  certificate or login refused  99  bot: an assert failed
130  Ctrl-C before done           143  SIGTERM before done";

/// Why the program fails: what happened, why, and what to try.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// A stable word for it, in JSON.
    pub code: &'static str,
    /// What happened to which thing.
    pub what: String,
    /// The lower reason, once.
    pub cause: Option<String>,
    /// What to try, line by line.
    pub help: Vec<String>,
}

impl Failure {
    /// A failure with nothing more to say about it.
    #[must_use]
    pub fn new(exit: Exit, code: &'static str, what: impl Into<String>) -> Self {
        Self {
            exit,
            code,
            what: what.into(),
            cause: None,
            help: vec![],
        }
    }

    /// The same, with the lower reason.
    #[must_use]
    pub fn because(self, cause: impl Into<String>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..self
        }
    }

    /// The same, with something to try.
    #[must_use]
    pub fn try_this(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

impl Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error: {}", clean::line(&self.what))?;
        if let Some(cause) = &self.cause {
            write!(out, "\ncause: {}", clean::line(cause))?;
        }
        for (index, help) in self.help.iter().enumerate() {
            let label = if index == 0 { "help: " } else { "      " };
            write!(out, "\n{label} {}", clean::line(help))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_try() {
        let failure = Failure::new(Exit::Unreachable, "unreachable", "no node at \u{1b}[1m8081")
            .because("nothing came back")
            .try_this("is it running?")
            .try_this("published as UDP?");
        assert_eq!(
            failure.to_string(),
            "error: no node at ␛[1m8081\ncause: nothing came back\nhelp:  is it running?\n       published as UDP?"
        );
    }

    #[test]
    fn the_help_lists_every_code() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Unreachable,
            Exit::Refused,
            Exit::SentAway,
            Exit::TimedOut,
            Exit::Version,
            Exit::NotDelivered,
            Exit::AssertFailed,
            Exit::Interrupted,
            Exit::Terminated,
        ] {
            let listed = EXIT_CODES
                .split_whitespace()
                .any(|word| word == exit.code().to_string());
            assert!(listed, "{exit:?}");
        }
    }
}
