//! The published schema of the events, and a check against it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// `docs/events.schema.json`.
pub(crate) struct EventSchema {
    document: Value,
    schemas: Schemas,
    index: SchemaIndex,
}

impl EventSchema {
    pub(crate) fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.schema.json");
        let document: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.add_resource(LOCATION, document.clone()).unwrap();
        let index = compiler.compile(LOCATION, &mut schemas).unwrap();
        Self {
            document,
            schemas,
            index,
        }
    }

    /// The event of a line, checked: it fits the schema, and the schema describes each of its fields.
    #[track_caller]
    pub(crate) fn check(&self, line: &str) -> Value {
        let event: Value = serde_json::from_str(line).unwrap();
        if let Err(error) = self.schemas.validate(&event, self.index) {
            panic!("{line} does not fit the schema: {error:#}");
        }
        let kind = event["type"].as_str().unwrap();
        let described = self.document["$defs"][kind]["properties"]
            .as_object()
            .unwrap();
        for field in event.as_object().unwrap().keys() {
            assert!(
                described.contains_key(field),
                "the schema does not describe {kind}.{field}"
            );
        }
        event
    }

    /// Every type of event.
    pub(crate) fn kinds(&self) -> BTreeSet<String> {
        let references = self.document["oneOf"].as_array().unwrap().iter();
        references
            .map(|item| {
                item["$ref"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }
}

const LOCATION: &str = "https://chat.invalid/events.schema.json";
