//! The configuration file: a text in, what it says or everything that is wrong with it out. Pure.
//!
//! Nothing is filled in here, and nothing that was read is wrong: rooms and names are valid, times
//! can be formatted, keys exist. Each value knows its line, to tell where it came from.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use chat_client::{Fingerprint, Target};
use chat_protocol::{RoomName, UserName};
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place};
use super::ui::{Level, Theme};
use crate::nearest::nearest;
use crate::tui::action::{ACTION_NAMES, Keymap, KeymapError};
use crate::tui::key::Chord;

/// What a configuration file says.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// What holds without a profile, and for what a profile does not say.
    pub here: Layer,
    /// The profiles.
    pub profiles: BTreeMap<String, Layer>,
    /// The screen.
    pub ui: UiLayer,
    /// The keys that were given, action by action.
    pub keys: BTreeMap<String, At<Vec<String>>>,
    /// The table of keys with those changes.
    pub keymap: Keymap,
    /// When to tell of messages, in general.
    pub notify: Option<At<Level>>,
    /// When to tell of messages in these rooms.
    pub notify_rooms: BTreeMap<RoomName, At<Level>>,
}

/// A value and the line it stands in, from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The line.
    pub line: usize,
}

/// Where to go, and as whom.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Layer {
    /// Nodes to connect to.
    pub targets: Option<At<Vec<String>>>,
    /// The name wanted.
    pub name: Option<At<UserName>>,
    /// Rooms to join.
    pub rooms: Option<At<Vec<RoomName>>>,
    /// The authority to trust, as it is written.
    pub ca: Option<At<PathBuf>>,
    /// The certificate to trust.
    pub pin: Option<At<String>>,
    /// Where the development certificates are, as it is written.
    pub certs: Option<At<PathBuf>>,
}

/// What is said about the screen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the fields of `Ui`")]
pub struct UiLayer {
    pub theme: Option<At<Theme>>,
    pub time_format: Option<At<String>>,
    pub mouse: Option<At<bool>>,
    pub bell: Option<At<bool>>,
    pub typing: Option<At<bool>>,
    pub member_list: Option<At<bool>>,
    pub room_list: Option<At<bool>>,
    pub ascii: Option<At<bool>>,
}

