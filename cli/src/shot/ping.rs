//! `chat-cli ping`: how long a node takes to answer, through its session.

use std::time::Duration;

use chat_client::{Client, ConnectionStats};
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::{Around, ShotArgs};
use crate::clean;
use crate::config::command::print;
use crate::connect;
use crate::exit::{Exit, Failure};
use crate::json::event::fractional_milliseconds;

/// A node to ping.
#[derive(clap::Args, Clone, Debug)]
pub struct PingArgs {
    /// Nodes to connect to: PORT, HOST, HOST:PORT or quic://HOST:PORT; the first that answers is
    /// measured. [default: 8081]
    #[arg(value_name = "TARGET", env = "CHAT_TARGET", value_delimiter = ',')]
    pub targets: Vec<String>,

    /// How often.
    #[arg(long, short, value_name = "COUNT", default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,

    /// From one to the next.
    #[arg(long, short, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "1s")]
    pub interval: Duration,

    /// How long to wait for an answer.
    #[arg(long, short = 'W', value_name = "TIME", value_parser = humantime::parse_duration, default_value = "2s")]
    pub wait: Duration,

    /// What all commands take.
    #[command(flatten)]
    pub shot: ShotArgs,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/checks.schema.json describes each field")]
pub struct Summary {
    pub node: String,
    pub target: String,
    pub sent: u32,
    pub answered: u32,
    pub loss_percent: f64,
    pub min_ms: Option<f64>,
    pub avg_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub quic_rtt_ms: Option<f64>,
    pub quic_rtt_min_ms: Option<f64>,
}

/// Pings, and sums up; also when a signal ends it early.
///
/// # Errors
/// When there is no session, or no answer.
pub async fn run(
    args: &PingArgs,
    around: Around<'_>,
    tasks: &TaskTracker,
) -> Result<Exit, Failure> {
    let ready = args.shot.ready(&args.targets, &[], around, tasks)?;
    let connecting = connect::connect(&ready.targets, &ready.connect, ready.name.as_ref());
    let (client, events) = tokio::select! {
        connected = connecting => connected?,
        () = ready.stop.asked() => return Ok(ready.stop.exit()),
    };
    let session = client.session();
    let mut answers: Vec<Option<Duration>> = vec![];
    let measured = tokio::select! {
        measured = measure(args, &client, &mut answers) => measured,
        // What was measured until then is told all the same.
        () = ready.stop.asked() => Ok(ready.stop.exit()),
    };
    let stats = client.connection_stats();
    drop(events);
    client.close().await;
    let exit = measured?;
    let summary = summary(session.node.as_str(), &session.target, &answers, stats);
    if args.shot.json {
        print(&tagged("ping_summary", &summary))?;
    } else {
        print(&text(&summary))?;
    }
    if exit != Exit::Done || summary.answered > 0 || summary.sent == 0 {
        return Ok(exit);
    }
    let what = format!("{} did not answer", summary.target);
    Err(Failure::new(Exit::Unreachable, "unreachable", what))
}

async fn measure(
    args: &PingArgs,
    client: &Client,
    answers: &mut Vec<Option<Duration>>,
) -> Result<Exit, Failure> {
    let mut next = Instant::now();
    for number in 1..=args.count {
        sleep_until(next).await;
        next += args.interval;
        // The slot is there before the answer, so that one that is cut off counts as sent.
        answers.push(None);
        let asked = timeout(args.wait, client.ping()).await;
        let answer = asked.ok().and_then(Result::ok);
        if let Some(last) = answers.last_mut() {
            *last = answer;
        }
        if args.shot.json {
            let line = Ping {
                number,
                rtt_ms: answer.map(fractional_milliseconds),
            };
            print(&tagged("ping", &line))?;
        } else {
            print(&match answer {
                Some(rtt) => format!("{number}: {}\n", milliseconds(rtt)),
                None => {
                    let wait = humantime::format_duration(args.wait);
                    format!("{number}: no answer within {wait}\n")
                }
            })?;
        }
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Ping {
    number: u32,
    rtt_ms: Option<f64>,
}

#[derive(Serialize)]
struct Tagged<'a, T> {
    v: u8,
    r#type: &'a str,
    #[serde(flatten)]
    fields: &'a T,
}

/// A line of JSON with its version and type.
pub(super) fn tagged<T: Serialize>(kind: &str, fields: &T) -> String {
    let line = Tagged {
        v: 1,
        r#type: kind,
        fields,
    };
    // Strings, numbers, lists and maps with text keys: nothing here can fail.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

fn summary(
    node: &str,
    target: &str,
    answers: &[Option<Duration>],
    stats: Option<ConnectionStats>,
) -> Summary {
    let sent = u32::try_from(answers.len()).unwrap_or(u32::MAX);
    let times: Vec<Duration> = answers.iter().flatten().copied().collect();
    let answered = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let lost = sent - answered;
    let average = times.iter().sum::<Duration>().checked_div(answered);
    Summary {
        node: node.to_owned(),
        target: target.to_owned(),
        sent,
        answered,
        loss_percent: if sent == 0 {
            0.0
        } else {
            (f64::from(lost) * 1e3 / f64::from(sent)).round() / 10.0
        },
        min_ms: times.iter().min().copied().map(fractional_milliseconds),
        avg_ms: average.map(fractional_milliseconds),
        max_ms: times.iter().max().copied().map(fractional_milliseconds),
        quic_rtt_ms: stats.map(|stats| fractional_milliseconds(stats.rtt)),
        quic_rtt_min_ms: stats.map(|stats| fractional_milliseconds(stats.rtt_min)),
    }
}

fn text(summary: &Summary) -> String {
    let Summary {
        node,
        target,
        sent,
        answered,
        loss_percent,
        ..
    } = summary;
    let mut text = format!(
        "{} at {target}: {sent} sent, {answered} answered, {loss_percent}% lost\n",
        clean::line(node)
    );
    if let (Some(min), Some(avg), Some(max)) = (summary.min_ms, summary.avg_ms, summary.max_ms) {
        text.push_str(&format!("min/avg/max {min:.2}/{avg:.2}/{max:.2} ms"));
        if let (Some(rtt), Some(rtt_min)) = (summary.quic_rtt_ms, summary.quic_rtt_min_ms) {
            text.push_str(&format!(
                "; QUIC {rtt:.2} ms smoothed, {rtt_min:.2} ms at best"
            ));
        }
        text.push('\n');
    }
    text
}

/// A time as people read it.
pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_summed_up() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let some = summary("node-1", "a:1", &[ms(1), None, ms(4)], None);
        assert_eq!((some.sent, some.answered, some.loss_percent), (3, 2, 33.3));
        assert_eq!(
            (some.min_ms, some.avg_ms, some.max_ms),
            (Some(1.0), Some(2.5), Some(4.0))
        );
        assert_eq!(
            text(&some),
            "node-1 at a:1: 3 sent, 2 answered, 33.3% lost\nmin/avg/max 1.00/2.50/4.00 ms\n"
        );
        let none = summary("node-1", "a:1", &[None], None);
        assert_eq!((none.loss_percent, none.avg_ms), (100.0, None));
        assert_eq!(summary("n", "a:1", &[], None).loss_percent, 0.0);
    }
}
