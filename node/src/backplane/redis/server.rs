//! What a Redis says of itself when a connection is made. Pure.

use std::fmt::{self, Display};

/// The server at the other end of a connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Server {
    /// Names one run of the server process; empty when the user may not ask.
    pub(super) run_id: String,
    version: String,
    maxmemory: String,
    maxmemory_policy: String,
    append_only: String,
}

impl Server {
    /// Reads the answer to `INFO`. Fields it does not have stay empty.
    pub(super) fn from_info(info: &str) -> Self {
        let field = |name: &str| {
            let value = info
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_default().trim().to_owned()
        };
        Self {
            run_id: field("run_id"),
            version: field("redis_version"),
            maxmemory: field("maxmemory"),
            maxmemory_policy: field("maxmemory_policy"),
            append_only: field("aof_enabled"),
        }
    }

    /// What an operator has to change, if anything.
    pub(super) fn complaint(&self) -> Option<&'static str> {
        let major = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        let may_evict = !matches!(self.maxmemory.as_str(), "" | "0")
            && !matches!(self.maxmemory_policy.as_str(), "" | "noeviction");
        if major.is_some_and(|major| major < 7) {
            Some("it is too old: version 7.0 or newer is needed")
        } else if self.run_id.is_empty() {
            Some("INFO is not permitted: a restart that loses entries may go unnoticed")
        } else if may_evict {
            Some("it may evict keys: set maxmemory-policy to noeviction, or entries get lost")
        } else {
            None
        }
    }
}

impl Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.version.is_empty() {
            "?"
        } else {
            &self.version
        };
        // What is acknowledged survives a crash of the server only with a log on disk.
        let durability = match self.append_only.as_str() {
            "1" => "on disk (append-only file)",
            "0" => "in memory or snapshots",
            _ => "unknown",
        };
        write!(out, "version {version}, entries kept {durability}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_and_judged() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nmaxmemory:0\r\n\
                    maxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        let server = Server::from_info(info);
        assert_eq!(server.run_id, "abc");
        assert_eq!(server.complaint(), None);
        assert_eq!(
            server.to_string(),
            "version 7.0.15, entries kept on disk (append-only file)"
        );
        let old = Server::from_info(&info.replace("7.0.15", "6.2.1"));
        assert!(old.complaint().unwrap().contains("7.0"));
        let lru = info
            .replace("maxmemory:0", "maxmemory:9")
            .replace("noeviction", "allkeys-lru");
        assert!(
            Server::from_info(&lru)
                .complaint()
                .unwrap()
                .contains("noeviction")
        );
        assert!(Server::from_info("").complaint().unwrap().contains("INFO"));
    }
}
