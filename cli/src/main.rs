//! The program `chat-cli`.

use std::process::ExitCode;

use chat_cli::app;
use chat_cli::args::{Args, Surroundings};
use clap::Parser;

/// Chats as the arguments say.
#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    app::run(args, Surroundings::of_process())
        .await
        .code()
        .into()
}
