use std::collections::{BTreeMap, BTreeSet};

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    bot: BotArgs,
}

fn plan(line: &str) -> Plan {
    try_plan(line).unwrap()
}

fn try_plan(line: &str) -> Result<Plan, Contradiction> {
    let words = ["bot", "8081,8082"].into_iter();
    let args = Line::parse_from(words.chain(line.split_whitespace())).bot;
    Plan::new(&args, 7, 0xabc)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn a_rate_gives_as_many_messages_as_it_says() {
    let plan = plan("--rate 200 -z 3s");
    let all: Vec<Due> = plan.schedule().collect();
    assert_eq!(all.len(), 600);
    assert_eq!(all[0].at, seconds(0.0025));
    assert_eq!(all[599].at, seconds(2.9975));
    assert_eq!(plan.profile.due_until(seconds(1.5)), 300);
    assert_eq!(plan.profile.length(), seconds(3.0));
}

#[test]
fn a_ramp_rises_evenly() {
    let profile = plan("--rate 100 --ramp 2s -z 4s").profile;
    assert_eq!(profile.due_until(seconds(1.0)), 25);
    assert_eq!(profile.due_until(seconds(2.0)), 100);
    assert_eq!(profile.due_until(seconds(9.0)), 300);
    assert!((profile.rate_at(seconds(1.0)) - 50.0).abs() < 1e-9);
    // The times are where the curve has the number.
    for number in [0, 10, 99, 100, 299] {
        let at = profile.due(number).unwrap();
        assert_eq!(
            profile.due_until(at + seconds(1e-6)),
            number + 1,
            "{number}"
        );
    }
    assert_eq!(profile.due(300), None);
}

#[test]
fn stages_go_from_rate_to_rate_and_may_be_silent() {
    let profile = plan("--stages 2s:100,1s:100,2s:0,5s:0,1s:10").profile;
    for (until, due) in [(2.0, 100), (3.0, 200), (5.0, 300), (10.0, 300), (11.0, 305)] {
        assert_eq!(profile.due_until(seconds(until)), due, "{until}");
    }
    assert!(
        profile.due(300).unwrap() > seconds(10.0),
        "after the silence"
    );
    assert_eq!(profile.length(), seconds(11.0));
    let mut last = Duration::ZERO;
    for number in 0..305 {
        let at = profile.due(number).unwrap();
        assert!(at >= last, "{number}");
        last = at;
    }
}

#[test]
fn a_count_ends_when_all_is_sent() {
    let plan = plan("--rate 10 -n 25");
    assert_eq!(plan.schedule().count(), 25);
    assert_eq!(plan.profile.length(), seconds(2.45));
}

#[test]
fn a_seed_repeats_the_plan() {
    let line = "--rate 500 -z 1s --size 64..512 --rooms-per-client 3";
    let all: Vec<Due> = plan(line).schedule().collect();
    assert!(all.iter().eq(&plan(line).schedule().collect::<Vec<_>>()));
    let sizes: BTreeSet<usize> = all.iter().map(|due| due.bytes).collect();
    assert!(sizes.iter().all(|bytes| (64..=512).contains(bytes)) && sizes.len() > 100);
    let rooms: BTreeSet<usize> = all.iter().map(|due| due.room).collect();
    assert_eq!(rooms, BTreeSet::from([0, 1, 2]));
}

#[test]
fn every_room_has_members_at_every_target() {
    for rooms in [1, 2, 3, 4, 6, 8] {
        let plan = plan(&format!("--clients 48 --rooms {rooms}"));
        let mut at: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for client in &plan.clients {
            at.entry(client.rooms[0]).or_default().insert(client.target);
        }
        assert_eq!(at.len(), rooms);
        assert!(
            at.values().all(|targets| targets.len() == 2),
            "{rooms}: {at:?}"
        );
        let first = plan.clients.iter().filter(|client| client.target == 0);
        assert_eq!(first.count(), 24, "{rooms}");
    }
}

#[test]
fn scenarios_say_what_is_not_given() {
    let fanout = plan("--scenario fanout");
    assert_eq!((fanout.clients.len(), fanout.rooms.len()), (200, 1));
    assert_eq!(
        fanout
            .clients
            .iter()
            .filter(|client| client.is_sender)
            .count(),
        1
    );
    assert!(!plan("--scenario idle").profile.is_loud());
    assert!(plan("--scenario churn").churn > 0.0);
    let slow = plan("--scenario slow-reader --clients 10");
    assert_eq!(
        slow.clients.iter().filter(|client| client.is_slow).count(),
        2
    );
    assert!(!slow.clients[0].is_slow);
    assert_eq!(
        plan("--clients 3").rooms.len(),
        3,
        "no empty rooms by default"
    );
}

#[test]
fn contradictions_are_named_with_what_to_try() {
    for (line, what) in [
        ("--rooms 60", "50 clients cannot be in 60 rooms"),
        ("--rooms 2 --rooms-per-client 3", "joins 3 rooms"),
        ("--senders 0", "nobody sends"),
        ("--rate 0 -n 5", "the rate is 0"),
        ("--ramp 20s -z 10s", "rises for 20s"),
        ("--size 8", "bytes of proof"),
        ("--size 128..5000", "nodes take 4096"),
    ] {
        let error = try_plan(line).unwrap_err();
        assert!(error.what.contains(what), "{line}: {error}");
        assert!(!error.help.is_empty());
    }
    assert!(try_plan("--senders 0 --rate 0").is_ok());
}
