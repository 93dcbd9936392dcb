//! Which nodes a client believes: a development CA on this machine, a CA of the operator's, those of
//! the system, one pinned certificate, or what is known of each target.
//!
//! Whatever is trusted, the signature of the handshake is verified: a node must own the key of its
//! certificate. There is no way to switch that off.

use std::env;
use std::fmt::{self, Debug, Display};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use thiserror::Error;

use crate::target::Target;

mod known;

pub use known::KnownNodes;

/// What a client believes of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trust {
    /// The development CA that nodes of this machine share: `ca.pem` in [`certs_dir`] of `dir`.
    /// Only for loopback targets; others are refused before a packet is sent.
    Development {
        /// Where it is; `None` for the value of `CHAT_CERTS`, or else `certs`.
        dir: Option<PathBuf>,
    },
    /// The CA certificates of this PEM file, and no others. The node's certificate must carry the
    /// target's host name or address.
    Ca(PathBuf),
    /// The one certificate with this fingerprint, whatever names and dates are in it.
    Pin(Fingerprint),
    /// The authorities that this system trusts, as for other programs. The node's certificate must
    /// carry the target's host name or address.
    System,
    /// Of a target that is known its certificate, and no other; of others what is usual.
    Known(KnownNodes),
}

impl Trust {
    /// The development CA at its usual place.
    #[must_use]
    pub const fn development() -> Self {
        Self::Development { dir: None }
    }

    /// What is believed of this target: never [`Trust::Known`].
    #[must_use]
    pub fn of(&self, target: &Target) -> Self {
        match self {
            Self::Known(known) => known.trust(target),
            other => other.clone(),
        }
    }

    /// Refuses a target that this trust is not for.
    pub(crate) fn check(&self, target: &Target) -> Result<(), TrustError> {
        match self {
            Self::Development { .. } if !target.is_loopback() => {
                Err(TrustError::DevelopmentElsewhere {
                    target: target.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The TLS side of connections that believe this: TLS 1.3, our ALPN, no early data.
    pub(crate) fn tls_config(&self, tickets: Tickets) -> Result<QuicClientConfig, TrustError> {
        let verifier = match self {
            Self::Development { dir } => {
                let path = development_ca(dir.as_deref());
                if !path.exists() {
                    return Err(TrustError::NoDevelopmentCa { path });
                }
                Verifier::Roots(roots(&path)?)
            }
            Self::Ca(path) => Verifier::Roots(roots(path)?),
            Self::System => Verifier::Roots(system_roots()?),
            Self::Pin(fingerprint) => Verifier::Pin(Some(*fingerprint)),
            // Nothing is known of no target in particular: its target was not asked for.
            Self::Known(_) => return Err(TrustError::Tls("of which node?".to_owned())),
        };
        tls_config(verifier, tickets)
    }
}

/// What is believed, as the end of "trusted by …".
impl Display for Trust {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Development { .. } => out.write_str("the development CA of this machine"),
            Self::Ca(path) => write!(out, "the CA file {}", path.display()),
            Self::Pin(_) => out.write_str("its pinned fingerprint"),
            Self::System => out.write_str("the authorities of this system"),
            Self::Known(_) => out.write_str("what is known of each node"),
        }
    }
}

/// What a node's certificate is held against.
pub(crate) enum Verifier {
    /// Authorities, of which one must have signed it.
    Roots(RootCertStore),
    /// The one with this fingerprint; none for any, to look at it.
    Pin(Option<Fingerprint>),
}

/// TLS 1.3, our ALPN, no early data.
pub(crate) fn tls_config(
    verifier: Verifier,
    tickets: Tickets,
) -> Result<QuicClientConfig, TrustError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| TrustError::Tls(error.to_string()))?;
    let builder = match verifier {
        Verifier::Roots(roots) => builder.with_root_certificates(roots),
        Verifier::Pin(fingerprint) => {
            let verifier = PinVerifier {
                fingerprint,
                provider,
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![chat_protocol::ALPN.to_vec()];
    config.enable_early_data = false;
    config.resumption = match tickets {
        Tickets::Kept => Resumption::in_memory_sessions(TICKETS_LEN_MAX),
        Tickets::Refused => Resumption::disabled(),
    };
    QuicClientConfig::try_from(config).map_err(|error| TrustError::Tls(error.to_string()))
}

/// Whether the next handshake with a node may go on from the last one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tickets {
    Kept,
    Refused,
}

impl Default for Trust {
    fn default() -> Self {
        Self::development()
    }
}

/// Why a client cannot believe what it was told to.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TrustError {
    /// The development CA is for loopback targets only.
    #[error(
        "{target} is not this machine, and the development CA is trusted for this machine only; name its CA with --ca FILE or its certificate with --pin SHA256"
    )]
    DevelopmentElsewhere {
        /// The target, as `host:port`.
        target: String,
    },
    /// No development CA was made yet.
    #[error(
        "there is no development CA at {}: no node was started here yet, or it keeps its certificates elsewhere (CHAT_CERTS); otherwise use --ca FILE or --pin SHA256",
        path.display()
    )]
    NoDevelopmentCa {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A CA file cannot be used.
    #[error("the CA file {} cannot be used: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system trusts no authority.
    #[error("this system has no certificates of authorities: {reason}")]
    NoSystemCa {
        /// Why.
        reason: String,
    },
    /// The TLS library refuses to work. A fault of this program.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// SHA-256 of a certificate's DER form; as text 64 hex digits, upper or lower case, with or without
/// colons, with or without `sha256:` before them.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of_der(certificate: &[u8]) -> Self {
        let digest = ::ring::digest::digest(&::ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Fingerprint({self})")
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a fingerprint is a SHA-256 in 64 hex digits")]
pub struct InvalidFingerprint;

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let text = text.trim();
        let digits = text
            .strip_prefix("sha256:")
            .unwrap_or(text)
            .replace(':', "");
        parse_hex(&digits).map(Self).ok_or(InvalidFingerprint)
    }
}

