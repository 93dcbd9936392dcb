//! Where lines go: one thread writes them, in order, so that a slow reader never blocks a task.
//!
//! The queue is bounded; when it is full the producer waits, stops reading its room lanes, and the
//! node notices: that is the whole of the backpressure.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Which of the two outputs a line belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// What the program is asked for: standard output.
    Main,
    /// Remarks about it: standard error. On a terminal both are the screen.
    Aside,
}

/// One line, without its line feed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Where it goes.
    pub stream: Stream,
    /// What it says.
    pub text: String,
}

impl Line {
    /// A line of standard output.
    #[must_use]
    pub fn main(text: &str) -> Self {
        Self {
            stream: Stream::Main,
            text: text.to_owned(),
        }
    }

    /// A line of standard error.
    #[must_use]
    pub fn aside(text: &str) -> Self {
        Self {
            stream: Stream::Aside,
            text: text.to_owned(),
        }
    }
}

/// What writes lines.
pub trait Sink: Send + 'static {
    /// Writes lines, all of them or none.
    ///
    /// # Errors
    /// When nobody reads them any more. Nothing is written after that.
    fn write(&mut self, lines: &[Line]) -> io::Result<()>;
}

/// Standard output and standard error.
#[derive(Debug)]
pub struct StandardSink;

impl Sink for StandardSink {
    fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut main = String::new();
        let mut aside = String::new();
        for line in lines {
            let out = if line.stream == Stream::Main {
                &mut main
            } else {
                &mut aside
            };
            out.push_str(&line.text);
            out.push('\n');
        }
        // Nobody may listen to remarks; that is no reason to stop.
        let _ = io::stderr().lock().write_all(aside.as_bytes());
        let mut stdout = io::stdout().lock();
        stdout.write_all(main.as_bytes())?;
        stdout.flush()
    }
}

/// The handle of the thread that writes.
#[derive(Debug)]
pub struct Output {
    lines: mpsc::Sender<Line>,
    broken: CancellationToken,
    failed: Arc<OnceLock<String>>,
    done: CancellationToken,
}

impl Output {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn spawn(sink: impl Sink) -> io::Result<Self> {
        let (lines, queue) = mpsc::channel(QUEUE_LEN_MAX);
        let broken = CancellationToken::new();
        let done = CancellationToken::new();
        let failed = Arc::new(OnceLock::new());
        let of_thread = Arc::clone(&failed);
        let ended = (broken.clone(), done.clone());
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || {
                write_all(sink, queue, &ended.0, &of_thread);
                ended.1.cancel();
            })?;
        Ok(Self {
            lines,
            broken,
            failed,
            done,
        })
    }

    /// Queues lines; waits while the queue is full. Lines that nobody reads any more are dropped.
    ///
    /// Cancel safety: lines that were not queued yet are lost.
    pub async fn print(&self, lines: Vec<Line>) {
        for line in lines {
            if self.lines.send(line).await.is_err() {
                return;
            }
        }
    }

    /// A sender for lines that may be dropped when the queue is full.
    #[must_use]
    pub fn sender(&self) -> mpsc::WeakSender<Line> {
        self.lines.downgrade()
    }

    /// Cancelled when nobody reads standard output any more.
    #[must_use]
    pub const fn broken(&self) -> &CancellationToken {
        &self.broken
    }

    /// Writes what is queued, and ends; gives up after a second on a reader that does not read.
    ///
    /// Gives why not everything was written, when it is not that the reader has gone.
    pub async fn finish(self) -> Option<String> {
        drop(self.lines);
        let _ = tokio::time::timeout(FINISH_TIMEOUT, self.done.cancelled()).await;
        self.failed.get().cloned()
    }
}

fn write_all(
    mut sink: impl Sink,
    mut queue: mpsc::Receiver<Line>,
    broken: &CancellationToken,
    failed: &OnceLock<String>,
) {
    let mut batch = Vec::with_capacity(BATCH_LEN_MAX);
    while queue.blocking_recv_many(&mut batch, BATCH_LEN_MAX) > 0 {
        if !broken.is_cancelled()
            && let Err(error) = sink.write(&batch)
        {
            if error.kind() != io::ErrorKind::BrokenPipe {
                let _ = failed.set(error.to_string());
            }
            broken.cancel();
        }
        batch.clear();
    }
}

/// Lines that may wait for a slow reader. A longer queue would only hide it.
const QUEUE_LEN_MAX: usize = 256;

/// Lines written in one go.
const BATCH_LEN_MAX: usize = 64;

/// How long the end waits for a reader that does not read.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);
