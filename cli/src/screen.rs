//! The terminal while a view has it: modes, the other screen, and all of it given back.
//!
//! There is one terminal, so this is state of the process. It is given back by whoever is first:
//! the view when it ends, a panic, or the second signal ([`give_back`]). After that nothing is
//! drawn.
//!
//! Ctrl-Z becomes a key, since the terminal has to be given back before the process stops. Whether
//! Ctrl-C stays a signal is one of the [`Manners`] a view chooses, like its cursor and its mouse.
//!
//! Invariant: a lock that a slow terminal can hold for long is only ever *tried* on the way out.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{self, Signal};
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

/// The terminal of this process, open for reading and writing. Reads and writes of it wait on no
/// lock of the standard streams.
#[derive(Debug)]
pub struct Screen {
    tty: File,
}

/// How a view uses the terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Manners {
    /// Ctrl-C is a key like others; otherwise it is the signal.
    pub takes_interrupt: bool,
    /// There is a cursor, which the view puts where it is wanted.
    pub has_cursor: bool,
    /// What is pasted comes marked as such.
    pub marks_paste: bool,
    /// Clicks and the wheel come as keys do. The terminal's own selection needs Shift then.
    pub takes_mouse: bool,
}

impl Manners {
    /// The codes that a terminal needs for them.
    fn codes(self) -> String {
        let mut codes = ENTER.to_owned();
        for (is_wanted, code) in [
            (!self.has_cursor, HIDE_CURSOR),
            (self.marks_paste, MARK_PASTE),
            (self.takes_mouse, MOUSE_ON),
        ] {
            if is_wanted {
                codes.push_str(code);
            }
        }
        codes
    }
}

/// What became of the screen since the last look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Grip {
    /// It is ours, as it was.
    Held,
    /// It is ours again, and empty.
    Anew,
    /// Somebody else has it for now: the process is in the background.
    Away,
    /// It was given back for good.
    Lost,
}

impl Screen {
    /// Takes a terminal, and clears it.
    ///
    /// # Errors
    /// When it is none, when the process is in the background, or when another view has one.
    pub fn take(tty: File, manners: Manners) -> io::Result<(Self, GivenBack)> {
        if !is_foreground(&tty) {
            return Err(io::Error::other("the process is in the background"));
        }
        let mut state = lock_state();
        if state.is_some() {
            return Err(io::Error::other("another view has the terminal"));
        }
        let before = termios::tcgetattr(&tty)?;
        let screen = Self { tty };
        *state = Some(State {
            before: before.clone(),
            tty: screen.tty.try_clone()?,
            manners,
            is_away: false,
            is_lent: false,
        });
        drop(state);
        let given_back = GivenBack(());
        restore_on_panic();
        screen.enter(&before, manners)?;
        Ok((screen, given_back))
    }

