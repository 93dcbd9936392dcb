//! The files of a report. Whether they can be written is found out before the run, not after it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::args::BotArgs;
use super::report::html::Page;
use super::report::{Interval, Report, csv};
use crate::exit::{Exit, Failure};

/// Where the report goes.
#[derive(Debug)]
pub struct Files {
    json: Option<PathBuf>,
    html: Option<PathBuf>,
    csv: Option<Rows>,
}

#[derive(Debug)]
struct Rows {
    path: PathBuf,
    file: File,
    problem: Option<io::Error>,
}

impl Files {
    /// Makes sure that all files can be written, and begins the one that grows.
    ///
    /// # Errors
    /// Which file cannot be written, and why. Nothing was run then.
    pub fn open(args: &BotArgs) -> Result<Self, Failure> {
        for path in args
            .output
            .iter()
            .chain(&args.html)
            .filter(|path| !is_stdout(path))
        {
            // Not truncated: an older report is kept until there is a new one.
            let opened = OpenOptions::new().create(true).append(true).open(path);
            opened.map_err(|error| unwritable(path, &error))?;
        }
        let mut files = Self {
            json: args.output.clone(),
            html: args.html.clone(),
            csv: None,
        };
        if let Some(path) = &args.csv {
            let file = File::create(path).map_err(|error| unwritable(path, &error))?;
            let mut rows = Rows {
                path: path.clone(),
                file,
                problem: None,
            };
            rows.write(csv::header());
            files.csv = Some(rows);
        }
        Ok(files)
    }

    /// Writes a row.
    pub fn row(&mut self, interval: &Interval) {
        if let Some(rows) = &mut self.csv {
            rows.write(&csv::row(interval));
        }
    }

    /// Whether the report itself is what standard output is for.
    #[must_use]
    pub fn takes_stdout(&self) -> bool {
        self.json.as_deref().is_some_and(is_stdout)
    }

    /// Writes the report. Gives what was written, and what could not be.
    #[must_use]
    pub fn finish(self, report: &Report) -> (Vec<PathBuf>, Vec<Failure>) {
        let (mut written, mut failures) = (Vec::new(), Vec::new());
        let mut note = |path: PathBuf, outcome: io::Result<()>| match outcome {
            Ok(()) => written.push(path),
            Err(error) => failures.push(unwritable(&path, &error)),
        };
        if let Some(path) = self.json {
            let text = serde_json::to_string_pretty(report).map_err(io::Error::other);
            let outcome = text.and_then(|text| {
                if is_stdout(&path) {
                    return writeln!(io::stdout().lock(), "{text}");
                }
                replace(&path, &format!("{text}\n"))
            });
            note(path, outcome);
        }
        if let Some(path) = self.html {
            let outcome = replace(&path, &Page { report }.to_string());
            note(path, outcome);
        }
        if let Some(rows) = self.csv {
            let outcome = rows.problem.map_or(Ok(()), Err);
            note(rows.path, outcome);
        }
        (written, failures)
    }
}

impl Rows {
    /// Each row at once, so that a run that is cut short leaves what it had.
    fn write(&mut self, row: &str) {
        if self.problem.is_none() {
            self.problem = self.file.write_all(row.as_bytes()).err();
        }
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// A reader of the file sees the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if !path.is_file() {
        // A device or a pipe.
        return fs::write(path, text);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("the report cannot be written to {}", path.display());
    Failure::new(Exit::Failed, "unwritable", what)
        .because(error.to_string())
        .try_this("name a file in a folder that is there and may be written to")
}
