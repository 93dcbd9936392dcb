//! A NATS cluster of two servers, and its text protocol by hand.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::time;

use super::{Cluster, Programs, redis};
use crate::meter::Reader;
use crate::network::Place;
use crate::payload::PAYLOAD_BYTES;
use crate::process::{self, Process};

/// Starts two servers with a route between them.
pub(super) async fn start(programs: &Programs, place: &Place) -> Result<Cluster> {
    let port = || process::free_port().map(|port| SocketAddr::new(place.address, port));
    let addresses = [port()?, port()?];
    let routes = [port()?, port()?];
    let server = |name: &'static str, own: usize| {
        Process::start(name, place, &programs.nats_server, |command| {
            command
                .args(["--addr", &addresses[own].ip().to_string()])
                .args(["--port", &addresses[own].port().to_string()])
                .args(["--name", name, "--cluster_name", "compare"])
                .args(["--cluster", &format!("nats://{}", routes[own])])
                .args(["--routes", &format!("nats://{}", routes[1 - own])])
                .args(["--log", "/dev/null"]);
        })
    };
    let processes = vec![server("nats-1", 0)?, server("nats-2", 1)?];
    for address in addresses {
        process::accepts(address).await?;
    }
    // The route is made when both are up: a message must come across.
    let cluster = Cluster {
        processes,
        addresses,
        dialer: super::Dialer::Nats,
    };
    linked(&cluster).await?;
    Ok(cluster)
}

/// Version of the server.
pub(super) fn versions(programs: &Programs) -> Result<Vec<(String, String)>> {
    let version = redis::said_by(Command::new(&programs.nats_server).arg("--version"))?;
    Ok(vec![(
        "nats-server".to_owned(),
        version.replace("nats-server: ", ""),
    )])
}

/// Waits until each server knows of the other.
async fn linked(cluster: &Cluster) -> Result<()> {
    for _ in 0..LINK_TRIES {
        let (mut stream, info) = greet(cluster.addresses[0]).await?;
        stream.shutdown().await?;
        if info
            .matches(&cluster.addresses[1].port().to_string())
            .count()
            > 0
        {
            return Ok(());
        }
        time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the two servers do not find each other")
}

/// Connects and reads what the server says of itself: one line.
async fn greet(address: SocketAddr) -> Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut info = Vec::new();
    while !info.ends_with(b"\r\n") {
        info.push(stream.read_u8().await?);
    }
    Ok((stream, String::from_utf8_lossy(&info).into_owned()))
}

/// Connects, subscribes to the room, and reads.
pub(super) async fn connect(address: SocketAddr, room: &str, reader: Reader) -> Result<Publisher> {
    let (mut stream, _) = greet(address).await?;
    let hello = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"echo\":true,\"lang\":\"rust\",\
         \"version\":\"1\",\"protocol\":1}}\r\nSUB {room} 1\r\nPING\r\n"
    );
    stream.write_all(hello.as_bytes()).await?;
    let mut said = BytesMut::new();
    let pong = async {
        loop {
            if let Some(at) = said.windows(6).position(|six| six == b"PONG\r\n") {
                said.advance(at + 6);
                return Ok::<_, anyhow::Error>(());
            }
            if stream.read_buf(&mut said).await? == 0 {
                bail!("the server ended a connection: {said:?}");
            }
        }
    };
    time::timeout(ANSWER_MAX, pong)
        .await
        .context("no answer")??;
    let (read, write) = stream.into_split();
    let write = Arc::new(Mutex::new(write));
    tokio::spawn(read_all(read, Arc::clone(&write), said, reader));
    Ok(Publisher {
        write,
        head: format!("PUB {room} {PAYLOAD_BYTES}\r\n"),
        out: BytesMut::new(),
    })
}

/// A member's side of the connection.
#[derive(Debug)]
pub(crate) struct Publisher {
    write: Arc<Mutex<OwnedWriteHalf>>,
    head: String,
    out: BytesMut,
}

impl Publisher {
    pub(super) fn put(&mut self, payload: &[u8; PAYLOAD_BYTES]) {
        self.out.extend_from_slice(self.head.as_bytes());
        self.out.extend_from_slice(payload);
        self.out.extend_from_slice(b"\r\n");
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        self.write.lock().await.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }
}

async fn read_all(
    mut read: OwnedReadHalf,
    write: Arc<Mutex<OwnedWriteHalf>>,
    mut bytes: BytesMut,
    mut reader: Reader,
) {
    loop {
        let pings = walk(&mut bytes, &mut reader);
        for _ in 0..pings {
            if write.lock().await.write_all(b"PONG\r\n").await.is_err() {
                break;
            }
        }
        bytes.reserve(READ_BYTES);
        if !matches!(read.read_buf(&mut bytes).await, Ok(1..)) {
            break;
        }
    }
    reader.meter().on_lost();
}

/// Counts whole messages, leaves what is not whole yet, and returns how many pings there were.
fn walk(bytes: &mut BytesMut, reader: &mut Reader) -> usize {
    let mut at = 0;
    let mut pings = 0;
    while let Some(end) = bytes[at..].iter().position(|&byte| byte == b'\n') {
        let line = &bytes[at..at + end + 1];
        if line.starts_with(b"MSG ") {
            let len = line[..line.len() - 2]
                .rsplit(|&byte| byte == b' ')
                .next()
                .unwrap_or_default()
                .iter()
                .fold(0, |len, digit| {
                    len * 10 + usize::from(digit.wrapping_sub(b'0'))
                });
            let whole = end + 1 + len + 2;
            if bytes.len() - at < whole {
                break;
            }
            reader.on_delivery(&bytes[at..at + whole], 2);
            at += whole;
        } else {
            pings += usize::from(line.starts_with(b"PING"));
            at += end + 1;
        }
    }
    bytes.advance(at);
    pings
}

/// Tries until two servers must have found each other: they try once a second.
const LINK_TRIES: usize = 200;

/// Taken from the system at once, in bytes.
const READ_BYTES: usize = 16 << 10;

/// Time a server has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Meter;

    #[test]
    fn messages_are_found_across_reads() {
        let meter = Meter::new().unwrap();
        let mut reader = Reader::new(&meter, 0, 0);
        let text = b"MSG room 1 5\r\nhello\r\nPING\r\nMSG room 1 12\r\nhello\r\nhello\r\n";
        let mut bytes = BytesMut::new();
        let mut pings = 0;
        for &byte in text {
            bytes.extend_from_slice(&[byte]);
            pings += walk(&mut bytes, &mut reader);
        }
        assert_eq!((meter.delivered(), pings), (2, 1));
        assert!(bytes.is_empty());
    }
}
