//! Writing a message in the editor of the user's choice.

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::screen::Lent;

/// Lets the user write in $VISUAL, $EDITOR or `vi`, beginning with a text. Blocks for as long as
/// that takes; the terminal is lent until then.
///
/// # Errors
/// When there is no such editor, when it fails, or when what it leaves cannot be read.
pub fn edit(lent: Lent, text: &str) -> io::Result<String> {
    let mut file = tempfile::Builder::new()
        .prefix("message-")
        .suffix(".txt")
        .tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    // As git does: what is in the variable may have arguments, and is the user's own.
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(file.path())
        .status();
    if status
        .as_ref()
        .is_ok_and(|status| status.signal().is_some())
    {
        // The Ctrl-C that ended it is told to this process, too: it has to be heard as not meant.
        thread::sleep(SIGNAL_TIME);
    }
    drop(lent);
    let status = status?;
    if !status.success() {
        return Err(io::Error::other(format!("{editor} ended with {status}")));
    }
    // Editors replace files: it is opened by its name again.
    let mut written = vec![];
    std::fs::File::open(file.path())?
        .take(WRITTEN_BYTES_MAX)
        .read_to_end(&mut written)?;
    // Whatever encoding it has: what can be read of it is not lost.
    Ok(String::from_utf8_lossy(&written).into_owned())
}

/// Within this time a signal has been heard by every process it was for.
const SIGNAL_TIME: Duration = Duration::from_millis(100);

/// More than can be edited here.
const WRITTEN_BYTES_MAX: u64 = 256 * 1024;
