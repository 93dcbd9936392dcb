//! The slash commands: one table, from which parsing, completion and help all come.
//!
//! A line that does not begin with `/` is a message; one that begins with `//` is a message that
//! begins with `/`. Parsing is pure: it never asks in which room anybody is.

use chat_protocol::{RoomName, Text, Topic, UserName};
use thiserror::Error;

use crate::operation::{HISTORY_LIMIT, HISTORY_LIMIT_MAX, Operation, Style};

mod refer;

/// A slash command.
#[derive(Debug)]
pub struct Command {
    /// What is typed after the slash.
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// What follows it, for people.
    pub arguments: &'static str,
    /// What it does, for people.
    pub about: &'static str,
    parse: fn(&str) -> Result<Operation, Misuse>,
}

/// Every command, in the order of the help.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "join",
        aliases: &["j"],
        arguments: "ROOM [N]",
        about: "join a room, with its last N messages; or go back to it",
        parse: join,
    },
    Command {
        name: "leave",
        aliases: &["part"],
        arguments: "[ROOM]",
        about: "leave this or another room",
        parse: |rest| {
            Ok(Operation::Leave {
                room: optional_room(rest)?,
            })
        },
    },
    Command {
        name: "history",
        aliases: &["older"],
        arguments: "[N]",
        about: "show the N messages before the oldest shown of this room",
        parse: history,
    },
    Command {
        name: "rooms",
        aliases: &["list"],
        arguments: "",
        about: "list the rooms that have members",
        parse: |rest| nothing(rest, Operation::Rooms),
    },
    Command {
        name: "who",
        aliases: &["names"],
        arguments: "[ROOM]",
        about: "list who is in this or another room",
        parse: |rest| {
            Ok(Operation::Members {
                room: optional_room(rest)?,
            })
        },
    },
    Command {
        name: "msg",
        aliases: &["query"],
        arguments: "USER [TEXT]",
        about: "talk to one user alone; without a text, go there",
        parse: direct,
    },
    Command {
        name: "me",
        aliases: &[],
        arguments: "TEXT",
        about: "say what you do: /me waves",
        parse: |rest| send(rest, Style::Action),
    },
    Command {
        name: "reply",
        aliases: &["re"],
        arguments: "[SEQ] TEXT",
        about: "answer the last message of somebody else, or that with the seq",
        parse: refer::reply,
    },
    Command {
        name: "edit",
        aliases: &[],
        arguments: "[SEQ] TEXT",
        about: "have your last message say TEXT, or that with the seq",
        parse: refer::edit,
    },
    Command {
        name: "delete",
        aliases: &["del"],
        arguments: "[SEQ]",
        about: "take your last message back, or that with the seq",
        parse: refer::delete,
    },
    Command {
        name: "react",
        aliases: &[],
        arguments: "[SEQ] REACTION",
        about: "react to the last message of somebody else: /react 👍",
        parse: |rest| refer::react(rest, true),
    },
    Command {
        name: "unreact",
        aliases: &[],
        arguments: "[SEQ] REACTION",
        about: "take a reaction back",
        parse: |rest| refer::react(rest, false),
    },
    Command {
        name: "topic",
        aliases: &[],
        arguments: "[TEXT | -]",
        about: "show or set the topic of this room; - for none",
        parse: topic,
    },
    Command {
        name: "nick",
        aliases: &["name"],
        arguments: "NAME",
        about: "take another name",
        parse: |rest| Ok(Operation::Rename { name: user(rest)? }),
    },
    Command {
        name: "ping",
        aliases: &[],
        arguments: "",
        about: "measure the way to the node and back",
        parse: |rest| nothing(rest, Operation::Ping),
    },
    Command {
        name: "node",
        aliases: &["info"],
        arguments: "",
        about: "tell of the node: the way to it, its certificate, what it promises",
        parse: |rest| nothing(rest, Operation::Node),
    },
    Command {
        name: "reconnect",
        aliases: &[],
        arguments: "",
        about: "make another connection, to the next node if there are several",
        parse: |rest| nothing(rest, Operation::Reconnect),
    },
    Command {
        name: "help",
        aliases: &["h", "?"],
        arguments: "[COMMAND]",
        about: "explain the commands",
        parse: |rest| {
            Ok(Operation::Help {
                command: (!rest.is_empty()).then(|| rest.to_owned()),
            })
        },
    },
    Command {
        name: "quit",
        aliases: &["q", "exit"],
        arguments: "",
        about: "wait until everything is sent, and leave",
        parse: |_| Ok(Operation::Quit),
    },
];

