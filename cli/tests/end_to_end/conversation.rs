//! The conversation as a view of it meets it: what was sent is told at once, and its fate by its id.

use std::time::Duration;

use chat_cli::conversation::Conversation;
use chat_cli::operation::{Operation, Request, Style};
use chat_cli::report::Report;
use chat_client::{Client, MessageId, PUBLISHES_LEN_MAX, Trust};
use tokio::time::timeout;

use crate::support::{Node, SOON};

async fn in_the_lobby(node: &Node) -> Conversation {
    let trust = Trust::Development {
        dir: Some(node.home().join("chat/certs")),
    };
    let builder = Client::builder()
        .target(node.port())
        .name("ann")
        .trust(trust)
        .keep_alive(Duration::from_millis(300));
    let (client, events) = builder.connect().await.unwrap();
    let mut conversation = Conversation::new(client, events, 0, None);
    let join = Operation::Join {
        room: "lobby".parse().unwrap(),
        history: None,
    };
    perform(&mut conversation, join, "join");
    told(&mut conversation, |report| {
        matches!(report, Report::Done { .. }).then_some(())
    })
    .await;
    conversation
}

fn perform(conversation: &mut Conversation, operation: Operation, reference: &str) {
    conversation.perform(Request {
        reference: Some(reference.to_owned()),
        operation,
    });
}

fn say(conversation: &mut Conversation, text: &str) {
    let send = Operation::Send {
        room: None,
        text: text.parse().unwrap(),
        style: Style::Plain,
    };
    perform(conversation, send, text);
}

/// What of the next reports is looked for.
async fn told<T>(conversation: &mut Conversation, mut pick: impl FnMut(&Report) -> Option<T>) -> T {
    let looking = async {
        loop {
            let report = conversation.next().await.expect("it goes on");
            if let Some(found) = pick(&report) {
                return found;
            }
        }
    };
    timeout(SOON, looking).await.expect("nothing came")
}

fn sent(report: &Report) -> Option<(Option<String>, MessageId)> {
    match report {
        Report::Sent { reference, id, .. } => Some((reference.clone(), *id)),
        _ => None,
    }
}

#[tokio::test]
async fn a_message_is_told_when_it_is_queued_and_found_by_its_id() {
    let node = Node::start(&[]);
    let mut ann = in_the_lobby(&node).await;
    say(&mut ann, "hi");
    let (reference, id) = told(&mut ann, sent).await;
    assert_eq!(reference.as_deref(), Some("hi"));
    let (mut acked, mut shown) = (None, None);
    told(&mut ann, |report| {
        match report {
            Report::Acked { id, .. } => acked = Some(*id),
            Report::Message { message, own, .. } => {
                assert!(own);
                shown = Some(MessageId::from(message));
            }
            _ => {}
        }
        acked.and(shown)
    })
    .await;
    assert_eq!((acked, shown), (Some(id), Some(id)));
    assert!(ann.rtt().is_some());
    ann.close().await;
}

#[tokio::test]
async fn a_full_queue_keeps_one_more() {
    let mut node = Node::start(&[]);
    let mut ann = in_the_lobby(&node).await;
    node.kill();
    told(&mut ann, |report| {
        matches!(report, Report::Disconnected { .. }).then_some(())
    })
    .await;
    for number in 0..PUBLISHES_LEN_MAX {
        say(&mut ann, &format!("{number}"));
        told(&mut ann, sent).await;
    }
    assert!(!ann.is_full());
    say(&mut ann, "one more");
    assert!(ann.is_full() && !ann.is_idle());
    assert!(ann.rtt().is_none());
    // Another node, with another memory: it never heard of the session, nor of the room.
    node.start_again();
    let (reference, _) = told(&mut ann, sent).await;
    assert_eq!(reference.as_deref(), Some("one more"));
    assert!(!ann.is_full());
    ann.close().await;
}

/// The node is dead and nobody has noticed yet: whether it took the message cannot be known.
#[tokio::test]
async fn a_message_of_unknown_fate_is_told_by_its_id() {
    let mut node = Node::start(&[]);
    let mut ann = in_the_lobby(&node).await;
    node.kill();
    say(&mut ann, "are you there?");
    let (reference, id) = told(&mut ann, sent).await;
    told(&mut ann, |report| {
        matches!(report, Report::Disconnected { .. }).then_some(())
    })
    .await;
    node.start_again();
    let not_sent = told(&mut ann, |report| match report {
        Report::NotSent {
            reference,
            id,
            refusal,
            place,
        } => Some((
            reference.clone(),
            *id,
            refusal.code.clone(),
            place.to_string(),
        )),
        _ => None,
    });
    assert_eq!(
        not_sent.await,
        (
            reference,
            id,
            "unknown_fate".to_owned(),
            "#lobby".to_owned()
        )
    );
    ann.close().await;
}
