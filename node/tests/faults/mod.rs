//! Faults of a Redis, one group a file.
#![allow(clippy::unwrap_used, reason = "all of it is test")]

mod connections;
mod durability;
mod foreign;
mod hostile;
mod losses;
mod promotion;
mod refusals;
