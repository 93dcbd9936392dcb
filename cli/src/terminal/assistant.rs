//! What the keys do that the line editor does not do by itself.
//!
//! Searching the editor's own history is switched off: while it runs the editor prints nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::History;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ConditionalEventHandler, Context, Editor, Event, EventContext, EventHandler, Helper,
    KeyCode, KeyEvent, Modifiers, Movement, RepeatCount,
};
use tokio::sync::mpsc;

use crate::input::Input;
use crate::terminal::complete::{self, Completion};
use crate::terminal::desk::Desk;
use crate::terminal::recall::Recall;

/// Tells the desk when the line is on the screen; it has no hints to give.
pub(super) struct Assistant {
    desk: Arc<Desk>,
}

impl Assistant {
    pub(super) const fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }
}

impl Hinter for Assistant {
    type Hint = String;

    /// The editor asks for a hint whenever it draws the line, and first when it takes keys.
    fn hint(&self, _line: &str, _pos: usize, _context: &Context<'_>) -> Option<String> {
        self.desk.set_drawn();
        None
    }
}

impl Completer for Assistant {
    type Candidate = String;
}
impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Helper for Assistant {}

/// Binds every key of ours.
pub(super) fn bind_keys<I: History>(
    editor: &mut Editor<Assistant, I>,
    desk: &Arc<Desk>,
    queue: &mpsc::Sender<Input>,
) {
    let key = |code| KeyEvent(code, Modifiers::NONE);
    let ctrl = KeyEvent::ctrl;
    let pressed = Arc::new(Mutex::new(None));
    for (keys, action) in [
        (
            &[key(KeyCode::Enter), ctrl('M'), ctrl('J')][..],
            Action::Enter,
        ),
        (&[key(KeyCode::Up), ctrl('P')], Action::Up),
        (&[key(KeyCode::Down), ctrl('N')], Action::Down),
        (&[key(KeyCode::Tab), ctrl('I')], Action::Complete),
        (&[ctrl('C')], Action::Interrupt),
        (&[ctrl('D')], Action::End),
        (
            &[ctrl('R'), ctrl('S'), KeyEvent::alt('<'), KeyEvent::alt('>')],
            Action::Nothing,
        ),
    ] {
        for key in keys {
            let handler = Key {
                action,
                desk: desk.clone(),
                queue: queue.clone(),
                interrupted: pressed.clone(),
            };
            editor.bind_sequence(*key, EventHandler::Conditional(Box::new(handler)));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Enter,
    Up,
    Down,
    Complete,
    Interrupt,
    End,
    Nothing,
}

struct Key {
    action: Action,
    desk: Arc<Desk>,
    queue: mpsc::Sender<Input>,
    /// When Ctrl-C was pressed on an empty line.
    interrupted: Arc<Mutex<Option<Instant>>>,
}

impl ConditionalEventHandler for Key {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        match self.action {
            Action::Enter => Some(self.enter(context.line())),
            // Within a text of several lines the arrows move between them.
            Action::Up | Action::Down if context.line().contains('\n') => None,
            Action::Up => {
                Some(self.recall(Cmd::PreviousHistory, |recall| recall.up(context.line())))
            }
            Action::Down => Some(self.recall(Cmd::NextHistory, Recall::down)),
            Action::Complete => Some(self.complete(&context.line()[..context.pos()])),
            Action::Interrupt => Some(self.interrupt(context.line())),
            Action::End if context.line().is_empty() => {
                self.desk.pause();
                Some(Cmd::EndOfFile)
            }
            Action::End => None,
            Action::Nothing => Some(Cmd::Noop),
        }
    }
}

impl Key {
    fn enter(&self, line: &str) -> Cmd {
        if line.trim().is_empty() {
            return Cmd::Kill(Movement::WholeBuffer);
        }
        let is_command = line.starts_with('/') && !line.starts_with("//");
        if is_command {
            self.desk.change_recall(|recall| recall.push(line));
            self.desk.pause();
            return Cmd::AcceptLine;
        }
        let number = self.desk.next_number();
        let input = Input::Line {
            number,
            text: line.to_owned(),
        };
        if self.queue.try_send(input).is_err() {
            // The line stays where it is until the ones before it are taken.
            return Cmd::Noop;
        }
        self.desk.change_recall(|recall| recall.push(line));
        Cmd::Kill(Movement::WholeBuffer)
    }

    /// Lets the editor fetch the line that was found, if one was.
    fn recall(&self, fetch: Cmd, find: impl FnOnce(&mut Recall) -> Option<String>) -> Cmd {
        self.desk.change_recall(|recall| match find(recall) {
            Some(line) => {
                recall.want(line);
                fetch
            }
            None => Cmd::Noop,
        })
    }

    fn complete(&self, before: &str) -> Cmd {
        match self
            .desk
            .change_words(|words| complete::complete(before, words))
        {
            Completion::Add(text) => Cmd::Insert(1, text),
            Completion::Choose(words) => {
                // Full or not: it is only a hint.
                let _ = self.queue.try_send(Input::Choices(words));
                Cmd::Noop
            }
            Completion::Nothing => Cmd::Noop,
        }
    }

    fn interrupt(&self, line: &str) -> Cmd {
        let now = Instant::now();
        let before = {
            let mut interrupted = self
                .interrupted
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *interrupted, line.is_empty().then_some(now))
        };
        if !line.is_empty() {
            self.desk.change_recall(Recall::leave);
            return Cmd::Kill(Movement::WholeBuffer);
        }
        if before.is_some_and(|before| now - before < TWICE_WITHIN) {
            self.desk.pause();
            return Cmd::Interrupt;
        }
        let _ = self.queue.try_send(Input::InterruptOnce);
        Cmd::Noop
    }
}

/// Two Ctrl-C within this time end the program; one never does.
const TWICE_WITHIN: Duration = Duration::from_secs(2);
