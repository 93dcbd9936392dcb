//! Whoever watches a run: pages on a terminal, lines otherwise, and which keys were pressed.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::args::BotArgs;
use super::progress::Progress;
use super::view::{Key, View};
use crate::args::Surroundings;

/// What is shown, and what was pressed.
#[derive(Debug)]
pub struct Display {
    /// None when the system has no thread to give: the run goes on unseen.
    view: Option<View>,
    keys: Option<mpsc::Receiver<Key>>,
    shown: Option<Instant>,
    is_to_pause: bool,
    is_to_end: bool,
}

impl Display {
    /// Opens what fits the terminal, and what the user wants.
    #[must_use]
    pub fn open(args: &BotArgs, around: &Surroundings) -> Self {
        let pages = !args.no_tui && !around.is_dumb;
        let opened = if pages {
            View::pages(around.palette(args.color)).or_else(|_| View::lines())
        } else {
            View::lines()
        };
        let (view, keys) = opened.ok().unzip();
        Self {
            view,
            keys,
            shown: None,
            is_to_pause: false,
            is_to_end: false,
        }
    }

    /// Whether it is time to show something.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.view.is_some() && self.shown.is_none_or(|shown| shown.elapsed() >= EVERY)
    }

    /// Shows it. Never waits.
    pub fn show(&mut self, progress: &Progress) {
        self.shown = Some(Instant::now());
        if let Some(view) = &self.view {
            view.draw(progress);
        }
    }

    /// Whether somebody wished to pause, or to go on, since the last time.
    pub fn takes_pause(&mut self) -> bool {
        self.hear();
        std::mem::take(&mut self.is_to_pause)
    }

    /// Whether somebody wished what goes on to end, since the last time: the load first, then the
    /// drain.
    pub fn wants_to_end(&mut self) -> bool {
        self.hear();
        std::mem::take(&mut self.is_to_end)
    }

    fn hear(&mut self) {
        let Some(keys) = &mut self.keys else { return };
        while let Ok(key) = keys.try_recv() {
            match key {
                Key::Pause => self.is_to_pause ^= true,
                Key::Quit => self.is_to_end = true,
            }
        }
    }
}

/// What is newer than this is not told apart.
const EVERY: Duration = Duration::from_millis(200);
