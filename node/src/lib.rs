//! A chat node.

pub mod backplane;
