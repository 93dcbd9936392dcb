//! Entries, heads and nonces that somebody else wrote to hurt: none wedges a room, is passed on as
//! what it is not, or makes a node take more memory than its bounds.

use bytes::{BufMut, BytesMut};
use chat_node::backplane::{Block, Continuation};
use chat_node::damage;
use chat_protocol::Seq;

use crate::contract::{Node, On, at, draft, name, numbers, texts, within};
use crate::support::redis::RedisServer;

const LOG: &str = "chat:{lobby}:log";
const META: &str = "chat:{lobby}:meta";

/// A block as nodes write it, with whatever is wanted in it.
fn payload(first: u64, len: u32, room: &str, frames: &[u8]) -> Vec<u8> {
    let mut payload = BytesMut::new();
    payload.put_u8(1);
    payload.put_slice(b"00000000000000ff");
    payload.put_u64(first);
    payload.put_u32(len);
    payload.put_u64(4_000_000_000_000);
    payload.put_u8(u8::try_from(room.len()).unwrap());
    payload.put_slice(room.as_bytes());
    payload.put_slice(frames);
    payload.to_vec()
}

/// Adds an entry to the stream, if the server takes it.
async fn add(server: &RedisServer, id: &str, fields: &[(&[u8], &[u8])]) -> bool {
    let mut connection = server.connection().await.unwrap();
    let mut add = redis::cmd("XADD");
    add.arg(LOG).arg(id);
    for &(field, value) in fields {
        add.arg(field).arg(value);
    }
    add.query_async::<String>(&mut connection).await.is_ok()
}

async fn set_field(server: &RedisServer, key: &str, field: &[u8], value: &[u8]) {
    let mut connection = server.connection().await.unwrap();
    let mut set = redis::cmd("HSET");
    set.arg(key).arg(field).arg(value);
    set.query_async::<u64>(&mut connection).await.unwrap();
}

/// All that the server has sent by now.
async fn sent_bytes(server: &RedisServer) -> u64 {
    let stats: String = server.ask(&["INFO", "stats"]).await;
    let sent = stats
        .lines()
        .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    sent.unwrap().trim().parse().unwrap()
}

/// The room goes on: two more messages get two places in a row and are read back, by a reader that
/// knows nothing and by one that was there before.
async fn goes_on(node: &Node, what: &str, nonce: u64) {
    let first = node.say("lobby", 1, nonce, &nonce.to_string()).await;
    let second = node
        .say("lobby", 1, nonce + 1, &(nonce + 1).to_string())
        .await;
    assert_eq!(second, at(first.epoch, first.seq.0 + 1), "{what}");
    let page = node.read_last("lobby", 2).await;
    assert_eq!(texts(&page.blocks), numbers(nonce, nonce + 1), "{what}");
    assert_eq!(page.head, second, "{what}");
    let page = node.read("lobby", first, 10).await;
    assert_eq!(page.continuation, Continuation::Seamless, "{what}");
    assert_eq!(texts(&page.blocks), numbers(nonce + 1, nonce + 1), "{what}");
    let heads = node.backplane.heads(&[name("lobby")]).await.unwrap();
    assert_eq!(heads, [Some(second)], "{what}");
}

