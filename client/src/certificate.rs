//! The certificate that a node showed in its handshake.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use quinn::Connection;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::plain;
use crate::trust::Fingerprint;

/// A node's certificate, as it was verified when the connection was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Certificate {
    /// What names it.
    pub fingerprint: Fingerprint,
    /// When it ends; `None` when that cannot be read. A pinned certificate is believed all the same.
    pub not_after: Option<SystemTime>,
}

impl Certificate {
    /// A certificate in DER.
    #[must_use]
    pub fn of_der(certificate: &[u8]) -> Self {
        Self {
            fingerprint: Fingerprint::of_der(certificate),
            not_after: not_after(certificate),
        }
    }

    /// The certificate of the node at the other end.
    pub(crate) fn of(connection: &Connection) -> Option<Self> {
        let chain = connection.peer_identity()?;
        let chain = chain.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        chain.first().map(|certificate| Self::of_der(certificate))
    }
}

/// DNS names and addresses in a certificate in DER, at most [`NAMES_LEN_MAX`]; empty when they
/// cannot be read. They are a stranger's words.
pub(crate) fn names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return vec![];
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return vec![];
    };
    let texts = names.value.general_names.iter().filter_map(name_text);
    texts.take(NAMES_LEN_MAX).collect()
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(plain(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Names of a certificate that are told.
const NAMES_LEN_MAX: usize = 32;

fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_says_when_it_ends_and_rubbish_says_nothing() {
        let in_it = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(in_it.clone()).unwrap();
        params.not_after = date_time_ymd(2030, 1, 1);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let certificate = Certificate::of_der(made.der());
        let first_of_2030 = Duration::from_secs(1_893_456_000);
        let ends = SystemTime::UNIX_EPOCH + first_of_2030;
        assert_eq!(certificate.not_after, Some(ends));
        assert_eq!(certificate.fingerprint, Fingerprint::of_der(made.der()));
        assert_eq!(names(made.der()), in_it);
        for end in [0, 1, made.der().len() / 2] {
            assert!(names(&made.der()[..end]).is_empty());
            assert_eq!(Certificate::of_der(&made.der()[..end]).not_after, None);
        }
    }
}
