//! Lines of standard input, read by a thread of their own: bounded, and never blocking a task.

use std::io::{self, BufRead};
use std::thread;

use tokio::sync::mpsc;

/// What was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// A line, without its line feed.
    Line {
        /// Its number, from 1.
        number: u64,
        /// What it says.
        text: String,
    },
    /// A line that cannot be taken; the lines after it can.
    Bad {
        /// Its number, from 1.
        number: u64,
        /// Why.
        problem: &'static str,
    },
    /// Words that would complete what is typed: to be shown.
    Choices(Vec<String>),
    /// A key that would end the program, once: a second one does.
    InterruptOnce,
    /// The program is asked to end, now.
    Interrupt,
    /// There is nothing more to read.
    End,
}

/// Starts reading standard input. The queue ends after [`Input::End`].
///
/// # Errors
/// When the system has no thread to give.
pub fn spawn() -> io::Result<mpsc::Receiver<Input>> {
    let (queue, lines) = mpsc::channel(QUEUE_LEN_MAX);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            read_all(io::stdin().lock(), |input| {
                queue.blocking_send(input).is_ok()
            });
        })?;
    Ok(lines)
}

/// Reads lines until there are no more, or nobody wants them.
fn read_all(mut from: impl BufRead, mut wanted: impl FnMut(Input) -> bool) {
    for number in 1.. {
        let input = match read_line(&mut from) {
            Ok(Some(Ok(text))) => Input::Line { number, text },
            Ok(Some(Err(problem))) => Input::Bad { number, problem },
            Ok(None) | Err(_) => {
                wanted(Input::End);
                return;
            }
        };
        if !wanted(input) {
            return;
        }
    }
}

/// One line, or why it cannot be taken; none at the end.
fn read_line(from: &mut impl BufRead) -> io::Result<Option<Result<String, &'static str>>> {
    let mut line = vec![];
    let mut is_long = false;
    loop {
        let chunk = match from.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() && line.is_empty() && !is_long {
            return Ok(None);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (taken, used) = match end {
            Some(end) => (&chunk[..end], end + 1),
            None => (chunk, chunk.len()),
        };
        is_long |= line.len() + taken.len() > LINE_BYTES_MAX;
        if !is_long {
            line.extend_from_slice(taken);
        }
        from.consume(used);
        if end.is_some() || used == 0 {
            break;
        }
    }
    if is_long {
        return Ok(Some(Err("the line is longer than 64 KiB")));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(
        String::from_utf8(line).map_err(|_| "the line is not UTF-8"),
    ))
}

/// Longest line taken, in bytes: a text of the largest size with every character escaped in JSON,
/// and room for the rest of the object.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Lines read ahead of what is done with them.
const QUEUE_LEN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(bytes: &[u8]) -> Vec<Input> {
        let mut inputs = vec![];
        // A small buffer, so that lines span several of its fillings.
        read_all(BufReader::with_capacity(7, bytes), |input| {
            inputs.push(input);
            true
        });
        inputs
    }

    fn line(number: u64, text: &str) -> Input {
        Input::Line {
            number,
            text: text.to_owned(),
        }
    }

    #[test]
    fn lines_are_numbered_and_the_last_needs_no_line_feed() {
        assert_eq!(read(b""), [Input::End]);
        assert_eq!(
            read(b"one\r\n\ntwo words"),
            [
                line(1, "one"),
                line(2, ""),
                line(3, "two words"),
                Input::End
            ]
        );
    }

    #[test]
    fn a_bad_line_does_not_hurt_the_next() {
        let not_utf8 = Input::Bad {
            number: 1,
            problem: "the line is not UTF-8",
        };
        assert_eq!(
            read(b"\xff\xfe\nok\n"),
            [not_utf8, line(2, "ok"), Input::End]
        );
        let mut long = vec![b'x'; LINE_BYTES_MAX + 1];
        let too_long = Input::Bad {
            number: 1,
            problem: "the line is longer than 64 KiB",
        };
        assert_eq!(read(&long), [too_long.clone(), Input::End]);
        long.extend(b"\nok");
        assert_eq!(read(&long), [too_long, line(2, "ok"), Input::End]);
        assert_eq!(read(&vec![b'x'; LINE_BYTES_MAX])[1..], [Input::End]);
    }
}