/// Why a line cannot be done.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum CommandError {
    /// There is no such command.
    #[error("there is no command /{typed}{}", suggestion(.nearest))]
    Unknown {
        /// What was typed, without the slash.
        typed: String,
        /// The command meant, perhaps.
        nearest: Option<&'static str>,
    },
    /// The command does not take this.
    #[error("{problem}; usage: /{name}{}{arguments}", if .arguments.is_empty() { "" } else { " " })]
    Misuse {
        /// The command.
        name: &'static str,
        /// What it takes.
        arguments: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The text cannot be sent.
    #[error("{0}")]
    Text(#[from] chat_protocol::text::InvalidText),
}

/// Reads a line as people type it. An empty line is nothing to do.
///
/// # Errors
/// When it is no command, or not used rightly, or no text that can be sent.
pub fn parse(line: &str) -> Result<Option<Operation>, CommandError> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let Some(command) = line.strip_prefix('/') else {
        return message(line).map(Some);
    };
    if command.starts_with('/') {
        return message(command).map(Some);
    }
    let (typed, rest) = command
        .split_once(char::is_whitespace)
        .unwrap_or((command, ""));
    let found = find(typed).ok_or_else(|| CommandError::Unknown {
        typed: typed.chars().take(TYPED_CHARS_MAX).collect(),
        nearest: nearest(typed),
    })?;
    (found.parse)(rest.trim())
        .map(Some)
        .map_err(|Misuse(problem)| CommandError::Misuse {
            name: found.name,
            arguments: found.arguments,
            problem,
        })
}

/// Reads a line as a message, whatever it begins with. An empty line is nothing to do.
///
/// # Errors
/// When it is no text that can be sent.
pub fn parse_raw(line: &str) -> Result<Option<Operation>, CommandError> {
    if line.trim().is_empty() {
        Ok(None)
    } else {
        message(line).map(Some)
    }
}

/// The lines of the help, for all commands or one of them.
///
/// # Errors
/// When there is no such command.
pub fn help(command: Option<&str>) -> Result<Vec<String>, CommandError> {
    let Some(typed) = command else {
        let mut lines: Vec<String> = COMMANDS.iter().map(summary).collect();
        lines.push("//text sends /text; anything else is a message to the current room".to_owned());
        return Ok(lines);
    };
    let typed = typed.trim_start_matches('/');
    let found = find(typed).ok_or_else(|| CommandError::Unknown {
        typed: typed.chars().take(TYPED_CHARS_MAX).collect(),
        nearest: nearest(typed),
    })?;
    let mut lines = vec![summary(found)];
    if !found.aliases.is_empty() {
        lines.push(format!("also: /{}", found.aliases.join(", /")));
    }
    Ok(lines)
}

fn find(typed: &str) -> Option<&'static Command> {
    let typed = typed.to_lowercase();
    COMMANDS
        .iter()
        .find(|command| command.name == typed || command.aliases.contains(&&*typed))
}

fn summary(command: &Command) -> String {
    format!(
        "{:<23} {}",
        format!("/{} {}", command.name, command.arguments),
        command.about
    )
}

/// The command that somebody meant who typed this, if one is near.
fn nearest(typed: &str) -> Option<&'static str> {
    let words = COMMANDS.iter().flat_map(|command| {
        let aliases = command.aliases.iter().copied();
        aliases.chain([command.name])
    });
    find(crate::nearest::nearest(typed, words)?).map(|command| command.name)
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean /{name}?"),
        None => "; /help lists them".to_owned(),
    }
}

