//! The operations that refer to an earlier message, field by field.
//!
//! The message is named as events name it, `{"epoch":"5eed","seq":41}`, as one text, `"5eed:41"`, by
//! its seq alone, or as `"last"` (of others) or `"own"` (of this session).

use chat_protocol::{Cursor, Epoch, Seq};
use serde::Deserialize;
use serde_json::Value;

use super::operation::{fields, parse_room, parse_text};
use crate::operation::{Operation, Which};

/// Reads `reply`, `edit`, `delete` or `react`; none when it is another operation.
pub(super) fn operation(op: &str, value: &Value) -> Result<Option<Operation>, String> {
    Ok(Some(match op {
        "reply" => {
            let Reply { room, to, text } = fields(value)?;
            Operation::Reply {
                room: room.as_deref().map(parse_room).transpose()?,
                to: which("to", to, Which::Last)?,
                text: parse_text(text)?,
            }
        }
        "edit" => {
            let Edit { room, of, text } = fields(value)?;
            Operation::Edit {
                room: room.as_deref().map(parse_room).transpose()?,
                of: which("of", of, Which::LastOwn)?,
                text: parse_text(text)?,
            }
        }
        "delete" => {
            let Delete { room, of } = fields(value)?;
            Operation::Delete {
                room: room.as_deref().map(parse_room).transpose()?,
                of: which("of", of, Which::LastOwn)?,
            }
        }
        "react" => {
            let React {
                room,
                to,
                reaction,
                on,
            } = fields(value)?;
            Operation::React {
                room: room.as_deref().map(parse_room).transpose()?,
                to: which("to", to, Which::Last)?,
                reaction: reaction
                    .parse()
                    .map_err(|error| format!("reaction: {error}"))?,
                on,
            }
        }
        _ => return Ok(None),
    }))
}

#[derive(Deserialize)]
struct Reply {
    room: Option<String>,
    to: Option<Value>,
    text: String,
}

#[derive(Deserialize)]
struct Edit {
    room: Option<String>,
    of: Option<Value>,
    text: String,
}

#[derive(Deserialize)]
struct Delete {
    room: Option<String>,
    of: Option<Value>,
}

#[derive(Deserialize)]
struct React {
    room: Option<String>,
    to: Option<Value>,
    reaction: String,
    #[serde(default = "yes")]
    on: bool,
}

const fn yes() -> bool {
    true
}

fn which(field: &str, value: Option<Value>, default: Which) -> Result<Which, String> {
    let found = match &value {
        None | Some(Value::Null) => Some(default),
        Some(Value::String(text)) => match text.as_str() {
            "last" => Some(Which::Last),
            "own" => Some(Which::LastOwn),
            text => text.parse().ok().map(Which::Exactly),
        },
        Some(Value::Number(seq)) => seq.as_u64().map(|seq| Which::At(Seq(seq))),
        Some(Value::Object(place)) => {
            let epoch = place.get("epoch").and_then(Value::as_str);
            let epoch = epoch.and_then(|epoch| u64::from_str_radix(epoch, 16).ok());
            let seq = place.get("seq").and_then(Value::as_u64);
            epoch
                .zip(seq)
                .map(|(epoch, seq)| Which::Exactly(Cursor::new(Epoch(epoch), Seq(seq))))
        }
        Some(_) => None,
    };
    found.ok_or_else(|| {
        format!(
            "{field}: {{\"epoch\":EPOCH,\"seq\":SEQ}}, \"EPOCH:SEQ\", a seq, \"last\" or \"own\""
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_named_in_any_of_these_ways() {
        let at = Which::Exactly(Cursor::new(Epoch(0x5eed), Seq(41)));
        for (of, expected) in [
            (json!({"epoch": "5eed", "seq": 41}), at),
            (json!("5eed:41"), at),
            (json!(41), Which::At(Seq(41))),
            (json!("last"), Which::Last),
            (json!("own"), Which::LastOwn),
            (Value::Null, Which::LastOwn),
        ] {
            let value = json!({"op": "delete", "of": of});
            let expected = Operation::Delete {
                room: None,
                of: expected,
            };
            assert_eq!(operation("delete", &value), Ok(Some(expected)), "{of}");
        }
        for of in [
            json!(-1),
            json!("x"),
            json!([1]),
            json!({"seq": 4}),
            json!(1.5),
        ] {
            let problem = operation("delete", &json!({"of": of})).unwrap_err();
            assert!(problem.starts_with("of: "), "{problem}");
        }
    }

    #[test]
    fn each_operation_has_its_fields() {
        let text = || "hi".parse().unwrap();
        let room = Some("lobby".parse().unwrap());
        for (value, expected) in [
            (
                json!({"op": "reply", "room": "#lobby", "to": 3, "text": "hi"}),
                Operation::Reply {
                    room: room.clone(),
                    to: Which::At(Seq(3)),
                    text: text(),
                },
            ),
            (
                json!({"op": "edit", "text": "hi"}),
                Operation::Edit {
                    room: None,
                    of: Which::LastOwn,
                    text: text(),
                },
            ),
            (
                json!({"op": "react", "room": "lobby", "reaction": "👍"}),
                Operation::React {
                    room,
                    to: Which::Last,
                    reaction: "👍".parse().unwrap(),
                    on: true,
                },
            ),
            (
                json!({"op": "react", "reaction": "👍", "on": false}),
                Operation::React {
                    room: None,
                    to: Which::Last,
                    reaction: "👍".parse().unwrap(),
                    on: false,
                },
            ),
        ] {
            let op = value["op"].as_str().unwrap();
            assert_eq!(operation(op, &value), Ok(Some(expected)), "{value}");
        }
        for (value, problem) in [
            (json!({"op": "reply"}), "missing field `text`"),
            (json!({"op": "react"}), "missing field `reaction`"),
            (
                json!({"op": "react", "reaction": "a b"}),
                "reaction: character",
            ),
        ] {
            let op = value["op"].as_str().unwrap();
            assert!(
                operation(op, &value).unwrap_err().contains(problem),
                "{value}"
            );
        }
    }
}
