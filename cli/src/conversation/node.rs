//! The node that serves the session, and the way to it.

use std::time::Duration;

use chat_client::Client;
use futures_util::FutureExt;
use tokio::time::timeout;

use super::Conversation;
use super::answer::{Answer, AnswerFuture};
use crate::report::Report;
use crate::report::node::NodeReport;

impl Conversation {
    /// The round trip time to the node, smoothed; none while there is no connection. Does not ask
    /// the node: what comes and goes anyway is measured.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        Some(self.client.connection_stats()?.rtt)
    }
}

/// Tells of the node. Without a connection, or when the node does not answer soon, what is known.
pub(super) fn ask(client: Client, reference: Option<String>) -> AnswerFuture {
    async move {
        let asked = async {
            client.connection_stats()?;
            timeout(STATUS_TIMEOUT, client.status()).await.ok()?.ok()
        };
        let status = asked.await;
        let session = client.session();
        Answer::Report(Report::Node(Box::new(NodeReport {
            reference,
            node: session.node,
            target: session.target,
            session: session.session,
            name: session.name,
            minor: session.minor,
            way: client.connection_stats().map(Into::into),
            certificate: client.certificate(),
            trust: client.trust(),
            status,
        })))
    }
    .boxed()
}

/// How long the node may take to say what it promises: who asks wants to see the rest.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
