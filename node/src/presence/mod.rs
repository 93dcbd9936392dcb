//! presence
pub mod view;
