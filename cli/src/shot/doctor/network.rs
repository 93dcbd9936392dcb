//! The way to a node as far as it can be seen from outside.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use chat_client::inspect::{self, InspectError, Inspected};
use chat_client::protocol::ALPN;
use chat_client::{Target, Trust};
use jiff::Timestamp;
use serde_json::Value;

use super::step::Step;
use crate::args::ConnectArgs;
use crate::connect;
use crate::exit::{Exit, Failure};
use crate::json::event::fractional_milliseconds;
use crate::report::node::trust_word;
use crate::shot::ping::milliseconds;
use crate::shot::probe::{Answer, probe};

/// Which addresses the target has.
pub(super) async fn resolve(target: &Target) -> Result<(Step, Vec<SocketAddr>), Box<Step>> {
    match inspect::addresses(target).await {
        Ok(addresses) => {
            let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let v6 = addresses.iter().filter(|address| address.is_ipv6()).count();
            let step = Step::ok("name", format!("{target} is {}", texts.join(", ")))
                .fact("addresses", texts)
                .fact("ipv4", addresses.len() - v6)
                .fact("ipv6", v6);
            Ok((step, addresses))
        }
        Err(cause) => Err(Box::new(
            Step::failed(
                "name",
                Exit::Unreachable,
                format!("{target} has no address"),
            )
            .detail(cause)
            .help("is the name spelt right? does this machine's name server know it?")
            .help("try the address itself, such as 192.0.2.7:8081"),
        )),
    }
}

/// Which of the addresses answers to UDP; the first that does.
pub(super) async fn reach(
    target: &Target,
    addresses: &[SocketAddr],
    time: Duration,
) -> (Step, Option<SocketAddr>) {
    let mut answers = vec![];
    for &address in addresses {
        answers.push((address, probe(address, time).await));
    }
    let details: Vec<String> = answers
        .iter()
        .map(|(address, answer)| line(*address, answer))
        .collect();
    let facts: Vec<Value> = answers
        .iter()
        .map(|(address, answer)| {
            serde_json::json!({ "address": address.to_string(), "answer": word(answer) })
        })
        .collect();
    let by = |is: fn(&Answer) -> bool| answers.iter().find(|(_, answer)| is(answer));
    let step = if let Some((address, Answer::Versions { took, .. })) =
        by(|answer| matches!(answer, Answer::Versions { .. }))
    {
        let text = format!("{address} speaks QUIC, answers in {}", milliseconds(*took));
        let step = Step::ok("udp", text).fact("rtt_ms", fractional_milliseconds(*took));
        let others = details
            .iter()
            .zip(&answers)
            .filter(|(_, (other, _))| other != address);
        let others = others.map(|(line, _)| line.clone()).collect();
        return (
            Step {
                details: others,
                ..step
            }
            .fact("answers", facts),
            Some(*address),
        );
    } else if by(|answer| matches!(answer, Answer::Strange)).is_some() {
        Step::failed(
            "udp",
            Exit::Unreachable,
            format!("what answers at {target} is not QUIC"),
        )
        .help("is it the right port? a node prints its own when it starts")
    } else if by(|answer| matches!(answer, Answer::Refused)).is_some() {
        let port = target.port();
        Step::failed(
            "udp",
            Exit::Unreachable,
            format!("nothing listens at {target}"),
        )
        .help(format!(
            "is it running?  chat-node --listen 127.0.0.1:{port}"
        ))
        .help("in Docker the port must be published as UDP:  \"8081:8081/udp\"")
    } else if by(|answer| matches!(answer, Answer::Silent)).is_some() {
        let waited = humantime::format_duration(time);
        let text = format!("nothing came back from {target} within {waited}");
        Step::failed("udp", Exit::Unreachable, text)
            .help("the machine is away, or a firewall drops UDP on the way: allow UDP to this port")
            .help("a TCP port of the same number says nothing about UDP")
    } else {
        Step::failed("udp", Exit::Unreachable, "this machine cannot send there")
            .help("is there a route to it? is IPv6 on, if it is an IPv6 address?")
    };
    (Step { details, ..step }.fact("answers", facts), None)
}

fn line(address: SocketAddr, answer: &Answer) -> String {
    match answer {
        Answer::Versions { versions, took } => {
            let versions: Vec<String> = versions
                .iter()
                .map(|version| format!("{version:#x}"))
                .collect();
            format!(
                "{address}: QUIC {} in {}",
                versions.join(" "),
                milliseconds(*took)
            )
        }
        Answer::Strange => format!("{address}: answers, but not as QUIC"),
        Answer::Refused => format!("{address}: refused (port unreachable)"),
        Answer::Silent => format!("{address}: no answer"),
        Answer::Unsendable(error) => format!("{address}: {error}"),
    }
}

const fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Versions { .. } => "quic",
        Answer::Strange => "strange",
        Answer::Refused => "refused",
        Answer::Silent => "silent",
        Answer::Unsendable(_) => "unsendable",
    }
}

