//! The configuration: flags, environment, profile, file and defaults, put together once at the start.
//!
//! `file` (pure) reads the text, `settings` (pure) decides what applies and remembers where it came
//! from, `command` is `chat-cli config`. The only reading of the file system is [`load`].

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

pub mod command;
pub mod fault;
pub mod file;
pub mod place;
pub mod settings;
pub mod template;
pub mod ui;

pub use place::Places;
pub use settings::{Given, Settings, Source, Sourced};
pub use ui::{Level, Notify, Theme, Ui};

/// Which configuration to use.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// Use this configuration file. [default: $XDG_CONFIG_HOME/chat/config.toml, or else
    /// ~/.config/chat/config.toml]
    #[arg(long, env = "CHAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Use this profile of the configuration file.
    #[arg(long, env = "CHAT_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,

    /// Frames and marks of ASCII alone.
    #[arg(long)]
    pub ascii: bool,
}

/// Reads the configuration file and decides what applies.
///
/// # Errors
/// When a file that was named cannot be read, when there is something wrong with the file, or when
/// it has no such profile.
pub fn load(args: &ConfigArgs, given: &Given<'_>, places: &Places) -> Result<Settings, Failure> {
    let read = read(args, places)?;
    let file = match &read {
        Some((path, text)) => {
            let file = file::parse(text).map_err(|faults| fault::failure(path, &faults))?;
            Some((path.as_path(), file))
        }
        None => None,
    };
    let file = file.as_ref().map(|(path, file)| (*path, file));
    settings::resolve(args, given, file, places)
}

/// The configuration file and its text; none when there is none and none was named.
fn read(args: &ConfigArgs, places: &Places) -> Result<Option<(PathBuf, String)>, Failure> {
    let named = named(args);
    let Some(path) = named.map(Path::to_owned).or_else(|| places.config_file()) else {
        return Ok(None);
    };
    match read_bounded(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// The file that was named, by flag or environment; an empty name is none.
fn named(args: &ConfigArgs) -> Option<&Path> {
    let path = args.config.as_deref();
    path.filter(|path| !path.as_os_str().is_empty())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("the configuration file {} cannot be read", path.display());
    Failure::new(Exit::CONFIG, "config", what)
        .because(error.to_string())
        .try_this(format!(
            "make one with every key in it:  chat-cli config init {}",
            path.display()
        ))
}

/// A text file of a size that somebody may have written.
///
/// # Errors
/// When it cannot be read, is longer than [`FILE_BYTES_MAX`], or is not UTF-8.
pub(crate) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let bytes = File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if bytes as u64 > FILE_BYTES_MAX {
        let text = format!("it has more than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(text)
}

/// Nobody writes a configuration, or knows nodes, beyond these bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_named_file_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            config_home: Some(dir.path().to_owned()),
            ..Places::default()
        };
        let mut args = ConfigArgs::default();
        let settings = load(&args, &Given::default(), &places).unwrap();
        assert_eq!(settings.targets.value, ["8081"]);
        assert_eq!(settings.file, None);

        let path = dir.path().join("chat/config.toml");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "target = \"node-7\"").unwrap();
        let settings = load(&args, &Given::default(), &places).unwrap();
        assert_eq!(settings.targets.value, ["node-7"]);
        assert_eq!(settings.file, Some(path.clone()));

        args.config = Some("".into());
        let settings = load(&args, &Given::default(), &places).unwrap();
        assert_eq!(settings.targets.value, ["node-7"], "an empty name is none");
        args.config = Some(dir.path().join("gone"));
        let failure = load(&args, &Given::default(), &places).unwrap_err();
        assert_eq!((failure.exit.code(), failure.code), (8, "config"));

        std::fs::write(&path, vec![b' '; 300 * 1024]).unwrap();
        args.config = None;
        let failure = load(&args, &Given::default(), &places).unwrap_err();
        assert!(failure.cause.unwrap().contains("262144"));
        std::fs::write(&path, "\n nam = 1").unwrap();
        let failure = load(&args, &Given::default(), &places).unwrap_err();
        assert!(
            failure.what.contains("config.toml:2:2: unknown key"),
            "{failure}"
        );
        assert_eq!(failure.help, ["did you mean `name`?"]);
    }
}
