//! The program: connects, talks until there is nothing more to say, and ends in order.
//!
//! Owns the order of things and the exit code. One task runs it; whatever waits here also waits for
//! a signal to stop.

use std::collections::VecDeque;
use std::io::{self, Write};

use chat_protocol::RoomName;
use chat_protocol::lane::PresenceChange;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::args::{Args, Command, CommandLine, Mode, Surroundings};
use crate::bot;
use crate::config::{self, Given, Places, Settings};
use crate::connect;
use crate::conversation::Conversation;
use crate::exit::{Exit, Failure};
use crate::input::{self, Input};
use crate::json::JsonSurface;
use crate::log::Log;
use crate::operation::{Operation, Request};
use crate::output::{Output, StandardSink};
use crate::pages;
use crate::report::{Refusal, Report};
use crate::shot::{self, Around};
use crate::stop::Stop;
use crate::surface::Surface;
use crate::terminal::Terminal;
use crate::text::{Clock, TextSurface};
use crate::trust;

pub(crate) mod ending;
mod screen;

/// Runs the program. Everything it has to say was said when it returns.
pub async fn run(line: CommandLine, around: Surroundings) -> Exit {
    let tasks = TaskTracker::new();
    let places = Places::of_process();
    let outcome = match &line.command {
        Some(Command::Bot(args)) => bot::run(args, &around, &tasks).await,
        Some(Command::Config(command)) => config::command::run(command, &line.environment, &places),
        Some(
            command @ (Command::Send(_) | Command::Tail(_) | Command::Ping(_) | Command::Doctor(_)),
        ) => {
            let around = Around {
                surroundings: &around,
                places: &places,
                environment: &line.environment,
            };
            shot::run(command, around, &tasks).await
        }
        Some(Command::Completions { shell }) => pages::completions(*shell),
        Some(Command::Man { dir }) => pages::man(dir.as_deref()),
        Some(Command::Trust(command)) => trust::run(command, &around, &places).await,
        None => converse(&line, &around, &tasks, &places).await,
    };
    outcome.unwrap_or_else(|failure| {
        let _ = writeln!(io::stderr().lock(), "{failure}");
        failure.exit
    })
}

async fn converse(
    line: &CommandLine,
    around: &Surroundings,
    tasks: &TaskTracker,
    places: &Places,
) -> Result<Exit, Failure> {
    let given = Given::of(&line.chat, &line.environment);
    let settings = config::load(&line.chat.config, &given, places)?;
    let mut args = line.chat.clone();
    settings.fill(&mut args);
    let log = Log::start(args.verbose);
    start(&args, &settings, around, tasks, &log).await
}

