//! Which fault comes when. Pure: the same seed gives the same plan.
//!
//! Invariants: every kind of fault comes before any comes again; a node, Redis or the client is the
//! subject of one fault at a time; one node at least is left alone.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use rand::Rng;
use rand::seq::SliceRandom;

/// Something that goes wrong, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// `kill -9` of a node, which is started again after a while.
    KillNode { node: usize, away: Duration },
    /// SIGTERM to a node, which ends by itself and is started again after a while.
    DrainNode { node: usize, away: Duration },
    /// A node is stopped where it is, and goes on after a while.
    FreezeNode { node: usize, frozen: Duration },
    /// Redis ends the connections that nodes hear by.
    CutSubscribers,
    /// Redis ends the connections that nodes ask by.
    CutConnections,
    /// Redis forgets the scripts.
    ForgetScripts,
    /// `kill -9` of Redis, which is started again from its append-only file.
    KillRedis { away: Duration },
    /// Redis is stopped where it is, and goes on after a while.
    FreezeRedis { frozen: Duration },
    /// Redis loses everything.
    Flush,
    /// The client in a process of its own is stopped until its node has given it up.
    FreezeClient { frozen: Duration },
}

impl Fault {
    /// Its name in the report.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::KillNode { .. } => "node killed",
            Self::DrainNode { .. } => "node drained",
            Self::FreezeNode { .. } => "node frozen",
            Self::CutSubscribers => "subscribers cut",
            Self::CutConnections => "connections cut",
            Self::ForgetScripts => "scripts forgotten",
            Self::KillRedis { .. } => "redis killed",
            Self::FreezeRedis { .. } => "redis frozen",
            Self::Flush => "redis flushed",
            Self::FreezeClient { .. } => "client frozen",
        }
    }

    const fn subject(&self) -> Subject {
        match self {
            Self::KillNode { node, .. }
            | Self::DrainNode { node, .. }
            | Self::FreezeNode { node, .. } => Subject::Node(*node),
            Self::FreezeClient { .. } => Subject::Client,
            _ => Subject::Redis,
        }
    }

    const fn duration(&self) -> Duration {
        match self {
            Self::KillNode { away, .. }
            | Self::DrainNode { away, .. }
            | Self::KillRedis { away } => *away,
            Self::FreezeNode { frozen, .. }
            | Self::FreezeRedis { frozen }
            | Self::FreezeClient { frozen } => *frozen,
            _ => Duration::ZERO,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.kind())?;
        if let Subject::Node(node) = self.subject() {
            write!(out, ", node {node}")?;
        }
        match self.duration() {
            Duration::ZERO => Ok(()),
            duration => write!(out, ", for {:.1} s", duration.as_secs_f64()),
        }
    }
}

/// A fault and its time, counted from the start of the faults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// When it begins.
    pub(crate) at: Duration,
    /// What it is.
    pub(crate) fault: Fault,
}

/// Whether nothing in a plan makes Redis forget what it was told to keep.
pub(crate) fn keeps_everything(steps: &[Step]) -> bool {
    steps.iter().all(|step| step.fault != Fault::Flush)
}

/// Whether the kind holds one of the words, which are divided by commas, and none of those after a
/// minus sign.
fn is_wanted(kind: &str, words: &str) -> bool {
    let words = words.split(',').map(str::trim);
    let (without, with): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with('-'));
    let is_named = with.is_empty() || with.iter().any(|word| kind.contains(word));
    is_named && !without.iter().any(|word| kind.contains(&word[1..]))
}

