//! `docs/terminal.svg`, the picture of the terminal in the README, drawn from real output.
//!
//! Two nodes and a Redis server run on this machine, two people talk through `chat-cli` in
//! terminals that tmux emulates, and what those terminals show becomes the picture. Nothing in it
//! is written by hand. Whatever was started is ended again, also when a step fails.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::step;

mod cluster;
mod drawing;
mod terminal;

use cluster::Cluster;
use terminal::{Screen, Terminals};

/// Draws `docs/terminal.svg` anew.
///
/// # Errors
/// When tmux or a Redis server is missing, when port 8081 or 8082 is taken, when the programs do
/// not build, or when the conversation does not go as expected; the error shows the screen then.
pub(crate) fn run() -> Result<()> {
    let tmux = terminal::find_tmux()?;
    for port in PORTS {
        require_free(port)?;
    }
    step::run(step::cargo().args(["build", "--locked", "-p", "chat-node", "-p", "chat-cli"]))?;

    let home = tempfile::tempdir().context("no temporary directory")?;
    let _cluster = Cluster::start(home.path(), PORTS)?;
    let terminals = Terminals::start(&tmux, home.path())?;
    let [ann, bo] = converse(&terminals)?;

    let windows = [("ann", PORTS[0], ann), ("bo", PORTS[1], bo)]
        .map(|(name, port, screen)| drawing::Window::new(name, port, &screen));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/terminal.svg");
    fs::write(&path, drawing::draw(&windows)?).context("docs/terminal.svg")?;
    step::say("drew docs/terminal.svg");
    Ok(())
}

/// Lets ann and bo talk, each on a node of their own, until a notice has come to both.
fn converse(terminals: &Terminals<'_>) -> Result<[Screen; 2]> {
    step::say("waiting for the conversation to fit between two notices");
    wait_for_start_of_slot();
    let ann = terminals.open("ann", &format!("chat-cli {}", PORTS[0]))?;
    ann.await_text("joined #lobby")?;
    let bo = terminals.open("bo", &format!("chat-cli {}", PORTS[1]))?;
    ann.await_text("bo joined")?;
    bo.await_text("joined #lobby")?;

    ann.submit("Morning! Did the release go out?")?;
    bo.await_text("<ann> Morning!")?;
    bo.submit("It did, an hour ago. Not one complaint so far.")?;
    ann.await_text("<bo> It did")?;
    ann.submit("/me waves a small flag")?;
    bo.await_text("* ann waves")?;
    ann.submit("/who")?;
    ann.await_text("2 in #lobby")?;

    // What is half typed stays whole below whatever arrives meanwhile.
    bo.write(HALF_TYPED)?;
    bo.await_text(HALF_TYPED)?;
    ann.submit("Then the next round of tea is mine.")?;
    bo.await_text("<ann> Then the next")?;
    ann.await_text(NOTICE_TEXT)?;
    bo.await_text(NOTICE_TEXT)?;
    Ok([
        ann.await_last_line("#lobby>")?,
        bo.await_last_line(HALF_TYPED)?,
    ])
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
const NOTICE_EVERY: Duration = Duration::from_secs(10);

/// Text of the notice.
const NOTICE_TEXT: &str = "Tea and cake at four, in the kitchen.";

/// What bo has typed but not sent.
const HALF_TYPED: &str = "I will bring the ca";
