//! What a run shall do: who is there, in which rooms, and who sends what when. Pure: the same seed
//! gives the same plan.

use std::time::Duration;

use chat_client::ledger::Stamp;
use chat_protocol::RoomName;
use chat_protocol::limits::TEXT_BYTES_MAX;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use thiserror::Error;

use super::args::{BotArgs, Scenario};
use super::quantity::{Part, PerSecond, SharePerSecond, Size};

/// A plan, made from the arguments.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides what is left to chance.
    pub seed: u64,
    /// All clients.
    pub clients: Vec<ClientPlan>,
    /// All rooms.
    pub rooms: Vec<RoomName>,
    /// How many messages are due when.
    pub profile: Profile,
    /// Bytes of a message.
    pub size: Size,
    /// Share of the clients that leave and come back in a second.
    pub churn: f64,
    /// Every so often all come back at once.
    pub storm: Option<Duration>,
}

/// One client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientPlan {
    /// Its rooms, as indices.
    pub rooms: Vec<usize>,
    /// The target it connects to first, as an index.
    pub target: usize,
    /// Whether it sends.
    pub is_sender: bool,
    /// Whether it reads slowly.
    pub is_slow: bool,
}

/// Arguments that cannot all be meant.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{what}")]
pub struct Contradiction {
    /// What contradicts what.
    pub what: String,
    /// What to try.
    pub help: String,
}

fn contradiction<T>(what: String, help: impl Into<String>) -> Result<T, Contradiction> {
    Err(Contradiction {
        what,
        help: help.into(),
    })
}

/// What a scenario sets that the arguments do not.
struct Defaults {
    clients: u32,
    rooms: u32,
    rate: f64,
    duration: Duration,
    senders: Part,
    slow_readers: Part,
    churn: f64,
}

impl Defaults {
    const fn of(scenario: Scenario) -> Self {
        let chat = Self {
            clients: 50,
            rooms: 5,
            rate: 100.0,
            duration: Duration::from_secs(10),
            senders: Part::Share(1.0),
            slow_readers: Part::Number(0),
            churn: 0.0,
        };
        match scenario {
            Scenario::Chat => chat,
            Scenario::Fanout => Self {
                clients: 200,
                rooms: 1,
                senders: Part::Number(1),
                ..chat
            },
            Scenario::Churn => Self {
                clients: 100,
                churn: 0.05,
                ..chat
            },
            Scenario::Idle => Self {
                clients: 1_000,
                rate: 0.0,
                ..chat
            },
            Scenario::SlowReader => Self {
                slow_readers: Part::Share(0.2),
                ..chat
            },
        }
    }
}

