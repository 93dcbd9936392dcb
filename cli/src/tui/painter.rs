//! The thread that writes frames, so that a slow terminal never blocks the session.
//!
//! Invariant: at most one frame waits. The next one is made when the thread can take it, of what is
//! to be seen then.

use std::io;
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::screen::Screen;

/// The thread that writes.
#[derive(Debug)]
pub struct Painter {
    frames: mpsc::Sender<Vec<u8>>,
    ended: std_mpsc::Receiver<()>,
}

impl Painter {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn spawn(screen: Screen) -> io::Result<Self> {
        let (frames, mut waiting) = mpsc::channel::<Vec<u8>>(1);
        let (end, ended) = std_mpsc::sync_channel::<()>(0);
        thread::Builder::new()
            .name("painter".to_owned())
            .spawn(move || {
                let _end = end;
                while let Some(frame) = waiting.blocking_recv() {
                    if screen.write(&frame).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { frames, ended })
    }

    /// Waits until the next frame can be taken. None when the terminal has gone. Cancel safe.
    pub async fn ready(&self) -> Option<mpsc::OwnedPermit<Vec<u8>>> {
        self.frames.clone().reserve_owned().await.ok()
    }

    /// Waits until the last frame is written, unless the terminal takes too long.
    pub fn end(self) {
        drop(self.frames);
        let _ = self.ended.recv_timeout(LAST_FRAME_TIME_MAX);
    }
}

/// How long the last frame may take at the end.
const LAST_FRAME_TIME_MAX: Duration = Duration::from_secs(1);
