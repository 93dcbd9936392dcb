//! The periodic notice: every node runs this, and the cluster gets each notice once.
//!
//! Time is cut into slots of the period. A notice's nonce is its slot, so that the nodes' appends
//! are one and the same, and the backplane keeps the first. Whichever nodes are dead, and however
//! their clocks differ, a slot is told once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chat_protocol::lane::{Notice, NoticeLevel};
use chat_protocol::{ErrorCode, Nonce, SessionId, Text};
use tokio::time;
use tracing::debug;

use crate::hub::Hub;

/// Gives the notice at the start of every slot, until dropped.
pub async fn run(hub: Arc<Hub>, every: Duration, text: Text) {
    loop {
        let now = now();
        let slot = Slot::at(now, every);
        time::sleep(slot.next(every).start.saturating_sub(now)).await;
        let slot = slot.next(every);
        while let Err(refusal) = hub
            .notice(sender(every), slot.nonce, slot.notice(&text))
            .await
        {
            // Another node's clock is ahead, and this slot was told long ago.
            if refusal.code == ErrorCode::NonceTooOld {
                break;
            }
            debug!(code = %refusal.code.name(), "a notice waits");
            if Slot::at(self::now(), every) != slot {
                break;
            }
            time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// One turn of the notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Slot {
    nonce: Nonce,
    /// Since 1970.
    start: Duration,
}

impl Slot {
    fn at(now: Duration, every: Duration) -> Self {
        let every_ms = every.as_millis().max(1);
        let number = now.as_millis() / every_ms;
        let start_ms = u64::try_from(number * every_ms).unwrap_or(u64::MAX);
        let nonce = Nonce(
            u64::try_from(number)
                .unwrap_or(u64::MAX)
                .clamp(1, Nonce::MAX.0),
        );
        Self {
            nonce,
            start: Duration::from_millis(start_ms),
        }
    }

    fn next(self, every: Duration) -> Self {
        Self::at(self.start + every, every)
    }

    fn notice(self, text: &Text) -> Notice {
        let at_ms = u64::try_from(self.start.as_millis()).unwrap_or(u64::MAX);
        Notice {
            at_ms,
            level: NoticeLevel::Info,
            text: text.clone(),
        }
    }
}

/// The server's own sender of this period's notices: nodes with different periods do not take each
/// other's slots.
fn sender(every: Duration) -> SessionId {
    SessionId(1 << 62 | u64::try_from(every.as_millis()).unwrap_or_default())
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Pause before a notice that was refused is tried again, while its slot lasts.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_agree_on_a_slot() {
        let every = Duration::from_secs(30);
        let slot = |secs: f64| Slot::at(Duration::from_secs_f64(secs), every);
        assert_eq!(slot(60.0), slot(89.9));
        assert_ne!(slot(60.0), slot(90.0));
        assert_eq!(slot(60.0).next(every), slot(90.0));
        let text = "hi".parse().unwrap();
        assert_eq!(
            slot(61.0).notice(&text),
            slot(80.0).notice(&text),
            "byte for byte"
        );
        assert_ne!(sender(every), sender(every * 2));
    }
}
