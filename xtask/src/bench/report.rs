//! Figures: printed as tables, kept as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::rig::Rig;
use super::{Settings, machine};
use crate::folders;

/// What a scenario found.
#[derive(Debug)]
pub(super) struct Table {
    /// What was done, and how to read it.
    about: String,
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
    /// What the rows show together.
    conclusions: Vec<String>,
}

/// A kind of figure.
#[derive(Debug)]
pub(super) struct Column {
    /// Its name in JSON.
    pub(super) key: &'static str,
    /// Its name above a table.
    pub(super) head: &'static str,
    /// Digits after the point in a table; JSON has all.
    pub(super) digits: usize,
}

impl Column {
    /// A column of figures, or of words.
    pub(super) const fn new(key: &'static str, head: &'static str, digits: usize) -> Self {
        Self { key, head, digits }
    }
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Number(f64),
    Text(String),
    /// There is none.
    Nothing,
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Table {
    /// A table without rows.
    pub(super) fn new(about: impl Into<String>, columns: &'static [Column]) -> Self {
        Self {
            about: about.into(),
            columns,
            rows: Vec::new(),
            conclusions: Vec::new(),
        }
    }

    /// Adds a row, with a cell for every column.
    pub(super) fn add(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// Adds what the rows show.
    pub(super) fn conclude(&mut self, text: String) {
        self.conclusions.push(text);
    }

    /// The numbers of a column.
    pub(super) fn numbers(&self, key: &str) -> Vec<f64> {
        let column = self.columns.iter().position(|column| column.key == key);
        let cells = self.rows.iter().filter_map(|row| row.get(column?));
        cells
            .filter_map(|cell| match cell {
                Cell::Number(number) => Some(*number),
                _ => None,
            })
            .collect()
    }

    /// Changes the last cell of every row.
    pub(super) fn fill_last(&mut self, of_row: impl Fn(usize) -> Cell) {
        for (index, row) in self.rows.iter_mut().enumerate() {
            if let Some(last) = row.last_mut() {
                *last = of_row(index);
            }
        }
    }

    fn markdown(&self, name: &str) -> String {
        let mut text = format!("## {name}\n\n{}\n\n", self.about);
        let heads: Vec<_> = self.columns.iter().map(|column| column.head).collect();
        let lines = self.columns.iter().enumerate().map(|(index, _)| {
            let is_text = |row: &Vec<Cell>| matches!(row.get(index), Some(Cell::Text(_)));
            if self.rows.iter().any(is_text) {
                "---"
            } else {
                "---:"
            }
        });
        text += &line(&heads);
        text += &line(&lines.collect::<Vec<_>>());
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(self.columns)
                .map(|(cell, column)| match cell {
                    Cell::Number(number) => grouped(*number, column.digits),
                    Cell::Text(text) => text.replace('|', "/"),
                    Cell::Nothing => String::new(),
                });
            text += &line(&cells.collect::<Vec<_>>());
        }
        for conclusion in &self.conclusions {
            text += &format!("\n{conclusion}\n");
        }
        text
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let cells = row.iter().zip(self.columns).map(|(cell, column)| {
                let value = match cell {
                    Cell::Number(number) => json!(number),
                    Cell::Text(text) => json!(text),
                    Cell::Nothing => Value::Null,
                };
                (column.key.to_owned(), value)
            });
            Value::Object(cells.collect::<Map<_, _>>())
        });
        json!({
            "about": self.about,
            "rows": rows.collect::<Vec<_>>(),
            "conclusions": self.conclusions,
        })
    }
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A number with its thousands set off.
pub(super) fn grouped(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = match whole.strip_prefix('-') {
        Some(whole) => ("-", whole),
        None => ("", whole),
    };
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// The middle one of some numbers; nothing of none.
pub(super) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (below, above) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted.get(below)? + sorted.get(above)?) / 2.0)
}

/// Prints a scenario's table, which is what the task is for.
#[expect(clippy::print_stdout, reason = "tables are what the task is asked for")]
pub(super) fn print(name: &str, table: &Table) {
    println!("{}", table.markdown(name));
}

