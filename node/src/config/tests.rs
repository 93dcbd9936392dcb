//! The surface of the command line. What the environment does is tested on the binary itself.

use super::*;

fn parse_line(line: &str) -> Result<Command, clap::Error> {
    try_parse_from(line.split_whitespace())
}

fn serve(line: &str) -> ServeConfig {
    match parse_line(line) {
        Ok(Command::Serve(config)) => *config,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_definition_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn a_node_without_flags_has_the_documented_defaults() {
    let config = serve("chat-node");
    assert_eq!(
        config.to_string(),
        "listen=127.0.0.1:8081 redis=none name=node-PORT certs=certs allow_dev_cert=false \
         notice_every=off drain_timeout=10s idle_timeout=15s grace=5s lease=15s \
         append_timeout=5s slow_reader_timeout=30s linger=5ms max_datagram=1452 max_connections=20000 log=info log_format=auto"
    );
    assert_eq!(config.notice_text.as_str(), "scheduled server notice");
    assert_eq!(config.redis_prefix, "chat:");
}

#[test]
fn the_word_serve_changes_nothing() {
    let flags = "--listen 127.0.0.1:0 --redis redis://127.0.0.1:6379 --name a-1 --certs ./c \
                 --notice-every 30s --notice-text hello";
    let with = serve(&format!("chat-node serve {flags}"));
    let without = serve(&format!("chat-node {flags}"));
    assert_eq!(with.to_string(), without.to_string());
    assert_eq!(with.listen, SocketAddr::from(([127, 0, 0, 1], 0)));
    assert_eq!(with.name.as_ref().map(NodeName::as_str), Some("a-1"));
    assert_eq!(
        with.notice_every,
        NoticeEvery::Every(Duration::from_secs(30))
    );
    assert_eq!(with.notice_text.as_str(), "hello");
    assert_eq!(with.certs, Path::new("./c"));
}

#[test]
fn the_effective_configuration_hides_the_password() {
    let config = serve(
        "chat-node --redis redis://ann:secret@host --name n --notice-every 1m \
         --cert c.pem --key k.pem --advertise chat.example:443",
    );
    assert_eq!(
        config.to_string(),
        "listen=127.0.0.1:8081 redis=redis://ann:***@host redis_prefix=chat: allow_eviction=false \
         name=n cert=c.pem key=k.pem advertise=chat.example:443 notice_every=1m \
         notice_text=\"scheduled server notice\" drain_timeout=10s idle_timeout=15s grace=5s \
         lease=15s append_timeout=5s slow_reader_timeout=30s linger=5ms max_datagram=1452 max_connections=20000 log=info log_format=auto"
    );
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn wrong_values_are_refused_with_what_is_wanted() {
    let check = |line: &str, wanted: &str| {
        let error = parse_line(&format!("chat-node {line}")).unwrap_err();
        let text = error.render().to_string();
        assert_eq!(error.exit_code(), 2, "{line}: {text}");
        assert!(text.contains(wanted), "{line}: {text}");
        assert!(!text.contains("secret"), "{line}: {text}");
    };
    check(
        "--listen nowhere",
        "'nowhere' for '--listen <ADDR>': wanted IP:PORT or a PORT",
    );
    check("--listen 127.0.0.1:65536", "wanted IP:PORT or a PORT");
    check("--listen 127.0.0.1", "wanted IP:PORT or a PORT");
    check("--listen example.org:8081", "wanted IP:PORT or a PORT");
    check(
        "--redis redis://ann:secret@host:bad",
        "'redis://ann:***@host:bad' for '--redis <URL>'",
    );
    check(
        "serve --redis redis://:secret@host/db",
        "'redis://:***@host/db'",
    );
    check("--redis=http://:secret@host", "wanted redis://");
    check("--redis=", "leave it out");
    check("--redis-prefix a{b}", "wanted 1 to 64 ASCII letters");
    check("--redis-prefix=", "wanted 1 to 64 ASCII letters");
    check("--name a/b", "a node name is made of 1 to 64 ASCII letters");
    check(
        &format!("--name {}", "n".repeat(65)),
        "a node name is made of",
    );
    check(
        "--notice-every 0",
        "wanted a time from 1s to 1day, or `off`",
    );
    check(
        "--notice-every 0s",
        "wanted a time from 1s to 1day, or `off`",
    );
    check(
        "--notice-every 30",
        "wanted a time from 1s to 1day, or `off`",
    );
    check(
        "--notice-every often",
        "wanted a time from 1s to 1day, or `off`",
    );
    check("--notice-every -5s", "-5");
    check("--notice-text=", "needs");
    check("--notice-text \u{1b}[31m", "not allowed in a text");
    check("--drain-timeout 0s", "wanted a time from 1s to 1h");
    check(
        "--idle-timeout 5s",
        "'5s' for '--idle-timeout <TIME>': wanted a time from 6s to 10m",
    );
    check("--grace 6m", "wanted a time from 0s to 5m");
    check("--lease 2s", "wanted a time from 3s to 10m");
    check("--slow-reader-timeout 0s", "wanted a time from 1s to 10m");
    check("--append-timeout 99ms", "wanted a time from 100ms to 1m");
    check("--max-connections 0", "0 is not in 1..=1000000");
    check(
        "--max-connections many",
        "'many' for '--max-connections <N>'",
    );
    check(
        "--log chat_node=loud",
        "'chat_node=loud' for '--log <FILTER>'",
    );
    check("--log-format xml", "possible values: auto, text, json");
    check("--cert c.pem", "--key <FILE>");
    check("--key k.pem", "--cert <FILE>");
    check("--advertise :8081", "wanted HOST:PORT");
    check("--advertise host:0", "wanted HOST:PORT");
    check(
        "--lisen 127.0.0.1:1",
        "a similar argument exists: '--listen'",
    );
    check("--listen 127.0.0.1:1 demo", "demo");
    check("start", "unrecognized subcommand 'start'");
    check(
        "demo --listen 127.0.0.1:1",
        "unexpected argument '--listen'",
    );
    check("health a b", "unexpected argument 'b'");
    check("health host:port", "wanted HOST:PORT or a PORT");
    check("health ::1", "wanted HOST:PORT or a PORT");
}

#[test]
fn addresses_are_read_in_every_usual_form() {
    let listen = |text: &str| value::listen_address(text).unwrap().to_string();
    assert_eq!(listen("8081"), "127.0.0.1:8081");
    assert_eq!(listen("localhost:0"), "127.0.0.1:0");
    assert_eq!(listen("0.0.0.0:8081"), "0.0.0.0:8081");
    assert_eq!(listen("[::1]:8081"), "[::1]:8081");

    let target = |text: &str| match parse_line(&format!("chat-node health {text}")) {
        Ok(Command::Health(config)) => config.target.to_string(),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(target(""), "127.0.0.1:8081");
    assert_eq!(target("8082"), "127.0.0.1:8082");
    assert_eq!(target("chat-node-1:8081"), "chat-node-1:8081");
    assert_eq!(target("[::1]:8081"), "[::1]:8081");
}

#[test]
fn the_name_and_the_advertised_address_follow_the_bound_port() {
    let config = serve("chat-node --listen 127.0.0.1:0");
    let bound = SocketAddr::from(([127, 0, 0, 1], 40123));
    assert_eq!(config.node_name(bound).as_str(), "node-40123");
    assert_eq!(
        config.advertised(bound).unwrap().to_string(),
        "127.0.0.1:40123"
    );

    let everywhere = SocketAddr::from(([0, 0, 0, 0], 8081));
    assert_eq!(config.advertised(everywhere), None);
    let config = serve("chat-node --name x --advertise chat.example:443");
    assert_eq!(config.node_name(bound).as_str(), "x");
    assert_eq!(
        config.advertised(everywhere).unwrap().to_string(),
        "chat.example:443"
    );
}

#[test]
fn every_flag_shows_its_variable_and_the_exit_statuses_close_the_help() {
    for line in ["chat-node --help", "chat-node serve --help"] {
        let error = parse_line(line).unwrap_err();
        assert_eq!(error.exit_code(), 0, "{line}");
        let help = error.render().to_string();
        for variable in [
            "LISTEN",
            "REDIS_URL",
            "REDIS_PREFIX",
            "ALLOW_EVICTION",
            "NODE_NAME",
            "CERTS",
            "CERT",
            "KEY",
            "ALLOW_DEV_CERT",
            "ADVERTISE",
            "NOTICE_EVERY",
            "NOTICE_TEXT",
            "DRAIN_TIMEOUT",
            "IDLE_TIMEOUT",
            "GRACE",
            "LEASE",
            "APPEND_TIMEOUT",
            "SLOW_READER_TIMEOUT",
            "MAX_CONNECTIONS",
            "LOG",
            "LOG_FORMAT",
        ] {
            assert!(
                help.contains(&format!("[env: CHAT_{variable}="))
                    || help.contains(&format!("[env: CHAT_{variable}]")),
                "{line}: CHAT_{variable} is missing in\n{help}"
            );
        }
        assert!(help.contains("Exit status:"), "{line}: {help}");
    }
}

#[test]
fn demo_and_certs_take_their_own_flags() {
    let Ok(Command::Demo(demo)) = parse_line("chat-node demo --exit --certs ./c") else {
        panic!("no demo");
    };
    assert!(demo.exit);
    assert_eq!(demo.certs, Path::new("./c"));
    let Ok(Command::Certs(certs)) = parse_line("chat-node certs --group 65532") else {
        panic!("no certs");
    };
    assert_eq!(certs.group, Some(65532));
}
