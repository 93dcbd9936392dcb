//! `chat-node certs`: makes the development certificates where they are missing, and shows them.

use std::time::SystemTime;

use chat_client::certs_dir;

use super::{Failure, say};
use crate::certs::{CertsError, development};
use crate::config::CertsConfig;

pub(super) fn run(config: &CertsConfig) -> Result<(), Failure> {
    let directory = certs_dir(&config.certs);
    let made = development::load_or_make(&directory, &[], SystemTime::now()).map_err(broken)?;
    if let Some(group) = config.group {
        development::share_with_group(&directory, group).map_err(broken)?;
    }
    say(&format!(
        "CA    sha256:{}  {}",
        made.ca_fingerprint,
        made.ca_file.display()
    ));
    say(&format!("node  sha256:{}", made.node.fingerprint()));
    Ok(())
}

pub(super) fn broken(error: CertsError) -> Failure {
    Failure::new(4, "the certificates cannot be used")
        .because(error)
        .try_this("development certificates are made anew when their directory is removed")
}
