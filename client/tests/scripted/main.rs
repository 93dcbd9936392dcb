//! The client against scripted peers: real QUIC and TLS on loopback, and whatever frames, at
//! whatever moment, a test wants. What real nodes do is tested with them.

mod close;
mod connect;
mod peer;
mod publish;
mod reconnect;
mod rooms;
