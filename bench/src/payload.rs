//! What is sent: 128 letters that say when they were sent and from which node.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Bytes of a message.
pub(crate) const PAYLOAD_BYTES: usize = 128;

/// Nanoseconds of the monotonic clock since this process first asked. Sender and reader are one
/// process, so that the difference of two is a latency.
pub(crate) fn now_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let since = START.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A message that was due at `due_ns`: 16 hex digits of the time, the sender's node, filling.
///
/// A message that goes out late because its sender had to wait says when it was due, so that
/// waiting counts. Lateness of the timer alone does not.
pub(crate) fn write(due_ns: u64, node: usize) -> [u8; PAYLOAD_BYTES] {
    let now = now_ns();
    let sent = if now.saturating_sub(due_ns) > LATE.as_nanos() as u64 {
        due_ns
    } else {
        now
    };
    let mut payload = [b'x'; PAYLOAD_BYTES];
    for (place, digit) in payload.iter_mut().take(16).enumerate() {
        let nibble = (sent >> (60 - 4 * place)) & 0xf;
        *digit = DIGITS[nibble as usize];
    }
    payload[16] = DIGITS[node & 0xf];
    payload
}

/// When a message was sent, and from which node; `None` of what is no message of ours.
pub(crate) fn read(payload: &[u8]) -> Option<(u64, usize)> {
    let head = payload.get(..17)?;
    let mut sent = 0u64;
    for &digit in &head[..16] {
        sent = sent << 4 | u64::from((digit as char).to_digit(16)?);
    }
    let node = (head[16] as char).to_digit(16)?;
    Some((sent, node as usize))
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// How late a timer may be.
const LATE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_when_and_from_where() {
        let before = now_ns();
        let payload = write(before, 1);
        let (sent, node) = read(&payload).unwrap();
        assert!(sent >= before && sent <= now_ns());
        assert_eq!(node, 1);
        assert!(std::str::from_utf8(&payload).is_ok());
        assert_eq!(read(b"hello"), None);
    }
}
