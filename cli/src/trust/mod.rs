//! `chat-cli trust`: which certificates of which nodes the user has checked.
//!
//! Nothing is ever added without the user: there is no trust on first use.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use chat_client::inspect::{self, InspectError, Inspected};
use chat_client::{Fingerprint, Target};
use clap::Subcommand;
use jiff::Timestamp;

use crate::args::Surroundings;
use crate::clean;
use crate::config::Places;
use crate::config::command::print;
use crate::exit::{Exit, Failure};

pub mod known;

use known::{Known, KnownFile};

/// What to do with known nodes.
#[derive(Clone, Debug, Subcommand)]
pub enum TrustCommand {
    /// List the nodes that are known: address, certificate, first and last seen.
    List,
    /// Show a node's certificate, and know the node by it from now on.
    ///
    /// Asks on a terminal. The fingerprint must be compared with what the node's operator says: it
    /// is in the node's log when it starts, and `chat-node certs` shows it.
    Add {
        /// The node: PORT, HOST, HOST:PORT or quic://HOST:PORT.
        target: Target,
        /// Add it without asking, whatever it shows. For networks where nobody is in between.
        #[arg(long, short)]
        yes: bool,
        /// Add it without asking if its certificate has this SHA-256, in hex.
        #[arg(long, value_name = "SHA256", conflicts_with = "yes")]
        pin: Option<Fingerprint>,
        /// How long to try to reach the node.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "3s")]
        connect_timeout: Duration,
    },
    /// Forget a node.
    Remove {
        /// The node.
        target: Target,
    },
}

/// Runs `chat-cli trust`.
///
/// # Errors
/// When the node cannot be seen or is not wanted, or the file not be used.
pub async fn run(
    command: &TrustCommand,
    around: &Surroundings,
    places: &Places,
) -> Result<Exit, Failure> {
    let file = file(places)?;
    match command {
        TrustCommand::List => print(&known::text(&file.read()?)),
        TrustCommand::Remove { target } => remove(&file, target),
        TrustCommand::Add {
            target,
            yes,
            pin,
            connect_timeout,
        } => {
            let before = file.find(target)?;
            let (seen, _) = look(target, *connect_timeout).await?;
            let fingerprint = seen.fingerprint();
            if let Some((line, known)) = before {
                if known.fingerprint != fingerprint {
                    return Err(changed(&file, line, &known, Some(fingerprint)));
                }
                return print(&format!("{target} is known by this certificate already\n"));
            }
            match pin {
                Some(pin) if *pin != fingerprint => {
                    let what = format!("{target} shows another certificate");
                    return Err(Failure::new(Exit::Refused, "untrusted", what)
                        .because(format!("it is sha256:{fingerprint}, not sha256:{pin}")));
                }
                Some(_) => {}
                None if *yes => {}
                None => ask(target, &seen, around)?,
            }
            add(&file, target, fingerprint)
        }
    }
}

/// The file of known nodes of this user.
///
/// # Errors
/// When there is no place for it.
pub fn file(places: &Places) -> Result<KnownFile, Failure> {
    places.known_nodes().map(KnownFile::at).ok_or_else(|| {
        let what = "there is no place for what is known of nodes";
        Failure::new(Exit::Failed, "known_nodes", what)
            .because("neither $XDG_STATE_HOME nor a home directory is known")
    })
}

