//! Goes on where the last run stopped: shows what was said meanwhile, and nothing twice.
//!
//! ```sh
//! chat-node &
//! cargo run -p chat-client --example resume -- 8081 place.txt "hello from the first run"
//! cargo run -p chat-client --example resume -- 8081 place.txt "hello from the second"
//! ```
//!
//! Two lines of text are all that a new process needs: the ticket, which continues the session, and
//! the cursor, which says what was read. Whoever has the ticket is the session, so the file is made
//! readable to its owner only.

#![expect(clippy::print_stdout, reason = "an example that shows something")]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_client::protocol::Cursor;
use chat_client::{Client, Event, SessionTicket, Start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(target), Some(file)) = (args.next(), args.next()) else {
        return Err("usage: resume TARGET FILE [TEXT]".into());
    };
    let file = PathBuf::from(file);
    let stored = read(&file)?;
    let mut builder = Client::builder().target(target).name("ann");
    if let Some((ticket, _)) = stored {
        builder = builder.resume(ticket);
    }
    let (client, mut events) = builder.connect().await?;
    let session = client.session();
    println!("session {}, resumed: {}", session.session, session.resumed);

    let start = stored.map_or(Start::Last(3), |(_, cursor)| Start::After(cursor));
    let lobby = client.join("lobby", start).await?;
    if let Some(text) = args.next() {
        println!("acked at {}", lobby.publish_text(&text)?.await?);
    }
    // Reads until nothing came for a moment.
    while let Ok(Some(event)) = tokio::time::timeout(QUIET, events.next()).await {
        match event {
            Event::Joined { next, head, .. } => {
                println!("joined: the next entry is {next}, the log's last was {head}");
            }
            Event::Message {
                cursor, message, ..
            } => println!("{cursor} <{}> {:?}", message.author.name, message.content),
            Event::Gap { reason, next, .. } => println!("a gap before {next}: {reason:?}"),
            _ => {}
        }
    }
    // What was handed out is what was dealt with; so this is stored after, never before.
    if let Some(cursor) = lobby.cursor() {
        write(&file, client.ticket(), cursor)?;
        println!("stored {cursor}");
    }
    // To close the client would end its session. A process that ends without that can be resumed.
    Ok(())
}

/// The ticket and the cursor of the last run, if there was one.
fn read(file: &Path) -> Result<Option<(SessionTicket, Cursor)>, Box<dyn Error>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (ticket, cursor) = text.trim_end().split_once('\n').ok_or("not two lines")?;
    Ok(Some((ticket.parse()?, cursor.parse()?)))
}

/// Stores them at once or not at all: a new file takes the place of the old.
fn write(file: &Path, ticket: SessionTicket, cursor: Cursor) -> Result<(), Box<dyn Error>> {
    let new = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&new)?;
    write!(out, "{}\n{cursor}\n", ticket.to_text())?;
    out.sync_all()?;
    fs::rename(new, file)?;
    Ok(())
}

/// How long the room must be silent for the example to end.
const QUIET: Duration = Duration::from_millis(500);
