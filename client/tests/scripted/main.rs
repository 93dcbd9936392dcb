//! The client against scripted peers: real QUIC and TLS on loopback, and whatever frames, at
//! whatever moment, a test wants. What real nodes do is tested with them.

#![expect(clippy::unwrap_used, reason = "a script that cannot go on has failed")]

mod close;
mod connect;
mod fate;
mod history;
mod own;
mod peer;
mod publish;
mod reconnect;
mod rooms;
mod sockets;
mod typing;
mod wishes;
