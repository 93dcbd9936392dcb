//! The file of nodes whose certificates were checked: `$XDG_STATE_HOME/chat/known_nodes`.
//!
//! A line is `host:port sha256:HEX FIRST-SEEN LAST-SEEN`; times are RFC 3339. Reading and writing
//! the text is pure. Changes are made under a lock, and replace the file at once: whoever reads sees
//! it before or after. A line that cannot be read is an error, never a node that is not known.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use chat_client::{Fingerprint, KnownNodes, Target};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{FlockOperation, flock};

use crate::config::read_bounded;
use crate::exit::{Exit, Failure};

/// The file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownFile {
    path: PathBuf,
}

/// A node that is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Known {
    /// Where it is.
    pub target: Target,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// When it became known.
    pub first_seen: Timestamp,
    /// When it was met last, to about an hour.
    pub last_seen: Timestamp,
}

impl Known {
    /// Whether this is the node at a target. `8081` and `localhost:8081` are one.
    #[must_use]
    pub fn is_at(&self, target: &Target) -> bool {
        self.target.to_string() == target.to_string()
    }
}

impl KnownFile {
    /// The file at a path. It need not exist.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All nodes in it; none when there is no file.
    ///
    /// # Errors
    /// When it cannot be read, or a line of it is wrong.
    pub fn read(&self) -> Result<Vec<Known>, Failure> {
        match read_bounded(&self.path) {
            Ok(text) => parse(&text).map_err(|(line, what)| {
                let what = format!("{}:{line}: {what}", self.path.display());
                Failure::new(Exit::CONFIG, "known_nodes", what)
                    .try_this("a line is  host:port sha256:HEX FIRST-SEEN LAST-SEEN")
                    .try_this("remove the line, and check that node again:  chat-cli trust add")
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// What a client needs to know of it.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn known_nodes(&self, certs: Option<PathBuf>) -> Result<KnownNodes, Failure> {
        let nodes = self.read()?.into_iter();
        Ok(KnownNodes::new(
            nodes.map(|known| (known.target, known.fingerprint)),
            certs,
        ))
    }

    /// The line, from 1, and what is known of a target.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn find(&self, target: &Target) -> Result<Option<(usize, Known)>, Failure> {
        let nodes = self.read()?.into_iter().enumerate();
        let found = nodes.map(|(index, known)| (index + 1, known));
        Ok(found.into_iter().find(|(_, known)| known.is_at(target)))
    }

    /// Changes what is known, and gives what `change` gives. Waits a moment for others who do.
    ///
    /// # Errors
    /// As of [`read`](Self::read), and when it cannot be written; it is unchanged then.
    pub fn change<T>(&self, change: impl FnOnce(&mut Vec<Known>) -> T) -> Result<T, Failure> {
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        let broken = |error: io::Error| self.broken(&error);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(broken)?;
        // Held until it is dropped.
        let _lock = self.lock(LOCK_WAIT).map_err(broken)?;
        let before = self.read()?;
        let mut nodes = before.clone();
        let outcome = change(&mut nodes);
        if nodes != before {
            self.replace(&text(&nodes)).map_err(broken)?;
        }
        Ok(outcome)
    }

    /// Notes that a known node was met, unless it was within the last hour. Nothing depends on it:
    /// what goes wrong is left for the next time.
    pub fn meet(&self, target: &Target, now: Timestamp) {
        let is_old = |known: &Known| {
            known.is_at(target) && now.duration_since(known.last_seen) > MEETING_AGE
        };
        let is_news = self.read().is_ok_and(|nodes| nodes.iter().any(is_old));
        if is_news {
            let _ = self.change(|nodes| {
                for known in nodes.iter_mut().filter(|known| is_old(known)) {
                    known.last_seen = now;
                }
            });
        }
    }

    /// A lock of its own file, since the other one is replaced.
    fn lock(&self, wait: Duration) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path.with_extension("lock"))?;
        let deadline = Instant::now() + wait;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR)
                    if Instant::now() < deadline =>
                {
                    thread::sleep(LOCK_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        // What a writer left that was killed; only the holder of the lock is here.
        let _ = fs::remove_file(&fresh);
        let mut options = OpenOptions::new();
        let mut file = options
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)
    }

    fn broken(&self, error: &io::Error) -> Failure {
        let what = format!("{} cannot be used", self.path.display());
        Failure::new(Exit::Failed, "known_nodes", what).because(error.to_string())
    }
}

/// Reads the text of the file.
///
/// # Errors
/// The number of the first line that is wrong, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Known>, (usize, String)> {
    let mut nodes: Vec<Known> = vec![];
    for (index, line) in text.lines().enumerate() {
        let known = parse_line(line).map_err(|what| (index + 1, what))?;
        if nodes.iter().any(|other| other.is_at(&known.target)) {
            return Err((index + 1, format!("{} is there twice", known.target)));
        }
        nodes.push(known);
    }
    Ok(nodes)
}