#[tokio::test]
async fn a_hostile_entry_at_the_end_of_a_log_is_counted_and_the_room_goes_on() {
    let frame = draft(1, 1, "x").frame;
    let many: Vec<(Vec<u8>, Vec<u8>)> = (0..5_000_u32)
        .map(|number| (number.to_string().into_bytes(), vec![b'x'; 100]))
        .collect();
    let many: Vec<(&[u8], &[u8])> = many
        .iter()
        .map(|(field, value)| (&field[..], &value[..]))
        .collect();
    // Ids are those the head would have next, unless the entry is about its id.
    let one = |payload: Vec<u8>| ("2-0", vec![(b"b".to_vec(), payload)]);
    let mut hostile = vec![
        one(Vec::new()),
        one(b"garbage".to_vec()),
        one(vec![1; 38]),
        one(vec![1; 10 << 20]),
        // A head that holds together before 10 MB.
        one(payload(2, 1, "lobby", &vec![0; 10 << 20])),
        one(payload(2, 1, "attic", &frame)),
        one(payload(2, 1, "Not A Room", &frame)),
        one(payload(2, 1, "lobby", b"")),
        one(payload(2, 1, "lobby", &[0; 64])),
        one(payload(2, 1, "lobby", &frame[..frame.len() - 1])),
        one(payload(
            2,
            1,
            "lobby",
            &[frame.as_ref(), frame.as_ref()].concat(),
        )),
        one(payload(2, 0, "lobby", &frame)),
        one(payload(1 << 53, 1, "lobby", &frame)),
        one(payload((1 << 53) - 1, 1, "lobby", &frame)),
        one(payload(u64::MAX, 2, "lobby", &frame)),
        (
            "4294967296-0",
            vec![(b"b".to_vec(), payload(2, u32::MAX, "lobby", &frame))],
        ),
        ("2-7", vec![(b"b".to_vec(), payload(2, 1, "lobby", &frame))]),
        ("2-0", vec![(b"c".to_vec(), payload(2, 1, "lobby", &frame))]),
        (
            "2-0",
            vec![
                (vec![0xff; 3], vec![0xff; 3]),
                (b"b".to_vec(), b"b".to_vec()),
            ],
        ),
    ];
    for (id, first) in [
        ("9007199254740991-0", (1 << 53) - 1),
        ("9007199254740992-0", 1 << 53),
        ("18446744073709551615-18446744073709551615", u64::MAX),
    ] {
        hostile.push((
            id,
            vec![(b"b".to_vec(), payload(first, 1, "lobby", &frame))],
        ));
    }
    for (number, (id, fields)) in hostile.iter().enumerate() {
        let fields: Vec<(&[u8], &[u8])> = fields
            .iter()
            .map(|(field, value)| (&field[..], &value[..]))
            .collect();
        hurt(number, id, &fields).await;
    }
    hurt(hostile.len(), "2-0", &many).await;
}

async fn hurt(number: usize, id: &str, fields: &[(&[u8], &[u8])]) {
    let what = format!("hostile entry {number} with id {id}");
    let mut cluster = On::Redis.start().await;
    let (node, other) = (cluster.node(), cluster.node());
    let before = node.say("lobby", 1, 1, "1").await;
    assert!(add(cluster.server(), id, fields).await, "{what}");
    let is_last = id.len() > 10;
    let counted = damage::total();
    let sent = sent_bytes(cluster.server()).await;
    for reader in [&node, &other] {
        let page = within(reader.read("lobby", at(before.epoch, 0), 10)).await;
        // A stream whose ids leave none above them cannot go on: its entries go, and that is told.
        let is_gone = is_last && page.head.epoch != before.epoch && page.blocks.is_empty();
        assert!(
            is_gone || texts(&page.blocks) == numbers(1, 1),
            "{what}: {page:?}"
        );
        let bytes: usize = page.blocks.iter().map(|block| block.frames.len()).sum();
        assert!(bytes < 100, "{what}: {bytes} bytes");
    }
    let sent = sent_bytes(cluster.server()).await - sent;
    assert!(sent < 500_000, "{what}: the node had to take {sent} bytes");
    assert!(is_last || damage::total() > counted, "{what} is counted");
    goes_on(&node, &what, 2).await;
    let last = other.read_last("lobby", 10).await;
    assert_eq!(
        texts(&last.blocks).last().map(String::as_str),
        Some("3"),
        "{what}"
    );
    assert!(
        last.blocks.iter().all(|block| block.ends().is_ok()),
        "{what}"
    );
}

#[tokio::test]
async fn ids_that_redis_itself_refuses_cannot_be_in_a_log() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    node.say("lobby", 1, 1, "1").await;
    for id in [
        "-1-0", "1.5-0", "2-1.5", "0-0", "0-1", "1-0", "x", "1e3-0", "",
    ] {
        assert!(!add(cluster.server(), id, &[(b"b", b"x")]).await, "{id}");
    }
    goes_on(&node, "refused ids", 2).await;
}