async fn start(
    args: &Args,
    settings: &Settings,
    around: &Surroundings,
    tasks: &TaskTracker,
    log: &Log,
) -> Result<Exit, Failure> {
    let system = |error: io::Error| {
        Failure::new(
            Exit::Failed,
            "system",
            "the system does not give what is needed",
        )
        .because(error.to_string())
    };
    let stop = Stop::listen(tasks).map_err(system)?;
    let mode = args.mode(around);
    let mut surface = surface(args, around, mode);
    let name = args.wanted_name(around);

    // Programs are told from the start; people see the first line when there is something to see.
    let mut output = match mode {
        Mode::Screen | Mode::Interactive => None,
        Mode::Plain | Mode::Json => Some(Output::spawn(StandardSink).map_err(system)?),
    };
    if let (Some(output), Mode::Json) = (&output, mode) {
        let connecting = Report::Connecting {
            targets: args.targets.clone(),
        };
        output.print(surface.render(&connecting, None)).await;
    }
    let connected = tokio::select! {
        connected = connect::connect(&args.targets, &args.connect, name.as_ref()) => connected,
        () = stop.asked() => return Ok(stop.exit()),
    };
    let (client, events) = match connected {
        Ok(connected) => connected,
        Err(failure) => {
            if let (Some(output), Mode::Json) = (output.take(), mode) {
                let refusal = Refusal::local(failure.code, failure.what.clone());
                let bye = Report::Bye {
                    code: failure.exit.code(),
                    reason: "no_connection",
                };
                for report in [
                    Report::Refused {
                        reference: None,
                        refusal,
                    },
                    bye,
                ] {
                    output.print(surface.render(&report, None)).await;
                }
                let _ = output.finish().await;
            }
            return Err(failure);
        }
    };

    let history_len = args.history_len(around);
    // In the background, or without a terminal to open, lines still work.
    if mode == Mode::Screen
        && let Ok(tui) = screen::open(args, settings, around)
    {
        let conversation = Conversation::new(client, events, history_len, name);
        return Ok(screen::talk(tui, conversation, args, &stop, log).await);
    }
    let can_edit = matches!(mode, Mode::Screen | Mode::Interactive) && !around.is_dumb;
    let opened = if can_edit {
        Terminal::open(args.palette(around)).ok()
    } else {
        None
    };
    let (terminal, inputs, output) = match (opened, output) {
        (Some((terminal, inputs, sink)), _) => {
            (Some(terminal), inputs, Output::spawn(sink).map_err(system)?)
        }
        (None, Some(output)) => (None, input::spawn().map_err(system)?, output),
        (None, None) => {
            let output = Output::spawn(StandardSink).map_err(system)?;
            (None, input::spawn().map_err(system)?, output)
        }
    };
    log.redirect(output.sender());
    let mut app = App {
        surface,
        output,
        terminal,
        stop,
        conversation: Conversation::new(client, events, history_len, name),
        opening: args.rooms.iter().cloned().collect(),
        inputs,
        backlog: VecDeque::new(),
        number: 0,
        worst: Exit::Done,
        is_piped: mode == Mode::Plain,
    };
    let ending = app.talk().await;
    Ok(app.end(ending, args).await)
}

fn surface(args: &Args, around: &Surroundings, mode: Mode) -> Surface {
    let palette = args.palette(around);
    match mode {
        Mode::Screen | Mode::Interactive => {
            Surface::Typed(TextSurface::new(palette, Clock::Local(TimeZone::system())))
        }
        Mode::Plain => Surface::Piped {
            text: TextSurface::new(palette, Clock::Utc),
            is_raw: args.raw,
        },
        Mode::Json => Surface::Json(JsonSurface),
    }
}

struct App {
    surface: Surface,
    output: Output,
    terminal: Option<Terminal>,
    stop: Stop,
    conversation: Conversation,
    /// Rooms that are still to be joined at the start.
    opening: VecDeque<RoomName>,
    inputs: mpsc::Receiver<Input>,
    /// Input that waits for what is under way.
    backlog: VecDeque<Input>,
    /// Number of the last input that was taken.
    number: u64,
    /// The exit code if nothing worse happens.
    worst: Exit,
    is_piped: bool,
}

/// Why the talk is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    /// There is no more input.
    EndOfInput,
    /// The user wants to go.
    Quit,
    /// A key or a signal asks to go at once.
    Stopped(Exit),
    /// Nobody reads the output any more.
    OutputGone,
    /// The node ended the session.
    Closed,
    /// No room could be joined, and nothing can be said.
    NoRoom,
}

impl App {
    /// Shows reports and performs operations until there is a reason to end.
    async fn talk(&mut self) -> Ending {
        loop {
            if self.conversation.is_idle()
                && let Some(ending) = self.go_on()
            {
                return ending;
            }
            let can_wait = self.backlog.len() < BACKLOG_LEN_MAX;
            tokio::select! {
                report = self.conversation.next() => {
                    let Some(report) = report else { return Ending::Closed };
                    let is_closed = matches!(report, Report::Closed { .. });
                    self.show(report).await;
                    if is_closed {
                        return Ending::Closed;
                    }
                }
                input = self.inputs.recv(), if can_wait => match input {
                    Some(Input::Interrupt) => return Ending::Stopped(Exit::Interrupted),
                    Some(Input::InterruptOnce) => self.remark("press Ctrl-C again to leave").await,
                    Some(Input::Choices(words)) => self.remark(&words.join("  ")).await,
                    input => self.backlog.push_back(input.unwrap_or(Input::End)),
                },
                () = self.stop.asked() => return Ending::Stopped(self.stop.exit()),
                () = self.output.broken().cancelled() => return Ending::OutputGone,
            }
        }
    }

