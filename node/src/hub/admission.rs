//! From a hello to a session: policy, identity, name.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::client::Hello;
use chat_protocol::datagram::TYPING;
use chat_protocol::limits::{IN_FLIGHT_MAX, ROOMS_PER_SESSION_MAX, TEXT_BYTES_MAX};
use chat_protocol::node::{Permissions, SessionLimits, Welcome};
use chat_protocol::{ErrorCode, MINOR, SessionId, UserName};
use tokio::time::Instant;
use tracing::debug;

use super::{Hub, Member};
use crate::names;
use crate::outlet::{Invitation, Outlet};
use crate::policy::Refusal;
use crate::presence::view::Fact;

/// A session that was admitted.
#[derive(Debug)]
pub struct Admitted {
    /// The session on its connection.
    pub member: Member,
    /// What it may do.
    pub permissions: Permissions,
    /// What the client is told.
    pub welcome: Welcome,
    /// Rooms of two it was asked into while it was away.
    pub invitations: Vec<Invitation>,
}

impl Hub {
    /// Admits a client, or refuses it.
    ///
    /// # Errors
    /// What the policy refuses, a bad or reserved name, or [`ErrorCode::Unavailable`] when the
    /// backplane did not answer in time.
    pub async fn admit(&self, hello: Hello, outlet: &Arc<Outlet>) -> Result<Admitted, Refusal> {
        if !self.is_available() {
            // At once: a client that hears nothing would take the node itself for gone.
            return Err(Refusal::of(ErrorCode::Unavailable));
        }
        let grant = self.policy.admit(&hello)?;
        let resumed = hello
            .resume
            .as_ref()
            .is_some_and(|resume| self.keys.owns(resume));
        let (session, secret) = match hello.resume {
            Some(resume) if resumed => (resume.session, resume.secret),
            _ => self.keys.start(),
        };
        let name = match hello.name {
            Some(name) => self.check_name(name)?,
            // A session that resumes without asking for a name keeps the one it has here.
            None => self
                .sessions
                .name(session)
                .unwrap_or_else(|| guest_name(session)),
        };
        let name = self.within_time(self.claim_any(&name, session)).await?;
        let (replaced, invitations) = self.sessions.attach(
            session,
            name.clone(),
            outlet,
            Instant::now(),
            self.settings.grace,
        );
        if let Some(replaced) = replaced {
            let code = chat_protocol::CloseCode::Replaced;
            replaced.close(code, code.text());
        }
        // It took a handshake to come here.
        self.presence.prove([session]);
        self.tell(self.presence.assert(Fact::Session(session, name.clone())));
        let welcome = Welcome {
            minor: agreed_minor(hello.minor),
            features: agreed_features(&hello.features),
            node: self.settings.card.name.clone(),
            session,
            secret,
            name,
            account: grant.account,
            resumed,
            permissions: grant.permissions,
            limits: SessionLimits {
                text_bytes_max: narrow(TEXT_BYTES_MAX),
                rooms_max: narrow(ROOMS_PER_SESSION_MAX),
                in_flight_max: narrow(IN_FLIGHT_MAX),
                idle_ms: millis(self.settings.idle_timeout),
            },
        };
        let member = Member {
            session,
            outlet: Arc::clone(outlet),
        };
        Ok(Admitted {
            member,
            permissions: grant.permissions,
            welcome,
            invitations,
        })
    }

    /// Gives a session another name, exactly this one.
    ///
    /// # Errors
    /// A bad, reserved or taken name, or [`ErrorCode::Unavailable`].
    pub async fn rename(&self, member: &Member, wanted: String) -> Result<UserName, Refusal> {
        let name = self.check_name(wanted)?;
        let session = member.session;
        let claim = async {
            let claimed = self.claims.claim(&*self.backplane, &name, session).await;
            claimed.map_err(|_| Refusal::of(ErrorCode::Unavailable))
        };
        if !self.within_time(claim).await? {
            return Err(Refusal::of(ErrorCode::NameTaken));
        }
        match self.sessions.rename(session, name.clone()) {
            Some(before) if names::key(before.as_str()) != names::key(name.as_str()) => {
                self.claims.drop_later(&before, session);
            }
            Some(_) => {}
            None => self.claims.drop_later(&name, session),
        }
        self.tell(self.presence.assert(Fact::Session(session, name.clone())));
        Ok(name)
    }

    fn check_name(&self, name: String) -> Result<UserName, Refusal> {
        let name = UserName::try_from(name)
            .map_err(|error| Refusal::because(ErrorCode::InvalidName, error))?;
        if names::is_reserved(&name) {
            return Err(Refusal::of(ErrorCode::NameReserved));
        }
        Ok(name)
    }

    /// Claims the name, or the first free one with a suffix.
    async fn claim_any(&self, wanted: &UserName, session: SessionId) -> Result<UserName, Refusal> {
        let mut name = wanted.clone();
        for attempt in 1..=SUFFIXES_TRIED {
            match self.claims.claim(&*self.backplane, &name, session).await {
                Ok(true) => return Ok(name),
                Ok(false) => name = names::suffixed(wanted, attempt),
                Err(error) => {
                    debug!(%error, "no answer to a claim");
                    return Err(Refusal::of(ErrorCode::Unavailable));
                }
            }
        }
        Err(Refusal::of(ErrorCode::NameTaken))
    }
}

/// The highest minor version both sides speak.
#[expect(
    clippy::unnecessary_min_or_max,
    reason = "true of minor version 0 alone"
)]
fn agreed_minor(theirs: u16) -> u16 {
    theirs.min(MINOR)
}

/// The features both sides know.
fn agreed_features(theirs: &[u32]) -> Vec<u32> {
    let ours = [TYPING].into_iter();
    ours.filter(|feature| theirs.contains(feature)).collect()
}

fn guest_name(session: SessionId) -> UserName {
    let name = format!("guest-{:04x}", session.0 & 0xffff);
    UserName::try_from(name).expect("letters and hex digits make a name")
}

fn narrow(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Suffixes tried before a name is called taken. Each try is a question to the backplane.
const SUFFIXES_TRIED: u32 = 64;
