//! The line mode, as somebody in front of a terminal sees it.

use std::process::Command;

use crate::support::screen::Screen;
use crate::support::{Node, Process, run};

#[test]
fn what_arrives_does_not_garble_the_line_being_typed() {
    let node = Node::start(&[]);
    let mut ann = Screen::start(node.cli(&["--plain", "--name", "ann"]), 60);
    ann.wait_for_prompt("#lobby> ");
    ann.press("half a sentence");
    ann.wait_for_prompt("#lobby> half a sentence");
    // The cursor is in the middle of the line when the messages come.
    ann.press("\u{2}\u{2}\u{2}");
    let long = "a long message that does not fit into one line of a terminal of sixty columns";
    run(node.cli(&["--name", "bo"]), &format!("hello\n{long}\n")).expect_code(0);
    ann.wait_for_line("#lobby <bo> hello");
    ann.wait_for_line("columns");
    ann.wait_for("the line", |_| {
        ann.cursor() == ("#lobby> half a sentence".to_owned(), 20)
    });
    let lines = ann.lines();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("half a sentence"))
            .count(),
        1,
        "{lines:#?}"
    );
    // What is typed goes on where it was.
    ann.press("X");
    ann.wait_for("the change", |_| {
        ann.cursor() == ("#lobby> half a senteXnce".to_owned(), 21)
    });
    ann.press("\r");
    ann.wait_for_line("#lobby <ann> half a senteXnce");
    ann.wait_for_prompt("#lobby> ");
    let lines = ann.lines();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains("senteXnce"))
            .count(),
        1,
        "{lines:#?}"
    );
    let wrapped = lines
        .iter()
        .position(|line| line.contains("<bo> a long message"))
        .unwrap();
    assert!(
        lines[wrapped + 1].starts_with("                  "),
        "{lines:#?}"
    );
}

#[test]
fn many_messages_while_typing_all_arrive_in_order() {
    let node = Node::start(&[]);
    let mut ann = Screen::start(node.cli(&["--plain", "--name", "ann"]), 80);
    ann.wait_for_prompt("#lobby> ");
    let said: String = (0..200).map(|number| format!("line {number}\n")).collect();
    let mut bo = Process::start(node.cli(&["--name", "bo"]));
    bo.remark(|line| line.starts_with("-- joined #lobby"));
    for line in said.lines() {
        bo.send(line);
        ann.press("x");
        if line.ends_with('5') {
            ann.press("\u{15}");
        }
    }
    ann.wait_for_line("<bo> line 199");
    ann.wait_for_prompt("#lobby> xxxx");
    let lines = ann.lines();
    let numbers: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split("<bo> line ").nth(1))
        .collect();
    let expected: Vec<String> = (200 - numbers.len()..200)
        .map(|number| number.to_string())
        .collect();
    assert!(numbers.len() > 15, "{lines:#?}");
    assert_eq!(numbers, expected, "{lines:#?}");
}

#[test]
fn commands_change_the_room_and_are_completed_and_recalled() {
    let node = Node::start(&[]);
    let mut ann = Screen::start(node.cli(&["--plain", "--name", "ann"]), 80);
    ann.wait_for_prompt("#lobby> ");
    ann.press("/jo\tdev\r");
    ann.wait_for_line("joined #dev, 1 here");
    ann.wait_for_prompt("#dev> ");
    ann.press("one\r");
    ann.wait_for_line("#dev <ann> one");
    ann.press("/jion lobby\r");
    ann.wait_for_line("there is no command /jion; did you mean /join?");
    ann.wait_for_prompt("#dev> ");
    ann.press("draft");
    ann.press("\u{1b}[A");
    ann.wait_for_prompt("#dev> /jion lobby");
    ann.press("\u{1b}[A");
    ann.wait_for_prompt("#dev> one");
    ann.press("\u{1b}[B\u{1b}[B");
    ann.wait_for_prompt("#dev> draft");
    ann.press("\u{3}");
    ann.wait_for_prompt("#dev> ");
    ann.press("/join lob\t\r");
    ann.wait_for_prompt("#lobby> ");
    ann.press("/quit\r");
    assert_eq!(ann.end(), Some(0));
    assert!(ann.is_given_back());
}

