//! What applies, and where it comes from.

use super::*;
use crate::config::Level;
use crate::config::file::parse;

const FILE: &str = r##"
target = ["a", "b"]
name = "file"
pin = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
certs = "~/certs"
[profile.work]
name = "work"
ca = "work.pem"
[ui]
mouse = true
bell = false
[keys]
picker = "ctrl-r"
[notify]
"#ops" = "all"
"##;

fn places() -> Places {
    Places {
        home: Some("/home/ann".into()),
        ..Places::default()
    }
}

fn resolved(profile: Option<&str>, given: &Given<'_>) -> Result<Settings, Failure> {
    let args = ConfigArgs {
        profile: profile.map(str::to_owned),
        ..ConfigArgs::default()
    };
    let file = parse(FILE).unwrap();
    resolve(
        &args,
        given,
        Some((Path::new("/c/chat/config.toml"), &file)),
        &places(),
    )
}

fn connect() -> ConnectArgs {
    ConnectArgs {
        ca: None,
        pin: None,
        certs: None,
        connect_timeout: std::time::Duration::from_secs(3),
    }
}

#[test]
fn what_is_nearer_wins() {
    let (name, rooms) = ("flag".parse().unwrap(), ["dev".parse().unwrap()]);
    let name_of = |settings: &Settings| {
        let Sourced { value, source } = &settings.name;
        (value.as_ref().map(ToString::to_string), source.to_string())
    };
    let told = |name: &str, source: &str| (Some(name.to_owned()), source.to_owned());
    let none = resolve(&ConfigArgs::default(), &Given::default(), None, &places()).unwrap();
    assert_eq!(name_of(&none), (None, "default".to_owned()));
    let file = resolved(None, &Given::default()).unwrap();
    assert_eq!(name_of(&file), told("file", "line 3"));
    let profile = resolved(Some("work"), &Given::default()).unwrap();
    assert_eq!(name_of(&profile), told("work", "line 7, profile work"));
    assert_eq!(
        profile.targets.value,
        ["a", "b"],
        "a profile need not say all"
    );
    let environment = ["name".to_owned()];
    let mut given = Given {
        name: Some(&name),
        rooms: &rooms,
        environment: &environment,
        ..Given::default()
    };
    let settings = resolved(Some("work"), &given).unwrap();
    assert_eq!(name_of(&settings), told("flag", "$CHAT_NAME"));
    assert_eq!(settings.rooms.source, Source::Flag("--room"));
    given.environment = &[];
    let settings = resolved(Some("work"), &given).unwrap();
    assert_eq!(name_of(&settings), told("flag", "--name"));
}

#[test]
fn a_certificate_far_away_does_not_overrule_an_authority_nearby() {
    let trusted = |profile, connect: &ConnectArgs| {
        let given = Given {
            connect: Some(connect),
            ..Given::default()
        };
        let settings = resolved(profile, &given).unwrap().connect(connect);
        (settings.ca, settings.pin.is_some(), settings.certs)
    };
    let certs = Some(PathBuf::from("/home/ann/certs"));
    assert_eq!(trusted(None, &connect()), (None, true, certs.clone()));
    let work = Some(PathBuf::from("/c/chat/work.pem"));
    assert_eq!(
        trusted(Some("work"), &connect()),
        (work, false, certs.clone())
    );
    let flag = ConnectArgs {
        ca: Some("here.pem".into()),
        ..connect()
    };
    assert_eq!(
        trusted(None, &flag),
        (Some("here.pem".into()), false, certs.clone())
    );
    let both = ConnectArgs {
        pin: Some("12".to_owned()),
        ..flag
    };
    assert_eq!(trusted(None, &both), (Some("here.pem".into()), true, certs));
}

#[test]
fn the_screen_and_notices_are_put_together() {
    let given = Given {
        no_mouse: true,
        ..Given::default()
    };
    let settings = resolved(None, &given).unwrap();
    let expected = Ui {
        mouse: false,
        bell: false,
        ..Ui::default()
    };
    assert_eq!(settings.ui, expected);
    let level = |room| settings.notify.level(&RoomName::parse(room).unwrap());
    assert_eq!((level("ops"), level("dev")), (Level::All, Level::Mentions));
    let row = |key: &str| {
        let row = settings.rows.iter().find(|row| row.key == key).unwrap();
        (row.value.clone().unwrap(), row.source.to_string())
    };
    let told = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(row("mouse"), told("false", "--no-mouse"));
    assert_eq!(row("bell"), told("false", "line 11"));
    assert_eq!(row("picker"), told("[\"ctrl-r\"]", "line 13"));
    assert_eq!(row("history-search"), told("[]", "default"), "it was taken");
    assert_eq!(row("\"#ops\""), told("\"all\"", "line 15"));
    assert_eq!(row("time_format"), told("\"%H:%M\"", "default"));
}

#[test]
fn a_profile_that_is_not_there_is_told() {
    let failure = resolved(Some("wrok"), &Given::default()).unwrap_err();
    assert_eq!(failure.exit.code(), 8);
    assert_eq!(failure.help, ["did you mean \"work\"?"]);
    let args = ConfigArgs {
        profile: Some("work".to_owned()),
        ..ConfigArgs::default()
    };
    let failure = resolve(&args, &Given::default(), None, &places()).unwrap_err();
    assert!(
        failure.what.ends_with("/home/ann/.config/chat/config.toml"),
        "{failure}"
    );
    let args = ConfigArgs {
        profile: Some(String::new()),
        ..args
    };
    assert!(resolve(&args, &Given::default(), None, &places()).is_ok());
}

#[test]
fn rows_are_toml() {
    let settings = resolved(Some("work"), &Given::default()).unwrap();
    let mut text = String::new();
    let mut section = "";
    for row in &settings.rows {
        if row.section != section {
            section = row.section;
            text.push_str(&format!("[{section}]\n"));
        }
        if let Some(value) = &row.value {
            text.push_str(&format!("{} = {value}\n", row.key));
        }
    }
    let again = parse(&text).unwrap_or_else(|faults| panic!("{faults:?} in\n{text}"));
    assert_eq!(again.here.name.unwrap().value.as_str(), "work");
    assert_eq!(quoted("a\"\\\u{1b}"), "\"a\\\"\\\\\\u001B\"");
}
