//! What is drawn, cell by cell, as a terminal shows it.

use std::path::Path;
use std::time::Duration;

use chat_protocol::lane::PresenceChange;
use chat_protocol::{Content, UserName};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::canvas::Canvas;
use crate::clean;
use crate::report::{Context, Refusal, Report};
use crate::tui::model::Overlay;
use crate::tui::model::tests::{at, joined, message, model, now, place, press};
use crate::tui::picker::{Match, Picker, Source, Target};
use crate::tui::timeline::Tone;

/// The bytes that show a model on an empty screen.
fn written(model: &Model) -> Vec<u8> {
    let mut canvas = Canvas::new(model.size).unwrap();
    canvas.draw(|frame| draw(frame, model, now())).unwrap()
}

/// What a terminal shows of a model.
fn shown(model: &Model) -> vt100::Parser {
    let (columns, rows) = model.size;
    let bytes = written(model);
    let (rows, columns) = (rows.try_into().unwrap(), columns.try_into().unwrap());
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    terminal.process(&bytes);
    terminal
}

fn rows(model: &Model) -> Vec<String> {
    let terminal = shown(model);
    let rows = terminal.screen().rows(0, model.size.0);
    rows.map(|row| row.trim_end().to_owned()).collect()
}

/// Every class of characters that could move a cursor, command a terminal, or hide.
const HOSTILE: [&str; 16] = [
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]52;c;aGk=\u{7}",
    "\u{1b}]8;;http://x\u{1b}\\link",
    "\u{1b}P+q544e\u{1b}\\",
    "\u{9b}31m\u{9d}0;x\u{9c}",
    "\r\u{8}\u{8}\u{8}\u{b}\u{c}",
    "\u{0}\u{5}\u{7f}",
    "\u{202e}evil\u{2066}\u{2069}",
    "\u{200e}\u{200f}\u{61c}",
    "one\u{2028}two\u{2029}three",
    "a\u{200b}\u{2060}\u{feff}\u{ad}\u{3164}b",
    "\u{e0041}\u{e007f}",
    "\u{301}\u{301}z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}",
    "👩\u{200d}👩\u{200d}👧🏽❤\u{fe0f}🇩🇪",
    "日本語ｗｉｄｅ",
];

/// Draws with a harmless and a hostile text in the same place, and compares every cell outside of
/// what the text may take.
fn compare(put: impl Fn(&mut Model, &str), text: &str, rows_of_text: impl Fn(usize) -> bool) {
    let of = |text: &str| {
        let mut model = model();
        put(&mut model, text);
        // Only styles and places are ever written: no other command of a terminal.
        let written = written(&model);
        let written = String::from_utf8(written).unwrap();
        for command in written.split('\u{1b}').skip(1) {
            let end = command.find(|letter: char| letter.is_ascii_alphabetic());
            let end = end.map(|end| &command[end..=end]);
            assert!(command.starts_with('['), "{command:?} of {text:?}");
            assert!(
                matches!(end, Some("m" | "H" | "J" | "h" | "l")),
                "{command:?}"
            );
        }
        assert!(!written.contains(|letter: char| letter.is_control() && letter != '\u{1b}'));
        let terminal = shown(&model);
        let screen = terminal.screen();
        let cells: Vec<Vec<(String, bool)>> = (0..model.size.1)
            .map(|row| {
                (0..model.size.0)
                    .map(|column| {
                        let cell = screen.cell(row, column).unwrap();
                        (cell.contents().to_owned(), cell.inverse())
                    })
                    .collect()
            })
            .collect();
        for row in &cells {
            let row: String = row.iter().map(|(cell, _)| cell.as_str()).collect();
            assert_eq!(clean::line(&row), row, "{text:?} is shown as it is");
        }
        cells
    };
    let (harmless, hostile) = (of("xx"), of(text));
    for (row, (one, other)) in harmless.iter().zip(&hostile).enumerate() {
        if rows_of_text(row) {
            // Its wall is where it was.
            let has_wall = one[17].0 == "│";
            assert!(!has_wall || one[17] == other[17], "row {row} of {text:?}");
        } else {
            assert_eq!(one, other, "row {row} of {text:?}");
        }
    }
}

#[test]
fn hostile_texts_change_their_own_cells_alone() {
    for text in HOSTILE {
        // As remarks, which may come from nodes: reasons, details of refusals, the log.
        compare(
            |model, text| {
                model.room_mut().remark(now().ms, Tone::Error, text);
                model.room_mut().remark(now().ms, Tone::Quiet, "after");
            },
            text,
            |row| row == 16,
        );
        let refused = |model: &mut Model, text: &str| {
            let report = Report::Refused {
                reference: None,
                refusal: Refusal::local("x", text),
            };
            model.on_report(report, now());
        };
        compare(refused, text, |row| row == 17);
        let lost = |model: &mut Model, text: &str| {
            let report = Report::Disconnected {
                node: None,
                reason: text.to_owned(),
                retry_in: Some(Duration::from_secs(2)),
                attempt: 1,
            };
            model.on_report(report, now());
        };
        compare(lost, text, |row| row == 17);
        compare(|model, text| model.say(now(), text), text, |row| row == 17);
        compare(
            |model, text| model.node = text.to_owned(),
            text,
            |row| row == 18,
        );
        // As what this user pastes, and what lists show. Of several lines it is asked what to do.
        let pasted = |model: &mut Model, text: &str| model.on_paste(&text.replace('\r', ""), now());
        compare(pasted, text, |row| row == 19);
        let listed = |model: &mut Model, text: &str| {
            let mut picker = Picker::new(Source::Sent);
            let found = Match {
                label: text.to_owned(),
                target: Target::Text(text.to_owned()),
            };
            picker.set(vec![found]);
            model.overlay = Some(Overlay::Picker(picker));
        };
        compare(listed, text, |row| row == 2);
    }
    // What nodes let through as messages, topics and names.
    for text in HOSTILE {
        if text.parse::<chat_protocol::Text>().is_ok() {
            let says = |model: &mut Model, text: &str| {
                model.on_report(message("lobby", 1, None, text), now());
            };
            compare(says, text, |row| row == 17);
        }
        if text.parse::<chat_protocol::Topic>().is_ok() {
            let has = |model: &mut Model, text: &str| {
                model.room_mut().topic = text.parse().unwrap();
            };
            compare(has, text, |row| row == 0);
        }
        assert!(
            text.parse::<UserName>().is_err() || text.contains('日'),
            "{text:?}"
        );
    }
}