/// What the first address of a target shows that answers, and that address.
///
/// # Errors
/// When none does.
pub async fn look(target: &Target, time: Duration) -> Result<(Inspected, String), Failure> {
    let unreachable = |cause: String| {
        let what = format!("no chat-node answers at {target}");
        Failure::new(Exit::Unreachable, "unreachable", what).because(cause)
    };
    let addresses = inspect::addresses(target).await.map_err(unreachable)?;
    let mut first = None;
    for address in addresses {
        match inspect::inspect(target, address, time).await {
            Ok(seen) => return Ok((seen, address.to_string())),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(match first {
        Some(InspectError::Refused(text)) => {
            let what = format!("what answers at {target} is no chat-node of this version");
            Failure::new(Exit::Version, "version", what).because(text)
        }
        Some(error) => unreachable(error.to_string()),
        None => unreachable("its name has no address".to_owned()),
    })
}

/// The certificate of a known node is another one than it was.
#[must_use]
pub fn changed(file: &KnownFile, line: usize, known: &Known, now: Option<Fingerprint>) -> Failure {
    let Known {
        target,
        fingerprint,
        first_seen,
        ..
    } = known;
    let day = first_seen.strftime("%Y-%m-%d");
    let what = format!("the certificate of {target} has CHANGED since {day}");
    let now = now.map_or_else(
        || "now it shows another one".to_owned(),
        |now| format!("now it shows sha256:{now}"),
    );
    let path = file.path().display();
    Failure::new(Exit::Refused, "certificate_changed", what)
        .because(format!(
            "known is sha256:{fingerprint}, {now} ({path}, line {line})"
        ))
        .try_this(format!(
            "if its operator says so:  chat-cli trust remove {target} && chat-cli trust add {target}"
        ))
        .try_this("otherwise do not connect: somebody may be in between")
}

/// Shows a certificate to the user and asks.
fn ask(target: &Target, seen: &Inspected, around: &Surroundings) -> Result<(), Failure> {
    let fingerprint = seen.fingerprint();
    let refuse = |exit, what: String| {
        Failure::new(exit, "untrusted", what)
            .because(format!("it shows sha256:{fingerprint}"))
            .try_this(format!(
                "when you know that it is right:  chat-cli trust add {target} --pin {fingerprint}"
            ))
    };
    if !(around.stdin_is_terminal && around.stdout_is_terminal) {
        let what = format!("{target} is not added: there is nobody to ask");
        return Err(refuse(Exit::Usage, what));
    }
    let names = seen.names();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let until = seen
        .certificate()
        .not_after
        .and_then(|until| Timestamp::try_from(until).ok())
        .map_or_else(
            || "not known".to_owned(),
            |until| until.strftime("%Y-%m-%d").to_string(),
        );
    let question = format!(
        "{target} shows the certificate\n  sha256:{fingerprint}\n  names: {}\n  valid until: {until}\n\
         Compare it with what its operator says. Is it right? [yes/no] ",
        clean::line(&names)
    );
    let mut answer = String::new();
    let mut stdout = io::stdout().lock();
    let asked = stdout
        .write_all(question.as_bytes())
        .and_then(|()| stdout.flush())
        .and_then(|()| {
            let mut stdin = io::stdin().lock();
            io::Read::take(&mut stdin, ANSWER_BYTES_MAX).read_line(&mut answer)
        });
    match (asked, answer.trim()) {
        (Ok(_), "yes") => Ok(()),
        _ => Err(refuse(Exit::Refused, format!("{target} is not added"))),
    }
}

fn add(file: &KnownFile, target: &Target, fingerprint: Fingerprint) -> Result<Exit, Failure> {
    let now = known::now();
    file.change(|nodes| {
        // Somebody else may have been faster; what they saw is held against this one next time.
        if !nodes.iter().any(|known| known.is_at(target)) {
            nodes.push(Known {
                target: target.clone(),
                fingerprint,
                first_seen: now,
                last_seen: now,
            });
        }
    })?;
    print(&format!("{target} is known by sha256:{fingerprint}\n"))
}

fn remove(file: &KnownFile, target: &Target) -> Result<Exit, Failure> {
    let removed = file.change(|nodes| {
        let len = nodes.len();
        nodes.retain(|known| !known.is_at(target));
        nodes.len() < len
    })?;
    if removed {
        return print(&format!("{target} is forgotten\n"));
    }
    let what = format!("{target} is not known");
    Err(Failure::new(Exit::Failed, "not_known", what).try_this("which are:  chat-cli trust list"))
}

/// What is known of nodes, unless the arguments say whom to trust.
///
/// # Errors
/// When the file cannot be used.
pub fn known_file(pin: Option<&str>, ca: Option<&PathBuf>) -> Result<Option<KnownFile>, Failure> {
    if pin.is_some() || ca.is_some() {
        return Ok(None);
    }
    Ok(Places::of_process().known_nodes().map(KnownFile::at))
}

/// Bytes of an answer: it is `yes` or it is not.
const ANSWER_BYTES_MAX: u64 = 64;
