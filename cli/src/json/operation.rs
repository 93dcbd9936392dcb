//! The operations of the JSON surface: one object a line, `{"op":"send","ref":"a1","text":"hi"}`.

use chat_protocol::{Cursor, RoomName, Text, Topic, UserName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::refer;
use crate::operation::{HISTORY_LIMIT, HISTORY_LIMIT_MAX, Operation, Request, Style};

/// Reads an operation. An empty line is nothing to do. Fields that are not known are ignored.
///
/// # Errors
/// What is wrong with the line, for people, and the `ref` to answer to when it has one.
pub fn parse(line: &str) -> Result<Option<Request>, (Option<String>, String)> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let value: Value =
        serde_json::from_str(line).map_err(|error| (None, format!("not JSON: {error}")))?;
    if !value.is_object() {
        return Err((None, "an operation is a JSON object".to_owned()));
    }
    let reference = match value.get("ref") {
        None | Some(Value::Null) => None,
        Some(Value::String(reference)) if reference.len() <= REFERENCE_BYTES_MAX => {
            Some(reference.clone())
        }
        Some(_) => {
            let limit = format!("ref is a string of at most {REFERENCE_BYTES_MAX} bytes");
            return Err((None, limit));
        }
    };
    match operation(&value) {
        Ok(operation) => Ok(Some(Request {
            reference,
            operation,
        })),
        Err(problem) => Err((reference, problem)),
    }
}

fn operation(value: &Value) -> Result<Operation, String> {
    let op = match value.get("op") {
        Some(Value::String(op)) => op.as_str(),
        Some(_) => return Err("op is a string".to_owned()),
        None => return Err(format!("op is missing; one of {}", OPERATIONS.join(", "))),
    };
    Ok(match op {
        "send" => {
            let said: Said = fields(value)?;
            let style = if said.action {
                Style::Action
            } else {
                Style::Plain
            };
            Operation::Send {
                room: said.room()?,
                text: said.text()?,
                style,
            }
        }
        "me" | "action" => {
            let said: Said = fields(value)?;
            Operation::Send {
                room: said.room()?,
                text: said.text()?,
                style: Style::Action,
            }
        }
        "msg" => {
            let Direct { to, text } = fields(value)?;
            Operation::Direct {
                user: user("to", &to)?,
                text: text.map(parse_text).transpose()?,
            }
        }
        "join" => {
            let Join { room, history } = fields(value)?;
            Operation::Join {
                room: parse_room(&room)?,
                history,
            }
        }
        "part" | "leave" => Operation::Leave {
            room: fields::<InRoom>(value)?.room()?,
        },
        "who" | "names" => Operation::Members {
            room: fields::<InRoom>(value)?.room()?,
        },
        "history" => fields::<History>(value)?.operation()?,
        "rooms" => Operation::Rooms,
        "topic" => {
            let SetTopic { room, topic } = fields(value)?;
            let topic: Topic = topic.parse().map_err(|error| format!("topic: {error}"))?;
            let room = room.as_deref().map(parse_room).transpose()?;
            Operation::SetTopic { room, topic }
        }
        "nick" => Operation::Rename {
            name: user("nick", &fields::<Nick>(value)?.nick)?,
        },
        "ping" => Operation::Ping,
        "typing" => Operation::Typing {
            room: fields::<InRoom>(value)?.room()?,
        },
        "node" => Operation::Node,
        "reconnect" => Operation::Reconnect,
        "quit" => Operation::Quit,
        other => {
            if let Some(operation) = refer::operation(other, value)? {
                return Ok(operation);
            }
            let other: String = other.chars().take(24).collect();
            return Err(format!(
                "there is no op {other:?}; one of {}",
                OPERATIONS.join(", ")
            ));
        }
    })
}

pub(super) fn fields<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

pub(super) fn parse_room(room: &str) -> Result<RoomName, String> {
    // Direct rooms and the like are named in events as they are; nodes decide who may use them.
    room.parse()
        .or_else(|_| RoomName::parse(room))
        .map_err(|error| format!("room: {error}"))
}

pub(super) fn parse_text(text: String) -> Result<Text, String> {
    Text::try_from(text).map_err(|error| format!("text: {error}"))
}

fn user(field: &str, name: &str) -> Result<UserName, String> {
    name.parse().map_err(|error| format!("{field}: {error}"))
}

#[derive(Deserialize)]
struct Said {
    room: Option<String>,
    text: String,
    #[serde(default)]
    action: bool,
}

impl Said {
    fn room(&self) -> Result<Option<RoomName>, String> {
        self.room.as_deref().map(parse_room).transpose()
    }

    fn text(self) -> Result<Text, String> {
        parse_text(self.text)
    }
}

#[derive(Deserialize)]
struct InRoom {
    room: Option<String>,
}

impl InRoom {
    fn room(&self) -> Result<Option<RoomName>, String> {
        self.room.as_deref().map(parse_room).transpose()
    }
}

