//! What the editor's thread, the printing thread and the program share: whose turn it is, the
//! prompt, what Tab knows and what was typed before.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::terminal::recall::Recall;

/// The shared state. No lock is held while anything waits for input, output or a task.
#[derive(Debug, Default)]
pub(super) struct Desk {
    turn: Mutex<Turn>,
    changed: Condvar,
    number: AtomicU64,
    words: Mutex<Words>,
    recall: Mutex<Recall>,
}

#[derive(Debug, Default)]
struct Turn {
    phase: Phase,
    prompt: String,
    /// Number of the last input that is done; none before the first prompt is known.
    done: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    /// No line is on the screen, and the next one is about to be: printing waits.
    #[default]
    Paused,
    /// A line is being typed: printing goes above it.
    Drawn,
    /// There will be no line any more: printing goes to the terminal as it is.
    Ended,
}

/// Words that Tab completes.
#[derive(Debug, Default)]
pub struct Words {
    rooms: VecDeque<String>,
    users: VecDeque<String>,
}

impl Words {
    /// Adds a room; the ones not met for the longest time are forgotten.
    pub fn add_room(&mut self, room: &str) {
        remember(&mut self.rooms, room);
    }

    /// Adds a user; the ones not met for the longest time are forgotten.
    pub fn add_user(&mut self, user: &str) {
        remember(&mut self.users, user);
    }

    /// Forgets a user.
    pub fn remove_user(&mut self, user: &str) {
        self.users.retain(|known| known != user);
    }

    /// Rooms, the last one met first.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &str> {
        self.rooms.iter().map(String::as_str)
    }

    /// Users, the last one met first.
    pub(super) fn users(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(String::as_str)
    }
}

impl Desk {
    /// Tells that an input is done and which prompt comes next.
    pub(super) fn set_ready(&self, number: u64, prompt: &str) {
        let mut turn = lock(&self.turn);
        turn.done = Some(number);
        if turn.prompt != prompt {
            prompt.clone_into(&mut turn.prompt);
        }
        self.changed.notify_all();
    }

    /// Waits until an input is done, or takes too long; gives the prompt for the next one.
    pub(super) fn wait_ready(&self, number: u64) -> String {
        let is_busy = |turn: &mut Turn| turn.done.is_none_or(|done| done < number);
        let waited = self
            .changed
            .wait_timeout_while(lock(&self.turn), READY_TIMEOUT, is_busy);
        waited
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .prompt
            .clone()
    }

    /// No line is on the screen from now on.
    pub(super) fn pause(&self) {
        let mut turn = lock(&self.turn);
        if turn.phase == Phase::Drawn {
            turn.phase = Phase::Paused;
        }
    }

    /// A line is on the screen.
    pub(super) fn set_drawn(&self) {
        let mut turn = lock(&self.turn);
        if turn.phase == Phase::Paused {
            turn.phase = Phase::Drawn;
            self.changed.notify_all();
        }
    }

    /// There will be no line any more. False when that was known before.
    pub(super) fn end(&self) -> bool {
        let mut turn = lock(&self.turn);
        let was = std::mem::replace(&mut turn.phase, Phase::Ended);
        self.changed.notify_all();
        was != Phase::Ended
    }

    /// Waits until a line is on the screen (true) or none will be (false).
    pub(super) fn wait_drawn(&self) -> bool {
        let is_paused = |turn: &mut Turn| turn.phase == Phase::Paused;
        let waited = self.changed.wait_while(lock(&self.turn), is_paused);
        waited.unwrap_or_else(PoisonError::into_inner).phase == Phase::Drawn
    }

    #[cfg(test)]
    fn is_ended(&self) -> bool {
        lock(&self.turn).phase == Phase::Ended
    }

    /// The number of the next input, from 1.
    pub(super) fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Changes the words that Tab knows.
    pub(super) fn change_words<T>(&self, change: impl FnOnce(&mut Words) -> T) -> T {
        change(&mut lock(&self.words))
    }

    /// Changes what was typed before.
    pub(super) fn change_recall<T>(&self, change: impl FnOnce(&mut Recall) -> T) -> T {
        change(&mut lock(&self.recall))
    }
}

/// A lock that lives on when a thread panicked with it: nothing in here is ever half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(words: &mut VecDeque<String>, word: &str) {
    words.retain(|known| known != word);
    words.truncate(WORDS_LEN_MAX - 1);
    words.push_front(word.to_owned());
}

/// How long the next prompt waits for a command to be done; a slower one is answered above it.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Most words of a kind that Tab knows.
const WORDS_LEN_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use super::*;

    /// A thread that asks where to print, over and over.
    fn printer(desk: &Arc<Desk>) -> Receiver<bool> {
        let (tx, rx) = channel();
        let desk = Arc::clone(desk);
        thread::spawn(move || while tx.send(desk.wait_drawn()).is_ok() && !desk.is_ended() {});
        rx
    }

    #[test]
    fn printing_waits_while_no_line_is_on_the_screen() {
        let desk = Arc::new(Desk::default());
        let waiting = || printer(&desk);
        let before = waiting();
        assert!(
            before.recv_timeout(A_MOMENT).is_err(),
            "nothing is drawn yet"
        );
        desk.set_drawn();
        assert_eq!(before.recv(), Ok(true), "above the line");
        desk.pause();
        let paused = waiting();
        assert!(paused.recv_timeout(A_MOMENT).is_err(), "between two lines");
        assert!(desk.end(), "that is news");
        assert_eq!(paused.recv(), Ok(false), "as it is");
        desk.set_drawn();
        assert_eq!(waiting().recv(), Ok(false), "the end is the end");
        assert!(!desk.end(), "that is no news");
    }

    #[test]
    fn the_next_prompt_waits_for_the_command_to_be_done() {
        let desk = Arc::new(Desk::default());
        desk.set_ready(0, "#lobby> ");
        assert_eq!(desk.wait_ready(0), "#lobby> ");
        let asked = Arc::clone(&desk);
        let prompt = thread::spawn(move || asked.wait_ready(1));
        desk.set_ready(1, "#dev> ");
        assert_eq!(prompt.join().ok().as_deref(), Some("#dev> "));
    }

    const A_MOMENT: Duration = Duration::from_millis(50);
}
