//! The first connection: what to trust, and what to say when there is no node.

use std::time::Duration;

use chat_client::{
    Builder, Client, ConnectError, Events, Fingerprint, KnownNodes, Target, Trust, TrustError,
};
use chat_protocol::{CloseCode, ErrorCode, UserName};
use tokio::net::lookup_host;

use crate::args::ConnectArgs;
use crate::exit::{Exit, Failure};
use crate::shot::probe::{Answer, probe};
use crate::trust;

/// Connects as the arguments say.
///
/// # Errors
/// What went wrong and what to try, with the exit code for it.
pub async fn connect(
    targets: &[String],
    args: &ConnectArgs,
    name: Option<&UserName>,
) -> Result<(Client, Events), Failure> {
    let connecting = builder(targets, args, name).trust(trust(args)?).connect();
    match connecting.await {
        Ok((client, events)) => {
            meet(args, &client);
            Ok((client, events))
        }
        Err(error) => Err(explain(&error, targets, args, name).await),
    }
}

/// What to say about an error, after another look at the node if that says more.
pub async fn explain(
    error: &ConnectError,
    targets: &[String],
    args: &ConnectArgs,
    name: Option<&UserName>,
) -> Failure {
    match error {
        ConnectError::Trust(TrustError::NoDevelopmentCa { .. }) => {
            // Nobody is trusted, so find out at least whether somebody is there: a node that
            // answers is then refused by its certificate, before anything is said to it.
            let nobody = Trust::Pin(Fingerprint([0; 32]));
            let looked = builder(targets, args, name).trust(nobody).connect().await;
            match looked {
                Err(gone @ ConnectError::Unreachable { .. }) => unreachable(&gone, name).await,
                _ => failure(error, name),
            }
        }
        ConnectError::Unreachable { .. } => unreachable(error, name).await,
        ConnectError::Tls { target, .. } => match target.parse() {
            Ok(target) if args.pin.is_some() => mismatched(&target, args)
                .await
                .unwrap_or_else(|| failure(error, name)),
            Ok(target) if args.ca.is_some() => {
                let what = format!("the certificate of {target} is not of the authority of --ca");
                let said = failure(error, name);
                Failure {
                    what,
                    help: vec!["give the authority that signed it, or --pin SHA256".to_owned()],
                    ..said
                }
            }
            Ok(target) => untrusted(&target, args)
                .await
                .unwrap_or_else(|| failure(error, name)),
            Err(_) => failure(error, name),
        },
        _ => failure(error, name),
    }
}

/// What there is to say when nobody answered: perhaps the machine says that nobody is there.
async fn unreachable(error: &ConnectError, name: Option<&UserName>) -> Failure {
    let said = failure(error, name);
    let ConnectError::Unreachable {
        tried, cause: None, ..
    } = error
    else {
        return said;
    };
    match tried.as_slice() {
        [only] if is_closed(only).await => {
            said.because("nothing listens there: the machine says that the port is unreachable")
        }
        _ => said,
    }
}

/// Whether the machine of a target says that nothing listens at its port. Takes half a second at most.
async fn is_closed(target: &str) -> bool {
    let Ok(mut addresses) = lookup_host(target).await else {
        return false;
    };
    match addresses.next() {
        Some(address) => probe(address, PROBE_TIME).await == Answer::Refused,
        None => false,
    }
}

/// What there is to say of a node whose certificate is another than the pinned one.
async fn mismatched(target: &Target, args: &ConnectArgs) -> Option<Failure> {
    let pin = args.pin.as_ref()?;
    let time = args.connect_timeout.max(CONNECT_TIMEOUT_MIN);
    let (shown, _) = trust::look(target, time).await.ok()?;
    let shown = shown.fingerprint();
    let what = format!("the certificate of {target} is not the pinned one");
    let failure = Failure::new(Exit::Refused, "untrusted", what)
        .because(format!("it has sha256:{shown}, and --pin says {pin}"));
    let help = "ask the operator which is right; the node logs its own when it starts";
    Some(failure.try_this(help))
}

/// What there is to say of a node whose certificate was refused: that it has changed, or how to
/// know it.
async fn untrusted(target: &Target, args: &ConnectArgs) -> Option<Failure> {
    let file = trust::known_file(args.pin.as_deref(), args.ca.as_ref()).ok()??;
    let known = file.find(target).ok()?;
    let time = args.connect_timeout.max(CONNECT_TIMEOUT_MIN);
    let shown = trust::look(target, time).await.ok();
    let shown = shown.map(|(seen, _)| seen.fingerprint());
    match known {
        Some((_, known)) if shown == Some(known.fingerprint) => None,
        Some((line, known)) => Some(trust::changed(&file, line, &known, shown)),
        None => {
            let what = format!("the certificate of {target} is not trusted");
            let cause = shown.map_or_else(
                || "no authority that is trusted has signed it".to_owned(),
                |shown| format!("no authority that is trusted has signed sha256:{shown}"),
            );
            let failure = Failure::new(Exit::Refused, "untrusted", what).because(cause);
            Some(
                failure
                    .try_this(format!(
                        "if you know that it is right: chat-cli trust add {target}"
                    ))
                    .try_this("or name its authority:        --ca FILE"),
            )
        }
    }
}

/// Notes that a known node was met.
fn meet(args: &ConnectArgs, client: &Client) {
    if let Ok(target) = client.session().target.parse()
        && let Ok(Some(file)) = trust::known_file(args.pin.as_deref(), args.ca.as_ref())
    {
        file.meet(&target, trust::known::now());
    }
}

