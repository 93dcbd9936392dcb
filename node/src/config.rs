//! The command line and the environment of `chat-node`, read once at the start.
//!
//! Every value is checked here: inside the node a configuration is valid by its type. A flag beats
//! its environment variable, which beats the default. A wrong value ends the process with status 2
//! and a message with what was given and what is wanted. Passwords never leave [`RedisUrl`] as
//! text: neither an error nor [`ServeConfig`]'s `Display` shows them.
//!
//! `main` calls [`parse`]; nothing else reads the environment or the arguments.

use std::env;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_protocol::limits::DATAGRAM_BYTES_MAX;
use chat_protocol::{NodeName, Text};
use clap::builder::{BoolishValueParser, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

mod redis_url;
mod value;

pub use redis_url::{InvalidRedisUrl, RedisUrl};
pub use value::{HostPort, InvalidHostPort, LogFilter, NoticeEvery};

use crate::endpoint;
use value::duration_within;

/// What the process is asked to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs a node (the default when no command is named).
    Serve(Box<ServeConfig>),
    /// Shows two nodes and two clients in one process, on ports 8081 and 8082, then stays up.
    Demo(DemoConfig),
    /// Asks a node whether messages flow: 0 = yes, 1 = no, with one line why.
    Health(HealthConfig),
    /// Makes the development certificates where they are missing and shows their fingerprints.
    Certs(CertsConfig),
}

/// Reads the arguments and the environment of this process.
///
/// On a wrong value this prints the error and ends the process with status 2; after `--help` or
/// `--version` it ends with status 0.
#[must_use]
pub fn parse() -> Command {
    try_parse_from(env::args_os()).unwrap_or_else(|error| error.exit())
}

/// Reads `arguments`, the first of which is the program, and the environment.
///
/// # Errors
/// [`clap::Error`] that says what was given and what is wanted, with secrets masked. The help and
/// the version come as errors too, as clap does it: [`clap::Error::exit_code`] tells them apart.
pub fn try_parse_from(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<Command, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let mut command = CommandLine::command();
    if names_subcommand(&command, &arguments) {
        // The flags of a node without the word `serve` are not asked for here, so neither is
        // their environment.
        command = command.mut_args(|argument| argument.env(Resettable::Reset));
    }
    let line = command
        .try_get_matches_from_mut(&arguments)
        .and_then(|matches| CommandLine::from_arg_matches(&matches))
        .map_err(|error| explain(error, &arguments))?;
    Ok(line
        .command
        .unwrap_or_else(|| Command::Serve(Box::new(line.serve))))
}

/// A chat node: clients reach it over QUIC, nodes relay to each other through Redis.
#[derive(Debug, Parser)]
#[command(
    name = "chat-node",
    version,
    about,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeConfig,
}

