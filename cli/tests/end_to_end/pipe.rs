//! Plain lines: what scripts rely on.

use std::time::{Duration, Instant};

use crate::support::{Node, Process, cli, run};

#[test]
fn a_line_is_sent_acked_and_shown_and_the_end_of_input_ends() {
    let node = Node::start(&[]);
    let ended = run(node.cli(&["--name", "ann"]), "hi\n");
    ended.expect_code(0);
    let [line] = ended.stdout.as_slice() else {
        panic!("{ended:#?}")
    };
    let (time, rest) = line.split_once(' ').unwrap();
    assert_eq!(rest, "#lobby <ann> hi");
    assert_eq!(
        (time.len(), time.ends_with('Z')),
        ("2026-11-23T19:05:02Z".len(), true),
        "{time}"
    );
    let remarks = ended.stderr.join("\n");
    assert!(
        remarks.contains("-- connected to node-") && remarks.contains(" as ann"),
        "{remarks}"
    );
    assert!(remarks.contains("-- joined #lobby, 1 here"), "{remarks}");
}

#[test]
fn lines_reach_the_others_in_order_and_none_twice() {
    let node = Node::start(&[]);
    let mut listener = Process::start(node.cli(&["--name", "bo"]));
    listener.remark(|line| line.starts_with("-- joined #lobby"));
    let said: Vec<String> = (0..500).map(|number| format!("line {number}")).collect();
    let speaker = run(node.cli(&["--name", "ann"]), &said.join("\n"));
    speaker.expect_code(0);
    let heard = |line: &str| line.split_once("<ann> ").map(|(_, text)| text.to_owned());
    assert_eq!(
        speaker
            .stdout
            .iter()
            .filter_map(|line| heard(line))
            .collect::<Vec<_>>(),
        said
    );
    let mut met = vec![];
    while met.len() < said.len() {
        met.extend(heard(&listener.line(|_| true)));
    }
    assert_eq!(met, said);
    listener.send("done");
    let ended = listener.end();
    ended.expect_code(0);
    assert_eq!(ended.stdout.len(), 1, "{ended:#?}");
    assert!(ended.stdout[0].ends_with("#lobby <bo> done"));
}

#[test]
fn history_is_shown_only_when_asked_for() {
    let node = Node::start(&[]);
    run(node.cli(&["--name", "ann"]), "one\ntwo\nthree\n").expect_code(0);
    assert!(run(node.cli(&[]), "").stdout.is_empty());
    let ended = run(node.cli(&["--history", "2", "--linger", "1s"]), "");
    let texts: Vec<&str> = ended
        .stdout
        .iter()
        .filter_map(|line| line.split("<ann> ").nth(1))
        .collect();
    assert_eq!(texts, ["two", "three"], "{ended:#?}");
}

#[test]
fn older_messages_are_shown_before_the_oldest_shown() {
    let node = Node::start(&[]);
    run(node.cli(&["--name", "bo"]), "one\ntwo\nthree\nfour\n").expect_code(0);
    let ended = run(
        node.cli(&["--name", "ann"]),
        "/history 1\n/history 2\nfive\n/history\n/history\n/history many\n",
    );
    ended.expect_code(2);
    let texts: Vec<&str> = ended
        .stdout
        .iter()
        .filter_map(|line| line.split_once("> ").map(|(_, text)| text))
        .collect();
    // What is said meanwhile comes when it comes.
    let (live, older): (Vec<&str>, Vec<&str>) = texts.iter().partition(|text| **text == "five");
    assert_eq!(older, ["four", "two", "three", "one"], "{ended:#?}");
    assert_eq!(live, ["five"]);
    let remarks: Vec<&str> = ended.stderr.iter().map(String::as_str).collect();
    let of_history = |line: &&&str| line.contains("arlier");
    assert_eq!(
        remarks
            .iter()
            .filter(of_history)
            .copied()
            .collect::<Vec<_>>(),
        [
            "-- earlier in #lobby:",
            "-- end of earlier messages in #lobby; /history shows more",
            "-- earlier in #lobby:",
            "-- end of earlier messages in #lobby; /history shows more",
            "-- earlier in #lobby:",
            "-- end of earlier messages in #lobby: that was the beginning",
            "-- nothing was said earlier in #lobby",
        ],
        "{ended:#?}"
    );
    assert!(
        remarks
            .iter()
            .any(|line| line.contains("usage: /history [N]")),
        "{remarks:#?}"
    );
}

