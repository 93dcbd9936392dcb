//! The status line: where one is, as whom, how far the node is, and what goes on elsewhere.

use std::time::Duration;

use ratatui::text::Line;

use crate::cells;
use crate::tui::model::{Link, Model};
use crate::tui::room::PendingState;
use crate::tui::theme::{Role, Sign};
use crate::wrap;

/// The status line in so many columns.
pub(super) fn line(model: &Model, columns: usize) -> Line<'static> {
    let theme = model.options.theme;
    let more = theme.sign(Sign::More);
    let right = activity(model);
    // What goes on elsewhere stands at the right.
    let right_columns = wrap::columns(&right).min(columns.saturating_sub(LEFT_COLUMNS_MIN));
    let right = cells::cut(&right, right_columns, more);
    let left_columns = columns.saturating_sub(wrap::columns(&right) + 1);
    let left = cells::left(&format!(" {}", here(model)), left_columns, more);
    let text = cells::left(&format!("{left}{right} "), columns, more);
    Line::styled(text, theme.style(Role::Bar))
}

fn here(model: &Model) -> String {
    let theme = model.options.theme;
    let link = match model.link {
        Link::Up => theme.sign(Sign::Up),
        Link::Away { .. } | Link::Closed { .. } => theme.sign(Sign::Away),
    };
    let way = match (&model.link, model.rtt) {
        (Link::Up, _) if model.is_late => "no answer".to_owned(),
        (Link::Up, Some(rtt)) => rtt_text(rtt),
        (Link::Up, None) => String::new(),
        _ => "away".to_owned(),
    };
    let pending = model.rooms.iter().flat_map(|room| &room.pending);
    let waiting = pending
        .filter(|pending| pending.state == PendingState::Waiting)
        .count();
    let waiting = match waiting.max(model.unsettled) {
        0 => String::new(),
        waiting => format!("{waiting} sending"),
    };
    let failed = if model.rooms.iter().any(|room| room.has_failed()) {
        "! not sent".to_owned()
    } else {
        String::new()
    };
    let parts = [
        format!("{link}{}", cells::line(&model.room().title())),
        cells::line(&format!("{}@{}", model.me, model.node)),
        way,
        waiting,
        failed,
        typing(model),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("  ")
}

fn activity(model: &Model) -> String {
    let rooms = model.active().into_iter().map(|(index, unread, mentions)| {
        let title = cells::line(&model.rooms[index].title());
        match mentions {
            0 => format!("{title}({unread})"),
            mentions => format!("{title}({unread},{mentions}@)"),
        }
    });
    let rooms: Vec<String> = rooms.collect();
    rooms.join(" ")
}

/// A round trip time, for people.
fn rtt_text(rtt: Duration) -> String {
    let ms = rtt.as_secs_f64() * 1e3;
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

fn typing(model: &Model) -> String {
    let names = model.room().typing.iter();
    let names: Vec<String> = names.map(|(name, _)| cells::line(name.as_str())).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("{one} is typing"),
        [one, other] => format!("{one} and {other} are typing"),
        [one, ..] => format!("{one} and {} others are typing", names.len() - 1),
    }
}

/// Columns that the left part keeps.
const LEFT_COLUMNS_MIN: usize = 16;
