//! A chat node.

pub mod backplane;
pub mod config;
pub mod names;
pub mod policy;
pub mod presence;
pub mod room;
