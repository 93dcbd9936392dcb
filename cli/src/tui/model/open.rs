//! What lies over the messages: opening it, its keys, and what choosing does.

use std::time::Duration;

use super::submit::{PENDING_LEN_MAX, escaped};
use super::{Aim, Model, Now, OLDER, Overlay, ROOMS, Wish};
use crate::operation::Operation;
use crate::tui::action::Action;
use crate::tui::key::Chord;
use crate::tui::picker::{self, MATCHES_LEN_MAX, Match, Picker, QUERY_CHARS_MAX, Source, Target};
use crate::tui::room::{Past, Room};
use crate::tui::timeline::{Item, Kind, Said, Tone};
use chat_protocol::limits::TEXT_BYTES_MAX;

impl Model {
    pub(super) fn open_rooms(&mut self, now: Now) {
        self.open(Picker::new(Source::Rooms));
        self.ask_for_rooms(now);
    }

    /// While the list of rooms is shown: asks every few seconds which there are.
    pub(super) fn ask_for_rooms(&mut self, now: Now) {
        let is_shown = matches!(&self.overlay, Some(Overlay::Picker(picker)) if picker.source == Source::Rooms);
        let is_fresh = self
            .rooms_asked_at
            .is_some_and(|at| now.instant - at < ROOMS_INTERVAL);
        if is_shown && !is_fresh {
            self.rooms_asked_at = Some(now.instant);
            self.ask(Some(ROOMS), Operation::Rooms);
        }
    }

    pub(super) fn open_search(&mut self, query: &str) {
        let mut picker = Picker::new(Source::Messages);
        picker.query = query.chars().take(QUERY_CHARS_MAX).collect();
        self.open(picker);
    }

    pub(super) fn open_mentions(&mut self) {
        self.open(Picker::new(Source::Mentions));
    }

    pub(super) fn open_sent(&mut self) {
        self.open(Picker::new(Source::Sent));
    }

    fn open(&mut self, picker: Picker) {
        self.overlay = Some(Overlay::Picker(picker));
        self.search_again();
    }

    /// Finds again what fits the query.
    pub(super) fn search_again(&mut self) {
        let Some(Overlay::Picker(picker)) = &self.overlay else {
            return;
        };
        let matches = match picker.source {
            Source::Rooms => self.matching_rooms(&picker.query),
            Source::Messages => self.matching_messages(&picker.query),
            Source::Mentions => self.matching_mentions(&picker.query),
            Source::Sent => self.matching_sent(&picker.query),
        };
        if let Some(Overlay::Picker(picker)) = &mut self.overlay {
            picker.set(matches);
        }
    }

    fn matching_rooms(&self, query: &str) -> Vec<Match> {
        let open = self.rooms.iter().enumerate().map(|(index, room)| {
            let counts = match (room.unread, room.mentions) {
                (0, _) => String::new(),
                (unread, 0) => format!("  {unread} new"),
                (unread, mentions) => format!("  {unread} new, {mentions} for you"),
            };
            let title = room.title();
            let label = format!("{title}{counts}");
            (
                title,
                Match {
                    label,
                    target: Target::Room(index),
                },
            )
        });
        let is_open = |name: &String| {
            self.rooms.iter().any(|room| {
                let place = room.place.as_ref();
                place.is_some_and(|place| place.room.as_str() == name)
            })
        };
        let others = self.known_rooms.iter().filter(|name| !is_open(name));
        let others = others.map(|name| {
            let title = format!("#{name}");
            let label = format!("{title}  join");
            (
                title,
                Match {
                    label,
                    target: Target::Join(name.clone()),
                },
            )
        });
        let query = query.trim_start_matches(['#', '@']);
        let mut found: Vec<(usize, Match)> = open
            .chain(others)
            .filter_map(|(title, found)| Some((picker::fuzzy(&title, query)?, found)))
            .collect();
        if query.is_empty() {
            // Where one most likely wants to go: what is new, where one was, the rest.
            let previous = self
                .previous
                .as_ref()
                .and_then(|place| self.index_of(place));
            let active: Vec<usize> = self.active().iter().map(|(index, ..)| *index).collect();
            found.sort_by_key(|(_, found)| match found.target {
                Target::Room(index) if active.contains(&index) => 0,
                Target::Room(index) if Some(index) == previous && index != self.current => 1,
                Target::Room(index) if index != self.current && index > 0 => 2,
                Target::Room(_) => 4,
                _ => 3,
            });
        } else {
            found.sort_by_key(|(cost, _)| *cost);
        }
        found
            .into_iter()
            .map(|(_, found)| found)
            .take(MATCHES_LEN_MAX)
            .collect()
    }

    fn matching_messages(&self, query: &str) -> Vec<Match> {
        if query.is_empty() {
            return vec![];
        }
        let query = query.to_lowercase();
        let room = self.room();
        let items = room.timeline.iter().rev();
        items
            .filter(|(_, item)| picker::contains(text_now(room, item), &query))
            .map(|(index, item)| Match {
                label: label(room, item),
                target: Target::Entry(self.current, index),
            })
            .take(MATCHES_LEN_MAX)
            .collect()
    }

