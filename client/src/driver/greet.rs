//! The first exchange on a connection: the control stream, hello, and welcome or refusal.

use std::time::Duration;

use bytes::BytesMut;
use chat_protocol::client::Hello;
use chat_protocol::node::{Failed, Welcome};
use chat_protocol::{
    ClientFrame, CloseCode, ErrorCode, Frame, FrameDecoder, FrameError, NodeFrame, RequestId,
    StreamType, varint,
};
use quinn::{Connection, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::task::AbortHandle;

use crate::driver::dial::{Reason, Shaken};
use crate::driver::trouble::{Trouble, is_final};
use crate::error::plain;

/// A connection whose node welcomed the session.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) connection: Connection,
    /// The task that drives it.
    pub(crate) task: Option<AbortHandle>,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
    /// May hold frames that came right after the welcome.
    pub(crate) decoder: FrameDecoder,
    pub(crate) welcome: Welcome,
}

/// Opens the control stream, says hello and waits for the answer. Dropping it drops the connection.
pub(crate) async fn greet(shaken: Shaken, hello: &Hello) -> Result<Greeted, Reason> {
    let Shaken { connection, task } = shaken;
    let (mut send, mut recv) = connection.open_bi().await.map_err(|error| lost(&error))?;
    let mut out = BytesMut::new();
    varint::put(StreamType::Control.to_wire(), &mut out);
    ClientFrame::from(hello.clone()).encode(&mut out);
    send.write_all(&out).await.map_err(|error| match error {
        WriteError::ConnectionLost(error) => lost(&error),
        other => strange(&other.to_string()),
    })?;
    let mut decoder = FrameDecoder::new();
    let mut refusal = None;
    loop {
        while let Some(frame) = decode(&connection, &mut decoder)? {
            match frame {
                NodeFrame::Welcome(welcome) => {
                    return Ok(Greeted {
                        connection,
                        task,
                        send,
                        recv,
                        decoder,
                        welcome,
                    });
                }
                NodeFrame::Failed(failed) if failed.request == RequestId::NONE => {
                    refusal = Some(failed);
                }
                NodeFrame::Closing(closing) => {
                    connection.close(DONE, b"");
                    return Err(match refusal {
                        Some(failed) => refused(failed),
                        None => closed(closing.code, &closing.detail),
                    });
                }
                other => {
                    close_for(&connection, CloseCode::Unexpected);
                    return Err(strange(&format!(
                        "frame kind {:#x} before the welcome",
                        other.kind()
                    )));
                }
            }
        }
        match recv.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => decoder.push(&chunk.bytes),
            // The refusal was the last word, even when the close went missing behind it.
            Ok(None) | Err(_) if refusal.is_some() => {
                connection.close(DONE, b"");
                return Err(refusal.map_or_else(|| strange(""), refused));
            }
            Ok(None) => return Err(strange("the control stream ended before the welcome")),
            Err(ReadError::ConnectionLost(error)) => return Err(lost(&error)),
            Err(error) => return Err(strange(&error.to_string())),
        }
    }
}

fn decode(
    connection: &Connection,
    decoder: &mut FrameDecoder,
) -> Result<Option<NodeFrame>, Reason> {
    next_frame(decoder).map_err(|error| {
        close_for(connection, CloseCode::BadFrame);
        strange(&error.to_string())
    })
}

/// Takes the next frame this version knows.
pub(crate) fn next_frame<F: Frame>(decoder: &mut FrameDecoder) -> Result<Option<F>, FrameError> {
    while let Some(raw) = decoder.next()? {
        if let Some(frame) = F::decode(&raw)? {
            return Ok(Some(frame));
        }
    }
    Ok(None)
}

/// Closes a connection for a fault of the node.
pub(crate) fn close_for(connection: &Connection, code: CloseCode) {
    connection.close(VarInt::from_u32(code.to_wire()), code.text().as_bytes());
}

fn refused(failed: Failed) -> Reason {
    Reason::Refused {
        code: failed.code,
        detail: plain(&failed.detail),
        retryable: ErrorCode::is_retryable(failed.code),
        retry_after: failed
            .retry_after_ms
            .map(|ms| Duration::from_millis(ms.into())),
    }
}

fn closed(code: u32, detail: &str) -> Reason {
    Reason::Refused {
        code,
        detail: plain(detail),
        retryable: !is_final(code),
        retry_after: None,
    }
}

fn lost(error: &quinn::ConnectionError) -> Reason {
    Reason::Trouble(Trouble::of(error))
}

fn strange(what: &str) -> Reason {
    Reason::Trouble(Trouble::Strange(format!(
        "it does not answer like a node: {what}"
    )))
}

/// The close code of a connection that both sides are done with.
pub(crate) const DONE: VarInt = VarInt::from_u32(CloseCode::Done.to_wire());

/// Bytes taken from a stream at once.
pub(crate) const READ_BYTES: usize = 64 * 1024;