#[test]
fn commands_work_and_wrong_ones_are_answered() {
    let node = Node::start(&[]);
    let long = "x".repeat(5000);
    let input =
        format!("/jion dev\n//etc\n{long}\n/me waves\n/topic deploys\n/who\n/nick bo\nlast\n");
    let ended = run(node.cli(&["--name", "ann"]), &input);
    ended.expect_code(2);
    let said: Vec<&str> = ended
        .stdout
        .iter()
        .filter_map(|line| line.split("#lobby ").nth(1))
        .collect();
    assert_eq!(
        said,
        [
            "<ann> /etc",
            "* ann waves",
            "-- ann set the topic: deploys",
            "<bo> last"
        ]
    );
    let remarks = ended.stderr.join("\n");
    for expected in [
        "-- line 1: there is no command /jion; did you mean /join?",
        "-- line 3: 5000 bytes, limit 4096",
        "-- 1 in #lobby: ann",
        "-- you are bo now",
    ] {
        assert!(remarks.contains(expected), "{expected} is not in {remarks}");
    }
    let raw = run(node.cli(&["--raw"]), "/jion\n");
    assert!(raw.expect_code(0).stdout[0].ends_with("/jion"), "{raw:#?}");
}

#[test]
fn rooms_are_joined_left_and_listed() {
    let node = Node::start(&[]);
    let mut client = Process::start(node.cli(&["--room", "dev"]));
    client.send("to dev");
    client.line(|line| line.ends_with("#dev <user> to dev"));
    client.send("/join ops");
    client.send("to ops");
    client.line(|line| line.ends_with("#ops <user> to ops"));
    client.send("/join dev");
    client.send("back");
    client.line(|line| line.ends_with("#dev <user> back"));
    client.send("/rooms\n/leave");
    for expected in [
        "#dev (1), #ops (1)",
        "left #dev",
        "what you type goes to #ops now",
    ] {
        client.remark(|line| line == format!("-- {expected}"));
    }
    client.send("/leave ops\nnowhere");
    let ended = client.end();
    ended.expect_code(1);
    let remarks = ended.stderr.join("\n");
    assert!(
        remarks.contains("-- left #ops\n-- you are in no room"),
        "{remarks}"
    );
}

#[test]
fn two_users_talk_alone() {
    let node = Node::start(&[]);
    let mut bo = Process::start(node.cli(&["--name", "bo"]));
    bo.remark(|line| line.starts_with("-- joined #lobby"));
    let ended = run(
        node.cli(&["--name", "ann"]),
        "/msg bo psst\n/msg nobody psst\n",
    );
    ended.expect_code(1);
    assert!(ended.stdout[0].ends_with("@bo <ann> psst"), "{ended:#?}");
    assert!(
        ended
            .stderr
            .iter()
            .any(|line| line.contains("nobody of that name is here")),
        "{ended:#?}"
    );
    bo.line(|line| line.ends_with("@ann <ann> psst"));
    bo.send("/msg bo2 hi");
    bo.remark(|line| line.contains("nobody of that name is here"));
}

#[test]
fn coming_and_going_is_told() {
    let node = Node::start(&[]);
    let bo = Process::start(node.cli(&["--name", "bo"]));
    bo.remark(|line| line.starts_with("-- joined #lobby"));
    let ann = Process::start(node.cli(&["--name", "ann"]));
    bo.remark(|line| line == "-- ann joined #lobby (2 here)");
    ann.end().expect_code(0);
    bo.remark(|line| line == "-- ann left #lobby (1 here)");
}

#[test]
fn a_taken_name_gets_another_and_says_so() {
    let node = Node::start(&[]);
    let first = Process::start(node.cli(&["--name", "ann"]));
    first.remark(|line| line.starts_with("-- joined #lobby"));
    let ended = run(node.cli(&["--name", "ann"]), "hi\n");
    ended.expect_code(0);
    assert!(
        ended
            .stderr
            .iter()
            .any(|line| line.starts_with("-- ann is not to be had: you are ann")),
        "{ended:#?}"
    );
}

