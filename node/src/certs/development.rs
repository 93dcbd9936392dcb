//! Development certificates: a CA and a node certificate, made on first use and kept.
//!
//! The directory holds `ca.pem`, `ca.key`, `node.pem` and `node.key`; nodes of a developer share
//! it, and clients on the same machine trust its `ca.pem`. Keys are made once, never replaced, and
//! have mode 0600 from their first byte on. Certificates are derived from them: the CA's is
//! renewed within a month of its end, the node's within a day of its end or when it lacks a name.
//! A file that is there but broken is an error, never replaced.
//!
//! Nodes that start at the same time do not fight and need no lock. Each file appears whole or
//! not at all; of two that make a key the first wins and both read it; two certificates for one
//! key are equally good, and both nodes' clients accept either.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chat_client::Fingerprint;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::ParsedCertificate;

use super::files::{self, Secrecy};
use super::{CertsError, NodeCertificate, Origin, x509};

/// The development certificates of one directory.
#[derive(Debug)]
pub struct DevelopmentCertificates {
    /// For a node.
    pub node: NodeCertificate,
    /// The certificate of the CA, for clients to trust.
    pub ca_file: PathBuf,
    /// Its fingerprint.
    pub ca_fingerprint: Fingerprint,
}

/// Loads the certificates of `directory`, which is made with them where it is missing.
///
/// The node's certificate is valid for `localhost`, `127.0.0.1`, `::1`, the nodes of the compose
/// file and every one of `hosts`, a name or an address each. It is valid for less than 14 days,
/// so that browsers take it by its hash, and for a day at least from `now` on.
///
/// # Errors
/// [`CertsError`] when a file cannot be read or written, is broken, or does not belong to the
/// others.
pub fn load_or_make(
    directory: &Path,
    hosts: &[String],
    now: SystemTime,
) -> Result<DevelopmentCertificates, CertsError> {
    fs::create_dir_all(directory)
        .map_err(|error| files::file_error(directory, "cannot be made", error))?;
    let ca = Ca::load_or_make(directory, now)?;
    let node = ca.node_certificate(directory, hosts, now)?;
    Ok(DevelopmentCertificates {
        node,
        ca_fingerprint: Fingerprint::of_der(&ca.certificate),
        ca_file: ca.file,
    })
}

/// Lets the users of a group use the directory too: they may read the keys and renew the
/// certificates. The files become those of the directory's owner, so run this as root.
///
/// # Errors
/// [`CertsError::File`] with the file that could not be given.
#[cfg(unix)]
pub fn share_with_group(directory: &Path, group: u32) -> Result<(), CertsError> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let give = |path: &Path, mode: u32| {
        let give = || {
            if fs::symlink_metadata(path)?.is_symlink() {
                return Err(std::io::Error::other("a symbolic link is not followed"));
            }
            let file = fs::File::open(path)?;
            let owner = fs::metadata(directory)?.uid();
            fchown(&file, Some(owner), Some(group))?;
            file.set_permissions(fs::Permissions::from_mode(mode))
        };
        give().map_err(|error| files::file_error(path, "cannot be given to the group", error))
    };
    // New files belong to the group as well.
    give(directory, 0o2775)?;
    for (name, mode) in [
        (CA_KEY, 0o640),
        (NODE_KEY, 0o640),
        (CA_CERT, 0o644),
        (NODE_CERT, 0o644),
    ] {
        give(&directory.join(name), mode)?;
    }
    Ok(())
}

/// Elsewhere than on Unix there are no groups of this kind.
#[cfg(not(unix))]
pub fn share_with_group(directory: &Path, _group: u32) -> Result<(), CertsError> {
    let error = std::io::ErrorKind::Unsupported.into();
    Err(files::file_error(
        directory,
        "cannot be given to the group",
        error,
    ))
}

