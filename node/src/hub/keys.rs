//! Session ids and the secrets that resume them: no node has to remember a session for another to
//! take it over. A secret is the id under a key that the cluster's nodes share.

use std::fmt::{self, Debug};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use chat_protocol::client::Resume;
use chat_protocol::{Secret, SessionId};
use rand::Rng;
use ring::hmac;

/// The cluster's key for sessions.
#[derive(Debug)]
pub(super) struct SessionKeys {
    held: RwLock<Held>,
}

struct Held {
    shared: [u8; 32],
    key: hmac::Key,
    /// The key before, when the cluster agreed on another: its sessions may still resume here.
    former: Option<hmac::Key>,
}

/// Shows no key.
impl Debug for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Held(…)")
    }
}

impl SessionKeys {
    /// Keys from the bytes that the cluster shares.
    #[must_use]
    pub(super) fn new(shared: [u8; 32]) -> Self {
        Self {
            held: RwLock::new(Held {
                shared,
                key: key(&shared),
                former: None,
            }),
        }
    }

    /// The bytes behind the key: what is proposed again when the backplane lost them.
    #[must_use]
    pub(super) fn shared(&self) -> [u8; 32] {
        self.held().shared
    }

    /// Takes the bytes that the cluster shares now. True when they are others than before.
    pub(super) fn adopt(&self, shared: [u8; 32]) -> bool {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.shared == shared {
            return false;
        }
        held.shared = shared;
        let before = std::mem::replace(&mut held.key, key(&shared));
        held.former = Some(before);
        true
    }

    /// A session that nobody had before. Ids below 2^16 are the server's own.
    #[must_use]
    pub(super) fn start(&self) -> (SessionId, Secret) {
        let session = SessionId(rand::rng().random_range(1 << 16..1 << 62));
        (session, secret(&self.held().key, session))
    }

    /// Whether the client owns the session it wants to resume. Takes the same time either way.
    #[must_use]
    pub(super) fn owns(&self, resume: &Resume) -> bool {
        let held = self.held();
        let is_of = |key: &hmac::Key| {
            let expected = secret(key, resume.session);
            let pairs = resume.secret.0.iter().zip(&expected.0);
            pairs.fold(0, |sum, (one, other)| sum | (one ^ other)) == 0
        };
        is_of(&held.key) | held.former.as_ref().is_some_and(is_of)
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        // No code that can panic runs under this lock.
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(shared: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, shared)
}

fn secret(key: &hmac::Key, session: SessionId) -> Secret {
    let tag = hmac::sign(key, &message(session));
    let mut secret = [0; 16];
    secret.copy_from_slice(&tag.as_ref()[..16]);
    Secret(secret)
}

fn message(session: SessionId) -> [u8; 24] {
    let mut message = *b"chat session\0\0\0\0\0\0\0\0\0\0\0\0";
    message[16..].copy_from_slice(&session.0.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_resumes_on_any_node() {
        let (one, other) = (SessionKeys::new([7; 32]), SessionKeys::new([7; 32]));
        let (session, secret) = one.start();
        assert!(other.owns(&Resume { session, secret }));
        let (stranger, _) = one.start();
        assert!(!other.owns(&Resume {
            session: stranger,
            secret
        }));
        assert!(!SessionKeys::new([8; 32]).owns(&Resume { session, secret }));
        let mut wrong = secret;
        wrong.0[15] ^= 1;
        assert!(!one.owns(&Resume {
            session,
            secret: wrong
        }));
    }

    #[test]
    fn sessions_survive_a_new_key_of_the_cluster() {
        let keys = SessionKeys::new([7; 32]);
        let (session, secret) = keys.start();
        assert!(!keys.adopt([7; 32]));
        assert!(keys.adopt([9; 32]));
        assert_eq!(keys.shared(), [9; 32]);
        assert!(keys.owns(&Resume { session, secret }), "of the key before");
        let (session, secret) = keys.start();
        assert!(SessionKeys::new([9; 32]).owns(&Resume { session, secret }));
    }
}