impl Plan {
    /// The plan for these arguments. Rooms are called after `tag`, so that no two runs meet.
    ///
    /// # Errors
    /// When the arguments contradict each other.
    pub fn new(args: &BotArgs, seed: u64, tag: u32) -> Result<Self, Contradiction> {
        let defaults = Defaults::of(args.scenario);
        let clients = args.clients.unwrap_or(defaults.clients);
        let rooms = match args.rooms {
            Some(rooms) => rooms,
            None => defaults
                .rooms
                .min(clients.saturating_mul(args.rooms_per_client)),
        };
        let profile = Profile::new(args, &defaults)?;
        let senders = args.senders.unwrap_or(defaults.senders).of(clients);
        let slow = args
            .slow_readers
            .unwrap_or(defaults.slow_readers)
            .of(clients);
        if args.rooms_per_client > rooms {
            return contradiction(
                format!(
                    "each client joins {} rooms, and there are {rooms}",
                    args.rooms_per_client
                ),
                format!("--rooms {} or more", args.rooms_per_client),
            );
        }
        if rooms > clients.saturating_mul(args.rooms_per_client) {
            return contradiction(
                format!("{clients} clients cannot be in {rooms} rooms: some would be empty"),
                "more --clients or --rooms-per-client, or fewer --rooms",
            );
        }
        if senders == 0 && profile.is_loud() {
            return contradiction(
                "messages are due and nobody sends".to_owned(),
                "--senders 1 or more, or --rate 0",
            );
        }
        if args.size.min < Stamp::BYTES_MIN || args.size.max > TEXT_BYTES_MAX {
            return contradiction(
                format!(
                    "messages of {} bytes: they have to hold {} bytes of proof, and nodes take {}",
                    args.size,
                    Stamp::BYTES_MIN,
                    TEXT_BYTES_MAX
                ),
                format!("--size {}..{TEXT_BYTES_MAX}", Stamp::BYTES_MIN),
            );
        }
        let per_client = args.rooms_per_client;
        let targets = args.targets.len();
        let client = |index: u32| ClientPlan {
            rooms: (0..per_client)
                .map(|nth| ((index * per_client + nth) % rooms) as usize)
                .collect(),
            // Not simply the next one: then a room might have members at one target only.
            target: (index / rooms + index % rooms) as usize % targets,
            is_sender: index < senders,
            is_slow: index >= clients - slow,
        };
        Ok(Self {
            seed,
            clients: (0..clients).map(client).collect(),
            rooms: (1..=rooms)
                .map(|number| {
                    format!("bot-{tag:08x}-{number}")
                        .parse()
                        .expect("letters, digits and hyphens make a room name")
                })
                .collect(),
            profile,
            size: args.size,
            churn: args
                .churn
                .map_or(defaults.churn, |SharePerSecond(share)| share),
            storm: args.reconnect_storm.filter(|every| !every.is_zero()),
        })
    }

    /// What is due, in order.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let senders: Vec<usize> = self
            .clients
            .iter()
            .enumerate()
            .filter(|(_, client)| client.is_sender)
            .map(|(index, _)| index)
            .collect();
        Schedule {
            rng: StdRng::seed_from_u64(self.seed),
            rooms_per_client: self.clients.first().map_or(1, |client| client.rooms.len()),
            senders,
            profile: self.profile.clone(),
            size: self.size,
            next: 0,
        }
    }
}

/// How many messages are due when: rates that go evenly from one to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    slopes: Vec<Slope>,
    /// Of these messages so many are sent.
    count: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Slope {
    /// When it begins, in seconds.
    begins: f64,
    /// In seconds; infinite for one that goes on until everything is sent.
    length: f64,
    from: f64,
    to: f64,
    /// Messages due before it.
    before: f64,
}

impl Slope {
    /// Messages due in it after so many seconds.
    fn due_after(&self, seconds: f64) -> f64 {
        if self.length.is_infinite() {
            return self.from * seconds;
        }
        let change = (self.to - self.from) / self.length;
        self.from * seconds + change * seconds * seconds / 2.0
    }

    /// When so many messages of it are due.
    fn seconds_until(&self, messages: f64) -> f64 {
        if self.length.is_infinite() || (self.to - self.from).abs() < f64::EPSILON {
            return messages / self.from;
        }
        let change = (self.to - self.from) / self.length;
        // The smaller root of change/2 t² + from t = messages, in the form that loses no digits.
        let root = (self.from * self.from + 2.0 * change * messages).max(0.0);
        2.0 * messages / (self.from + root.sqrt())
    }
}

impl Profile {
    fn new(args: &BotArgs, defaults: &Defaults) -> Result<Self, Contradiction> {
        let mut profile = Self {
            slopes: Vec::new(),
            count: args.count,
        };
        if !args.stages.is_empty() {
            let mut from = 0.0;
            for stage in &args.stages {
                profile.add(stage.length.as_secs_f64(), from, stage.rate.0);
                from = stage.rate.0;
            }
            return Ok(profile);
        }
        let rate = args.rate.map_or(defaults.rate, |PerSecond(rate)| rate);
        let ramp = args.ramp.unwrap_or_default();
        let length = args.duration.unwrap_or(defaults.duration);
        if args.count.is_some_and(|count| count > 0) && rate <= 0.0 {
            return contradiction(
                "--count asks for messages, and the rate is 0".to_owned(),
                "--rate 100 or more",
            );
        }
        if args.count.is_none() && ramp > length {
            return contradiction(
                format!(
                    "the rate rises for {}, and the run takes {}",
                    humantime::format_duration(ramp),
                    humantime::format_duration(length)
                ),
                "a shorter --ramp or a longer --duration",
            );
        }
        profile.add(ramp.as_secs_f64(), 0.0, rate);
        let rest = match args.count {
            Some(_) => f64::INFINITY,
            None => (length - ramp).as_secs_f64(),
        };
        profile.add(rest, rate, rate);
        Ok(profile)
    }

