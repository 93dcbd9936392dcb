//! A chat node.

pub mod backplane;
pub mod certs;
pub mod config;
pub mod connection;
pub mod hub;
pub mod names;
pub mod outlet;
pub mod policy;
pub mod presence;
pub mod room;
pub mod session;
pub mod supervise;
