//! What users can choose of how it looks and behaves.

use jiff::tz::TimeZone;

use super::action::Keymap;
use super::theme::Theme;
use crate::config::{Notify, Ui};

/// Everything that can be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Colours and signs, as they are on this terminal.
    pub theme: Theme,
    /// What the configuration says about the screen.
    pub ui: Ui,
    /// The zone of times.
    pub zone: TimeZone,
    /// What keys do.
    pub keymap: Keymap,
    /// What rings and counts.
    pub notify: Notify,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            theme: Theme {
                has_colour: true,
                is_ascii: false,
                is_dark: false,
            },
            ui: Ui::default(),
            zone: TimeZone::system(),
            keymap: Keymap::default(),
            notify: Notify::default(),
        }
    }
}