    /// Another handle.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            tty: self.tty.try_clone()?,
        })
    }

    /// Columns and rows.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = termios::tcgetwinsize(&self.tty)?;
        Ok((size.ws_col, size.ws_row))
    }

    /// Looks whether the screen is still ours, and takes it again when it can be.
    pub fn grip(&self) -> io::Result<Grip> {
        let (before, manners) = {
            let mut state = lock_state();
            let Some(state) = state.as_mut() else {
                return Ok(Grip::Lost);
            };
            if state.is_lent || !is_foreground(&self.tty) {
                state.is_away = true;
                return Ok(Grip::Away);
            }
            // A shell sets its own modes while the process is stopped.
            let is_raw = !termios::tcgetattr(&self.tty)?
                .local_modes
                .contains(LocalModes::ICANON);
            if is_raw && !state.is_away {
                return Ok(Grip::Held);
            }
            (state.before.clone(), state.manners)
        };
        // A terminal that is stuck takes its time: whoever wants to give it back must not wait.
        self.enter(&before, manners)?;
        match lock_state().as_mut() {
            Some(state) => {
                state.is_away = false;
                Ok(Grip::Anew)
            }
            None => {
                leave(&self.tty, &before);
                Ok(Grip::Lost)
            }
        }
    }

    /// Waits for bytes from the keyboard, at most so long, and reads what there is: nothing when
    /// the screen is not ours.
    ///
    /// # Errors
    /// When the terminal has gone.
    pub fn read(&self, time: Duration, bytes: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let mut fds = [PollFd::new(&self.tty, PollFlags::IN)];
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&time)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(0),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // A read in the background would stop the process.
        if !self.is_ours() {
            return Ok(0);
        }
        match rustix::io::read(&self.tty, bytes) {
            Ok(0) => Err(io::ErrorKind::BrokenPipe.into()),
            Ok(bytes_len) => Ok(bytes_len),
            Err(rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a frame, unless the screen is not ours. May take as long as the terminal wants.
    ///
    /// # Errors
    /// When the terminal has gone.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        let _frame = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        if is_held() {
            (&self.tty).write_all(frame)?;
        }
        Ok(())
    }

    /// Stops the process as Ctrl-Z does, with the terminal given back for that time. Returns when
    /// it goes on.
    pub fn suspend(&self) {
        // No frame comes after the first screen is back; nor does the view take the terminal back
        // before the process has stopped, since the state stays locked.
        let Some(_frame) = try_lock_for(&WRITING, FRAME_TIME_MAX) else {
            return;
        };
        let mut state = lock_state();
        let Some(state) = state.as_mut().filter(|state| !state.is_away) else {
            return;
        };
        state.is_away = true;
        leave(&self.tty, &state.before);
        // Without a shell to go on with the signal does nothing.
        let _ = process::kill_current_process_group(Signal::TSTP);
        // It may hit another thread first; this one would take the terminal back too early.
        thread::sleep(STOPPING);
    }

    /// Lends the terminal to another program until the answer is dropped. Nothing is drawn and no
    /// key is to be read meanwhile; [`grip`](Self::grip) takes it back after that.
    ///
    /// # Errors
    /// When the terminal is not ours to lend.
    pub fn lend(&self) -> io::Result<Lent> {
        let _frame = try_lock_for(&WRITING, FRAME_TIME_MAX)
            .ok_or_else(|| io::Error::other("the terminal is stuck"))?;
        let mut state = lock_state();
        let state = state
            .as_mut()
            .filter(|state| !state.is_away)
            .ok_or_else(|| io::Error::other("the terminal is not ours"))?;
        state.is_away = true;
        state.is_lent = true;
        leave(&self.tty, &state.before);
        Ok(Lent(()))
    }

    /// Whether keys are meant for this process now. A read at another time would stop it, or take
    /// them from another program.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        is_foreground(&self.tty) && is_held()
    }

    /// Changes how the terminal is used from now on.
    ///
    /// # Errors
    /// When the terminal has gone.
    pub fn change_manners(&self, manners: Manners) -> io::Result<()> {
        let _frame = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let is_away = {
            let mut state = lock_state();
            let Some(state) = state.as_mut() else {
                return Ok(());
            };
            state.manners = manners;
            state.is_away
        };
        if !is_away {
            let codes = if manners.takes_mouse {
                MOUSE_ON
            } else {
                MOUSE_OFF
            };
            (&self.tty).write_all(codes.as_bytes())?;
        }
        Ok(())
    }

    fn enter(&self, before: &Termios, manners: Manners) -> io::Result<()> {
        let mut raw = before.clone();
        raw.make_raw();
        if !manners.takes_interrupt {
            raw.local_modes |= LocalModes::ISIG;
        }
        for index in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
            raw.special_codes[index] = DISABLED;
        }
        // Keys typed before the view was there are not meant for it.
        termios::tcsetattr(&self.tty, OptionalActions::Flush, &raw)?;
        (&self.tty).write_all(manners.codes().as_bytes())
    }
}

/// Whether another program has the terminal for a while: its Ctrl-C is not meant for this one.
#[must_use]
pub fn is_lent() -> bool {
    // Whoever asks must not wait: while another holds the state, it is not lent.
    match STATE.try_lock() {
        Ok(state) => state.as_ref().is_some_and(|state| state.is_lent),
        Err(_) => false,
    }
}

