//! Looks at how the server is set up, at every connection and then once a minute: tells the
//! operator, keeps the answer for those who ask, and refuses a server that may drop entries.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisResult, ServerErrorKind};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::super::promise::{Promise, Unfit};
use super::durability::Terms;
use super::server::{SETTINGS, Server};

/// What inspections found, for everybody.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// As of the last one.
    pub(super) promise: Promise,
    /// Set when the server must not be used.
    pub(super) unfit: Option<Unfit>,
}

/// Inspects the servers of one address. Lives as long as the node.
#[derive(Debug)]
pub(super) struct Inspector {
    allow_eviction: bool,
    /// As of the last inspection; none before the first.
    terms: Option<Terms>,
    findings: watch::Sender<Findings>,
}

/// The server is refused.
#[derive(Debug)]
pub(super) struct Refused;

impl Inspector {
    pub(super) fn new(allow_eviction: bool) -> (Self, watch::Receiver<Findings>) {
        let (findings, found) = watch::channel(Findings::default());
        let inspector = Self {
            allow_eviction,
            terms: None,
            findings,
        };
        (inspector, found)
    }

    /// A connection was made.
    ///
    /// # Errors
    /// When it is the node's first and the server may drop entries, unless that is allowed. Later
    /// a server that does is shouted about, and used: clients are there.
    pub(super) fn on_connected(&mut self, server: &Server) -> Result<(), Refused> {
        let terms = Terms::of(server);
        info!(redis = %terms, "connected to redis: {}", terms.promise().survival);
        if let Some(complaint) = terms.complaint(server.run_id.is_some()) {
            warn!(complaint, "redis is not set up as it should be");
        }
        let unfit = match self.terms {
            None if !self.allow_eviction => terms.unfit(),
            _ => None,
        };
        self.adopt(terms, unfit.clone());
        match unfit {
            Some(_) => Err(Refused),
            None => Ok(()),
        }
    }

    /// The server was asked again over the same connection.
    pub(super) fn on_asked_again(&mut self, server: &Server) {
        self.adopt(Terms::of(server), None);
    }

    fn adopt(&mut self, terms: Terms, unfit: Option<Unfit>) {
        let promise = terms.promise();
        let before = self.terms.as_ref();
        if before.is_some_and(|before| before.promise().survival != promise.survival) {
            warn!(redis = %terms, "redis promises something else now: {}", promise.survival);
        } else if before.is_some_and(|before| *before != terms) {
            info!(redis = %terms, "redis is set up differently now: {}", promise.survival);
        }
        let policy = terms.evicting();
        // A server that is refused is said by whoever starts the node.
        if policy != before.and_then(Terms::evicting) && unfit.is_none() {
            match policy {
                Some(policy) => warn!(
                    policy,
                    redis = %terms,
                    "REDIS MAY DROP ACKED MESSAGES when its memory is full: \
                     CONFIG SET maxmemory-policy noeviction"
                ),
                None => info!("redis does not drop acked messages any more"),
            }
        }
        self.terms = Some(terms);
        self.findings.send_replace(Findings { promise, unfit });
    }
}

/// Asks a server how it is set up, `time` for each question.
///
/// # Errors
/// When the connection is of no use.
pub(super) async fn ask(
    connection: &mut MultiplexedConnection,
    time: Duration,
) -> Result<Server, String> {
    let info = redis::cmd("INFO");
    let server = match within(time, info.query_async::<String>(connection)).await? {
        Ok(info) => Server::from_info(&info),
        Err(error) if matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm)) => {
            Server::default()
        }
        Err(error) => return Err(error.to_string()),
    };
    let mut config = redis::cmd("CONFIG");
    config.arg("GET").arg(&SETTINGS);
    let config = config.query_async::<HashMap<String, String>>(connection);
    match within(time, config).await? {
        Ok(config) => Ok(server.with_config(&config)),
        // Managed servers have no such command, and a user may lack the right to it.
        Err(_) => Ok(server),
    }
}