    fn add(&mut self, length: f64, from: f64, to: f64) {
        if length <= 0.0 {
            return;
        }
        let (begins, before) = match self.slopes.last() {
            Some(last) => (
                last.begins + last.length,
                last.before + last.due_after(last.length),
            ),
            None => (0.0, 0.0),
        };
        self.slopes.push(Slope {
            begins,
            length,
            from,
            to,
            before,
        });
    }

    /// Whether any message is due.
    #[must_use]
    pub fn is_loud(&self) -> bool {
        self.due(0).is_some()
    }

    /// When the message of this number is due, counted from 0; none when it never is.
    #[must_use]
    pub fn due(&self, number: u64) -> Option<Duration> {
        if self.count.is_some_and(|count| number >= count) {
            return None;
        }
        let messages = number as f64 + 0.5;
        let slope = self.slopes.iter().find(|slope| {
            let due = slope.due_after(slope.length);
            due > 0.0 && messages < slope.before + due
        })?;
        let within = slope.seconds_until(messages - slope.before);
        Some(Duration::from_secs_f64(slope.begins + within))
    }

    /// Messages due until then.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a number of messages")]
    pub fn due_until(&self, at: Duration) -> u64 {
        let at = at.as_secs_f64();
        let mut due = 0.0;
        for slope in self.slopes.iter().filter(|slope| slope.begins < at) {
            due = slope.before + slope.due_after((at - slope.begins).min(slope.length));
        }
        let due = due.round() as u64;
        self.count.map_or(due, |count| due.min(count))
    }

    /// The rate then.
    #[must_use]
    pub fn rate_at(&self, at: Duration) -> f64 {
        let at = at.as_secs_f64();
        let slope = self
            .slopes
            .iter()
            .find(|slope| (slope.begins..slope.begins + slope.length).contains(&at));
        slope.map_or(0.0, |slope| {
            if slope.length.is_infinite() {
                return slope.from;
            }
            slope.from + (slope.to - slope.from) * (at - slope.begins) / slope.length
        })
    }

    /// How long messages are due.
    #[must_use]
    pub fn length(&self) -> Duration {
        let end = self
            .slopes
            .last()
            .map_or(0.0, |last| last.begins + last.length);
        if end.is_finite() {
            return Duration::from_secs_f64(end);
        }
        let last = self.count.and_then(|count| self.due(count.checked_sub(1)?));
        last.unwrap_or_default()
    }
}

/// A message that is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Due {
    /// Since the load began.
    pub at: Duration,
    /// Who sends it, as an index of clients.
    pub sender: usize,
    /// Which of its rooms, as an index.
    pub room: usize,
    /// Its bytes.
    pub bytes: usize,
}

/// All messages that are due, in order.
#[derive(Clone, Debug)]
pub struct Schedule {
    rng: StdRng,
    senders: Vec<usize>,
    rooms_per_client: usize,
    profile: Profile,
    size: Size,
    next: u64,
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let at = self.profile.due(self.next)?;
        self.next += 1;
        Some(Due {
            at,
            sender: self.senders[self.rng.random_range(0..self.senders.len())],
            room: self.rng.random_range(0..self.rooms_per_client),
            bytes: self.rng.random_range(self.size.min..=self.size.max),
        })
    }
}

#[cfg(test)]
mod tests;