/// Gives the terminal back, if a view has it: for the way out that runs no destructors. Safe to
/// call at any time, from any thread, and again. Waits half a second at most for a frame that is
/// being written.
pub fn give_back() {
    let Some(state) = lock_state().take() else {
        return;
    };
    if state.is_away {
        return;
    }
    // A slow terminal may never take the frame, nor what would be written after it.
    let Some(_frame) = try_lock_for(&WRITING, FRAME_TIME_MAX) else {
        let _ = termios::tcsetattr(&state.tty, OptionalActions::Now, &state.before);
        return;
    };
    leave(&state.tty, &state.before);
}

/// Gives the terminal back when it is dropped.
#[derive(Debug)]
pub struct GivenBack(());

impl Drop for GivenBack {
    fn drop(&mut self) {
        give_back();
    }
}

/// The terminal is somebody else's until this is dropped.
#[derive(Debug)]
pub struct Lent(());

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(state) = lock_state().as_mut() {
            state.is_lent = false;
        }
    }
}

/// What has to be given back.
#[derive(Debug)]
struct State {
    before: Termios,
    tty: File,
    manners: Manners,
    is_away: bool,
    is_lent: bool,
}

fn leave(mut tty: &File, before: &Termios) {
    // The terminal may be gone; there is nothing else to do about it.
    let _ = tty.write_all(LEAVE.as_bytes());
    let _ = termios::tcsetattr(tty, OptionalActions::Now, before);
}

/// The terminal of standard error.
///
/// # Errors
/// When standard error is none, or it cannot be opened.
pub fn of_stderr() -> io::Result<File> {
    open(io::stderr())
}

/// The terminal of standard output.
///
/// # Errors
/// When standard output is none, or it cannot be opened.
pub fn of_stdout() -> io::Result<File> {
    open(io::stdout())
}

fn open(stream: impl AsFd + IsTerminal) -> io::Result<File> {
    if !stream.is_terminal() {
        return Err(io::Error::other("it is no terminal"));
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let named = termios::ttyname(stream.as_fd(), vec![])
        .and_then(|name| rustix::fs::open(name.as_c_str(), flags, Mode::empty()));
    // Whoever became another user may not open the terminal by its name.
    let tty = match named {
        Ok(tty) => tty,
        Err(_) => rustix::fs::open("/dev/tty", flags, Mode::empty())?,
    };
    Ok(File::from(tty))
}

/// Whether the terminal listens to this process; also when it is no terminal of a session.
fn is_foreground(tty: &File) -> bool {
    termios::tcgetpgrp(tty).map_or(true, |group| group == process::getpgrp())
}

fn is_held() -> bool {
    lock_state().as_ref().is_some_and(|state| !state.is_away)
}

fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            next(panic);
        }));
    });
}

fn lock_state() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock_for(lock: &Mutex<()>, time: Duration) -> Option<MutexGuard<'_, ()>> {
    let step = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    loop {
        match lock.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if waited >= time => return None,
            Err(TryLockError::WouldBlock) => {
                thread::sleep(step);
                waited += step;
            }
        }
    }
}

/// The screen, while a view has it.
static STATE: Mutex<Option<State>> = Mutex::new(None);
/// Held while a frame is written.
static WRITING: Mutex<()> = Mutex::new(());

/// How long a frame may take before the terminal counts as stuck.
const FRAME_TIME_MAX: Duration = Duration::from_millis(500);
/// Within this time every thread has stopped.
const STOPPING: Duration = Duration::from_millis(50);
/// No key: `_POSIX_VDISABLE`.
const DISABLED: u8 = 0;
/// The other screen, empty.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[2J";
const HIDE_CURSOR: &str = "\u{1b}[?25l";
/// Bracketed paste.
const MARK_PASTE: &str = "\u{1b}[?2004h";
/// Buttons and the wheel, with numbers of any size.
const MOUSE_ON: &str = "\u{1b}[?1000h\u{1b}[?1006h";
const MOUSE_OFF: &str = "\u{1b}[?1006l\u{1b}[?1000l";
/// Nothing of what a view may have asked for, no style, the cursor, the first screen.
const LEAVE: &str = "\u{1b}[0m\u{1b}[?2004l\u{1b}[?1006l\u{1b}[?1000l\u{1b}[?25h\u{1b}[?1049l";