async fn within<T>(
    time: Duration,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<RedisResult<T>, String> {
    timeout(time, answer)
        .await
        .map_err(|_| format!("nothing within {time:?}"))
}

/// How often a server is asked again: settings are changed by hand, and seldom.
pub(super) const INSPECT_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::super::super::promise::Survival;
    use super::*;

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        /// The lines logged by `work`.
        fn of(work: impl FnOnce()) -> Vec<String> {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(false)
                .without_time()
                .with_target(false)
                .with_writer(move || writer.clone())
                .finish();
            tracing::subscriber::with_default(subscriber, work);
            let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    fn server(fsync: &str, maxmemory: u64, policy: &str) -> Server {
        let info = format!(
            "run_id:a\r\nredis_version:7.0.15\r\nrole:master\r\naof_enabled:1\r\n\
             connected_slaves:0\r\nmaxmemory:{maxmemory}\r\nmaxmemory_policy:{policy}\r\n"
        );
        let config = [("appendfsync", fsync), ("save", "")];
        let config = config.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Server::from_info(&info).with_config(&config.into())
    }

    #[test]
    fn the_first_contact_says_what_an_ack_survives_in_one_line() {
        let (mut inspector, found) = Inspector::new(false);
        let lines = Log::of(|| {
            let server = server("everysec", 0, "allkeys-lru");
            assert!(
                inspector.on_connected(&server).is_ok(),
                "nothing is evicted without a bound"
            );
        });
        assert_eq!(
            lines,
            [
                " INFO connected to redis: up to about one second of acked messages may be lost when \
                 Redis crashes redis=version 7.0.15, master, 0 replicas, appendonly yes, appendfsync \
                 everysec, save never, maxmemory 0, maxmemory-policy allkeys-lru"
            ]
        );
        assert_eq!(found.borrow().promise.survival, Survival::Second);
    }

    #[test]
    fn a_change_is_said_once_and_loudly_when_messages_may_be_dropped() {
        let (mut inspector, found) = Inspector::new(false);
        inspector
            .on_connected(&server("always", 9, "noeviction"))
            .unwrap();
        let (quiet, bad) = (
            server("always", 9, "noeviction"),
            server("always", 9, "allkeys-lru"),
        );
        let worse = server("no", 9, "allkeys-lru");
        for (server, warnings) in [
            (&quiet, 0),
            (&bad, 1),
            (&bad, 0),
            (&worse, 1),
            (&worse, 0),
            (&bad, 1),
            (&quiet, 0),
            (&bad, 1),
        ] {
            let lines = Log::of(|| inspector.on_asked_again(server));
            let warned = lines.iter().filter(|line| line.contains("WARN")).count();
            assert_eq!(warned, warnings, "{server:?}: {lines:?}");
            assert_eq!(found.borrow().promise.may_evict, server != &quiet);
            assert_eq!(found.borrow().unfit, None, "it runs already");
        }
        let lines = Log::of(|| inspector.on_connected(&bad).unwrap());
        assert!(!lines.iter().any(|line| line.contains("WARN")), "{lines:?}");
    }

    #[test]
    fn only_a_first_server_is_refused_and_only_when_that_is_not_allowed() {
        let evicting = server("always", 9, "volatile-ttl");
        let (mut inspector, found) = Inspector::new(false);
        assert!(inspector.on_connected(&evicting).is_err());
        assert!(found.borrow().unfit.is_some());
        let (mut inspector, found) = Inspector::new(true);
        let lines = Log::of(|| inspector.on_connected(&evicting).unwrap());
        let shouted = lines
            .iter()
            .filter(|line| line.contains("WARN REDIS MAY DROP ACKED MESSAGES"));
        assert_eq!(shouted.count(), 1, "{lines:?}");
        assert!(found.borrow().promise.may_evict);
    }
}
