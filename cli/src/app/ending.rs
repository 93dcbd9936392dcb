//! The end of the program: what is waited for, in which order, and with which exit code.

use std::io::{self, Write};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{App, Ending};
use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::report::{Refusal, Report};

impl App {
    /// Ends: waits for what was sent, says goodbye, gives the terminal back.
    pub(super) async fn end(mut self, ending: Ending, args: &Args) -> Exit {
        let (exit, reason) = match ending {
            Ending::EndOfInput | Ending::Quit => {
                let exit = self.wait_for_acks(args).await;
                let reason = if ending == Ending::Quit {
                    "quit"
                } else {
                    "eof"
                };
                (exit, reason)
            }
            Ending::Stopped(exit) => (exit, "signal"),
            Ending::OutputGone => (self.wait_for_acks(args).await, "output_gone"),
            Ending::Closed => (Exit::SentAway, "closed"),
            Ending::NoRoom => (self.worst, "no_room"),
        };
        // The terminal is the user's again before anything else may take time.
        drop(self.terminal.take());
        self.conversation.close().await;
        let bye = Report::Bye {
            code: exit.code(),
            reason,
        };
        self.output.print(self.surface.render(&bye, None)).await;
        match self.output.finish().await {
            Some(cause) if exit == Exit::Done => unwritten(cause),
            _ => exit,
        }
    }

    /// Waits until every message is acked and was shown, and then as long as the arguments say.
    async fn wait_for_acks(&mut self, args: &Args) -> Exit {
        let started = Instant::now();
        if self.terminal.is_some() && self.conversation.unsettled_len() > 0 {
            let text = "waiting for what was sent; Ctrl-C leaves without";
            self.remark(text).await;
        }
        // Gone through in order; each has its own deadline.
        let mut stage = Stage::Acks;
        let mut deadline = started + args.ack_timeout;
        loop {
            let is_done = match stage {
                Stage::Acks => self.conversation.is_settled(),
                Stage::Echo => {
                    self.conversation.is_caught_up() || self.output.broken().is_cancelled()
                }
                Stage::Linger => self.output.broken().is_cancelled(),
            };
            let is_late = Instant::now() >= deadline;
            match (stage, is_done || is_late) {
                (Stage::Acks, true) if !is_done => {
                    let len = self.conversation.unsettled_len();
                    let text = format!("{len} without an ack; they may or may not be in the log");
                    self.show(Report::Refused {
                        reference: None,
                        refusal: Refusal::local("ack_timeout", text),
                    })
                    .await;
                    return Exit::TimedOut;
                }
                (Stage::Acks, true) => {
                    (stage, deadline) = (Stage::Echo, Instant::now() + ECHO_TIMEOUT);
                    continue;
                }
                (Stage::Echo, true) => {
                    (stage, deadline) = (Stage::Linger, Instant::now() + args.linger);
                    continue;
                }
                (Stage::Linger, true) => return self.worst,
                (_, false) => {}
            }
            tokio::select! {
                report = self.conversation.next() => match report {
                    Some(report) => self.show(report).await,
                    None => return Exit::SentAway,
                },
                () = sleep_until(deadline) => {}
                () = self.stop.asked() => return self.stop.exit(),
                () = self.output.broken().cancelled(), if stage != Stage::Acks => {}
            }
        }
    }
}

/// Says that not everything was written, such as on a full disk.
pub(crate) fn unwritten(cause: String) -> Exit {
    let what = "standard output cannot be written";
    let failure = Failure::new(Exit::Failed, "output", what).because(cause);
    let _ = writeln!(io::stderr().lock(), "{failure}");
    failure.exit
}

/// What the end waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Acks of what was sent.
    Acks,
    /// What was sent, among what is said in the rooms.
    Echo,
    /// The time the user wants to listen on.
    Linger,
}

/// How long an acked message may take to come back; it usually comes before its ack.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);
