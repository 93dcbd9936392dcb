//! The first connection: what to trust, and what to say when there is no node.

use std::time::Duration;

use chat_client::{Builder, Client, ConnectError, Events, Fingerprint, Target, Trust, TrustError};
use chat_protocol::{CloseCode, ErrorCode, UserName};

use crate::args::ConnectArgs;
use crate::exit::{Exit, Failure};

/// Connects as the arguments say.
///
/// # Errors
/// What went wrong and what to try, with the exit code for it.
pub async fn connect(
    targets: &[String],
    args: &ConnectArgs,
    name: Option<&UserName>,
) -> Result<(Client, Events), Failure> {
    let result = builder(targets, args, name)
        .trust(trust(args)?)
        .connect()
        .await;
    let error = match result {
        Ok(connected) => return Ok(connected),
        Err(error) => error,
    };
    if let ConnectError::Trust(TrustError::NoDevelopmentCa { .. }) = error {
        if let Some(target) = elsewhere(targets) {
            let error = TrustError::DevelopmentElsewhere { target };
            return Err(failure(&ConnectError::Trust(error), name));
        }
        // Nobody is trusted, so find out at least whether somebody is there: a node that answers
        // is then refused by its certificate, before anything is said to it.
        let nobody = Trust::Pin(Fingerprint([0; 32]));
        if let Err(error @ ConnectError::Unreachable { .. }) =
            builder(targets, args, name).trust(nobody).connect().await
        {
            return Err(failure(&error, name));
        }
    }
    Err(failure(&error, name))
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

/// A pin is the strongest wish, then a CA; without either, this machine's development CA.
///
/// # Errors
/// When the pin is none.
pub fn trust(args: &ConnectArgs) -> Result<Trust, Failure> {
    match (&args.pin, &args.ca) {
        (Some(pin), _) => pin.parse().map(Trust::Pin).map_err(|error| {
            Failure::new(Exit::Usage, "invalid_pin", format!("--pin {pin}: {error}"))
                .try_this("the operator of the node knows it; the node logs it when it starts")
        }),
        (None, Some(ca)) => Ok(Trust::Ca(ca.clone())),
        (None, None) => Ok(Trust::Development {
            dir: args.certs.clone(),
        }),
    }
}

/// The first target, when none is this machine.
fn elsewhere(targets: &[String]) -> Option<String> {
    let targets: Vec<Target> = targets
        .iter()
        .filter_map(|target| Target::parse_list(target).ok())
        .flatten()
        .collect();
    let is_elsewhere = targets.iter().all(|target| !target.is_loopback());
    targets
        .first()
        .filter(|_| is_elsewhere)
        .map(Target::to_string)
}

/// What to say about an error, and what to try.
pub fn failure(error: &ConnectError, name: Option<&UserName>) -> Failure {
    let what = error.to_string();
    match error {
        ConnectError::InvalidTarget(_) | ConnectError::NoTarget => {
            Failure::new(Exit::Usage, "invalid_target", what)
                .try_this("a target is PORT, HOST, HOST:PORT or quic://HOST:PORT")
        }
        ConnectError::Trust(TrustError::DevelopmentElsewhere { target }) => {
            let what = format!("nothing is known by which {target} could be trusted");
            Failure::new(Exit::Refused, "untrusted", what)
                .because("the development certificates are for this machine only")
                .try_this("name the authority of its certificate: --ca FILE")
                .try_this("or the certificate itself:             --pin SHA256")
        }
        ConnectError::Trust(TrustError::NoDevelopmentCa { path }) => {
            let what = "a node answers, and nothing is known by which it could be trusted";
            Failure::new(Exit::Refused, "untrusted", what)
                .because(format!(
                    "there are no development certificates at {}",
                    path.display()
                ))
                .try_this("tell where the node keeps them: --certs DIR")
                .try_this("or what to trust instead:       --ca FILE, --pin SHA256")
        }
        ConnectError::Trust(_) => Failure::new(Exit::Refused, "untrusted", what),
        ConnectError::Tls { .. } => Failure::new(Exit::Refused, "untrusted", what)
            .try_this("if it should be: --ca FILE for its authority, --pin SHA256 for itself"),
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
            Failure::new(Exit::Unreachable, "unreachable", what)
                .because(cause)
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

/// Shorter would give up on a node that is merely busy.
const CONNECT_TIMEOUT_MIN: Duration = Duration::from_millis(100);
