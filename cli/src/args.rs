//! The command line and the environment, read once at the start.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, io};

use chat_protocol::limits::HISTORY_LEN_MAX;
use chat_protocol::{RoomName, UserName};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::bot::args::BotArgs;
use crate::config::ConfigArgs;
use crate::config::command::ConfigCommand;
use crate::exit::EXIT_CODES;
use crate::palette::Palette;
use crate::shot::doctor::DoctorArgs;
use crate::shot::ping::PingArgs;
use crate::shot::send::SendArgs;
use crate::shot::tail::TailArgs;
use crate::trust::TrustCommand;

/// Chat in the terminal, in a pipe, or as JSON lines.
///
/// On a terminal: type a message, Enter sends it; /help lists the commands. In a pipe every line
/// of standard input is a message, and what is said in the rooms goes to standard output; the end
/// of input waits for the acks of what was sent.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "chat-cli",
    version,
    after_help = EXIT_CODES,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct CommandLine {
    /// Something else than a conversation.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to talk.
    #[command(flatten)]
    pub chat: Args,

    /// The arguments that came from the environment, by the names of their fields.
    #[arg(skip)]
    pub environment: Vec<String>,
}

impl CommandLine {
    /// Reads the arguments and the environment of this process. Ends it when they are wrong, with
    /// status 2, and after the help or the version, with status 0.
    #[must_use]
    pub fn read() -> Self {
        Self::try_read_from(env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads `arguments`, the first of which is the program, and the environment.
    ///
    /// # Errors
    /// What is wrong with them; the help and the version come as errors too, as clap has it.
    pub fn try_read_from(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(arguments)?;
        let environment = from_environment(&matches);
        let line = Self::from_arg_matches(&matches)?;
        Ok(Self {
            environment,
            ..line
        })
    }
}

/// The arguments of the innermost command that came from the environment.
fn from_environment(matches: &ArgMatches) -> Vec<String> {
    if let Some((_, matches)) = matches.subcommand() {
        return from_environment(matches);
    }
    let names = matches.ids().map(clap::Id::as_str);
    let is_environment = |name: &&str| matches.value_source(name) == Some(ValueSource::EnvVariable);
    names.filter(is_environment).map(str::to_owned).collect()
}

/// What the program does beside conversations.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Load a cluster and prove its delivery.
    ///
    /// Connects clients to the targets, has them join rooms and send messages at a fixed rate,
    /// whether or not the cluster keeps up, and accounts for every message at every reader: lost,
    /// duplicated, reordered, corrupted. Latency counts from when a message was due.
    ///
    /// Ends with 0 when everything was delivered and every --assert holds, 98 when the delivery was
    /// wrong or not all of it could be proven, 99 when an assert failed. Ctrl-C or q end the load
    /// and wait for what is on its way.
    Bot(Box<BotArgs>),
    /// Send one message, and end when it is in the log.
    ///
    /// Prints nothing, with -v the place in the log, with --json the ack. Ends with 0 when the
    /// message is in the log, and with 7 when no ack came in time.
    Send(Box<SendArgs>),
    /// Follow a room without saying anything.
    ///
    /// Prints as a pipe does: messages to standard output, remarks to standard error.
    Tail(Box<TailArgs>),
    /// Measure how long a node takes to answer.
    Ping(Box<PingArgs>),
    /// Find out, step by step, what is wrong with the way to a node.
    ///
    /// Ends with the exit code of the first step that failed.
    Doctor(Box<DoctorArgs>),
    /// The configuration file: where it is, what applies, whether it is sound.
    ///
    /// A flag wins over the environment, that over the profile, that over the rest of the file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The nodes whose certificates you have checked.
    ///
    /// Of a node that is known its certificate counts and nothing else: when it shows another one
    /// the program ends with 4. Without --pin and --ca, and when a node is not known, the
    /// development CA is believed on this machine and the system's authorities elsewhere.
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Print what makes a shell complete this program's arguments.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual: a page for each command into DIR, or this program's to standard output.
    Man {
        /// The folder.
        dir: Option<PathBuf>,
    },
}

/// A conversation.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Nodes to connect to: PORT, HOST, HOST:PORT or quic://HOST:PORT. When one is gone the
    /// session moves on to another by itself. [default: 8081]
    #[arg(value_name = "TARGET", env = "CHAT_TARGET", value_delimiter = ',')]
    pub targets: Vec<String>,

