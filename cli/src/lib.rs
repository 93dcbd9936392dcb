//! Chat in the terminal, in a pipe, or as JSON lines.

pub mod app;
pub mod args;
pub mod bot;
pub mod canvas;
pub mod clean;
pub mod command;
pub mod config;
pub mod connect;
pub mod conversation;
pub mod exit;
pub mod input;
pub mod json;
pub mod log;
pub mod nearest;
pub mod operation;
pub mod output;
pub mod palette;
pub mod report;
pub mod screen;
pub mod stop;
pub mod surface;
pub mod terminal;
pub mod text;
pub mod tui;
pub mod wrap;
