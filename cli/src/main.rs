//! The program `chat-cli`.

use std::process::ExitCode;

use chat_cli::app;
use chat_cli::args::{CommandLine, Surroundings};

/// Chats as the arguments say.
#[tokio::main]
async fn main() -> ExitCode {
    let line = CommandLine::read();
    app::run(line, Surroundings::of_process())
        .await
        .code()
        .into()
}
