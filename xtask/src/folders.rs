//! Where the workspace is, and where cargo builds it.

use std::env;
use std::path::PathBuf;

/// The workspace.
pub(crate) fn workspace() -> PathBuf {
    // As cargo says it now: the program may have been built elsewhere.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().unwrap_or(&package).to_owned()
}

/// Where cargo builds: all that tasks make lies below it, so that `cargo clean` removes it.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
