//! Making, keeping, renewing, racing, and every file broken once.

use std::sync::Barrier;
use std::thread;

use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

const FILES: [&str; 4] = [CA_KEY, CA_CERT, NODE_KEY, NODE_CERT];

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn load(directory: &TempDir, now: SystemTime) -> DevelopmentCertificates {
    load_or_make(directory.path(), &[], now).unwrap()
}

fn text(directory: &TempDir, name: &str) -> String {
    fs::read_to_string(directory.path().join(name)).unwrap()
}

fn listing(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Whether a client with the CA in `ca_pem` takes `node` under `name` at `time`.
fn is_trusted(ca_pem: &str, node: &NodeCertificate, name: &str, time: SystemTime) -> bool {
    let ca = files::chain_of(Path::new("ca"), ca_pem)
        .unwrap()
        .swap_remove(0);
    let mut roots = RootCertStore::empty();
    roots.add(ca).unwrap();
    let parsed = ParsedCertificate::try_from(&node.chain[0]).unwrap();
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let time = UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], time, algorithms.all).is_ok()
        && verify_server_name(&parsed, &ServerName::try_from(name).unwrap()).is_ok()
}

#[test]
fn certificates_are_made_once_and_reused() {
    let directory = directory();
    let nested = directory.path().join("chat/certs");
    let now = SystemTime::now();
    let first = load_or_make(&nested, &[], now).unwrap();
    assert_eq!(
        listing(&nested),
        ["ca.key", "ca.pem", "node.key", "node.pem"]
    );
    let second = load_or_make(&nested, &[], now + Duration::from_secs(DAY)).unwrap();
    assert_eq!(first.node.fingerprint(), second.node.fingerprint());
    assert_eq!(first.ca_fingerprint, second.ca_fingerprint);
    assert_eq!(second.node.origin(), Origin::Development);
    assert_eq!(second.ca_file, nested.join("ca.pem"));
}

