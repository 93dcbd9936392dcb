//! Background services go on after a panic: counted, logged, started again, never fatal.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tracing::error;

/// Runs a service to its end, starting it again after a panic. The service's state must be behind
/// locks that survive it, as all of this crate's are.
pub async fn supervise<F: Future<Output = ()>>(service: &'static str, run: impl Fn() -> F) {
    while AssertUnwindSafe(run()).catch_unwind().await.is_err() {
        let panics = PANICS.fetch_add(1, Ordering::Relaxed) + 1;
        error!(service, panics, "a service panicked and is started again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Panics of services since the process started.
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Keeps a service that always panics from taking a core.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_counted_and_the_service_goes_on() {
        let (runs, before) = (Cell::new(0), panics());
        supervise("test", || {
            runs.set(runs.get() + 1);
            let is_first = runs.get() == 1;
            async move { assert!(!is_first, "the panic this test is about") }
        })
        .await;
        assert_eq!(runs.get(), 2);
        assert!(panics() > before);
    }
}
