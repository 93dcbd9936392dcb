//! `chat-cli tail`: what is said in a room, without saying anything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_protocol::RoomName;
use chat_protocol::limits::HISTORY_LEN_MAX;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::{Around, Ready, ShotArgs, system};
use crate::app::ending::unwritten;
use crate::args::ColorWhen;
use crate::connect;
use crate::conversation::Conversation;
use crate::exit::{Exit, Failure};
use crate::json::JsonSurface;
use crate::operation::{Operation, Request};
use crate::output::{Output, StandardSink};
use crate::report::Report;
use crate::surface::Surface;
use crate::text::{Clock, TextSurface};

/// A room to follow.
#[derive(clap::Args, Clone, Debug)]
pub struct TailArgs {
    /// Nodes to connect to: PORT, HOST, HOST:PORT or quic://HOST:PORT. [default: 8081]
    #[arg(value_name = "TARGET", env = "CHAT_TARGET", value_delimiter = ',')]
    pub targets: Vec<String>,

    /// The room to follow. [default: lobby]
    #[arg(long, short, env = "CHAT_ROOM", value_name = "ROOM", value_parser = RoomName::parse)]
    pub room: Option<RoomName>,

    /// How many past messages to begin with.
    #[arg(short = 'n', long = "history", value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(..=i64::from(HISTORY_LEN_MAX)))]
    pub history: u32,

    /// Begin with the messages of so long, of the last 1,000.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "history")]
    pub since: Option<Duration>,

    /// End after so many messages.
    #[arg(long, short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// End with 7 when this time is over before. [default: never]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,

    /// Whether to use colours; auto also respects NO_COLOR.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,

    /// What all commands take.
    #[command(flatten)]
    pub shot: ShotArgs,
}

/// Prints a room's messages until there are enough, the time is over, or a signal comes.
///
/// # Errors
/// When there is no session.
pub async fn run(
    args: &TailArgs,
    around: Around<'_>,
    tasks: &TaskTracker,
) -> Result<Exit, Failure> {
    let rooms: Vec<RoomName> = args.room.iter().cloned().collect();
    let ready = args.shot.ready(&args.targets, &rooms, around, tasks)?;
    let deadline = args.timeout.map(|time| Instant::now() + time);
    let connecting = connect::connect(&ready.targets, &ready.connect, ready.name.as_ref());
    let (client, events) = tokio::select! {
        connected = connecting => connected?,
        () = ready.stop.asked() => return Ok(ready.stop.exit()),
    };
    let history = args.since.map_or(args.history, |_| HISTORY_LEN_MAX);
    let palette = around.surroundings.palette(args.color);
    let clock = if around.surroundings.stdout_is_terminal {
        Clock::Local(TimeZone::system())
    } else {
        Clock::Utc
    };
    let surface = if args.shot.json {
        Surface::Json(JsonSurface)
    } else {
        Surface::Piped {
            text: TextSurface::new(palette, clock),
            is_raw: true,
        }
    };
    let mut tail = Tail {
        conversation: Conversation::new(client, events, history, ready.name.clone()),
        surface,
        output: Output::spawn(StandardSink).map_err(|error| system(&error))?,
        from_ms: args.since.map(from_ms),
        left: args.count,
    };
    let room = ready.settings.rooms.value.first().cloned();
    let (exit, reason) = tail.follow(room, &ready, deadline).await;
    tail.conversation.close().await;
    let bye = Report::Bye {
        code: exit.code(),
        reason,
    };
    tail.output.print(tail.surface.render(&bye, None)).await;
    if let Some(cause) = tail.output.finish().await
        && exit == Exit::Done
    {
        return Ok(unwritten(cause));
    }
    Ok(exit)
}

struct Tail {
    conversation: Conversation,
    surface: Surface,
    output: Output,
    /// Messages before this time are not shown, in milliseconds since 1970.
    from_ms: Option<u64>,
    /// Messages that are still to come, if they are counted.
    left: Option<u64>,
}

impl Tail {
    async fn follow(
        &mut self,
        room: Option<RoomName>,
        ready: &Ready,
        deadline: Option<Instant>,
    ) -> (Exit, &'static str) {
        if let Some(room) = room {
            self.conversation.perform(Request {
                reference: None,
                operation: Operation::Join {
                    room,
                    history: None,
                },
            });
        }
        loop {
            let at = deadline.unwrap_or_else(Instant::now);
            let report = tokio::select! {
                report = self.conversation.next() => report,
                () = sleep_until(at), if deadline.is_some() => return (Exit::TimedOut, "timeout"),
                () = ready.stop.asked() => return (ready.stop.exit(), "signal"),
                () = self.output.broken().cancelled() => return (Exit::Done, "output_gone"),
            };
            let Some(report) = report else {
                return (Exit::SentAway, "closed");
            };
            if is_before(&report, self.from_ms) {
                continue;
            }
            self.output.print(self.surface.render(&report, None)).await;
            match report {
                Report::Message { .. } => {
                    self.left = self.left.map(|left| left.saturating_sub(1));
                    if self.left == Some(0) {
                        return (Exit::Done, "count");
                    }
                }
                Report::Closed { .. } => return (Exit::SentAway, "closed"),
                // The only thing asked for was the room.
                Report::Refused { .. } => return (Exit::Failed, "no_room"),
                _ => {}
            }
        }
    }
}

/// Whether this is a past message of before that time.
fn is_before(report: &Report, from_ms: Option<u64>) -> bool {
    match (report, from_ms) {
        (
            Report::Message {
                message,
                history: true,
                ..
            },
            Some(from_ms),
        ) => message.at_ms < from_ms,
        _ => false,
    }
}

/// The moment so long ago, in milliseconds since 1970.
fn from_ms(ago: Duration) -> u64 {
    let from = SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH);
    let since = from.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
