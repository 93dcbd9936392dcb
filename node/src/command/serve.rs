//! `chat-node serve`: runs a node until a signal ends it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chat_client::certs_dir;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::certs::broken;
use super::{Failure, say};
use crate::backplane::Attachment;
use crate::backplane::memory::Memory;
use crate::backplane::redis::{Redis, RedisOptions};
use crate::certs::{Exposure, NodeCertificate, check_exposure, development};
use crate::config::{CertificateSource, NoticeEvery, ServeConfig};
use crate::connection;
use crate::endpoint;
use crate::node::{Node, Options, StartError};
use crate::policy::Open;

pub(super) async fn run(config: ServeConfig) -> Result<(), Failure> {
    info!(%config, "effective configuration");
    let certificate = certificate(&config)?;
    let exposure = check_exposure(
        certificate.origin(),
        config.listen.ip(),
        config.allow_dev_cert,
    )
    .map_err(|error| Failure::new(4, "refusing to start").because(error))?;
    if exposure == Exposure::DevelopmentInPublic {
        warn!(
            listen = %config.listen,
            "DEVELOPMENT CERTIFICATE IN PUBLIC: whoever has the CA's key can pretend to be this node"
        );
    }
    let fingerprint = certificate.fingerprint();
    let socket = endpoint::bind(config.listen).map_err(|error| taken(config.listen, &error))?;
    let address = socket
        .local_addr()
        .map_err(|error| taken(config.listen, &error))?;
    let name = config.node_name(address);

    let stop = CancellationToken::new();
    let (relay_tasks, relay_stop) = (TaskTracker::new(), CancellationToken::new());
    let attachment = attach(&config, name.as_str(), &relay_tasks, &relay_stop)?;
    let options = Options {
        name: name.clone(),
        advertise: config
            .advertised(address)
            .map(|address| address.to_string()),
        certificate,
        policy: Arc::new(Open),
        notice: match config.notice_every {
            NoticeEvery::Off => None,
            NoticeEvery::Every(every) => Some((every, config.notice_text.clone())),
        },
        grace: config.grace,
        lease: config.lease,
        append_timeout: config.append_timeout,
        idle_timeout: config.idle_timeout,
        slow_reader_timeout: config.slow_reader_timeout,
        linger: config.linger,
        datagram_bytes_max: config.max_datagram,
        connections_max: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
    };
    let mut signals = Signals::new()
        .map_err(|error| Failure::new(1, "signals cannot be waited for").because(error))?;
    let starting = Node::start(options, socket, attachment, stop.clone());
    let started = tokio::select! {
        started = starting => started,
        () = signals.next() => Err(StartError::Stopped(crate::hub::Stopped)),
    };
    let node = match started {
        Ok(node) => node,
        Err(StartError::Stopped(_)) => {
            info!("stopped before it was ready");
            return Ok(());
        }
        Err(StartError::Unfit(unfit)) => {
            return Err(Failure::new(5, "refusing to start with this Redis")
                .because(&unfit)
                .try_this(unfit.help));
        }
        Err(StartError::Certificate(error)) => return Err(broken(error)),
        Err(StartError::Socket(error)) => return Err(taken(config.listen, &error)),
    };
    say(&format!("{name} listens on {address} (QUIC, which is UDP)"));
    match &config.redis {
        Some(redis) => say(&format!("relay:       {redis}")),
        None => say("relay:       embedded; this node is alone (give --redis for a cluster)"),
    }
    say(&format!("certificate: sha256:{fingerprint}"));
    info!(
        connection_bytes_max = connection::BYTES_MAX,
        max_connections = config.max_connections,
        "a client that reads nothing and fills everything it may costs at most this"
    );
    say(&format!("try:         chat-cli {}", address.port()));

    signals.next().await;
    info!("a signal: stopping");
    tokio::select! {
        () = node.drain(config.drain_timeout) => {}
        () = signals.next() => {
            warn!("a second signal: stopping at once");
            return Ok(());
        }
    }
    relay_stop.cancel();
    relay_tasks.close();
    // The backplane's connections have nothing left to say.
    let _ = tokio::time::timeout(Duration::from_secs(1), relay_tasks.wait()).await;
    Ok(())
}

fn attach(
    config: &ServeConfig,
    name: &str,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Attachment, Failure> {
    let Some(redis) = &config.redis else {
        return Ok(Memory::new().attach());
    };
    let options = RedisOptions {
        prefix: config.redis_prefix.clone(),
        allow_eviction: config.allow_eviction,
        ..RedisOptions::new(redis.clone(), name)
    };
    Redis::attach(options, tasks, stop).map_err(|error| {
        Failure::new(2, format!("{redis} cannot be used as a backplane")).because(error)
    })
}

fn certificate(config: &ServeConfig) -> Result<NodeCertificate, Failure> {
    match config.certificate() {
        CertificateSource::Files { cert, key } => {
            NodeCertificate::from_files(cert, key).map_err(broken)
        }
        CertificateSource::Development(directory) => {
            let directory = certs_dir(directory);
            let mut hosts = Vec::new();
            if !config.listen.ip().is_unspecified() {
                hosts.push(config.listen.ip().to_string());
            }
            hosts.extend(
                config
                    .advertise
                    .as_ref()
                    .map(|address| address.host().to_owned()),
            );
            let made =
                development::load_or_make(&directory, &hosts, SystemTime::now()).map_err(broken)?;
            info!(ca = %made.ca_file.display(), "development certificate");
            Ok(made.node)
        }
    }
}

pub(super) fn taken(listen: SocketAddr, error: &io::Error) -> Failure {
    let failure = Failure::new(3, format!("cannot listen on {listen} (UDP)")).because(error);
    if error.kind() == io::ErrorKind::AddrInUse {
        let port = listen.port();
        failure.try_this(format!(
            "another program has it; see which with: ss -lunp sport = :{port}\n\
             or take another port: chat-node --listen {}:{}",
            listen.ip(),
            port.saturating_add(10),
        ))
    } else {
        failure.try_this("give an address of this machine: chat-node --listen 127.0.0.1:8081")
    }
}

/// The signals that end a node.
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns at the next one. Cancel safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
