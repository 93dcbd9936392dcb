//! The edge: the session on one side, the terminal on the other, the model between them.
//!
//! Invariants: nothing here waits for the terminal but for a frame that can be taken, so a stuck
//! terminal never stops the session; a frame is made of what is to be seen when it can be taken, so
//! however much comes, the screen is never behind by more than one frame.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use chat_protocol::RoomName;
use crossterm::Command;
use crossterm::clipboard::CopyToClipboard;
use crossterm::event::Event;
use crossterm::style::force_color_output;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::editor;
use super::keyboard;
use super::model::{Model, Now, Wish};
use super::options::Options;
use super::painter::Painter;
use super::view;
use crate::canvas::Canvas;
use crate::conversation::Conversation;
use crate::exit::Exit;
use crate::operation::Operation;
use crate::output::Line;
use crate::report::Report;
use crate::screen::{GivenBack, Grip, Manners, Screen};
use crate::stop::Stop;

/// The client on a terminal.
#[derive(Debug)]
pub struct Tui {
    screen: Screen,
    given_back: GivenBack,
    keyboard: mpsc::Receiver<Event>,
    painter: Painter,
    hangup: Signal,
    // An editor has the terminal with the key for it; nobody shall lose a draft by that.
    _quit: Signal,
    canvas: Option<((u16, u16), Canvas)>,
    model: Model,
    /// What the editor has made of what was being typed.
    written: Option<oneshot::Receiver<io::Result<String>>>,
    /// What the log says.
    log: mpsc::Receiver<Line>,
    log_sender: mpsc::Sender<Line>,
    is_dirty: bool,
    /// No frame before this.
    frame_at: Instant,
    rings: bool,
    copies: Option<String>,
}

/// Why the talk is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The user wants to go; everything is settled.
    Quit,
    /// The user wants to go at once, or waited too long: so many messages are not acked.
    Unsettled(usize),
    /// A signal asks to go at once.
    Stopped(Exit),
    /// The terminal has gone.
    TerminalGone,
    /// The node ended the session.
    Closed(String),
}

