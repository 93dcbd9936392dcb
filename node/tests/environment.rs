//! What the environment does to `chat-node`, asked of the program itself.

use std::process::{Command, Output};

/// Runs `chat-node` with nothing of this test's own environment but what it is given.
fn chat_node(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chat-node"))
        .env_clear()
        .envs(environment.iter().copied())
        .args(arguments)
        .output()
        .expect("chat-node starts")
}

/// The status and the error text of a run.
fn outcome(environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let output = chat_node(environment, arguments);
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_wrong_variable_is_named_and_ends_with_status_2() {
    let check = |variable: &str, value: &str, wanted: &str| {
        for arguments in [&[][..], &["serve"]] {
            let (status, text) = outcome(&[(variable, value)], arguments);
            assert_eq!(status, Some(2), "{variable}={value} {arguments:?}: {text}");
            assert!(
                text.contains(wanted),
                "{variable}={value} {arguments:?}: {text}"
            );
            let hint = format!("the value comes from the environment variable {variable}");
            assert!(
                text.contains(&hint),
                "{variable}={value} {arguments:?}: {text}"
            );
        }
    };
    check("CHAT_LISTEN", "nowhere", "'nowhere' for '--listen <ADDR>'");
    check("CHAT_NODE_NAME", "a b", "'a b' for '--name <NODE>'");
    check(
        "CHAT_NOTICE_EVERY",
        "0",
        "'0' for '--notice-every <TIME|off>'",
    );
    check("CHAT_LEASE", "1s", "wanted a time from 3s to 10m");
    check(
        "CHAT_MAX_CONNECTIONS",
        "-1",
        "'-1' for '--max-connections <N>'",
    );
    check(
        "CHAT_LOG_FORMAT",
        "xml",
        "'xml' for '--log-format <FORMAT>'",
    );
    check(
        "CHAT_ALLOW_DEV_CERT",
        "perhaps",
        "'perhaps' for '--allow-dev-cert'",
    );
    check(
        "CHAT_ALLOW_EVICTION",
        "perhaps",
        "'perhaps' for '--allow-eviction'",
    );
}

#[test]
fn a_password_in_the_environment_is_never_shown() {
    let secret = [("CHAT_REDIS_URL", "redis://ann:secret@host:port")];
    let (status, text) = outcome(&secret, &[]);
    assert_eq!(status, Some(2), "{text}");
    assert!(
        text.contains("'redis://ann:***@host:port' for '--redis <URL>'"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");

    let help = chat_node(&secret, &["--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("[env: CHAT_REDIS_URL]"), "{help}");
    assert!(!help.contains("secret"), "{help}");
}

#[test]
fn a_flag_beats_its_variable() {
    let wrong = [("CHAT_LISTEN", "nowhere"), ("CHAT_REDIS_URL", "nothing")];
    let right = [
        "--listen=127.0.0.1:0",
        "--redis",
        "redis://127.0.0.1:1",
        "--lease=1s",
    ];
    let (status, text) = outcome(&wrong, &right);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("'1s' for '--lease <TIME>'"), "{text}");
    assert!(
        !text.contains("environment"),
        "the value is the flag's: {text}"
    );
}

#[test]
fn the_variables_of_a_node_do_not_touch_a_health_check() {
    let directory = tempfile::tempdir().expect("a directory");
    let certs = directory.path().to_str().expect("UTF-8");
    let environment = [
        ("CHAT_LISTEN", "nowhere"),
        ("CHAT_KEY", "key"),
        ("CHAT_CERTS", certs),
    ];
    let (status, text) = outcome(
        &environment,
        &["health", "127.0.0.1:9", "--timeout", "200ms"],
    );
    assert_eq!(status, Some(1), "no node listens there: {text}");
}

#[test]
fn certs_are_made_and_their_fingerprints_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let certs = directory.path().join("certs");
    let environment = [("CHAT_CERTS", certs.to_str().expect("UTF-8"))];
    let run = || {
        let output = chat_node(&environment, &["certs"]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let first = run();
    for file in ["ca.pem", "node.pem"] {
        let fingerprint = chat_node::certs::fingerprint_of_file(&certs.join(file))
            .expect("made")
            .to_string();
        assert!(
            first.contains(&fingerprint),
            "{file} {fingerprint}: {first}"
        );
    }
    assert_eq!(run(), first, "made once");
}
