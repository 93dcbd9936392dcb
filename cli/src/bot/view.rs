//! What people see of a run while it goes: a page on the whole screen, or a line of text.
//!
//! Owns the terminal while a page is shown, and standard error while a line is. Never decides
//! anything about the run: it is given [`Progress`] and hands out [`Key`]s. The bot's run drives
//! it.
//!
//! Invariants: giving it progress never waits, since a slow terminal must not slow the load: what
//! is newer replaces what was not shown yet. The terminal is given back on every way out. A
//! terminal that goes away ends the view, not the run.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::bot::progress::{Phase, Progress};
use crate::canvas::Canvas;
use crate::palette::Palette;
use crate::screen::{self, GivenBack, Grip, Manners, Screen};
use slot::Slot;

mod cell;
mod line;
mod number;
mod page;
mod slot;

pub use line::line;
pub use page::{Look, draw};

/// What the user wants of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// End it, with a report.
    Quit,
    /// Pause sending, or go on with it.
    Pause,
}

/// A run that is shown. Dropping it shows what came last and gives the terminal back; that takes a
/// second at most.
#[derive(Debug)]
pub struct View {
    slot: Arc<Slot>,
    painter: Painter,
    keyboard: Option<JoinHandle<()>>,
    given_back: Option<GivenBack>,
    // Kept open: no key ever comes from it.
    _keys: mpsc::Sender<Key>,
    // Without it the process would end with its terminal.
    _hangup: Option<Signal>,
}

impl View {
    /// Shows pages on the terminal of standard error, which nothing else may write to meanwhile.
    ///
    /// From now on the process outlives its terminal.
    ///
    /// # Errors
    /// When there is no such terminal, when the process is in the background, when another view
    /// has it, or outside of a runtime. The terminal is as it was; show lines instead.
    pub fn pages(palette: Palette) -> io::Result<(Self, mpsc::Receiver<Key>)> {
        Self::pages_on(screen::of_stderr()?, palette)
    }

    fn pages_on(tty: File, palette: Palette) -> io::Result<(Self, mpsc::Receiver<Key>)> {
        Handle::try_current().map_err(io::Error::other)?;
        let hangup = signal(SignalKind::hangup())?;
        let (keys, receiver) = mpsc::channel(KEYS_LEN_MAX);
        let slot = Arc::new(Slot::default());
        let (screen, given_back) = Screen::take(tty, MANNERS)?;
        let keyboard = {
            let (screen, slot, keys) = (screen.try_clone()?, slot.clone(), keys.clone());
            spawn("keyboard", move || listen(&screen, &slot, &keys))?
        };
        let of_painter = slot.clone();
        let painter = Painter::spawn(move || {
            let _ = paint(&screen, &of_painter, palette);
        });
        let painter = painter.inspect_err(|_| slot.close())?;
        let view = Self {
            slot,
            painter,
            keyboard: Some(keyboard),
            given_back: Some(given_back),
            _keys: keys,
            _hangup: Some(hangup),
        };
        Ok((view, receiver))
    }

    /// Shows lines on standard error. No key comes.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn lines() -> io::Result<(Self, mpsc::Receiver<Key>)> {
        let (keys, receiver) = mpsc::channel(KEYS_LEN_MAX);
        let slot = Arc::new(Slot::default());
        let of_painter = slot.clone();
        let view = Self {
            slot,
            painter: Painter::spawn(move || line::run(&of_painter))?,
            keyboard: None,
            given_back: None,
            _keys: keys,
            _hangup: None,
        };
        Ok((view, receiver))
    }

    /// Shows this from now on, as soon as the terminal is ready for it. Never waits.
    pub fn draw(&self, progress: &Progress) {
        self.slot.put(progress);
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.slot.close();
        self.painter.end();
        drop(self.given_back.take());
        if let Some(keyboard) = self.keyboard.take() {
            // It looks at the slot ten times a second.
            let _ = keyboard.join();
        }
    }
}

/// The thread that writes.
#[derive(Debug)]
struct Painter {
    ended: std_mpsc::Receiver<()>,
}

