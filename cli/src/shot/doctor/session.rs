//! What a member finds: who serves it, whether messages flow, what the clock and the way are like.

use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chat_client::protocol::Cursor;
use chat_client::{Client, Event, Events, Start, Status, Target};
use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};
use tokio::time::{sleep, timeout};

use super::step::Step;
use super::{DoctorArgs, Told};
use crate::connect;
use crate::exit::{Exit, Failure};
use crate::json::event::fractional_milliseconds;
use crate::report::node::{Way, durability_text, durability_word};
use crate::shot::Ready;
use crate::shot::ping::milliseconds;

/// A session with the node that is looked at.
pub(super) struct Opened {
    client: Client,
    events: Events,
    took: Duration,
}

impl Opened {
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }
}

/// Connects as a conversation would.
pub(super) async fn open(ready: &Ready, target: &Target) -> Result<Opened, Failure> {
    let started = Instant::now();
    let targets = [target.to_string()];
    let (client, events) = connect::connect(&targets, &ready.connect, ready.name.as_ref()).await?;
    Ok(Opened {
        client,
        events,
        took: started.elapsed(),
    })
}

/// The steps of a session.
pub(super) async fn look(
    args: &DoctorArgs,
    opened: Opened,
    told: &mut Told,
) -> Result<(), Failure> {
    let Opened {
        client,
        mut events,
        took,
    } = opened;
    let session = client.session();
    let text = format!(
        "{} welcomed {} in {}",
        session.node,
        session.name,
        milliseconds(took)
    );
    told.tell(
        Step::ok("session", text)
            .detail(format!("protocol chat/1, minor version {}", session.minor))
            .detail("the version of its program is no part of the protocol: ask its operator")
            .fact("node", session.node.as_str())
            .fact("minor", session.minor)
            .fact("took_ms", fractional_milliseconds(took)),
    )?;
    let flows = backplane_state(&mut events).await;
    let status = timeout(STEP_TIME, client.status()).await;
    let status = status.ok().and_then(Result::ok);
    told.tell(backplane(flows, status.as_ref()))?;
    if args.no_message {
        told.tell(Step::skipped("message", "not sent, as asked"))?;
        told.tell(Step::skipped("clock", "told by messages alone"))?;
    } else if flows == Some(false) {
        told.tell(Step::skipped("message", "no messages flow"))?;
        told.tell(Step::skipped("clock", "told by messages alone"))?;
    } else {
        let said = timeout(STEP_TIME, say(&client, &mut events)).await;
        let said = said.unwrap_or_else(|_| Err("nothing came back in time".to_owned()));
        match said {
            Ok(said) => {
                told.tell(message(&said))?;
                told.tell(clock(&said))?;
            }
            Err(cause) => {
                told.tell(
                    Step::failed("message", Exit::TimedOut, "a message did not come back")
                        .detail(cause)
                        .help("the node's log says more:  chat-node --log debug"),
                )?;
                told.tell(Step::skipped("clock", "told by messages alone"))?;
            }
        }
    }
    // The largest packet is found a few round trips after the start.
    for _ in 0..PINGS {
        let _ = timeout(STEP_TIME, client.ping()).await;
        sleep(PING_PAUSE).await;
    }
    match client.connection_stats() {
        Some(stats) => told.tell(way(&Way::from(stats), buffers())),
        None => told.tell(Step::failed(
            "way",
            Exit::Unreachable,
            "the connection was lost meanwhile",
        )),
    }
}

/// Whether the node reaches its backplane, as it says after the welcome; none when it does not.
async fn backplane_state(events: &mut Events) -> Option<bool> {
    let told = async {
        while let Some(event) = events.next().await {
            if let Event::BackplaneState { available } = event {
                return Some(available);
            }
        }
        None
    };
    timeout(STEP_TIME, told).await.ok().flatten()
}

