//! `chat-cli send`: one message, and the word that it is in the log.

use std::io::{self, Read};
use std::slice;
use std::time::{Duration, Instant};

use chat_client::{Client, Events, PublishError, Room, Start};
use chat_protocol::limits::TEXT_BYTES_MAX;
use chat_protocol::text::InvalidText;
use chat_protocol::{Content, RoomName, Text, UserName};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{Around, ShotArgs, print_report, request_failure};
use crate::config::command::print;
use crate::exit::{Exit, Failure};
use crate::report::{Place, Report};

/// One message.
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["room", "to"]))]
pub struct SendArgs {
    /// Nodes to connect to: PORT, HOST, HOST:PORT or quic://HOST:PORT, divided by commas.
    #[arg(value_name = "TARGET")]
    pub target: String,

    /// The message; without it, or with -, standard input is one message, to its end.
    #[arg(value_name = "TEXT")]
    pub text: Option<String>,

    /// The room it goes to.
    #[arg(long, short, value_name = "ROOM", value_parser = RoomName::parse)]
    pub room: Option<RoomName>,

    /// The user it goes to, alone.
    #[arg(long, value_name = "USER")]
    pub to: Option<UserName>,

    /// How long to wait for the ack.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "10s")]
    pub timeout: Duration,

    /// What all commands take.
    #[command(flatten)]
    pub shot: ShotArgs,
}

/// Sends, and waits until the message is in the log.
///
/// # Errors
/// When it is not, or may not be.
pub async fn run(
    args: &SendArgs,
    around: Around<'_>,
    tasks: &TaskTracker,
) -> Result<Exit, Failure> {
    // First, while a signal still ends the program by itself: nothing else waits for the text.
    let text = text(args.text.as_deref(), io::stdin().lock())?;
    let ready = args
        .shot
        .ready(slice::from_ref(&args.target), &[], around, tasks)?;
    ready
        .with_session(|client, events| async move {
            match timeout(args.timeout, deliver(args, &client, events, text)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(no_ack(args.timeout)),
            }
        })
        .await
}

async fn deliver(
    args: &SendArgs,
    client: &Client,
    // Kept to its end: who drops it says that nobody reads.
    _events: Events,
    text: Text,
) -> Result<Exit, Failure> {
    let room = open(args, client).await?;
    let started = Instant::now();
    let delivery = room
        .publish(Content::Text(text))
        .map_err(|error| not_sent(&error, args.timeout))?;
    let id = delivery.id();
    let cursor = delivery
        .await
        .map_err(|error| not_sent(&error, args.timeout))?;
    let place = Place {
        room: room.name().clone(),
        direct: args.to.clone(),
    };
    if args.shot.json {
        return print_report(&Report::Acked {
            reference: None,
            place,
            cursor,
            id,
            took: started.elapsed(),
        });
    }
    if args.shot.verbose > 0 {
        let line = format!("{place} {} (epoch {})\n", cursor.seq.0, cursor.epoch);
        return print(&crate::clean::lines(&line).join("\n"));
    }
    Ok(Exit::Done)
}

async fn open(args: &SendArgs, client: &Client) -> Result<Room, Failure> {
    let opened = match (&args.room, &args.to) {
        (_, Some(user)) => client.open_direct(user.as_str()).await,
        (Some(room), None) => client.join(room.as_str(), Start::Live).await,
        (None, None) => unreachable!("the arguments have one of both"),
    };
    opened.map_err(|error| {
        let place = match (&args.room, &args.to) {
            (_, Some(user)) => user.to_string(),
            (room, None) => format!("#{}", room.as_ref().map_or("", |room| room.as_str())),
        };
        request_failure(format!("{place} cannot be opened"), &error)
    })
}

/// The message: from the arguments, or all of `input` without its last line feed.
fn text(argument: Option<&str>, input: impl Read) -> Result<Text, Failure> {
    let text = match argument {
        Some(text) if text != "-" => text.to_owned(),
        _ => {
            let mut bytes = vec![];
            // Two more than a message may have, for its line feed and to see that it is too long.
            let max = TEXT_BYTES_MAX as u64 + 2;
            input.take(max).read_to_end(&mut bytes).map_err(|error| {
                let what = "standard input cannot be read";
                Failure::new(Exit::Failed, "system", what).because(error.to_string())
            })?;
            let mut text = String::from_utf8(bytes).map_err(|_| bad(&InvalidText::Encoding))?;
            if text.ends_with('\n') {
                text.pop();
            }
            if text.len() > TEXT_BYTES_MAX {
                let what = "the message is too long";
                return Err(Failure::new(Exit::Usage, "bad_input", what)
                    .because(format!("more than {TEXT_BYTES_MAX} bytes"))
                    .try_this("line by line:  chat-cli TARGET -r ROOM < FILE"));
            }
            text
        }
    };
    text.parse().map_err(|error| bad(&error))
}

fn bad(error: &InvalidText) -> Failure {
    Failure::new(Exit::Usage, "bad_input", "this is no message").because(error.to_string())
}

fn not_sent(error: &PublishError, time: Duration) -> Failure {
    let (exit, code) = match error {
        PublishError::InvalidText(error) => return bad(error),
        PublishError::Unknown => return no_ack(time),
        PublishError::Left | PublishError::Closed => (Exit::SentAway, "closed"),
        _ => (Exit::Failed, "refused"),
    };
    Failure::new(exit, code, "the message is not in the log").because(error.to_string())
}

fn no_ack(time: Duration) -> Failure {
    let what = format!("no ack within {}", humantime::format_duration(time));
    Failure::new(Exit::TimedOut, "timed_out", what)
        .because("the message may or may not be in the log")
        .try_this("see what is:  chat-cli tail TARGET -r ROOM -c 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_from_the_arguments_or_from_the_whole_input() {
        let said = |argument, input: &str| text(argument, input.as_bytes());
        let is = |argument, input: &str| said(argument, input).unwrap().as_str().to_owned();
        assert_eq!(is(Some("hi"), "unread"), "hi");
        assert_eq!(is(Some("-"), "one\ntwo\n"), "one\ntwo");
        assert_eq!(is(None, "no line feed"), "no line feed");
        let full = "x".repeat(TEXT_BYTES_MAX);
        assert_eq!(is(None, &format!("{full}\n")).len(), TEXT_BYTES_MAX);
        for (argument, input) in [
            (None, format!("{full}x\n")),
            (None, format!("{full}xx")),
            (None, "x".repeat(100_000)),
            (None, String::new()),
            (None, "\n".to_owned()),
            (Some("\u{1b}[1m"), String::new()),
        ] {
            let failure = said(argument, &input).unwrap_err();
            assert_eq!((failure.exit, failure.code), (Exit::Usage, "bad_input"));
        }
        assert!(text(None, &b"\xff"[..]).is_err());
    }
}