/// Draws the faults of a run; of those kinds only that `only` names, see [`is_wanted`].
pub(crate) fn draw(rng: &mut impl Rng, length: Duration, nodes: usize, only: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut free_at: BTreeMap<Subject, Duration> = BTreeMap::new();
    let mut deck: Vec<Draw> = Vec::new();
    let mut at = pause(rng);
    while at < length {
        if deck.is_empty() {
            deck.extend(KINDS);
            deck.retain(|draw| is_wanted(draw(rng, nodes).kind(), only));
            assert!(!deck.is_empty(), "no kind of fault is called {only:?}");
            deck.shuffle(rng);
        }
        let is_free = |subject| free_at.get(&subject).is_none_or(|free| *free <= at);
        let busy = (0..nodes)
            .filter(|node| !is_free(Subject::Node(*node)))
            .count();
        let drawn = (0..deck.len()).rev().find_map(|card| {
            let fault = deck[card](rng, nodes);
            let is_node = matches!(fault.subject(), Subject::Node(_));
            (is_free(fault.subject()) && !(is_node && busy + 1 >= nodes)).then_some((card, fault))
        });
        if let Some((card, fault)) = drawn {
            deck.remove(card);
            free_at.insert(fault.subject(), at + fault.duration() + RECOVERY);
            steps.push(Step { at, fault });
            at += pause(rng);
        } else {
            at += Duration::from_millis(500);
        }
    }
    steps
}

type Draw = fn(&mut dyn rand::RngCore, usize) -> Fault;

/// One of each kind.
const KINDS: [Draw; 10] = [
    |rng, nodes| Fault::KillNode {
        node: rng.random_range(0..nodes),
        away: millis(rng, 500, 8_000),
    },
    |rng, nodes| Fault::DrainNode {
        node: rng.random_range(0..nodes),
        away: millis(rng, 500, 5_000),
    },
    |rng, nodes| Fault::FreezeNode {
        node: rng.random_range(0..nodes),
        frozen: millis(rng, 1_000, 20_000),
    },
    |_, _| Fault::CutSubscribers,
    |_, _| Fault::CutConnections,
    |_, _| Fault::ForgetScripts,
    |rng, _| Fault::KillRedis {
        away: millis(rng, 100, 5_000),
    },
    |rng, _| Fault::FreezeRedis {
        frozen: millis(rng, 200, 6_000),
    },
    |_, _| Fault::Flush,
    // Longer than the time after which nodes give up a silent client.
    |rng, _| Fault::FreezeClient {
        frozen: millis(rng, 16_000, 22_000),
    },
];

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Subject {
    Node(usize),
    Redis,
    Client,
}

/// Some faults come on top of one another, and some find everything well.
fn pause(rng: &mut impl Rng) -> Duration {
    millis(rng, 1_500, 9_000)
}

fn millis(mut rng: impl Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(rng.random_range(least..=most))
}

/// Time a subject is let alone after a fault.
const RECOVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn plan(seed: u64) -> Vec<Step> {
        draw(
            &mut StdRng::seed_from_u64(seed),
            Duration::from_secs(100),
            3,
            "",
        )
    }

    #[test]
    fn kinds_are_chosen_by_words() {
        let wanted = |kind, words: &[(&str, bool)]| {
            for (words, expected) in words {
                assert_eq!(is_wanted(kind, words), *expected, "{kind} {words}");
            }
        };
        wanted(
            "redis killed",
            &[("", true), ("killed, node", true), ("node", false)],
        );
        wanted(
            "redis killed",
            &[("-flushed", true), ("redis,-killed", false)],
        );
        wanted("redis flushed", &[("-flushed", false)]);
    }

    #[test]
    fn a_seed_is_a_plan() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_kind_of_fault_comes_in_the_shortest_run_of_ci() {
        for seed in 0..500 {
            let kinds: BTreeSet<&str> = plan(seed).iter().map(|step| step.fault.kind()).collect();
            assert_eq!(kinds.len(), KINDS.len(), "seed {seed}: {kinds:?}");
        }
    }

    #[test]
    fn nobody_has_two_faults_at_once_and_one_node_has_none() {
        for seed in 0..500 {
            let steps = plan(seed);
            for (index, step) in steps.iter().enumerate() {
                let at_once: Vec<&Step> = steps[..index]
                    .iter()
                    .filter(|other| other.at + other.fault.duration() > step.at)
                    .collect();
                for other in &at_once {
                    assert_ne!(other.fault.subject(), step.fault.subject(), "seed {seed}");
                }
                let nodes = at_once
                    .iter()
                    .chain([&step])
                    .filter(|step| matches!(step.fault.subject(), Subject::Node(_)))
                    .count();
                assert!(nodes < 3, "seed {seed}: {at_once:?} and {step:?}");
            }
        }
    }
}
