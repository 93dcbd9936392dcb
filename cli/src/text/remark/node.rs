//! What is said of the node: a line each for who it is, the way to it, its certificate, what it
//! promises, and what speaks to it.

use std::time::Duration;

use chat_client::{Certificate, Status, Trust};
use jiff::Timestamp;

use crate::report::node::{CLIENT, NodeReport, Way, durability_text};

/// The lines of a report of the node.
pub(super) fn lines(report: &NodeReport) -> Vec<String> {
    let NodeReport {
        node,
        target,
        session,
        name,
        minor,
        ..
    } = report;
    let mut lines = vec![match &report.way {
        Some(way) if way.address.to_string() != *target => {
            format!("node: {node} at {target} ({})", way.address)
        }
        Some(_) => format!("node: {node} at {target}"),
        None => format!("node: none now; the last was {node} at {target}"),
    }];
    lines.push(format!("session: {session}, as {name}"));
    if let Some(way) = &report.way {
        lines.extend(way_lines(way));
    }
    if let Some(certificate) = &report.certificate {
        lines.extend(certificate_lines(certificate, &report.trust));
    }
    match &report.status {
        Some(status) => lines.extend(promise_lines(status)),
        None if report.way.is_some() => lines.push("promise: the node did not say".to_owned()),
        None => {}
    }
    lines.push(format!("protocol: chat/1, minor version {minor}; {CLIENT}"));
    lines
}

fn way_lines(way: &Way) -> [String; 2] {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    [
        format!(
            "way: {:.1} ms there and back, {:.1} ms at best; {} of {} packets lost ({:.1} %)",
            milliseconds(way.rtt),
            milliseconds(way.rtt_min),
            way.packets_lost,
            way.packets_sent,
            way.loss_percent(),
        ),
        format!(
            "connection: for {}; packets of up to {} bytes, {} bytes under way at most",
            age(way.age),
            way.mtu_bytes,
            way.congestion_window_bytes,
        ),
    ]
}

fn certificate_lines(certificate: &Certificate, trust: &Trust) -> [String; 2] {
    let until = certificate.not_after.and_then(|not_after| {
        let not_after = Timestamp::try_from(not_after).ok()?;
        Some(format!(", valid until {}", not_after.strftime("%Y-%m-%d")))
    });
    [
        format!("certificate: sha256:{}", certificate.fingerprint),
        format!("trusted by {trust}{}", until.unwrap_or_default()),
    ]
}

fn promise_lines(status: &Status) -> Vec<String> {
    let promise = durability_text(status.durability);
    let mut lines = vec![format!("promise: {promise}")];
    if status.may_evict {
        lines.push("promise: Redis may drop acked messages when its memory is full".to_owned());
    }
    lines
}

/// An age as people say it, in its largest unit, or its two largest.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use chat_client::Durability;
    use chat_protocol::{RequestId, SessionId};

    use super::*;

    fn report() -> NodeReport {
        NodeReport {
            reference: None,
            node: "node-1".parse().unwrap(),
            target: "localhost:8081".to_owned(),
            session: SessionId(0xabc),
            name: "ann".parse().unwrap(),
            minor: 0,
            way: Some(Way {
                address: "127.0.0.1:8081".parse().unwrap(),
                age: Duration::from_secs(3 * 3_600 + 65),
                rtt: Duration::from_micros(1_834),
                rtt_min: Duration::from_micros(940),
                packets_sent: 1_000,
                packets_lost: 5,
                mtu_bytes: 1_452,
                congestion_window_bytes: 14_520,
            }),
            certificate: Some(Certificate::of_der(b"abc")),
            trust: Trust::development(),
            status: Some(Status {
                request: RequestId(1),
                durability: Durability::SECOND,
                may_evict: false,
                damaged: 0,
                panics: 0,
            }),
        }
    }

    #[test]
    fn all_that_is_known_is_said() {
        let client = env!("CARGO_PKG_VERSION");
        assert_eq!(
            lines(&report()),
            [
                "node: node-1 at localhost:8081 (127.0.0.1:8081)",
                "session: 0000000000000abc, as ann",
                "way: 1.8 ms there and back, 0.9 ms at best; 5 of 1000 packets lost (0.5 %)",
                "connection: for 3 h 1 min; packets of up to 1452 bytes, 14520 bytes under way at most",
                "certificate: sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "trusted by the development CA of this machine",
                "promise: a crash of Redis loses about a second of acked messages",
                &format!("protocol: chat/1, minor version 0; chat-cli {client}"),
            ]
        );
    }

    #[test]
    fn without_a_connection_nothing_is_said_of_the_way() {
        let gone = NodeReport {
            way: None,
            certificate: None,
            status: None,
            trust: Trust::Ca(PathBuf::from("/ca.pem")),
            ..report()
        };
        let lines = lines(&gone);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(
            lines[0],
            "node: none now; the last was node-1 at localhost:8081"
        );
    }

    #[test]
    fn ages_are_short() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h 0 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), said);
        }
    }
}
