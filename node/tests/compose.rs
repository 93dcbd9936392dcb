//! `docker-compose.yml` and `Dockerfile`, checked as far as can be without an engine: every command
//! line is one the binary accepts, every port is UDP, and what must fit together does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use chat_node::certs::{self, Origin, development};
use chat_node::config::{self, CertsConfig, Command, HealthConfig, ServeConfig};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

#[test]
fn every_published_port_is_udp_and_the_one_listened_on() {
    let nodes = nodes();
    let mut published = BTreeSet::new();
    for (name, service) in &services() {
        for port in strings(service, "ports") {
            assert!(port.ends_with("/udp"), "{name}: {port}");
            published.insert(port);
        }
    }
    for Node {
        name,
        config,
        service,
    } in &nodes
    {
        let port = config.listen.port();
        assert_eq!(
            strings(service, "ports"),
            [format!("{port}:{port}/udp")],
            "{name}"
        );
        assert!(
            config.listen.ip().is_unspecified(),
            "{name}: only {} is listened on",
            config.listen
        );
        let advertise = config
            .advertise
            .as_ref()
            .expect("clients are told where to go");
        assert_eq!(advertise.to_string(), format!("127.0.0.1:{port}"), "{name}");
    }
    assert_eq!(
        published,
        BTreeSet::from(["8081:8081/udp".into(), "8082:8082/udp".into()])
    );
}

