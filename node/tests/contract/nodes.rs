//! Leases, registries, claims and the shared secret.

use std::time::Duration;

use bytes::Bytes;
use chat_node::backplane::{Backplane, Claim, Claimed, Lease, NodeId, Registry, RegistryChanges};
use chat_protocol::SessionId;

use super::{On, until};

const ONE: NodeId = NodeId(0x1111_1111_1111_1111);
const TWO: NodeId = NodeId(2);
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

fn pairs(entries: &[(&str, &str)]) -> Vec<(Bytes, Bytes)> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    entries
        .iter()
        .map(|(key, value)| (bytes(key), bytes(value)))
        .collect()
}

fn changes(reset: bool, version: u64, set: &[(&str, &str)], remove: &[&str]) -> RegistryChanges {
    let remove = remove
        .iter()
        .map(|key| Bytes::copy_from_slice(key.as_bytes()))
        .collect();
    RegistryChanges {
        reset,
        version,
        set: pairs(set),
        remove,
    }
}

async fn write(
    backplane: &dyn Backplane,
    node: NodeId,
    lease: Duration,
    changes: &RegistryChanges,
) -> Lease {
    backplane
        .write_registry(node, lease, changes, Bytes::new())
        .await
        .unwrap()
}

async fn registry(backplane: &dyn Backplane, node: NodeId) -> Option<Registry> {
    let mut registry = backplane.read_registry(node).await.unwrap()?;
    registry.entries.sort();
    Some(registry)
}

async fn live(backplane: &dyn Backplane) -> Vec<NodeId> {
    let mut nodes = backplane.nodes().await.unwrap();
    nodes.sort();
    nodes
}

pub async fn a_registry_is_as_written_last(on: On) {
    let cluster = on.start().await;
    let (node, other) = (cluster.node().backplane, cluster.node().backplane);
    assert_eq!(registry(&*other, ONE).await, None);
    assert_eq!(
        write(&*node, ONE, LONG, &changes(true, 1, &[], &[])).await,
        Lease::Kept
    );
    assert_eq!(
        registry(&*other, ONE).await,
        Some(Registry {
            version: 1,
            entries: Vec::new()
        })
    );
    let set = [("v", "version?"), ("", "empty key"), ("b", "")];
    write(&*node, ONE, LONG, &changes(false, 2, &set, &[])).await;
    write(
        &*node,
        ONE,
        LONG,
        &changes(false, 3, &[("c", "3")], &["b", "never"]),
    )
    .await;
    let expected = pairs(&[("", "empty key"), ("c", "3"), ("v", "version?")]);
    assert_eq!(
        registry(&*other, ONE).await,
        Some(Registry {
            version: 3,
            entries: expected
        })
    );
    write(
        &*node,
        ONE,
        LONG,
        &changes(true, u64::MAX, &[("d", "4")], &[]),
    )
    .await;
    let expected = Registry {
        version: u64::MAX,
        entries: pairs(&[("d", "4")]),
    };
    assert_eq!(registry(&*other, ONE).await, Some(expected));
}

pub async fn a_large_registry_is_written_at_once(on: On) {
    let cluster = on.start().await;
    let node = cluster.node().backplane;
    let keys: Vec<String> = (0..20_000)
        .map(|number| format!("member-{number:05}"))
        .collect();
    let set: Vec<_> = keys.iter().map(|key| (key.as_str(), "value")).collect();
    write(&*node, ONE, LONG, &changes(true, 1, &set, &[])).await;
    assert_eq!(registry(&*node, ONE).await.unwrap().entries.len(), 20_000);
    let remove: Vec<_> = keys.iter().skip(1).map(String::as_str).collect();
    write(&*node, ONE, LONG, &changes(false, 2, &[], &remove)).await;
    assert_eq!(
        registry(&*node, ONE).await.unwrap().entries,
        pairs(&[("member-00000", "value")])
    );
}

pub async fn leases_end_with_all_that_hangs_on_them(on: On) {
    let cluster = on.start().await;
    let (node, other) = (cluster.node().backplane, cluster.node().backplane);
    let renew = async |node_id, lease| node.renew(node_id, lease, Bytes::new()).await.unwrap();
    assert_eq!(
        renew(ONE, LONG).await,
        Lease::Lost,
        "there is nothing to renew"
    );
    assert_eq!(
        write(&*node, ONE, LONG, &changes(false, 1, &[], &[])).await,
        Lease::Lost
    );
    assert_eq!(live(&*other).await, []);
    write(
        &*node,
        ONE,
        SHORT,
        &changes(true, 1, &[("a", "1"), ("b", "2")], &[]),
    )
    .await;
    write(&*node, TWO, LONG, &changes(true, 1, &[("c", "3")], &[])).await;
    let claim = Claim {
        node: ONE,
        session: SessionId(1),
    };
    assert_eq!(node.claim("ann", claim).await.unwrap(), Claimed::Granted);
    assert_eq!(live(&*other).await, [TWO, ONE]);
    until(|| async {
        match registry(&*other, ONE).await {
            Some(registry) => {
                assert_eq!(registry.entries.len(), 2, "all or nothing");
                false
            }
            None => true,
        }
    })
    .await;
    assert_eq!(live(&*other).await, [TWO]);
    let rival = Claim {
        node: TWO,
        session: SessionId(2),
    };
    assert_eq!(other.claim("ann", rival).await.unwrap(), Claimed::Granted);
    assert_eq!(renew(ONE, LONG).await, Lease::Lost);
    assert_eq!(
        write(&*node, ONE, LONG, &changes(false, 2, &[("d", "4")], &[])).await,
        Lease::Lost
    );
    assert_eq!(registry(&*other, ONE).await, None, "nothing was written");
    write(&*node, ONE, LONG, &changes(true, 3, &[("d", "4")], &[])).await;
    assert_eq!(
        registry(&*other, ONE).await.unwrap().entries,
        pairs(&[("d", "4")])
    );
}

