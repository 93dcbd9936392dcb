//! The client that fills the terminal, as somebody in front of it sees it: the real program on a
//! pseudo terminal, two real nodes, a real Redis.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::cluster::Cluster;
use crate::support::screen::Screen;
use crate::support::{Node, Process, run};

mod hostile;
mod speed;

/// A client on a terminal of this size.
fn open(node: &Node, name: &str, columns: u16, rows: u16) -> Screen {
    let screen = Screen::start_sized(node.cli(&["--name", name]), columns, rows);
    screen.wait_for("the room", |lines| {
        let status = format!("#lobby  {name}@");
        lines.iter().any(|line| line.contains(&status))
    });
    screen
}

/// How many lines say this.
fn count(lines: &[String], text: &str) -> usize {
    lines.iter().filter(|line| line.contains(text)).count()
}

fn wait_for(screen: &Screen, text: &str) {
    screen.wait_for(text, |lines| count(lines, text) > 0);
}

fn wait_until_gone(screen: &Screen, text: &str) {
    screen.wait_for(&format!("no {text}"), |lines| count(lines, text) == 0);
}

const ENTER: &str = "\r";
const ESCAPE: &str = "\u{1b}";
const PAGE_UP: &str = "\u{1b}[5~";
const END: &str = "\u{1b}[F";
const UP: &str = "\u{1b}[A";

#[test]
fn people_on_two_nodes_talk() {
    let cluster = Cluster::start();
    let mut ann = open(cluster.node(0), "ann", 110, 24);
    let mut bo = open(cluster.node(1), "bo", 80, 24);
    wait_for(&ann, "→ bo came");
    // Typing is told to the other node, and ends with the message.
    ann.press("hello from one ");
    wait_for(&bo, "ann is typing");
    ann.press("node");
    ann.press(ENTER);
    wait_until_gone(&bo, "is typing");
    wait_for(&bo, "ann hello from one node");
    bo.press("hi from the other\r");
    wait_for(&ann, "bo hi from the other");
    // Members at the right, the node and the way to it below.
    wait_for(&ann, "2 here");
    ann.wait_for("the members", |lines| {
        lines.iter().any(|line| line.trim_end().ends_with("│bo"))
    });
    ann.wait_for("the status", |lines| {
        lines
            .iter()
            .any(|line| line.contains("●#lobby  ann@node-1") && line.contains(" ms"))
    });
    // Once the message is acked it looks like those of others.
    ann.wait_for("no mark", |lines| count(lines, "sending") == 0);
    assert_eq!(count(&ann.lines(), "hello from one node"), 1);
    ann.press("/quit\r");
    assert_eq!(ann.end(), Some(0));
    assert!(ann.is_given_back());
    wait_for(&bo, "← ann left");
}

