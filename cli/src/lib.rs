//! Chat in the terminal, in a pipe, or as JSON lines.
pub mod clean;
pub mod command;
pub mod operation;
