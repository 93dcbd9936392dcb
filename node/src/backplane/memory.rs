//! The embedded backplane.
