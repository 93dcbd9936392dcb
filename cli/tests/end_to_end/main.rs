//! The client as users and programs meet it: the real program, real nodes, real QUIC.

mod json;
mod pipe;
mod schema;
mod support;
mod terminal;