/// A lobby with some of everything, and another room with something new.
fn lively(size: (u16, u16)) -> Model {
    let mut model = model();
    model.size = size;
    model.node = "node-1".to_owned();
    model.rtt = Some(Duration::from_micros(2_340));
    model.on_report(joined("dev", false, 0, 0), now());
    model.on_report(message("lobby", 1, None, "a first message"), now());
    model.on_report(
        message(
            "lobby",
            2,
            None,
            "ann, this names you and is long enough for two rows",
        ),
        now(),
    );
    model.on_report(message("dev", 1, None, "elsewhere"), now());
    let changes = ["cy", "dan"].map(|who| PresenceChange::Joined(who.parse().unwrap()));
    let presence = Report::Presence {
        place: place("lobby"),
        members: 4,
        changes: changes.to_vec(),
        more: 0,
    };
    model.on_report(presence, now());
    for (seq, content) in [
        (
            3,
            Content::Reply {
                to: at(1),
                text: "an answer".parse().unwrap(),
            },
        ),
        (
            4,
            Content::Edit {
                of: at(3),
                text: "a better answer".parse().unwrap(),
            },
        ),
        (
            5,
            Content::Reaction {
                to: at(1),
                reaction: "+1".parse().unwrap(),
                on: true,
            },
        ),
    ] {
        let Report::Message { mut message, .. } = message("lobby", seq, None, "x") else {
            panic!("a message");
        };
        message.content = content;
        let report = Report::Message {
            place: place("lobby"),
            cursor: at(seq),
            message,
            own: false,
            history: false,
            mention: false,
            context: Context::default(),
        };
        model.on_report(report, now());
    }
    press(&mut model, "mine\nand a dra");
    model
}

/// Compares what is shown with `screens/NAME.txt`. With CHAT_TEST_BLESS set the file is written
/// instead: look at it before it is committed.
#[track_caller]
fn assert_screen(name: &str, model: &Model) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/tui/view/screens/{name}.txt"));
    let shown = rows(model).join("\n") + "\n";
    if std::env::var_os("CHAT_TEST_BLESS").is_some() {
        std::fs::write(&path, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shown == expected,
        "{name} is shown as\n{shown}\nand not as\n{expected}"
    );
}

#[test]
fn screens_look_as_they_were_approved() {
    assert_screen("wide", &lively((110, 18)));
    assert_screen("middle", &lively((80, 18)));
    assert_screen("narrow", &lively((40, 14)));
    let mut model = lively((80, 16));
    model.options.theme.is_ascii = true;
    assert_screen("ascii", &model);
    press(&mut model, "\n");
    model.on_report(
        Report::Disconnected {
            node: None,
            reason: "the node fell silent".to_owned(),
            retry_in: Some(Duration::from_secs(9)),
            attempt: 3,
        },
        // The countdown shows whole seconds.
        Now {
            instant: now().instant + Duration::from_millis(500),
            ms: now().ms,
        },
    );
    assert_screen("away", &model);
    let mut model = lively((90, 30));
    model.overlay = Some(Overlay::Help(0));
    assert_screen("help", &model);
    model.overlay = None;
    model.on_paste("one\ntwo\nthree", now());
    assert_screen("paste", &model);
    model.overlay = None;
    model.on_key(
        &KeyEvent::new(KeyCode::Char('g'), KeyModifiers::CONTROL),
        now(),
    );
    press(&mut model, "d");
    assert_screen("picker", &model);
    model.overlay = None;
    model.on_key(&KeyEvent::new(KeyCode::Up, KeyModifiers::ALT), now());
    assert_screen("choosing", &model);
}

#[test]
fn every_size_can_be_drawn() {
    let mut model = model();
    for seq in 1..40 {
        model.on_report(
            message("lobby", seq, None, "some text 日本語 to wrap"),
            now(),
        );
    }
    press(
        &mut model,
        "a draft that is long enough to take several rows of the smallest terminals",
    );
    for overlay in 0..4 {
        for columns in [1, 2, 19, 20, 21, 39, 40, 59, 60, 69, 70, 99, 100, 300] {
            for rows in [1, 4, 5, 6, 10, 24, 90] {
                model.size = (columns, rows);
                model.overlay = match overlay {
                    0 => None,
                    1 => Some(Overlay::Help(1_000)),
                    2 => Some(Overlay::Paste("one\ntwo".to_owned())),
                    _ => Some(Overlay::Picker(Picker::new(Source::Rooms))),
                };
                shown(&model);
            }
        }
    }
    model.overlay = None;
    model.size = (19, 10);
    assert!(rows(&model).join(" ").contains("terminal too small"));
    model.size = (40, 10);
    let rows = rows(&model);
    assert!(
        rows.iter().any(|row| row.contains("<bo> some text")),
        "{rows:#?}"
    );
}
