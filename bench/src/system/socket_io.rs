//! Socket.IO with its Redis adapter: two node.js processes, and a lean client over WebSocket.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{Cluster, Programs, redis};
use crate::meter::Reader;
use crate::network::Place;
use crate::payload::PAYLOAD_BYTES;
use crate::process::{self, Process};

/// Starts Redis and two servers.
pub(super) fn start(programs: &Programs, place: &Place) -> Result<Cluster> {
    let (redis, redis_address) = redis::start(&programs.redis_server, place)?;
    let script = programs.socket_io.join("server.js");
    let server = |name: &'static str| -> Result<(Process, SocketAddr)> {
        let address = SocketAddr::new(place.address, process::free_port()?);
        let server = Process::start(name, place, &programs.node_js, |command| {
            command
                .arg(&script)
                .arg(address.ip().to_string())
                .arg(address.port().to_string())
                .arg(format!("redis://{redis_address}"))
                .env("NODE_ENV", "production");
        })?;
        server.line_with("ready")?;
        Ok((server, address))
    };
    let (first, first_address) = server("node.js-1")?;
    let (second, second_address) = server("node.js-2")?;
    Ok(Cluster {
        processes: vec![first, second, redis],
        addresses: [first_address, second_address],
        dialer: super::Dialer::SocketIo,
    })
}

/// Versions of the packages, of node.js and of Redis.
pub(super) fn versions(programs: &Programs) -> Result<Vec<(String, String)>> {
    let mut versions = Vec::new();
    for package in [
        "socket.io",
        "@socket.io/redis-adapter",
        "redis",
        "bufferutil",
    ] {
        versions.push((
            package_name(package),
            package_version(&programs.socket_io, package)?,
        ));
    }
    let node = redis::said_by(Command::new(&programs.node_js).arg("--version"))?;
    versions.push((
        "node.js".to_owned(),
        node.trim_start_matches('v').to_owned(),
    ));
    versions.push(redis::version(&programs.redis_server)?);
    Ok(versions)
}

/// The client package of Redis is not taken for its server.
fn package_name(package: &str) -> String {
    match package {
        "redis" => "redis (npm)".to_owned(),
        other => other.to_owned(),
    }
}

fn package_version(folder: &Path, package: &str) -> Result<String> {
    let file = folder
        .join("node_modules")
        .join(package)
        .join("package.json");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{} is missing: npm install", file.display()))?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    Ok(json["version"].as_str().unwrap_or("unknown").to_owned())
}

/// Connects, joins the room, and reads.
pub(super) async fn connect(address: SocketAddr, room: &str, reader: Reader) -> Result<Publisher> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (socket, _) = tokio_tungstenite::client_async(url, stream).await?;
    let (write, mut read) = socket.split();
    let write = Arc::new(Mutex::new(write));
    let said = |text: String| {
        let write = Arc::clone(&write);
        async move { write.lock().await.send(Message::text(text)).await }
    };
    time::timeout(ANSWER_MAX, async {
        // `0{…}` opens, `40` connects to the namespace, `420[…]` asks, `430[…]` answers.
        until(&mut read, "0").await?;
        said("40".to_owned()).await?;
        until(&mut read, "40").await?;
        said(format!("420[\"join\",\"{room}\"]")).await?;
        until(&mut read, "430").await
    })
    .await
    .context("no answer to a join")??;
    tokio::spawn(read_all(read, Arc::clone(&write), reader));
    Ok(Publisher {
        write,
        room: room.to_owned(),
        out: Vec::new(),
    })
}

type Write = Arc<Mutex<SplitSink<WebSocketStream<TcpStream>, Message>>>;
type Read = SplitStream<WebSocketStream<TcpStream>>;

/// A member's side of the connection.
#[derive(Debug)]
pub(crate) struct Publisher {
    write: Write,
    room: String,
    out: Vec<Message>,
}

impl Publisher {
    pub(super) fn put(&mut self, payload: &[u8; PAYLOAD_BYTES]) {
        let text = String::from_utf8_lossy(payload);
        let event = format!("42[\"say\",\"{}\",\"{text}\"]", self.room);
        self.out.push(Message::text(event));
    }

    pub(super) async fn flush(&mut self) -> Result<()> {
        let mut write = self.write.lock().await;
        for message in self.out.drain(..) {
            write.feed(message).await?;
        }
        write.flush().await?;
        Ok(())
    }
}

async fn until(read: &mut Read, start: &str) -> Result<()> {
    while let Some(message) = read.next().await {
        if let Message::Text(text) = message?
            && text.as_str().starts_with(start)
        {
            return Ok(());
        }
    }
    bail!("the server ended a connection")
}

async fn read_all(mut read: Read, write: Write, mut reader: Reader) {
    while let Some(Ok(message)) = read.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let text = text.as_str();
        if text.starts_with("42") {
            reader.on_delivery(text.as_bytes(), "\"]".len());
        } else if text == "2" {
            let pong = Message::text("3");
            if write.lock().await.send(pong).await.is_err() {
                break;
            }
        }
    }
    reader.meter().on_lost();
}

/// Time a server has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);
