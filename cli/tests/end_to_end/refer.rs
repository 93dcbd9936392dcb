//! Replies, edits, deletions and reactions, as scripts and programs meet them.

use serde_json::{Value, json};

use crate::json::Session;
use crate::support::{Node, Process, run};

/// Waits for a line that ends like this after its time.
#[track_caller]
fn line(process: &Process, expected: &str) {
    process.line(|line| {
        line.split_once(' ')
            .is_some_and(|(_, rest)| rest == expected)
    });
}

#[test]
fn commands_refer_to_the_last_message_or_one_by_its_seq() {
    let node = Node::start(&[]);
    let mut bo = Process::start(node.cli(&["--name", "bo"]));
    bo.remark(|line| line.starts_with("-- joined #lobby"));
    let mut ann = Process::start(node.cli(&["--name", "ann"]));
    ann.remark(|line| line.starts_with("-- joined #lobby"));
    bo.send("tea?");
    line(&ann, "#lobby <bo> tea?");
    for said in [
        "/reply yes",
        "/edit yes please",
        "/react 👍",
        "/unreact 👍",
        "/delete",
    ] {
        ann.send(said);
    }
    for process in [&bo, &ann] {
        for expected in [
            "#lobby <ann> ↳ bo \"tea?\": yes",
            "#lobby -- ann edited \"yes\": yes please",
            "#lobby -- ann reacted 👍 to bo \"tea?\"",
            "#lobby -- ann took back 👍 from bo \"tea?\"",
            "#lobby -- ann deleted \"yes please\"",
        ] {
            line(process, expected);
        }
    }
    for (said, remark) in [
        ("/edit 1 coffee", "-- you may not do that"),
        (
            "/delete",
            "-- you have said nothing in #lobby that can be meant",
        ),
        (
            "/delete 99",
            "-- there is no such message, or it is no longer kept",
        ),
        (
            "/reply 3 so?",
            "-- there is no such message, or it is no longer kept",
        ),
    ] {
        ann.send(said);
        ann.remark(|line| line == remark);
    }
    bo.send("/edit 1 coffee?");
    line(&ann, "#lobby -- bo edited \"tea?\": coffee?");
    // Who scrolls back sees what the messages are now.
    let late = run(node.cli(&["--name", "cy"]), "/history 7\n");
    late.expect_code(0);
    let shown: Vec<&str> = late
        .stdout
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(shown.first(), Some(&"#lobby <bo> tea?"), "{late:#?}");
    let mut scroller = Process::start(node.cli(&["--name", "dan"]));
    scroller.remark(|line| line.starts_with("-- joined #lobby"));
    scroller.send("/history 2");
    line(&scroller, "#lobby -- bo edited message 1: coffee?");
    scroller.send("/history 10");
    line(&scroller, "#lobby <bo> coffee? (edited)");
    line(&scroller, "#lobby <ann> ↳ bo \"coffee?\": [deleted]");
    // It was refused something.
    ann.end().expect_code(1);
}

#[test]
fn a_pipe_edits_what_it_said_right_before() {
    let node = Node::start(&[]);
    let ended = run(
        node.cli(&["--name", "ann"]),
        "helo\n/edit hello\nbye\n/delete\n/edit hello all\n",
    );
    ended.expect_code(0);
    let shown: Vec<&str> = ended
        .stdout
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(
        shown,
        [
            "#lobby <ann> helo",
            "#lobby -- ann edited \"helo\": hello",
            "#lobby <ann> bye",
            "#lobby -- ann deleted \"bye\"",
            "#lobby -- ann edited \"hello\": hello all",
        ],
        "{ended:#?}"
    );
}

#[test]
fn programs_get_and_give_the_place_of_the_message() {
    let node = Node::start(&[]);
    let mut bo = Session::start(&node, &["--name", "bo"]);
    let mut ann = Session::start(&node, &["--name", "ann"]);
    bo.send(&json!({"op": "send", "ref": "b1", "text": "tea?"}));
    let said = ann.event("message");
    assert!(said.get("reply_to").is_none());
    let place = json!({"epoch": said["epoch"], "seq": said["seq"]});
    let text = format!("{}:{}", said["epoch"].as_str().unwrap(), said["seq"]);
    ann.send(&json!({"op": "reply", "ref": "a1", "to": place, "text": "yes"}));
    let ack = ann.answer("ack", "a1");
    let reply = bo.event_that("message", |event| event["self"] == false);
    assert_eq!(
        (
            &reply["reply_to"],
            &reply["text"],
            &reply["content_type"],
            &reply["mention"]
        ),
        (&place, &json!("yes"), &json!(2), &json!(true))
    );
    assert_eq!(reply["seq"], ack["seq"]);
    let answer = json!({"epoch": reply["epoch"], "seq": reply["seq"]});
    ann.send(&json!({"op": "react", "ref": "a2", "to": text, "reaction": "👍"}));
    ann.answer("ack", "a2");
    let reaction = bo.event("reaction");
    assert_eq!(
        (
            &reaction["target"],
            &reaction["reaction"],
            &reaction["on"],
            &reaction["from"]
        ),
        (&place, &json!("👍"), &json!(true), &json!("ann"))
    );
    ann.send(&json!({"op": "react", "ref": "a3", "reaction": "👍", "on": false}));
    assert_eq!(bo.event("reaction")["on"], false);
    ann.send(&json!({"op": "edit", "ref": "a4", "of": reply["seq"], "text": "no"}));
    let edit = bo.event("edit");
    assert_eq!(
        (
            &edit["target"],
            &edit["text"],
            &edit["allowed"],
            &edit["self"]
        ),
        (&answer, &json!("no"), &json!(true), &json!(false))
    );
    ann.send(&json!({"op": "delete", "ref": "a5"}));
    let delete = bo.event("delete");
    assert_eq!(
        (&delete["target"], &delete["allowed"]),
        (&answer, &json!(true))
    );
    assert_eq!(ann.answer("ack", "a5")["seq"], delete["seq"]);
    for (reference, operation, code) in [
        (
            "e1",
            json!({"op": "edit", "of": place, "text": "mine"}),
            "forbidden",
        ),
        ("e2", json!({"op": "delete", "of": place}), "forbidden"),
        ("e3", json!({"op": "delete", "of": 99}), "no_such_entry"),
        (
            "e4",
            json!({"op": "reply", "to": "dead:1", "text": "so"}),
            "no_such_entry",
        ),
        (
            "e5",
            json!({"op": "reply", "to": {"seq": 1}, "text": "so"}),
            "bad_input",
        ),
    ] {
        let mut operation = operation;
        operation["ref"] = json!(reference);
        ann.send(&operation);
        let error = ann.answer("error", reference);
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!(code), &json!(false))
        );
    }
    // One that has not seen the message cannot tell whose it is.
    let late = Session::start(&node, &["--name", "cy", "--history", "1"]);
    let delete = late.event("delete");
    assert_eq!(
        (&delete["allowed"], &delete["history"]),
        (&Value::Null, &json!(true))
    );
}
