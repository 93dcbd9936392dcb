//! `chat-node health`: asks a node over QUIC whether messages flow, as a client would, and what an
//! acked message survives.

use chat_client::{Client, Event, Status, Trust, certs_dir};
use tokio::time;

use super::{Failure, say};
use crate::backplane::Survival;
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
        let status = client.status().await;
        client.close().await;
        match state? {
            true => {
                let status = status.map_err(|error| unhealthy(&error.to_string()))?;
                Ok((node, status))
            }
            false => Err(unhealthy(
                "it answers, but no messages flow through its backplane",
            )),
        }
    };
    match time::timeout(config.timeout, check).await {
        Ok(Ok((node, status))) => {
            say(&format!(
                "{node} at {} answers, and messages flow",
                config.target
            ));
            lines(&status).iter().for_each(|line| say(line));
            Ok(())
        }
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(unhealthy(&format!("no answer within {:?}", config.timeout))),
    }
}

/// What a status says to an operator, a line each.
fn lines(status: &Status) -> Vec<String> {
    let mut lines = vec![format!(
        "durability:  {}",
        Survival::from_wire(status.durability)
    )];
    if status.may_evict {
        lines.push(
            "WARNING:     Redis may drop acked messages when its memory is full: \
             CONFIG SET maxmemory-policy noeviction"
                .to_owned(),
        );
    }
    for (count, what) in [
        (
            status.damaged,
            "entries or announcements that no node of this chat made, see its log",
        ),
        (status.panics, "panics of its services, see its log"),
    ] {
        if count > 0 {
            lines.push(format!("met:         {what}: {count}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use chat_client::Durability;
    use chat_protocol::RequestId;

    use super::*;

    #[test]
    fn a_status_is_said_in_plain_words_and_trouble_only_when_there_is_some() {
        let mut status = Status {
            request: RequestId(1),
            durability: Durability::SECOND,
            may_evict: false,
            damaged: 0,
            panics: 0,
        };
        let durability =
            "durability:  up to about one second of acked messages may be lost when Redis crashes";
        assert_eq!(lines(&status), [durability]);
        status = Status {
            may_evict: true,
            damaged: 2,
            panics: 1,
            ..status
        };
        let said = lines(&status);
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[1].contains("noeviction"), "{said:?}");
        assert!(said[2].ends_with(": 2"), "{said:?}");
        assert!(said[3].ends_with(": 1"), "{said:?}");
    }
}