fn parse_line(line: &str) -> Result<Known, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [target, fingerprint, first_seen, last_seen] = words[..] else {
        return Err(format!("{} words; a line has 4", words.len()));
    };
    let time = |text: &str| {
        text.parse::<Timestamp>()
            .map_err(|_| format!("{text:?} is no time"))
    };
    Ok(Known {
        target: target
            .parse()
            .map_err(|error: chat_client::InvalidTarget| error.to_string())?,
        fingerprint: fingerprint
            .parse()
            .map_err(|error| format!("{fingerprint:?}: {error}"))?,
        first_seen: time(first_seen)?,
        last_seen: time(last_seen)?,
    })
}

/// The text of the file.
#[must_use]
pub fn text(nodes: &[Known]) -> String {
    let lines = nodes.iter().map(|known| {
        let Known {
            target,
            fingerprint,
            first_seen,
            last_seen,
        } = known;
        format!("{target} sha256:{fingerprint} {first_seen} {last_seen}\n")
    });
    lines.collect()
}

/// This moment, to the second.
#[must_use]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// How long others may take to change the file: they hold it for milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Between two tries to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Meetings within this time are one, so that the file is not written at every start.
const MEETING_AGE: SignedDuration = SignedDuration::from_hours(1);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn known(target: &str, byte: u8, last_seen: &str) -> Known {
        Known {
            target: target.parse().unwrap(),
            fingerprint: Fingerprint([byte; 32]),
            first_seen: "2026-10-02T08:00:00Z".parse().unwrap(),
            last_seen: last_seen.parse().unwrap(),
        }
    }

    fn file(dir: &tempfile::TempDir) -> KnownFile {
        KnownFile::at(dir.path().join("chat/known_nodes"))
    }

    #[test]
    fn the_text_is_read_as_it_is_written() {
        let nodes = [
            known("localhost:8081", 1, "2026-10-02T08:00:00Z"),
            known("[::1]:9000", 2, "2026-11-23T19:05:02Z"),
        ];
        let text = text(&nodes);
        let first = format!(
            "localhost:8081 sha256:{} 2026-10-02T08:00:00Z 2026-10-02T08:00:00Z",
            "01".repeat(32)
        );
        assert_eq!(text.lines().next(), Some(first.as_str()));
        assert_eq!(parse(&text), Ok(nodes.to_vec()));
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn a_wrong_line_is_an_error_and_no_unknown_node() {
        let good = text(&[known("a", 1, "2026-10-02T08:00:00Z")]);
        for (bad, what) in [
            ("a".to_owned(), "1 words"),
            ("\n".to_owned(), "0 words"),
            (good.replace("a:8081", "http://b"), "only scheme"),
            (good.replace("0101", "01"), "64 hex digits"),
            (good.replace("Z ", "X "), "is no time"),
            (good.clone(), "a:8081 is there twice"),
        ] {
            let (line, error) = parse(&format!("{good}{bad}")).unwrap_err();
            assert_eq!(line, 2, "{bad}");
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn changes_are_kept_for_this_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        assert_eq!(file.read().unwrap(), []);
        let node = known("a", 1, "2026-10-02T08:00:00Z");
        file.change(|nodes| nodes.push(node.clone())).unwrap();
        assert_eq!(file.find(&node.target).unwrap(), Some((1, node.clone())));
        let local = known("localhost:8081", 2, "2026-10-02T08:00:00Z");
        file.change(|nodes| nodes.push(local)).unwrap();
        let here = "8081".parse().unwrap();
        assert_eq!(file.find(&here).unwrap().map(|(line, _)| line), Some(2));
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(file.path(), "a\n").unwrap();
        let failure = file.change(Vec::clear).unwrap_err();
        assert!(failure.what.contains("known_nodes:1: 1 words"), "{failure}");
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "a\n");
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        thread::scope(|scope| {
            for writer in 0..8_u8 {
                let file = &file;
                scope.spawn(move || {
                    for turn in 0..5_u8 {
                        let port = (9_000 + u16::from(writer) * 10 + u16::from(turn)).to_string();
                        let node = known(&port, writer, "2026-10-02T08:00:00Z");
                        file.change(|nodes| nodes.push(node)).unwrap();
                    }
                });
            }
        });
        assert_eq!(file.read().unwrap().len(), 40);
    }

    #[test]
    fn a_lock_that_is_held_is_waited_for_and_then_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        file.change(|_| ()).unwrap();
        let held = file.lock(Duration::ZERO).unwrap();
        assert!(file.lock(Duration::from_millis(30)).is_err());
        drop(held);
        assert!(file.lock(Duration::ZERO).is_ok());
    }

    #[test]
    fn meetings_are_noted_by_the_hour() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        let node = known("a", 1, "2026-10-02T08:00:00Z");
        file.change(|nodes| nodes.push(node.clone())).unwrap();
        let meet = |time: &str| {
            file.meet(&node.target, time.parse().unwrap());
            file.read().unwrap()[0].last_seen.to_string()
        };
        assert_eq!(meet("2026-10-02T08:30:00Z"), "2026-10-02T08:00:00Z");
        assert_eq!(meet("2026-10-02T09:30:00Z"), "2026-10-02T09:30:00Z");
        assert_eq!(file.read().unwrap()[0].first_seen, node.first_seen);
    }
}
