//! What applies: flag before environment before profile before file before default. Pure.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use chat_protocol::{RoomName, UserName};

use super::ConfigArgs;
use super::file::{At, File, Layer};
use super::place::Places;
use super::ui::{Notify, Theme, Ui, name_of};
use crate::args::{Args, ConnectArgs};
use crate::exit::{Exit, Failure};
use crate::nearest::nearest;
use crate::tui::action::Keymap;
use rows::{identity_rows, key_rows, notify_rows};

mod rows;

/// What applies, with where it came from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The profile in use.
    pub profile: Option<String>,
    /// Nodes to connect to.
    pub targets: Sourced<Vec<String>>,
    /// The name wanted; none for the user's on this machine.
    pub name: Sourced<Option<UserName>>,
    /// Rooms to join.
    pub rooms: Sourced<Vec<RoomName>>,
    /// The authority to trust, and no other.
    pub ca: Sourced<Option<PathBuf>>,
    /// The certificate to trust, and no other.
    pub pin: Sourced<Option<String>>,
    /// Where the development certificates are.
    pub certs: Sourced<Option<PathBuf>>,
    /// The screen.
    pub ui: Ui,
    /// What each key does.
    pub keymap: Keymap,
    /// When to tell of messages.
    pub notify: Notify,
    /// All of it as lines of a configuration file, in its order.
    pub rows: Vec<Row>,
}

/// A value and where it came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// An argument of this name.
    Flag(&'static str),
    /// A variable of this name.
    Environment(&'static str),
    /// A profile, and its line in the file.
    Profile(String, usize),
    /// This line of the file, outside of profiles.
    File(usize),
    /// Nobody said anything.
    Default,
}

/// A key and its value, as they stand in a configuration file, and where they came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// The section; empty for none.
    pub section: &'static str,
    /// The key.
    pub key: String,
    /// The value in TOML; none when there is none.
    pub value: Option<String>,
    /// Where it came from.
    pub source: Source,
}

/// What the command line and the environment say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// Targets.
    pub targets: &'a [String],
    /// The name.
    pub name: Option<&'a UserName>,
    /// The rooms.
    pub rooms: &'a [RoomName],
    /// Whom to trust.
    pub connect: Option<&'a ConnectArgs>,
    /// Whether the mouse is not wanted.
    pub no_mouse: bool,
    /// The arguments that came from the environment, by the names of their fields.
    pub environment: &'a [String],
}

impl<'a> Given<'a> {
    /// What a conversation was given.
    #[must_use]
    pub fn of(args: &'a Args, environment: &'a [String]) -> Self {
        Self {
            targets: &args.targets,
            name: args.name.as_ref(),
            rooms: &args.rooms,
            connect: Some(&args.connect),
            no_mouse: args.no_mouse,
            environment,
        }
    }
}

impl Settings {
    /// Fills in what a conversation was not given.
    pub fn fill(&self, args: &mut Args) {
        args.targets.clone_from(&self.targets.value);
        args.name.clone_from(&self.name.value);
        args.rooms.clone_from(&self.rooms.value);
        args.connect = self.connect(&args.connect);
    }

    /// Whom to trust, after all.
    #[must_use]
    pub fn connect(&self, args: &ConnectArgs) -> ConnectArgs {
        ConnectArgs {
            ca: self.ca.value.clone(),
            pin: self.pin.value.clone(),
            certs: self.certs.value.clone(),
            ..args.clone()
        }
    }
}