    /// Does what comes next when nothing is under way: joins the rooms of the start, then what was
    /// typed. Gives the reason to end, if that is next.
    fn go_on(&mut self) -> Option<Ending> {
        if let Some(room) = self.opening.pop_front() {
            let operation = Operation::Join {
                room,
                history: None,
            };
            self.conversation.perform(Request {
                reference: None,
                operation,
            });
            return None;
        }
        if self.is_piped && !self.conversation.is_in_a_room() && self.worst != Exit::Done {
            return Some(Ending::NoRoom);
        }
        while self.conversation.is_idle() {
            let Some(input) = self.backlog.pop_front() else {
                self.set_ready();
                return None;
            };
            match input {
                Input::Line { number, text } => {
                    self.number = number;
                    match self.surface.parse(number, &text) {
                        Ok(Some(Request {
                            operation: Operation::Quit,
                            ..
                        })) => {
                            return Some(Ending::Quit);
                        }
                        Ok(Some(request)) => self.conversation.perform(request),
                        Ok(None) => {}
                        Err(report) => self.conversation.tell(*report),
                    }
                }
                Input::Bad { number, problem } => {
                    self.conversation
                        .tell(self.surface.bad_input(number, problem));
                }
                Input::End => return Some(Ending::EndOfInput),
                Input::Interrupt | Input::InterruptOnce | Input::Choices(_) => {}
            }
        }
        None
    }

    fn set_ready(&self) {
        if let Some(terminal) = &self.terminal {
            let place = self
                .conversation
                .current()
                .map_or_else(String::new, ToString::to_string);
            terminal.set_ready(self.number, &format!("{}> ", crate::clean::line(&place)));
        }
    }

    async fn show(&mut self, report: Report) {
        self.learn(&report);
        if let Report::Refused { refusal, .. } | Report::NotSent { refusal, .. } = &report
            && self.is_piped
            && self.worst != Exit::Usage
        {
            let is_input = matches!(refusal.code.as_str(), "bad_input" | "bad_command");
            self.worst = if is_input { Exit::Usage } else { Exit::Failed };
        }
        let columns = if self.terminal.is_some() {
            Terminal::columns()
        } else {
            None
        };
        let lines = self.surface.render(&report, columns);
        tokio::select! {
            () = self.output.print(lines) => {}
            // A reader that does not read must not keep the program from ending.
            () = self.stop.asked() => {}
        }
    }

    async fn remark(&mut self, text: &str) {
        self.show(Report::Help {
            lines: vec![text.to_owned()],
        })
        .await;
    }

    /// Teaches Tab the words of a report.
    fn learn(&self, report: &Report) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        terminal.change_words(|words| match report {
            Report::Joined { place, .. } if place.direct.is_none() => {
                words.add_room(place.room.as_str());
            }
            Report::Rooms { rooms, .. } => {
                rooms
                    .iter()
                    .for_each(|room| words.add_room(room.name.as_str()));
            }
            Report::Members { members, .. } => {
                members
                    .iter()
                    .for_each(|member| words.add_user(member.as_str()));
            }
            Report::Message {
                message,
                own: false,
                ..
            } => {
                words.add_user(message.author.name.as_str());
            }
            Report::Presence { changes, .. } => {
                for change in changes {
                    match change {
                        PresenceChange::Joined(name) => words.add_user(name.as_str()),
                        PresenceChange::Left(name) => words.remove_user(name.as_str()),
                        PresenceChange::Renamed { from, to } => {
                            words.remove_user(from.as_str());
                            words.add_user(to.as_str());
                        }
                    }
                }
            }
            _ => {}
        });
    }
}

/// Input taken in while something is under way.
const BACKLOG_LEN_MAX: usize = 64;
