//! Chat in the terminal, in a pipe, or as JSON lines.

pub mod args;
pub mod clean;
pub mod command;
pub mod exit;
pub mod input;
pub mod json;
pub mod operation;
pub mod output;
pub mod palette;
pub mod report;
pub mod terminal;
pub mod text;
pub mod wrap;
