//! What a connection shall be like, before there is one.

use std::time::Duration;

use chat_protocol::limits::{TOKEN_BYTES_MAX, USER_NAME_BYTES_MAX};

use crate::client::Client;
use crate::driver;
use crate::error::ConnectError;
use crate::events::{EVENTS_LEN_MAX, EVENTS_LEN_MIN, Events};
use crate::session::SessionTicket;
use crate::sockets::Sockets;
use crate::target::Target;
use crate::trust::Trust;

/// Describes a connection; [`connect`](Self::connect) makes it.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `connect`"]
pub struct Builder {
    targets: Vec<String>,
    settings: Settings,
    resume: Option<SessionTicket>,
}

/// What the driver needs to know for as long as it runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) agent: String,
    pub(crate) trust: Trust,
    pub(crate) connect_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) reconnect: bool,
    pub(crate) sockets: Option<Sockets>,
    pub(crate) events_len_max: usize,
    pub(crate) lane_window_bytes: u32,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            targets: Vec::new(),
            settings: Settings {
                name: None,
                token: None,
                agent: concat!("chat-client/", env!("CARGO_PKG_VERSION")).to_owned(),
                trust: Trust::development(),
                connect_timeout: Duration::from_secs(3),
                close_timeout: Duration::from_secs(2),
                keep_alive: Duration::from_secs(3),
                reconnect: true,
                sockets: None,
                events_len_max: EVENTS_LEN_MAX,
                lane_window_bytes: LANE_WINDOW_BYTES_DEFAULT,
            },
            resume: None,
        }
    }

    /// Adds a target: `8081`, `host`, `host:port`, `quic://host:port`, or several divided by
    /// commas. The default port is 8081. When the node of one is gone the client moves to another.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.targets.push(target.into());
        self
    }

    /// Adds several targets.
    pub fn targets(mut self, targets: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.targets.extend(targets.into_iter().map(Into::into));
        self
    }

    /// The name wanted. The node adds a suffix when it is taken, and picks one when none is given.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// A bearer token, as proof of an account. It is sent to no node whose certificate is not
    /// trusted.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.token = Some(token.into());
        self
    }

    /// Which nodes to believe. The default is [`Trust::development`]: this machine's.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.settings.trust = trust;
        self
    }

    /// How long an attempt to connect may take, over all targets together. The default is 3 s.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long closing waits for acks. The default is 2 s.
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.settings.close_timeout = timeout;
        self
    }

    /// After how much silence the client makes itself heard, so that the node does not take it for
    /// gone. The default is 3 s; nodes give up after about 15 s. Three times this is also after how
    /// much silence the client takes its node for gone, and moves on.
    pub const fn keep_alive(mut self, interval: Duration) -> Self {
        self.settings.keep_alive = interval;
        self
    }

    /// Whether to connect again by itself when a connection is lost. The default is yes, for ever.
    pub const fn reconnect(mut self, reconnect: bool) -> Self {
        self.settings.reconnect = reconnect;
        self
    }

    /// Shares these UDP sockets with other clients, instead of opening one: for programs with many
    /// clients. What they share besides is said at [`Sockets`].
    pub fn sockets(mut self, sockets: Sockets) -> Self {
        self.settings.sockets = Some(sockets);
        self
    }

    /// How many events may wait for the application before the node must wait. The default, and the
    /// most, is [`EVENTS_LEN_MAX`]; the least is [`EVENTS_LEN_MIN`].
    pub fn events_len_max(mut self, len: usize) -> Self {
        self.settings.events_len_max = len.clamp(EVENTS_LEN_MIN, EVENTS_LEN_MAX);
        self
    }

    /// What the node may send of one room ahead of the application, in bytes, beyond the events that
    /// wait. The default is 128 KiB, the least 16 KiB, the most 1 MiB. It is memory that a room takes
    /// while the application does not read, and bounds how fast a distant node can send.
    pub fn lane_window(mut self, bytes: u32) -> Self {
        self.settings.lane_window_bytes = bytes.clamp(16 * 1024, 1024 * 1024);
        self
    }

    /// Continues a session of another process, if the cluster still knows it: see
    /// [`Welcomed::resumed`](crate::Welcomed::resumed). That process must not use it any more.
    ///
    /// Nonces then start from this machine's clock, so that they are above those of the process
    /// before as long as the clock does not go back beyond that one's start.
    pub const fn resume(mut self, ticket: SessionTicket) -> Self {
        self.resume = Some(ticket);
        self
    }

    /// Program and version for the operators of the cluster, at most 64 bytes.
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.settings.agent = agent.into();
        self
    }

    /// Connects, and resolves when a node has welcomed the session. Targets are tried in order, the
    /// next one a moment after the one before; the first that answers is taken.
    ///
    /// Cancel safety: dropping the future gives up; nothing is left behind.
    ///
    /// # Errors
    /// When no node did within the connect timeout; connecting again is always safe.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(self) -> Result<(Client, Events), ConnectError> {
        let Settings { name, token, .. } = &self.settings;
        for (what, text, max) in [
            ("name", name, USER_NAME_BYTES_MAX),
            ("token", token, TOKEN_BYTES_MAX),
        ] {
            let bytes = text.as_ref().map_or(0, String::len);
            if bytes > max {
                return Err(ConnectError::TooLong { what, bytes, max });
            }
        }
        let mut targets = Vec::new();
        for target in &self.targets {
            for target in Target::parse_list(target)? {
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        if targets.is_empty() {
            return Err(ConnectError::NoTarget);
        }
        driver::connect(targets, self.settings, self.resume).await
    }
}

/// What a node may send on one lane ahead of the application, in bytes: some hundred messages.
const LANE_WINDOW_BYTES_DEFAULT: u32 = 128 * 1024;