#[test]
fn older_messages_come_as_one_scrolls() {
    let cluster = Cluster::start();
    let said: String = (0..250).map(|number| format!("line {number}.\n")).collect();
    run(cluster.node(0).cli(&["--name", "cy"]), &said).expect_code(0);
    let mut ann = open(cluster.node(1), "ann", 90, 20);
    wait_for(&ann, "line 249.");
    for _ in 0..60 {
        if count(&ann.lines(), "here this room begins") > 0 {
            break;
        }
        ann.press(PAGE_UP);
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
    wait_for(&ann, "here this room begins");
    wait_for(&ann, "cy line 0.");
    // What comes now moves nothing, and is counted.
    let before = ann.lines()[2].clone();
    run(cluster.node(0).cli(&["--name", "cy"]), "newest\n").expect_code(0);
    wait_for(&ann, "1 new below");
    assert_eq!(ann.lines()[2], before);
    ann.press(END);
    wait_for(&ann, "cy newest");
    wait_for(&ann, "── new ──");
    wait_until_gone(&ann, "new below");
}

#[test]
fn a_connection_that_is_lost_while_typing_loses_nothing() {
    let mut cluster = Cluster::start();
    let mut bo = open(cluster.node(1), "bo", 80, 24);
    let mut ann = open(cluster.node(0), "ann", 80, 24);
    ann.press("half a sent");
    wait_for(&ann, "> half a sent");
    cluster.node_mut(0).kill();
    bo.press("did you see that?\r");
    // What one types while away stays, and goes on.
    ann.press("ence");
    wait_for(&ann, "> half a sentence");
    ann.press(ENTER);
    wait_for(&ann, "1 sending");
    wait_for(&ann, "· ");
    wait_for(&ann, "no connection: ");
    wait_for(&ann, "○#lobby");
    cluster.node_mut(0).start_again();
    wait_for(&ann, "●#lobby");
    wait_for(&bo, "ann half a sentence");
    wait_for(&ann, "bo did you see that?");
    wait_for(&ann, "caught up: 1 missed message");
    ann.wait_for("the ack", |lines| count(lines, "sending") == 0);
    assert_eq!(count(&ann.lines(), "half a sentence"), 1);
    assert_eq!(count(&bo.lines(), "half a sentence"), 1);
    wait_until_gone(&ann, "no connection");
}

#[test]
fn the_screen_follows_its_size() {
    let node = Node::start(&[]);
    let mut ann = open(&node, "ann", 120, 30);
    ann.press("a message that has to be broken on a narrow terminal\r");
    wait_for(&ann, "ann a message that has to be broken");
    ann.press("draft");
    ann.resize(40, 10);
    ann.wait_for("the small screen", |lines| {
        lines.len() <= 10
            && count(lines, "<ann> a message that has") == 1
            && count(lines, "narrow terminal") == 1
            && count(lines, "> draft") == 1
    });
    for row in ann.rows() {
        let is_in_a_pane = row.contains("1>#lobby") || row.trim_end().ends_with("│1 here");
        assert!(!is_in_a_pane, "no pane beside the messages: {row:?}");
    }
    ann.resize(15, 4);
    wait_for(&ann, "small: 20 x 5");
    ann.resize(120, 30);
    wait_for(
        &ann,
        "ann a message that has to be broken on a narrow terminal",
    );
    wait_for(&ann, "> draft");
    wait_for(&ann, "1 here");
}

#[test]
fn several_pasted_lines_are_asked_about() {
    let node = Node::start(&[]);
    let mut ann = open(&node, "ann", 80, 24);
    let bo = open(&node, "bo", 80, 24);
    let paste = |text: &str| format!("\u{1b}[200~{text}\u{1b}[201~");
    ann.press(&paste("one\ntwo\r\n  three\n"));
    wait_for(&ann, "Send 3 pasted lines?");
    // Another key decides nothing.
    ann.press("x");
    ann.press(ENTER);
    wait_for(&bo, "ann one");
    bo.wait_for("one message", |lines| {
        let at = lines.iter().position(|line| line.contains("ann one"));
        at.is_some_and(|at| {
            lines[at + 1].trim_end().ends_with(" two")
                && lines[at + 2].trim_end().ends_with("   three")
        })
    });
    ann.press(&paste("a\nb"));
    wait_for(&ann, "Send 2 pasted lines?");
    ann.press("s");
    wait_for(&bo, "ann a");
    wait_for(&bo, "ann b");
    ann.press(&paste("c\nd"));
    wait_for(&ann, "edit first");
    ann.press("e");
    wait_for(&ann, "> c");
    ann.press("\u{3}");
    wait_until_gone(&ann, "> c");
    ann.press(&paste(&"much\n".repeat(2_000)));
    wait_for(&ann, "9999 bytes; one message has at most 4096");
    ann.press(ESCAPE);
    wait_until_gone(&ann, "pasted lines");
    // One line is simply typed.
    ann.press(&paste("just this"));
    wait_for(&ann, "> just this");
    assert_eq!(count(&bo.lines(), "just this"), 0);
}

#[test]
fn rooms_mentions_and_the_lists() {
    let cluster = Cluster::start();
    let mut ann = open(cluster.node(0), "ann", 100, 24);
    let mut bo = open(cluster.node(1), "bo", 80, 24);
    ann.press("/join dev\r");
    wait_for(&ann, "●#dev");
    let bells = bells(&ann);
    bo.press("nothing for you\rANN: look here\r");
    ann.wait_for("the activity", |lines| count(lines, "#lobby(2,1@)") == 1);
    wait_for(&ann, "1 #lobby    2,1@");
    assert_eq!(bells + 1, self::bells(&ann), "a mention rings once");
    // The next room with something new, at what is new.
    ann.press("\u{1b}a");
    wait_for(&ann, "●#lobby");
    wait_for(&ann, "── new ──");
    wait_until_gone(&ann, "(2,1@)");
    ann.press("\u{1b}m");
    wait_for(&ann, "Messages that name you");
    wait_for(&ann, "> #lobby <bo> ANN: look here");
    ann.press(ESCAPE);
    wait_until_gone(&ann, "Messages that name you");
    // Find a room by some letters, and one that is not open.
    bo.press("/join design\r");
    wait_for(&bo, "●#design");
    ann.press("\u{7}");
    wait_for(&ann, "#design  join");
    ann.press("dsg\r");
    wait_for(&ann, "●#design");
    ann.press("\u{1b}1");
    wait_for(&ann, "●#lobby");
    ann.press("\u{13}");
    wait_for(&ann, "Search this room");
    ann.press("NOTHING");
    wait_for(&ann, "> <bo> nothing for you");
    ann.press(ESCAPE);
    wait_until_gone(&ann, "Search this room");
    // A typo is answered with what was meant, and can be had back.
    ann.press("/jion dev\r");
    wait_for(&ann, "there is no command /jion");
    ann.press(UP);
    wait_for(&ann, "> /jion dev");
    ann.press("\u{15}b\t");
    wait_for(&ann, "> bo: ");
    ann.press("\u{15}?");
    wait_for(&ann, "Help: Up and Down scroll");
    wait_for(&ann, "send the message");
    ann.press("x");
    wait_until_gone(&ann, "Help:");
}

/// How often the program rang.
fn bells(screen: &Screen) -> usize {
    let written = screen.written();
    written.iter().filter(|byte| **byte == 7).count()
}

#[test]
fn two_talk_alone_whatever_their_nodes() {
    let cluster = Cluster::start();
    let mut ann = open(cluster.node(0), "ann", 100, 24);
    let bo = open(cluster.node(1), "bo", 100, 24);
    let cy = open(cluster.node(1), "cy", 100, 24);
    // What is typed at once is meant for the room that was asked for.
    ann.press("/msg bo\rfor your eyes\r");
    wait_for(&ann, "●@bo");
    wait_for(&ann, "ann for your eyes");
    bo.wait_for("a room of two", |lines| count(lines, "@ann(1,1@)") == 1);
    ann.press("/msg nobody\r");
    wait_for(&ann, "nobody of that name is here");
    ann.press("\u{1b}1");
    wait_for(&ann, "3 here");
    ann.press("/who\r");
    wait_for(&ann, "3 in #lobby: ann, bo, cy");
    for other in [&bo, &cy] {
        assert_eq!(
            count(&other.lines(), "for your eyes"),
            0,
            "not in the lobby"
        );
    }
    // It is a room like others: it comes back with its history.
    ann.press("\u{1b}2/leave\r");
    wait_for(&ann, "left @bo");
    ann.press("/msg bo\r");
    wait_for(&ann, "ann for your eyes");
}

#[test]
fn what_was_said_is_changed_in_place() {
    let cluster = Cluster::start();
    let mut ann = open(cluster.node(0), "ann", 90, 24);
    let mut bo = open(cluster.node(1), "bo", 90, 24);
    ann.press("a typoo\r");
    wait_for(&bo, "ann a typoo");
    ann.wait_for("the ack", |lines| count(lines, "sending") == 0);
    ann.press("\u{1b}e");
    wait_for(&ann, "editing your message");
    ann.press("\u{7f} no more\r");
    wait_for(&bo, "ann a typo no more (edited)");
    wait_for(&ann, "ann a typo no more (edited)");
    assert_eq!(count(&bo.lines(), "typoo"), 0);
    // Choose it, react to it, answer it.
    bo.press("\u{1b}[1;3A");
    wait_for(&bo, "r reply  e edit");
    bo.press("+");
    wait_for(&bo, "reaction to ann: a typo no more");
    bo.press("👍\r");
    wait_for(&ann, "[👍 bo]");
    bo.press("\u{1b}[1;3Ar");
    wait_for(&bo, "reply to ann: a typo no more");
    bo.press("better\r");
    wait_for(&ann, "↳ ann: a typo no more");
    wait_for(&ann, "better");
    // Only the author changes it; what is deleted is gone everywhere.
    ann.press("\u{1b}[1;3Ae");
    wait_for(&ann, "only its author can change it");
    ann.press("kd");
    wait_for(&ann, "d again deletes it for everybody");
    ann.press("d");
    wait_for(&bo, "ann [deleted]");
    wait_for(&bo, "↳ ann: [deleted]");
    // Also for who comes later.
    let cy = open(cluster.node(1), "cy", 90, 24);
    wait_for(&cy, "ann [deleted]");
    assert_eq!(count(&cy.lines(), "typo"), 0);
}

#[test]
fn a_burst_of_keys_is_taken_whole() {
    let node = Node::start(&[]);
    let mut ann = open(&node, "ann", 80, 24);
    // What a terminal pastes that marks no pastes, or what was typed ahead.
    let burst = format!("{}END", "word ".repeat(600));
    ann.press(&burst);
    wait_for(&ann, "word END");
    ann.press(ENTER);
    wait_for(&ann, "message to #lobby");
    ann.wait_for("the message", |lines| {
        lines.iter().any(|line| line.trim_end().ends_with(" END"))
    });
}

#[test]
fn a_message_is_written_in_an_editor() {
    let node = Node::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let editor = dir.path().join("editor");
    fs::write(&editor, "#!/bin/sh\nprintf 'first\\nsecond\\n' >> \"$1\"\n").unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = node.cli(&["--name", "ann"]);
    command.env_remove("VISUAL").env("EDITOR", &editor);
    let mut ann = Screen::start(command, 80);
    wait_for(&ann, "joined #lobby");
    ann.press("begun, ");
    wait_for(&ann, "> begun, ");
    ann.press("\u{18}");
    wait_for(&ann, "> begun, first");
    ann.press("\r");
    wait_for(&ann, "ann begun, first");
}

#[test]
fn the_terminal_is_given_back_on_every_way_out() {
    let node = Node::start(&[]);
    // Ctrl-C clears; twice on an empty line leaves; so does Ctrl-D.
    let mut ann = open(&node, "ann", 80, 24);
    ann.press("draft\u{3}");
    wait_until_gone(&ann, "> draft");
    ann.press("\u{3}");
    wait_for(&ann, "Ctrl-c again leaves");
    ann.press("\u{3}");
    assert_eq!(ann.end(), Some(0));
    assert!(ann.is_given_back());
    let mut bo = open(&node, "bo", 80, 24);
    bo.press("\u{4}");
    assert_eq!(bo.end(), Some(0));
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut ann = open(&node, signal, 80, 24);
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &ann.id().to_string()])
            .status();
        assert!(status.unwrap().success());
        assert_eq!(ann.end(), Some(code));
        assert!(ann.is_given_back());
        let written = ann.written();
        let left = String::from_utf8_lossy(&written);
        for mode in ["?1049l", "?2004l", "?1000l", "?25h"] {
            assert!(left.contains(mode), "{mode} after SIG{signal}");
        }
    }
}