#[test]
fn a_notice_is_a_bar_that_no_user_can_draw() {
    let node = Node::start(&["--notice-every", "1s", "--notice-text", "backup at noon"]);
    let mut ann = Screen::start(node.cli(&["--plain", "--name", "ann"]), 70);
    ann.wait_for_line("backup at noon");
    assert!(ann.is_bar("*** "));
    ann.wait_for_prompt("#lobby> ");
    ann.press("--- backup at noon\r");
    ann.wait_for_line("<ann> --- backup at noon");
    assert!(
        !ann.is_bar("1") && !ann.is_bar("2") && !ann.is_bar("0"),
        "{:#?}",
        ann.lines()
    );
}

#[test]
fn history_is_shown_with_its_end() {
    let node = Node::start(&[]);
    run(node.cli(&["--name", "bo"]), "one\ntwo\n").expect_code(0);
    let mut ann = Screen::start(node.cli(&["--plain", "--name", "ann"]), 80);
    ann.wait_for_line("<bo> two");
    ann.wait_for_prompt("#lobby> ");
    ann.press("three\r");
    ann.wait_for_line("<ann> three");
    // Who comes and goes is told when it is known, between any two messages.
    let is_presence = |line: &&String| line.starts_with("-- bo ");
    let lines = ann.lines();
    let shown: Vec<String> = lines
        .iter()
        .filter(|line| !is_presence(line))
        .map(|line| {
            line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':')
                .trim()
                .to_owned()
        })
        .collect();
    let start = shown
        .iter()
        .position(|line| line == "-- earlier in #lobby:")
        .unwrap();
    assert_eq!(
        shown[start + 1..start + 5],
        [
            "#lobby <bo> one",
            "#lobby <bo> two",
            "-- end of earlier messages in #lobby",
            "#lobby <ann> three"
        ]
    );
}

#[test]
fn ctrl_c_clears_and_only_twice_leaves() {
    let node = Node::start(&[]);
    let mut ann = Screen::start(node.cli(&["--plain", "--name", "ann"]), 80);
    ann.wait_for_prompt("#lobby> ");
    assert!(!ann.is_given_back(), "the editor has the terminal");
    ann.press("never mind");
    ann.wait_for_prompt("#lobby> never mind");
    ann.press("\u{3}");
    ann.wait_for_prompt("#lobby> ");
    ann.press("\u{3}");
    ann.wait_for_line("press Ctrl-C again to leave");
    ann.press("\u{3}");
    assert_eq!(ann.end(), Some(130));
    assert!(ann.is_given_back());
}

#[test]
fn ctrl_d_leaves_and_a_signal_gives_the_terminal_back() {
    let node = Node::start(&[]);
    let mut ann = Screen::start(node.cli(&["--plain", "--name", "ann"]), 80);
    ann.wait_for_prompt("#lobby> ");
    ann.press("last words\r");
    ann.wait_for_line("<ann> last words");
    ann.press("\u{4}");
    assert_eq!(ann.end(), Some(0));
    assert!(ann.is_given_back());

    let mut bo = Screen::start(node.cli(&["--plain", "--name", "bo"]), 80);
    bo.wait_for_prompt("#lobby> ");
    bo.press("half a");
    bo.wait_for_prompt("#lobby> half a");
    let status = Command::new("kill")
        .args(["-TERM", &bo.id().to_string()])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(bo.end(), Some(143));
    assert!(bo.is_given_back());
}

#[test]
fn a_terminal_without_a_cursor_works_line_by_line() {
    let node = Node::start(&[]);
    let mut command = node.cli(&["--name", "ann"]);
    command.env("TERM", "dumb");
    let mut ann = Screen::start(command, 80);
    ann.wait_for_line("joined #lobby, 1 here");
    ann.press("hi\n");
    ann.wait_for_line("#lobby <ann> hi");
    ann.press("\u{4}");
    assert_eq!(ann.end(), Some(0));
}

#[test]
fn several_pasted_lines_are_one_message() {
    let node = Node::start(&[]);
    let mut ann = Screen::start(node.cli(&["--plain", "--name", "ann"]), 80);
    ann.wait_for_prompt("#lobby> ");
    ann.press("\u{1b}[200~one\rtwo\u{1b}[201~");
    ann.wait_for("the paste", |lines| {
        lines.last().is_some_and(|line| line.starts_with("two"))
    });
    ann.press("\r");
    ann.wait_for_line("#lobby <ann> one");
    ann.wait_for("the second line", |lines| {
        lines
            .iter()
            .any(|line| line.starts_with("         ") && line.trim() == "two")
    });
}