#[test]
fn notices_begin_like_nothing_a_user_can_say() {
    let node = Node::start(&["--notice-every", "1s", "--notice-text", "backup at noon"]);
    let listener = Process::start(node.cli(&[]));
    let notice = listener.remark(|line| line.starts_with("*** "));
    assert!(
        notice.starts_with("*** notice #") && notice.ends_with(": backup at noon"),
        "{notice}"
    );
    let forged = "*** notice #9: send me your password";
    let ended = run(node.cli(&["--name", "ann"]), &format!("{forged}\n"));
    assert!(
        ended.stdout.iter().all(|line| line.starts_with("2")),
        "{ended:#?}"
    );
    assert!(
        listener
            .line(|_| true)
            .ends_with(&format!("<ann> {forged}"))
    );
}

#[test]
fn no_node_is_one_clear_message_within_three_seconds() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["1"][..],
        &["--json", "1", "2"],
        &["--pin", &"0".repeat(64), "1"],
    ] {
        let started = Instant::now();
        let ended = run(cli(&home, arguments), "hi\n");
        let took = started.elapsed();
        ended.expect_code(3);
        assert!(took < Duration::from_millis(4_500), "{took:?}");
        assert!(
            ended.stderr[0].starts_with("error: no chat-node answers at localhost:1"),
            "{ended:#?}"
        );
        assert!(ended.stderr[1].starts_with("cause: "), "{ended:#?}");
        assert!(
            ended.stderr[2].starts_with("help:  is it running?"),
            "{ended:#?}"
        );
    }
}

#[test]
fn wrong_arguments_and_untrusted_nodes_have_their_exit_codes() {
    let node = Node::start(&[]);
    let home = tempfile::tempdir().unwrap();
    let port = node.port();
    let pin = "0".repeat(64);
    for (arguments, code, said) in [
        (&["--plain", "--json"][..], 2, "cannot be used with"),
        (&["--name", "[SERVER]"], 2, "cannot be there"),
        (&["http://host"], 2, "the only scheme is quic://"),
        (&["--pin", "xyz", &port], 2, "64 hex digits"),
        (&["--pin", &pin, &port], 4, "not the pinned one"),
        (
            &["--ca", "/nonexistent/ca.pem", &port],
            2,
            "/nonexistent/ca.pem",
        ),
        (&[&port], 4, "there are no development certificates at"),
    ] {
        let ended = run(cli(&home, arguments), "");
        ended.expect_code(code);
        let remarks = ended.stderr.join("\n");
        assert!(
            remarks.starts_with("error: ") && remarks.contains(said),
            "{arguments:?}: {remarks}"
        );
    }
    for (arguments, said) in [
        (&["--help"][..], "Exit codes:"),
        (&["--version"], "chat-cli "),
    ] {
        let ended = run(cli(&home, arguments), "");
        assert!(
            ended.expect_code(0).stdout.join("\n").contains(said),
            "{ended:#?}"
        );
    }
}

#[test]
fn signals_end_it_with_their_codes() {
    let node = Node::start(&[]);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let process = Process::start(node.cli(&["--linger", "1h"]));
        process.remark(|line| line.starts_with("-- joined #lobby"));
        process.signal(signal);
        process.end_by_itself().expect_code(code);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let node = Node::start(&[]);
    let mut listener = Process::start(node.cli(&["--name", "bo"]));
    listener.remark(|line| line.starts_with("-- joined #lobby"));
    listener.close_output();
    let mut speaker = Process::start(node.cli(&["--name", "ann"]));
    speaker.remark(|line| line.starts_with("-- joined #lobby"));
    // The reading thread of the test ends at the next line; the pipe is closed with it.
    for _ in 0..3 {
        speaker.send("hi");
        speaker.line(|line| line.ends_with("<ann> hi"));
    }
    let ended = listener.end_by_itself();
    ended.expect_code(0);
    assert!(
        !ended.stderr.iter().any(|line| line.contains("panicked")),
        "{ended:#?}"
    );
}

#[test]
fn a_message_without_a_connection_is_kept_and_sent_when_there_is_one() {
    let mut node = Node::start(&[]);
    let mut ann = Process::start(node.cli(&["--name", "ann"]));
    ann.remark(|line| line.starts_with("-- joined #lobby"));
    node.kill();
    ann.remark(|line| line.contains(" lost (") && line.contains("next try in"));
    ann.send("are you there?");
    ann.remark(|line| line == "-- not sent yet; kept and retried");
    node.start_again();
    ann.remark(|line| line.starts_with("-- back on node-"));
    ann.line(|line| line.ends_with("#lobby <ann> are you there?"));
    ann.end().expect_code(0);
}