impl Tui {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it is none, when the process is in the background, or when the system has no thread to
    /// give. The terminal is as it was.
    pub fn open(tty: File, options: Options) -> io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        let quit = signal(SignalKind::quit())?;
        if options.theme.has_colour {
            // `NO_COLOR` was considered where the theme was chosen.
            force_color_output(true);
        }
        let (screen, given_back) = Screen::take(tty, manners(options.ui.mouse))?;
        let keyboard = keyboard::listen(screen.try_clone()?)?;
        let painter = Painter::spawn(screen.try_clone()?)?;
        let size = screen.size()?;
        let (log_sender, log) = mpsc::channel(LOG_LEN_MAX);
        Ok(Self {
            screen,
            given_back,
            keyboard,
            painter,
            hangup,
            _quit: quit,
            canvas: None,
            model: Model::new(options, size),
            written: None,
            log,
            log_sender,
            is_dirty: true,
            frame_at: Instant::now(),
            rings: false,
            copies: None,
        })
    }

    /// Where the log goes.
    #[must_use]
    pub fn log_sender(&self) -> mpsc::WeakSender<Line> {
        self.log_sender.downgrade()
    }

    /// Talks until there is a reason to end. Gives the terminal back then, and tells what was not
    /// sent: where, and what; not cleaned.
    pub async fn talk(
        mut self,
        conversation: &mut Conversation,
        rooms: &[RoomName],
        stop: &Stop,
        ack_timeout: Duration,
    ) -> (Ending, Vec<(String, String)>) {
        self.model.open_rooms_of_start(rooms, now());
        let ending = self.go(conversation, stop, ack_timeout).await;
        self.painter.end();
        drop(self.given_back);
        (ending, self.model.unsent())
    }

    async fn go(
        &mut self,
        conversation: &mut Conversation,
        stop: &Stop,
        ack_timeout: Duration,
    ) -> Ending {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut closing_since = None;
        let mut ticks = 0_u32;
        loop {
            self.perform(conversation);
            if let Some(since) = closing_since {
                let now = Instant::now();
                let unsettled = conversation.unsettled_len() + self.model.outbox().len();
                if unsettled == 0 && conversation.is_settled() {
                    return Ending::Quit;
                }
                if now.saturating_duration_since(since) > ack_timeout {
                    return Ending::Unsettled(unsettled);
                }
            }
            let can_draw = self.is_dirty;
            let is_early = Instant::now() < self.frame_at;
            tokio::select! {
                biased;
                () = stop.asked() => return Ending::Stopped(stop.exit()),
                _ = self.hangup.recv() => return Ending::TerminalGone,
                event = self.keyboard.recv() => {
                    let Some(event) = event else { return Ending::TerminalGone };
                    self.on_event(event);
                    // A key that is held down, or a paste of a terminal that marks none.
                    for _ in 0..EVENTS_AT_ONCE {
                        let Ok(event) = self.keyboard.try_recv() else { break };
                        self.on_event(event);
                    }
                    // What was typed is seen at once.
                    self.frame_at = Instant::now();
                }
                permit = self.painter.ready(), if can_draw && !is_early => {
                    let Some(permit) = permit else { return Ending::TerminalGone };
                    let screen = &self.screen;
                    let model = &mut self.model;
                    match frame(screen, &mut self.canvas, model) {
                        Ok(Some(mut frame)) => {
                            if std::mem::take(&mut self.rings) {
                                frame.push(BELL);
                            }
                            if let Some(text) = self.copies.take() {
                                frame.extend_from_slice(clipboard(&text).as_bytes());
                            }
                            permit.send(frame);
                        }
                        // Somebody else has the terminal: there is nothing to show.
                        Ok(None) => drop(permit),
                        Err(_) => return Ending::TerminalGone,
                    }
                    self.is_dirty = false;
                    self.frame_at = Instant::now() + FRAME_INTERVAL;
                }
                () = sleep_until(self.frame_at.into()), if can_draw && is_early => {}
                written = written(&mut self.written) => {
                    self.written = None;
                    match written {
                        Ok(text) => self.model.on_edited(&text, now()),
                        Err(error) => self.model.say(now(), format!("the editor: {error}")),
                    }
                    self.is_dirty = true;
                }
                Some(line) = self.log.recv() => {
                    self.model.on_log(&line.text, now());
                    self.is_dirty = true;
                }
                _ = tick.tick() => {
                    if ticks.is_multiple_of(FIGURES_TICKS) {
                        self.model.rtt = conversation.rtt();
                    }
                    let unsettled = conversation.unsettled_len();
                    self.is_dirty |= unsettled != self.model.unsettled;
                    self.model.unsettled = unsettled;
                    self.is_dirty |= self.model.on_tick(now());
                    // The size may be another one, the terminal may be ours again, the figures of the
                    // status line may have changed.
                    ticks += 1;
                    let is_resized = self.screen.size().is_ok_and(|size| size != self.model.size);
                    let is_held = matches!(self.screen.grip(), Ok(Grip::Held));
                    if !is_held {
                        self.canvas = None;
                    }
                    self.is_dirty |= is_resized || !is_held || ticks.is_multiple_of(FIGURES_TICKS);
                }
                // Last, so that a flood of messages keeps nothing else waiting.
                report = conversation.next() => {
                    match report {
                        Some(Report::Closed { reason }) => return Ending::Closed(reason),
                        Some(report) => self.model.on_report(report, now()),
                        None => return Ending::Closed("the session has ended".to_owned()),
                    }
                    self.is_dirty = true;
                }
            }
            for wish in self.model.take_wishes() {
                match wish {
                    Wish::Bell => self.rings = true,
                    Wish::Typing(room) => conversation.typing(&room),
                    Wish::Editor => self.open_editor(),
                    Wish::Suspend => {
                        self.screen.suspend();
                        self.canvas = None;
                    }
                    Wish::Redraw => self.canvas = None,
                    Wish::Mouse(is_on) => {
                        let _ = self.screen.change_manners(manners(is_on));
                    }
                    Wish::Copy(text) => self.copies = Some(text),
                    Wish::Stay => closing_since = None,
                    Wish::Quit if closing_since.is_some() => {
                        let unsettled = conversation.unsettled_len() + self.model.outbox().len();
                        return Ending::Unsettled(unsettled);
                    }
                    Wish::Quit => closing_since = Some(Instant::now()),
                }
                self.is_dirty = true;
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = now();
        match event {
            Event::Key(key) => self.model.on_key(&key, now),
            Event::Paste(text) => self.model.on_paste(&text, now),
            Event::Mouse(mouse) => self.model.on_mouse(mouse, now),
            Event::Resize(..) | Event::FocusGained | Event::FocusLost => {}
        }
        self.is_dirty = true;
    }

    /// Asks what waits to be asked: messages as soon as there is room for them, the rest one after
    /// the other, as it was typed.
    fn perform(&mut self, conversation: &mut Conversation) {
        let mut index = 0;
        while let Some(request) = self.model.outbox().get(index) {
            let may_go = match request.operation {
                Operation::Send { .. }
                | Operation::SetTopic { .. }
                | Operation::Reply { .. }
                | Operation::Edit { .. }
                | Operation::Delete { .. }
                | Operation::React { .. } => !conversation.is_full(),
                Operation::History { .. } => true,
                _ => conversation.is_idle(),
            };
            if !may_go {
                index += 1;
                continue;
            }
            if let Some(request) = self.model.take_request(index) {
                conversation.perform(request);
            }
        }
    }

    fn open_editor(&mut self) {
        if self.written.is_some() {
            return;
        }
        let lent = match self.screen.lend() {
            Ok(lent) => lent,
            Err(error) => return self.model.say(now(), error.to_string()),
        };
        self.canvas = None;
        let text = self.model.composer.text().to_owned();
        let (sender, written) = oneshot::channel();
        self.written = Some(written);
        let spawned = std::thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || {
                // The keyboard's thread has let go by then.
                std::thread::sleep(keyboard::INTERVAL * 2);
                let _ = sender.send(editor::edit(lent, &text));
            });
        if let Err(error) = spawned {
            self.written = None;
            self.model.say(now(), format!("no editor: {error}"));
        }
    }
}