    /// Your name. A name that is taken gets a suffix. [default: $USER]
    #[arg(long, short, env = "CHAT_NAME", value_name = "NAME")]
    pub name: Option<UserName>,

    /// A room to join; may be repeated. What you type goes to the first. [default: lobby]
    #[arg(long = "room", short, env = "CHAT_ROOM", value_name = "ROOM", value_delimiter = ',', value_parser = RoomName::parse)]
    pub rooms: Vec<RoomName>,

    /// How many past messages to show of each room. [default: 20 on a terminal, 0 in a pipe]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(HISTORY_LEN_MAX)))]
    pub history: Option<u32>,

    /// Plain lines, also on a terminal: what arrives is printed above the line being typed.
    #[arg(long, conflicts_with = "json")]
    pub plain: bool,

    /// JSON lines: events to standard output, operations from standard input.
    #[arg(long)]
    pub json: bool,

    /// In a pipe, send every line as it is, also those that begin with a slash.
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,

    /// Leave the mouse to the terminal.
    #[arg(long)]
    pub no_mouse: bool,

    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Whom to trust.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// How long to wait at the end for the acks of what was sent.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    pub ack_timeout: Duration,

    /// How long to keep reading the rooms after the end of input.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "0s")]
    pub linger: Duration,

    /// Whether to use colours; auto also respects NO_COLOR.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,

    /// Log to standard error what the connection does; twice for every frame.
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Whom to trust, and how long to wait for an answer.
#[derive(clap::Args, Clone, Debug)]
pub struct ConnectArgs {
    /// Trust nodes with a certificate of this authority (PEM), and no others.
    #[arg(long, env = "CHAT_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Trust the one node whose certificate has this SHA-256, in hex. Stronger than --ca. Without
    /// both a node is trusted by what is known of it (chat-cli trust).
    #[arg(long, env = "CHAT_PIN", value_name = "SHA256")]
    pub pin: Option<String>,

    /// Where the development certificates are. They are trusted for this machine only.
    #[arg(long, env = "CHAT_CERTS", value_name = "DIR")]
    pub certs: Option<PathBuf>,

    /// How long to try to reach a node at the start.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "3s")]
    pub connect_timeout: Duration,
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal that can, unless NO_COLOR is set.
    Auto,
    /// Also in a pipe.
    Always,
    /// No escape codes at all.
    Never,
}

/// What the program is connected to, as far as it changes how it speaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Surroundings {
    /// Whether standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether NO_COLOR is set, and not empty, or the terminal has no colours by its name.
    pub no_color: bool,
    /// Whether the terminal understands nothing but lines.
    pub is_dumb: bool,
    /// The user's name on this machine.
    pub user: Option<String>,
}

impl Surroundings {
    /// What is around this process.
    #[must_use]
    pub fn of_process() -> Self {
        let var = |name| {
            env::var(name)
                .ok()
                .filter(|value: &String| !value.is_empty())
        };
        Self {
            stdin_is_terminal: io::stdin().is_terminal(),
            stdout_is_terminal: io::stdout().is_terminal(),
            no_color: var("NO_COLOR").is_some()
                || var("TERM").is_some_and(|term| is_monochrome(&term)),
            is_dumb: var("TERM").is_none_or(|term| term == "dumb"),
            user: var("USER"),
        }
    }
}