/// What is wrong with a command's arguments.
struct Misuse(String);

fn message(line: &str) -> Result<Operation, CommandError> {
    Ok(Operation::Send {
        room: None,
        text: line.parse()?,
        style: Style::Plain,
    })
}

fn send(rest: &str, style: Style) -> Result<Operation, Misuse> {
    Ok(Operation::Send {
        room: None,
        text: text(rest)?,
        style,
    })
}

fn join(rest: &str) -> Result<Operation, Misuse> {
    let (name, count) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let history = match count.trim() {
        "" => None,
        count => Some(
            count
                .parse()
                .map_err(|_| Misuse(format!("{count:?} is not a number")))?,
        ),
    };
    Ok(Operation::Join {
        room: room(name)?,
        history,
    })
}

fn history(rest: &str) -> Result<Operation, Misuse> {
    let limit = match rest {
        "" => HISTORY_LIMIT,
        count => count
            .parse()
            .map_err(|_| Misuse(format!("{count:?} is not a number")))?,
    };
    if !(1..=HISTORY_LIMIT_MAX).contains(&limit) {
        return Err(Misuse(format!("1 to {HISTORY_LIMIT_MAX} messages")));
    }
    Ok(Operation::History {
        room: None,
        before: None,
        limit,
    })
}

fn direct(rest: &str) -> Result<Operation, Misuse> {
    let (name, said) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let said = said.trim();
    let text = if said.is_empty() {
        None
    } else {
        Some(text(said)?)
    };
    Ok(Operation::Direct {
        user: user(name.trim_start_matches('@'))?,
        text,
    })
}

fn topic(rest: &str) -> Result<Operation, Misuse> {
    let topic: Topic = match rest {
        "" => return Ok(Operation::ShowTopic),
        "-" => Topic::default(),
        text => text.parse().map_err(|error| Misuse(format!("{error}")))?,
    };
    Ok(Operation::SetTopic { room: None, topic })
}

fn nothing(rest: &str, operation: Operation) -> Result<Operation, Misuse> {
    if rest.is_empty() {
        Ok(operation)
    } else {
        Err(Misuse("it takes nothing".to_owned()))
    }
}

fn room(name: &str) -> Result<RoomName, Misuse> {
    if name.is_empty() {
        return Err(Misuse("which room?".to_owned()));
    }
    RoomName::parse(name).map_err(|error| Misuse(error.to_string()))
}

fn optional_room(rest: &str) -> Result<Option<RoomName>, Misuse> {
    if rest.is_empty() {
        Ok(None)
    } else {
        room(rest).map(Some)
    }
}

fn user(name: &str) -> Result<UserName, Misuse> {
    if name.is_empty() {
        return Err(Misuse("which name?".to_owned()));
    }
    name.parse().map_err(|error| Misuse(format!("{error}")))
}

fn text(rest: &str) -> Result<Text, Misuse> {
    rest.parse().map_err(|error| Misuse(format!("{error}")))
}

