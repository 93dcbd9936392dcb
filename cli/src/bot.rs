//! The bot: loads a cluster and proves its delivery.
//!
//! One way through: `args` → `plan` (pure) → `run` (the phases) over `client`s and the `pacer`,
//! who write into the `meter` and the `proof` → `conclude` (pure) → `report` → `files` and the
//! terminal. The ledgers of the proof are the SDK's own, which also judge the project's fault tests.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use chat_client::protocol::UserName;
use chat_client::{Client, Target};
use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use crate::args::Surroundings;
use crate::connect;
use crate::exit::{Exit, Failure};
use crate::stop::Stop;

pub mod args;
pub mod assertion;
pub mod books;
pub mod client;
pub mod conclude;
pub mod display;
pub mod files;
pub mod meter;
pub mod pacer;
pub mod plan;
pub mod progress;
pub mod proof;
pub mod quantity;
pub mod report;
pub mod run;
pub mod site;
pub mod system;
pub mod view;

use args::BotArgs;
use conclude::Asked;
use display::Display;
use files::Files;
use plan::Plan;
use report::text::Text;
use report::{Ended, Report, Verdict};
use run::{Outside, Run};
use site::Site;

/// Runs the bot. The report was written when it returns.
///
/// # Errors
/// What kept it from running at all, or its report from being written.
pub async fn run(
    args: &BotArgs,
    around: &Surroundings,
    tasks: &TaskTracker,
) -> Result<Exit, Failure> {
    let (began, started) = (Instant::now(), Timestamp::now());
    let stop = Stop::listen(tasks).map_err(system_failure)?;
    let targets = targets(args)?;
    let seed = args
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let tag: u32 = rand::random();
    let plan = Plan::new(args, seed, tag).map_err(|contradiction| {
        Failure::new(Exit::Usage, "contradiction", contradiction.what).try_this(contradiction.help)
    })?;
    allow_open_files(&plan)?;
    let mut files = Files::open(args)?;
    let nodes = tokio::select! {
        nodes = probe(args, &targets) => nodes?,
        () = stop.asked() => return Ok(stop.exit()),
    };
    let sockets = args.sockets.unwrap_or_else(default_sockets);
    let sockets = chat_client::Sockets::new(sockets.into());
    let builder = Client::builder()
        .trust(connect::trust(&args.connect)?)
        .connect_timeout(args.connect.connect_timeout.max(CONNECT_TIMEOUT_MIN))
        .agent(concat!("chat-cli/", env!("CARGO_PKG_VERSION"), " bot"))
        .events_len_max(EVENTS_LEN)
        .sockets(sockets.clone());
    let site = Site::new(plan, targets, builder, format!("bot-{tag:08x}"), began);
    for (target, node) in nodes.iter().enumerate() {
        site.name_node(target, node);
    }
    let mut display = Display::open(args, around);
    let outside = Outside {
        stop: &stop,
        display: &mut display,
        files: &mut files,
    };
    let rate = args.connect_rate.0;
    let outcome = Run::new(std::sync::Arc::clone(&site), outside, args.drain, rate)
        .run()
        .await;
    drop(display);
    sockets.wait_idle(GOODBYE_MAX).await;
    let findings = outcome.map_err(system_failure)?;
    let by_signal = findings.ended_by_signal;
    let asked = Asked {
        args,
        started: started.to_string(),
        command: command(args, seed),
    };
    let report = conclude::report(asked, &site.plan, &site.targets, findings);
    finish(args, around, files, &report, by_signal.then(|| stop.exit()))
}

/// Writes the report everywhere, and decides how the program ends.
fn finish(
    args: &BotArgs,
    around: &Surroundings,
    files: Files,
    report: &Report,
    signal: Option<Exit>,
) -> Result<Exit, Failure> {
    let text = Text {
        report,
        palette: around.palette(args.color),
    };
    // Whoever asked for JSON on standard output gets nothing else there.
    let _ = if files.takes_stdout() {
        write!(io::stderr().lock(), "{text}")
    } else {
        write!(io::stdout().lock(), "{text}")
    };
    let (written, mut failures) = files.finish(report);
    for path in written {
        let _ = writeln!(io::stderr().lock(), "wrote {}", path.display());
    }
    if let Some(failure) = failures.pop() {
        for other in failures {
            let _ = writeln!(io::stderr().lock(), "{other}");
        }
        return Err(failure);
    }
    Ok(exit(report, signal))
}

