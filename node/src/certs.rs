//! The certificate a node shows to its clients, and the TLS settings made from it.
//!
//! Two origins: PEM files of the operator, or a development certificate that is made on first use
//! (see [`development`]) and says "DEV ONLY" in its name. A development certificate on an address
//! that other machines reach is refused unless allowed: [`check_exposure`].
//!
//! Never does: reading the configuration, resolving directories, trusting anything (that is the
//! client's part). Called once at the start by the node, the demo, and `chat-node certs`.

use std::fmt::{self, Debug};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chat_client::Fingerprint;
use chat_protocol::ALPN;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerSessionMemoryCache;
use thiserror::Error;

pub mod development;
mod files;
mod x509;

/// A certificate chain with its private key, known to belong together.
pub struct NodeCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    origin: Origin,
    expires: SystemTime,
}

/// Where a certificate comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Made by a node for development; whoever can read the directory has its key.
    Development,
    /// Files of the operator.
    Files,
}

/// Why there is no certificate to start with. Nothing of it passes by itself: retrying is no use.
#[derive(Debug, Error)]
pub enum CertsError {
    /// A file cannot be read or written.
    #[error("{}: {action}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("{}: {why}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where it helps, what to do.
        why: String,
    },
    /// Everybody on this machine may read the private key.
    #[error("{}: everybody may read this private key (mode {mode:04o}); chmod 600 it", path.display())]
    KeyOpenToAll {
        /// The file of the key.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A certificate or a key cannot be made.
    #[error("a development certificate cannot be made")]
    Making(#[source] rcgen::Error),
    /// The TLS library refuses the certificate.
    #[error("the certificate cannot be used")]
    Tls(#[source] rustls::Error),
}

impl NodeCertificate {
    /// Reads a certificate chain, the node's own first, and its private key from PEM files.
    ///
    /// # Errors
    /// [`CertsError`] when a file cannot be read, holds something else, does not belong to the
    /// other, or when everybody may read the key. An expired certificate is no error here; see
    /// [`Self::expires`].
    pub fn from_files(cert: &Path, key: &Path) -> Result<Self, CertsError> {
        files::refuse_open_key(key)?;
        let chain = files::read_chain(cert)?;
        let private_key = files::read_key(key)?;
        let leaf = x509::read(cert, &chain[0])?;
        let certificate = Self {
            chain,
            key: private_key,
            origin: Origin::Files,
            expires: leaf.not_after,
        };
        // Asked for here, so that a pair that does not match is refused before anything starts.
        match certificate.server_crypto() {
            Ok(_) => Ok(certificate),
            Err(CertsError::Tls(rustls::Error::InconsistentKeys(_))) => Err(CertsError::Broken {
                path: key.to_owned(),
                why: format!("this private key does not belong to {}", cert.display()),
            }),
            Err(error) => Err(error),
        }
    }

    /// Where the certificate comes from.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// When the certificate stops being valid.
    #[must_use]
    pub const fn expires(&self) -> SystemTime {
        self.expires
    }

    /// The fingerprint of the node's own certificate, which clients can pin.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_der(&self.chain[0])
    }

    /// The settings of TLS for a node: TLS 1.3 only, [`ALPN`] only, no early data, one ticket, and
    /// ring as the one crypto provider.
    ///
    /// # Errors
    /// [`CertsError::Tls`] when the TLS library refuses the certificate or its key.
    pub fn server_crypto(&self) -> Result<QuicServerConfig, CertsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(CertsError::Tls)?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(CertsError::Tls)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A publish must not be replayed by whoever recorded the first packets.
        config.max_early_data_size = 0;
        config.send_tls13_tickets = 1;
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_LEN_MAX);
        QuicServerConfig::try_from(config)
            .map_err(|error| CertsError::Tls(rustls::Error::General(error.to_string())))
    }
}

/// Shows no key.
impl Debug for NodeCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeCertificate")
            .field("origin", &self.origin)
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

/// The fingerprint of the first certificate of a PEM file.
///
/// # Errors
/// [`CertsError`] when the file cannot be read or holds no certificate.
pub fn fingerprint_of_file(path: &Path) -> Result<Fingerprint, CertsError> {
    Ok(Fingerprint::of_der(&files::read_chain(path)?[0]))
}

/// Who can meet a node's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exposure {
    /// Nothing to say: a certificate of the operator, or this machine only.
    Sound,
    /// A development certificate that other machines can meet, allowed: warn loudly.
    DevelopmentInPublic,
}

/// A development certificate would be met by other machines.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "{listen} can be reached from other machines, and a development certificate proves nothing to \
     them; give --cert and --key, or --allow-dev-cert to start all the same, or listen on 127.0.0.1"
)]
pub struct DevelopmentCertificateInPublic {
    /// The address listened on.
    pub listen: IpAddr,
}

/// Whether a node with a certificate of this `origin` may listen on `listen`.
///
/// # Errors
/// [`DevelopmentCertificateInPublic`] when it may not unless `allowed`.
pub fn check_exposure(
    origin: Origin,
    listen: IpAddr,
    allowed: bool,
) -> Result<Exposure, DevelopmentCertificateInPublic> {
    match (origin, listen.to_canonical().is_loopback(), allowed) {
        (Origin::Files, ..) | (Origin::Development, true, _) => Ok(Exposure::Sound),
        (Origin::Development, false, true) => Ok(Exposure::DevelopmentInPublic),
        (Origin::Development, false, false) => Err(DevelopmentCertificateInPublic { listen }),
    }
}

/// Sessions kept for resumption, about a kilobyte each. A client whose session was dropped pays
/// one certificate check more, nothing else.
const SESSIONS_LEN_MAX: usize = 4096;

#[cfg(test)]
mod tests;