/// The CA of a directory.
struct Ca {
    file: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn load_or_make(directory: &Path, now: SystemTime) -> Result<Self, CertsError> {
        let file = directory.join(CA_CERT);
        let key_file = directory.join(CA_KEY);
        // The certificate is looked at first: it is always made after the key.
        let existing = existing_certificate(&file)?;
        if existing.is_some() && !exists(&key_file)? {
            let why = format!("{CA_KEY} is missing beside it; remove {CA_CERT} for a new CA");
            return Err(files::broken(&file, why));
        }
        let key = load_or_make_key(&key_file)?;
        let params = ca_params(now);
        let make = || {
            params
                .self_signed(&key)
                .map(|made| made.pem())
                .map_err(CertsError::Making)
        };

        match existing {
            None => files::write_new(&file, &make()?, Secrecy::Public)?,
            Some(existing) => {
                let facts = x509::read(&file, &existing)?;
                if facts.public_key != key.subject_public_key_info() {
                    let why = format!("does not belong to {CA_KEY}; remove both for a new CA");
                    return Err(files::broken(&file, why));
                }
                if facts.not_after < now + CA_RENEWAL {
                    files::replace(&file, &make()?, Secrecy::Public)?;
                }
            }
        }
        let certificate = files::read_chain(&file)?.swap_remove(0);
        Ok(Self {
            file,
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    fn node_certificate(
        &self,
        directory: &Path,
        hosts: &[String],
        now: SystemTime,
    ) -> Result<NodeCertificate, CertsError> {
        let file = directory.join(NODE_CERT);
        let key = load_or_make_key(&directory.join(NODE_KEY))?;
        let mut names: BTreeSet<String> = DEFAULT_NAMES.iter().map(|&name| name.into()).collect();
        names.extend(hosts.iter().map(|host| host.to_ascii_lowercase()));

        let Some(existing) = existing_certificate(&file)? else {
            let made = self.issue(&names, &key, now)?;
            files::write_new(&file, &made.pem(), Secrecy::Public)?;
            // Another node may have been faster, and with other names: then each shows its own.
            let kept = files::read_chain(&file)?.swap_remove(0);
            let has_names = x509::read(&file, &kept)?.names.is_superset(&names);
            return with_key(
                &file,
                if has_names { kept } else { made.der().clone() },
                &key,
            );
        };
        let facts = x509::read(&file, &existing)?;
        if facts.names.is_superset(&names)
            && facts.public_key == key.subject_public_key_info()
            && self.vouches_for(&existing, now + NODE_RENEWAL)
        {
            return with_key(&file, existing, &key);
        }
        // Names of other nodes that use this directory are kept, so that they need no renewal.
        names.extend(facts.names.into_iter().take(NAMES_LEN_MAX));
        let made = self.issue(&names, &key, now)?;
        files::replace(&file, &made.pem(), Secrecy::Public)?;
        with_key(&file, made.der().clone(), &key)
    }

    /// Whether clients that trust this CA accept `certificate` at `time`.
    fn vouches_for(&self, certificate: &CertificateDer<'_>, time: SystemTime) -> bool {
        let mut roots = RootCertStore::empty();
        let since_epoch = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        roots.add(self.certificate.clone()).is_ok()
            && ParsedCertificate::try_from(certificate).is_ok_and(|parsed| {
                let time = UnixTime::since_unix_epoch(since_epoch);
                verify_server_cert_signed_by_trust_anchor(
                    &parsed,
                    &roots,
                    &[],
                    time,
                    algorithms.all,
                )
                .is_ok()
            })
    }

    fn issue(
        &self,
        names: &BTreeSet<String>,
        key: &KeyPair,
        now: SystemTime,
    ) -> Result<rcgen::Certificate, CertsError> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| san(name))
            .collect::<Result<_, _>>()
            .map_err(CertsError::Making)?;
        params
            .distinguished_name
            .push(DnType::CommonName, NODE_COMMON_NAME);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(random_serial());
        params.not_before = (now - CLOCK_SKEW).into();
        params.not_after = (now + NODE_LIFETIME).into();
        params
            .signed_by(key, &self.issuer)
            .map_err(CertsError::Making)
    }
}

/// The certificate, which is or could be in `file`, with its key.
fn with_key(
    file: &Path,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> Result<NodeCertificate, CertsError> {
    let expires = x509::read(file, &certificate)?.not_after;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(NodeCertificate {
        chain: vec![certificate],
        key,
        origin: Origin::Development,
        expires,
    })
}

fn existing_certificate(path: &Path) -> Result<Option<CertificateDer<'static>>, CertsError> {
    let Some(text) = files::read_text(path)? else {
        return Ok(None);
    };
    Ok(Some(files::chain_of(path, &text)?.swap_remove(0)))
}

fn ca_params(now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, CA_COMMON_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(random_serial());
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + CA_LIFETIME).into();
    params
}

/// The key of the file, made first when there is none.
fn load_or_make_key(path: &Path) -> Result<KeyPair, CertsError> {
    if !exists(path)? {
        let key =
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(CertsError::Making)?;
        files::write_new(path, &key.serialize_pem(), Secrecy::Private)?;
    }
    let text = files::read_text(path)?.unwrap_or_default();
    KeyPair::from_pem(&text).map_err(|error| {
        files::broken(
            path,
            format!("this is no private key: {error}; remove it for a new one"),
        )
    })
}

fn exists(path: &Path) -> Result<bool, CertsError> {
    path.try_exists()
        .map_err(|error| files::file_error(path, "cannot be looked at", error))
}

/// `name` as a certificate carries it: an address where it is one.
fn san(name: &str) -> Result<SanType, rcgen::Error> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into()?)),
    }
}

/// Certificates of one key must differ in their number, or browsers refuse the second.
fn random_serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    // A number must not be negative nor begin with a zero byte.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// Files of the directory.
const CA_CERT: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const NODE_CERT: &str = "node.pem";
const NODE_KEY: &str = "node.key";

/// Seen by whoever looks at the certificate of a node that should have a real one.
const NODE_COMMON_NAME: &str = "chat-node DEV ONLY";
const CA_COMMON_NAME: &str = "chat-node DEV ONLY CA";

/// This machine, and the nodes of `docker-compose.yml` among themselves.
const DEFAULT_NAMES: [&str; 5] = [
    "127.0.0.1",
    "::1",
    "chat-node-1",
    "chat-node-2",
    "localhost",
];

/// Names taken over from an earlier certificate at most, so that it cannot grow without end.
const NAMES_LEN_MAX: usize = 32;

/// Clocks of clients may be behind by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// With the skew less than 14 days, the most that browsers take for a certificate by its hash.
const NODE_LIFETIME: Duration = Duration::from_secs(13 * DAY);

/// A node that starts has a certificate for a day at least.
const NODE_RENEWAL: Duration = Duration::from_secs(DAY);

/// A year: long enough to be trusted by a copy, short enough to be forgotten in time.
const CA_LIFETIME: Duration = Duration::from_secs(365 * DAY);

/// No node certificate outlives its CA.
const CA_RENEWAL: Duration = Duration::from_secs(30 * DAY);

const DAY: u64 = 24 * 3600;

const _: () = assert!(NODE_LIFETIME.as_secs() + CLOCK_SKEW.as_secs() < 14 * DAY);
const _: () = assert!(NODE_LIFETIME.as_secs() < CA_RENEWAL.as_secs());

#[cfg(test)]
mod tests;