/// How much of a mistyped command is looked at and repeated.
const TYPED_CHARS_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(line: &str) -> Operation {
        parse(line).unwrap().unwrap()
    }

    fn refusal(line: &str) -> String {
        parse(line).unwrap_err().to_string()
    }

    fn said(text: &str) -> Operation {
        Operation::Send {
            room: None,
            text: text.parse().unwrap(),
            style: Style::Plain,
        }
    }

    #[test]
    fn lines_are_messages_and_slashes_commands() {
        assert_eq!(operation("hi /join"), said("hi /join"));
        assert_eq!(operation("//etc is a place"), said("/etc is a place"));
        assert_eq!(parse_raw("/etc"), Ok(Some(said("/etc"))));
        assert_eq!(parse(" \t"), Ok(None));
        let lobby: RoomName = "lobby".parse().unwrap();
        assert_eq!(
            operation("/join #Lobby"),
            Operation::Join {
                room: lobby.clone(),
                history: None
            }
        );
        assert_eq!(
            operation("/JOIN lobby 5"),
            Operation::Join {
                room: lobby.clone(),
                history: Some(5)
            }
        );
        assert_eq!(operation("/part"), Operation::Leave { room: None });
        let older = |limit| Operation::History {
            room: None,
            before: None,
            limit,
        };
        assert_eq!(operation("/history"), older(HISTORY_LIMIT));
        assert_eq!(operation("/older 1000"), older(1000));
        assert_eq!(
            operation("/names lobby"),
            Operation::Members { room: Some(lobby) }
        );
        let bo: UserName = "bo".parse().unwrap();
        assert_eq!(
            operation("/query @bo"),
            Operation::Direct {
                user: bo.clone(),
                text: None
            }
        );
        let text = Some("two  words".parse().unwrap());
        assert_eq!(
            operation("/msg bo two  words"),
            Operation::Direct { user: bo, text }
        );
        assert_eq!(operation("/topic"), Operation::ShowTopic);
        assert_eq!(
            operation("/topic -"),
            Operation::SetTopic {
                room: None,
                topic: Topic::default()
            }
        );
        assert_eq!(operation("/q"), Operation::Quit);
        let waves = Operation::Send {
            room: None,
            text: "waves".parse().unwrap(),
            style: Style::Action,
        };
        assert_eq!(operation("/me waves"), waves);
    }

    #[test]
    fn a_typo_is_answered_with_the_nearest_command() {
        for (typed, meant) in [
            ("/jion", "join"),
            ("/joi", "join"),
            ("/levae", "leave"),
            ("/parrt", "leave"),
            ("/tpoic x", "topic"),
            ("/hlep", "help"),
            ("/nik", "nick"),
            ("/qiut", "quit"),
            ("/mgs", "msg"),
        ] {
            let refusal = refusal(typed);
            assert!(
                refusal.ends_with(&format!("; did you mean /{meant}?")),
                "{typed}: {refusal}"
            );
        }
        assert_eq!(
            refusal("/frobnicate"),
            "there is no command /frobnicate; /help lists them"
        );
        assert_eq!(refusal("/ join"), "there is no command /; /help lists them");
    }

    #[test]
    fn misuse_names_the_usage() {
        assert_eq!(refusal("/join"), "which room?; usage: /join ROOM [N]");
        assert_eq!(
            refusal("/join a many"),
            "\"many\" is not a number; usage: /join ROOM [N]"
        );
        for wrong in ["/history 0", "/history 1001"] {
            assert_eq!(refusal(wrong), "1 to 1000 messages; usage: /history [N]");
        }
        assert!(refusal("/history -1").starts_with("\"-1\" is not a number"));
        assert_eq!(refusal("/rooms x"), "it takes nothing; usage: /rooms");
        assert!(refusal("/nick [SERVER]").contains("'[' cannot be there; usage: /nick NAME"));
        assert!(refusal("/me").contains("usage: /me TEXT"));
        assert_eq!(refusal(&"x".repeat(5000)), "5000 bytes, limit 4096");
    }

    #[test]
    fn help_is_the_table() {
        let lines = help(None).unwrap();
        for command in COMMANDS {
            assert!(
                lines
                    .iter()
                    .any(|line| line.starts_with(&format!("/{} ", command.name)))
            );
        }
        assert_eq!(help(Some("/part")).unwrap()[1], "also: /part");
        assert!(
            help(Some("jion"))
                .unwrap_err()
                .to_string()
                .contains("did you mean /join?")
        );
    }

    #[test]
    fn no_two_commands_share_a_word() {
        let mut words: Vec<&str> = COMMANDS
            .iter()
            .flat_map(|command| command.aliases.iter().copied().chain([command.name]))
            .collect();
        words.sort_unstable();
        let len = words.len();
        words.dedup();
        assert_eq!(words.len(), len);
    }
}
