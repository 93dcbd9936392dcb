//! The Redis that nodes relay through.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::network::Place;
use crate::process::{self, Process};

/// Starts a Redis that keeps nothing on disk, for all systems alike.
pub(super) fn start(program: &Path, place: &Place) -> Result<(Process, SocketAddr)> {
    let address = SocketAddr::new(place.address, process::free_port()?);
    let redis = Process::start("redis", place, program, |command| {
        command.args(["--port", &address.port().to_string()]);
        command.args(["--bind", &address.ip().to_string()]);
        command.args(["--protected-mode", "no", "--save", "", "--appendonly", "no"]);
    })?;
    redis.line_with("Ready to accept connections")?;
    Ok((redis, address))
}

/// Its version.
pub(super) fn version(program: &Path) -> Result<(String, String)> {
    let output = said_by(Command::new(program).arg("--version"))?;
    let version = output
        .split(' ')
        .find_map(|word| word.strip_prefix("v="))
        .unwrap_or(&output)
        .to_owned();
    Ok(("redis".to_owned(), version))
}

/// The first line a command prints.
pub(super) fn said_by(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{} does not run", command.get_program().display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