impl Surroundings {
    /// Whether to use colours on standard output.
    #[must_use]
    pub const fn palette(&self, wish: ColorWhen) -> Palette {
        let can = self.stdout_is_terminal && !self.no_color && !self.is_dumb;
        match wish {
            ColorWhen::Always => Palette::Colour,
            ColorWhen::Auto if can => Palette::Colour,
            ColorWhen::Auto | ColorWhen::Never => Palette::Bare,
        }
    }
}

/// Whether terminals of this name have no colours.
fn is_monochrome(term: &str) -> bool {
    term.starts_with("vt") || term.ends_with("-m") || term.ends_with("-mono")
}

/// How the program speaks and listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// With people, on the whole of a terminal.
    Screen,
    /// With people, line by line on a terminal.
    Interactive,
    /// With programs and files, line by line.
    Plain,
    /// With programs, in JSON.
    Json,
}

impl Args {
    /// How to speak, here.
    #[must_use]
    pub const fn mode(&self, around: &Surroundings) -> Mode {
        let is_terminal = around.stdin_is_terminal && around.stdout_is_terminal;
        match (self.json, is_terminal) {
            (true, _) => Mode::Json,
            (false, false) => Mode::Plain,
            (false, true) if self.plain || around.is_dumb => Mode::Interactive,
            (false, true) => Mode::Screen,
        }
    }

    /// How many past messages to ask for when joining a room.
    #[must_use]
    pub fn history_len(&self, around: &Surroundings) -> u32 {
        let is_watched = around.stdin_is_terminal && around.stdout_is_terminal && !self.json;
        self.history
            .unwrap_or(if is_watched { HISTORY_LEN_WATCHED } else { 0 })
    }

    /// The name to ask for; none lets the node choose.
    #[must_use]
    pub fn wanted_name(&self, around: &Surroundings) -> Option<UserName> {
        let user = || around.user.as_ref().and_then(|user| user.parse().ok());
        self.name.clone().or_else(user)
    }

    /// Whether to use colours, here.
    #[must_use]
    pub const fn palette(&self, around: &Surroundings) -> Palette {
        around.palette(self.color)
    }
}