/// All figures of a machine and a commit, in a file.
#[derive(Debug)]
pub(super) struct Results {
    path: PathBuf,
    /// Of what and where.
    origin: Map<String, Value>,
    scenarios: Map<String, Value>,
}

impl Results {
    /// Opens the file of this day's figures. Those of another machine or of other programs that it
    /// holds are not kept.
    ///
    /// # Errors
    /// When there is such a file and it cannot be read.
    pub(super) fn open(settings: &Settings, rig: &Rig) -> Result<Self> {
        let version = settings.label.clone().unwrap_or_else(machine::commit);
        let path = settings.output.clone().unwrap_or_else(|| {
            let date = Timestamp::now().strftime("%Y-%m-%d");
            let folder = folders::target().join("bench");
            folder.join(format!("{date}-{version}.json"))
        });
        let mut origin = Map::new();
        origin.insert("schema_version".to_owned(), json!(1));
        origin.insert("machine".to_owned(), machine::describe(&rig.redis));
        origin.insert("commit".to_owned(), json!(version));
        origin.insert("pinning".to_owned(), json!(rig.pins.to_string()));
        let scenarios = match path.exists() {
            true => earlier(&path, &origin)?,
            false => Map::new(),
        };
        Ok(Self {
            path,
            origin,
            scenarios,
        })
    }

    /// Where they are kept.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a scenario's figures and writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&mut self, name: &str, table: &Table, is_quick: bool) -> Result<()> {
        let mut figures = table.json();
        figures["measured"] = json!(Timestamp::now().strftime("%FT%TZ").to_string());
        figures["quick"] = json!(is_quick);
        self.scenarios.insert(name.to_owned(), figures);
        let mut all = self.origin.clone();
        all.insert("scenarios".to_owned(), json!(self.scenarios));
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&Value::Object(all))?;
        fs::write(&self.path, text + "\n").with_context(|| self.path.display().to_string())
    }
}

/// The scenarios in a file, if they are of the same origin.
fn earlier(path: &Path, origin: &Map<String, Value>) -> Result<Map<String, Value>> {
    let text = fs::read_to_string(path)?;
    let all: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let is_same = origin
        .iter()
        .all(|(key, value)| all.get(key) == Some(value));
    let scenarios = all.get("scenarios").and_then(Value::as_object);
    Ok(scenarios.filter(|_| is_same).cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column::new("rate_per_s", "rate /s", 0),
        Column::new("cost_us", "µs", 2),
        Column::new("remark", "", 0),
    ];

    fn table() -> Table {
        let mut table = Table::new("About it.", COLUMNS);
        table.add(vec![20_000.0.into(), 3.456.into(), "a|b".into()]);
        table.add(vec![1_000_000.0.into(), Cell::Nothing, "".into()]);
        table.conclude("So it is.".to_owned());
        table
    }

    #[test]
    fn a_table_is_markdown_and_json() {
        assert_eq!(
            table().markdown("name"),
            "## name\n\nAbout it.\n\n| rate /s | µs |  |\n| ---: | ---: | --- |\n\
             | 20,000 | 3.46 | a/b |\n| 1,000,000 |  |  |\n\nSo it is.\n"
        );
        let json = table().json();
        assert_eq!(json["rows"][0]["cost_us"], json!(3.456));
        assert_eq!(json["rows"][1]["cost_us"], Value::Null);
        assert_eq!(table().numbers("cost_us"), [3.456]);
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(grouped(999.4, 0), "999");
        assert_eq!(grouped(-1_234_567.0, 1), "-1,234,567.0");
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn figures_of_another_origin_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let results = |commit: &str| {
            let path = folder.path().join("below").join("file.json");
            let mut origin = Map::new();
            origin.insert("commit".to_owned(), json!(commit));
            let scenarios = match path.exists() {
                true => earlier(&path, &origin).unwrap(),
                false => Map::new(),
            };
            Results {
                path,
                origin,
                scenarios,
            }
        };
        results("one").keep("fanout", &table(), true).unwrap();
        results("one").keep("idle", &table(), true).unwrap();
        let names = |of: Results| of.scenarios.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(results("one")), ["fanout", "idle"]);
        assert!(names(results("two")).is_empty());
    }
}