/// How a node runs. All durations are written like `500ms`, `30s` or `2m`.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct ServeConfig {
    /// Address to listen on for QUIC, which is UDP. A port alone means 127.0.0.1; port 0 takes a
    /// free one and prints it.
    #[arg(
        long,
        env = "CHAT_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8081",
        value_parser = value::listen_address
    )]
    pub listen: SocketAddr,

    /// Redis that connects the nodes, as redis://, rediss:// (TLS) or unix:// URL. Without it the
    /// node runs alone and keeps everything in its own memory.
    #[arg(
        long,
        env = "CHAT_REDIS_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub redis: Option<RedisUrl>,

    /// Starts every key and channel in Redis. Clusters that share a Redis need different ones.
    #[arg(
        long,
        env = "CHAT_REDIS_PREFIX",
        value_name = "PREFIX",
        default_value = "chat:",
        value_parser = value::redis_prefix
    )]
    pub redis_prefix: String,

    /// Starts although the Redis may drop acknowledged messages when its memory is full (any
    /// maxmemory-policy but noeviction, with a maxmemory).
    #[arg(long, env = "CHAT_ALLOW_EVICTION", value_parser = BoolishValueParser::new())]
    pub allow_eviction: bool,

    /// Name of this node in logs and for users [default: node-PORT]. Nodes on several hosts with
    /// one port should be given names.
    #[arg(long, env = "CHAT_NODE_NAME", value_name = "NODE")]
    pub name: Option<NodeName>,

    /// Directory of the development certificates. A plain relative name is looked for in
    /// $XDG_DATA_HOME/chat, then here, then in ~/.local/share/chat; start it with ./ to mean here.
    #[arg(long, env = "CHAT_CERTS", value_name = "DIR", default_value = "certs")]
    pub certs: PathBuf,

    /// Certificate chain in PEM, the node's own first, to be used instead of a development
    /// certificate. Needs --key.
    #[arg(long, env = "CHAT_CERT", value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,

    /// Private key of --cert in PEM. A file that everybody may read is refused.
    #[arg(long, env = "CHAT_KEY", value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,

    /// Starts with a development certificate although --listen is reachable from other machines.
    /// Whoever reads the certificate directory can then pretend to be this node.
    #[arg(long, env = "CHAT_ALLOW_DEV_CERT", value_parser = BoolishValueParser::new())]
    pub allow_dev_cert: bool,

    /// Address that clients are told to connect to when another node stops [default: the address
    /// listened on]. Needed where that address is not the one clients see.
    #[arg(long, env = "CHAT_ADVERTISE", value_name = "ADDR")]
    pub advertise: Option<HostPort>,

    /// Time between two periodic notices to everybody in the cluster, at least 1s, or `off`. They
    /// come once for the cluster, however many nodes ask for them.
    #[arg(
        long,
        env = "CHAT_NOTICE_EVERY",
        value_name = "TIME|off",
        default_value = "off"
    )]
    pub notice_every: NoticeEvery,

    /// Text of the periodic notice.
    #[arg(
        long,
        env = "CHAT_NOTICE_TEXT",
        value_name = "TEXT",
        default_value = "scheduled server notice"
    )]
    pub notice_text: Text,

    /// Time a stopping node gives its clients to move on, 1s to 1h. Longer delays a restart.
    #[arg(
        long,
        env = "CHAT_DRAIN_TIMEOUT",
        value_name = "TIME",
        default_value = "10s",
        value_parser = duration_within(Duration::from_secs(1), Duration::from_secs(3600))
    )]
    pub drain_timeout: Duration,

    /// Time after which a silent client is gone, 6s to 10m. Shorter notices crashed clients sooner
    /// and loses those on bad networks.
    #[arg(
        long,
        env = "CHAT_IDLE_TIMEOUT",
        value_name = "TIME",
        default_value = "15s",
        value_parser = duration_within(Duration::from_secs(6), Duration::from_secs(600))
    )]
    pub idle_timeout: Duration,

    /// Time a lost session may come back before its leave is announced, 0s to 5m.
    #[arg(
        long,
        env = "CHAT_GRACE",
        value_name = "TIME",
        default_value = "5s",
        value_parser = duration_within(Duration::ZERO, Duration::from_secs(300))
    )]
    pub grace: Duration,

    /// Time after which a node that is no longer heard of is dead and its members leave, 3s to
    /// 10m. Shorter notices crashes sooner and mistakes a slow Redis for one; below 12s a leave may
    /// be told of people who are just moving to another node.
    #[arg(
        long,
        env = "CHAT_LEASE",
        value_name = "TIME",
        default_value = "15s",
        value_parser = duration_within(Duration::from_secs(3), Duration::from_secs(600))
    )]
    pub lease: Duration,

    /// Time a publish waits for Redis before it is refused as one to be retried, 100ms to 1m.
    #[arg(
        long,
        env = "CHAT_APPEND_TIMEOUT",
        value_name = "TIME",
        default_value = "5s",
        value_parser = duration_within(Duration::from_millis(100), Duration::from_secs(60))
    )]
    pub append_timeout: Duration,

    /// Time a client may leave what it is sent unread, without taking a byte, before it is closed,
    /// 1s to 10m. Until then it costs the node about a megabyte and others nothing.
    #[arg(
        long,
        env = "CHAT_SLOW_READER_TIMEOUT",
        value_name = "TIME",
        default_value = "30s",
        value_parser = duration_within(Duration::from_secs(1), Duration::from_secs(600))
    )]
    pub slow_reader_timeout: Duration,

    /// Time a message may be kept back to be sent together with others, 0s to 100ms. Only a busy
    /// node keeps any, and no longer than its last round of sending took. Less answers sooner under
    /// load, more carries a higher load
    #[arg(
        long,
        env = "CHAT_LINGER",
        value_name = "TIME",
        default_value = "5ms",
        value_parser = duration_within(Duration::ZERO, Duration::from_millis(100))
    )]
    pub linger: Duration,

    /// Largest packet that is tried with a client, 1200 to 6500 bytes of UDP payload. Raise it where
    /// the network carries more than Ethernet's 1500 bytes (jumbo frames, one machine): a packet
    /// costs much the same whatever is in it. Where larger ones get lost, it costs some packets for
    /// each connection
    #[arg(
        long,
        env = "CHAT_MAX_DATAGRAM",
        value_name = "BYTES",
        default_value_t = endpoint::DATAGRAM_BYTES_ETHERNET,
        value_parser = clap::value_parser!(u16).range(1_200..=i64::from(DATAGRAM_BYTES_MAX))
    )]
    pub max_datagram: u16,

    /// Clients this node takes at a time, 1 to 1000000; more are refused and try another node.
    /// Bounds the node's memory.
    #[arg(
        long,
        env = "CHAT_MAX_CONNECTIONS",
        value_name = "N",
        default_value = "20000",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub max_connections: u32,

    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogConfig,
}

