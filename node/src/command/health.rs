//! `chat-node health`: asks a node over QUIC whether messages flow, as a client would.

use chat_client::{Client, Event, Trust, certs_dir};
use tokio::time;

use super::{Failure, say};
use crate::certs::fingerprint_of_file;
use crate::config::HealthConfig;

pub(super) async fn run(config: HealthConfig) -> Result<(), Failure> {
    let unhealthy =
        |why: &str| Failure::new(1, format!("{} is not healthy", config.target)).because(why);
    let trust = match &config.cert {
        Some(file) => Trust::Pin(fingerprint_of_file(file).map_err(super::certs::broken)?),
        None => Trust::Development {
            dir: Some(certs_dir(&config.certs)),
        },
    };
    let check = async {
        let (client, mut events) = Client::builder()
            .target(config.target.to_string())
            .trust(trust)
            .agent(concat!("chat-node-health/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.timeout)
            .reconnect(false)
            .connect()
            .await
            .map_err(|error| unhealthy(&error.to_string()))?;
        let state = loop {
            match events.next().await {
                Some(Event::BackplaneState { available }) => break Ok(available),
                Some(Event::Closed { reason }) => break Err(unhealthy(&reason.to_string())),
                None => break Err(unhealthy("the connection ended")),
                Some(_) => {}
            }
        };
        let node = client.session().node;
        client.close().await;
        match state? {
            true => Ok(node),
            false => Err(unhealthy(
                "it answers, but no messages flow through its backplane",
            )),
        }
    };
    match time::timeout(config.timeout, check).await {
        Ok(Ok(node)) => {
            say(&format!(
                "{node} at {} answers, and messages flow",
                config.target
            ));
            Ok(())
        }
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(unhealthy(&format!("no answer within {:?}", config.timeout))),
    }
}
