//! What is known of nodes, one by one, as an application remembers it. Pure: no file is read here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::target::Target;
use crate::trust::{Fingerprint, Trust};

/// The certificates of nodes that somebody has checked. Cheap to clone.
///
/// A node that is known is believed by its certificate alone: another one is refused, whoever signed
/// it. Of a node that is not known the development CA decides when the target is this machine, and
/// the system's authorities when it is not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownNodes {
    nodes: Arc<BTreeMap<String, Fingerprint>>,
    certs: Option<PathBuf>,
}

impl KnownNodes {
    /// Knows these nodes. `certs` is where the development certificates are, as in
    /// [`Trust::Development`].
    #[must_use]
    pub fn new(
        nodes: impl IntoIterator<Item = (Target, Fingerprint)>,
        certs: Option<PathBuf>,
    ) -> Self {
        let nodes = nodes.into_iter();
        let nodes = nodes.map(|(target, fingerprint)| (target.to_string(), fingerprint));
        Self {
            nodes: Arc::new(nodes.collect()),
            certs,
        }
    }

    /// The certificate that is known of a target.
    #[must_use]
    pub fn fingerprint(&self, target: &Target) -> Option<Fingerprint> {
        self.nodes.get(&target.to_string()).copied()
    }

    pub(super) fn trust(&self, target: &Target) -> Trust {
        match self.fingerprint(target) {
            Some(fingerprint) => Trust::Pin(fingerprint),
            None if target.is_loopback() => Trust::Development {
                dir: self.certs.clone(),
            },
            None => Trust::System,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_node_is_its_certificate_and_others_are_what_is_usual() {
        let target = |text: &str| text.parse::<Target>().unwrap();
        let (one, two) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let nodes = [(target("8081"), one), (target("chat.example:9000"), two)];
        let trust = Trust::Known(KnownNodes::new(nodes, Some("certs".into())));
        for (text, expected) in [
            ("localhost:8081", Trust::Pin(one)),
            ("quic://chat.example:9000", Trust::Pin(two)),
            ("chat.example", Trust::System),
            ("10.0.0.1:8081", Trust::System),
            (
                "8082",
                Trust::Development {
                    dir: Some("certs".into()),
                },
            ),
        ] {
            assert_eq!(trust.of(&target(text)), expected, "{text}");
        }
        let pin = Trust::Pin(one);
        assert_eq!(pin.of(&target("8082")), pin);
    }
}