/// Where a node's certificate comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateSource<'a> {
    /// A development certificate, made on first use in this directory, which is still to be
    /// resolved.
    Development(&'a Path),
    /// A certificate of the operator's own.
    Files {
        /// Chain in PEM, the node's own certificate first.
        cert: &'a Path,
        /// Private key in PEM.
        key: &'a Path,
    },
}

impl ServeConfig {
    /// The name of the node: the given one, or `node-PORT` of the port it is `bound` to.
    #[must_use]
    pub fn node_name(&self, bound: SocketAddr) -> NodeName {
        self.name.clone().unwrap_or_else(|| {
            NodeName::try_from(format!("node-{}", bound.port()))
                .expect("`node-` and digits make a node name")
        })
    }

    /// What other nodes' clients are told to connect to, or `None` when this is not known: the
    /// node is `bound` to all addresses of its host and none was given.
    #[must_use]
    pub fn advertised(&self, bound: SocketAddr) -> Option<HostPort> {
        let own = (!bound.ip().is_unspecified()).then(|| HostPort::from(bound));
        self.advertise.clone().or(own)
    }

    /// Where the certificate comes from.
    #[must_use]
    pub fn certificate(&self) -> CertificateSource<'_> {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => CertificateSource::Files { cert, key },
            // One without the other is refused when the command line is parsed.
            _ => CertificateSource::Development(&self.certs),
        }
    }
}

/// The effective configuration in one line, with secrets masked.
impl Display for ServeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listen={}", self.listen)?;
        match &self.redis {
            Some(redis) => write!(
                f,
                " redis={redis} redis_prefix={} allow_eviction={}",
                self.redis_prefix, self.allow_eviction
            )?,
            None => write!(f, " redis=none")?,
        }
        match &self.name {
            Some(name) => write!(f, " name={}", name.as_str())?,
            None => write!(f, " name=node-PORT")?,
        }
        match self.certificate() {
            CertificateSource::Development(certs) => {
                write!(
                    f,
                    " certs={} allow_dev_cert={}",
                    certs.display(),
                    self.allow_dev_cert
                )?;
            }
            CertificateSource::Files { cert, key } => {
                write!(f, " cert={} key={}", cert.display(), key.display())?;
            }
        }
        if let Some(advertise) = &self.advertise {
            write!(f, " advertise={advertise}")?;
        }
        write!(f, " notice_every={}", self.notice_every)?;
        if self.notice_every != NoticeEvery::Off {
            write!(f, " notice_text={:?}", self.notice_text.as_str())?;
        }
        let time = humantime::format_duration;
        write!(
            f,
            " drain_timeout={} idle_timeout={} grace={} lease={} append_timeout={} slow_reader_timeout={} \
             linger={} max_datagram={}",
            time(self.drain_timeout),
            time(self.idle_timeout),
            time(self.grace),
            time(self.lease),
            time(self.append_timeout),
            time(self.slow_reader_timeout),
            time(self.linger),
            self.max_datagram,
        )?;
        write!(f, " max_connections={} {}", self.max_connections, self.log)
    }
}

/// How the demo runs.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct DemoConfig {
    /// Ends after the conversation, with status 0 when all of it arrived.
    #[arg(long)]
    pub exit: bool,

    /// Directory of the development certificates, as for a node.
    #[arg(long, env = "CHAT_CERTS", value_name = "DIR", default_value = "certs")]
    pub certs: PathBuf,

    /// What is logged, and how.
    #[command(flatten)]
    pub log: DemoLogConfig,
}

