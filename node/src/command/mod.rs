//! What the program does when it is called: a module a command, each with its exit status.

use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use crate::config::{Command, LogFormat};

mod certs;
mod demo;
mod health;
mod serve;

/// The end of a command that did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// Exit status: see the table in `--help`.
    pub status: u8,
    /// What happened, and to what.
    pub what: String,
    /// The lower reason, if there is one.
    pub cause: Option<String>,
    /// What to try.
    pub help: Option<String>,
}

impl Failure {
    fn new(status: u8, what: impl Into<String>) -> Self {
        Self {
            status,
            what: what.into(),
            cause: None,
            help: None,
        }
    }

    fn because(self, cause: impl ToString) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..self
        }
    }

    fn try_this(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// What to tell the one who called it.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(config) => {
            init_log(config.log.filter.to_filter(), config.log.format);
            serve::run(*config).await
        }
        Command::Demo(config) => {
            init_log(config.log.filter.to_filter(), LogFormat::Text);
            demo::run(config).await
        }
        Command::Health(config) => health::run(config).await,
        Command::Certs(config) => certs::run(&config),
    }
}

/// Tells the one who called the program why it failed.
pub fn report(failure: &Failure) {
    let mut text = format!("error: {}\n", failure.what);
    if let Some(cause) = &failure.cause {
        text.push_str(&format!("cause: {cause}\n"));
    }
    if let Some(help) = &failure.help {
        text.push_str(&format!("help:  {}\n", help.replace('\n', "\n       ")));
    }
    // With nobody to read it there is nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Says a line to whoever called the program.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that is gone does not stop a node.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn init_log(filter: EnvFilter, format: LogFormat) {
    let is_terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let is_json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    // Fails only when a log is there already, which is then used.
    let _ = if is_json {
        log.json().flatten_event(true).try_init()
    } else {
        log.with_ansi(is_terminal).with_target(false).try_init()
    };
}
