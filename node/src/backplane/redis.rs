//! The backplane of a cluster.
