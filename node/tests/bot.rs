//! The bot, as operators run it: the program `chat-cli bot` against real nodes. It must say what is
//! true of a cluster that delivers, of one that does harm, and of one that dies.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on may panic anywhere"
)]

mod support;

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::process::{NodeCommand, NodeProcess};
use support::redis::RedisServer;
use support::relay::{Harm, Relay};
use support::soon;

/// A node alone, whose certificates are in `home`.
fn node(home: &Path) -> NodeProcess {
    NodeCommand::new(home).start()
}

fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_chat-node")).with_file_name("chat-cli");
    assert!(
        program.exists(),
        "{} is missing: cargo build -p chat-cli",
        program.display()
    );
    program
}

/// The bot with these words, at home in `home`, its report in `report.json` there.
fn bot(home: &Path, targets: &[&str], words: &str) -> Command {
    let mut command = Command::new(program());
    command
        .arg("bot")
        .args(targets)
        .args(words.split_whitespace())
        .arg("-o")
        .arg(home.join("report.json"))
        .env_clear()
        .env("XDG_DATA_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How it ended, and its report.
struct Ran {
    output: Output,
    report: Value,
}

impl Ran {
    fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    fn says(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&self.output.stdout) + &text(&self.output.stderr)
    }

    fn count(&self, name: &str) -> u64 {
        self.report[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no number {name} in {}", self.report))
    }
}

async fn end_of(child: Child, home: &Path) -> Ran {
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = tokio::time::timeout(Duration::from_secs(85), waiting)
        .await
        .expect("the bot ends")
        .unwrap();
    let text = fs::read_to_string(home.join("report.json")).unwrap_or_default();
    let report = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ran { output, report }
}

async fn run(home: &Path, targets: &[&str], words: &str) -> Ran {
    let child = bot(home, targets, words).spawn().unwrap();
    end_of(child, home).await
}

/// Runs a bot through a relay that does this harm to one message of one reader.
async fn harmed(harm: Harm) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let node = node(home.path());
    let certs = home.path().join("chat/certs");
    // Clients 0 to 2 send; 5 only reads.
    let relay = Relay::start(node.address(), &certs, harm, "-5", 20);
    let words = "--clients 6 --senders 3 --rooms 1 --rate 100 -n 90 --size 96 --seed 7 --drain 2s";
    let ran = run(home.path(), &[&relay.target()], words).await;
    let expected = u64::from(harm != Harm::None);
    assert_eq!(relay.harmed(), expected, "{harm:?}\n{}", ran.says());
    ran
}

/// Lost, duplicated, reordered, corrupted, invented.
fn counts(ran: &Ran) -> [u64; 5] {
    ["lost", "duplicated", "reordered", "corrupted", "invented"].map(|name| ran.count(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_does_no_harm_is_found_innocent() {
    let ran = harmed(Harm::None).await;
    assert_eq!(ran.code(), Some(0), "{}", ran.says());
    assert_eq!(counts(&ran), [0, 0, 0, 0, 0], "{}", ran.says());
    assert_eq!((ran.count("sent"), ran.count("acked")), (90, 90));
    assert_eq!((ran.count("expected"), ran.count("delivered")), (540, 540));
    assert!(ran.says().starts_with("PASS"), "{}", ran.says());
}

macro_rules! harms {
    ($($name:ident: $harm:ident gives $counts:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let ran = harmed(Harm::$harm).await;
            assert_eq!(ran.code(), Some(98), "{}", ran.says());
            assert_eq!(counts(&ran), $counts, "{}", ran.says());
            assert_eq!(ran.report["verdict"], "fail");
            assert!(ran.says().starts_with("FAIL"), "{}", ran.says());
        })*
    };
}

harms! {
    a_message_that_is_dropped_is_lost: Drop gives [1, 0, 0, 0, 0];
    a_message_that_comes_twice_is_duplicated: Repeat gives [0, 1, 0, 0, 0];
    a_message_that_comes_late_is_reordered: Swap gives [0, 0, 1, 0, 0];
    a_message_that_is_altered_is_corrupted: Alter gives [0, 0, 0, 1, 0];
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_sent_is_invented_and_the_one_it_stands_for_is_lost() {
    let ran = harmed(Harm::Forge).await;
    assert_eq!(ran.code(), Some(98), "{}", ran.says());
    assert_eq!(counts(&ran), [1, 0, 0, 0, 1], "{}", ran.says());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_deliver_everything_to_two_hundred_clients() {
    let home = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let node = || NodeCommand::new(home.path()).redis(&redis.address());
    let (one, two) = (node().start(), node().start());
    // Generous times: in a debug build, beside other tests, on two processors.
    let words = "--clients 200 --rooms 10 --rate 100 -z 6s --size 96..300 --seed 1 --churn 1%/s \
                 --connect-rate 100 --drain 30s \
                 --assert lost==0 --assert p99<30s --assert rate>10 --assert ack_p99<30s";
    let targets = [one.target(), two.target()];
    let ran = run(home.path(), &[&targets[0], &targets[1]], words).await;
    assert_eq!(ran.code(), Some(0), "{}", ran.says());
    assert_eq!(ran.report["verdict"], "pass");
    assert_eq!((ran.count("sent"), ran.count("acked")), (600, 600));
    // Twenty members in each room, of whom some were away for a moment and came back.
    assert_eq!(
        (ran.count("expected"), ran.count("delivered")),
        (12_000, 12_000),
        "{}",
        ran.says()
    );
    for of in ["same_node", "cross_node", "delivery", "ack", "connect"] {
        let count = ran.report["latency_us"][of]["count"].as_u64().unwrap();
        assert!(count > 100, "{of}: {count}\n{}", ran.says());
    }
    let targets = ran.report["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 2);
    for target in targets {
        assert!(target["connections"].as_u64() >= Some(50), "{target}");
        assert!(target["acked"].as_u64() > Some(50), "{target}");
    }
    assert!(ran.report["connections"]["returns"].as_u64() > Some(0));
    assert!(ran.report["quic"]["datagrams_received"].as_u64() > Some(500));
    assert_eq!(ran.report["asserts"].as_array().unwrap().len(), 4);
    assert!(ran.report["timeline"].as_array().unwrap().len() >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assert_that_does_not_hold_ends_with_99() {
    let home = tempfile::tempdir().unwrap();
    let node = node(home.path());
    let words = "--clients 4 --rooms 1 --rate 50 -n 20 --assert p50<1us --assert lost==0";
    let ran = run(home.path(), &[&node.target()], words).await;
    assert_eq!(ran.code(), Some(99), "{}", ran.says());
    assert_eq!(ran.report["verdict"], "pass");
    let passed = |index: usize| ran.report["asserts"][index]["passed"].as_bool();
    assert_eq!((passed(0), passed(1)), (Some(false), Some(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_says_why() {
    let home = tempfile::tempdir().unwrap();
    let node = node(home.path());
    let target = node.target();
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for (targets, words, code, says) in [
        (format!("127.0.0.1:{free}"), "", 3, "no chat-node answers"),
        ("chat.example".to_owned(), "", 2, "--allow-remote"),
        (target.clone(), "--rooms 60", 2, "some would be empty"),
        (
            target.clone(),
            "--rate 5 -n 3 -z 3s",
            2,
            "cannot be used with",
        ),
        (target.clone(), "--assert p99<fast", 2, "p99<fast"),
        (
            target.clone(),
            "--html /nowhere/at/all.html",
            1,
            "/nowhere/at/all.html",
        ),
    ] {
        let ran = run(home.path(), &[&targets], words).await;
        assert_eq!(ran.code(), Some(code), "{words}: {}", ran.says());
        assert!(ran.says().contains(says), "{words}: {}", ran.says());
        assert!(!ran.says().contains("PASS"), "{}", ran.says());
    }
}

/// A run without an end that has written two rows to `rows.csv`.
async fn under_way(home: &Path, target: &str, words: &str) -> Child {
    let csv = home.join("rows.csv");
    let words = format!("{words} -z 10m --csv {}", csv.display());
    let child = bot(home, &[target], &words).spawn().unwrap();
    soon("two rows", async {
        while rows(home).len() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    child
}

/// The rows of `rows.csv`, each with its fields.
fn rows(home: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(home.join("rows.csv")).unwrap_or_default();
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().skip(1).map(fields).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_dies_leaves_the_partial_report() {
    let home = tempfile::tempdir().unwrap();
    let node = node(home.path());
    let words = "--clients 10 --rooms 2 --rate 50";
    let child = under_way(home.path(), &node.target(), words).await;
    node.kill();
    let ran = end_of(child, home.path()).await;
    assert_eq!(ran.code(), Some(3), "{}", ran.says());
    assert_eq!(ran.report["verdict"], "incomplete", "{}", ran.says());
    assert_eq!(ran.report["run"]["ended"], "cluster_gone");
    assert!(ran.count("delivered") > 100, "{}", ran.says());
    assert!(ran.says().contains("INCOMPLETE"), "{}", ran.says());
}

/// Readers are far behind when it is interrupted: nothing is lost, and it waits to find that out.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_waits_for_what_was_on_its_way() {
    let home = tempfile::tempdir().unwrap();
    let node = node(home.path());
    let words = "--clients 10 --rooms 1 --rate 200 --slow-readers 3 --drain 20s";
    let child = under_way(home.path(), &node.target(), words).await;
    let id = child.id().to_string();
    Command::new("kill").args(["-INT", &id]).status().unwrap();
    let ran = end_of(child, home.path()).await;
    assert_eq!(ran.code(), Some(130), "{}", ran.says());
    assert_eq!(ran.report["verdict"], "pass", "{}", ran.says());
    assert_eq!(ran.report["run"]["ended"], "interrupted");
    assert_eq!(ran.count("expected"), ran.count("delivered"));
    // What was due is what was due until then, and not what the whole plan holds.
    let planned = ran.report["generator"]["planned"].as_u64().unwrap();
    assert!(planned.abs_diff(ran.count("sent")) < 50, "{planned}");
    let rows = rows(home.path());
    let sum: u64 = rows.iter().map(|row| row[2].parse::<u64>().unwrap()).sum();
    assert_eq!(sum, planned, "of all rows");
    // A second each, but for what is left at the end of the load and of the drain.
    let short = rows
        .iter()
        .filter(|row| row[1].parse::<f64>().unwrap() < 0.9);
    assert!(short.count() <= 2, "{rows:?}");
}
