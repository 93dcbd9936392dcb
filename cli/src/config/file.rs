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
        if self.faults.len() > faults_before {
            return;
        }
        let changes: Vec<(&str, &[String])> = file
            .keys
            .iter()
            .map(|(name, keys)| (name.as_str(), &*keys.value))
            .collect();
        // Each by itself, so that all that is wrong is told; then what they are together.
        let alone = changes.iter().map(|change| Keymap::with([*change]));
        let mut errors: Vec<KeymapError> = alone.filter_map(Result::err).collect();
        if errors.is_empty() {
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
mod tests {
    use super::*;
    use crate::tui::action::Action;

    #[track_caller]
    fn faults(text: &str) -> Vec<String> {
        let faults = parse(text).unwrap_err();
        let shown = faults.iter().map(|fault| {
            let help = fault.help.as_ref().map(|help| format!(" ({help})"));
            format!(
                "{}: {}{}",
                fault.place,
                fault.what,
                help.unwrap_or_default()
            )
        });
        shown.collect()
    }

    fn at<T>(line: usize, value: T) -> Option<At<T>> {
        Some(At { value, line })
    }

    #[test]
    fn a_full_file_is_read_with_its_lines() {
        let file = parse(
            r##"
target = ["node-1", "node-2:9000"]
name = "ann"
rooms = ["lobby", "#Ops"]
[profile.work]
target = "chat.example"
ca = "~/ca.pem"
[ui]
theme = "dark"
time_format = "%-I:%M %p"
mouse = false
[keys]
picker = "ctrl-k"
delete-to-end = ["alt-k", "f5"]
[notify]
default = "all"
"#Ops" = "off"
"##,
        )
        .unwrap();
        let strings =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(|&text| text.to_owned()).collect() };
        assert_eq!(
            file.here.targets,
            at(2, strings(&["node-1", "node-2:9000"]))
        );
        assert_eq!(file.here.name, at(3, "ann".parse().unwrap()));
        let rooms = vec!["lobby".parse().unwrap(), "ops".parse().unwrap()];
        assert_eq!(file.here.rooms, at(4, rooms));
        let work = &file.profiles["work"];
        assert_eq!(work.targets, at(6, strings(&["chat.example"])));
        assert_eq!(work.ca, at(7, PathBuf::from("~/ca.pem")));
        assert_eq!(work.name, None);
        assert_eq!(file.ui.theme, at(9, Theme::Dark));
        assert_eq!(file.ui.time_format, at(10, "%-I:%M %p".to_owned()));
        assert_eq!(file.ui.mouse, at(11, false));
        assert_eq!(file.ui.bell, None);
        let action = |key: &str| file.keymap.action(key.parse().unwrap());
        assert_eq!(action("ctrl-k"), Some(Action::Picker));
        assert_eq!(action("f5"), Some(Action::DeleteToEnd));
        assert_eq!(file.notify, at(16, Level::All));
        let ops = &file.notify_rooms[&RoomName::parse("ops").unwrap()];
        assert_eq!(
            *ops,
            At {
                value: Level::Off,
                line: 17
            }
        );
        assert!(parse("").unwrap().here == Layer::default());
    }

    #[test]
    fn unknown_keys_are_told_with_the_nearest() {
        assert_eq!(
            faults("[ui]\nmouse = true\n  time_fromat = \"x\"\n"),
            ["3:3: unknown key `time_fromat` in [ui] (did you mean `time_format`?)"]
        );
        assert_eq!(
            faults("taget = \"x\"\n[uii]\n[profile.x]\nroom = \"a\"\n[keys]\npiker = \"f1\""),
            [
                "1:1: unknown key `taget` outside of the sections (did you mean `target`?)",
                "2:2: unknown key `uii` outside of the sections (did you mean `ui`?)",
                "4:1: unknown key `room` in [profile.x] (did you mean `rooms`?)",
                "6:1: unknown key `piker` in [keys] (did you mean `picker`?)",
            ]
        );
        let far = faults("colour = 1");
        assert!(far[0].contains("chat-cli config init --print"), "{far:?}");
        let bare = faults("[notify]\nlobby = \"off\"");
        assert!(
            bare[0].starts_with("2:1: unknown key `lobby` in [notify] ("),
            "{bare:?}"
        );
    }

    #[test]
    fn wrong_values_are_told_with_what_they_should_be() {
        for (text, fault) in [
            (
                "[ui]\nmouse = \"yes\"",
                "2:9: `mouse` is text; it must be true or false",
            ),
            ("ui = 3", "1:6: `ui` is a number; it must be a section"),
            ("name = [\"a\"]", "1:8: `name` is a list; it must be text"),
            (
                "target = 8081",
                "1:10: `target` is a number; it must be text or a list of texts",
            ),
            (
                "[ui]\ntheme = \"drak\"",
                "2:9: `theme` cannot be \"drak\"; it is one of \"auto\", \"dark\", \"light\", \"mono\" (did you mean \"dark\"?)",
            ),
            (
                "pin = \"12\"",
                "1:7: `pin`: a fingerprint is a SHA-256 in 64 hex digits",
            ),
            (
                "[keys]\nundo = \"f2\"\npicker = \"F2\"",
                "3:1: F2 is given to picker and to undo",
            ),
            ("[keys]\n\ninterrupt = []", "3:1: interrupt needs a key"),
        ] {
            assert_eq!(faults(text), [fault], "{text}");
        }
        for (text, begin) in [
            ("rooms = [\"ok\",\n \"a{b\"]", "2:2: `rooms`: "),
            ("name = \"[x]\"", "1:8: `name`: "),
            ("target = \"a:b:c\"", "1:10: `target`: "),
            ("[ui]\ntime_format = \"%!\"", "2:15: `time_format`: "),
            (
                "[ui]\ntime_format = \"a\\nb\"",
                "2:15: `time_format`: it has control",
            ),
            (
                "[keys]\npicker = \"hyper-x\"",
                "2:10: `picker`: \"hyper-x\" is no key",
            ),
            ("[notify]\n\"#a{b\" = \"off\"", "2:1: `#a{b`: "),
            ("name = ", "1:"),
            (
                "name = \"a\"\nname = \"b\"",
                "2:1: this is no TOML: duplicate key",
            ),
        ] {
            let faults = faults(text);
            assert!(faults[0].starts_with(begin), "{text}: {faults:?}");
        }
    }

    #[test]
    fn a_hostile_file_costs_little() {
        assert_eq!(faults(&"x = 1\n".repeat(10_000)).len(), FAULTS_LEN_MAX);
        let many = format!("rooms = [{}]", "\"a\",".repeat(101));
        assert_eq!(faults(&many), ["1:9: `rooms` has 101 items, limit 100"]);
        assert!(!faults(&"[".repeat(100_000)).is_empty());
    }
}
