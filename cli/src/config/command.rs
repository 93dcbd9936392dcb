//! `chat-cli config`: where the file is, what applies and why, whether it is sound, a first one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::settings::Row;
use super::{
    ConfigArgs, Given, Places, Settings, fault, file, load, named, read_bounded, template,
};
use crate::args::Args;
use crate::clean;
use crate::exit::{Exit, Failure};

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print where the configuration file is, or would be.
    Path(ConfigArgs),
    /// Print every value that applies, and where it comes from.
    ///
    /// Takes the same flags as a conversation, to see what they change. The output is a
    /// configuration file itself.
    Show(Box<Args>),
    /// Check a configuration file; ends with 8 when there is something wrong with it.
    Check {
        /// The file. [default: the one in use]
        file: Option<PathBuf>,
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Write a configuration file with every key in it, as comments. Never overwrites one.
    Init {
        /// The file. [default: the one in use]
        file: Option<PathBuf>,
        /// Write to standard output instead.
        #[arg(long, conflicts_with = "file")]
        print: bool,
        /// Which configuration.
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Runs `chat-cli config`.
///
/// # Errors
/// What is wrong with the file, or with writing one.
pub fn run(
    command: &ConfigCommand,
    environment: &[String],
    places: &Places,
) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Path(config) => {
            print(&format!("{}\n", path(None, config, places)?.display()))
        }
        ConfigCommand::Show(args) => {
            let settings = load(&args.config, &Given::of(args, environment), places)?;
            print(&shown(&settings))
        }
        ConfigCommand::Check { file, config } => check(&path(file.as_deref(), config, places)?),
        ConfigCommand::Init { print: true, .. } => print(&template::text()),
        ConfigCommand::Init { file, config, .. } => init(&path(file.as_deref(), config, places)?),
    }
}

fn path(file: Option<&Path>, config: &ConfigArgs, places: &Places) -> Result<PathBuf, Failure> {
    let path = file.or_else(|| named(config)).map(Path::to_owned);
    path.or_else(|| places.config_file()).ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "config",
            "there is no place for a configuration file",
        )
        .because("neither $XDG_CONFIG_HOME nor a home directory is known")
        .try_this("name one: --config FILE")
    })
}

/// Every value with where it comes from, side by side where they are short.
fn shown(settings: &Settings) -> String {
    let mut lines: Vec<(String, String)> = vec![];
    let mut section = "";
    for Row {
        section: of,
        key,
        value,
        source,
    } in &settings.rows
    {
        if *of != section {
            section = of;
            lines.push((String::new(), String::new()));
            lines.push((format!("[{section}]"), String::new()));
        }
        let key = clean::line(key);
        let line = match value {
            Some(value) => format!("{key} = {}", clean::line(value)),
            None => format!("#{key} ="),
        };
        lines.push((line, format!("# {source}")));
    }
    let width = lines.iter().map(|(line, _)| line.chars().count());
    let width = width.filter(|width| *width <= WIDTH_MAX).max().unwrap_or(0);
    let file = match &settings.file {
        Some(path) => format!("# lines are of {}\n", clean::line(&path.to_string_lossy())),
        None => "# there is no configuration file\n".to_owned(),
    };
    let body = lines.iter().map(|(line, source)| {
        let text = format!("{line:<width$}  {source}");
        text.trim_end().to_owned() + "\n"
    });
    file + &body.collect::<String>()
}

fn check(path: &Path) -> Result<Exit, Failure> {
    let text = read_bounded(path).map_err(|error| super::unreadable(path, &error))?;
    let Err(faults) = file::parse(&text) else {
        return print(&format!("{}: nothing is wrong\n", path.display()));
    };
    let (last, before) = faults
        .split_last()
        .map_or((&[][..], &[][..]), |(last, before)| {
            (std::slice::from_ref(last), before)
        });
    for one in before {
        let failure = fault::failure(path, std::slice::from_ref(one));
        let _ = writeln!(io::stderr().lock(), "{failure}");
    }
    Err(fault::failure(path, last))
}

fn init(path: &Path) -> Result<Exit, Failure> {
    let refuse = |error: &io::Error| {
        let what = format!("{} cannot be written", path.display());
        let failure = Failure::new(Exit::Failed, "config", what).because(error.to_string());
        if error.kind() == io::ErrorKind::AlreadyExists {
            return failure
                .try_this("see what a new one would have:  chat-cli config init --print");
        }
        failure.try_this("name another place:  chat-cli config init FILE")
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|error| refuse(&error))?;
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| refuse(&error))?;
    file.write_all(template::text().as_bytes())
        .map_err(|error| refuse(&error))?;
    print(&format!("{}\n", path.display()))
}

/// Prints to standard output; a reader that has gone is no failure.
pub(crate) fn print(text: &str) -> Result<Exit, Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let what = "standard output cannot be written";
            Err(Failure::new(Exit::Failed, "system", what).because(error.to_string()))
        }
        _ => Ok(Exit::Done),
    }
}

/// Longer lines do not push the column of sources to the right.
const WIDTH_MAX: usize = 60;
