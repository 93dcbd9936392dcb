//! One client's connection, from the handshake to the goodbye: the only place that maps frames to
//! streams.
//!
//! Two tasks serve a connection: this one reads requests and has them done, the `writer` writes.
//! A request is read only while the session has room for its answer, so what a client can make the
//! node hold is bounded. Whatever the client does, [`Hub::disconnect`] runs at the end.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chat_protocol::client::{ClientFrame, Hello};
use chat_protocol::node::{Closing, NodeFrame};
use chat_protocol::{CloseCode, ErrorCode, Frame, RequestId, StreamType};
use quinn::{SendStream, VarInt};
use tokio::time;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

mod cost;
mod lane;
mod page;
mod reader;
mod served;
mod writer;

pub use cost::BYTES_MAX;

use crate::hub::Hub;
use crate::outlet::{ConnectionId, Outlet};
use crate::policy::Refusal;
use crate::session;
use reader::FrameReader;
use served::Served;

/// Serves a connection whose handshake is done, until it is closed.
pub async fn serve(
    connection: quinn::Connection,
    id: ConnectionId,
    hub: Arc<Hub>,
    tasks: TaskTracker,
) {
    let outcome = match time::timeout(HELLO_MAX, greet(&connection)).await {
        Err(_) => Outcome::Closed(CloseCode::HelloTimeout),
        Ok(Err(code)) => Outcome::Closed(code),
        Ok(Ok((hello, control, reader))) => {
            let (outlet, invitations) = Outlet::new(id);
            let outlet = Arc::new(outlet);
            match hub.admit(hello, &outlet).await {
                Ok(admitted) => {
                    let served = Served::new(connection.clone(), hub, admitted, invitations);
                    served.run(control, reader, &tasks).await
                }
                Err(refusal) => refuse(&connection, control, refusal).await,
            }
        }
    };
    debug!(outcome = %outcome.describe(), "connection ended");
    if let Outcome::Closed(code) = outcome {
        connection.close(VarInt::from_u32(code.to_wire()), code.text().as_bytes());
    }
}

/// How a connection ended.
enum Outcome {
    /// The node closes it, with this code.
    Closed(CloseCode),
    /// The client closed it, or it was lost.
    Gone,
}

impl Outcome {
    fn describe(&self) -> &'static str {
        match self {
            Self::Closed(code) => code.text(),
            Self::Gone => "the client is gone",
        }
    }
}

/// Reads the hello.
async fn greet(
    connection: &quinn::Connection,
) -> Result<(Hello, SendStream, FrameReader), CloseCode> {
    let (control, recv) = connection.accept_bi().await.map_err(|_| CloseCode::Done)?;
    let mut reader = FrameReader::new(recv);
    if reader.stream_type().await? != Some(StreamType::Control) {
        return Err(CloseCode::Unexpected);
    }
    match reader.next().await? {
        Some(ClientFrame::Hello(hello)) => Ok((hello, control, reader)),
        Some(_) => Err(CloseCode::Unexpected),
        None => Err(CloseCode::Done),
    }
}

/// Says why a hello is refused.
async fn refuse(
    connection: &quinn::Connection,
    mut control: SendStream,
    refusal: Refusal,
) -> Outcome {
    info!(code = %refusal.code.name(), "hello refused");
    let close = match refusal.code {
        ErrorCode::Unavailable => CloseCode::Unavailable,
        ErrorCode::Overloaded => CloseCode::Overloaded,
        ErrorCode::Draining => CloseCode::Draining,
        _ => CloseCode::Refused,
    };
    let mut frames = BytesMut::new();
    session::failed(RequestId::NONE, refusal).encode(&mut frames);
    let closing = Closing {
        code: close.to_wire(),
        detail: close.text().to_owned(),
    };
    NodeFrame::from(closing).encode(&mut frames);
    let said = async {
        control.write_all(&frames).await.ok()?;
        control.finish().ok()
    };
    // A client that does not take this in time is told by the close alone.
    let _ = time::timeout(GOODBYE_MAX, said).await;
    wait_for_close(connection, close).await
}

/// The one who reads last closes: gives the client time to read the goodbye.
async fn wait_for_close(connection: &quinn::Connection, code: CloseCode) -> Outcome {
    match time::timeout(GOODBYE_MAX, connection.closed()).await {
        Ok(_) => Outcome::Gone,
        Err(_) => Outcome::Closed(code),
    }
}

/// Time from the handshake to the whole hello.
const HELLO_MAX: Duration = Duration::from_secs(5);

/// Time a client has to read the goodbye and close.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