/// What is to be connected, but for whom to trust.
pub fn builder(targets: &[String], args: &ConnectArgs, name: Option<&UserName>) -> Builder {
    let builder = Client::builder()
        .targets(targets)
        .connect_timeout(args.connect_timeout.max(CONNECT_TIMEOUT_MIN))
        .agent(concat!("chat-cli/", env!("CARGO_PKG_VERSION")));
    match name {
        Some(name) => builder.name(name.as_str()),
        None => builder,
    }
}

/// A pin is the strongest wish, then an authority; without either what is known of each node, and of
/// those that are not known this machine's development CA, or elsewhere the system's authorities.
///
/// # Errors
/// When the pin is none, or the file of known nodes cannot be used.
pub fn trust(args: &ConnectArgs) -> Result<Trust, Failure> {
    match (&args.pin, &args.ca) {
        (Some(pin), _) => pin.parse().map(Trust::Pin).map_err(|error| {
            Failure::new(Exit::Usage, "invalid_pin", format!("--pin {pin}: {error}"))
                .try_this("the operator of the node knows it; the node logs it when it starts")
        }),
        (None, Some(ca)) => Ok(Trust::Ca(ca.clone())),
        (None, None) => {
            let known = match trust::known_file(None, None)? {
                Some(file) => file.known_nodes(args.certs.clone())?,
                None => KnownNodes::new([], args.certs.clone()),
            };
            Ok(Trust::Known(known))
        }
    }
}

/// What to say about an error, and what to try.
pub fn failure(error: &ConnectError, name: Option<&UserName>) -> Failure {
    let what = error.to_string();
    match error {
        ConnectError::InvalidTarget(_) | ConnectError::NoTarget => {
            Failure::new(Exit::Usage, "invalid_target", what)
                .try_this("a target is PORT, HOST, HOST:PORT or quic://HOST:PORT")
        }
        ConnectError::Trust(TrustError::NoSystemCa { .. }) => {
            let what = "nothing is known by which the node could be trusted";
            Failure::new(Exit::Refused, "untrusted", what)
                .because(error.to_string())
                .try_this("name the authority of its certificate: --ca FILE")
                .try_this("or know the certificate itself:        chat-cli trust add TARGET")
        }
        ConnectError::Trust(TrustError::NoDevelopmentCa { path }) => {
            let what = "a node answers, and nothing is known by which it could be trusted";
            Failure::new(Exit::Refused, "untrusted", what)
                .because(format!(
                    "there are no development certificates at {}",
                    path.display()
                ))
                .try_this("tell where the node keeps them: --certs DIR")
                .try_this("or know it by its certificate:  chat-cli trust add TARGET")
        }
        ConnectError::Trust(TrustError::CaFile { path, reason }) => {
            let what = format!("the authority's file {} cannot be used", path.display());
            Failure::new(Exit::Usage, "invalid_ca", what)
                .because(reason.to_string())
                .try_this("--ca FILE names a PEM file with the authority's certificate")
        }
        ConnectError::Trust(_) => Failure::new(Exit::Refused, "untrusted", what),
        ConnectError::Tls { target, detail } => {
            let what = format!("the certificate of {target} is not trusted");
            Failure::new(Exit::Refused, "untrusted", what)
                .because(detail.clone())
                .try_this("if it should be: --ca FILE for its authority, --pin SHA256 for itself")
        }
        ConnectError::Version { .. } => Failure::new(Exit::Version, "version", what)
            .try_this("use a client and a node of the same major version"),
        ConnectError::Unreachable { cause, tried, .. } => {
            let cause = cause
                .clone()
                .unwrap_or_else(|| "nothing came back".to_owned());
            let port = tried
                .first()
                .and_then(|target| target.rsplit(':').next())
                .unwrap_or("8081");
            let failure = Failure::new(Exit::Unreachable, "unreachable", what).because(&*cause);
            if cause.contains("cannot be resolved") {
                return failure.try_this("is the name spelt right, and known to this machine?");
            }
            failure
                .try_this(format!(
                    "is it running?  chat-node --listen 127.0.0.1:{port}"
                ))
                .try_this("in Docker the port must be published as UDP:  \"8081:8081/udp\"")
        }
        ConnectError::Refused { code, .. } => refused(what, *code, name),
        _ => Failure::new(Exit::Unreachable, "no_connection", what),
    }
}

fn refused(what: String, code: u32, name: Option<&UserName>) -> Failure {
    let known = ErrorCode::from_wire(code);
    let exit = match known {
        Some(ErrorCode::InvalidName) if name.is_some() => Exit::Usage,
        Some(ErrorCode::InvalidName | ErrorCode::NameTaken | ErrorCode::NameReserved) => {
            Exit::Refused
        }
        Some(ErrorCode::InvalidToken | ErrorCode::Forbidden) => Exit::Refused,
        _ => Exit::SentAway,
    };
    let failure = Failure::new(exit, "refused", what);
    match known {
        Some(ErrorCode::InvalidName | ErrorCode::NameTaken | ErrorCode::NameReserved) => {
            failure.try_this("choose another name: --name NAME")
        }
        _ if ErrorCode::is_retryable(code) || CloseCode::invites_reconnect(code) => {
            failure.try_this("try again in a moment, or another node")
        }
        _ => failure,
    }
}

/// How long a port is asked whether it is closed.
const PROBE_TIME: Duration = Duration::from_millis(500);

/// Shorter would give up on a node that is merely busy.
const CONNECT_TIMEOUT_MIN: Duration = Duration::from_millis(100);
