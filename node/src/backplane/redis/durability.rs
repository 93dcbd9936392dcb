//! What it means for acknowledged messages how a Redis is set up. Pure.

use std::fmt::{self, Display};

use super::super::promise::{Promise, Survival, Unfit};
use super::server::{Fsync, Role, Server};

/// The terms a server keeps entries on: what it says of itself, but for the run it is in. `Display`
/// lists them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Terms {
    server: Server,
}

impl Terms {
    pub(super) fn of(server: &Server) -> Self {
        let server = Server {
            run_id: None,
            ..server.clone()
        };
        Self { server }
    }

    /// What it promises.
    pub(super) fn promise(&self) -> Promise {
        Promise {
            survival: self.survival(),
            may_evict: self.evicting().is_some(),
        }
    }

    fn survival(&self) -> Survival {
        let Server {
            has_append_only,
            fsync,
            save,
            ..
        } = &self.server;
        match (has_append_only, fsync, save.as_deref()) {
            (Some(true), Some(Fsync::Always), _) => Survival::Crash,
            (Some(true), Some(Fsync::EverySecond), _) => Survival::Second,
            (Some(true), Some(Fsync::No), _) => Survival::System,
            (Some(false), _, Some("")) => Survival::Memory,
            (Some(false), _, Some(_)) => Survival::Snapshot,
            // Everything less would be a guess.
            (Some(true), None, _) | (Some(false), _, None) | (None, ..) => Survival::Unknown,
        }
    }

    /// The policy by which it drops entries when its memory is full; none when it never does. Every
    /// key of a log has a time to live, so that policies for volatile keys take them too.
    pub(super) fn evicting(&self) -> Option<&str> {
        if matches!(self.server.maxmemory_bytes, None | Some(0)) {
            return None;
        }
        let policy = self.server.maxmemory_policy.as_deref()?;
        (policy != "noeviction").then_some(policy)
    }

    /// Why a node must not start with it.
    pub(super) fn unfit(&self) -> Option<Unfit> {
        let policy = self.evicting()?;
        let bytes = self.server.maxmemory_bytes.unwrap_or_default();
        Some(Unfit {
            what: format!(
                "its maxmemory-policy is {policy} with maxmemory {bytes}: it would drop acked \
                 messages when its memory is full"
            ),
            help: "set it to refuse instead: redis-cli CONFIG SET maxmemory-policy noeviction\n\
                   (and in redis.conf; for a managed Redis in its settings)\n\
                   or start with --allow-eviction (CHAT_ALLOW_EVICTION=true) and lose messages then"
                .to_owned(),
        })
    }

    /// What else an operator has to change, if anything.
    pub(super) fn complaint(&self, has_run_id: bool) -> Option<&'static str> {
        let major = self
            .server
            .version
            .as_deref()
            .and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        if major.is_some_and(|major| major < 7) {
            Some("it is too old: version 7.0 or newer is needed")
        } else if self.server.role == Some(Role::Replica) {
            Some("it is a replica: give the node the address of the master")
        } else if !has_run_id {
            Some("INFO is not permitted: a restart that loses entries may go unnoticed")
        } else {
            None
        }
    }
}

impl Display for Terms {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        let or_unknown = |value: Option<&str>| value.unwrap_or(UNKNOWN).to_owned();
        let number =
            |value: Option<u64>| value.map_or_else(|| UNKNOWN.to_owned(), |n| n.to_string());
        let role = server.role.map(|role| match role {
            Role::Master => "master",
            Role::Replica => "replica",
        });
        let append_only = server
            .has_append_only
            .map(|has_it| if has_it { "yes" } else { "no" });
        let fsync = server.fsync.map(|fsync| match fsync {
            Fsync::Always => "always",
            Fsync::EverySecond => "everysec",
            Fsync::No => "no",
        });
        write!(
            out,
            "version {}, {}, {} replicas, appendonly {}, appendfsync {}, save {}, maxmemory {}, \
             maxmemory-policy {}",
            or_unknown(server.version.as_deref()),
            or_unknown(role),
            number(server.replicas),
            or_unknown(append_only),
            or_unknown(fsync),
            match server.save.as_deref() {
                Some("") => "never".to_owned(),
                save => or_unknown(save),
            },
            number(server.maxmemory_bytes),
            or_unknown(server.maxmemory_policy.as_deref()),
        )
    }
}

