//! Sends what is due when it is due, whether or not the cluster keeps up.
//!
//! A thread of its own, since the runtime's timers are too coarse: what they are late would be
//! taken for the cluster's latency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chat_client::PublishError;
use chat_client::ledger::{Sent as Times, Stamp};
use tokio_util::sync::CancellationToken;

use super::plan::Due;
use super::site::{Present, Sent, Site};

/// The thread that sends.
#[derive(Debug)]
pub struct Pacer {
    thread: JoinHandle<()>,
    paused: Arc<AtomicU64>,
    begins: Duration,
}

impl Pacer {
    /// Starts to send what is due, from `begins` on (since the program began), until everything is
    /// sent or `stop` is cancelled.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        site: Arc<Site>,
        begins: Duration,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let paused = Arc::new(AtomicU64::new(0));
        let paused_for = Arc::clone(&paused);
        let thread = thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || pace(&site, begins, &stop, &paused_for))?;
        Ok(Self {
            thread,
            paused,
            begins,
        })
    }

    /// Whether everything was sent.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// The plan's own time at this moment: since the load began, without pauses.
    #[must_use]
    pub fn plan_time(&self, now: Duration) -> Duration {
        let paused = Duration::from_micros(self.paused.load(Ordering::Relaxed));
        now.saturating_sub(self.begins).saturating_sub(paused)
    }
}

fn pace(site: &Site, begins: Duration, stop: &CancellationToken, paused: &AtomicU64) {
    let mut shift = Duration::ZERO;
    for due in site.plan.schedule() {
        loop {
            if stop.is_cancelled() {
                return;
            }
            let wait = (begins + shift + due.at).saturating_sub(site.now());
            if site.is_paused() {
                let before = site.now();
                thread::sleep(SLEEP_MAX);
                shift += site.now() - before;
                let micros = u64::try_from(shift.as_micros()).unwrap_or(u64::MAX);
                paused.store(micros, Ordering::Relaxed);
            } else if wait.is_zero() {
                break;
            } else {
                thread::sleep(wait.min(SLEEP_MAX));
            }
        }
        send(site, due, begins + shift + due.at);
    }
    // The plan may end in silence.
    while site.now() < begins + shift + site.plan.profile.length() && !stop.is_cancelled() {
        thread::sleep(SLEEP_MAX.min(Duration::from_millis(5)));
    }
}

/// Sends a message, from the sender it is due at or the next one who is there.
fn send(site: &Site, due: Due, due_at: Duration) {
    for step in 0..site.senders.min(NEIGHBOURS_MAX) {
        let client = (due.sender + step) % site.senders;
        match send_from(site, client, due, due_at) {
            Attempt::Sent => return,
            Attempt::Refused => break,
            Attempt::Absent => {}
        }
    }
    site.meter.shard(due.sender).skipped += 1;
}

enum Attempt {
    Sent,
    /// Too many messages wait for their acks.
    Refused,
    /// Nobody is there.
    Absent,
}

fn send_from(site: &Site, client: usize, due: Due, due_at: Duration) -> Attempt {
    let (at, target, published) = {
        let mut seat = site.seats[client].present();
        let Some(present) = seat.as_mut() else {
            return Attempt::Absent;
        };
        let at = site.now();
        (
            at,
            present.target,
            publish(site, client, present, due, due_at, at),
        )
    };
    match published {
        Ok(()) => {
            let mut shard = site.meter.shard(client);
            shard.lag.add(at.saturating_sub(due_at));
            shard.targets[target].sent += 1;
            Attempt::Sent
        }
        Err(error) => {
            let code = match error {
                PublishError::Full => "backlog_full",
                PublishError::Left => "room_left",
                _ => "not_taken",
            };
            site.meter
                .error(client, target, at, code, &error.to_string());
            Attempt::Refused
        }
    }
}

fn publish(
    site: &Site,
    client: usize,
    present: &mut Present,
    due: Due,
    due_at: Duration,
    at: Duration,
) -> Result<(), PublishError> {
    let Ok(permit) = present.sent.try_reserve() else {
        return Err(PublishError::Full);
    };
    let room = &present.rooms[due.room];
    let stamp = Stamp {
        sender: client as u64,
        counter: present.counters[due.room],
    };
    let lag = at.saturating_sub(due_at);
    let times = Times {
        due_us: micros(due_at),
        lag_us: u32::try_from(lag.as_micros()).unwrap_or(u32::MAX),
    };
    let text = stamp.text(room.name(), times, due.bytes);
    let index = site.plan.clients[client].rooms[due.room];
    let delivery = site
        .proof
        .send(index, room.name(), stamp, || room.publish_text(&text))?;
    present.counters[due.room] += 1;
    permit.send(Sent {
        delivery,
        stamp,
        room: due.room,
        due: due_at,
        at,
        counted: site.count_unsettled(),
    });
    Ok(())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// After this long the pacer looks whether it shall stop.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// Senders that are asked when one is not there: more are hardly all away.
const NEIGHBOURS_MAX: usize = 64;
