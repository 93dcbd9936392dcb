//! JSON lines: what programs rely on. Every line that any of these tests meets fits the schema.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::support::schema::EventSchema;
use crate::support::{Node, Process, run};

/// A client in JSON mode.
pub(crate) struct Session {
    process: Process,
    schema: EventSchema,
    /// Events that were met and not asked for yet: acks and messages, for one, have no order.
    met: RefCell<Vec<Value>>,
}

impl Session {
    /// Starts one and waits until it is in its room.
    pub(crate) fn start(node: &Node, arguments: &[&str]) -> Self {
        let arguments: Vec<&str> = ["--json"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let process = Process::start(node.cli(&arguments));
        let session = Self {
            process,
            schema: EventSchema::load(),
            met: RefCell::default(),
        };
        session.event("joined");
        session
    }

    pub(crate) fn send(&mut self, operation: &Value) {
        self.process.send(&operation.to_string());
    }

    /// The next event of this type.
    #[track_caller]
    pub(crate) fn event(&self, kind: &str) -> Value {
        self.event_that(kind, |_| true)
    }

    /// The next event of this type that fits, of those that were not asked for yet.
    #[track_caller]
    pub(crate) fn event_that(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut met = self.met.borrow_mut();
        let fits = |event: &Value| event["type"] == kind && fits(event);
        if let Some(index) = met.iter().position(fits) {
            return met.remove(index);
        }
        let line = self.process.line(|line| {
            let event = self.schema.check(line);
            let is_it = fits(&event);
            if !is_it {
                met.push(event);
            }
            is_it
        });
        self.schema.check(&line)
    }

    /// The event that answers the operation with this `ref`.
    #[track_caller]
    pub(crate) fn answer(&self, kind: &str, reference: &str) -> Value {
        self.event_that(kind, |event| event["ref"] == reference)
    }

    /// Ends its input: the events that still came, and the exit code.
    pub(crate) fn end(self) -> (Vec<Value>, Option<i32>) {
        let ended = self.process.end();
        let events = ended
            .stdout
            .iter()
            .map(|line| self.schema.check(line))
            .collect();
        (events, ended.status.code())
    }
}

#[test]
fn a_message_is_acked_at_its_place_in_the_log() {
    let node = Node::start(&[]);
    let bo = Session::start(&node, &["--name", "bo"]);
    let mut ann = Session::start(&node, &["--name", "ann"]);
    ann.send(&json!({"op": "send", "ref": "a1", "room": "lobby", "text": "hi bo"}));
    let heard = bo.event("message");
    let own = ann.event("message");
    let ack = ann.event("ack");
    assert_eq!(ack["ref"], "a1");
    for field in ["room", "epoch", "seq", "id"] {
        assert_eq!(ack[field], own[field], "{field}");
        assert_eq!(heard[field], own[field], "{field}");
    }
    assert_eq!(
        (&own["self"], &own["mention"], &own["history"]),
        (&json!(true), &json!(false), &json!(false))
    );
    assert_eq!(
        (&heard["self"], &heard["mention"], &heard["from"]),
        (&json!(false), &json!(true), &json!("ann"))
    );
    assert_eq!(heard["text"], "hi bo");
    let (events, code) = ann.end();
    assert_eq!(code, Some(0));
    assert_eq!(events.last().unwrap()["reason"], "eof");
}

#[test]
fn every_operation_is_answered() {
    let node = Node::start(&[]);
    let mut bo = Session::start(&node, &["--name", "bo"]);
    let mut ann = Session::start(&node, &["--name", "ann"]);
    ann.send(&json!({"op": "join", "ref": "r1", "room": "dev"}));
    let joined = ann.event("joined");
    assert_eq!(
        (&joined["room"], &joined["direct"]),
        (&json!("dev"), &Value::Null)
    );
    let done = ann.answer("done", "r1");
    assert_eq!(
        (&done["op"], &done["room"]),
        (&json!("join"), &json!("dev"))
    );
    ann.send(&json!({"op": "topic", "ref": "r2", "room": "lobby", "topic": "deploys"}));
    ann.answer("ack", "r2");
    assert_eq!(bo.event("topic")["topic"], "deploys");
    ann.send(&json!({"op": "me", "ref": "r3", "room": "lobby", "text": "waves"}));
    assert_eq!(bo.event("message")["action"], true);
    ann.answer("ack", "r3");
    ann.send(&json!({"op": "names", "ref": "r4", "room": "lobby"}));
    let members = ann.answer("members", "r4");
    assert_eq!(members["members"], json!(["ann", "bo"]));
    ann.send(&json!({"op": "rooms", "ref": "r5"}));
    let rooms = ann.answer("rooms", "r5");
    assert_eq!(
        rooms["rooms"],
        json!([{"room": "dev", "members": 1}, {"room": "lobby", "members": 2}])
    );
    ann.send(&json!({"op": "ping", "ref": "r6"}));
    ann.answer("pong", "r6");
    ann.send(&json!({"op": "typing", "ref": "t1", "room": "lobby"}));
    assert_eq!(ann.answer("done", "t1")["room"], "lobby");
    let typing = bo.event("typing");
    assert_eq!(
        (&typing["room"], &typing["nick"]),
        (&json!("lobby"), &json!("ann"))
    );
    ann.send(&json!({"op": "node", "ref": "n1"}));
    let told = ann.answer("node", "n1");
    assert_eq!(
        (&told["nick"], &told["certificate"]["trusted_by"]),
        (&json!("ann"), &json!("development_ca"))
    );
    assert_eq!(told["promise"]["durability"], "node");
    assert!(told["way"]["rtt_ms"].as_f64().unwrap() > 0.0, "{told}");
    assert!(told["certificate"]["not_after"].is_string(), "{told}");
    ann.send(&json!({"op": "nick", "ref": "r7", "nick": "anna"}));
    ann.answer("done", "r7");
    let renamed = bo.event_that("presence", |event| event["event"] == "nick");
    assert_eq!(
        (&renamed["nick"], &renamed["to"]),
        (&json!("ann"), &json!("anna"))
    );
    ann.send(&json!({"op": "msg", "ref": "r8", "to": "bo", "text": "psst"}));
    let direct = bo.event("joined");
    assert_eq!(direct["direct"], "anna");
    let whispered = bo.event("message");
    assert_eq!(
        (&whispered["text"], &whispered["direct"]),
        (&json!("psst"), &json!("anna"))
    );
    assert_eq!(whispered["room"], direct["room"]);
    ann.answer("ack", "r8");
    bo.send(&json!({"op": "send", "ref": "b1", "room": direct["room"], "text": "yes?"}));
    bo.answer("ack", "b1");
    assert_eq!(
        ann.event_that("message", |event| event["self"] == false)["text"],
        "yes?"
    );
    ann.send(&json!({"op": "part", "ref": "r9", "room": "dev"}));
    assert_eq!(ann.event("left")["room"], "dev");
    ann.answer("done", "r9");
    ann.send(&json!({"op": "quit"}));
    let bye = ann.event("bye");
    assert_eq!((&bye["code"], &bye["reason"]), (&json!(0), &json!("quit")));
}

#[test]
fn another_connection_goes_on_where_the_first_was() {
    let node = Node::start(&[]);
    let mut ann = Session::start(&node, &["--name", "ann"]);
    ann.send(&json!({"op": "reconnect", "ref": "r1"}));
    assert_eq!(ann.answer("done", "r1")["op"], "reconnect");
    ann.event_that("connection", |event| event["state"] == "down");
    ann.event_that("hello", |event| event["resumed"] == true);
    ann.send(&json!({"op": "send", "ref": "r2", "text": "still here"}));
    ann.answer("ack", "r2");
}

#[test]
fn a_bad_line_is_answered_by_its_number_and_hurts_nothing_else() {
    let node = Node::start(&[]);
    let schema = EventSchema::load();
    let input = "{\"op\":\"send\",\"ref\":\"a1\",\"text\":\"one\"}\nhi\n\n{\"op\":\"sned\",\"ref\":\"a2\"}\n\
        {\"op\":\"send\",\"ref\":\"a3\",\"room\":\"nowhere\",\"text\":\"x\"}\n{\"op\":\"send\",\"ref\":\"a4\",\"text\":\"two\"}";
    let ended = run(node.cli(&["--json", "--name", "ann"]), input);
    ended.expect_code(0);
    let events: Vec<Value> = ended.stdout.iter().map(|line| schema.check(line)).collect();
    let of = |kind: &str| -> Vec<&Value> {
        events
            .iter()
            .filter(|event| event["type"] == kind)
            .collect()
    };
    let errors: Vec<_> = of("error")
        .iter()
        .map(|event| {
            (
                event["code"].clone(),
                event["line"].clone(),
                event["ref"].clone(),
            )
        })
        .collect();
    assert_eq!(
        errors,
        [
            (json!("bad_input"), json!(2), Value::Null),
            (json!("bad_input"), json!(4), json!("a2")),
            (json!("not_joined"), Value::Null, json!("a3")),
        ]
    );
    let acked: Vec<&Value> = of("ack").iter().map(|event| &event["ref"]).collect();
    assert_eq!(acked, [&json!("a1"), &json!("a4")]);
    let texts: Vec<&Value> = of("message").iter().map(|event| &event["text"]).collect();
    assert_eq!(texts, [&json!("one"), &json!("two")]);
    let places: Vec<u64> = of("message")
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [1, 2]);
}

