//! The program `chat-node`: reads its configuration, runs the command, tells how it ended.

use std::process::ExitCode;

use chat_node::{command, config};

fn main() -> ExitCode {
    let command = config::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            command::report(&command::Failure {
                status: 1,
                what: "the runtime cannot start".to_owned(),
                cause: Some(error.to_string()),
                help: None,
            });
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command::run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            command::report(&failure);
            ExitCode::from(failure.status)
        }
    }
}
