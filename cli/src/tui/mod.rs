//! The client that fills the terminal.
//!
//! Data goes one way: keys, reports and time change the [`model`], which is pure; what it wants done
//! comes out of it as requests and wishes; the [`view`] reads it and makes cells. This file is the
//! edge around them: it drives the session, and has the terminal.

pub mod action;
pub mod complete;
pub mod composer;
pub mod editor;
pub mod key;
pub mod keyboard;
pub mod layout;
pub mod model;
pub mod options;
pub mod painter;
pub mod picker;
pub mod room;
pub mod rows;
pub mod run;
pub mod scroll;
pub mod theme;
pub mod timeline;
pub mod view;

pub use run::{Ending, Tui};
