//! The task that owns the connection.

use crate::builder::Settings;
use crate::client::Client;
use crate::error::ConnectError;
use crate::events::Events;
use crate::session::SessionTicket;
use crate::target::Target;

/// Connects for the first time and starts the driver.
pub(crate) async fn connect(
    targets: Vec<Target>,
    settings: Settings,
    _resume: Option<SessionTicket>,
) -> Result<(Client, Events), ConnectError> {
    settings.trust.tls_config()?;
    std::future::ready(()).await;
    let tried = targets.iter().map(Target::to_string).collect();
    Err(ConnectError::Unreachable {
        tried,
        waited: settings.connect_timeout,
        cause: None,
    })
}
