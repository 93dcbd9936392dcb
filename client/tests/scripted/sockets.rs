//! Clients that share UDP sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_client::protocol::lane::Joined;
use chat_client::protocol::{ClientFrame, CloseCode, RoomRef};
use chat_client::{Client, ConnectError, Event, Events, Room, Sockets, Start, Trust, TrustError};

use crate::peer::{
    Authority, Lane, Peer, Peered, at, connected, in_lobby, message, next, next_message, opened,
    step,
};

struct Member {
    client: Client,
    events: Events,
    room: Room,
    peered: Peered,
    lane: Lane,
}

impl Member {
    async fn new(authority: &Authority, sockets: &Sockets, peer: &Peer) -> Self {
        let builder = authority.client(&[peer]).sockets(sockets.clone());
        let (client, events, room, peered, lane) = in_lobby(builder, peer).await;
        Self {
            client,
            events,
            room,
            peered,
            lane,
        }
    }

    fn port(&self) -> u16 {
        self.peered.connection.remote_address().port()
    }

    /// Publishes, is acked and reads it.
    async fn is_alive(&mut self) {
        let delivery = self.room.publish_text("hi").unwrap();
        let publish = self.peered.publish().await;
        self.peered.ack(publish.nonce.0, 1).await;
        assert_eq!(step("an ack", delivery).await.unwrap(), at(1));
        self.lane.send(message(7, 1, "ho")).await;
        assert_eq!(next_message(&mut self.events).await, (1, "ho".to_owned()));
    }

    async fn close(mut self) {
        let node = async {
            assert!(matches!(self.peered.frame().await, ClientFrame::Bye(_)));
            self.peered.close(CloseCode::Done).await
        };
        tokio::join!(step("the client to close", self.client.close()), node);
    }
}

#[tokio::test]
async fn clients_are_spread_evenly_and_one_that_ends_takes_no_other_with_it() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let sockets = Sockets::new(2);
    assert_eq!((sockets.count(), sockets.buffers()), (2, None));
    let mut members = Vec::new();
    for _ in 0..6 {
        members.push(Member::new(&authority, &sockets, &peer).await);
    }
    let mut on_port: BTreeMap<u16, usize> = BTreeMap::new();
    for member in &members {
        *on_port.entry(member.port()).or_default() += 1;
    }
    assert_eq!(on_port.values().collect::<Vec<_>>(), [&3, &3]);
    let mut open: Vec<u16> = sockets
        .local_addresses()
        .iter()
        .map(std::net::SocketAddr::port)
        .collect();
    open.sort_unstable();
    assert_eq!(open, on_port.into_keys().collect::<Vec<_>>());
    let buffers = sockets.buffers().unwrap();
    assert!(buffers.receive_bytes > 0 && buffers.send_bytes > 0);

    // All of one socket end, in each way there is; those of the other notice nothing.
    let left = members.first().unwrap().port();
    let (mut ends, mut stays): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| member.port() == left);
    ends.pop().unwrap().close().await;
    ends.pop().unwrap().client.abandon().await;
    ends.first_mut().unwrap().is_alive().await;
    for member in &mut stays {
        member.is_alive().await;
    }
    // The next ones fill the places that are free.
    for _ in 0..2 {
        let mut member = Member::new(&authority, &sockets, &peer).await;
        assert_eq!(member.port(), left);
        member.is_alive().await;
        ends.push(member);
    }
}

#[tokio::test]
async fn clients_of_the_same_sockets_and_trust_share_their_settings() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let sockets = Sockets::new(1);
    let builder = || authority.client(&[&peer]).sockets(sockets.clone());
    let _first = connected(builder(), &peer).await;
    let ca = authority.dir().join("ca.pem");
    std::fs::remove_file(&ca).unwrap();
    let _second = connected(builder(), &peer).await;
    // Who trusts otherwise, or shares nothing, reads for itself.
    let other = builder().trust(Trust::Ca(ca));
    assert!(matches!(
        other.connect().await,
        Err(ConnectError::Trust(TrustError::CaFile { .. }))
    ));
    let own = authority.client(&[&peer]);
    assert!(matches!(
        own.connect().await,
        Err(ConnectError::Trust(TrustError::NoDevelopmentCa { .. }))
    ));
}

#[tokio::test]
async fn closed_connections_can_be_waited_for() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let sockets = Sockets::new(1);
    let member = Member::new(&authority, &sockets, &peer).await;
    let wait = Duration::from_secs(5);
    let busy = tokio::time::timeout(Duration::from_millis(50), sockets.wait_idle(wait));
    assert!(busy.await.is_err(), "one is connected");
    member.close().await;
    step("idle sockets", sockets.wait_idle(wait)).await;
}

#[tokio::test]
async fn a_node_may_open_more_lanes_as_more_are_open() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let (client, mut events, mut peered) = connected(authority.client(&[&peer]), &peer).await;
    let mut lanes = Vec::new();
    for number in 1..=100_u32 {
        let name = format!("room{number}");
        let join = step("a room to be joined", client.join(&name, Start::Live));
        let answer = async {
            let ClientFrame::Join(join) = peered.frame().await else {
                panic!("no join of {name}");
            };
            let joined = Joined {
                room: RoomRef(number),
                ..opened(&name, join.request)
            };
            step("a lane to be opened", peered.open(joined)).await
        };
        let (room, lane) = tokio::join!(join, answer);
        room.unwrap();
        lanes.push(lane);
        assert!(matches!(next(&mut events).await, Event::Joined { .. }));
    }
}