/// Decides what applies.
///
/// # Errors
/// When the profile that is wanted is not there.
pub fn resolve(
    args: &ConfigArgs,
    given: &Given<'_>,
    file: Option<(&Path, &File)>,
    places: &Places,
) -> Result<Settings, Failure> {
    let empty = File::default();
    let (path, file) = file.map_or((None, &empty), |(path, file)| (Some(path), file));
    let profile = args.profile.as_deref().filter(|name| !name.is_empty());
    let chosen = match profile {
        Some(name) => Some((name, find_profile(name, path, file, places)?)),
        None => None,
    };
    let layers = Layers {
        given,
        chosen,
        here: &file.here,
    };
    let from = path.and_then(Path::parent).unwrap_or_else(|| Path::new(""));
    let mut targets = layers.pick(
        Some(given.targets.to_vec()).filter(|targets| !targets.is_empty()),
        ("TARGET", "targets", "CHAT_TARGET"),
        |layer| layer.targets.as_ref(),
    );
    let mut rooms = layers.pick(
        Some(given.rooms.to_vec()).filter(|rooms| !rooms.is_empty()),
        ("--room", "rooms", "CHAT_ROOM"),
        |layer| layer.rooms.as_ref(),
    );
    // A list that is empty says nothing.
    targets = targets.filter(|targets| !targets.value.is_empty());
    rooms = rooms.filter(|rooms| !rooms.value.is_empty());
    let name = layers.pick(
        given.name.cloned(),
        ("--name", "name", "CHAT_NAME"),
        |layer| layer.name.as_ref(),
    );
    let connect = given.connect;
    let ca = layers.pick(
        connect.and_then(|args| args.ca.clone()),
        ("--ca", "ca", "CHAT_CA"),
        |layer| layer.ca.as_ref(),
    );
    let pin = layers.pick(
        connect.and_then(|args| args.pin.clone()),
        ("--pin", "pin", "CHAT_PIN"),
        |layer| layer.pin.as_ref(),
    );
    let certs = layers.pick(
        connect.and_then(|args| args.certs.clone()),
        ("--certs", "certs", "CHAT_CERTS"),
        |layer| layer.certs.as_ref(),
    );
    let (ca, pin) = nearer(ca, pin);
    let in_file = |sourced: Sourced<PathBuf>| match sourced.source {
        Source::File(_) | Source::Profile(..) => Sourced {
            value: places.expand(&sourced.value, from),
            source: sourced.source,
        },
        _ => sourced,
    };
    let mut rows = vec![];
    let mut settings = Settings {
        file: path.map(Path::to_owned),
        profile: profile.map(str::to_owned),
        targets: targets.unwrap_or_else(|| Sourced::default(vec![TARGET.to_owned()])),
        name: optional(name),
        rooms: rooms.unwrap_or_else(|| Sourced::default(vec![lobby()])),
        ca: optional(ca.map(in_file)),
        pin: optional(pin),
        certs: optional(certs.map(in_file)),
        ui: ui(args, given, file, &mut rows),
        keymap: file.keymap.clone(),
        notify: Notify {
            default: file
                .notify
                .as_ref()
                .map_or_else(|| Notify::default().default, |at| at.value),
            rooms: file
                .notify_rooms
                .iter()
                .map(|(room, at)| (room.clone(), at.value))
                .collect(),
        },
        rows: vec![],
    };
    settings.rows = identity_rows(&settings);
    settings.rows.append(&mut rows);
    settings.rows.extend(key_rows(file, &settings.keymap));
    settings.rows.extend(notify_rows(file, &settings.notify));
    Ok(settings)
}

fn find_profile<'a>(
    name: &str,
    path: Option<&Path>,
    file: &'a File,
    places: &Places,
) -> Result<&'a Layer, Failure> {
    if let Some(layer) = file.profiles.get(name) {
        return Ok(layer);
    }
    let usual = places.config_file().unwrap_or_default();
    let shown = path.unwrap_or(&usual).display();
    let what = format!("there is no profile {name:?} in {shown}");
    let failure = Failure::new(Exit::CONFIG, "config", what);
    if path.is_none() {
        let help = "make the file with every key in it:  chat-cli config init";
        return Err(failure.because("the file is not there").try_this(help));
    }
    Err(
        match nearest(name, file.profiles.keys().map(String::as_str)) {
            Some(meant) => failure.try_this(format!("did you mean {meant:?}?")),
            None => failure.try_this(format!("a profile begins with [profile.{name}]")),
        },
    )
}

struct Layers<'a> {
    given: &'a Given<'a>,
    chosen: Option<(&'a str, &'a Layer)>,
    here: &'a Layer,
}

impl Layers<'_> {
    /// The nearest value there is. `names` are those of the flag, of its field and its variable.
    fn pick<T: Clone>(
        &self,
        given: Option<T>,
        names: (&'static str, &str, &'static str),
        of: impl Fn(&Layer) -> Option<&At<T>>,
    ) -> Option<Sourced<T>> {
        let (flag, field, variable) = names;
        if let Some(value) = given {
            let is_environment = self.given.environment.iter().any(|name| name == field);
            let source = if is_environment {
                Source::Environment(variable)
            } else {
                Source::Flag(flag)
            };
            return Some(Sourced { value, source });
        }
        if let Some((name, layer)) = self.chosen
            && let Some(At { value, line }) = of(layer)
        {
            let source = Source::Profile(name.to_owned(), *line);
            return Some(Sourced {
                value: value.clone(),
                source,
            });
        }
        of(self.here).map(|At { value, line }| Sourced {
            value: value.clone(),
            source: Source::File(*line),
        })
    }
}

