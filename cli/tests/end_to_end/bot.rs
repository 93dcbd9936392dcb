//! The bot's pages, as somebody in front of a terminal sees them, and its report.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use boon::{Compiler, Schemas};
use serde_json::Value;

use crate::support::Node;
use crate::support::screen::Screen;

/// A long run in a session whose terminal is its standard input, as a shell would start it.
fn load(node: &Node) -> Command {
    let bot = node.cli(&["bot", "-c", "5", "--rooms", "1", "-z", "5m"]);
    let mut command = Command::new("setsid");
    command
        .arg("-c")
        .arg(bot.get_program())
        .args(bot.get_args());
    for (name, value) in bot.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn a_run_is_watched_paused_and_ended_with_its_report() {
    let node = Node::start(&[]);
    let mut screen = Screen::start(load(&node), 100);
    let shows =
        |text: &'static str| move |lines: &[String]| lines.iter().any(|line| line.contains(text));
    screen.wait_for("the load", shows("LOAD"));
    screen.wait_for("the proof", shows("0 lost"));
    assert!(!screen.is_given_back());
    screen.press("p");
    screen.wait_for("the pause", shows("PAUSED"));
    screen.press("p");
    screen.wait_for("the load again", shows("LOAD"));
    screen.press("q");
    assert_eq!(screen.end(), Some(0), "{:#?}", screen.lines());
    // Its verdict is further up than the screen is high.
    screen.wait_for("the end of the report", shows("to repeat it"));
    assert!(screen.is_given_back());
}

#[test]
fn the_terminal_is_given_back_when_the_run_is_interrupted() {
    let node = Node::start(&[]);
    let mut screen = Screen::start(load(&node), 100);
    screen.wait_for("the load", |lines| {
        lines.iter().any(|line| line.contains("LOAD"))
    });
    screen.press("\u{3}");
    assert_eq!(screen.end(), Some(130), "{:#?}", screen.lines());
    screen.wait_for("the end of the report", |lines| {
        lines.iter().any(|line| line.contains("to repeat it"))
    });
    assert!(screen.is_given_back());
}

#[test]
fn a_real_report_fits_its_schema_and_is_all_that_standard_output_has() {
    let node = Node::start(&[]);
    let page = node.home().join("report.html");
    let mut command = node.cli(&["bot", "-c", "4", "--rooms", "2", "-n", "40", "-o", "-"]);
    command
        .args(["--rate", "100", "--assert", "lost==0", "--html"])
        .arg(&page);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("PASS"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bot-report.schema.json"),
    );
    let schema: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("bot.json", schema).unwrap();
    let index = compiler.compile("bot.json", &mut schemas).unwrap();
    if let Err(error) = schemas.validate(&report, index) {
        panic!("{report} does not fit the schema: {error:#}");
    }
    assert_eq!(report["delivered"], 80);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("PASS"));
}
