//! The bot: loads a cluster and proves its delivery.

pub mod progress;
pub mod report;