#[test]
fn without_colours_and_with_ascii_nothing_is_lost() {
    let node = Node::start(&[]);
    let mut command = node.cli(&["--name", "ann", "--ascii"]);
    command.env("NO_COLOR", "1");
    let mut ann = Screen::start(command, 110);
    wait_for(&ann, "joined #lobby");
    let mut bo = Process::start(node.cli(&["--name", "bo"]));
    bo.remark(|line| line.starts_with("-- joined #lobby"));
    bo.send("ann: hi");
    wait_for(&ann, "@");
    wait_for(&ann, "bo ann: hi");
    ann.press("?");
    wait_for(&ann, "Help:");
    for row in ann.rows() {
        assert!(row.is_ascii(), "{row:?}");
    }
    let written = ann.written();
    let written = String::from_utf8_lossy(&written);
    assert!(
        !sgr_codes(&written).any(|code| is_colour(&code)),
        "{written:?}"
    );
}

/// The parameters of every SGR code.
fn sgr_codes(written: &str) -> impl Iterator<Item = String> {
    written.split("\u{1b}[").filter_map(|part| {
        let end = part.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
        part[end..].starts_with('m').then(|| part[..end].to_owned())
    })
}

fn is_colour(code: &str) -> bool {
    code.split(';').any(|number| {
        let number: u32 = number.parse().unwrap_or(0);
        matches!(number, 30..=38 | 40..=48 | 90..=97 | 100..=107)
    })
}
