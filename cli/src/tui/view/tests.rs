//! What is drawn, cell by cell, as a terminal shows it.

use std::time::Duration;

use chat_protocol::UserName;

use super::*;
use crate::canvas::Canvas;
use crate::report::{Refusal, Report};
use crate::tui::model::Overlay;
use crate::tui::model::tests::{joined, message, model, now, press};
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

#[test]
fn the_whole_screen() {
    let mut model = model();
    model.size = (100, 14);
    model.node = "node-1".to_owned();
    model.rtt = Some(Duration::from_micros(2_340));
    model.on_report(joined("dev", false, 0, 0), now());
    model.on_report(message("lobby", 1, None, "a first message"), now());
    model.on_report(message("lobby", 2, None, "ann, this names you"), now());
    model.on_report(message("dev", 1, None, "elsewhere"), now());
    press(&mut model, "mine\nand a dra");
    let rows = rows(&model);
    let expected = [
        " #lobby",
        "  chat           │                                                                │2 here",
        "1>#lobby         │                                                                │",
        "2 #dev         1 │                                                                │",
        "                 │                                                                │",
        "                 │── Mon 24 Nov 2025 ─────────────────────────────────────────────│",
        "                 │ 16:00           -- joined #lobby, 2 here                       │",
        "                 │                 bo a first message                             │",
        "                 │@                bo ann, this names you                         │",
        "                 │·               ann mine                                        │",
        "",
        " ●#lobby  ann@node-1  2.3 ms  1 sending                                                     #dev(1)",
        "> and a dra",
    ];
    let shown: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(shown.len(), 14);
    let shown: Vec<&str> = shown
        .into_iter()
        .filter(|row| !row.trim_matches([' ', '│']).is_empty() || row.is_empty())
        .collect();
    let expected: Vec<&str> = expected
        .into_iter()
        .filter(|row| !row.trim_matches([' ', '│']).is_empty())
        .collect();
    assert_eq!(shown, expected);
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
