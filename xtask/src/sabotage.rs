//! Breaks the node on purpose, one promise at a time, and expects the tests to notice.
//!
//! The edits are made in a copy of the workspace inside the target folder; the sources stay as they
//! are, and no release carries a switch to do harm. All edits are in one build, which
//! `CHAT_SABOTAGE` tells which of them to take.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::{folders, redis, step};

mod list;

use list::{Edit, PREPARATIONS, SABOTAGES, Sabotage, TEST_BINARIES};

/// Builds the copy, shows that it passes while nothing is broken, and then that each sabotage is
/// noticed.
///
/// # Errors
/// When the copy cannot be built, when an edit does not find its place, or when a sabotage is not
/// noticed.
pub(crate) fn run() -> Result<()> {
    let server = redis::find_or_install()?;
    let copy = Copy::make(&folders::workspace(), &folders::target().join("sabotage"))?;
    for sabotage in SABOTAGES {
        ensure!(TEST_BINARIES.contains(&sabotage.binary), "{sabotage:?}");
    }
    let mut build = copy.tests(&TEST_BINARIES);
    step::run(build.arg("--no-run"))?;

    let mut blind = Vec::new();
    for sabotage in SABOTAGES {
        let began = Instant::now();
        let unharmed = copy.run(sabotage, "", &server)?;
        ensure!(
            unharmed.passed,
            "`{}` fails while nothing is broken:\n{}",
            sabotage.test,
            unharmed.output
        );
        let harmed = copy.run(sabotage, sabotage.name, &server)?;
        let took = began.elapsed().as_secs_f64();
        if harmed.passed {
            step::say(&format!("NOT NOTICED: {} ({took:.1} s)", sabotage.name));
            blind.push(sabotage.name);
        } else {
            step::say(&format!(
                "noticed by {}: {} ({took:.1} s)",
                sabotage.binary, sabotage.name
            ));
        }
    }
    ensure!(
        blind.is_empty(),
        "the tests do not notice when {}",
        blind.join(", when ")
    );
    Ok(())
}

/// The workspace, edited.
struct Copy {
    folder: PathBuf,
    /// Where it is built: with the original, whose dependencies it has.
    target: PathBuf,
}

struct Outcome {
    passed: bool,
    output: String,
}

impl Copy {
    /// Brings the copy up to date. Files that stay as they were are not touched, so that only what
    /// changed is built again.
    fn make(from: &Path, to: &Path) -> Result<Self> {
        let mut edits: Vec<(Edit, String)> = Vec::new();
        for preparation in PREPARATIONS {
            let replace = preparation.replace.to_owned();
            edits.push((preparation.clone(), replace));
        }
        for Sabotage { name, edit, .. } in SABOTAGES {
            let condition = if edit.file.ends_with(".lua") {
                format!("SABOTAGE_NAME == '{name}'")
            } else {
                format!("crate::sabotaged({name:?})")
            };
            edits.push((edit.clone(), edit.replace.replace("SABOTAGED", &condition)));
        }
        let mut files = Vec::new();
        for part in PARTS {
            list_files(&from.join(part), &mut files)?;
        }
        let mut made = 0;
        for file in &files {
            let relative = file.strip_prefix(from).context("a file of the workspace")?;
            let mut content = fs::read(file)?;
            for (edit, replace) in edits
                .iter()
                .filter(|(edit, _)| Path::new(edit.file) == relative)
            {
                content = apply(edit, replace, &content)?;
                made += 1;
            }
            write_if_new(&to.join(relative), &content)?;
        }
        ensure!(
            made == edits.len(),
            "an edit is of a file that is not there"
        );
        Ok(Self {
            folder: to.to_owned(),
            target: folders::target(),
        })
    }

    /// Runs tests of some binaries. All of the workspace decides the features of dependencies, as
    /// in the original, or they would be built again.
    fn tests(&self, binaries: &[&str]) -> Command {
        let mut command = step::cargo();
        command
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .args(["test", "--workspace", "--locked"]);
        for binary in binaries {
            command.args(["--test", binary]);
        }
        command
    }

    fn run(&self, sabotage: &Sabotage, name: &str, server: &Path) -> Result<Outcome> {
        let output = self
            .tests(&[sabotage.binary])
            .args(["--", sabotage.test])
            .env("CHAT_SABOTAGE", name)
            .env("CHAT_SEEDS", SEEDS)
            .env(redis::SERVER_VARIABLE, server)
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("test result: ok. 0 passed") || !text.contains("test result:") {
            bail!(
                "{} has no test `{}`:\n{text}{}",
                sabotage.binary,
                sabotage.test,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Outcome {
            passed: output.status.success(),
            output: text.into_owned(),
        })
    }
}

fn apply(edit: &Edit, replace: &str, content: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(content).context(edit.file)?;
    let places = text.matches(edit.find).count();
    ensure!(
        places == 1,
        "{} has {places} places for an edit instead of one, see xtask/src/sabotage/list.rs:\n{}",
        edit.file,
        edit.find
    );
    Ok(text.replacen(edit.find, replace, 1).into_bytes())
}

fn list_files(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        list_files(&entry?.path(), files)?;
    }
    Ok(())
}

fn write_if_new(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content).with_context(|| path.display().to_string())
}

/// What a build of the tests needs of the workspace.
const PARTS: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "clippy.toml",
    "protocol",
    "client",
    "node",
    "cli",
    "xtask",
];

/// Runs of each climate of the simulation: each of the sabotages that it finds is found in the first few.
const SEEDS: &str = "60";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_has_one_place() {
        let edit = Edit {
            file: "a.rs",
            find: "b",
            replace: "",
        };
        assert_eq!(apply(&edit, "x", b"abc").unwrap(), b"axc");
        assert!(apply(&edit, "x", b"abb").is_err());
        assert!(apply(&edit, "x", b"a").is_err());
    }
}
