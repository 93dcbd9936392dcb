//! The process of the client apart: it publishes what it is told on its standard input, and tells on
//! its standard output what became of it and every event, one JSON object a line. It ends with its
//! input, so it never outlives the driver.

use std::collections::HashMap;
use std::env;
use std::io::Write;
use std::path::PathBuf;

use chat_client::protocol::lane::Message;
use chat_client::protocol::{Cursor, RoomName, Seq};
use chat_client::{Client, Event, GapReason, PublishError, Start, Trust};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::driver::clients::join;

/// The name of the test that is this client.
pub(crate) const TEST: &str = "a_client_in_a_process_of_its_own";

/// What it is told at its start.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Task {
    /// All nodes.
    pub(crate) targets: Vec<String>,
    /// The directory of the development certificates.
    pub(crate) certificates: PathBuf,
    /// Where it is.
    pub(crate) rooms: Vec<RoomName>,
}

/// What it is told later.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Say {
    pub(crate) room: RoomName,
    pub(crate) text: String,
    pub(crate) number: u64,
}

/// What it tells.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Told {
    /// All rooms are joined.
    Ready,
    Connected(String),
    Disconnected,
    Joined {
        room: RoomName,
        head: Cursor,
        next: Seq,
        rejoined: bool,
    },
    Message {
        room: RoomName,
        cursor: Cursor,
        message: Message,
        history: bool,
    },
    Gap {
        room: RoomName,
        reason: GapReason,
        from: Option<Cursor>,
        next: Cursor,
    },
    Acked {
        number: u64,
        at: Cursor,
    },
    /// The SDK does not know what became of it.
    Unknown {
        number: u64,
    },
    NotAcked {
        number: u64,
        why: String,
    },
    /// What does not happen to a client of this driver.
    Other(String),
}

/// The process's side: takes part until its input ends.
pub(crate) async fn run() {
    let Ok(task) = env::var(VARIABLE) else {
        // Somebody runs all ignored tests: this one is a part of another.
        return;
    };
    let task: Task = serde_json::from_str(&task).expect("the driver wrote it");
    let (client, mut events) = Client::builder()
        .targets(&task.targets)
        .name("apart")
        .trust(Trust::Development {
            dir: Some(task.certificates),
        })
        .connect()
        .await
        .expect("all is well at the start");
    // The harness has begun a line.
    tell_line("");
    let tasks = TaskTracker::new();
    tasks.spawn(async move {
        while let Some(event) = events.next().await {
            if let Some(told) = told(event) {
                tell(&told);
            }
        }
    });
    let mut rooms = HashMap::new();
    for room in &task.rooms {
        rooms.insert(room.clone(), join(&client, room, Start::Live).await);
    }
    tell(&Told::Ready);
    let (sender, mut says) = mpsc::channel(16);
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        for say in lines.filter_map(|line| serde_json::from_str::<Say>(&line).ok()) {
            if sender.blocking_send(say).is_err() {
                return;
            }
        }
    });
    while let Some(Say { room, text, number }) = says.recv().await {
        let delivery = match rooms[&room].publish_text(&text) {
            Ok(delivery) => delivery,
            Err(error) => {
                let why = error.to_string();
                tell(&Told::NotAcked { number, why });
                continue;
            }
        };
        tasks.spawn(async move {
            match delivery.await {
                Ok(at) => tell(&Told::Acked { number, at }),
                Err(PublishError::Unknown) => tell(&Told::Unknown { number }),
                Err(error) => {
                    let why = error.to_string();
                    tell(&Told::NotAcked { number, why });
                }
            }
        });
    }
}

fn told(event: Event) -> Option<Told> {
    Some(match event {
        Event::Connected(welcomed) => Told::Connected(welcomed.target),
        Event::Disconnected { .. } => Told::Disconnected,
        Event::Joined {
            room,
            head,
            next,
            rejoined,
            ..
        } => Told::Joined {
            room,
            head,
            next,
            rejoined,
        },
        Event::Message {
            room,
            cursor,
            message,
            history,
            ..
        } => Told::Message {
            room,
            cursor,
            message,
            history,
        },
        Event::Gap {
            room,
            reason,
            from,
            next,
        } => Told::Gap {
            room,
            reason,
            from,
            next,
        },
        Event::Left { .. }
        | Event::Closed { .. }
        | Event::Damaged { .. }
        | Event::TopicChanged { .. } => Told::Other(format!("{event:?}")),
        _ => return None,
    })
}

fn tell(told: &Told) {
    tell_line(&serde_json::to_string(told).expect("it is JSON"));
}

fn tell_line(line: &str) {
    // Fails when the driver is gone: then its input has ended too.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Holds the task, as JSON.
pub(crate) const VARIABLE: &str = "CHAT_CHAOS_APART";
