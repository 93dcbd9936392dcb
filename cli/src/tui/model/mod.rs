//! Everything the client that fills the terminal knows: keys and reports in, requests and wishes
//! out. Pure: time comes as an argument, and what is to be done in the world is a [`Wish`].
//!
//! Owns which room is shown, what is being typed, and what lies over the messages. Never draws: the
//! view reads it.
//!
//! Invariants: the page of this program itself is always the first room, so there is always one to
//! show; everything that is kept is bounded.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use chat_protocol::{Cursor, RoomName, UserName};

use self::opening::Opening;
use super::action::Action;
use super::complete::Cycle;
use super::composer::{self, Composer};
use super::layout::Layout;
use super::options::Options;
use super::picker::Picker;
use super::room::{PendingState, Room};
use super::rows::Paper;
use super::scroll;
use super::timeline::Tone;
use crate::config::Level;
use crate::operation::{Operation, Request};
use crate::report::Place;

mod keys;
mod local;
mod messages;
pub mod mouse;
mod open;
mod opening;
mod people;
mod reports;
mod rooms;
mod submit;

pub use local::LOCAL_COMMANDS;

/// When something happens.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For how long things take.
    pub instant: Instant,
    /// For people: milliseconds since 1970.
    pub ms: u64,
}

/// Something to do in the world.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wish {
    /// Ring the terminal's bell.
    Bell,
    /// Tell the room that this user is typing.
    Typing(RoomName),
    /// Write what is being typed in $EDITOR.
    Editor,
    /// Stop the process, back to the shell.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Put a text into the clipboard, by the terminal.
    Copy(String),
    /// End when everything is sent; again: at once.
    Quit,
    /// Do not end after all.
    Stay,
}

/// The way to the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Link {
    /// A node serves the session.
    Up,
    /// None does.
    Away {
        /// Why.
        reason: String,
        /// When the next try is made; none while one is.
        retry_at: Option<Instant>,
        /// How many have failed.
        attempt: u32,
    },
    /// None will any more.
    Closed {
        /// Why.
        reason: String,
    },
}

/// What lies over the messages, and takes the keys.
#[derive(Debug)]
pub enum Overlay {
    /// The keys and commands; scrolled by so many rows.
    Help(usize),
    /// A list to choose from.
    Picker(Picker),
    /// A pasted text of several lines, and what to do with it.
    Paste(String),
    /// A message is being chosen.
    Select(i64),
}

/// The message that what is being typed is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Aim {
    /// It answers this one, whose author and text are these.
    Reply(Cursor, String),
    /// It replaces this one.
    Edit(Cursor),
    /// It is a reaction to this one.
    React(Cursor, String),
}

/// A short remark that goes away by itself.
#[derive(Clone, Debug)]
pub struct Toast {
    /// What it says.
    pub text: String,
    /// When it goes.
    pub until: Instant,
}