/// The gravest counts.
fn exit(report: &Report, signal: Option<Exit>) -> Exit {
    match (report.verdict, signal, report.run.ended) {
        (Verdict::Fail, ..) => Exit::NotDelivered,
        (_, Some(signal), _) => signal,
        (_, _, Ended::ClusterGone) => Exit::Unreachable,
        (Verdict::Incomplete, ..) => Exit::NotDelivered,
        _ if report.asserts.iter().any(|row| !row.passed) => Exit::AssertFailed,
        _ => Exit::Done,
    }
}

/// All targets, as `host:port`.
fn targets(args: &BotArgs) -> Result<Vec<String>, Failure> {
    let mut targets = Vec::new();
    for text in &args.targets {
        let parsed = Target::parse_list(text).map_err(|error| {
            Failure::new(Exit::Usage, "invalid_target", error.to_string())
                .try_this("a target is PORT, HOST, HOST:PORT or quic://HOST:PORT")
        })?;
        for target in parsed {
            if !args.allow_remote && !target.is_loopback() {
                let what = format!("{target} is not on this machine, and is not loaded unasked");
                return Err(Failure::new(Exit::Usage, "remote", what)
                    .try_this("if you may load it:  --allow-remote"));
            }
            if !targets.contains(&target.to_string()) {
                targets.push(target.to_string());
            }
        }
    }
    Ok(targets)
}

/// Asks every target who it is, before anything is loaded.
async fn probe(args: &BotArgs, targets: &[String]) -> Result<Vec<String>, Failure> {
    let mut nodes = Vec::new();
    for target in targets {
        let alone = std::slice::from_ref(target);
        let name: Option<&UserName> = None;
        let (client, _events) = connect::connect(alone, &args.connect, name).await?;
        nodes.push(client.session().node.to_string());
        client.close().await;
    }
    Ok(nodes)
}

/// Sockets are shared, so few are needed; but every file that is written, and the terminal, too.
fn allow_open_files(plan: &Plan) -> Result<(), Failure> {
    let wanted = 256 + plan.clients.len() as u64 / 16;
    system::allow_open_files(wanted).map_err(|allowed| {
        let what = format!("{wanted} open files are needed, and the system allows {allowed}");
        Failure::new(Exit::Failed, "open_files", what).try_this(format!("ulimit -n {wanted}"))
    })
}

/// The command line that repeats the run.
fn command(args: &BotArgs, seed: u64) -> String {
    let mut command = "chat-cli".to_owned();
    let seed = (args.seed.is_none()).then(|| ["--seed".to_owned(), seed.to_string()]);
    for word in std::env::args().skip(1).chain(seed.into_iter().flatten()) {
        command.push(' ');
        command.push_str(&quoted(&word));
    }
    command
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_./:,=%@+-".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn default_sockets() -> u16 {
    u16::try_from(system::cores()).unwrap_or(1).clamp(1, 16) * 2
}

/// A cluster under load may take this long to welcome somebody, and is not away for that.
const CONNECT_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// Events that wait for a client: it reads them as they come, and there are many clients.
const EVENTS_LEN: usize = 256;

/// How long the nodes may take to hear that everybody has gone.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

fn system_failure(error: io::Error) -> Failure {
    Failure::new(
        Exit::Failed,
        "system",
        "the system does not give what is needed",
    )
    .because(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_when_a_shell_would_take_them_otherwise() {
        assert_eq!(quoted("127.0.0.1:8081,8082"), "127.0.0.1:8081,8082");
        assert_eq!(quoted("p99<20ms"), "'p99<20ms'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_gravest_decides_how_it_ends() {
        let report = |verdict, ended, passed| {
            let mut report = Report {
                verdict,
                ..Report::default()
            };
            report.run.ended = ended;
            report.asserts.push(report::AssertRow {
                passed,
                ..report::AssertRow::default()
            });
            report
        };
        use Ended::{ClusterGone, Done, Interrupted};
        use Verdict::{Fail, Incomplete, Pass};
        for (verdict, ended, passed, signal, expected) in [
            (Pass, Done, true, None, Exit::Done),
            (Pass, Done, false, None, Exit::AssertFailed),
            (Fail, Done, false, None, Exit::NotDelivered),
            (
                Fail,
                Interrupted,
                true,
                Some(Exit::Interrupted),
                Exit::NotDelivered,
            ),
            (
                Pass,
                Interrupted,
                true,
                Some(Exit::Interrupted),
                Exit::Interrupted,
            ),
            (Pass, Interrupted, false, None, Exit::AssertFailed),
            (Incomplete, ClusterGone, true, None, Exit::Unreachable),
            (Incomplete, Done, true, None, Exit::NotDelivered),
        ] {
            let report = report(verdict, ended, passed);
            assert_eq!(
                exit(&report, signal),
                expected,
                "{verdict:?} {ended:?} {passed}"
            );
        }
    }
}
