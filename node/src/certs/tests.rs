//! Operators' files, the exposure rule, and the TLS settings in a real handshake.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use rustls::RootCertStore;
use tempfile::TempDir;

use super::development::load_or_make;
use super::*;

fn development() -> (TempDir, NodeCertificate) {
    let directory = tempfile::tempdir().unwrap();
    let made = load_or_make(directory.path(), &[], SystemTime::now()).unwrap();
    (directory, made.node)
}

#[test]
fn files_of_the_operator_are_loaded() {
    let (directory, made) = development();
    let file = |name: &str| directory.path().join(name);
    let loaded = NodeCertificate::from_files(&file("node.pem"), &file("node.key")).unwrap();
    assert_eq!(loaded.origin(), Origin::Files);
    assert_eq!(loaded.fingerprint(), made.fingerprint());
    assert_eq!(loaded.expires(), made.expires());
    assert_eq!(
        fingerprint_of_file(&file("node.pem")).unwrap(),
        made.fingerprint()
    );
}

#[test]
fn a_pair_that_does_not_belong_together_is_refused() {
    let (directory, _) = development();
    let file = |name: &str| directory.path().join(name);
    let error = NodeCertificate::from_files(&file("node.pem"), &file("ca.key")).unwrap_err();
    let wanted = format!(
        "{}: this private key does not belong to {}",
        file("ca.key").display(),
        file("node.pem").display()
    );
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn wrong_files_are_named_with_what_is_wrong() {
    let (directory, _) = development();
    let file = |name: &str| directory.path().join(name);
    let check = |cert: &str, key: &str, wanted: &str| {
        let error = NodeCertificate::from_files(&file(cert), &file(key))
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{cert} {key}: {error}");
    };
    check("none.pem", "node.key", "none.pem: cannot be read");
    check("node.pem", "none.key", "none.key: cannot be read");
    check("node.key", "node.key", "node.key: no PEM certificate in it");
    check(
        "ca.pem",
        "node.pem",
        "node.pem: everybody may read this private key (mode 0644)",
    );
    fs::write(
        file("garbage.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    check(
        "garbage.pem",
        "node.key",
        "garbage.pem: this is no X.509 certificate",
    );
    fs::write(file("large.pem"), "x".repeat(300_000)).unwrap();
    check(
        "large.pem",
        "node.key",
        "large.pem: larger than 262144 bytes",
    );
}

#[test]
fn a_development_certificate_meets_other_machines_only_when_allowed() {
    let check = |origin, listen: &str, allowed, wanted| {
        let listen: IpAddr = listen.parse().unwrap();
        assert_eq!(
            check_exposure(origin, listen, allowed).ok(),
            wanted,
            "{origin:?} {listen}"
        );
    };
    check(
        Origin::Development,
        "127.0.0.1",
        false,
        Some(Exposure::Sound),
    );
    check(
        Origin::Development,
        "127.8.8.8",
        false,
        Some(Exposure::Sound),
    );
    check(Origin::Development, "::1", false, Some(Exposure::Sound));
    check(
        Origin::Development,
        "::ffff:127.0.0.1",
        false,
        Some(Exposure::Sound),
    );
    check(
        Origin::Development,
        "127.0.0.1",
        true,
        Some(Exposure::Sound),
    );
    check(Origin::Development, "0.0.0.0", false, None);
    check(Origin::Development, "::", false, None);
    check(Origin::Development, "10.0.0.1", false, None);
    check(
        Origin::Development,
        "0.0.0.0",
        true,
        Some(Exposure::DevelopmentInPublic),
    );
    check(Origin::Files, "0.0.0.0", false, Some(Exposure::Sound));
}

#[test]
fn debug_shows_no_key() {
    let (directory, made) = development();
    let key = fs::read_to_string(directory.path().join("node.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    assert!(!format!("{made:?}").contains(line));
    assert!(format!("{made:?}").contains(&made.fingerprint().to_string()));
}

#[tokio::test]
async fn a_client_that_trusts_the_ca_gets_tls_13_with_the_alpn_and_no_other() {
    let (directory, made) = development();
    let crypto = Arc::new(made.server_crypto().unwrap());
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server =
        quinn::Endpoint::server(quinn::ServerConfig::with_crypto(crypto), any_port).unwrap();
    let address = server.local_addr().unwrap();
    let accepted = async {
        let good = server.accept().await.unwrap().await.unwrap();
        let protocol = good
            .handshake_data()
            .unwrap()
            .downcast::<HandshakeData>()
            .unwrap()
            .protocol;
        assert_eq!(protocol.as_deref(), Some(ALPN));
        assert!(server.accept().await.unwrap().await.is_err());
        good // Kept until the client has seen it.
    };

    let client = quinn::Endpoint::client(any_port).unwrap();
    let ca = files::read_chain(&directory.path().join("ca.pem"))
        .unwrap()
        .swap_remove(0);
    let connect = |alpn: &[u8], name: &'static str| {
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let config = Arc::new(QuicClientConfig::try_from(config).unwrap());
        client
            .connect_with(quinn::ClientConfig::new(config), address, name)
            .unwrap()
    };
    let connecting = async {
        let good = connect(ALPN, "localhost").await.unwrap();
        let certificates = good.peer_identity().unwrap();
        let chain = certificates
            .downcast::<Vec<CertificateDer<'static>>>()
            .unwrap();
        assert_eq!(Fingerprint::of_der(&chain[0]), made.fingerprint());
        assert!(connect(b"chat/0", "localhost").await.is_err());
    };
    let both = async { tokio::join!(accepted, connecting) };
    tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .unwrap();
}
