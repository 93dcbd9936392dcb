//! What only the Redis backplane has to stand: a server that is away, restarted, rolled back, full
//! or written to by others. Each test has a server of its own.

mod contract;
mod faults;
mod support;
