//! One thing at a time, for scripts and for people who look for a fault: send, tail, ping, doctor.
//!
//! Each connects, does its thing and ends with an exit code. Here is what they have in common.

use std::future::Future;
use std::io;
use std::time::SystemTime;

use chat_client::{Client, Events, RequestError};
use chat_protocol::{RoomName, UserName};
use tokio_util::task::TaskTracker;

use crate::args::{Command, ConnectArgs, Surroundings};
use crate::config::command::print;
use crate::config::{self, ConfigArgs, Given, Places, Settings};
use crate::connect;
use crate::exit::{Exit, Failure};
use crate::json::JsonSurface;
use crate::log::Log;
use crate::report::{Refusal, Report};
use crate::stop::Stop;

pub mod doctor;
pub mod ping;
pub mod probe;
pub mod send;
pub mod tail;

/// What they all take.
#[derive(clap::Args, Clone, Debug)]
pub struct ShotArgs {
    /// Your name. A name that is taken gets a suffix. [default: $USER]
    #[arg(long, env = "CHAT_NAME", value_name = "NAME")]
    pub name: Option<UserName>,

    /// JSON to standard output.
    #[arg(long)]
    pub json: bool,

    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Whom to trust.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// Say more; twice to log to standard error what the connection does.
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What is around a command.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The terminal.
    pub surroundings: &'a Surroundings,
    /// The user's directories.
    pub places: &'a Places,
    /// The arguments that came from the environment.
    pub environment: &'a [String],
}

/// What a command needs to connect.
#[derive(Debug)]
pub struct Ready {
    /// What applies.
    pub settings: Settings,
    /// Where to.
    pub targets: Vec<String>,
    /// The name wanted.
    pub name: Option<UserName>,
    /// Whom to trust.
    pub connect: ConnectArgs,
    /// The signals.
    pub stop: Stop,
}

impl ShotArgs {
    /// Decides what applies, and listens for signals.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn ready(
        &self,
        targets: &[String],
        rooms: &[RoomName],
        around: Around<'_>,
        tasks: &TaskTracker,
    ) -> Result<Ready, Failure> {
        let given = Given {
            targets,
            name: self.name.as_ref(),
            rooms,
            connect: Some(&self.connect),
            no_mouse: false,
            environment: around.environment,
        };
        let settings = config::load(&self.config, &given, around.places)?;
        // A second log in one process keeps the first.
        let _ = Log::start(self.verbose.saturating_sub(1));
        let user = around.surroundings.user.as_ref();
        let user = user.and_then(|user| user.parse().ok());
        Ok(Ready {
            targets: settings.targets.value.clone(),
            name: settings.name.value.clone().or(user),
            connect: settings.connect(&self.connect),
            stop: Stop::listen(tasks).map_err(|error| system(&error))?,
            settings,
        })
    }
}

impl Ready {
    /// Connects, does `work`, and says goodbye, also when a signal comes before it is done.
    ///
    /// # Errors
    /// When there is no session, and what `work` says.
    pub async fn with_session<F>(
        &self,
        work: impl FnOnce(Client, Events) -> F,
    ) -> Result<Exit, Failure>
    where
        F: Future<Output = Result<Exit, Failure>>,
    {
        let connecting = connect::connect(&self.targets, &self.connect, self.name.as_ref());
        let (client, events) = tokio::select! {
            connected = connecting => connected?,
            () = self.stop.asked() => return Ok(self.stop.exit()),
        };
        let outcome = tokio::select! {
            outcome = work(client.clone(), events) => outcome,
            () = self.stop.asked() => Ok(self.stop.exit()),
        };
        client.close().await;
        outcome
    }
}

/// Runs a command; in JSON its failure is an event, too.
///
/// # Errors
/// What went wrong.
pub async fn run(
    command: &Command,
    around: Around<'_>,
    tasks: &TaskTracker,
) -> Result<Exit, Failure> {
    let (outcome, is_json) = match command {
        Command::Send(args) => (send::run(args, around, tasks).await, args.shot.json),
        Command::Tail(args) => (tail::run(args, around, tasks).await, args.shot.json),
        Command::Ping(args) => (ping::run(args, around, tasks).await, args.shot.json),
        Command::Doctor(args) => (doctor::run(args, around, tasks).await, args.shot.json),
        _ => return Ok(Exit::Done),
    };
    if let (Err(failure), true) = (&outcome, is_json) {
        print_report(&Report::Refused {
            reference: None,
            refusal: Refusal::local(failure.code, failure.what.clone()),
        })?;
    }
    outcome
}

/// Prints a report as the JSON surface has it.
fn print_report(report: &Report) -> Result<Exit, Failure> {
    let lines = JsonSurface.render(report, SystemTime::now());
    print(
        &lines
            .iter()
            .map(|line| line.text.clone() + "\n")
            .collect::<String>(),
    )
}

/// What the system does not give.
fn system(error: &io::Error) -> Failure {
    let what = "the system does not give what is needed";
    Failure::new(Exit::Failed, "system", what).because(error.to_string())
}

/// Why a request was not done.
fn request_failure(what: String, error: &RequestError) -> Failure {
    let (exit, code) = match error {
        RequestError::InvalidRoom(_) => (Exit::Usage, "invalid_room"),
        RequestError::TimedOut => (Exit::TimedOut, "timed_out"),
        RequestError::Closed => (Exit::SentAway, "closed"),
        _ => (Exit::Failed, "refused"),
    };
    Failure::new(exit, code, what).because(error.to_string())
}
