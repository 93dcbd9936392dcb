//! One step of a task: a command that is shown, run, and must succeed.
//!
//! Progress goes to standard error, so that standard output carries results only.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Says what happens next, or what was found out.
pub(crate) fn say(text: &str) {
    eprintln!("xtask: {text}");
}

/// The cargo that started this task, so that a chosen toolchain stays chosen.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// Shows `command`, runs it to its end, and fails unless it succeeds.
///
/// The command's output is passed on as it is; see [`run_beside_stdout`] for set-up.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = describe(command);
    eprintln!("xtask: $ {line}");
    let status = command
        .status()
        .with_context(|| format!("`{line}` cannot be started"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Like [`run`], with what the command prints sent to standard error.
///
/// For set-up inside a task whose standard output is its result.
pub(crate) fn run_beside_stdout(command: &mut Command) -> Result<()> {
    run(command
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr())))
}

/// Whether `command` can be started and succeeds; it prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The first executable file called `program` in the folders of `path` (the form of `PATH`).
pub(crate) fn find_program(program: &str, path: Option<OsString>) -> Option<PathBuf> {
    env::split_paths(&path?)
        .map(|folder| folder.join(program))
        .find(|candidate| is_executable(candidate))
}

/// Whether `path` is a file that may be executed.
#[cfg(unix)]
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Whether `path` is a file; elsewhere than on Unix there is no mode to ask.
#[cfg(not(unix))]
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// The command as a person would type it.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut line = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/usr/lib/cargo");
        command.args(["fmt", "--all", "--check"]);
        assert_eq!(describe(&command), "cargo fmt --all --check");
    }

    #[test]
    fn a_failing_command_is_named_with_its_status() {
        let error = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c exit 7` ended with exit status: 7"
        );
    }

    #[test]
    fn a_program_is_found_only_when_it_can_be_executed() {
        let path = || Some(OsString::from("/etc:/bin:/usr/bin"));
        assert!(find_program("sh", path()).is_some_and(|found| found.ends_with("bin/sh")));
        let sources = || Some(OsString::from(env!("CARGO_MANIFEST_DIR")));
        assert_eq!(
            find_program("Cargo.toml", sources()),
            None,
            "a file without the right"
        );
        assert_eq!(find_program("src", sources()), None, "a folder");
        assert_eq!(find_program("sh", None), None);
    }
}
