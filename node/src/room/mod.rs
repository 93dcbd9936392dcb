//! room
pub mod log;
pub mod follow;
