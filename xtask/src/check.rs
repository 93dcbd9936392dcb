//! Format, lints and documentation, each with warnings denied.

use std::process::Command;

use anyhow::Result;

use crate::step;

/// Runs the three checks, the quickest first.
///
/// # Errors
/// At the first check that finds something, after its own report.
pub(crate) fn run() -> Result<()> {
    add_missing_components()?;
    step::run(step::cargo().args(["fmt", "--all", "--check"]))?;
    step::run(
        step::cargo()
            .args(["clippy", "--workspace", "--all-targets", "--locked", "--"])
            .args(["--deny", "warnings"]),
    )?;
    step::run(
        step::cargo()
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

/// Adds rustfmt and clippy where a minimal toolchain came without them.
fn add_missing_components() -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !step::succeeds(step::cargo().args([subcommand, "--version"])) {
            step::say(&format!(
                "`cargo {subcommand}` is missing, adding it with rustup"
            ));
            step::run_beside_stdout(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}