/// The bytes of the next frame; none while the screen is not ours.
fn frame(
    screen: &Screen,
    canvas: &mut Option<((u16, u16), Canvas)>,
    model: &mut Model,
) -> io::Result<Option<Vec<u8>>> {
    let size = screen.size()?;
    model.resize(size);
    match screen.grip()? {
        Grip::Lost => return Err(io::ErrorKind::BrokenPipe.into()),
        Grip::Away => {
            *canvas = None;
            return Ok(None);
        }
        Grip::Anew => *canvas = None,
        Grip::Held => {}
    }
    if canvas.as_ref().is_none_or(|(of, _)| *of != size) {
        *canvas = Some((size, Canvas::new(size)?));
    }
    let Some((_, canvas)) = canvas else {
        return Ok(None);
    };
    let at = now();
    let bytes = canvas.draw(|frame| view::draw(frame, model, at))?;
    // Terminals that know this show the frame in one go; others ignore it.
    Ok(Some([BEGIN_UPDATE, &bytes, END_UPDATE].concat()))
}

async fn written(
    written: &mut Option<oneshot::Receiver<io::Result<String>>>,
) -> io::Result<String> {
    match written {
        Some(written) => match written.await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::Error::other("it did not end as it should")),
        },
        None => std::future::pending().await,
    }
}

/// What puts a text into the clipboard of a terminal that allows it.
fn clipboard(text: &str) -> String {
    let mut code = String::new();
    // Into memory: it cannot fail.
    let _ = CopyToClipboard::to_clipboard_from(text).write_ansi(&mut code);
    code
}

fn now() -> Now {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Now {
        instant: Instant::now(),
        ms: since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        }),
    }
}

const fn manners(takes_mouse: bool) -> Manners {
    Manners {
        takes_interrupt: true,
        has_cursor: true,
        marks_paste: true,
        takes_mouse,
    }
}

/// Between two frames when nothing was typed: 60 a second.
const FRAME_INTERVAL: Duration = Duration::from_millis(16);
/// How often it is looked what time has changed.
const TICK: Duration = Duration::from_millis(200);
/// How many of them until the figures of the status line are new: a second.
const FIGURES_TICKS: u32 = 5;
/// Keys taken before the next frame.
const EVENTS_AT_ONCE: usize = 256;
/// Lines of the log that wait.
const LOG_LEN_MAX: usize = 256;
const BELL: u8 = 0x07;
/// Synchronized output, mode 2026.
const BEGIN_UPDATE: &[u8] = b"\x1b[?2026h";
const END_UPDATE: &[u8] = b"\x1b[?2026l";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clipboard_gets_the_text() {
        assert_eq!(clipboard("ä!"), "\u{1b}]52;c;w6Qh\u{1b}\\");
    }
}