impl Painter {
    fn spawn(paint: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (end, ended) = std_mpsc::sync_channel::<()>(0);
        spawn("view", move || {
            let _end = end;
            paint();
        })?;
        Ok(Self { ended })
    }

    /// Waits until it has ended, unless the terminal takes too long.
    fn end(&self) {
        let _ = self.ended.recv_timeout(LAST_FRAME_TIME_MAX);
    }
}

/// Draws pages until the slot is closed, the terminal was given back, or it has gone.
fn paint(screen: &Screen, slot: &Slot, palette: Palette) -> io::Result<()> {
    if palette == Palette::Colour {
        // `NO_COLOR` was considered where the palette was chosen.
        crossterm::style::force_color_output(true);
    }
    let mut canvas = None;
    let mut shown = Progress::default();
    let mut phase_began = (Phase::default(), Duration::ZERO);
    loop {
        let taken = slot.wait(FRAME_INTERVAL_MAX);
        if let Some(progress) = taken.progress {
            if progress.phase != phase_began.0 {
                phase_began = (progress.phase, progress.elapsed);
            }
            shown = progress;
        }
        let size = screen.size()?;
        match screen.grip()? {
            Grip::Lost => return Ok(()),
            Grip::Away => canvas = None,
            grip @ (Grip::Held | Grip::Anew) => {
                if grip == Grip::Anew || canvas.as_ref().is_none_or(|(of, _)| *of != size) {
                    canvas = Some((size, Canvas::new(size)?));
                }
                if let Some((_, canvas)) = &mut canvas {
                    let look = Look {
                        palette,
                        phase_began: phase_began.1,
                    };
                    screen.write(&canvas.draw(|frame| draw(frame, &shown, &look))?)?;
                }
            }
        }
        if taken.is_closed || slot.wait_closed(FRAME_INTERVAL_MIN) {
            return Ok(());
        }
    }
}

/// Hands out keys until the slot is closed or the terminal has gone.
fn listen(screen: &Screen, slot: &Slot, keys: &mpsc::Sender<Key>) {
    let mut bytes = [0; 64];
    while !slot.is_closed() {
        let Ok(bytes_len) = screen.read(KEYBOARD_INTERVAL, &mut bytes) else {
            return;
        };
        for typed in typed(bytes.get(..bytes_len).unwrap_or_default()) {
            match typed {
                // Nobody presses so many in earnest.
                Typed::Key(key) => drop(keys.try_send(key)),
                Typed::Suspend => screen.suspend(),
            }
        }
    }
}

/// What a key press means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Typed {
    Key(Key),
    /// Ctrl-Z.
    Suspend,
}

/// The meanings of what was read at once.
fn typed(bytes: &[u8]) -> Vec<Typed> {
    if bytes.first() == Some(&ESCAPE) {
        // An arrow, a function key, a paste: whatever it has in it was not meant for us.
        return vec![];
    }
    bytes
        .iter()
        .filter_map(|byte| match byte {
            b'q' | b'Q' => Some(Typed::Key(Key::Quit)),
            b'p' | b'P' => Some(Typed::Key(Key::Pause)),
            &CTRL_Z => Some(Typed::Suspend),
            _ => None,
        })
        .collect()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Ctrl-C ends a view as it ends every other mode.
const MANNERS: Manners = Manners {
    takes_interrupt: false,
    has_cursor: false,
    marks_paste: false,
    takes_mouse: false,
};

/// Key presses that nobody took yet.
const KEYS_LEN_MAX: usize = 16;
/// Between two frames: the eye takes no more figures than five times a second.
const FRAME_INTERVAL_MIN: Duration = Duration::from_millis(200);
/// Without progress, this often it is looked whether the size changed.
const FRAME_INTERVAL_MAX: Duration = Duration::from_millis(300);
/// How long the last frame may take at the end.
const LAST_FRAME_TIME_MAX: Duration = Duration::from_secs(1);
/// How often the keyboard is left to see whether the view has ended.
const KEYBOARD_INTERVAL: Duration = Duration::from_millis(100);
const ESCAPE: u8 = 0x1b;
const CTRL_Z: u8 = 0x1a;

#[cfg(test)]
mod tests;