#[derive(Deserialize)]
struct History {
    room: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

impl History {
    fn operation(self) -> Result<Operation, String> {
        let limit = self.limit.unwrap_or(HISTORY_LIMIT);
        if !(1..=HISTORY_LIMIT_MAX).contains(&limit) {
            return Err(format!("limit: 1 to {HISTORY_LIMIT_MAX}"));
        }
        let before = self.before.map(|before| before.parse::<Cursor>());
        Ok(Operation::History {
            room: self.room.as_deref().map(parse_room).transpose()?,
            before: before
                .transpose()
                .map_err(|error| format!("before: {error}"))?,
            limit,
        })
    }
}

#[derive(Deserialize)]
struct Direct {
    to: String,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Join {
    room: String,
    history: Option<u32>,
}

#[derive(Deserialize)]
struct SetTopic {
    room: Option<String>,
    topic: String,
}

#[derive(Deserialize)]
struct Nick {
    #[serde(alias = "name")]
    nick: String,
}

/// Every operation, as the refusals list them.
pub const OPERATIONS: [&str; 19] = [
    "send",
    "me",
    "msg",
    "reply",
    "edit",
    "delete",
    "react",
    "join",
    "part",
    "names",
    "rooms",
    "history",
    "topic",
    "nick",
    "ping",
    "typing",
    "node",
    "reconnect",
    "quit",
];

/// Longest `ref`, in bytes: a long unique id, with room to spare.
const REFERENCE_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use chat_protocol::{Epoch, Seq};

    use super::*;

    fn request(line: &str) -> Request {
        parse(line).unwrap().unwrap()
    }

    #[test]
    fn operations_are_read() {
        let lobby: RoomName = "lobby".parse().unwrap();
        let text: Text = "hi".parse().unwrap();
        let send = |room, style| Operation::Send {
            room,
            text: text.clone(),
            style,
        };
        for (line, operation) in [
            (r#"{"op":"send","text":"hi"}"#, send(None, Style::Plain)),
            (
                r##"{"op":"send","room":"#lobby","text":"hi","later":1}"##,
                send(Some(lobby.clone()), Style::Plain),
            ),
            (
                r#"{"op":"me","room":"lobby","text":"hi"}"#,
                send(Some(lobby.clone()), Style::Action),
            ),
            (
                r#"{"op":"send","text":"hi","action":true}"#,
                send(None, Style::Action),
            ),
            (
                r#"{"op":"msg","to":"bo","text":"hi"}"#,
                Operation::Direct {
                    user: "bo".parse().unwrap(),
                    text: Some(text.clone()),
                },
            ),
            (
                r#"{"op":"join","room":"lobby","history":5}"#,
                Operation::Join {
                    room: lobby.clone(),
                    history: Some(5),
                },
            ),
            (
                r#"{"op":"part","room":"lobby"}"#,
                Operation::Leave {
                    room: Some(lobby.clone()),
                },
            ),
            (r#"{"op":"names"}"#, Operation::Members { room: None }),
            (r#"{"op":"rooms"}"#, Operation::Rooms),
            (
                r#"{"op":"history","room":"lobby","before":"5eed:41","limit":7}"#,
                Operation::History {
                    room: Some(lobby.clone()),
                    before: Some(Cursor::new(Epoch(0x5eed), Seq(41))),
                    limit: 7,
                },
            ),
            (
                r#"{"op":"history"}"#,
                Operation::History {
                    room: None,
                    before: None,
                    limit: HISTORY_LIMIT,
                },
            ),
            (
                r#"{"op":"topic","topic":"x"}"#,
                Operation::SetTopic {
                    room: None,
                    topic: "x".parse().unwrap(),
                },
            ),
            (
                r#"{"op":"nick","nick":"bo"}"#,
                Operation::Rename {
                    name: "bo".parse().unwrap(),
                },
            ),
            (r#"{"op":"ping"}"#, Operation::Ping),
            (r#"{"op":"quit"}"#, Operation::Quit),
        ] {
            assert_eq!(
                request(line),
                Request {
                    reference: None,
                    operation
                },
                "{line}"
            );
        }
        assert_eq!(
            request(r#"{"op":"ping","ref":"a1"}"#).reference.as_deref(),
            Some("a1")
        );
        assert_eq!(parse("  "), Ok(None));
    }

    #[test]
    fn bad_operations_are_named_and_keep_their_ref() {
        let long = format!(r#"{{"op":"send","ref":"r","text":"{}"}}"#, "x".repeat(4097));
        for (line, reference, problem) in [
            ("hi", None, "not JSON"),
            ("[1]", None, "a JSON object"),
            (r#"{"ref":"r"}"#, Some("r"), "op is missing"),
            (
                r#"{"op":"sned","ref":"r"}"#,
                Some("r"),
                "there is no op \"sned\"",
            ),
            (
                r#"{"op":"send","ref":"r"}"#,
                Some("r"),
                "missing field `text`",
            ),
            (
                r#"{"op":"send","ref":"r","text":"\u001b[1m"}"#,
                Some("r"),
                "text: character '\\u{1b}' is not allowed",
            ),
            (
                r#"{"op":"send","ref":"r","room":"a{b","text":"hi"}"#,
                Some("r"),
                "room: ",
            ),
            (
                r#"{"op":"nick","ref":"r","nick":"[SERVER]"}"#,
                Some("r"),
                "nick: ",
            ),
            (
                r#"{"op":"history","ref":"r","before":"41"}"#,
                Some("r"),
                "before: a cursor is written EPOCH:SEQ",
            ),
            (
                r#"{"op":"history","ref":"r","limit":0}"#,
                Some("r"),
                "limit: 1 to 1000",
            ),
            (r#"{"op":"ping","ref":7}"#, None, "ref is a string"),
            (&long, Some("r"), "4097 bytes, limit 4096"),
        ] {
            let (found, said) = parse(line).unwrap_err();
            assert_eq!(found.as_deref(), reference, "{line}");
            assert!(said.contains(problem), "{said}");
        }
    }

    #[test]
    fn every_listed_operation_exists() {
        for op in OPERATIONS {
            let said = parse(&format!(r#"{{"op":"{op}"}}"#)).map_err(|(_, problem)| problem);
            assert!(
                !said.is_err_and(|problem| problem.contains("there is no op")),
                "{op}"
            );
        }
    }
}
