//! Processes that a task starts and ends: each with a log, in a home of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Sets a fresh home, and nothing of the settings of whoever starts the task.
pub(crate) fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("share"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("LANG", "C.UTF-8")
        .current_dir(home)
}

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` with everything it prints in the file `log`.
    ///
    /// # Errors
    /// When the program cannot be started or the file cannot be made.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When that takes longer than `max`.
    pub(crate) fn await_end(&mut self, max: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + max;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("not ended within {max:?}; it printed:\n{}", self.printed());
            }
            thread::sleep(POLL);
        }
    }

    /// Returns once `is_ready` says so.
    ///
    /// # Errors
    /// When that takes longer than [`READY_MAX`]; the error has what the process printed.
    pub(crate) fn await_ready(&self, is_ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + READY_MAX;
        while !is_ready() {
            if Instant::now() > deadline {
                bail!(
                    "not ready within {READY_MAX:?}; it printed:\n{}",
                    self.printed()
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Time a process may take to get ready; a node on a busy machine needs a second.
const READY_MAX: Duration = Duration::from_secs(20);

/// Time between two looks at something that is awaited: short for a person, long for a processor.
pub(crate) const POLL: Duration = Duration::from_millis(50);
