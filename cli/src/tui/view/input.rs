//! What is being typed, or what can be typed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::put;
use crate::cells;
use crate::tui::action::Action;
use crate::tui::layout::PROMPT_COLUMNS;
use crate::tui::model::{Aim, Model};
use crate::tui::theme::{Role, Sign};

/// Draws it. Gives where the cursor is.
pub(super) fn draw(buffer: &mut Buffer, model: &Model, area: Rect) -> Option<(u16, u16)> {
    let theme = model.options.theme;
    let columns = usize::from(area.width.saturating_sub(PROMPT_COLUMNS));
    let drawn = model.composer.draw(columns);
    let height = usize::from(area.height);
    // The row of the cursor is always among those that are shown.
    let first = (drawn.row + 1).saturating_sub(height);
    for (index, row) in drawn.rows.iter().skip(first).take(height).enumerate() {
        let prompt = if first + index == 0 { "> " } else { "  " };
        let mut spans = vec![Span::styled(prompt, theme.style(Role::Bold))];
        if model.composer.is_empty() {
            let hint = cells::cut(
                &hint(model),
                columns.saturating_sub(2),
                theme.sign(Sign::More),
            );
            spans.push(Span::styled(format!(" {hint}"), theme.style(Role::Dim)));
        } else {
            spans.push(Span::raw(row.clone()));
        }
        put(buffer, area, index, &Line::from(spans));
    }
    let row = u16::try_from(drawn.row - first).ok()?;
    let column = u16::try_from(drawn.column).ok()?;
    Some((area.x + PROMPT_COLUMNS + column, area.y + row))
}

fn hint(model: &Model) -> String {
    let keys = |action| model.keys_of(action);
    if model.is_closing {
        return format!(
            "waiting until everything is sent; {} leaves without",
            keys(Action::Interrupt)
        );
    }
    match &model.aim {
        Some(Aim::React(..)) => "a reaction: an emoji or a word".to_owned(),
        _ if model.room().place.is_none() => {
            format!("/join ROOM, or {} to choose one", keys(Action::Picker))
        }
        _ => {
            let title = cells::line(&model.room().title());
            format!("message to {title}   {} help", keys(Action::Help))
        }
    }
}
