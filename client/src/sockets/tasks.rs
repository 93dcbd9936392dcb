//! Which task drives which connection, so that one can be cut off without a word.
//!
//! quinn ends a connection with a packet that says so, whichever way it is dropped. A process that
//! crashes sends none: to do as if, the task that sends a connection's packets is aborted.

use std::cell::Cell;
use std::fmt::{self, Debug};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use quinn::{
    AsyncTimer, AsyncUdpSocket, ClientConfig, ConnectError, Connecting, Endpoint, Runtime,
    TokioRuntime,
};
use tokio::task::AbortHandle;

/// A handshake under way, and the task that drives it.
pub(crate) struct Dialing {
    pub(crate) connecting: Connecting,
    /// Without it nothing is sent or acknowledged any more, not even a goodbye.
    pub(crate) task: Option<AbortHandle>,
}

/// Starts a handshake on an endpoint of [`runtime`].
pub(crate) fn dial(
    endpoint: &Endpoint,
    config: ClientConfig,
    address: SocketAddr,
    server_name: &str,
) -> Result<Dialing, ConnectError> {
    STARTED.take();
    // The connection's task is started within this call, so on this thread.
    let connecting = endpoint.connect_with(config, address, server_name)?;
    let task = STARTED.take();
    Ok(Dialing { connecting, task })
}

/// Tokio, with a note of the task that was started last on each thread.
pub(super) fn runtime() -> Arc<dyn Runtime> {
    Arc::new(Tasks)
}

struct Tasks;

impl Debug for Tasks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tasks")
    }
}

impl Runtime for Tasks {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        #[expect(
            clippy::disallowed_methods,
            reason = "quinn's tasks end with their endpoint or connection"
        )]
        let task = tokio::spawn(future);
        STARTED.set(Some(task.abort_handle()));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

thread_local! {
    /// The task that was started last here.
    static STARTED: Cell<Option<AbortHandle>> = const { Cell::new(None) };
}