/// Everything the client knows.
#[derive(Debug)]
pub struct Model {
    /// What the user chose.
    pub options: Options,
    /// The open rooms; the first is the page of this program.
    pub rooms: Vec<Room>,
    /// Which of them is shown.
    pub current: usize,
    /// The one that was shown before.
    previous: Option<Place>,
    /// What this user is called.
    pub me: String,
    /// The node that serves the session, or did last.
    pub node: String,
    /// The way to it.
    pub link: Link,
    /// Whether the node reaches the others.
    pub has_backplane: bool,
    /// The round trip time, smoothed.
    pub rtt: Option<Duration>,
    /// What is being typed.
    pub composer: Composer,
    /// What is done with it, if it is not simply said.
    pub aim: Option<Aim>,
    /// What lies over the messages.
    pub overlay: Option<Overlay>,
    /// A short remark.
    pub toast: Option<Toast>,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Whether only messages are shown, to be copied with the mouse.
    pub is_bare: bool,
    /// What was asked for and is not in the log yet: messages and changes of messages.
    pub unsettled: usize,
    /// Whether the end is waited for.
    pub is_closing: bool,
    /// The room, and the message, that the editor was opened for.
    writing_in: Option<(Option<Place>, Option<Aim>)>,
    /// When it was said that what is sent again may be there twice.
    doubling_at: Option<Instant>,
    /// Whether acks are late.
    pub is_late: bool,
    /// When members were asked for last.
    members_asked_at: Option<Instant>,
    /// When it was said that leaving leaves something unsent.
    warned_at: Option<Instant>,
    /// Whether the chosen message was clicked at.
    pub is_clicked: bool,
    /// When a room that was asked for did not open.
    refused_at: Option<Instant>,
    /// The message that is deleted when that is asked for once more.
    deleting: Option<Cursor>,
    /// What was being typed before that.
    aside: String,
    cycle: Option<Cycle>,
    /// How far back in what was sent, and what was being typed before.
    recall: Option<(usize, String)>,
    interrupted_at: Option<Instant>,
    typing_told_at: Option<Instant>,
    /// Messages that name the user, oldest first: their room and place.
    mentions: VecDeque<(Place, i64)>,
    /// Rooms that were heard of.
    known_rooms: BTreeSet<String>,
    /// Rooms whose members are to be asked for again.
    stale_members: BTreeSet<RoomName>,
    outbox: VecDeque<Request>,
    wishes: Vec<Wish>,
    number: u64,
    /// Rooms that are to be shown when they are open, in the order they were asked for.
    openings: Vec<Opening>,
    /// Who was written to alone without going there.
    writing_to: Option<UserName>,
    /// When the rooms were asked for last, for the list of them.
    rooms_asked_at: Option<Instant>,
}

impl Model {
    /// A client that is connected, and in no room yet.
    #[must_use]
    pub fn new(options: Options, size: (u16, u16)) -> Self {
        Self {
            options,
            rooms: vec![Room::new(None)],
            current: 0,
            previous: None,
            me: String::new(),
            node: String::new(),
            link: Link::Up,
            has_backplane: true,
            rtt: None,
            composer: Composer::default(),
            aim: None,
            overlay: None,
            toast: None,
            size,
            is_bare: false,
            unsettled: 0,
            is_closing: false,
            writing_in: None,
            doubling_at: None,
            is_late: false,
            members_asked_at: None,
            warned_at: None,
            is_clicked: false,
            refused_at: None,
            deleting: None,
            aside: String::new(),
            cycle: None,
            recall: None,
            interrupted_at: None,
            typing_told_at: None,
            mentions: VecDeque::new(),
            known_rooms: BTreeSet::new(),
            stale_members: BTreeSet::new(),
            outbox: VecDeque::new(),
            wishes: vec![],
            number: 0,
            openings: vec![],
            writing_to: None,
            rooms_asked_at: None,
        }
    }