fn backplane(flows: Option<bool>, status: Option<&Status>) -> Step {
    let Some(status) = status else {
        return Step::failed(
            "backplane",
            Exit::TimedOut,
            "the node did not say how it fares",
        )
        .help("the node's log says more:  chat-node --log debug");
    };
    let step = match flows {
        Some(false) => Step::failed("backplane", Exit::Failed, "the node does not reach Redis")
            .help("messages wait until it does; is Redis running, and reached from the node?"),
        _ if status.may_evict => Step::ok(
            "backplane",
            "messages flow, and Redis may drop them when its memory is full",
        )
        .warn("on Redis:  CONFIG SET maxmemory-policy noeviction"),
        _ => Step::ok("backplane", "messages flow"),
    };
    let step = step
        .detail(durability_text(status.durability))
        .fact("available", flows)
        .fact("durability", durability_word(status.durability))
        .fact("may_evict", status.may_evict)
        .fact("damaged", status.damaged)
        .fact("panics", status.panics);
    match status.damaged.saturating_add(status.panics) {
        0 => step,
        count => step.detail(format!(
            "{count} damaged entries or panics since the node started: its log says which"
        )),
    }
}

/// A message that went to the log and came back.
struct Said {
    ack: Duration,
    back: Duration,
    /// When this machine's clock had it sent, in milliseconds since 1970.
    sent_ms: i64,
    /// When the node's clock had it.
    node_ms: i64,
}

/// Says something in a room of its own.
async fn say(client: &Client, events: &mut Events) -> Result<Said, String> {
    let room = format!("doctor-{:08x}", rand::random::<u32>());
    let room = client.join(&room, Start::Live).await;
    let room = room.map_err(|error| error.to_string())?;
    let sent_ms = now_ms();
    let started = Instant::now();
    let delivery = room.publish_text("chat-cli doctor");
    let delivery = delivery.map_err(|error| error.to_string())?;
    let cursor: Cursor = delivery.await.map_err(|error| error.to_string())?;
    let ack = started.elapsed();
    while let Some(event) = events.next().await {
        if let Event::Message {
            cursor: at,
            message,
            room: of,
            ..
        } = event
            && of == *room.name()
            && at == cursor
        {
            let back = started.elapsed();
            let node_ms = i64::try_from(message.at_ms).unwrap_or(i64::MAX);
            // Left, so that nobody sees it any more; the node does the same when we go.
            let _ = timeout(STEP_TIME, room.leave()).await;
            return Ok(Said {
                ack,
                back,
                sent_ms,
                node_ms,
            });
        }
    }
    Err("the session ended".to_owned())
}

fn message(said: &Said) -> Step {
    let text = format!(
        "acked in {}, back in {}",
        milliseconds(said.ack),
        milliseconds(said.back)
    );
    Step::ok("message", text)
        .fact("ack_ms", fractional_milliseconds(said.ack))
        .fact("delivery_ms", fractional_milliseconds(said.back))
}

/// How far the node's clock is before this one. It read its clock between sending and ack, so the
/// middle is wrong by half of that at most.
fn clock(said: &Said) -> Step {
    let ack_ms = i64::try_from(said.ack.as_millis()).unwrap_or(i64::MAX);
    let ahead_ms = said
        .node_ms
        .saturating_sub(said.sent_ms.saturating_add(ack_ms / 2));
    let error_ms = ack_ms / 2 + 1;
    let text = match ahead_ms {
        ahead if ahead.abs() <= error_ms => format!("equal to the node's, to {error_ms} ms"),
        ahead if ahead > 0 => {
            format!("the node's is {ahead} ms before this one, give or take {error_ms} ms")
        }
        behind => format!(
            "the node's is {} ms behind this one, give or take {error_ms} ms",
            -behind
        ),
    };
    let step = Step::ok("clock", text)
        .detail("by the time the node gave that message, halfway to its ack")
        .fact("ahead_ms", ahead_ms)
        .fact("error_ms", error_ms);
    if ahead_ms.abs() > CLOCK_MS_MAX {
        return step
            .warn("set both clocks by NTP; certificates and the times of messages depend on them");
    }
    step
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Bytes that a UDP socket of this machine buffers for receiving and sending, unless asked for more.
fn buffers() -> Option<(usize, usize)> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    let receive = socket_recv_buffer_size(&socket).ok()?;
    let send = socket_send_buffer_size(&socket).ok()?;
    Some((receive, send))
}

