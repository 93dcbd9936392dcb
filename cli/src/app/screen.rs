//! The conversation on the whole of a terminal.

use std::io::{self, Write};

use jiff::tz::TimeZone;

use crate::args::{Args, Surroundings};
use crate::clean;
use crate::config::{self, Settings};
use crate::conversation::Conversation;
use crate::exit::{Exit, Failure};
use crate::log::Log;
use crate::palette::Palette;
use crate::screen;
use crate::stop::Stop;
use crate::tui::options::Options;
use crate::tui::theme::Theme;
use crate::tui::{Ending, Tui};

/// Takes the terminal.
///
/// # Errors
/// When it cannot be had, such as in the background.
pub(super) fn open(args: &Args, settings: &Settings, around: &Surroundings) -> io::Result<Tui> {
    let has_colour =
        args.palette(around) == Palette::Colour && settings.ui.theme != config::Theme::Mono;
    let options = Options {
        theme: Theme {
            has_colour,
            is_ascii: settings.ui.ascii,
            is_dark: settings.ui.theme == config::Theme::Dark,
        },
        ui: settings.ui.clone(),
        zone: TimeZone::system(),
        keymap: settings.keymap.clone(),
        notify: settings.notify.clone(),
    };
    Tui::open(screen::of_stdout()?, options)
}

/// Talks, gives the terminal back, says goodbye. What is left to say goes to standard error.
pub(super) async fn talk(
    tui: Tui,
    mut conversation: Conversation,
    args: &Args,
    stop: &Stop,
    log: &Log,
) -> Exit {
    log.redirect(tui.log_sender());
    let (ending, unsent) = tui
        .talk(&mut conversation, &args.rooms, stop, args.ack_timeout)
        .await;
    let (exit, failure) = match ending {
        Ending::Quit => (Exit::Done, None),
        Ending::TerminalGone => (Exit::Failed, None),
        Ending::Stopped(exit) => (exit, None),
        Ending::Unsettled(0) => (Exit::Interrupted, None),
        Ending::Unsettled(len) => {
            let messages = if len == 1 { "message" } else { "messages" };
            let what = format!("{len} {messages} without an ack, in the log or not");
            let failure = Failure::new(Exit::TimedOut, "ack_timeout", what)
                .try_this("look for it in the room before you send it again");
            (Exit::TimedOut, Some(failure))
        }
        Ending::Closed(reason) => {
            let failure = Failure::new(Exit::SentAway, "closed", "the node ended the session")
                .because(reason);
            (Exit::SentAway, Some(failure))
        }
    };
    // Before the goodbye, which takes a while when nobody answers.
    if let Some(failure) = failure {
        let _ = writeln!(io::stderr().lock(), "{failure}");
    }
    // The screen that showed it is gone: nobody shall have to type it again.
    for (room, text) in unsent {
        let (room, text) = (clean::line(&room), clean::line(&text));
        let _ = writeln!(
            io::stderr().lock(),
            "not known to be sent to {room}: {text}"
        );
    }
    conversation.close().await;
    exit
}