#[test]
fn history_comes_marked_and_before_what_is_new() {
    let node = Node::start(&[]);
    run(node.cli(&["--name", "bo"]), "one\ntwo\n").expect_code(0);
    let mut ann = Session::start(&node, &["--name", "ann", "--history", "10"]);
    ann.send(&json!({"op": "send", "text": "three"}));
    for (text, history) in [("one", true), ("two", true), ("three", false)] {
        let message = ann.event("message");
        assert_eq!(
            (&message["text"], &message["history"]),
            (&json!(text), &json!(history))
        );
    }
}

#[test]
fn older_messages_come_page_by_page_down_to_the_beginning() {
    let node = Node::start(&[]);
    let said: Vec<String> = (1..=700).map(|number| number.to_string()).collect();
    run(node.cli(&["--name", "bo"]), &said.join("\n")).expect_code(0);
    let mut ann = Session::start(&node, &["--name", "ann", "--history", "3"]);
    let texts = |session: &Session, len: usize| -> Vec<String> {
        let next = || {
            let message = session.event("message");
            assert_eq!(message["history"], true);
            message["text"].as_str().unwrap().to_owned()
        };
        (0..len).map(|_| next()).collect()
    };
    assert_eq!(texts(&ann, 3), said[697..]);
    // More than a page of the protocol.
    ann.send(&json!({"op": "history", "ref": "h1", "limit": 400}));
    assert_eq!(texts(&ann, 400), said[297..697]);
    let page = ann.answer("history", "h1");
    assert_eq!(
        (&page["count"], &page["beginning"], &page["gap"]),
        (&json!(400), &json!(false), &Value::Null)
    );
    let before = page["before"].as_str().unwrap().to_owned();
    assert!(before.ends_with(":298"), "{before}");
    // From a place that the program chose: it moves nothing.
    ann.send(&json!({"op": "history", "ref": "h2", "room": "lobby", "before": before, "limit": 1}));
    assert_eq!(texts(&ann, 1), said[296..297]);
    ann.answer("history", "h2");
    ann.send(&json!({"op": "history", "ref": "h3", "limit": 1000}));
    assert_eq!(texts(&ann, 297), said[..297]);
    let page = ann.answer("history", "h3");
    assert_eq!(
        (&page["before"], &page["beginning"]),
        (&Value::Null, &json!(true))
    );
    ann.send(&json!({"op": "history", "ref": "h4"}));
    let page = ann.answer("history", "h4");
    assert_eq!(
        (&page["count"], &page["beginning"]),
        (&json!(0), &json!(true))
    );
    // A place that never was, and a room that is not joined.
    ann.send(&json!({"op": "history", "ref": "h5", "before": "dead:9007199254740992"}));
    let page = ann.answer("history", "h5");
    assert_eq!(
        (&page["count"], &page["gap"]),
        (&json!(0), &json!("diverged"))
    );
    assert!(page["before"].as_str().unwrap().ends_with(":701"), "{page}");
    ann.send(&json!({"op": "history", "ref": "h6", "room": "dev"}));
    assert_eq!(ann.answer("error", "h6")["code"], "not_joined");
    ann.send(&json!({"op": "send", "text": "live"}));
    assert_eq!(ann.event("message")["history"], false);
}