#[test]
fn nodes_are_one_cluster_with_names_of_their_own() {
    let nodes = nodes();
    let names: BTreeSet<_> = nodes.iter().map(|node| node.config.name.clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for Node {
        name,
        config,
        service,
    } in &nodes
    {
        assert_eq!(
            config.name.as_ref().map(|name| name.as_str()),
            Some(name.as_str())
        );
        let redis = config
            .redis
            .as_ref()
            .expect("nodes of a cluster have a Redis")
            .to_string();
        assert_eq!(redis, "redis://redis:6379", "{name}");
        let redis_config = service_named("redis");
        assert!(
            !redis_config["healthcheck"]["test"].is_badvalue(),
            "redis has a health check"
        );
        let words = redis_config["command"].as_vec().expect("its command");
        let words: Vec<_> = words.iter().filter_map(|word| word.as_str()).collect();
        let has = |flag, value| words.windows(2).any(|pair| pair == [flag, value]);
        assert!(has("--appendonly", "yes"), "what is acked is on disk");
        assert!(has("--maxmemory-policy", "noeviction"), "and kept");
        let condition = |of: &str| service["depends_on"][of]["condition"].as_str();
        assert_eq!(condition("redis"), Some("service_healthy"), "{name}");
        assert_eq!(
            condition("certs"),
            Some("service_completed_successfully"),
            "{name}"
        );
    }
}

#[test]
fn a_stopping_node_is_not_killed_before_it_has_drained() {
    for Node {
        name,
        config,
        service,
    } in &nodes()
    {
        let grace = service["stop_grace_period"]
            .as_str()
            .expect("a grace period");
        let grace = humantime::parse_duration(grace).expect("a duration");
        assert!(
            grace >= config.drain_timeout + Duration::from_secs(5),
            "{name}: {grace:?}"
        );
    }
}

#[test]
fn the_health_check_asks_the_node_of_its_container() {
    for Node {
        name,
        config,
        service,
    } in &nodes()
    {
        let words = strings(&service["healthcheck"], "test");
        let [kind, program, arguments @ ..] = words.as_slice() else {
            panic!("{name}: {words:?}")
        };
        assert_eq!(
            [kind, program],
            ["CMD", "/usr/local/bin/chat-node"],
            "{name}"
        );
        let health = health(arguments);
        assert_eq!(
            health.target.to_string(),
            format!("127.0.0.1:{}", config.listen.port())
        );
        let timeout = service["healthcheck"]["timeout"]
            .as_str()
            .expect("a timeout");
        assert!(
            humantime::parse_duration(timeout).expect("a duration") > health.timeout,
            "{name}"
        );
    }
}

#[test]
fn development_certificates_are_allowed_shared_and_fit_the_names() {
    let directory = tempfile::tempdir().expect("a directory");
    development::load_or_make(directory.path(), &[], SystemTime::now()).expect("certificates");
    let names = dns_names(&directory.path().join("node.pem"));
    let certs = service_named("certs");
    let group = certs_config(&certs).group.expect("a group to share with");
    let directory_inside = image_setting("ENV")
        .split(' ')
        .find_map(|setting| setting.strip_prefix("CHAT_CERTS=").map(str::to_owned));
    let mount = format!("./certs:{}:z", directory_inside.expect("CHAT_CERTS"));
    assert_eq!(strings(&certs, "volumes"), [mount.as_str()]);
    assert_eq!(
        certs["user"].as_str(),
        Some("0:0"),
        "only root can share the files"
    );

    for Node {
        name,
        config,
        service,
    } in &nodes()
    {
        let allowed = config.allow_dev_cert;
        certs::check_exposure(Origin::Development, config.listen.ip(), allowed).expect("a start");
        assert_eq!(strings(service, "volumes"), [mount.as_str()], "{name}");
        assert_eq!(
            service["user"].as_str(),
            Some(format!("{group}:{group}").as_str()),
            "{name}"
        );
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
}

#[test]
fn the_image_runs_and_checks_a_node_as_it_says() {
    let health = health(&json_words(&image_setting("CMD [\"/usr")).split_off(1));
    let listen = image_setting("ENV");
    let listen = listen
        .split(' ')
        .find_map(|setting| setting.strip_prefix("CHAT_LISTEN="));
    let Ok(Command::Serve(config)) =
        config::try_parse_from(["chat-node", "--listen", listen.expect("CHAT_LISTEN")])
    else {
        panic!("{listen:?} is no address");
    };
    assert_eq!(health.target.to_string(), "127.0.0.1:8081");
    assert_eq!(config.listen.port(), health.target.port());
    assert_eq!(image_setting("EXPOSE"), "8081/udp");
    assert_eq!(image_setting("USER"), "65532:65532");
    assert_eq!(
        json_words(&image_setting("ENTRYPOINT")),
        ["/usr/local/bin/chat-node"]
    );
    let command = json_words(&image_setting("CMD [\"serve")).into_iter();
    let line = ["chat-node".to_owned()].into_iter().chain(command);
    assert!(matches!(
        config::try_parse_from(line),
        Ok(Command::Serve(_))
    ));
}

/// A service that runs a node.
struct Node {
    name: String,
    config: ServeConfig,
    service: Yaml,
}

fn nodes() -> Vec<Node> {
    let nodes: Vec<Node> = services()
        .into_iter()
        .filter(|(_, service)| service["image"].as_str() == Some("chat-node:local"))
        .filter(|(name, _)| name != "certs")
        .map(
            |(name, service)| match parse(&strings(&service, "command")) {
                Command::Serve(config) => Node {
                    name,
                    config: *config,
                    service,
                },
                other => panic!("{name}: {other:?}"),
            },
        )
        .collect();
    assert_eq!(nodes.len(), 2);
    nodes
}

fn certs_config(service: &Yaml) -> CertsConfig {
    match parse(&strings(service, "command")) {
        Command::Certs(config) => config,
        other => panic!("{other:?}"),
    }
}

fn health(arguments: &[String]) -> HealthConfig {
    match parse(arguments) {
        Command::Health(config) => config,
        other => panic!("{other:?}"),
    }
}

fn parse(arguments: &[String]) -> Command {
    let line = ["chat-node"]
        .into_iter()
        .chain(arguments.iter().map(String::as_str));
    config::try_parse_from(line).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

fn services() -> Vec<(String, Yaml)> {
    let text = repository_file("docker-compose.yml");
    let documents = YamlLoader::load_from_str(&text).expect("docker-compose.yml is YAML");
    let [document] = documents.as_slice() else {
        panic!("one document")
    };
    let services = merged(&document["services"]).into_hash().expect("services");
    services
        .into_iter()
        .map(|(name, service)| (name.into_string().expect("a name"), service))
        .collect()
}

fn service_named(name: &str) -> Yaml {
    let found = services().into_iter().find(|(other, _)| other == name);
    found.unwrap_or_else(|| panic!("no service {name}")).1
}

/// `value` with every `<<: *anchor` put in its place: a mapping's own keys win.
fn merged(value: &Yaml) -> Yaml {
    let Yaml::Hash(hash) = value else {
        return value.clone();
    };
    let mut result = Hash::new();
    if let Some(Yaml::Hash(base)) = hash.get(&Yaml::String("<<".into())).map(merged) {
        result.extend(base);
    }
    for (key, value) in hash.iter().filter(|(key, _)| key.as_str() != Some("<<")) {
        result.insert(key.clone(), merged(value));
    }
    Yaml::Hash(result)
}

fn strings(value: &Yaml, key: &str) -> Vec<String> {
    let list = value[key].as_vec().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .map(|item| item.as_str().expect("a text").to_owned())
        .collect()
}

/// The rest of the last line of the Dockerfile that starts so.
fn image_setting(start: &str) -> String {
    let file = repository_file("Dockerfile");
    let mut lines = file
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with(start));
    let line = lines
        .next_back()
        .unwrap_or_else(|| panic!("no {start} in the Dockerfile"));
    line.split_once(' ').expect("a value").1.to_owned()
}

fn json_words(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn dns_names(path: &Path) -> BTreeSet<String> {
    let certificate = CertificateDer::from_pem_file(path).expect("a certificate");
    let (_, x509) = X509Certificate::from_der(&certificate).expect("a certificate");
    let names = x509
        .subject_alternative_name()
        .expect("readable")
        .expect("names");
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}

fn repository_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
