//! Single values of the configuration: each text is turned into a type that cannot be wrong.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// A host, by name or address, and a port.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// A text that names no host and port.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "wanted HOST:PORT or a PORT of this machine, for example 127.0.0.1:8081, [::1]:8081 or 8081"
)]
pub struct InvalidHostPort;

impl HostPort {
    /// The host, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = InvalidHostPort;

    fn from_str(text: &str) -> Result<Self, InvalidHostPort> {
        let parsed = if let Ok(address) = text.parse::<SocketAddr>() {
            Self::from(address)
        } else {
            let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
            if !is_host(host) {
                return Err(InvalidHostPort);
            }
            Self {
                host: host.to_owned(),
                port: port.parse().map_err(|_| InvalidHostPort)?,
            }
        };
        if parsed.port == 0 {
            Err(InvalidHostPort)
        } else {
            Ok(parsed)
        }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(host)) => write!(f, "[{host}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// How often everybody gets the periodic notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoticeEvery {
    /// Never.
    Off,
    /// Once in this time, 1 second to 1 day.
    Every(Duration),
}

impl FromStr for NoticeEvery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
        parse_duration(text, min, max)
            .map(Self::Every)
            .map_err(|why| format!("{why}, or `off`"))
    }
}

impl Display for NoticeEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Every(time) => humantime::format_duration(*time).fmt(f),
        }
    }
}

/// A filter of the log, known to be one that `tracing-subscriber` understands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter for a subscriber.
    #[must_use]
    pub fn to_filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("wanted a level such as info, or off".to_owned());
        }
        EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

impl Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address to listen on. Port 0 is allowed here: the system then picks one.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    let loopback = |port: &str| {
        port.parse()
            .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .ok()
    };
    text.parse()
        .ok()
        .or_else(|| loopback(text.strip_prefix("localhost:").unwrap_or(text)))
        .ok_or(
            "wanted IP:PORT or a PORT, for example 127.0.0.1:8081, 0.0.0.0:8081, [::]:8081 or 8081",
        )
}

/// The start of every key. Braces would move the hash tag that keeps a room in one slot.
pub(super) fn redis_prefix(text: &str) -> Result<String, &'static str> {
    let is_prefix = (1..=REDIS_PREFIX_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte));
    if is_prefix {
        Ok(text.to_owned())
    } else {
        Err("wanted 1 to 64 ASCII letters, digits, '-', '_', '.', ':' and '/'")
    }
}

/// A parser of durations from `min` to `max`.
pub(super) fn duration_within(
    min: Duration,
    max: Duration,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| parse_duration(text, min, max)
}

fn parse_duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let shown = humantime::format_duration;
    let wanted = || format!("wanted a time from {} to {}", shown(min), shown(max));
    match humantime::parse_duration(text) {
        Ok(time) if (min..=max).contains(&time) => Ok(time),
        Ok(_) => Err(wanted()),
        Err(error) => Err(format!("{error}; {}", wanted())),
    }
}

/// Whether `text` can be a host: a name, an IPv4 address, or an IPv6 address in brackets is
/// already parsed by then.
fn is_host(text: &str) -> bool {
    (1..=HOST_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Every key carries the prefix, so it is kept short.
const REDIS_PREFIX_BYTES_MAX: usize = 64;

/// The longest name of the domain name system.
const HOST_BYTES_MAX: usize = 253;
