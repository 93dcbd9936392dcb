//! A look at a node from outside: its addresses, and the certificate it shows. Nothing is believed,
//! and nothing is said: for programs that find out what is wrong, or ask a user whom to trust.

use std::fmt::{self, Debug};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chat_protocol::CloseCode;
use quinn::crypto::rustls::HandshakeData;
use quinn::{ClientConfig, Endpoint, VarInt};
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use tokio::time::{Instant, timeout};

use crate::certificate::{self, Certificate};
use crate::driver::{Trouble, resolve};
use crate::target::Target;
use crate::trust::{Fingerprint, Tickets, TrustError, Verifier, tls_config};

/// What a node showed in a handshake.
#[derive(Clone)]
pub struct Inspected {
    /// Its certificate first, then those that came with it; each in DER. Never empty. Whoever
    /// answered owns the key of the first; nothing else in them was checked.
    pub certificates: Vec<Vec<u8>>,
    /// The application protocol that was agreed on.
    pub protocol: Vec<u8>,
    /// How long the handshake took.
    pub took: Duration,
}

impl Inspected {
    /// The fingerprint of the node's certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_der(self.first())
    }

    /// The node's certificate: its fingerprint and its end.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        Certificate::of_der(self.first())
    }

    /// The DNS names and addresses in it, at most 32: a stranger's words, without control characters.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        certificate::names(self.first())
    }

    fn first(&self) -> &[u8] {
        self.certificates.first().map_or(&[], Vec::as_slice)
    }
}

impl Debug for Inspected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Inspected")
            .field("fingerprint", &self.fingerprint())
            .field("took", &self.took)
            .finish_non_exhaustive()
    }
}

/// Why nothing was seen. Looking again is always safe.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// No UDP socket could be opened on this machine, or TLS not set up.
    #[error("{0}")]
    Local(String),
    /// Not a packet came back.
    #[error("nothing came back within {:.1} s", .0.as_secs_f64())]
    Silent(Duration),
    /// It answers, and ended the handshake: another protocol, no key for its certificate, no room.
    #[error("{0}")]
    Refused(String),
}

/// The addresses of a target, as a connection would try them; at most eight.
///
/// # Errors
/// For people: why its name has none.
pub async fn addresses(target: &Target) -> Result<Vec<SocketAddr>, String> {
    resolve(target).await
}

/// Shakes hands with what listens at an address of a target, only to see it, within `time`.
///
/// Cancel safe: dropping it gives up.
///
/// # Errors
/// When there was no handshake.
pub async fn inspect(
    target: &Target,
    address: SocketAddr,
    time: Duration,
) -> Result<Inspected, InspectError> {
    let local = |error: String| InspectError::Local(error);
    let tls = tls_config(Verifier::Pin(None), Tickets::Refused)
        .map_err(|error: TrustError| local(error.to_string()))?;
    let from: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let endpoint = Endpoint::client((from, 0).into()).map_err(|error| local(error.to_string()))?;
    let started = Instant::now();
    let connecting = endpoint
        .connect_with(
            ClientConfig::new(Arc::new(tls)),
            address,
            &target.server_name(),
        )
        .map_err(|error| local(error.to_string()))?;
    let connection = match timeout(time, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            return Err(match Trouble::of(&error) {
                Trouble::Unreachable(None) => InspectError::Silent(started.elapsed()),
                Trouble::Unreachable(Some(text))
                | Trouble::Tls(text)
                | Trouble::Version(text)
                | Trouble::Strange(text)
                | Trouble::Closed { detail: text, .. } => InspectError::Refused(text),
            });
        }
        Err(_) => return Err(InspectError::Silent(time)),
    };
    let took = started.elapsed();
    let identity = connection.peer_identity();
    let certificates = identity
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
        .map(|certificates| certificates.iter().map(|der| der.to_vec()).collect())
        .filter(|certificates: &Vec<Vec<u8>>| !certificates.is_empty())
        .ok_or_else(|| InspectError::Refused("it showed no certificate".to_owned()))?;
    let protocol = connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .and_then(|data| data.protocol)
        .unwrap_or_default();
    connection.close(VarInt::from_u32(CloseCode::Done.to_wire()), b"");
    // The goodbye; what is lost of it the node's idle timeout makes up for.
    let _ = timeout(GOODBYE_MAX, endpoint.wait_idle()).await;
    Ok(Inspected {
        certificates,
        protocol,
        took,
    })
}

/// How long the goodbye may take.
const GOODBYE_MAX: Duration = Duration::from_millis(200);
