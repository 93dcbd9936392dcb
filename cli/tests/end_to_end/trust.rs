//! Which certificates are believed, and what is said when they are not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::support::screen::Screen;
use crate::support::{Ended, Node, cli, run};

fn trust(home: &TempDir, arguments: &[&str]) -> Ended {
    run(cli(home, &[&["trust"], arguments].concat()), "")
}

/// The SHA-256 values in a text.
fn fingerprints(text: &str) -> Vec<String> {
    let words = text.split("sha256:").skip(1);
    words.map(|word| word.chars().take(64).collect()).collect()
}

#[test]
fn a_node_is_known_when_the_user_says_so_and_not_before() {
    let node = Node::start(&[]);
    let port = node.port();
    // It has never seen this node's certificates.
    let home = tempfile::tempdir().unwrap();
    run(cli(&home, &[&port]), "hi\n").expect_code(4);
    let asked = trust(&home, &["add", &port]);
    asked.expect_code(2);
    let remarks = asked.stderr.join("\n");
    assert!(remarks.contains("there is nobody to ask"), "{remarks}");
    assert!(trust(&home, &["list"]).stdout.is_empty());
    let shown = fingerprints(&remarks).remove(0);

    let other = "0".repeat(64);
    trust(&home, &["add", &port, "--pin", &other]).expect_code(4);
    assert!(trust(&home, &["list"]).stdout.is_empty());
    trust(&home, &["add", &port, "--pin", &shown]).expect_code(0);
    let listed = trust(&home, &["list"]).stdout;
    assert!(
        listed[0].starts_with(&format!("localhost:{port} sha256:{shown} 20")),
        "{listed:?}"
    );
    let file = home.path().join("chat/known_nodes");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    run(cli(&home, &[&port]), "hi\n").expect_code(0);
    // A wrong pin is stronger than what is known.
    run(cli(&home, &[&port, "--pin", &other]), "hi\n").expect_code(4);
    trust(&home, &["add", &port, "--yes"]).expect_code(0);

    trust(&home, &["remove", &port]).expect_code(0);
    trust(&home, &["remove", &port]).expect_code(1);
    run(cli(&home, &[&port]), "hi\n").expect_code(4);
    trust(&home, &["add", "1", "--yes"]).expect_code(3);
}

#[test]
fn a_changed_certificate_is_a_hard_stop_with_the_way_out() {
    let mut node = Node::start(&[]);
    let port = node.port();
    let home = tempfile::tempdir().unwrap();
    trust(&home, &["add", &port, "--yes"]).expect_code(0);
    let before = fingerprints(&trust(&home, &["list"]).stdout[0]).remove(0);
    node.kill();
    fs::remove_dir_all(node.home().join("chat/certs")).unwrap();
    node.start_again();
    for ended in [
        run(cli(&home, &[&port]), "hi\n"),
        trust(&home, &["add", &port, "--yes"]),
        // The right development CA does not help: it is another certificate.
        {
            let mut command = cli(&home, &[&port]);
            command.env("CHAT_CERTS", node.home().join("chat/certs"));
            run(command, "hi\n")
        },
    ] {
        ended.expect_code(4);
        let remarks = ended.stderr.join("\n");
        let day = fs::read_to_string(home.path().join("chat/known_nodes")).unwrap();
        let day = &day.split(' ').nth(2).unwrap()[..10];
        for part in [
            format!("error: the certificate of localhost:{port} has CHANGED since {day}"),
            "chat/known_nodes, line 1)".to_owned(),
            format!(
                "chat-cli trust remove localhost:{port} && chat-cli trust add localhost:{port}"
            ),
        ] {
            assert!(remarks.contains(&part), "{part:?} is not in {remarks}");
        }
        let shown = fingerprints(&remarks);
        assert_eq!((shown.len(), &shown[0]), (2, &before), "{remarks}");
        assert_ne!(shown[1], before);
    }
    trust(&home, &["remove", &format!("localhost:{port}")]).expect_code(0);
    trust(&home, &["add", &port, "--yes"]).expect_code(0);
    run(cli(&home, &[&port]), "hi\n").expect_code(0);

    fs::write(home.path().join("chat/known_nodes"), "rubbish\n").unwrap();
    let broken = run(cli(&home, &[&port]), "hi\n");
    broken.expect_code(8);
    assert!(broken.stderr[0].contains("known_nodes:1: "), "{broken:?}");
}

#[test]
fn somebody_at_a_terminal_is_asked() {
    let node = Node::start(&[]);
    let port = node.port();
    let home = tempfile::tempdir().unwrap();
    for (answer, code, known_len) in [("no\n", 4, 0), ("\n", 4, 0), ("yes\n", 0, 1)] {
        let mut screen = Screen::start(cli(&home, &["trust", "add", &port]), 100);
        screen.wait_for("the question", |lines| {
            lines
                .iter()
                .any(|line| line.contains("Is it right? [yes/no]"))
        });
        assert!(
            screen
                .lines()
                .iter()
                .any(|line| line.contains("names: ") && line.contains("localhost"))
        );
        screen.press(answer);
        assert_eq!(screen.end(), Some(code), "{answer:?}");
        assert_eq!(trust(&home, &["list"]).stdout.len(), known_len);
    }
}
