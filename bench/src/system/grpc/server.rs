//! The server: rooms of channels, one for each stream, fed by Redis.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll};

use anyhow::{Context, Result};
use bytes::Bytes;
use redis::aio::{MultiplexedConnection, PubSubSink};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::{JOIN, LEAVE, PATH, Raw, SAY};

/// Serves until the process is ended.
///
/// # Errors
/// When the address is taken or Redis is away.
pub(crate) fn serve(listen: SocketAddr, redis: &str) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let client = redis::Client::open(redis)?;
        let (sink, mut announced) = client.get_async_pubsub().await?.split();
        let hub = Arc::new(Hub {
            rooms: Mutex::default(),
            publisher: client.get_multiplexed_async_connection().await?,
            subscriber: tokio::sync::Mutex::new(sink),
        });
        let rooms = Arc::clone(&hub);
        tokio::spawn(async move {
            while let Some(message) = announced.next().await {
                let text = Bytes::copy_from_slice(message.get_payload_bytes());
                rooms.deliver(message.get_channel_name(), &text);
            }
        });
        let listener = tokio::net::TcpListener::bind(listen).await?;
        announce_ready();
        let incoming =
            tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder()
            .add_service(Service(hub))
            .serve_with_incoming(incoming)
            .await
            .context("the server ended")
    })
}

/// Rooms of this node.
struct Hub {
    rooms: Mutex<HashMap<String, Vec<Member>>>,
    publisher: MultiplexedConnection,
    subscriber: tokio::sync::Mutex<PubSubSink>,
}

/// A stream in a room.
struct Member {
    id: u64,
    send: mpsc::Sender<Result<Bytes, Status>>,
}

impl Hub {
    fn deliver(&self, room: &str, text: &Bytes) {
        if let Some(members) = self.rooms().get(room) {
            for member in members {
                // The original's channels have no bound; these have a very wide one, beyond which
                // messages are dropped, so that this process cannot take all memory.
                let _ = member.send.try_send(Ok(text.clone()));
            }
        }
    }

    async fn join(&self, room: &str, member: Member) -> redis::RedisResult<()> {
        let is_first = {
            let mut rooms = self.rooms();
            let members = rooms.entry(room.to_owned()).or_default();
            members.push(member);
            members.len() == 1
        };
        if is_first {
            self.subscriber.lock().await.subscribe(room).await?;
        }
        Ok(())
    }

    async fn leave(&self, room: &str, id: u64) {
        let is_empty = {
            let mut rooms = self.rooms();
            let Some(members) = rooms.get_mut(room) else {
                return;
            };
            members.retain(|member| member.id != id);
            let is_empty = members.is_empty();
            if is_empty {
                rooms.remove(room);
            }
            is_empty
        };
        if is_empty {
            // Redis is away: there is nothing to be told either.
            let _ = self.subscriber.lock().await.unsubscribe(room).await;
        }
    }

    async fn say(&self, room: &str, text: &[u8]) -> redis::RedisResult<()> {
        let mut publisher = self.publisher.clone();
        redis::cmd("PUBLISH")
            .arg(room)
            .arg(text)
            .query_async(&mut publisher)
            .await
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Vec<Member>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what one client says, to its end.
    async fn listen(
        self: Arc<Self>,
        id: u64,
        mut said: Streaming<Bytes>,
        send: mpsc::Sender<Result<Bytes, Status>>,
    ) {
        let mut joined = Vec::new();
        while let Ok(Some(frame)) = said.message().await {
            let Some((operation, room, text)) = parse(&frame) else {
                break;
            };
            match operation {
                JOIN => {
                    let member = Member {
                        id,
                        send: send.clone(),
                    };
                    joined.push(room.to_owned());
                    if self.join(room, member).await.is_err()
                        || send.send(Ok(Bytes::new())).await.is_err()
                    {
                        break;
                    }
                }
                LEAVE => {
                    joined.retain(|joined| joined != room);
                    self.leave(room, id).await;
                }
                SAY if self.say(room, text).await.is_ok() => {}
                _ => break,
            }
        }
        for room in joined {
            self.leave(&room, id).await;
        }
    }
}

fn parse(frame: &[u8]) -> Option<(u8, &str, &[u8])> {
    let (&operation, rest) = frame.split_first()?;
    let (&len, rest) = rest.split_first()?;
    let (room, text) = rest.split_at_checked(usize::from(len))?;
    Some((operation, std::str::from_utf8(room).ok()?, text))
}

/// What tonic would generate for `service Hub { rpc Connect(stream Frame) returns (stream Text); }`.
#[derive(Clone)]
struct Service(Arc<Hub>);

impl NamedService for Service {
    const NAME: &'static str = "chat.Hub";
}

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl tonic::codegen::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let connect = Connect(Arc::clone(&self.0));
        Box::pin(async move {
            if request.uri().path() != PATH {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            Ok(Grpc::new(Raw).streaming(connect, request).await)
        })
    }
}

struct Connect(Arc<Hub>);

impl StreamingService<Bytes> for Connect {
    type Response = Bytes;
    type ResponseStream = ReceiverStream<Result<Bytes, Status>>;
    type Future = Answer<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let hub = Arc::clone(&self.0);
        Box::pin(async move {
            let (send, outgoing) = mpsc::channel(QUEUE_LEN);
            let id = NEXT.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(hub.listen(id, request.into_inner(), send));
            Ok(Response::new(ReceiverStream::new(outgoing)))
        })
    }
}

#[expect(clippy::print_stdout, reason = "who started this process waits for it")]
fn announce_ready() {
    println!("ready");
}

/// Messages that wait for one stream: half a minute of a busy room.
const QUEUE_LEN: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart() {
        let frame = super::super::frame(SAY, "room", b"hello");
        assert_eq!(parse(&frame), Some((SAY, "room", &b"hello"[..])));
        assert_eq!(parse(b"\x03\x09room"), None);
        assert_eq!(parse(b""), None);
    }
}