    /// The room that is shown.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.rooms[self.current]
    }

    /// The room that is shown.
    pub fn room_mut(&mut self) -> &mut Room {
        &mut self.rooms[self.current]
    }

    /// What was typed to be sent and is not in the log, as far as is known: where, and what.
    #[must_use]
    pub fn unsent(&self) -> Vec<(String, String)> {
        let of_room = |room: &Room| {
            let pending = room.pending.iter();
            let unsent = pending.filter(|pending| pending.state != PendingState::Acked);
            let title = room.title();
            let texts: Vec<(String, String)> = unsent
                .map(|pending| (title.clone(), pending.text.clone()))
                .collect();
            texts
        };
        let held = self.openings.iter().flat_map(Opening::held);
        let held = held.map(|line| ("a room that did not open".to_owned(), line.clone()));
        self.rooms.iter().flat_map(of_room).chain(held).collect()
    }

    /// What is to be asked of the cluster next, in order.
    #[must_use]
    pub const fn outbox(&self) -> &VecDeque<Request> {
        &self.outbox
    }

    /// Takes the next request.
    pub fn take_request(&mut self, index: usize) -> Option<Request> {
        self.outbox.remove(index)
    }

    /// What is to be done in the world, in order.
    pub fn take_wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    /// Where everything is on the screen.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::of(self)
    }

    /// Whether the terminal is too small for anything.
    #[must_use]
    pub const fn is_too_small(&self) -> bool {
        Layout::is_small(self.size)
    }

    /// What the rows of the shown room are drawn on.
    #[must_use]
    pub fn paper(&self) -> Paper<'_> {
        Paper {
            columns: self.layout().messages.width.into(),
            options: &self.options,
            me: &self.me,
            chosen: match self.overlay {
                Some(Overlay::Select(index)) => Some(index),
                _ => None,
            },
        }
    }

    /// The terminal has another size.
    pub const fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
    }

    /// Time passes. Gives whether something on the screen changes by it.
    pub fn on_tick(&mut self, now: Now) -> bool {
        let mut changed = matches!(self.link, Link::Away { .. });
        if self
            .toast
            .take_if(|toast| toast.until <= now.instant)
            .is_some()
        {
            changed = true;
        }
        for room in &mut self.rooms {
            let len = room.typing.len();
            room.typing.retain(|(_, until)| *until > now.instant);
            changed |= room.typing.len() != len;
        }
        self.ask_for_rooms(now);
        let is_fresh = self
            .members_asked_at
            .is_some_and(|at| now.instant.saturating_duration_since(at) < MEMBERS_INTERVAL);
        if !is_fresh && !self.stale_members.is_empty() {
            self.members_asked_at = Some(now.instant);
            for room in std::mem::take(&mut self.stale_members) {
                self.ask(Some(MEMBERS), Operation::Members { room: Some(room) });
            }
        }
        changed
    }

    /// What was written elsewhere instead of what was being typed.
    pub fn on_edited(&mut self, text: &str, now: Now) {
        let text = text.trim_end_matches('\n');
        let (place, aim) = self.writing_in.take().unwrap_or_default();
        let is_there = place == self.room().place && aim == self.aim;
        let index = place.as_ref().and_then(|place| self.index_of(place));
        match index {
            // As a message it would stand there twice.
            Some(index) if !is_there && matches!(aim, Some(Aim::Edit(_))) => {
                self.rooms[index].remember(text);
                let title = self.rooms[index].title();
                self.say(
                    now,
                    format!("what you wrote is among what was sent in {title}"),
                );
            }
            Some(index) if !is_there => {
                self.rooms[index].draft = text.to_owned();
                let title = self.rooms[index].title();
                self.say(now, format!("what you wrote waits in {title}"));
            }
            _ => self.composer.set(text),
        }
        if text.len() > composer::TEXT_BYTES_MAX {
            self.say(now, keys::too_long(text.len()));
        }
    }

    /// The log of `-v` says something.
    pub fn on_log(&mut self, line: &str, now: Now) {
        self.rooms[0].remark(now.ms, Tone::Quiet, line);
        self.bound();
    }

    /// Forgets which messages of a room name the user; they are not among its items any more.
    fn forget_mentions(&mut self, place: Option<&Place>) {
        self.mentions
            .retain(|(of, _)| place.is_none_or(|place| of.room != place.room));
    }

    /// Says something short for a while.
    pub fn say(&mut self, now: Now, text: impl Into<String>) {
        self.toast = Some(Toast {
            text: text.into(),
            until: now.instant + TOAST_TIME,
        });
    }

    /// Says something for good, in the shown room.
    fn remark(&mut self, now: Now, tone: Tone, text: impl Into<String>) {
        self.room_mut().remark(now.ms, tone, text);
        self.bound();
    }

    fn wish(&mut self, wish: Wish) {
        if !self.wishes.contains(&wish) {
            self.wishes.push(wish);
        }
    }

    /// Asks for something; whether there was room for it.
    fn ask(&mut self, reference: Option<&str>, operation: Operation) -> bool {
        let has_room = self.outbox.len() < OUTBOX_LEN_MAX;
        if has_room {
            self.outbox.push_back(Request {
                reference: reference.map(str::to_owned),
                operation,
            });
        }
        has_room
    }

    fn index_of(&self, place: &Place) -> Option<usize> {
        let is_it = |room: &Room| room.place.as_ref().is_some_and(|of| of.room == place.room);
        self.rooms.iter().position(is_it)
    }

    /// The level of a room.
    #[must_use]
    pub fn level(&self, room: &Room) -> Level {
        match &room.place {
            Some(place) => self.options.notify.level(&place.room),
            None => Level::Off,
        }
    }

    /// The user goes to another room: those that are being opened are not shown any more.
    pub fn go_to_room(&mut self, index: usize) {
        self.cancel_openings();
        self.go(index);
    }

    /// Shows another room.
    fn go(&mut self, index: usize) {
        if index == self.current || index >= self.rooms.len() {
            return;
        }
        if self.aim.is_some() {
            self.drop_aim();
        }
        self.previous = self.room().place.clone();
        let draft = self.composer.take();
        let room = self.room_mut();
        room.leave();
        room.draft = draft;
        self.current = index;
        self.typing_told_at = None;
        self.cycle = None;
        self.recall = None;
        if matches!(self.overlay, Some(Overlay::Select(_))) {
            self.overlay = None;
        }
        let room = self.room_mut();
        room.enter();
        let draft = std::mem::take(&mut room.draft);
        self.composer.set(&draft);
    }

    /// Scrolls the shown room to an entry.
    fn go_to(&mut self, index: i64) {
        self.with_paper(|room, paper, height| scroll::to(room, paper, height, index));
    }

    /// Gives the shown room, what it is drawn on, and how many rows of it are shown.
    fn with_paper<T>(&mut self, work: impl FnOnce(&mut Room, &Paper<'_>, usize) -> T) -> T {
        let height = usize::from(self.layout().messages.height).max(1);
        let current = self.current;
        let mut room = std::mem::take(&mut self.rooms[current]);
        let paper = self.paper();
        let outcome = work(&mut room, &paper, height);
        self.rooms[current] = room;
        outcome
    }

    /// Keeps what all rooms take together within its bound.
    fn bound(&mut self) {
        while self
            .rooms
            .iter()
            .map(|room| room.timeline.bytes())
            .sum::<usize>()
            > TIMELINES_BYTES_MAX
        {
            let largest = self
                .rooms
                .iter_mut()
                .max_by_key(|room| room.timeline.bytes());
            let Some(room) = largest else { return };
            let len = room.timeline.iter().len().div_ceil(8);
            room.timeline.drop_oldest(len);
            room.forget_old();
            room.past = if room.place.is_some() {
                super::room::Past::More
            } else {
                super::room::Past::Nothing
            };
        }
    }

    /// The rooms with something new, those that name the user first: index, messages, mentions.
    #[must_use]
    pub fn active(&self) -> Vec<(usize, u32, u32)> {
        let mut active: Vec<(usize, u32, u32)> = self
            .rooms
            .iter()
            .enumerate()
            .filter(|(index, room)| {
                *index != self.current && room.unread > 0 && self.level(room) != Level::Off
            })
            .map(|(index, room)| (index, room.unread, room.mentions))
            .collect();
        active.sort_by_key(|(index, _, mentions)| (*mentions == 0, *index));
        active
    }

    /// The keys of an action, for hints.
    #[must_use]
    pub fn keys_of(&self, action: Action) -> String {
        self.options.keymap.keys(action)
    }
}

/// What ties the members of a room to the question for them.
const MEMBERS: &str = "members";
/// What ties older entries to the question for them.
const OLDER: &str = "older";
/// What ties the rooms there are to the question for them.
const ROOMS: &str = "rooms";
/// How often whole lists of members are asked for.
const MEMBERS_INTERVAL: Duration = Duration::from_secs(2);

/// How long a short remark stays.
const TOAST_TIME: Duration = Duration::from_secs(5);

/// Most requests that wait for those before them.
const OUTBOX_LEN_MAX: usize = 4_096;

/// Most bytes of items, over all rooms. What became of messages takes about as much again.
const TIMELINES_BYTES_MAX: usize = 32 << 20;

/// Most mentions that are listed.
const MENTIONS_LEN_MAX: usize = 200;

#[cfg(test)]
pub(crate) mod tests;
