//! SIGINT and SIGTERM: the first one asks the program to end, the second one ends it.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::Exit;
use crate::screen;

/// Whether the program was asked to end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop {
    token: CancellationToken,
    is_terminate: Arc<AtomicBool>,
}

impl Stop {
    /// Listens for signals from now on, in a task that ends with the runtime.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn listen(tasks: &TaskTracker) -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let stop = Self {
            token: CancellationToken::new(),
            is_terminate: Arc::default(),
        };
        let asked = stop.clone();
        tasks.spawn(async move {
            loop {
                let is_terminate = tokio::select! {
                    _ = interrupt.recv() => false,
                    _ = terminate.recv() => true,
                };
                if !is_terminate && screen::is_lent() {
                    // Ctrl-C in an editor is that editor's.
                    continue;
                }
                if asked.token.is_cancelled() {
                    // Nothing is dropped on this way out.
                    screen::give_back();
                    process::exit(asked.exit().code().into());
                }
                asked.is_terminate.store(is_terminate, Ordering::Relaxed);
                asked.token.cancel();
            }
        });
        Ok(stop)
    }

    /// Waits for the first signal. Cancel safe.
    pub async fn asked(&self) {
        self.token.cancelled().await;
    }

    /// Whether one came.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The exit code for the signal that came.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.is_terminate.load(Ordering::Relaxed) {
            Exit::Terminated
        } else {
            Exit::Interrupted
        }
    }
}