/// Reads a configuration file.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines; never empty.
pub fn parse(text: &str) -> Result<File, Vec<Fault>> {
    let mut reader = Reader {
        text,
        faults: vec![],
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors.into_iter().take(FAULTS_LEN_MAX) {
        let span = error.span().unwrap_or_default();
        reader.fault(&span, format!("this is no TOML: {}", error.message()), None);
    }
    let mut file = File::default();
    // What is left of a broken text would only be complained about.
    if reader.faults.is_empty() {
        reader.document(table.get_ref(), &mut file);
    }
    if reader.faults.is_empty() {
        return Ok(file);
    }
    reader.faults.sort_by_key(|fault| fault.place);
    Err(reader.faults)
}

type Value<'i> = Spanned<DeValue<'i>>;

struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn document(&mut self, table: &DeTable<'_>, file: &mut File) {
        for (key, value) in table {
            match &**key.get_ref() {
                "profile" => {
                    let Some(profiles) = self.table(value, "profile") else {
                        continue;
                    };
                    for (name, value) in profiles {
                        let name = name.get_ref().to_string();
                        let section = format!("in [profile.{name}]");
                        let Some(table) = self.table(value, &name) else {
                            continue;
                        };
                        let mut layer = Layer::default();
                        for (key, value) in table {
                            if !self.layer_key(key.get_ref(), value, &mut layer) {
                                self.unknown(key, &section, LAYER_KEYS.iter().copied());
                            }
                        }
                        file.profiles.insert(name, layer);
                    }
                }
                "ui" => {
                    if let Some(table) = self.table(value, "ui") {
                        self.ui(table, &mut file.ui);
                    }
                }
                "keys" => {
                    if let Some(table) = self.table(value, "keys") {
                        self.keys(table, file);
                    }
                }
                "notify" => {
                    if let Some(table) = self.table(value, "notify") {
                        self.notify(table, file);
                    }
                }
                name => {
                    if !self.layer_key(name, value, &mut file.here) {
                        let known = LAYER_KEYS.iter().chain(SECTIONS).copied();
                        self.unknown(key, "outside of the sections", known);
                    }
                }
            }
        }
    }

    /// Reads a key of a layer; whether it is one.
    fn layer_key(&mut self, key: &str, value: &Value<'_>, layer: &mut Layer) -> bool {
        match key {
            "target" => {
                layer.targets = self.list(key, value, |text| {
                    Target::parse_list(text)
                        .map(|_| text.to_owned())
                        .map_err(|error| error.to_string())
                });
            }
            "name" => {
                layer.name = self.text(key, value, |text| {
                    text.parse::<UserName>().map_err(|error| error.to_string())
                });
            }
            "rooms" => {
                layer.rooms = self.list(key, value, |text| {
                    RoomName::parse(text).map_err(|error| error.to_string())
                });
            }
            "ca" => layer.ca = self.text(key, value, path),
            "pin" => {
                layer.pin = self.text(key, value, |text| {
                    text.parse::<Fingerprint>()
                        .map(|_| text.to_owned())
                        .map_err(|error| error.to_string())
                });
            }
            "certs" => layer.certs = self.text(key, value, path),
            _ => return false,
        }
        true
    }

    fn ui(&mut self, table: &DeTable<'_>, ui: &mut UiLayer) {
        for (key, value) in table {
            let name = &**key.get_ref();
            match name {
                "theme" => ui.theme = self.choice(name, value, Theme::NAMES),
                "time_format" => ui.time_format = self.text(name, value, time_format),
                "mouse" => ui.mouse = self.switch(name, value),
                "bell" => ui.bell = self.switch(name, value),
                "typing" => ui.typing = self.switch(name, value),
                "member_list" => ui.member_list = self.switch(name, value),
                "room_list" => ui.room_list = self.switch(name, value),
                "ascii" => ui.ascii = self.switch(name, value),
                _ => self.unknown(key, "in [ui]", UI_KEYS.iter().copied()),
            }
        }
    }

    fn keys(&mut self, table: &DeTable<'_>, file: &mut File) {
        let faults_before = self.faults.len();
        for (key, value) in table {
            let name = &**key.get_ref();
            if !ACTION_NAMES.contains(&name) {
                self.unknown(key, "in [keys]", ACTION_NAMES.iter().copied());
                continue;
            }
            let chords = self.list(name, value, |text| {
                text.parse::<Chord>()
                    .map(|_| text.to_owned())
                    .map_err(|error| error.to_string())
            });
            if let Some(chords) = chords {
                file.keys.insert(name.to_owned(), chords);
            }
        }
        let changes: Vec<(&str, &[String])> = file
            .keys
            .iter()
            .map(|(name, keys)| (name.as_str(), &*keys.value))
            .collect();
        // Each by itself, so that all that is wrong is told; then what they are together.
        let alone = changes.iter().map(|change| Keymap::with([*change]));
        let mut errors: Vec<KeymapError> = alone.filter_map(Result::err).collect();
        if errors.is_empty() && self.faults.len() == faults_before {
            match Keymap::with(changes.iter().copied()) {
                Ok(keymap) => file.keymap = keymap,
                Err(error) => errors.push(error),
            }
        }
        for error in errors {
            let of = |name: &str| {
                let found = table.iter().find(|(key, _)| &**key.get_ref() == name);
                found.map_or(0..0, |(key, _)| key.span())
            };
            let span = match &error {
                KeymapError::Action(action)
                | KeymapError::Key { action, .. }
                | KeymapError::Reserved { action, .. } => of(action),
                KeymapError::Twice { one, other, .. } => {
                    let (one, other) = (of(one), of(other));
                    if one.start > other.start { one } else { other }
                }
                KeymapError::Needed(action) => of(action),
            };
            self.fault(&span, error.to_string(), None);
        }
    }

    fn notify(&mut self, table: &DeTable<'_>, file: &mut File) {
        for (key, value) in table {
            let name = &**key.get_ref();
            if name == "default" {
                file.notify = self.choice(name, value, Level::NAMES);
                continue;
            }
            if !name.starts_with('#') {
                let what = format!("unknown key `{name}` in [notify]");
                let help = "the keys are `default` and rooms with their #, such as \"#lobby\"";
                self.fault(&key.span(), what, Some(help.to_owned()));
                continue;
            }
            match RoomName::parse(name) {
                Ok(room) => {
                    if let Some(level) = self.choice(name, value, Level::NAMES) {
                        file.notify_rooms.insert(room, level);
                    }
                }
                Err(error) => self.fault(&key.span(), format!("`{name}`: {error}"), None),
            }
        }
    }

    fn table<'t, 'i>(&mut self, value: &'t Value<'i>, name: &str) -> Option<&'t DeTable<'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                let what = format!("`{name}` is {}; it must be a section", kind(other));
                self.fault(&value.span(), what, None);
                None
            }
        }
    }

    fn switch(&mut self, name: &str, value: &Value<'_>) -> Option<At<bool>> {
        match value.get_ref() {
            DeValue::Boolean(is_on) => Some(self.at(value, *is_on)),
            other => self.wrong(name, value, other, "true or false"),
        }
    }

    fn choice<T: Copy>(
        &mut self,
        name: &str,
        value: &Value<'_>,
        choices: &[(&'static str, T)],
    ) -> Option<At<T>> {
        let names: Vec<String> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        let wanted = names.join(", ");
        let DeValue::String(text) = value.get_ref() else {
            return self.wrong(name, value, value.get_ref(), &format!("one of {wanted}"));
        };
        if let Some((_, chosen)) = choices.iter().find(|(known, _)| *known == &**text) {
            return Some(self.at(value, *chosen));
        }
        let meant = nearest(text, choices.iter().map(|(name, _)| *name));
        let what = format!("`{name}` cannot be {text:?}; it is one of {wanted}");
        let help = meant.map(|meant| format!("did you mean {meant:?}?"));
        self.fault(&value.span(), what, help);
        None
    }

    fn text<T>(
        &mut self,
        name: &str,
        value: &Value<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let DeValue::String(text) = value.get_ref() else {
            return self.wrong(name, value, value.get_ref(), "text");
        };
        match read(text) {
            Ok(read) => Some(self.at(value, read)),
            Err(error) => {
                self.fault(&value.span(), format!("`{name}`: {error}"), None);
                None
            }
        }
    }

    /// One text, or a list of them.
    fn list<T>(
        &mut self,
        name: &str,
        value: &Value<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<At<Vec<T>>> {
        let DeValue::Array(items) = value.get_ref() else {
            if !matches!(value.get_ref(), DeValue::String(_)) {
                return self.wrong(name, value, value.get_ref(), "text or a list of texts");
            }
            let one = self.text(name, value, read)?;
            return Some(At {
                value: vec![one.value],
                line: one.line,
            });
        };
        if items.len() > LIST_LEN_MAX {
            let what = format!("`{name}` has {} items, limit {LIST_LEN_MAX}", items.len());
            self.fault(&value.span(), what, None);
            return None;
        }
        let read: Vec<Option<At<T>>> = items
            .iter()
            .map(|item| self.text(name, item, &read))
            .collect();
        let all: Option<Vec<T>> = read.into_iter().map(|at| at.map(|at| at.value)).collect();
        Some(self.at(value, all?))
    }

    fn wrong<T>(
        &mut self,
        name: &str,
        value: &Value<'_>,
        is: &DeValue<'_>,
        wanted: &str,
    ) -> Option<T> {
        let what = format!("`{name}` is {}; it must be {wanted}", kind(is));
        self.fault(&value.span(), what, None);
        None
    }

    fn unknown<'k>(
        &mut self,
        key: &Spanned<impl AsRef<str>>,
        section: &str,
        known: impl Iterator<Item = &'k str>,
    ) {
        let name = key.get_ref().as_ref();
        let help = match nearest(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "every key, with what it does:  chat-cli config init --print".to_owned(),
        };
        self.fault(
            &key.span(),
            format!("unknown key `{name}` {section}"),
            Some(help),
        );
    }

    fn at<T>(&self, value: &Value<'_>, read: T) -> At<T> {
        At {
            value: read,
            line: Place::of(self.text, &value.span()).line,
        }
    }

    fn fault(&mut self, span: &Range<usize>, what: String, help: Option<String>) {
        if self.faults.len() < FAULTS_LEN_MAX {
            let place = Place::of(self.text, span);
            self.faults.push(Fault { place, what, help });
        }
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        text => Ok(text.into()),
    }
}

/// A format that was tried, and gives something short.
fn time_format(text: &str) -> Result<String, String> {
    let noon = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    let shown = strtime::format(text, &noon).map_err(|error| error.to_string())?;
    match shown.chars().count() {
        _ if shown.chars().any(char::is_control) => Err("it has control characters".to_owned()),
        chars if chars > TIME_CHARS_MAX => Err(format!(
            "a time takes {chars} characters, limit {TIME_CHARS_MAX}"
        )),
        _ => Ok(text.to_owned()),
    }
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// Keys of a profile, and of the file outside of sections.
pub(super) const LAYER_KEYS: &[&str] = &["target", "name", "rooms", "ca", "pin", "certs"];

/// Sections of the file.
const SECTIONS: &[&str] = &["profile", "ui", "keys", "notify"];

/// Keys of `[ui]`.
pub(super) const UI_KEYS: &[&str] = &[
    "theme",
    "time_format",
    "mouse",
    "bell",
    "typing",
    "member_list",
    "room_list",
    "ascii",
];

/// Faults told of one file: more would not be read.
const FAULTS_LEN_MAX: usize = 50;

/// Items of a list: as many rooms as a session may have.
const LIST_LEN_MAX: usize = 100;

/// Characters of a time: it stands before every message.
const TIME_CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests;
