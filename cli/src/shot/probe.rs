//! Whether something that speaks QUIC answers at an address, without a handshake: a packet of a
//! version that nobody has makes it list those it has (RFC 9000, section 6).
//!
//! A connection cannot tell silence from a refusal, since its socket serves many addresses. This one
//! is connected to one, so that the system tells of "port unreachable".

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// What came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It speaks these versions of QUIC.
    Versions {
        /// At most 32 of them.
        versions: Vec<u32>,
        /// How long the answer took.
        took: Duration,
    },
    /// Something answers that is not QUIC.
    Strange,
    /// The other machine, or one on the way, says that nothing listens there.
    Refused,
    /// Nothing came back.
    Silent,
    /// This machine could not even send.
    Unsendable(String),
}

/// Asks what listens at an address. Repeats the question twice: one packet may get lost.
///
/// Cancel safe: dropping it gives up.
pub async fn probe(address: SocketAddr, time: Duration) -> Answer {
    match ask(address, time).await {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Answer::Refused,
        Err(error) => Answer::Unsendable(error.to_string()),
    }
}

async fn ask(address: SocketAddr, time: Duration) -> io::Result<Answer> {
    let from: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(address).await?;
    let question = Question {
        to: rand::random(),
        from: rand::random(),
    };
    let started = Instant::now();
    let mut met = Answer::Silent;
    let mut packet = [0; PACKET_BYTES];
    for turn in 1..=TURNS {
        socket.send(&question.packet()).await?;
        let until = started + time * turn / TURNS;
        while let Ok(received) = timeout_at(until, socket.recv(&mut packet)).await {
            let bytes = packet.get(..received?).unwrap_or_default();
            match question.versions(bytes) {
                Some(versions) => {
                    let took = started.elapsed();
                    return Ok(Answer::Versions { versions, took });
                }
                None => met = Answer::Strange,
            }
        }
    }
    Ok(met)
}

/// The connection ids of a question, which its answer has the other way round.
struct Question {
    to: [u8; ID_BYTES],
    from: [u8; ID_BYTES],
}

impl Question {
    /// A long header of the version, both ids, and as many zeros as a first packet needs.
    fn packet(&self) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        let mut head = vec![LONG_HEADER];
        head.extend(VERSION.to_be_bytes());
        for id in [&self.to, &self.from] {
            head.push(ID_LEN);
            head.extend(id);
        }
        packet[..head.len()].copy_from_slice(&head);
        packet
    }

    /// The versions in an answer to this question; none when it is not one.
    fn versions(&self, packet: &[u8]) -> Option<Vec<u32>> {
        let (head, rest) = packet.split_at_checked(1 + 4)?;
        if head[0] & 0x80 == 0 || head[1..] != [0; 4] {
            return None;
        }
        let (to, rest) = take_id(rest)?;
        let (from, rest) = take_id(rest)?;
        if to != self.from || from != self.to || rest.len() % 4 != 0 {
            return None;
        }
        let versions = rest.chunks_exact(4).take(VERSIONS_LEN_MAX);
        let versions = versions.filter_map(|bytes| <[u8; 4]>::try_from(bytes).ok());
        Some(versions.map(u32::from_be_bytes).collect())
    }
}

fn take_id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked((*len).into())
}

/// A long header with the bit that QUIC always sets.
const LONG_HEADER: u8 = 0xc0;

/// Of the versions that are reserved to be unknown (RFC 9000, section 15).
const VERSION: u32 = 0x1a2a_3a4a;

/// Bytes of a connection id, as a packet has it.
const ID_LEN: u8 = 8;

/// The same, as arrays have it.
const ID_BYTES: usize = ID_LEN as usize;

/// Servers answer nothing smaller: it would make them louder than who asks.
const PACKET_BYTES: usize = 1_200;

/// Versions told of one answer.
const VERSIONS_LEN_MAX: usize = 32;

/// How often it is asked.
const TURNS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            to: [1; ID_BYTES],
            from: [2; ID_BYTES],
        }
    }

    fn answer(to: u8, from: u8, versions: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80 | 0x3f, 0, 0, 0, 0];
        for id in [to, from] {
            bytes.push(8);
            bytes.extend([id; 8]);
        }
        bytes.extend(versions);
        bytes
    }

    #[test]
    fn an_answer_has_the_ids_the_other_way_round() {
        let versions = |bytes: &[u8]| question().versions(bytes);
        let good = answer(2, 1, &[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]);
        assert_eq!(versions(&good), Some(vec![1, 0x6b33_43cf]));
        assert_eq!(versions(&answer(1, 2, &[0, 0, 0, 1])), None);
        assert_eq!(versions(&answer(2, 1, &[0, 0, 1])), None);
        for end in 0..good.len() - 8 {
            assert_eq!(versions(&good[..end]), None, "{end}");
        }
        let many = answer(2, 1, &[0; 4_000]);
        assert_eq!(versions(&many).map(|versions| versions.len()), Some(32));
        let mut other_version = good;
        other_version[4] = 1;
        assert_eq!(versions(&other_version), None);
    }

    #[tokio::test]
    async fn silence_and_refusal_are_told_apart() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let time = Duration::from_millis(150);
        assert_eq!(probe(address, time).await, Answer::Silent);
        drop(silent);
        assert_eq!(probe(address, time).await, Answer::Refused);
    }

    #[tokio::test]
    async fn what_is_not_quic_is_strange() {
        let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = echo.local_addr().unwrap();
        let serve = async {
            let mut packet = [0; 2_000];
            let (len, from) = echo.recv_from(&mut packet).await.unwrap();
            assert_eq!(len, PACKET_BYTES);
            echo.send_to(b"HTTP/1.1 400", from).await.unwrap();
        };
        let (answer, ()) = tokio::join!(probe(address, Duration::from_millis(150)), serve);
        assert_eq!(answer, Answer::Strange);
    }
}