/// Past messages shown when somebody watches: about a screen of them.
const HISTORY_LEN_WATCHED: u32 = 20;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(["chat-cli"].into_iter().chain(line.split_whitespace()))
    }

    fn args(line: &str) -> Args {
        parse(line).unwrap().chat
    }

    fn refusal(line: &str) -> String {
        parse(line).unwrap_err().to_string()
    }

    fn around(stdin_is_terminal: bool, stdout_is_terminal: bool) -> Surroundings {
        Surroundings {
            stdin_is_terminal,
            stdout_is_terminal,
            no_color: false,
            is_dumb: false,
            user: Some("ann".to_owned()),
        }
    }

    #[test]
    fn the_table_is_sound() {
        CommandLine::command().debug_assert();
        let help = CommandLine::command().render_long_help().to_string();
        for word in [
            "CHAT_TARGET",
            "CHAT_NAME",
            "CHAT_ROOM",
            "CHAT_CERTS",
            "CHAT_CA",
            "CHAT_PIN",
            "CHAT_CONFIG",
            "CHAT_PROFILE",
            "NO_COLOR",
            "Exit codes",
            "Chat in the terminal",
        ] {
            assert!(help.contains(word), "{word} is not in the help");
        }
        let mut command = CommandLine::command();
        let bot = command.find_subcommand_mut("bot").unwrap();
        let help = bot.render_long_help().to_string();
        for word in ["Latency counts", "98", "--allow-remote", "--scenario"] {
            assert!(help.contains(word), "{word} is not in the help of the bot");
        }
    }

    #[test]
    fn a_subcommand_is_told_from_targets() {
        assert!(parse("8081 8082").unwrap().command.is_none());
        let bot = parse("bot 8081,8082 8083 -c 200 --rate 2k/s --senders 10% --assert p99<20ms");
        let Some(Command::Bot(bot)) = bot.unwrap().command else {
            panic!("no bot");
        };
        assert_eq!(bot.targets, ["8081", "8082", "8083"]);
        assert_eq!((bot.clients, bot.asserts.len()), (Some(200), 1));
        assert!(refusal("bot").contains("<TARGET>"));
        assert!(refusal("bot 8081 --rate fast").contains("200/s"));
        assert!(refusal("bot 8081 -n 5 -z 5s").contains("cannot be used with"));
    }

    #[test]
    fn arguments_are_read() {
        let default = args("");
        // What is not given is decided with the configuration.
        assert!(default.targets.is_empty() && default.rooms.is_empty());
        assert_eq!(default.connect.connect_timeout, Duration::from_secs(3));
        let full = args(
            "8081,node:9000 quic://other --name bo --room #Dev --room ops --history 5 --json --linger 2s",
        );
        assert_eq!(full.targets, ["8081", "node:9000", "quic://other"]);
        assert_eq!(full.rooms, ["dev".parse().unwrap(), "ops".parse().unwrap()]);
        assert_eq!(
            (full.history, full.json, full.linger),
            (Some(5), true, Duration::from_secs(2))
        );
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert!(refusal("--name [SERVER]").contains("'[' cannot be there"));
        assert!(refusal("--room a{b").contains("'{' cannot be there"));
        assert!(refusal("--history 1001").contains("1001"));
        assert!(refusal("--plain --json").contains("cannot be used with"));
        assert!(refusal("--linger soon").contains("soon"));
        assert!(refusal("--color pink").contains("pink"));
    }

    #[test]
    fn the_mode_follows_the_terminal() {
        for (line, stdin, stdout, mode, history_len) in [
            ("", true, true, Mode::Screen, 20),
            ("", false, true, Mode::Plain, 0),
            ("", true, false, Mode::Plain, 0),
            ("--plain", true, true, Mode::Interactive, 20),
            ("--plain", true, false, Mode::Plain, 0),
            ("--json", true, true, Mode::Json, 0),
            ("--json --history 7", false, false, Mode::Json, 7),
            ("--history 0", true, true, Mode::Screen, 0),
        ] {
            let around = around(stdin, stdout);
            assert_eq!(args(line).mode(&around), mode, "{line} {around:?}");
            assert_eq!(
                args(line).history_len(&around),
                history_len,
                "{line} {around:?}"
            );
        }
    }

    #[test]
    fn a_terminal_without_a_cursor_is_no_screen() {
        let dumb = Surroundings {
            is_dumb: true,
            ..around(true, true)
        };
        assert_eq!(args("").mode(&dumb), Mode::Interactive);
        assert_eq!(args("--json").mode(&dumb), Mode::Json);
    }

    #[test]
    fn colours_need_a_terminal_that_wants_them() {
        let terminal = around(true, true);
        assert_eq!(args("").palette(&terminal), Palette::Colour);
        assert_eq!(args("--color never").palette(&terminal), Palette::Bare);
        assert_eq!(args("").palette(&around(true, false)), Palette::Bare);
        assert_eq!(
            args("--color always").palette(&around(true, false)),
            Palette::Colour
        );
        assert_eq!(
            args("").palette(&Surroundings {
                no_color: true,
                ..terminal.clone()
            }),
            Palette::Bare
        );
        assert_eq!(
            args("").palette(&Surroundings {
                is_dumb: true,
                ..terminal
            }),
            Palette::Bare
        );
    }

    #[test]
    fn the_name_is_the_users_if_it_can_be() {
        let ann = around(true, true);
        assert_eq!(args("").wanted_name(&ann), "ann".parse().ok());
        assert_eq!(args("--name bo").wanted_name(&ann), "bo".parse().ok());
        let odd = Surroundings {
            user: Some("DOMAIN\\ann".to_owned()),
            ..ann
        };
        assert_eq!(args("").wanted_name(&odd), None);
    }
}