/// Of an authority and a certificate the one that was said nearer: `--ca` is not overruled by a pin
/// in the file. Said equally near, both stand, and the certificate counts.
fn nearer<A, B>(
    a: Option<Sourced<A>>,
    b: Option<Sourced<B>>,
) -> (Option<Sourced<A>>, Option<Sourced<B>>) {
    match (a, b) {
        (Some(a), Some(b)) if a.source.rank() < b.source.rank() => (Some(a), None),
        (Some(a), Some(b)) if b.source.rank() < a.source.rank() => (None, Some(b)),
        both => both,
    }
}

fn optional<T>(sourced: Option<Sourced<T>>) -> Sourced<Option<T>> {
    match sourced {
        Some(Sourced { value, source }) => Sourced {
            value: Some(value),
            source,
        },
        None => Sourced::default(None),
    }
}

impl<T> Sourced<T> {
    const fn default(value: T) -> Self {
        Self {
            value,
            source: Source::Default,
        }
    }
}

impl Source {
    const fn rank(&self) -> u8 {
        match self {
            Self::Flag(_) => 0,
            Self::Environment(_) => 1,
            Self::Profile(..) => 2,
            Self::File(_) => 3,
            Self::Default => 4,
        }
    }
}

impl Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => out.write_str(name),
            Self::Environment(name) => write!(out, "${name}"),
            Self::Profile(name, line) => write!(out, "line {line}, profile {name}"),
            Self::File(line) => write!(out, "line {line}"),
            Self::Default => out.write_str("default"),
        }
    }
}

/// What applies of the screen, and its rows.
fn ui(args: &ConfigArgs, given: &Given<'_>, file: &File, rows: &mut Vec<Row>) -> Ui {
    let default = Ui::default();
    let mut row = |key: &str, value: String, source: Source| {
        rows.push(Row {
            section: "ui",
            key: key.to_owned(),
            value: Some(value),
            source,
        });
    };
    let theme = from_file(file.ui.theme.as_ref(), default.theme);
    let name = name_of(Theme::NAMES, theme.value);
    row("theme", quoted(name), theme.source);
    let time_format = from_file(file.ui.time_format.as_ref(), default.time_format);
    row(
        "time_format",
        quoted(&time_format.value),
        time_format.source,
    );
    let mut switch = |key, given: Option<Sourced<bool>>, said, default| {
        let Sourced { value, source } = given.unwrap_or_else(|| from_file(said, default));
        row(key, value.to_string(), source);
        value
    };
    let flag = |is_given: bool, value, name| {
        is_given.then_some(Sourced {
            value,
            source: Source::Flag(name),
        })
    };
    let (said, no_mouse) = (&file.ui, flag(given.no_mouse, false, "--no-mouse"));
    Ui {
        theme: theme.value,
        time_format: time_format.value,
        mouse: switch("mouse", no_mouse, said.mouse.as_ref(), default.mouse),
        bell: switch("bell", None, said.bell.as_ref(), default.bell),
        typing: switch("typing", None, said.typing.as_ref(), default.typing),
        member_list: switch(
            "member_list",
            None,
            said.member_list.as_ref(),
            default.member_list,
        ),
        room_list: switch(
            "room_list",
            None,
            said.room_list.as_ref(),
            default.room_list,
        ),
        ascii: switch(
            "ascii",
            flag(args.ascii, true, "--ascii"),
            said.ascii.as_ref(),
            default.ascii,
        ),
    }
}

fn from_file<T: Clone>(said: Option<&At<T>>, default: T) -> Sourced<T> {
    match said {
        Some(At { value, line }) => Sourced {
            value: value.clone(),
            source: Source::File(*line),
        },
        None => Sourced::default(default),
    }
}

/// A text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn lobby() -> RoomName {
    RoomName::parse(ROOM).expect("the default is a valid name")
}

/// The target when nobody names one: a node on this machine.
pub const TARGET: &str = "8081";

/// The room when nobody names one.
pub const ROOM: &str = "lobby";

#[cfg(test)]
mod tests;
