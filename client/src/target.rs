//! Where a node is: what people type, parsed once.
//!
//! Owns the text form of a target and its server name. Never resolves a host name: that is the
//! driver's, at each attempt anew, since addresses change.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Port of a node when the target names none.
pub const DEFAULT_PORT: u16 = 8081;

/// A node's address as people write it: `8081`, `host`, `host:port`, `quic://host:port`,
/// `127.0.0.1:8081` or `[::1]:8081`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Host {
    /// A bare port: this machine, by its loopback addresses.
    Here,
    Address(IpAddr),
    Name(String),
}

/// A text that is no target.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{target:?} is no target: {reason}")]
pub struct InvalidTarget {
    /// What was given.
    pub target: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Target {
    /// Reads one or more targets divided by commas; empty parts are skipped.
    ///
    /// # Errors
    /// When a part is no target, or when there is none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, InvalidTarget> {
        let targets: Vec<Self> = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        if targets.is_empty() {
            return Err(InvalidTarget {
                target: text.to_owned(),
                reason: "it is empty",
            });
        }
        Ok(targets)
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The name that the node's certificate must carry; `localhost` for a bare port.
    #[must_use]
    pub fn server_name(&self) -> String {
        match &self.host {
            Host::Here => LOCALHOST.to_owned(),
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        }
    }

    /// Whether it is this machine by its loopback interface: `127.0.0.0/8`, `::1`, `localhost` or a
    /// bare port. No other name counts, whatever it resolves to.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Here => true,
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => name == LOCALHOST,
        }
    }

    /// The addresses that need no name resolution, or the name that does.
    pub(crate) fn addresses(&self) -> Result<Vec<IpAddr>, &str> {
        match &self.host {
            Host::Here => Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(name) => Err(name),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let refuse = |reason| InvalidTarget {
            target: text.to_owned(),
            reason,
        };
        let rest = match text.trim().split_once("://") {
            Some(("quic", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(_) => return Err(refuse("the only scheme is quic://")),
            None => text.trim(),
        };
        if rest.is_empty() {
            return Err(refuse("it is empty"));
        }
        if rest.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = parse_port(rest).map_err(refuse)?;
            return Ok(Self {
                host: Host::Here,
                port,
            });
        }
        if let Ok(address) = rest.parse::<Ipv6Addr>() {
            return Ok(Self {
                host: Host::Address(address.into()),
                port: DEFAULT_PORT,
            });
        }
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (address, port) = bracketed
                .split_once(']')
                .ok_or_else(|| refuse("the closing ] is missing"))?;
            let address: Ipv6Addr = address
                .parse()
                .map_err(|_| refuse("what is in [ ] is no IPv6 address"))?;
            let port = match port.strip_prefix(':') {
                Some(port) => parse_port(port).map_err(refuse)?,
                None if port.is_empty() => DEFAULT_PORT,
                None => return Err(refuse("after ] comes :PORT or nothing")),
            };
            return Ok(Self {
                host: Host::Address(address.into()),
                port,
            });
        }
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, parse_port(port).map_err(refuse)?),
            None => (rest, DEFAULT_PORT),
        };
        Ok(Self {
            host: parse_host(host).map_err(refuse)?,
            port,
        })
    }
}

impl Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Here => write!(out, "{LOCALHOST}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => write!(out, "[{address}]:{}", self.port),
            Host::Address(address) => write!(out, "{address}:{}", self.port),
            Host::Name(name) => write!(out, "{name}:{}", self.port),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("a port is a number from 1 to 65535"),
    }
}

fn parse_host(text: &str) -> Result<Host, &'static str> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > HOST_BYTES_MAX || !name.split('.').all(is_label) {
        return Err("it has no valid host name");
    }
    if name
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Err("its IPv4 address is not valid");
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}

const LOCALHOST: &str = "localhost";

/// Longest host name, in bytes (RFC 1035).
const HOST_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_type_is_understood() {
        for (text, shown, server_name, loopback) in [
            ("8081", "localhost:8081", "localhost", true),
            (" 9000 ", "localhost:9000", "localhost", true),
            ("localhost", "localhost:8081", "localhost", true),
            ("Chat.Example", "chat.example:8081", "chat.example", false),
            ("chat.example.:99", "chat.example:99", "chat.example", false),
            (
                "quic://chat.example:4433",
                "chat.example:4433",
                "chat.example",
                false,
            ),
            ("quic://8082/", "localhost:8082", "localhost", true),
            ("127.3.2.1:8082", "127.3.2.1:8082", "127.3.2.1", true),
            ("10.0.0.5", "10.0.0.5:8081", "10.0.0.5", false),
            ("[::1]:8082", "[::1]:8082", "::1", true),
            ("[2001:db8::1]", "[2001:db8::1]:8081", "2001:db8::1", false),
            ("::1", "[::1]:8081", "::1", true),
            ("chat-node-1:8081", "chat-node-1:8081", "chat-node-1", false),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), shown, "{text}");
            assert_eq!(target.server_name(), server_name, "{text}");
            assert_eq!(target.is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            " ",
            "0",
            "65536",
            "99999999999",
            "host:",
            "host:0",
            "host:x",
            ":8081",
            "a..b",
            "a b",
            "http://host",
            "[::1",
            "[::1]8081",
            "[host]:1",
            "1.2.3",
            "256.1.1.1",
            "hö.st",
            "a:1:2",
            "\u{1b}[1m",
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert_eq!(error.target, text);
        }
    }

    #[test]
    fn a_list_is_divided_by_commas() {
        let list = Target::parse_list("8081, 8082,,host:1").unwrap();
        let shown: Vec<String> = list.iter().map(Target::to_string).collect();
        assert_eq!(shown, ["localhost:8081", "localhost:8082", "host:1"]);
        assert!(Target::parse_list(" , ").is_err());
        assert_eq!(Target::parse_list("8081,a b").unwrap_err().target, "a b");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_shown_reads_back(text in "\\PC{0,40}") {
            if let Ok(target) = text.parse::<Target>() {
                let again: Target = target.to_string().parse().unwrap();
                prop_assert_eq!(again.to_string(), target.to_string());
                prop_assert_eq!(again.is_loopback(), target.is_loopback());
            }
        }
    }
}