    fn matching_mentions(&self, query: &str) -> Vec<Match> {
        let query = query.to_lowercase();
        let found = self.mentions.iter().rev().filter_map(|(place, index)| {
            let room_index = self.index_of(place)?;
            let room = &self.rooms[room_index];
            let item = room.timeline.get(*index)?;
            // What stood there may have been dropped, and something else been loaded.
            let is_mention = matches!(&item.kind, Kind::Said(said) if said.mention);
            if !is_mention {
                return None;
            }
            picker::contains(text_now(room, item), &query).then(|| Match {
                label: format!("{place} {}", label(room, item)),
                target: Target::Entry(room_index, *index),
            })
        });
        found.take(MATCHES_LEN_MAX).collect()
    }

    fn matching_sent(&self, query: &str) -> Vec<Match> {
        let query = query.to_lowercase();
        let sent = self.room().sent.iter().rev();
        sent.filter(|line| picker::contains(line, &query))
            .map(|line| Match {
                label: line.clone(),
                target: Target::Text(line.clone()),
            })
            .take(MATCHES_LEN_MAX)
            .collect()
    }

    pub(super) fn on_overlay_key(&mut self, chord: Chord, action: Option<Action>, now: Now) {
        match &self.overlay {
            Some(Overlay::Help(_)) => self.on_help_key(chord, action, now),
            Some(Overlay::Picker(_)) => self.on_picker_key(chord, action, now),
            Some(Overlay::Paste(_)) => self.on_paste_key(chord, action, now),
            Some(Overlay::Select(index)) => {
                let index = *index;
                self.on_select_key(chord, action, index, now);
            }
            None => {}
        }
    }

    fn on_picker_key(&mut self, chord: Chord, action: Option<Action>, now: Now) {
        let Some(Overlay::Picker(picker)) = &mut self.overlay else {
            return;
        };
        let is_up = matches!(
            action,
            Some(Action::HistoryUp | Action::PreviousRoom | Action::CompleteBack)
        );
        match (action, chord.letter()) {
            (Some(Action::Cancel), _) => self.overlay = None,
            (Some(Action::Send), _) => self.choose(now),
            _ if is_up => picker.turn(-1),
            // The same key again goes on, as in a shell.
            (
                Some(
                    Action::HistoryDown
                    | Action::NextRoom
                    | Action::Complete
                    | Action::HistorySearch
                    | Action::Search,
                ),
                _,
            ) => picker.turn(1),
            (Some(Action::PageUp), _) => picker.turn(-10),
            (Some(Action::PageDown), _) => picker.turn(10),
            (Some(Action::DeleteBack), _) => {
                picker.query.pop();
                self.search_again();
            }
            (Some(Action::DeleteToStart | Action::DeleteWordBack), _) => {
                picker.query.clear();
                self.search_again();
            }
            (_, Some(letter)) if picker.query.chars().count() < QUERY_CHARS_MAX => {
                picker.query.push(letter);
                self.search_again();
            }
            _ => {}
        }
    }

    /// Does what the chosen one of a list says.
    pub(super) fn choose(&mut self, now: Now) {
        let Some(Overlay::Picker(picker)) = self.overlay.take() else {
            return;
        };
        match picker.target() {
            Some(Target::Room(index)) => self.go_to_room(*index),
            Some(Target::Join(name)) => self.submit_line(&format!("/join {name}"), now),
            Some(Target::Entry(room, index)) => {
                self.go_to_room(*room);
                self.go_to(*index);
            }
            Some(Target::Text(text)) => self.composer.set(text),
            None if picker.source == Source::Rooms && !picker.query.trim().is_empty() => {
                let name = picker.query.trim();
                if name.contains(char::is_whitespace) {
                    let said = format!("no room can be called {name:?}");
                    return self.remark(now, Tone::Error, said);
                }
                self.submit_line(&format!("/join {name}"), now);
            }
            None => {}
        }
    }

