//! The arguments of the commands that refer to an earlier message: `[SEQ]`, and what to say of it.

use chat_protocol::Seq;

use super::{Misuse, text};
use crate::operation::{Operation, Which};

pub(super) fn reply(rest: &str) -> Result<Operation, Misuse> {
    let (to, said) = which(rest, Which::Last);
    Ok(Operation::Reply {
        room: None,
        to,
        text: text(said)?,
    })
}

pub(super) fn edit(rest: &str) -> Result<Operation, Misuse> {
    let (of, said) = which(rest, Which::LastOwn);
    Ok(Operation::Edit {
        room: None,
        of,
        text: text(said)?,
    })
}

pub(super) fn delete(rest: &str) -> Result<Operation, Misuse> {
    let of = match rest {
        "" => Which::LastOwn,
        word => seq(word).ok_or_else(|| Misuse(format!("{word:?} is not a number")))?,
    };
    Ok(Operation::Delete { room: None, of })
}

pub(super) fn react(rest: &str, on: bool) -> Result<Operation, Misuse> {
    let (to, reaction) = which(rest, Which::Last);
    if reaction.is_empty() {
        return Err(Misuse("which reaction?".to_owned()));
    }
    let reaction = reaction
        .parse()
        .map_err(|error| Misuse(format!("{error}")))?;
    Ok(Operation::React {
        room: None,
        to,
        reaction,
        on,
    })
}

/// A seq that something follows, and what follows it. A number alone is what is said.
fn which(rest: &str, default: Which) -> (Which, &str) {
    let Some((word, said)) = rest.split_once(char::is_whitespace) else {
        return (default, rest);
    };
    match seq(word) {
        Some(which) => (which, said.trim_start()),
        None => (default, rest),
    }
}

fn seq(word: &str) -> Option<Which> {
    // `+1` is a reaction.
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let seq = word.parse().ok().filter(|_| is_number)?;
    Some(Which::At(Seq(seq)))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn operation(line: &str) -> Operation {
        parse(line).unwrap().unwrap()
    }

    #[test]
    fn a_number_that_something_follows_is_a_seq() {
        let reply = |to, text: &str| Operation::Reply {
            room: None,
            to,
            text: text.parse().unwrap(),
        };
        let at = |seq| Which::At(Seq(seq));
        assert_eq!(operation("/reply yes  sir"), reply(Which::Last, "yes  sir"));
        assert_eq!(operation("/reply 41 yes"), reply(at(41), "yes"));
        assert_eq!(operation("/reply 41"), reply(Which::Last, "41"));
        assert_eq!(
            operation("/reply +1 of course"),
            reply(Which::Last, "+1 of course")
        );
        let edit = |of, text: &str| Operation::Edit {
            room: None,
            of,
            text: text.parse().unwrap(),
        };
        assert_eq!(operation("/edit better"), edit(Which::LastOwn, "better"));
        assert_eq!(operation("/edit 7 better"), edit(at(7), "better"));
        let delete = |of| Operation::Delete { room: None, of };
        assert_eq!(operation("/delete"), delete(Which::LastOwn));
        assert_eq!(operation("/delete 7"), delete(at(7)));
        let react = |to, reaction: &str, on| Operation::React {
            room: None,
            to,
            reaction: reaction.parse().unwrap(),
            on,
        };
        assert_eq!(operation("/react 👍"), react(Which::Last, "👍", true));
        assert_eq!(operation("/react 7 +1"), react(at(7), "+1", true));
        assert_eq!(operation("/unreact +1"), react(Which::Last, "+1", false));
    }

    #[test]
    fn misuse_names_the_usage() {
        for (line, problem) in [
            ("/reply", "usage: /reply [SEQ] TEXT"),
            ("/reply 7 ", "\0"),
            ("/edit", "usage: /edit [SEQ] TEXT"),
            ("/delete it", "\"it\" is not a number; usage: /delete [SEQ]"),
            ("/react", "which reaction?; usage: /react [SEQ] REACTION"),
            ("/react thumbs up", "' ' is not allowed"),
            ("/unreact 7 \u{200d}", "visible character; usage: /unreact"),
        ] {
            match parse(line) {
                Ok(_) => assert_eq!(problem, "\0", "{line}"),
                Err(error) => {
                    assert!(error.to_string().contains(problem), "{line}: {error}");
                }
            }
        }
    }
}