/// Where a directory of certificates is: as it stands when absolute or started with `./` or `../`;
/// else in `$XDG_DATA_HOME/chat` when that is set; else here when it exists here; else in
/// `~/.local/share/chat`. Nodes and clients find the same place by it.
#[must_use]
pub fn certs_dir(dir: &Path) -> PathBuf {
    let data_home = env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = etcetera::home_dir().ok();
    place(dir, data_home.as_deref(), dir.is_dir(), home.as_deref())
}

fn place(dir: &Path, data_home: Option<&Path>, is_here: bool, home: Option<&Path>) -> PathBuf {
    let first = dir.components().next();
    if dir.is_absolute() || matches!(first, Some(Component::CurDir | Component::ParentDir)) {
        return dir.to_owned();
    }
    match (data_home.filter(|path| path.is_absolute()), home) {
        (Some(data_home), _) => data_home.join("chat").join(dir),
        (None, Some(home)) if !is_here => home.join(".local/share/chat").join(dir),
        (None, _) => Path::new(".").join(dir),
    }
}

/// The file of the development CA: in [`certs_dir`] of `dir`, or else of `$CHAT_CERTS`, or else of
/// `certs`. It need not exist.
#[must_use]
pub fn development_ca(dir: Option<&Path>) -> PathBuf {
    let dir = match (dir, env::var_os("CHAT_CERTS")) {
        (Some(dir), _) => certs_dir(dir),
        (None, Some(dir)) if !dir.is_empty() => certs_dir(Path::new(&dir)),
        (None, _) => certs_dir(Path::new("certs")),
    };
    dir.join(DEVELOPMENT_CA)
}

/// The authorities of the system. One that cannot be read is none, as long as there are others.
fn system_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first().map(ToString::to_string);
        return Err(TrustError::NoSystemCa {
            reason: reason.unwrap_or_else(|| "none was found".to_owned()),
        });
    }
    Ok(roots)
}