/// What a health check asks, and how it trusts the answer.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct HealthConfig {
    /// The node: a port of this machine, or HOST:PORT.
    #[arg(value_name = "TARGET", default_value = "127.0.0.1:8081")]
    pub target: HostPort,

    /// Directory of the development certificates, which are trusted on this machine only.
    #[arg(long, env = "CHAT_CERTS", value_name = "DIR", default_value = "certs")]
    pub certs: PathBuf,

    /// Certificate chain in PEM that the node must show, whatever name it is reached by. With the
    /// variable a health check in a node's container trusts that node's own certificate.
    #[arg(long, env = "CHAT_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,

    /// Time the whole check may take, 100ms to 1m.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "3s",
        value_parser = duration_within(Duration::from_millis(100), Duration::from_secs(60))
    )]
    pub timeout: Duration,
}

/// Which development certificates to make, and for whom.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct CertsConfig {
    /// Directory of the development certificates, as for a node.
    #[arg(long, env = "CHAT_CERTS", value_name = "DIR", default_value = "certs")]
    pub certs: PathBuf,

    /// Lets this group use the directory too, by its number, and gives every file to the owner of
    /// the directory. For containers that share it with the host, run as root.
    #[arg(long, value_name = "GID")]
    pub group: Option<u32>,
}

/// What a node logs, and how.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct LogConfig {
    /// What is logged: a level, or a filter such as `info,chat_node=debug`.
    #[arg(
        long = "log",
        env = "CHAT_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub filter: LogFilter,

    /// Form of the log: text on a terminal and JSON lines elsewhere (auto), or always one of them.
    #[arg(
        long = "log-format",
        env = "CHAT_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "auto"
    )]
    pub format: LogFormat,
}

impl Display for LogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.format {
            LogFormat::Auto => "auto",
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        write!(f, "log={} log_format={format}", self.filter)
    }
}

/// What the demo logs beside its conversation.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct DemoLogConfig {
    /// What is logged: a level, or a filter such as `info,chat_node=debug`.
    #[arg(
        long = "log",
        env = "CHAT_LOG",
        value_name = "FILTER",
        default_value = "warn"
    )]
    pub filter: LogFilter,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON lines elsewhere.
    Auto,
    /// Always text.
    Text,
    /// Always JSON lines.
    Json,
}

/// Whether the first argument is the word of a subcommand.
fn names_subcommand(command: &clap::Command, arguments: &[OsString]) -> bool {
    arguments
        .get(1)
        .and_then(|word| word.to_str())
        .is_some_and(|word| command.find_subcommand(word).is_some())
}

/// Masks what must not be shown, and names the environment variable a wrong value came from.
fn explain(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if !matches!(
        error.kind(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue
    ) {
        return error;
    }
    let text_of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let Some(flag) = text_of(ContextKind::InvalidArg) else {
        return error;
    };
    let flag = flag.split(' ').next().unwrap_or_default().to_owned();
    let value = text_of(ContextKind::InvalidValue);

    if flag == "--redis"
        && let Some(value) = value
    {
        let masked = redis_url::masked(&value);
        error.insert(ContextKind::InvalidValue, ContextValue::String(masked));
    }
    let is_flag_given = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .any(|argument| {
            argument == flag
                || argument
                    .strip_prefix(&flag)
                    .is_some_and(|rest| rest.starts_with('='))
        });
    if let (false, Some(variable)) = (is_flag_given, variable_of(&flag)) {
        let hint = format!("the value comes from the environment variable {variable}");
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![hint.into()]),
        );
    }
    error
}

/// The environment variable of `flag`, such as `--listen`.
fn variable_of(flag: &str) -> Option<String> {
    let command = CommandLine::command();
    let name = flag.strip_prefix("--")?;
    let argument = command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(name))?;
    Some(argument.get_env()?.to_string_lossy().into_owned())
}

/// Ends every help text.
const AFTER_HELP: &str = "\
Exit status:
  0  done; a node told to stop by a signal has drained
  1  another failure; health: not healthy
  2  wrong usage or a wrong value
  3  the address cannot be listened on
  4  the certificate or its key cannot be used
  5  Redis is required and refuses this node";

#[cfg(test)]
mod tests;
