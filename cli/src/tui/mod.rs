//! The client that fills the terminal.

pub mod action;
pub mod composer;
pub mod key;
