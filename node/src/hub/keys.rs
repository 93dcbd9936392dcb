//! Session ids and the secrets that resume them: no node has to remember a session for another to
//! take it over. A secret is the id under a key that the cluster's nodes share.

use chat_protocol::client::Resume;
use chat_protocol::{Secret, SessionId};
use rand::Rng;
use ring::hmac;

/// The cluster's key for sessions.
#[derive(Debug)]
pub(super) struct SessionKeys {
    key: hmac::Key,
}

impl SessionKeys {
    /// Keys from the bytes that the cluster shares.
    #[must_use]
    pub(super) fn new(shared: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, shared),
        }
    }

    /// A session that nobody had before. Ids below 2^16 are the server's own.
    #[must_use]
    pub(super) fn start(&self) -> (SessionId, Secret) {
        let session = SessionId(rand::rng().random_range(1 << 16..1 << 62));
        (session, self.secret(session))
    }

    /// Whether the client owns the session it wants to resume. Takes the same time either way.
    #[must_use]
    pub(super) fn owns(&self, resume: &Resume) -> bool {
        let tag = hmac::sign(&self.key, &message(resume.session));
        let given = resume.secret.0.iter();
        let differing = given
            .zip(tag.as_ref())
            .fold(0, |sum, (one, other)| sum | (one ^ other));
        differing == 0
    }

    fn secret(&self, session: SessionId) -> Secret {
        let tag = hmac::sign(&self.key, &message(session));
        let mut secret = [0; 16];
        secret.copy_from_slice(&tag.as_ref()[..16]);
        Secret(secret)
    }
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
        let (one, other) = (SessionKeys::new(&[7; 32]), SessionKeys::new(&[7; 32]));
        let (session, secret) = one.start();
        assert!(other.owns(&Resume { session, secret }));
        let (stranger, _) = one.start();
        assert!(!other.owns(&Resume {
            session: stranger,
            secret
        }));
        assert!(!SessionKeys::new(&[8; 32]).owns(&Resume { session, secret }));
        let mut wrong = secret;
        wrong.0[15] ^= 1;
        assert!(!one.owns(&Resume {
            session,
            secret: wrong
        }));
    }
}