/// In the place of what a server does not tell.
const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn terms(info: &str, config: &[(&str, &str)]) -> Terms {
        let config: HashMap<String, String> = config
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Terms::of(&Server::from_info(info).with_config(&config))
    }

    #[test]
    fn what_an_ack_survives_follows_from_persistence_and_from_nothing_else() {
        let (on, off) = ("aof_enabled:1\r\n", "aof_enabled:0\r\n");
        for (info, config, expected) in [
            (on, &[("appendfsync", "always")][..], Survival::Crash),
            (on, &[("appendfsync", "everysec")], Survival::Second),
            (on, &[("appendfsync", "no")], Survival::System),
            (on, &[("appendfsync", "sometimes")], Survival::Unknown),
            (on, &[], Survival::Unknown),
            (
                off,
                &[("appendfsync", "always"), ("save", "")],
                Survival::Memory,
            ),
            (
                off,
                &[("appendfsync", "always"), ("save", "60 1")],
                Survival::Snapshot,
            ),
            (off, &[("appendfsync", "always")], Survival::Unknown),
            (
                "",
                &[("appendonly", "yes"), ("appendfsync", "always")],
                Survival::Crash,
            ),
            (
                "",
                &[("appendfsync", "always"), ("save", "")],
                Survival::Unknown,
            ),
            ("connected_slaves:3\r\n", &[], Survival::Unknown),
        ] {
            let terms = terms(info, config);
            assert_eq!(terms.promise().survival, expected, "{info} {config:?}");
        }
    }

    #[test]
    fn a_bound_and_a_policy_that_is_not_noeviction_make_a_server_unfit() {
        for policy in [
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "one-of-later",
        ] {
            let terms = |bytes: u64| {
                terms(
                    &format!("maxmemory:{bytes}\r\nmaxmemory_policy:{policy}\r\n"),
                    &[],
                )
            };
            let unfit = terms(1).unfit().unwrap();
            assert!(unfit.what.contains(policy), "{unfit}");
            assert!(unfit.help.contains("noeviction"), "{}", unfit.help);
            assert!(unfit.help.contains("--allow-eviction"), "{}", unfit.help);
            assert!(terms(1).promise().may_evict);
            assert_eq!(terms(0).unfit(), None, "nothing is evicted without a bound");
        }
        let fit = terms("maxmemory:1\r\nmaxmemory_policy:noeviction\r\n", &[]);
        assert_eq!(fit.unfit(), None);
        let config = [("maxmemory", "9"), ("maxmemory-policy", "allkeys-lru")];
        assert!(terms("", &config).promise().may_evict);
        assert_eq!(terms("maxmemory:1\r\n", &[]).unfit(), None, "not told");
    }

    #[test]
    fn what_is_not_told_is_called_unknown() {
        assert_eq!(
            Terms::default().to_string(),
            "version unknown, unknown, unknown replicas, appendonly unknown, appendfsync unknown, \
             save unknown, maxmemory unknown, maxmemory-policy unknown"
        );
        let info = "redis_version:7.0.15\r\nrole:master\r\nconnected_slaves:0\r\naof_enabled:1\r\n\
                    maxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
        let config = [("appendfsync", "everysec"), ("save", "")];
        assert_eq!(
            terms(info, &config).to_string(),
            "version 7.0.15, master, 0 replicas, appendonly yes, appendfsync everysec, save never, \
             maxmemory 0, maxmemory-policy noeviction"
        );
    }

    #[test]
    fn an_old_server_a_replica_and_one_that_does_not_tell_are_complained_of() {
        let complaint = |info: &str| terms(info, &[]).complaint(true).unwrap_or_default();
        assert!(complaint("redis_version:6.2.1\r\n").contains("7.0"));
        assert!(complaint("role:slave\r\n").contains("master"));
        assert_eq!(complaint("redis_version:7.2.4\r\nrole:master\r\n"), "");
        assert!(Terms::default().complaint(false).unwrap().contains("INFO"));
    }
}