/// Whether what answers speaks this protocol.
pub(super) async fn shake_hands(
    target: &Target,
    address: SocketAddr,
    time: Duration,
) -> (Step, Option<Inspected>) {
    match inspect::inspect(target, address, time).await {
        Ok(seen) => {
            let protocol = String::from_utf8_lossy(&seen.protocol).into_owned();
            let text = format!("{protocol} with {address} in {}", milliseconds(seen.took));
            let step = Step::ok("handshake", text)
                .fact("alpn", protocol)
                .fact("took_ms", fractional_milliseconds(seen.took));
            (step, Some(seen))
        }
        Err(InspectError::Silent(waited)) => {
            let waited = format!("{:.1} s", waited.as_secs_f64());
            let text = format!("{address} speaks QUIC, but shook no hands within {waited}");
            let step = Step::failed("handshake", Exit::Unreachable, text)
                .help("is it overloaded? does something on the way drop large packets?");
            (step, None)
        }
        Err(error) => {
            let text = format!("{address} ended the handshake: {error}");
            let ours = String::from_utf8_lossy(ALPN);
            let step = Step::failed("handshake", Exit::Version, text)
                .detail(format!("this client speaks {ours}"))
                .help("is it a chat-node? use a client and a node of the same major version");
            (step, None)
        }
    }
}

/// The certificate that was shown, and whether it is trusted: `refusal` is what came of trying.
pub(super) fn certificate(
    target: &Target,
    seen: &Inspected,
    args: &ConnectArgs,
    refusal: Option<&Failure>,
) -> Step {
    let fingerprint = seen.fingerprint();
    let names = seen.names().join(", ");
    let days = seen
        .certificate()
        .not_after
        .map(|end| days_until(end, SystemTime::now()));
    let trust = connect::trust(args).ok().map(|trust| trust.of(target));
    let (by, word) = trust.as_ref().map_or_else(
        || ("nobody".to_owned(), ""),
        |trust| (believed_by(trust, args), trust_word(trust)),
    );
    let refused = refusal.filter(|failure| failure.exit == Exit::Refused);
    let step = match (refused, days) {
        (Some(failure), _) => Step::of_failure("certificate", failure.clone()),
        (None, Some(days)) => trusted_for(&by, days, word == "development_ca"),
        (None, None) => Step::ok("certificate", format!("trusted by {by}")),
    };
    let until = seen
        .certificate()
        .not_after
        .and_then(|end| Timestamp::try_from(end).ok());
    let until = until.map(|until| until.strftime("%Y-%m-%d").to_string());
    step.detail(format!("sha256:{fingerprint}"))
        .detail(format!(
            "for {}",
            if names.is_empty() { "no names" } else { &names }
        ))
        .fact("sha256", fingerprint.to_string())
        .fact("names", seen.names())
        .fact("days_left", days)
        .fact("not_after", until)
        .fact(
            "trusted_by",
            (refused.is_none() && !word.is_empty()).then_some(word),
        )
}

/// A pin by what it came from.
fn believed_by(trust: &Trust, args: &ConnectArgs) -> String {
    match trust {
        Trust::Pin(_) if args.pin.is_none() => "what is known of this node".to_owned(),
        other => other.to_string(),
    }
}

/// Whole days until a moment; below zero when it is over.
fn days_until(end: SystemTime, now: SystemTime) -> i64 {
    let days = |time: Duration| i64::try_from(time.as_secs() / 86_400).unwrap_or(i64::MAX);
    match end.duration_since(now) {
        Ok(left) => days(left),
        Err(over) => -days(over.duration()) - 1,
    }
}

/// A certificate that ends within these days is worth a word.
const DAYS_MIN: i64 = 14;

/// What to say of a trusted certificate that ends in so many days. Nodes renew those of development
/// themselves.
fn trusted_for(by: &str, days: i64, is_renewed: bool) -> Step {
    if days < 0 {
        let text = format!("trusted by {by}, but ended {} days ago", -days);
        return Step::ok("certificate", text).warn("have the node's operator renew it");
    }
    let step = Step::ok(
        "certificate",
        format!("trusted by {by}, ends in {days} days"),
    );
    if days < DAYS_MIN && !is_renewed {
        step.warn("have the node's operator renew it soon")
    } else {
        step
    }
}

#[cfg(test)]
mod tests {
    use super::super::step::State;
    use super::*;

    #[test]
    fn a_certificate_about_to_end_is_warned_of() {
        for (days, is_renewed, state) in [
            (-3, false, State::Warning),
            (-3, true, State::Warning),
            (DAYS_MIN - 1, false, State::Warning),
            (DAYS_MIN - 1, true, State::Ok),
            (DAYS_MIN, false, State::Ok),
        ] {
            assert_eq!(trusted_for("x", days, is_renewed).state, state, "{days}");
        }
    }

    #[test]
    fn days_are_counted_on_both_sides_of_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let day = Duration::from_secs(86_400);
        assert_eq!(days_until(now + day * 3, now), 3);
        assert_eq!(days_until(now + day / 2, now), 0);
        assert_eq!(days_until(now - day / 2, now), -1);
    }
}
