//! What a Redis says of itself. Pure: answers in, fields out; what they mean is
//! [`durability`](super::durability)'s.

use std::collections::HashMap;

/// The server at the other end of a connection. What it does not tell is `None`: managed servers
/// refuse `CONFIG`, and a user with few rights may not even ask for `INFO`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Server {
    /// Names one run of the server process.
    pub(super) run_id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) role: Option<Role>,
    /// Replicas that are connected.
    pub(super) replicas: Option<u64>,
    /// Most bytes of memory; 0 for no bound.
    pub(super) maxmemory_bytes: Option<u64>,
    pub(super) maxmemory_policy: Option<String>,
    /// Whether it writes a log to disk.
    pub(super) has_append_only: Option<bool>,
    /// When that log is forced to disk.
    pub(super) fsync: Option<Fsync>,
    /// When snapshots are made; empty for never.
    pub(super) save: Option<String>,
}

/// What a server is to the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Master,
    Replica,
}

/// When the append-only file is forced to disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fsync {
    Always,
    EverySecond,
    /// When the system likes.
    No,
}

impl Server {
    /// Reads the answer to `INFO`.
    pub(super) fn from_info(info: &str) -> Self {
        let field = |name: &str| {
            let value = info
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.map(str::trim).filter(|value| !value.is_empty())
        };
        let number = |name| field(name)?.parse().ok();
        Self {
            run_id: field("run_id").map(str::to_owned),
            version: field("redis_version").map(str::to_owned),
            role: match field("role") {
                Some("master") => Some(Role::Master),
                Some("slave" | "replica") => Some(Role::Replica),
                _ => None,
            },
            replicas: number("connected_slaves"),
            maxmemory_bytes: number("maxmemory"),
            maxmemory_policy: field("maxmemory_policy").map(str::to_owned),
            has_append_only: match field("aof_enabled") {
                Some("1") => Some(true),
                Some("0") => Some(false),
                _ => None,
            },
            fsync: None,
            save: None,
        }
    }

    /// Adds the answer to `CONFIG GET` of [`SETTINGS`]. What `INFO` said is the state, and stays.
    pub(super) fn with_config(mut self, config: &HashMap<String, String>) -> Self {
        let setting = |name: &str| config.get(name).map(String::as_str);
        let configured = match setting("appendonly") {
            Some("yes") => Some(true),
            Some("no") => Some(false),
            _ => None,
        };
        self.has_append_only = self.has_append_only.or(configured);
        self.fsync = match setting("appendfsync") {
            Some("always") => Some(Fsync::Always),
            Some("everysec") => Some(Fsync::EverySecond),
            Some("no") => Some(Fsync::No),
            _ => None,
        };
        self.save = setting("save").map(str::to_owned);
        self.maxmemory_bytes = self
            .maxmemory_bytes
            .or_else(|| setting("maxmemory")?.parse().ok());
        let policy = setting("maxmemory-policy").map(str::to_owned);
        self.maxmemory_policy = self.maxmemory_policy.or(policy);
        self
    }
}

/// What is asked of `CONFIG GET`.
pub(super) const SETTINGS: [&str; 5] = [
    "appendonly",
    "appendfsync",
    "save",
    "maxmemory",
    "maxmemory-policy",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_and_config_are_read() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nrole:master\r\n\
                    connected_slaves:2\r\nmaxmemory:9\r\nmaxmemory_human:9B\r\n\
                    maxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        let server = Server::from_info(info);
        let expected = Server {
            run_id: Some("abc".to_owned()),
            version: Some("7.0.15".to_owned()),
            role: Some(Role::Master),
            replicas: Some(2),
            maxmemory_bytes: Some(9),
            maxmemory_policy: Some("noeviction".to_owned()),
            has_append_only: Some(true),
            fsync: None,
            save: None,
        };
        assert_eq!(server, expected);
        let config = [
            ("appendonly", "no"),
            ("appendfsync", "everysec"),
            ("save", ""),
            ("maxmemory", "5"),
        ];
        let config: HashMap<String, String> = config
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let server = server.with_config(&config);
        assert_eq!(
            server,
            Server {
                fsync: Some(Fsync::EverySecond),
                save: Some(String::new()),
                ..expected
            },
            "what is beats what is configured"
        );
        let server = Server::default().with_config(&config);
        assert_eq!(
            (server.has_append_only, server.maxmemory_bytes),
            (Some(false), Some(5))
        );
    }

    #[test]
    fn what_is_not_told_is_not_guessed() {
        for info in [
            "",
            "garbage",
            "role:\r\nmaxmemory:-1\r\naof_enabled:2\r\nconnected_slaves:x\r\n",
        ] {
            assert_eq!(Server::from_info(info), Server::default(), "{info}");
        }
        assert_eq!(
            Server::default().with_config(&HashMap::new()),
            Server::default()
        );
    }
}
