//! SDK of the chat: connect to a cluster, join rooms, publish, receive, and go on after faults.
//!
//! ```no_run
//! use chat_client::{Client, Event, Start};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Two nodes of one cluster: when one goes away the client moves to the other by itself.
//! let (client, mut events) =
//!     Client::builder().target("8081").target("8082").name("ann").connect().await?;
//! let lobby = client.join("lobby", Start::Last(20)).await?;
//! let delivery = lobby.publish_text("hello")?;
//! println!("in the log at {}", delivery.await?);
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message { room, message, own: false, .. } => {
//!             println!("#{room} <{}> {:?}", message.author.name, message.content);
//!         }
//!         Event::Notice { notice, .. } => println!("* {}", notice.text),
//!         Event::Closed { .. } => break,
//!         _ => {}
//!     }
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//! * A [`Delivery`] that resolves to a cursor means: the message is in the room's log.
//! * A published message is sent until a node answered, over reconnects and other nodes, with the
//!   same nonce: it is in the log once. Messages to a room keep their order. Up to
//!   [`PUBLISHES_LEN_MAX`] wait; what was never sent waits as long as it takes.
//! * A message that was sent is not sent again when nodes may have forgotten it: after
//!   [`REPEAT_TIME_MAX`] without an answer, or when its session could not be continued. It is settled
//!   as [`PublishError::Unknown`] then: it is in the log once or not at all.
//! * The events of a room are the entries of its log, each once, in order, over reconnects. Where
//!   entries cannot be had any more, [`Event::Gap`] says so.
//! * Every queue is bounded. An application that does not read makes its node wait, and nobody else.
//!
//! # Shape
//! One task, the driver, owns the connection. Handles ([`Client`], [`Room`]) send it commands;
//! messages wait in a queue both share; [`Events`] is a queue from the lanes to the application.

mod backoff;
mod builder;
mod certificate;
mod client;
mod command;
mod delivery;
mod driver;
mod error;
mod event;
mod events;
mod history;
pub mod inspect;
pub mod ledger;
mod lock;
mod outgoing;
mod own;
mod references;
mod room;
mod session;
mod sockets;
mod stats;
mod target;
pub mod trust;

pub use chat_protocol as protocol;
pub use chat_protocol::client::Start;
pub use chat_protocol::datagram::TYPING_TIME;
pub use chat_protocol::lane::{EndReason, GapReason, Message, NoticeLevel, PresenceChange};
pub use chat_protocol::node::{Durability, MemberPage, RoomSummary, Status};

pub use crate::builder::Builder;
pub use crate::certificate::Certificate;
pub use crate::client::{Client, MEMBERS_LEN_MAX, ROOMS_LEN_MAX};
pub use crate::command::REQUEST_TIMEOUT;
pub use crate::delivery::Delivery;
pub use crate::error::{ConnectError, PublishError, RequestError};
pub use crate::event::{Disconnect, Event};
pub use crate::events::{EVENTS_LEN_MAX, EVENTS_LEN_MIN, Events};
pub use crate::history::HistoryPage;
pub use crate::references::{MessageView, ReactionView, References};
pub use crate::room::{Room, RoomSnapshot, TYPING_EVERY};
pub use crate::session::{InvalidTicket, MessageId, SessionTicket, Welcomed};
pub use crate::sockets::{SETTINGS_LEN_MAX, SOCKETS_LEN_MAX, SocketBuffers, Sockets};
pub use crate::stats::{ConnectionStats, Traffic};
pub use crate::target::{DEFAULT_PORT, InvalidTarget, Target};
pub use crate::trust::{Fingerprint, KnownNodes, Trust, TrustError, certs_dir};

/// Messages of a client that may wait for their acks, over all rooms.
pub const PUBLISHES_LEN_MAX: usize = 1024;

/// How long a message may be sent again after it was sent first. Nodes remember for 15 minutes what
/// they appended; the rest is for what is on its way.
pub const REPEAT_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(10 * 60);
