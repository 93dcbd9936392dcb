//! The client as users and programs meet it: the real program, real nodes, real QUIC.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says where"
)]

mod bot;
mod config;
mod conversation;
mod full_screen;
mod json;
mod pipe;
mod refer;
mod schema;
mod shot;
mod support;
mod terminal;
mod trust;