    fn on_paste_key(&mut self, chord: Chord, action: Option<Action>, now: Now) {
        let Some(Overlay::Paste(text)) = self.overlay.take() else {
            return;
        };
        match (action, chord.letter()) {
            (Some(Action::Send), _) if text.len() <= TEXT_BYTES_MAX => {
                self.send_text(&text, now);
            }
            (_, Some('s')) => {
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                let free = PENDING_LEN_MAX - self.room().pending.len().min(PENDING_LEN_MAX);
                let len = lines.clone().count();
                if self.room().is_abandoned || self.room().place.is_none() {
                    self.say(now, "nobody reads this room");
                    self.overlay = Some(Overlay::Paste(text));
                    return;
                }
                if let Some(bytes) = lines
                    .clone()
                    .map(str::len)
                    .find(|len| *len > TEXT_BYTES_MAX)
                {
                    let said =
                        format!("a line has {bytes} bytes; a message at most {TEXT_BYTES_MAX}");
                    self.say(now, said);
                    self.overlay = Some(Overlay::Paste(text));
                    return;
                }
                if len <= free {
                    return lines.for_each(|line| self.send_text(line, now));
                }
                // All of them or none: nobody would see which were left out.
                self.say(
                    now,
                    format!("{len} lines are too many at once: {free} can be sent now"),
                );
                self.overlay = Some(Overlay::Paste(text));
            }
            (_, Some('e')) => {
                if !self.composer.insert_text(&text) {
                    self.say(now, super::keys::too_long(text.len()));
                    self.overlay = Some(Overlay::Paste(text));
                }
            }
            (Some(Action::Cancel), _) => {}
            // Whatever else was pressed decides nothing.
            _ => self.overlay = Some(Overlay::Paste(text)),
        }
    }

    fn on_select_key(&mut self, chord: Chord, action: Option<Action>, index: i64, now: Now) {
        if let (true, Some(letter)) = (std::mem::take(&mut self.is_clicked), chord.letter()) {
            // A click to get here is not meant as a choice: whoever types then types.
            self.overlay = None;
            return self.type_letter(letter, now);
        }
        let to = match (action, chord.letter()) {
            (Some(Action::HistoryUp | Action::Select | Action::LineUp), _) | (_, Some('k')) => {
                self.message_before(index)
            }
            (Some(Action::HistoryDown | Action::LineDown), _) | (_, Some('j')) => {
                self.message_after(index)
            }
            (Some(Action::PageUp), _) => self.message_before((index - 10).max(self.room().first())),
            (Some(Action::PageDown), _) => self.message_after(index + 9),
            (_, Some(letter)) => {
                self.do_with_selected(letter, index, now);
                return;
            }
            (Some(Action::Send), _) => {
                self.do_with_selected('r', index, now);
                return;
            }
            _ => {
                self.overlay = None;
                return;
            }
        };
        match to {
            Some(to) => {
                self.deleting = None;
                self.overlay = Some(Overlay::Select(to));
                self.show_entry(to);
            }
            None => self.load_older(now),
        }
    }

    fn do_with_selected(&mut self, letter: char, index: i64, now: Now) {
        let Some(said) = self.said(index) else {
            self.overlay = None;
            return;
        };
        let cursor = said.cursor;
        let text = self.room().text_of(said).to_owned();
        let author = said.author.name.as_str().to_owned();
        let own = said.own;
        match letter {
            'r' => {
                if !matches!(self.aim, None | Some(Aim::Reply(..))) {
                    self.drop_aim();
                }
                // What was begun may well be the answer.
                self.aim = Some(Aim::Reply(cursor, format!("{author}: {text}")));
            }
            '+' => self.aim_at(Aim::React(cursor, format!("{author}: {text}")), ""),
            'e' | 'd' if !own => {
                return self.say(now, "only its author can change it");
            }
            'e' => self.aim_at(Aim::Edit(cursor), &escaped(&text)),
            'd' if self.deleting != Some(cursor) => {
                self.deleting = Some(cursor);
                return self.say(now, "d again deletes it for everybody");
            }
            'd' => {
                self.toast = None;
                self.delete(cursor);
            }
            'y' => {
                self.wish(Wish::Copy(text));
                self.say(now, "copied, if this terminal lets programs do that");
            }
            _ => return,
        }
        self.overlay = None;
    }

    fn said(&self, index: i64) -> Option<&Said> {
        match &self.room().timeline.get(index)?.kind {
            Kind::Said(said) => Some(said),
            _ => None,
        }
    }

    /// Asks for what is before the oldest item of the shown room.
    pub(super) fn load_older(&mut self, now: Now) {
        let room = self.room();
        let Some(place) = &room.place else { return };
        match room.past {
            Past::Loading | Past::Nothing => return,
            Past::More => {}
        }
        let operation = Operation::History {
            room: Some(place.room.clone()),
            before: room.loaded_from(),
            limit: PAGE_LEN,
        };
        if self.ask(Some(OLDER), operation) {
            self.room_mut().past = Past::Loading;
            self.say(now, "loading older messages");
        }
    }
}

/// What an item says now.
fn text_now<'a>(room: &'a Room, item: &'a Item) -> &'a str {
    match &item.kind {
        Kind::Said(said) => room.text_of(said),
        _ => item.text(),
    }
}

/// What a list shows of an item.
fn label(room: &Room, item: &Item) -> String {
    let text = text_now(room, item);
    match &item.kind {
        Kind::Said(said) => format!("<{}> {text}", said.author.name),
        _ => text.to_owned(),
    }
}

/// How often the list of rooms is brought up to date.
const ROOMS_INTERVAL: Duration = Duration::from_secs(2);

/// Older messages that are asked for at a time.
const PAGE_LEN: u32 = 100;
