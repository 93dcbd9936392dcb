//! The log of `-v`: to standard error, or above the line being typed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::WeakSender;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::output::Line;

/// Where the log goes.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: Arc<Mutex<Option<WeakSender<Line>>>>,
}

impl Log {
    /// Starts to log; with a verbosity of 0 only what goes wrong inside this program.
    #[must_use]
    pub fn start(verbosity: u8) -> Self {
        let log = Self::default();
        let default = match verbosity {
            0 => "off",
            1 => "warn,chat_client=debug,chat_cli=debug",
            _ => "info,chat_client=trace,chat_cli=trace,quinn=debug",
        };
        let filter = match verbosity {
            0 => EnvFilter::new(default),
            _ => EnvFilter::builder().parse(default).unwrap_or_default(),
        };
        // A second start in one process keeps the first log.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(log.clone())
            .try_init();
        log
    }

    /// Sends the log through the program's output from now on, so that it does not garble the
    /// line being typed. Lines are dropped while the output is full.
    pub fn redirect(&self, lines: WeakSender<Line>) {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine {
            log: self.clone(),
            bytes: vec![],
        }
    }
}

/// One line of the log, written when it is dropped.
#[derive(Debug)]
pub struct LogLine {
    log: Log,
    bytes: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let lines = self
            .log
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match lines.as_ref().and_then(WeakSender::upgrade) {
            Some(lines) => {
                let text = String::from_utf8_lossy(&self.bytes);
                for text in text.lines() {
                    // Full: the log is the first to give way.
                    let _ = lines.try_send(Line::aside(&crate::clean::line(text)));
                }
            }
            None => {
                let _ = io::stderr().lock().write_all(&self.bytes);
            }
        }
    }
}
