//! What this node must know of a certificate: until when it is valid, for which names and key.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::CertsError;

/// The read parts of a certificate.
#[derive(Debug)]
pub(super) struct Facts {
    /// The end of its validity.
    pub(super) not_after: SystemTime,
    /// DNS names and addresses, as texts.
    pub(super) names: BTreeSet<String>,
    /// The public key with its algorithm, in DER.
    pub(super) public_key: Vec<u8>,
}

/// Reads the certificate that came from `path`.
///
/// # Errors
/// [`CertsError::Broken`] when it is no X.509 certificate.
pub(super) fn read(path: &Path, certificate: &CertificateDer<'_>) -> Result<Facts, CertsError> {
    let broken = |why: String| CertsError::Broken {
        path: path.to_owned(),
        why,
    };
    let (_, x509) = X509Certificate::from_der(certificate)
        .map_err(|error| broken(format!("this is no X.509 certificate: {error}")))?;
    let names = x509
        .subject_alternative_name()
        .map_err(|error| broken(format!("its names cannot be read: {error}")))?;
    let seconds = u64::try_from(x509.validity().not_after.timestamp()).unwrap_or(0);
    Ok(Facts {
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        names: names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(name_text)
            .collect(),
        public_key: x509.public_key().raw.to_vec(),
    })
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
            let v6 = <[u8; 16]>::try_from(*bytes).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