#[tokio::test]
async fn a_block_of_another_room_is_never_shown_in_this_one() {
    let mut cluster = On::Redis.start().await;
    let node = cluster.node();
    let lobby = node.say("lobby", 1, 1, "1").await;
    node.say("attic", 1, 1, "secret").await;
    node.say("attic", 1, 2, "secret").await;
    // As by a hand that copies keys.
    let _: u64 = cluster
        .server()
        .ask(&["COPY", "chat:{attic}:log", LOG, "REPLACE"])
        .await;
    let page = node.read("lobby", at(lobby.epoch, 0), 10).await;
    assert_eq!(page.blocks, Vec::<Block>::new());
    goes_on(&node, "a copied log", 2).await;
}

#[tokio::test]
async fn a_hostile_head_begins_a_new_epoch_and_the_room_goes_on() {
    for (field, value) in [
        ("seq", &b"9007199254740991"[..]),
        ("seq", b"9007199254740992"),
        ("seq", b"9007199254740990"),
        ("seq", b"18446744073709551615"),
        ("seq", b"-5"),
        ("seq", b"2.5"),
        ("seq", b"nan"),
        ("seq", b"inf"),
        ("seq", b"0x10"),
        ("seq", b""),
        ("seq", b"\xff\xfe"),
        ("epoch", b"zzzzzzzzzzzzzzzz"),
        ("epoch", b"00000000000000FF"),
        (
            "epoch",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        ("epoch", b""),
        ("len", b"-1"),
        ("len", b"nan"),
        ("forks", b"garbage"),
        ("forks", b"00000000000000ff:99999999999999999999999999"),
        ("gen", b"1e99"),
        ("gen", b"nan"),
        ("old", b"1"),
        ("run", b""),
        ("rotated", b"nan"),
        ("expires", b"nan"),
        ("aged", b"-inf"),
        ("topic", b"\xff\xff"),
    ] {
        let what = format!("{field}={:?}", String::from_utf8_lossy(value));
        let mut cluster = On::Redis.start().await;
        let (node, other) = (cluster.node(), cluster.node());
        let before = node.say("lobby", 1, 1, "1").await;
        node.say("attic", 1, 1, "1").await;
        set_field(cluster.server(), META, field.as_bytes(), value).await;
        let heads = node
            .backplane
            .heads(&[name("lobby"), name("attic")])
            .await
            .unwrap();
        assert!(heads[1].is_some(), "{what} hides the heads of other rooms");
        // Whoever reads first, and whoever has been there, gets an answer.
        other.read_last("lobby", 10).await;
        node.read("lobby", before, 10).await;
        let known = Some(before);
        node.append_knowing("lobby", known, vec![draft(2, 1, "other")])
            .await;
        goes_on(&other, &what, 2).await;
    }
}

#[tokio::test]
async fn a_node_that_believed_a_hostile_head_does_not_take_the_room_there() {
    let cluster = On::Redis.start().await;
    let node = cluster.node();
    let before = node.say("lobby", 1, 1, "1").await;
    for seq in [Seq::MAX.0, Seq::MAX.0 - 1, 1 << 52] {
        let known = Some(at(before.epoch, seq));
        node.append_knowing("lobby", known, vec![draft(seq, 1, "x")])
            .await;
    }
    goes_on(&node, "known heads", 2).await;
    assert!(node.read_last("lobby", 1).await.head.seq < Seq(1_000));
}

#[tokio::test]
async fn hostile_nonces_are_forgotten_with_a_new_epoch_and_the_sender_goes_on() {
    let long = vec![0xff; 10 << 20];
    for value in [
        &b""[..],
        b"x",
        b"garbage!",
        &[0; 23],
        &[0; 25],
        &[0xff; 24],
        &long,
    ] {
        let what = format!("{} bytes of nonces", value.len());
        let mut cluster = On::Redis.start().await;
        let node = cluster.node();
        node.say("lobby", 1, 1, "1").await;
        set_field(
            cluster.server(),
            "chat:{lobby}:senders",
            &1_u64.to_be_bytes(),
            value,
        )
        .await;
        goes_on(&node, &what, 2).await;
        let kept: u64 = cluster
            .server()
            .ask(&["MEMORY", "USAGE", "chat:{lobby}:senders"])
            .await;
        assert!(kept < 10_000, "{what}: {kept} bytes");
    }
}