#[test]
fn a_notice_of_the_cluster_has_its_seq() {
    let node = Node::start(&["--notice-every", "1s", "--notice-text", "backup at noon"]);
    let ann = Session::start(&node, &[]);
    let first = ann.event_that("notice", |event| event.get("seq").is_some());
    let second = ann.event_that("notice", |event| event.get("seq").is_some());
    assert_eq!(
        (&first["text"], &first["level"]),
        (&json!("backup at noon"), &json!("info"))
    );
    assert_eq!(
        second["seq"].as_u64(),
        first["seq"].as_u64().map(|seq| seq + 1)
    );
}

#[test]
fn what_is_sent_without_a_connection_is_sent_later() {
    let mut node = Node::start(&[]);
    let mut ann = Session::start(&node, &["--name", "ann"]);
    node.kill();
    ann.event_that("connection", |event| event["state"] == "down");
    ann.send(&json!({"op": "send", "ref": "kept", "text": "are you there?"}));
    assert_eq!(ann.event("notice")["code"], "not_sent_yet");
    node.start_again();
    ann.event_that("connection", |event| event["state"] == "up");
    assert_eq!(ann.event("ack")["ref"], "kept");
    assert_eq!(ann.end().1, Some(0));
}

/// The node is dead and nobody has noticed yet: whether it took the message cannot be known, and the
/// one that comes in its place knows nothing of the session.
#[test]
fn what_was_sent_into_a_dying_connection_is_told_as_unknown_and_not_sent_twice() {
    let mut node = Node::start(&[]);
    let mut ann = Session::start(&node, &["--name", "ann"]);
    node.kill();
    ann.send(&json!({"op": "send", "ref": "lost", "text": "are you there?"}));
    ann.event_that("connection", |event| event["state"] == "down");
    node.start_again();
    let error = ann.event("error");
    assert_eq!(
        (&error["ref"], &error["code"]),
        (&json!("lost"), &json!("unknown_fate"))
    );
}

#[test]
fn no_node_is_an_error_event_and_a_bye() {
    let home = tempfile::tempdir().unwrap();
    let schema = EventSchema::load();
    let ended = run(crate::support::cli(&home, &["--json", "1"]), "");
    ended.expect_code(3);
    let kinds: Vec<String> = ended
        .stdout
        .iter()
        .map(|line| schema.check(line)["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["connection", "error", "bye"]);
}
