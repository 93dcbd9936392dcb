//! The client that fills the terminal.

pub mod action;
pub mod cells;
pub mod composer;
pub mod key;
pub mod options;
pub mod room;
pub mod rows;
pub mod scroll;
pub mod theme;
pub mod timeline;