#[cfg(unix)]
#[test]
fn keys_are_private_and_certificates_are_not() {
    use std::os::unix::fs::PermissionsExt;
    let directory = directory();
    load(&directory, SystemTime::now());
    let mode = |name: &str| {
        fs::metadata(directory.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!([mode(CA_KEY), mode(NODE_KEY)], [0o600, 0o600]);
    assert_eq!(
        [mode(CA_CERT) & 0o444, mode(NODE_CERT) & 0o444],
        [0o444, 0o444]
    );
}

#[test]
fn the_node_is_trusted_by_its_names_and_no_other() {
    let directory = directory();
    let now = SystemTime::now();
    let hosts = ["Chat.Example".to_owned(), "10.1.2.3".to_owned()];
    let made = load_or_make(directory.path(), &hosts, now).unwrap();
    let ca = text(&directory, CA_CERT);
    for name in DEFAULT_NAMES
        .into_iter()
        .chain(["chat.example", "10.1.2.3"])
    {
        assert!(is_trusted(&ca, &made.node, name, now), "{name}");
    }
    for name in ["example.org", "10.1.2.4", "127.0.0.2"] {
        assert!(!is_trusted(&ca, &made.node, name, now), "{name}");
    }
}

#[test]
fn the_node_certificate_says_what_it_is_and_ends_within_14_days() {
    let directory = directory();
    let made = load(&directory, SystemTime::now());
    let (_, x509) = X509Certificate::from_der(&made.node.chain[0]).unwrap();
    assert_eq!(x509.subject().to_string(), "CN=chat-node DEV ONLY");
    let validity = x509.validity();
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert!(seconds < 14 * 24 * 3600, "{seconds}");
    assert!(!x509.is_ca());
}

#[test]
fn a_new_name_is_added_to_those_before() {
    let directory = directory();
    let now = SystemTime::now();
    let host = |name: &str| [name.to_owned()];
    load_or_make(directory.path(), &host("one.example"), now).unwrap();
    let second = load_or_make(directory.path(), &host("two.example"), now).unwrap();
    let again = load_or_make(directory.path(), &host("one.example"), now).unwrap();
    assert_eq!(second.node.fingerprint(), again.node.fingerprint());
    assert!(is_trusted(
        &text(&directory, CA_CERT),
        &again.node,
        "two.example",
        now
    ));
}

#[test]
fn the_node_certificate_is_renewed_before_its_end_with_the_same_key() {
    let directory = directory();
    let now = SystemTime::now();
    let first = load(&directory, now);
    let key = text(&directory, NODE_KEY);

    let early = load(&directory, now + NODE_LIFETIME - NODE_RENEWAL - CLOCK_SKEW);
    assert_eq!(first.node.fingerprint(), early.node.fingerprint());
    let late = now + NODE_LIFETIME - NODE_RENEWAL + CLOCK_SKEW;
    let renewed = load(&directory, late);
    assert_ne!(first.node.fingerprint(), renewed.node.fingerprint());
    assert_eq!(text(&directory, NODE_KEY), key);
    assert_eq!(first.ca_fingerprint, renewed.ca_fingerprint);
    let end = late + NODE_LIFETIME - CLOCK_SKEW;
    assert!(is_trusted(
        &text(&directory, CA_CERT),
        &renewed.node,
        "localhost",
        end
    ));
}

#[test]
fn a_renewed_ca_is_the_same_to_clients_that_kept_the_old_one() {
    let directory = directory();
    let now = SystemTime::now();
    let first = load(&directory, now);
    let (old_ca, ca_key) = (text(&directory, CA_CERT), text(&directory, CA_KEY));

    let late = now + CA_LIFETIME - CA_RENEWAL + CLOCK_SKEW;
    let renewed = load(&directory, late);
    assert_ne!(first.ca_fingerprint, renewed.ca_fingerprint);
    assert_eq!(text(&directory, CA_KEY), ca_key);
    assert!(is_trusted(&old_ca, &renewed.node, "localhost", late));
    assert!(is_trusted(
        &text(&directory, CA_CERT),
        &renewed.node,
        "localhost",
        late
    ));
}

#[test]
fn a_node_certificate_of_an_earlier_ca_is_replaced() {
    let directory = directory();
    let now = SystemTime::now();
    let first = load(&directory, now);
    fs::remove_file(directory.path().join(CA_CERT)).unwrap();
    fs::remove_file(directory.path().join(CA_KEY)).unwrap();
    let second = load(&directory, now);
    assert_ne!(first.node.fingerprint(), second.node.fingerprint());
    assert!(is_trusted(
        &text(&directory, CA_CERT),
        &second.node,
        "localhost",
        now
    ));
}

#[test]
fn a_broken_file_is_named_and_left_alone() {
    for name in FILES {
        for garbage in [
            "",
            "garbage",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let directory = directory();
            load(&directory, SystemTime::now());
            let path = directory.path().join(name);
            fs::write(&path, garbage).unwrap();
            let error = load_or_make(directory.path(), &[], SystemTime::now()).unwrap_err();
            assert!(
                matches!(&error, CertsError::Broken { path: named, .. } if *named == path),
                "{name} {garbage:?}: {error}"
            );
            assert_eq!(text(&directory, name), garbage);
        }
    }
}

#[test]
fn a_ca_without_its_key_or_with_another_is_refused() {
    let directory = directory();
    let now = SystemTime::now();
    load(&directory, now);
    let check = |wanted: &str| {
        let error = load_or_make(directory.path(), &[], now)
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}");
    };
    fs::copy(
        directory.path().join(NODE_KEY),
        directory.path().join(CA_KEY),
    )
    .unwrap();
    check("ca.pem: does not belong to ca.key; remove both for a new CA");
    fs::remove_file(directory.path().join(CA_KEY)).unwrap();
    check("ca.pem: ca.key is missing beside it; remove ca.pem for a new CA");
}

#[test]
fn nodes_that_start_at_once_agree() {
    const NODES: usize = 8;
    for _ in 0..10 {
        let directory = directory();
        let path = directory.path().join("certs");
        let now = SystemTime::now();
        let start = Barrier::new(NODES);
        let loaded: Vec<_> = thread::scope(|scope| {
            let nodes: Vec<_> = (0..NODES)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        load_or_make(&path, &[], now).unwrap()
                    })
                })
                .collect();
            nodes.into_iter().map(|node| node.join().unwrap()).collect()
        });
        let ca = fs::read_to_string(path.join(CA_CERT)).unwrap();
        for node in &loaded {
            assert_eq!(node.ca_fingerprint, loaded[0].ca_fingerprint);
            assert_eq!(node.node.fingerprint(), loaded[0].node.fingerprint());
            assert!(is_trusted(&ca, &node.node, "localhost", now));
            node.node.server_crypto().unwrap();
        }
        assert_eq!(listing(&path), ["ca.key", "ca.pem", "node.key", "node.pem"]);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = load_or_make(&file.join("certs"), &[], SystemTime::now())
        .unwrap_err()
        .to_string();
    assert!(error.contains("file/certs: cannot be made: "), "{error}");
}

#[cfg(unix)]
#[test]
fn a_group_gets_the_keys_to_read_and_links_are_not_followed() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let directory = directory();
    load(&directory, SystemTime::now());
    let own_group = fs::metadata(directory.path()).unwrap().gid();
    share_with_group(directory.path(), own_group).unwrap();
    let mode = |name: &str| {
        fs::metadata(directory.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(
        [mode(""), mode(CA_KEY), mode(NODE_KEY)],
        [0o2775, 0o640, 0o640]
    );
    assert_eq!([mode(CA_CERT), mode(NODE_CERT)], [0o644, 0o644]);

    let target = directory.path().join("target");
    fs::rename(directory.path().join(NODE_KEY), &target).unwrap();
    symlink(&target, directory.path().join(NODE_KEY)).unwrap();
    let error = share_with_group(directory.path(), own_group)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("node.key: cannot be given to the group: a symbolic link"),
        "{error}"
    );
}
