//! `chat-cli doctor`: the way to a node, step by step, and what to do where it ends.
//!
//! `network` looks from outside, believing and saying nothing; `session` is a member like others.

use std::time::Duration;

use chat_client::Target;
use serde::Serialize;
use tokio_util::task::TaskTracker;

use super::{Around, Ready, ShotArgs};
use crate::args::ColorWhen;
use crate::config::command::print;
use crate::exit::{Exit, Failure};
use crate::palette::Palette;
use crate::shot::ping::tagged;

mod network;
mod session;
mod step;

pub use step::{Marks, State, Step};

/// A node to look at.
#[derive(clap::Args, Clone, Debug)]
pub struct DoctorArgs {
    /// The node: PORT, HOST, HOST:PORT or quic://HOST:PORT. [default: 8081]
    #[arg(value_name = "TARGET", env = "CHAT_TARGET")]
    pub target: Option<String>,

    /// Send no message. Without it one goes into a room of its own, to see that messages flow and
    /// what the node's clock says.
    #[arg(long)]
    pub no_message: bool,

    /// Whether to use colours; auto also respects NO_COLOR.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,

    /// What all commands take.
    #[command(flatten)]
    pub shot: ShotArgs,
}

/// Looks, and tells each step as soon as it is known.
///
/// # Errors
/// When the configuration is wrong. What is wrong with the node is a step, and the exit code.
pub async fn run(
    args: &DoctorArgs,
    around: Around<'_>,
    tasks: &TaskTracker,
) -> Result<Exit, Failure> {
    let targets: Vec<String> = args.target.iter().cloned().collect();
    let ready = args.shot.ready(&targets, &[], around, tasks)?;
    let target = ready.targets.first().map_or("", String::as_str);
    let target: Target = target
        .parse()
        .map_err(|error: chat_client::InvalidTarget| {
            Failure::new(Exit::Usage, "invalid_target", error.to_string())
                .try_this("a target is PORT, HOST, HOST:PORT or quic://HOST:PORT")
        })?;
    let is_plain = ready.settings.ui.ascii || !around.surroundings.stdout_is_terminal;
    let mut told = Told {
        steps: vec![],
        form: if args.shot.json {
            None
        } else {
            let marks = if is_plain { Marks::Words } else { Marks::Signs };
            Some((marks, around.surroundings.palette(args.color)))
        },
    };
    let signal = tokio::select! {
        looked = look(args, &ready, &target, &mut told) => looked.map(|()| None)?,
        () = ready.stop.asked() => Some(ready.stop.exit()),
    };
    let failed = told.steps.iter().find(|step| step.state == State::Failed);
    let exit = signal
        .or_else(|| failed.map(|step| step.exit))
        .unwrap_or(Exit::Done);
    if told.form.is_none() {
        let report = Report {
            target: target.to_string(),
            client: env!("CARGO_PKG_VERSION"),
            exit: exit.code(),
            steps: &told.steps,
        };
        print(&tagged("doctor", &report))?;
    }
    Ok(exit)
}

/// All steps in their order. Those behind one that failed are skipped where they cannot succeed.
async fn look(
    args: &DoctorArgs,
    ready: &Ready,
    target: &Target,
    told: &mut Told,
) -> Result<(), Failure> {
    let time = ready.connect.connect_timeout.max(TIME_MIN);
    let addresses = match network::resolve(target).await {
        Ok((step, addresses)) => {
            told.tell(step)?;
            addresses
        }
        Err(step) => return told.tell(*step),
    };
    let (step, reached) = network::reach(target, &addresses, time).await;
    told.tell(step)?;
    let Some(address) = reached else {
        return Ok(());
    };
    let (step, seen) = network::shake_hands(target, address, time).await;
    told.tell(step)?;
    let Some(seen) = seen else {
        return Ok(());
    };
    let opened = session::open(ready, target).await;
    let certificate = network::certificate(target, &seen, &ready.connect, opened.as_ref().err());
    told.tell(certificate)?;
    let opened = match opened {
        Ok(opened) => opened,
        Err(failure) if failure.exit == Exit::Refused => return Ok(()),
        Err(failure) => return told.tell(Step::of_failure("session", failure)),
    };
    let client = opened.client();
    let outcome = session::look(args, opened, told).await;
    client.close().await;
    outcome
}

/// What was found so far.
#[derive(Debug)]
struct Told {
    steps: Vec<Step>,
    /// How steps are shown when they come; none for all at the end.
    form: Option<(Marks, Palette)>,
}

impl Told {
    fn tell(&mut self, step: Step) -> Result<(), Failure> {
        if let Some((marks, palette)) = self.form {
            print(&step.lines(marks, palette))?;
        }
        self.steps.push(step);
        Ok(())
    }
}

#[derive(Serialize)]
struct Report<'a> {
    target: String,
    client: &'a str,
    exit: u8,
    steps: &'a [Step],
}

/// Shorter would take a node that is merely busy for gone.
const TIME_MIN: Duration = Duration::from_millis(300);