fn way(way: &Way, buffers: Option<(usize, usize)>) -> Step {
    let text = format!(
        "{} there and back, {} at best; {} of {} packets lost; packets of up to {} bytes",
        milliseconds(way.rtt),
        milliseconds(way.rtt_min),
        way.packets_lost,
        way.packets_sent,
        way.mtu_bytes
    );
    let mut step = Step::ok("way", text)
        .fact("rtt_ms", fractional_milliseconds(way.rtt))
        .fact("rtt_min_ms", fractional_milliseconds(way.rtt_min))
        .fact("packets_sent", way.packets_sent)
        .fact("packets_lost", way.packets_lost)
        .fact("mtu_bytes", way.mtu_bytes);
    if let Some((receive, send)) = buffers {
        step = step
            .detail(format!("UDP buffers: {receive} bytes in, {send} bytes out"))
            .fact("receive_buffer_bytes", receive)
            .fact("send_buffer_bytes", send);
        if receive < BUFFER_BYTES_MIN {
            step = step.warn("small buffers lose bursts:  sysctl -w net.core.rmem_default=212992");
        }
    }
    if way.packets_sent >= PACKETS_MIN && way.loss_percent() > LOSS_PERCENT_MAX {
        step = step.warn("the network loses packets: try another, or a cable");
    }
    step
}

/// Longest wait for one answer of a node that has welcomed the session.
const STEP_TIME: Duration = Duration::from_secs(5);

/// Round trips for the way to be measured.
const PINGS: u32 = 5;

/// Between them.
const PING_PAUSE: Duration = Duration::from_millis(20);

/// Clocks further apart than this show in the times of messages, in milliseconds.
const CLOCK_MS_MAX: i64 = 2_000;

/// Below half of what Linux gives, in bytes.
const BUFFER_BYTES_MIN: usize = 100_000;

/// Packets below which a share says nothing.
const PACKETS_MIN: u64 = 20;

/// A loss beyond this is felt, in percent.
const LOSS_PERCENT_MAX: f64 = 5.0;

#[cfg(test)]
mod tests {
    use chat_client::Durability;

    use super::super::step::State;
    use super::*;

    fn said(node_ms: i64) -> Said {
        Said {
            ack: Duration::from_millis(10),
            back: Duration::from_millis(12),
            sent_ms: 1_000_000,
            node_ms,
        }
    }

    #[test]
    fn the_clock_is_compared_halfway_to_the_ack() {
        for (node_ms, text) in [
            (1_000_005, "equal to the node's, to 6 ms"),
            (1_000_011, "equal to the node's, to 6 ms"),
            (
                1_000_105,
                "the node's is 100 ms before this one, give or take 6 ms",
            ),
            (
                999_905,
                "the node's is 100 ms behind this one, give or take 6 ms",
            ),
        ] {
            let step = clock(&said(node_ms));
            assert_eq!((step.state, step.text.as_str()), (State::Ok, text));
        }
        assert_eq!(clock(&said(1_003_000)).state, State::Warning);
        assert_eq!(clock(&said(i64::MAX)).state, State::Warning);
    }

    #[test]
    fn a_way_that_loses_is_a_warning() {
        let good = Way {
            address: "127.0.0.1:1".parse().unwrap(),
            age: Duration::ZERO,
            rtt: Duration::from_millis(1),
            rtt_min: Duration::from_millis(1),
            packets_sent: 100,
            packets_lost: 1,
            mtu_bytes: 1_200,
            congestion_window_bytes: 10_000,
        };
        let state = |way: &Way, receive| super::way(way, Some((receive, 200_000))).state;
        assert_eq!(state(&good, 200_000), State::Ok);
        assert_eq!(state(&good, 4_096), State::Warning);
        let lossy = Way {
            packets_lost: 10,
            ..good
        };
        assert_eq!(state(&lossy, 200_000), State::Warning);
    }

    #[test]
    fn a_backplane_that_is_away_is_a_failure() {
        let status = Status {
            request: chat_client::protocol::RequestId(1),
            durability: Durability::SECOND,
            may_evict: false,
            damaged: 0,
            panics: 0,
        };
        assert_eq!(backplane(Some(true), Some(&status)).state, State::Ok);
        assert_eq!(backplane(Some(false), Some(&status)).state, State::Failed);
        assert_eq!(backplane(Some(true), None).state, State::Failed);
        let evicting = Status {
            may_evict: true,
            ..status
        };
        assert_eq!(backplane(Some(true), Some(&evicting)).state, State::Warning);
    }
}
