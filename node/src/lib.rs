//! A chat node: clients reach it over QUIC, nodes relay to each other through a backplane.
//!
//! The way of one message, one type per arrow:
//!
//! ```text
//! packet → quinn → connection ─frame→ session ─command→ hub → room → backplane.append   (then acked)
//! packet ← quinn ← writer ← slice of a block ← room's log ← backplane's announcement   (on every node)
//! ```
//!
//! The middle ([`session`], [`room::log`], [`room::follow`], [`room::catch_up`],
//! [`presence::view`], [`names`]) is pure: values in, decisions out. The edges ([`endpoint`],
//! [`connection`], [`backplane::redis`]) are thin. [`node`] says what starts and stops in which
//! order; [`command`] is the program around it.

pub mod backplane;
pub mod certs;
pub mod command;
pub mod config;
pub mod connection;
pub mod damage;
pub mod endpoint;
pub mod hub;
pub mod names;
pub mod node;
pub mod notices;
pub mod outlet;
pub mod policy;
pub mod presence;
pub mod room;
pub mod session;
pub mod supervise;