pub async fn a_renewed_lease_goes_on(on: On) {
    let cluster = on.start().await;
    let node = cluster.node().backplane;
    write(&*node, ONE, SHORT, &changes(true, 5, &[("a", "1")], &[])).await;
    let started = tokio::time::Instant::now();
    while started.elapsed() < 3 * SHORT {
        assert_eq!(
            node.renew(ONE, SHORT, Bytes::new()).await.unwrap(),
            Lease::Kept
        );
        tokio::time::sleep(SHORT / 6).await;
    }
    assert_eq!(registry(&*node, ONE).await.unwrap().version, 5);
    node.resign(ONE, Bytes::new()).await.unwrap();
    assert_eq!(
        (registry(&*node, ONE).await, live(&*node).await),
        (None, vec![])
    );
    node.resign(ONE, Bytes::new()).await.unwrap();
}

pub async fn a_claim_is_held_by_one_session(on: On) {
    let cluster = on.start().await;
    let (node, other) = (cluster.node().backplane, cluster.node().backplane);
    write(&*node, ONE, LONG, &changes(true, 1, &[], &[])).await;
    write(&*other, TWO, LONG, &changes(true, 1, &[], &[])).await;
    let ann = Claim {
        node: ONE,
        session: SessionId(u64::MAX),
    };
    let rival = Claim {
        node: TWO,
        session: SessionId(2),
    };
    assert_eq!(node.claim("ann", ann).await.unwrap(), Claimed::Granted);
    assert_eq!(node.claim("ann", ann).await.unwrap(), Claimed::Granted);
    assert_eq!(other.claim("ann", rival).await.unwrap(), Claimed::Held(ann));
    assert_eq!(other.claim("bob", rival).await.unwrap(), Claimed::Granted);
    // The session goes to another node and takes its name along.
    let moved = Claim { node: TWO, ..ann };
    assert_eq!(other.claim("ann", moved).await.unwrap(), Claimed::Granted);
    assert_eq!(
        other.claim("ann", rival).await.unwrap(),
        Claimed::Held(moved)
    );
    node.release("ann", ann).await.unwrap();
    assert_eq!(
        node.claim("ann", rival).await.unwrap(),
        Claimed::Held(moved),
        "it had moved"
    );
    other.release("ann", moved).await.unwrap();
    other.release("ann", moved).await.unwrap();
    assert_eq!(node.claim("ann", rival).await.unwrap(), Claimed::Granted);
    other.resign(TWO, Bytes::new()).await.unwrap();
    assert_eq!(node.claim("ann", ann).await.unwrap(), Claimed::Granted);
}

pub async fn a_claim_made_again_moves_nothing(on: On) {
    let cluster = on.start().await;
    let (node, other) = (cluster.node().backplane, cluster.node().backplane);
    write(&*node, ONE, LONG, &changes(true, 1, &[], &[])).await;
    write(&*other, TWO, LONG, &changes(true, 1, &[], &[])).await;
    let claim = |node, session| Claim {
        node,
        session: SessionId(session),
    };
    let (ann, bo, moved) = (claim(ONE, 1), claim(TWO, 2), claim(TWO, 3));
    for (key, held) in [("ann", ann), ("bo", bo), ("moved", moved)] {
        assert_eq!(other.claim(key, held).await.unwrap(), Claimed::Granted);
    }
    let again = [
        ("free", claim(ONE, 4)),
        ("ann", ann),
        ("bo", claim(ONE, 5)),
        ("moved", claim(ONE, 3)),
    ]
    .map(|(key, claim)| (key.to_owned(), claim));
    let held = [
        Claimed::Granted,
        Claimed::Granted,
        Claimed::Held(bo),
        Claimed::Held(moved),
    ];
    assert_eq!(node.claim_again(&again).await.unwrap(), held);
    assert_eq!(node.claim_again(&[]).await.unwrap(), []);
    let (free, rival) = (claim(ONE, 4), claim(TWO, 6));
    assert_eq!(
        other.claim("free", rival).await.unwrap(),
        Claimed::Held(free)
    );
    // Their node is gone.
    other.resign(TWO, Bytes::new()).await.unwrap();
    let granted = [Claimed::Granted; 4];
    assert_eq!(node.claim_again(&again).await.unwrap(), granted);
}

pub async fn a_racing_claim_is_granted_once(on: On) {
    let cluster = on.start().await;
    let nodes: Vec<_> = (0..4).map(|_| cluster.node().backplane).collect();
    write(&*nodes[0], ONE, LONG, &changes(true, 1, &[], &[])).await;
    let claims = nodes.iter().zip(1..).map(|(node, session)| async move {
        node.claim(
            "ann",
            Claim {
                node: ONE,
                session: SessionId(session),
            },
        )
        .await
        .unwrap()
    });
    let claims = futures_util::future::join_all(claims).await;
    assert_eq!(
        claims
            .iter()
            .filter(|claim| **claim == Claimed::Granted)
            .count(),
        1,
        "{claims:?}"
    );
}

pub async fn the_first_secret_is_everybodys(on: On) {
    let cluster = on.start().await;
    let (node, other) = (cluster.node().backplane, cluster.node().backplane);
    assert_eq!(node.shared_secret([1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(other.shared_secret([2; 32]).await.unwrap(), [1; 32]);
    assert_eq!(node.shared_secret([3; 32]).await.unwrap(), [1; 32]);
}