fn roots(path: &Path) -> Result<RootCertStore, TrustError> {
    let refuse = |reason: String| TrustError::CaFile {
        path: path.to_owned(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?
    {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refuse("no certificate is in it".to_owned()));
    }
    Ok(roots)
}

/// Reads exactly `LEN` bytes of hex.
pub(crate) fn parse_hex<const LEN: usize>(digits: &str) -> Option<[u8; LEN]> {
    if digits.len() != 2 * LEN || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; LEN];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Believes one certificate, or any, from whoever proves to own its key.
#[derive(Debug)]
struct PinVerifier {
    fingerprint: Option<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let actual = Fingerprint::of_der(certificate);
        match self.fingerprint {
            Some(expected) if expected != actual => {
                let mismatch = PinMismatch { expected, actual };
                Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // QUIC is TLS 1.3; there is nothing an older handshake could prove here.
        Err(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[derive(Debug, Error)]
#[error("its fingerprint is sha256:{actual}, pinned is sha256:{expected}")]
struct PinMismatch {
    expected: Fingerprint,
    actual: Fingerprint,
}

/// Nodes whose TLS sessions are remembered; a client seldom meets more.
const TICKETS_LEN_MAX: usize = 32;

/// The development CA's file name in its directory.
pub const DEVELOPMENT_CA: &str = "ca.pem";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_where_nodes_and_clients_both_look() {
        let (data, home) = (Path::new("/data"), Path::new("/home/ann"));
        let at = |dir: &str, data_home, is_here, home| {
            place(Path::new(dir), data_home, is_here, home)
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(at("/etc/certs", Some(data), true, Some(home)), "/etc/certs");
        assert_eq!(at("./certs", Some(data), false, Some(home)), "./certs");
        assert_eq!(at("../certs", Some(data), false, Some(home)), "../certs");
        assert_eq!(
            at("certs", Some(data), true, Some(home)),
            "/data/chat/certs"
        );
        assert_eq!(
            at("certs", Some(Path::new("")), true, Some(home)),
            "./certs"
        );
        assert_eq!(
            at("certs", Some(Path::new("relative")), true, Some(home)),
            "./certs"
        );
        assert_eq!(at("certs", None, true, Some(home)), "./certs");
        assert_eq!(
            at("certs", None, false, Some(home)),
            "/home/ann/.local/share/chat/certs"
        );
        assert_eq!(at("certs", None, false, None), "./certs");
    }

    #[test]
    fn development_trust_ends_at_this_machine() {
        let development = Trust::development();
        for here in ["8081", "127.0.0.1:8081", "[::1]:8081", "localhost"] {
            assert_eq!(development.check(&here.parse().unwrap()), Ok(()), "{here}");
        }
        for elsewhere in [
            "10.0.0.5",
            "chat.example",
            "[2001:db8::1]:8081",
            "localhost.example",
        ] {
            let error = development
                .check(&elsewhere.parse().unwrap())
                .unwrap_err()
                .to_string();
            assert!(error.contains("--ca") && error.contains("--pin"), "{error}");
            assert_eq!(
                Trust::Pin(Fingerprint([0; 32])).check(&elsewhere.parse().unwrap()),
                Ok(())
            );
        }
    }

    #[test]
    fn a_fingerprint_is_read_in_every_usual_form() {
        let fingerprint = Fingerprint::of_der(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint.to_string(), text);
        let pairs: Vec<&str> = (0..32)
            .map(|index| &text[2 * index..2 * index + 2])
            .collect();
        for form in [
            text.to_owned(),
            text.to_uppercase(),
            format!("sha256:{text}"),
            pairs.join(":"),
        ] {
            assert_eq!(form.parse(), Ok(fingerprint), "{form}");
        }
        for wrong in [
            "",
            "ba78",
            &format!("{text}00"),
            &text.replace('b', "g"),
            &"é".repeat(32),
        ] {
            assert_eq!(
                wrong.parse::<Fingerprint>(),
                Err(InvalidFingerprint),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_cannot_be_trusted_is_said_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Trust::Development {
            dir: Some(dir.path().to_owned()),
        };
        let path = dir.path().join(DEVELOPMENT_CA);
        assert_eq!(
            missing.tls_config(Tickets::Kept).err(),
            Some(TrustError::NoDevelopmentCa { path: path.clone() })
        );
        std::fs::write(&path, "no certificate").unwrap();
        for trust in [
            missing,
            Trust::Ca(path.clone()),
            Trust::Ca(dir.path().join("gone")),
        ] {
            let error = trust.tls_config(Tickets::Kept).err().unwrap().to_string();
            assert!(error.contains(&*dir.path().to_string_lossy()), "{error}");
        }
    }
}
