//! The settings as rows of the file they could come from, for `config show`.

use std::path::PathBuf;

use super::{Row, Settings, Source, from_file, quoted};
use crate::config::file::{At, File};
use crate::config::ui::{Level, Notify, name_of};
use crate::tui::action::{BINDINGS, Keymap};

pub(super) fn identity_rows(settings: &Settings) -> Vec<Row> {
    let row = |key: &str, value: Option<String>, source: &Source| Row {
        section: "",
        key: key.to_owned(),
        value,
        source: source.clone(),
    };
    let rooms = settings
        .rooms
        .value
        .iter()
        .map(|room| quoted(room.as_str()));
    let targets = settings.targets.value.iter().map(|target| quoted(target));
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| quoted(&path.to_string_lossy()));
    let name = settings
        .name
        .value
        .as_ref()
        .map(|name| quoted(name.as_str()));
    let pin = settings.pin.value.as_ref().map(|pin| quoted(pin));
    vec![
        row("target", Some(list(targets)), &settings.targets.source),
        row("name", name, &settings.name.source),
        row("rooms", Some(list(rooms)), &settings.rooms.source),
        row("ca", path(&settings.ca.value), &settings.ca.source),
        row("pin", pin, &settings.pin.source),
        row("certs", path(&settings.certs.value), &settings.certs.source),
    ]
}

pub(super) fn key_rows(file: &File, keymap: &Keymap) -> Vec<Row> {
    let rows = BINDINGS.iter().map(|binding| {
        let (keys, source) = match file.keys.get(binding.name) {
            Some(At { value, line }) => (value.clone(), Source::File(*line)),
            None => {
                // Another action may have taken some.
                let keys = binding.keys.split(' ').filter(|key| {
                    let chord = key.parse().ok();
                    chord.and_then(|chord| keymap.action(chord)) == Some(binding.action)
                });
                (keys.map(str::to_owned).collect(), Source::Default)
            }
        };
        Row {
            section: "keys",
            key: binding.name.to_owned(),
            value: Some(list(keys.iter().map(|key| quoted(key)))),
            source,
        }
    });
    rows.collect()
}

pub(super) fn notify_rows(file: &File, notify: &Notify) -> Vec<Row> {
    let row = |key: String, level, source| Row {
        section: "notify",
        key,
        value: Some(quoted(name_of(Level::NAMES, level))),
        source,
    };
    let default = from_file(file.notify.as_ref(), notify.default);
    let rooms = file
        .notify_rooms
        .iter()
        .map(|(room, at)| row(quoted(&format!("#{room}")), at.value, Source::File(at.line)));
    std::iter::once(row("default".to_owned(), default.value, default.source))
        .chain(rooms)
        .collect()
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}
