//! Which rows of a room are shown, and moving among them. Pure.
//!
//! Rows are counted from the lower edge, so only entries that are shown are ever made rows of: the
//! length of a room costs nothing.

use ratatui::text::Line;

use super::room::{Anchor, Room};
use super::rows::{self, Paper};

/// The rows that are shown at this height, each with the index of its entry, from top to bottom; at
/// most `height`.
#[must_use]
pub fn visible(room: &Room, paper: &Paper<'_>, height: usize) -> Vec<(i64, Line<'static>)> {
    let Anchor { item, hidden } = anchor_of(room);
    let mut shown: Vec<(i64, Line<'static>)> = vec![];
    let mut index = item;
    while shown.len() < height && index >= room.first() {
        let rows = rows::of(room, index, paper);
        let hidden = if index == item { hidden } else { 0 };
        let kept = rows.len().saturating_sub(hidden);
        let rows = rows.into_iter().take(kept).rev();
        shown.extend(rows.map(|row| (index, row)));
        index -= 1;
    }
    shown.truncate(height);
    shown.reverse();
    shown
}

/// Scrolls up by so many rows, as far as the first row stays at the top. Gives whether that is where
/// it is now.
pub fn up(room: &mut Room, paper: &Paper<'_>, height: usize, by: usize) -> bool {
    let mut anchor = anchor_of(room);
    anchor.hidden += by;
    loop {
        let len = rows::of(room, anchor.item, paper).len();
        if anchor.hidden < len || anchor.item <= room.first() {
            anchor.hidden = anchor.hidden.min(len);
            break;
        }
        anchor.hidden -= len;
        anchor.item -= 1;
    }
    set(room, anchor);
    let shown = rows_above(room, paper, height);
    if shown < height {
        down(room, paper, height - shown);
    }
    shown <= height
}

/// Scrolls down by so many rows, at most to the newest.
pub fn down(room: &mut Room, paper: &Paper<'_>, mut by: usize) {
    let Some(mut anchor) = room.anchor else {
        return;
    };
    loop {
        if anchor.hidden >= by {
            anchor.hidden -= by;
            break;
        }
        by -= anchor.hidden;
        anchor.item += 1;
        if anchor.item >= room.end() {
            return room.follow();
        }
        anchor.hidden = rows::of(room, anchor.item, paper).len();
    }
    set(room, anchor);
}

/// Scrolls so that an entry is shown, about in the middle.
pub fn to(room: &mut Room, paper: &Paper<'_>, height: usize, index: i64) {
    let index = index.clamp(room.first(), (room.end() - 1).max(room.first()));
    set(
        room,
        Anchor {
            item: index,
            hidden: 0,
        },
    );
    down(room, paper, height / 2);
    let shown = rows_above(room, paper, height);
    if shown < height {
        down(room, paper, height - shown);
    }
}

/// Scrolls no further than needed so that an entry is shown.
pub fn show(room: &mut Room, paper: &Paper<'_>, height: usize, index: i64) {
    let is_shown = visible(room, paper, height)
        .iter()
        .any(|(shown, _)| *shown == index);
    if !is_shown {
        to(room, paper, height, index);
    }
}

/// Rows from the top to the lower edge, counted up to one more than `height`.
fn rows_above(room: &Room, paper: &Paper<'_>, height: usize) -> usize {
    let Anchor { item, hidden } = anchor_of(room);
    let mut len = 0;
    let mut index = item;
    while len <= height && index >= room.first() {
        len += rows::of(room, index, paper).len();
        if index == item {
            len = len.saturating_sub(hidden);
        }
        index -= 1;
    }
    len
}

fn anchor_of(room: &Room) -> Anchor {
    let last = room.end() - 1;
    match room.anchor {
        Some(anchor) if anchor.item < room.first() => Anchor {
            item: room.first(),
            hidden: 0,
        },
        Some(anchor) if anchor.item <= last => anchor,
        _ => Anchor {
            item: last,
            hidden: 0,
        },
    }
}

fn set(room: &mut Room, anchor: Anchor) {
    if anchor.hidden == 0 && anchor.item >= room.end() - 1 {
        room.follow();
    } else {
        room.anchor = Some(anchor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::options::Options;
    use crate::tui::timeline::Tone;

    const HEIGHT: usize = 5;

    fn room(len: u64) -> Room {
        let mut room = Room::default();
        for number in 0..len {
            // Each one day later, so that some have two rows; some have more.
            let text = "word ".repeat(usize::try_from(number % 30).unwrap() + 1);
            room.remark(
                number * 40_000_000,
                Tone::Quiet,
                format!("{number}: {text}"),
            );
        }
        room
    }

    fn options() -> Options {
        Options {
            zone: jiff::tz::TimeZone::UTC,
            ..Options::default()
        }
    }

    fn paper(options: &Options) -> Paper<'_> {
        Paper {
            columns: 70,
            options,
            me: "ann",
            chosen: None,
        }
    }

    fn texts(room: &Room, paper: &Paper<'_>) -> Vec<String> {
        visible(room, paper, HEIGHT)
            .iter()
            .map(|(_, row)| row.to_string())
            .collect()
    }

    #[test]
    fn up_and_down_by_rows_shows_every_row_once() {
        let options = options();
        let paper = paper(&options);
        let mut room = room(40);
        let all: Vec<String> = (0..40)
            .flat_map(|index| rows::of(&room, index, &paper))
            .map(|row| row.to_string())
            .collect();
        let mut end = all.len();
        assert_eq!(texts(&room, &paper), all[end - HEIGHT..]);
        while end > HEIGHT {
            let is_top = up(&mut room, &paper, HEIGHT, 1);
            end -= 1;
            assert_eq!(texts(&room, &paper), all[end - HEIGHT..end]);
            assert_eq!(is_top, end == HEIGHT, "{end}");
        }
        assert!(up(&mut room, &paper, HEIGHT, 7));
        assert_eq!(texts(&room, &paper), all[..HEIGHT]);
        while end < all.len() {
            down(&mut room, &paper, 1);
            end += 1;
            assert_eq!(texts(&room, &paper), all[end - HEIGHT..end]);
        }
        assert_eq!(room.anchor, None);
    }

    #[test]
    fn what_comes_at_either_end_moves_nothing() {
        let options = options();
        let paper = paper(&options);
        let mut room = room(30);
        up(&mut room, &paper, HEIGHT, 9);
        let before = texts(&room, &paper);
        room.remark(9_000_000_000, Tone::Quiet, "new");
        assert_eq!(texts(&room, &paper), before);
        room.timeline.prepend(vec![]);
        assert_eq!(texts(&room, &paper), before);
    }

    #[test]
    fn short_rooms_and_far_steps_stay_in_bounds() {
        let options = options();
        let paper = paper(&options);
        let mut empty = Room::default();
        assert!(up(&mut empty, &paper, HEIGHT, 3));
        assert!(visible(&empty, &paper, HEIGHT).is_empty());
        let mut short = room(2);
        assert!(up(&mut short, &paper, HEIGHT, 100));
        assert_eq!(short.anchor, None);
        let mut long = room(30);
        assert!(up(&mut long, &paper, HEIGHT, 10_000));
        assert_eq!(visible(&long, &paper, HEIGHT).len(), HEIGHT);
        for index in [0, 3, 17, 29] {
            to(&mut long, &paper, HEIGHT, index);
            let shown = visible(&long, &paper, HEIGHT);
            assert_eq!(shown.len(), HEIGHT);
            assert!(shown.iter().any(|(shown, _)| *shown == index), "{index}");
        }
        // What was dropped is not looked for.
        to(&mut long, &paper, HEIGHT, 3);
        long.timeline.drop_oldest(20);
        assert!(!visible(&long, &paper, HEIGHT).is_empty());
    }
}
