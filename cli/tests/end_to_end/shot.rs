//! send, tail, ping and doctor, against real nodes.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use boon::{Compiler, Schemas};
use serde_json::Value;

use crate::support::schema::EventSchema;
use crate::support::{Ended, Node, Process, cli, run};

/// A command with the node's address right behind it.
fn shot(node: &Node, command: &str, arguments: &[&str], input: &str) -> Ended {
    let port = node.port();
    let arguments = [&[command, &port], arguments].concat();
    run(node.cli_without_target(&arguments), input)
}

/// The values of output that is described by `docs/checks.schema.json`.
#[track_caller]
fn checked(ended: &Ended) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks.schema.json");
    let document: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    let location = "https://chat.invalid/checks.schema.json";
    compiler.add_resource(location, document).unwrap();
    let index = compiler.compile(location, &mut schemas).unwrap();
    let values = ended.stdout.iter().map(|line| {
        let value: Value = serde_json::from_str(line).unwrap();
        if let Err(error) = schemas.validate(&value, index) {
            panic!("{line} does not fit the schema: {error:#}");
        }
        value
    });
    values.collect()
}

/// The states of a doctor's steps, in order.
fn steps(report: &Value) -> Vec<String> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            format!(
                "{} {}",
                step["step"].as_str().unwrap(),
                step["state"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn a_sent_message_is_in_the_log_when_send_ends() {
    let node = Node::start(&[]);
    let quiet = shot(&node, "send", &["-r", "ops", "from the arguments"], "");
    quiet.expect_code(0);
    assert!(
        quiet.stdout.is_empty() && quiet.stderr.is_empty(),
        "{quiet:?}"
    );
    shot(&node, "send", &["-r", "ops"], "two\nlines\n").expect_code(0);
    shot(&node, "send", &["-r", "ops", "-"], "by dash").expect_code(0);
    let verbose = shot(&node, "send", &["-r", "ops", "-v", "loud"], "");
    verbose.expect_code(0);
    assert!(
        verbose.stdout[0].starts_with("#ops 4 (epoch "),
        "{verbose:?}"
    );
    let json = shot(&node, "send", &["-r", "ops", "--json", "last"], "");
    json.expect_code(0);
    let ack = EventSchema::load().check(&json.stdout[0]);
    assert_eq!(
        (&ack["type"], &ack["seq"], &ack["room"]),
        (&"ack".into(), &5.into(), &"ops".into())
    );

    let tail = shot(&node, "tail", &["-r", "ops", "-n", "50", "-c", "5"], "");
    tail.expect_code(0);
    let said = tail.stdout.join("\n");
    for text in [
        "> from the arguments",
        "> two",
        " lines",
        "> by dash",
        "> loud",
        "> last",
    ] {
        assert!(said.contains(text), "{text:?} is not in {said}");
    }
}

#[test]
fn what_cannot_be_sent_has_its_exit_code() {
    let mut node = Node::start(&[]);
    let long = "x".repeat(5_000);
    for (arguments, input, code) in [
        (&["-r", "ops"][..], "", 2),
        (&["-r", "ops"], long.as_str(), 2),
        (&["-r", "a{b", "hi"], "", 2),
        (&["hi"], "", 2),
        (&["-r", "ops", "--to", "bo", "hi"], "", 2),
        (&["--to", "nobody-here", "hi"], "", 1),
    ] {
        shot(&node, "send", arguments, input).expect_code(code);
    }
    let json = shot(&node, "send", &["--to", "nobody-here", "--json", "hi"], "");
    let event = EventSchema::load().check(&json.expect_code(1).stdout[0]);
    assert_eq!(event["type"], "error");

    // Stopped, a node is there and answers nothing: no ack, and that is told in time.
    let port = node.port();
    let ann = Process::start(node.cli(&["--name", "ann"]));
    ann.remark(|line| line.starts_with("-- joined"));
    let late = ["send", &port, "-r", "ops", "--timeout", "0ms", "hi"];
    run(node.cli_without_target(&late), "").expect_code(7);
    node.kill();
    let gone = [
        "send",
        &port,
        "-r",
        "ops",
        "--connect-timeout",
        "300ms",
        "hi",
    ];
    run(node.cli_without_target(&gone), "").expect_code(3);
}

#[test]
fn a_message_to_one_user_reaches_that_user_alone() {
    let node = Node::start(&[]);
    let bo = Process::start(node.cli(&["--name", "bo"]));
    bo.remark(|line| line.starts_with("-- joined"));
    shot(
        &node,
        "send",
        &["--to", "bo", "--name", "ann", "only you"],
        "",
    )
    .expect_code(0);
    let line = bo.line(|line| line.contains("only you"));
    assert!(line.contains("<ann>") && !line.contains("#lobby"), "{line}");
}

#[test]
fn tail_follows_and_ends_after_so_many_or_so_long() {
    let node = Node::start(&[]);
    let port = node.port();
    shot(&node, "send", &["-r", "ops", "before"], "").expect_code(0);
    let tail = [
        "tail",
        &port,
        "-r",
        "ops",
        "-n",
        "0",
        "-c",
        "2",
        "--timeout",
        "15s",
        "--json",
    ];
    let tail = Process::start(node.cli_without_target(&tail));
    tail.line(|line| line.contains("\"type\":\"joined\""));
    for text in ["one", "two", "three"] {
        shot(&node, "send", &["-r", "ops", text], "").expect_code(0);
    }
    let ended = tail.end_by_itself();
    ended.expect_code(0);
    let schema = EventSchema::load();
    let events: Vec<Value> = ended.stdout.iter().map(|line| schema.check(line)).collect();
    let texts = events.iter().filter(|event| event["type"] == "message");
    let texts: Vec<&str> = texts.filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(events.last().unwrap()["type"], "bye");

    let late = shot(
        &node,
        "tail",
        &["-r", "ops", "-c", "9", "--timeout", "500ms"],
        "",
    );
    late.expect_code(7);
    assert_eq!(late.stdout.len(), 4, "{late:?}");
    let since = shot(
        &node,
        "tail",
        &["-r", "ops", "--since", "1h", "-c", "4"],
        "",
    );
    assert_eq!(since.expect_code(0).stdout.len(), 4);
    let since = shot(
        &node,
        "tail",
        &["-r", "ops", "--since", "0s", "--timeout", "500ms"],
        "",
    );
    assert_eq!(since.expect_code(7).stdout.len(), 0, "{since:?}");
}

#[test]
fn ping_measures_and_tells_when_there_is_nobody() {
    let mut node = Node::start(&[]);
    let text = shot(&node, "ping", &["-c", "3", "-i", "10ms"], "");
    text.expect_code(0);
    assert_eq!(text.stdout.len(), 5, "{text:?}");
    assert!(text.stdout[0].starts_with("1: ") && text.stdout[0].ends_with(" ms"));
    assert!(
        text.stdout[3].contains("3 sent, 3 answered, 0% lost"),
        "{text:?}"
    );
    let json = shot(&node, "ping", &["-c", "2", "-i", "10ms", "--json"], "");
    let values = checked(json.expect_code(0));
    assert_eq!(
        (values.len(), &values[2]["type"]),
        (3, &"ping_summary".into())
    );
    assert!(values[2]["quic_rtt_ms"].as_f64().unwrap() > 0.0);

    // A node that stops answering: asked, and counted as lost.
    let port = node.port();
    let silent = ["ping", &port, "-c", "3", "-i", "300ms", "-W", "200ms"];
    let silent = Process::start(node.cli_without_target(&silent));
    silent.line(|line| line.starts_with("1: "));
    node.kill();
    let killed = Instant::now();
    let ended = silent.end_by_itself();
    ended.expect_code(0);
    // Two waits and a goodbye that nobody hears; a request alone would wait for ten seconds.
    assert!(
        killed.elapsed() < Duration::from_secs(8),
        "{:?}",
        killed.elapsed()
    );
    assert!(
        ended
            .stdout
            .join("\n")
            .contains("3: no answer within 200ms"),
        "{ended:?}"
    );
    assert!(ended.stdout.join("\n").contains("% lost"), "{ended:?}");
    shot(&node, "ping", &["--connect-timeout", "300ms"], "").expect_code(3);
}

#[test]
fn the_doctor_finds_a_good_node_good() {
    let node = Node::start(&[]);
    let json = shot(&node, "doctor", &["--json"], "");
    let report = checked(json.expect_code(0)).remove(0);
    let names = [
        "name",
        "udp",
        "handshake",
        "certificate",
        "session",
        "backplane",
        "message",
        "clock",
        "way",
    ];
    assert_eq!(steps(&report), names.map(|name| format!("{name} ok")));
    let fact = |step: usize, name: &str| report["steps"][step]["facts"][name].clone();
    assert_eq!(fact(2, "alpn"), "chat/1");
    assert_eq!(fact(3, "trusted_by"), "development_ca");
    assert!(fact(3, "days_left").as_i64().unwrap() > 0);
    assert_eq!(fact(5, "durability"), "node");
    assert!(fact(7, "ahead_ms").as_i64().unwrap().abs() < 1_000);
    assert!(fact(8, "mtu_bytes").as_i64().unwrap() >= 1_200);

    let text = shot(&node, "doctor", &["--no-message"], "");
    text.expect_code(0);
    let text = text.stdout.join("\n");
    assert!(
        text.contains("ok   certificate ") && text.contains("skip message"),
        "{text}"
    );
    assert!(text.is_ascii(), "in a pipe: {text}");
}

#[test]
fn the_doctor_says_where_the_way_ends() {
    let node = Node::start(&[]);
    let home = tempfile::tempdir().unwrap();
    let doctor = |target: &str, arguments: &[&str]| {
        let common = ["doctor", target, "--json", "--connect-timeout", "600ms"];
        let ended = run(cli(&home, &[&common, arguments].concat()), "");
        let report = checked(&ended).remove(0);
        let steps = steps(&report);
        let last = report["steps"].as_array().unwrap().last().unwrap().clone();
        assert!(!last["help"].as_array().unwrap().is_empty(), "{last}");
        let last_step = steps.last().unwrap().clone();
        (
            ended.code(),
            last_step,
            last["text"].as_str().unwrap().to_owned(),
        )
    };
    let (code, step, text) = doctor("no-such-host.invalid", &[]);
    assert_eq!((code, step.as_str()), (Some(3), "name failed"), "{text}");

    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let (code, step, text) = doctor(&address, &[]);
    assert_eq!((code, step.as_str()), (Some(3), "udp failed"));
    assert!(text.contains("nothing came back"), "{text}");
    drop(silent);
    let (code, step, text) = doctor(&address, &[]);
    assert_eq!((code, step.as_str()), (Some(3), "udp failed"));
    assert!(text.contains("nothing listens"), "{text}");

    // The node is there; this home knows none of its certificates.
    let (code, step, _) = doctor(&node.port(), &[]);
    assert_eq!((code, step.as_str()), (Some(4), "certificate failed"));
    let pin = "0".repeat(64);
    let (code, step, text) = doctor(&node.port(), &["--pin", &pin]);
    assert_eq!(
        (code, step.as_str()),
        (Some(4), "certificate failed"),
        "{text}"
    );
    run(cli(&home, &["trust", "add", &node.port(), "--yes"]), "").expect_code(0);
    let known = run(cli(&home, &["doctor", &node.port(), "--json"]), "");
    let report = checked(known.expect_code(0)).remove(0);
    let text = report["steps"][3]["text"].as_str().unwrap();
    assert!(text.contains("what is known of this node"), "{text}");
}
