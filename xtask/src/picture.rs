//! The pictures of the README, drawn from real output: `docs/terminal.svg` and `docs/bot.svg`.
//!
//! Two nodes and a Redis server run on this machine. Two people talk through `chat-cli` in terminals
//! that tmux emulates, then a bot loads the nodes in a third, and what those terminals show becomes
//! the pictures. Nothing in them is written by hand. Whatever was started is ended again, also when a step fails.

use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::{folders, step};

mod cluster;
mod drawing;
mod terminal;

use cluster::Cluster;
use drawing::Window;
use terminal::{Screen, Terminals};

/// Draws both anew.
///
/// # Errors
/// When tmux or a Redis server is missing, when port 8081 or 8082 is taken, when the programs do
/// not build, or when the conversation does not go as expected; the error shows the screen then.
pub(crate) fn run() -> Result<()> {
    let tmux = terminal::find_tmux()?;
    for port in PORTS {
        require_free(port)?;
    }
    step::run(step::cargo().args([
        "build",
        "--release",
        "--locked",
        "-p",
        "chat-node",
        "-p",
        "chat-cli",
    ]))?;

    let home = tempfile::tempdir().context("no temporary directory")?;
    let _cluster = Cluster::start(home.path(), PORTS)?;
    let terminals = Terminals::start(&tmux, home.path())?;
    let [ann, bo] = converse(&terminals)?;

    let windows = [("ann", PORTS[0], ann), ("bo", PORTS[1], bo)]
        .map(|(name, port, screen)| Window::new(name, &format!("chat-cli {port}"), &screen));
    save(
        "terminal.svg",
        &windows,
        "Two terminals with one conversation",
    )?;

    let line = format!("chat-cli bot {} {} {LOAD}", PORTS[0], PORTS[1]);
    let bot = terminals.open("ops", &line, LOAD_ROWS)?;
    let screen = bot.await_screen_with(LOAD_TEXT)?;
    let window = Window::new("ops", &line, &screen);
    save(
        "bot.svg",
        &[window],
        "A bot that loads two nodes, half way through its run",
    )
}

fn save(name: &str, windows: &[Window], label: &str) -> Result<()> {
    let path = folders::workspace().join("docs").join(name);
    fs::write(&path, drawing::draw(windows, label)?).context(name.to_owned())?;
    step::say(&format!("drew docs/{name}"));
    Ok(())
}

/// Lets ann and bo talk, each on a node of their own, until a notice has come to both.
fn converse(terminals: &Terminals<'_>) -> Result<[Screen; 2]> {
    step::say("waiting for the conversation to fit between two notices");
    wait_for_start_of_slot();
    let ann = terminals.open("ann", &format!("chat-cli {}", PORTS[0]), TALK_ROWS)?;
    ann.await_text("message to #lobby")?;
    let bo = terminals.open("bo", &format!("chat-cli {}", PORTS[1]), TALK_ROWS)?;
    ann.await_text("bo came")?;
    bo.await_text("message to #lobby")?;
    ann.submit("/join kitchen")?;
    ann.await_text("message to #kitchen")?;
    bo.submit("/topic Everything about tea")?;
    bo.await_text("set the topic")?;

    ann.press("M-1")?;
    ann.await_text("message to #lobby")?;
    ann.submit("Morning! Did the release go out?")?;
    bo.await_text("ann Morning!")?;
    bo.submit("It did, an hour ago. Not one complaint so far.")?;
    ann.await_text("bo It did")?;
    ann.submit("/me waves a small flag")?;
    bo.await_text("* ann waves")?;
    // The message before the flag gets a reaction.
    ann.press("M-Up")?;
    ann.press("Up")?;
    ann.write("+")?;
    ann.await_text("reaction to bo: It did")?;
    ann.submit("+1")?;
    bo.await_text("[+1 ann]")?;
    ann.press("M-Up")?;
    ann.press("Up")?;
    ann.write("r")?;
    ann.await_text("reply to bo: It did")?;
    ann.submit("Then the next round of tea is mine.")?;
    bo.await_text("Then the next round")?;
    bo.submit("/join kitchen")?;
    bo.await_text("message to #kitchen")?;
    bo.submit("ann, the kettle is on.")?;
    ann.await_text("#kitchen(1,1@)")?;
    bo.press("M-1")?;
    bo.await_text("message to #lobby")?;
    ann.await_text(NOTICE_TEXT)?;
    bo.await_text(NOTICE_TEXT)?;

    // What is half typed is told to the other.
    bo.write(HALF_TYPED)?;
    bo.await_text(HALF_TYPED)?;
    let ann = ann.await_screen_with("bo is typing")?;
    Ok([ann, bo.await_last_line(HALF_TYPED)?])
}

/// Returns in the first tenth of a time between two notices, so that none interrupts the talk.
fn wait_for_start_of_slot() {
    let every_ms = NOTICE_EVERY.as_millis();
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let gone_ms = now_ms % every_ms;
    if gone_ms > every_ms / 10 {
        // A notice takes some milliseconds itself; a session that joins later does not show it.
        let rest_ms = every_ms - gone_ms + every_ms / 20;
        thread::sleep(Duration::from_millis(
            u64::try_from(rest_ms).unwrap_or_default(),
        ));
    }
}

/// Fails unless UDP `port` can be listened on here.
fn require_free(port: u16) -> Result<()> {
    match UdpSocket::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "UDP port {port} is taken ({error})\nhelp: the picture shows `chat-cli {port}`, so stop \
             what listens there, perhaps a chat-node"
        ),
    }
}

/// The ports a reader of the README would use, so the picture shows them.
const PORTS: [u16; 2] = [8081, 8082];

/// Time between two notices. Longer than the talk, so that the picture has one; nodes send them at
/// whole multiples of it.
const NOTICE_EVERY: Duration = Duration::from_secs(15);

/// Text of the notice.
const NOTICE_TEXT: &str = "Tea and cake at four, in the kitchen.";

/// Height of a terminal: the conversation fits with a few lines to spare.
const TALK_ROWS: usize = 18;

/// What the bot does.
const LOAD: &str = "-c 200 --rooms 10 --rate 500 -z 16s";

/// Height of its terminal.
const LOAD_ROWS: usize = 24;

/// What its screen says when it is in the midst of it.
const LOAD_TEXT: &str = "5s left";

/// What bo has typed but not sent.
const HALF_TYPED: &str = "I will bring the ca";
