//! The URL of a Redis, whose password stays inside.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;

use redis::{ConnectionInfo, IntoConnectionInfo};
use thiserror::Error;

/// Where a Redis is and how to log in. Shows itself with the password masked.
#[derive(Clone)]
pub struct RedisUrl {
    connection: Box<ConnectionInfo>,
    masked: String,
}

/// A text that is no Redis URL.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidRedisUrl {
    /// Nothing given.
    #[error("it is empty; leave it out to run one node without Redis")]
    Empty,
    /// Another scheme, or none.
    #[error("wanted redis://[USER[:PASSWORD]@]HOST[:PORT][/DB], rediss://… or unix:///PATH")]
    Scheme,
    /// A part of it is wrong.
    #[error("{0}")]
    Part(String),
}

impl RedisUrl {
    /// What the Redis client connects with. Holds the password: never print it.
    #[must_use]
    pub fn connection(&self) -> &ConnectionInfo {
        &self.connection
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        if text.trim().is_empty() {
            return Err(InvalidRedisUrl::Empty);
        }
        let Some(url) = redis::parse_redis_url(text) else {
            return Err(InvalidRedisUrl::Scheme);
        };
        // The client's message names the wrong part and quotes nothing of the URL.
        let connection = url
            .into_connection_info()
            .map_err(|error| InvalidRedisUrl::Part(error.to_string()))?;
        Ok(Self {
            connection: Box::new(connection),
            masked: masked(text),
        })
    }
}

impl Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

impl Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({})", self.masked)
    }
}

/// `url` without its password, also where it is no valid URL: a password may hold the very
/// character that breaks it. The user name stays.
pub(super) fn masked(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, rest),
    };
    let mut shown = scheme;
    if let Some(login) = login {
        match login.split_once(':') {
            Some((user, _)) => shown.push_str(&format!("{user}:***@")),
            None if shown.is_empty() => shown.push_str("***@"),
            None => shown.push_str(&format!("{login}@")),
        }
    }
    match place.split_once('?') {
        // A Unix socket takes its password as `?pass=`.
        Some((place, query)) => {
            let parts = query.split('&').map(|part| match part.split_once('=') {
                Some((name @ ("pass" | "password"), _)) => format!("{name}=***"),
                _ => part.to_owned(),
            });
            let query: Vec<String> = parts.collect();
            shown.push_str(&format!("{place}?{}", query.join("&")));
        }
        None => shown.push_str(place),
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_masked_in_whatever_form() {
        let check = |url: &str, shown: &str| assert_eq!(masked(url), shown, "{url}");
        check("redis://127.0.0.1:6379", "redis://127.0.0.1:6379");
        check(
            "redis://ann:secret@host:6379/2",
            "redis://ann:***@host:6379/2",
        );
        check("redis://:secret@host", "redis://:***@host");
        check("redis://ann@host", "redis://ann@host");
        check("rediss://ann:se/c@r?e#t@host", "rediss://ann:***@host");
        check("ann:secret@host", "ann:***@host");
        check("secret@host", "***@host");
        check(
            "unix:///run/redis.sock?db=1&pass=secret",
            "unix:///run/redis.sock?db=1&pass=***",
        );
        check("redis://a:b:c@host:bad", "redis://a:***@host:bad");
    }

    #[test]
    fn neither_display_nor_debug_shows_the_password() {
        let url: RedisUrl = "redis://ann:secret@127.0.0.1:6379/3".parse().unwrap();
        assert_eq!(url.to_string(), "redis://ann:***@127.0.0.1:6379/3");
        assert_eq!(
            format!("{url:?}"),
            "RedisUrl(redis://ann:***@127.0.0.1:6379/3)"
        );
        assert_eq!(url.connection().redis_settings().password(), Some("secret"));
        assert_eq!(url.connection().redis_settings().db(), 3);
    }

    #[test]
    fn a_wrong_url_says_which_part_is_wrong() {
        let check = |url: &str, wanted: &str| {
            let error = url.parse::<RedisUrl>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{url}: {error}");
            assert!(!error.contains("secret"), "{url}: {error}");
        };
        check("", "leave it out");
        check("127.0.0.1:6379", "wanted redis://");
        check("http://ann:secret@host", "wanted redis://");
        check("redis://ann:secret@host:bad", "wanted redis://");
        check("redis://ann:secret@host/db", "database number");
        check("redis://ann:secret@0.0.0.0", "wildcard");
    }
}
