//! What is read, and which mistakes are told with which places.

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
    // Each mistake is told, whatever others there are.
    assert_eq!(
        faults("[keys]\npiker = \"f1\"\nundo = \"ctrl-i\"\nsearch = \"a\""),
        [
            "2:1: unknown key `piker` in [keys] (did you mean `picker`?)",
            "3:1: Ctrl-i of undo cannot be given: terminals send it for Tab",
            "4:1: a of search cannot be given: it is a letter to be typed",
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
