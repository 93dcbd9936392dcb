//! The published schema describes the report: all of it, and nothing else.

use std::fs;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::{Ended, Report, Trust, Verdict, sample};

#[test]
fn every_report_fits_the_schema() {
    let schema = Schema::load();
    let default = Report {
        schema_version: 1,
        ..Report::default()
    };
    for report in [sample::passed(), sample::failed(), default] {
        schema
            .check(&serde_json::to_value(report).unwrap())
            .unwrap();
    }
    for (verdict, ended, trust) in [
        (Verdict::Pass, Ended::Done, Trust::Ok),
        (Verdict::Fail, Ended::Interrupted, Trust::LimitedByClient),
        (Verdict::Incomplete, Ended::ClusterGone, Trust::Ok),
    ] {
        let mut report = sample::passed();
        report.verdict = verdict;
        report.run.ended = ended;
        report.generator.trust = trust;
        schema
            .check(&serde_json::to_value(report).unwrap())
            .unwrap();
    }
}

#[test]
fn what_is_no_report_does_not_fit_the_schema() {
    let schema = Schema::load();
    let good = serde_json::to_value(sample::passed()).unwrap();
    for (field, wrong) in [
        ("/schema_version", json!(0)),
        ("/verdict", json!("passed")),
        ("/run", json!({})),
        ("/run/started", json!(5)),
        ("/run/ended", json!("crashed")),
        ("/lost", json!(-1)),
        ("/lost", json!("0")),
        // What is no number is written as null.
        ("/rate/acked_per_s", Value::Null),
        ("/latency_us/delivery/p99", json!(1.5)),
        ("/generator/trust", json!("maybe")),
        ("/targets/1/rtt_us", json!(310)),
        ("/errors/0/count", json!("2")),
        ("/asserts/0/passed", json!("yes")),
        ("/timeline/59/delivered", Value::Null),
        ("/timeline", json!([{}])),
    ] {
        let mut report = good.clone();
        *report.pointer_mut(field).unwrap() = wrong;
        assert!(schema.check(&report).is_err(), "{field} may be wrong");
    }
    // Later versions add.
    let mut report = good;
    report["run"]["weather"] = json!("fair");
    schema.check(&report).unwrap();
}

#[test]
fn every_field_is_described_and_nothing_else_is() {
    let schema = Schema::load();
    let report = serde_json::to_value(sample::failed()).unwrap();
    let fields = schema.walk("", &report, &schema.document);
    assert!(fields > 150, "the walk met {fields} fields only");
}

/// `docs/bot-report.schema.json`.
struct Schema {
    document: Value,
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bot-report.schema.json");
        let document: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let location = "https://chat.invalid/bot-report.schema.json";
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.add_resource(location, document.clone()).unwrap();
        let index = compiler.compile(location, &mut schemas).unwrap();
        Self {
            document,
            schemas,
            index,
        }
    }

    fn check(&self, report: &Value) -> Result<(), String> {
        (self.schemas.validate(report, self.index)).map_err(|error| format!("{error:#}"))
    }

    /// The schema that a reference means, or the same.
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
            None => schema,
        }
    }

    /// Compares a value with what is said about it, and counts its fields.
    fn walk(&self, path: &str, value: &Value, schema: &Value) -> usize {
        let schema = self.resolve(schema);
        match value {
            Value::Object(fields) => {
                let described = schema["properties"].as_object().unwrap();
                let required = schema["required"].as_array().unwrap();
                for name in described.keys() {
                    assert!(fields.contains_key(name), "{path}/{name} is never written");
                }
                assert_eq!(required.len(), fields.len(), "{path} is always whole");
                let of_fields = fields.iter().map(|(name, value)| {
                    let path = format!("{path}/{name}");
                    let described = described
                        .get(name)
                        .unwrap_or_else(|| panic!("{path} is not described"));
                    let text = described["description"].as_str().unwrap_or_default();
                    assert!(text.len() > 3, "{path} has no description");
                    assert!(required.contains(&json!(name)), "{path} is always there");
                    for (suffix, unit) in [
                        ("_us", "microseconds"),
                        ("_s", "second"),
                        ("_percent", "percent"),
                        ("_bytes", "bytes"),
                    ] {
                        if name.ends_with(suffix) {
                            assert!(text.contains(unit), "{path} does not say its unit, {unit}");
                        }
                    }
                    1 + self.walk(&path, value, described)
                });
                of_fields.sum()
            }
            Value::Array(values) => {
                assert!(!values.is_empty(), "the sample has nothing in {path}");
                let of_values = values
                    .iter()
                    .map(|value| self.walk(path, value, &schema["items"]));
                of_values.max().unwrap()
            }
            _ => 0,
        }
    }
}
