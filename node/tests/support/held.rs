//! A backplane whose reads of the log can be held up and are counted; all else is as it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chat_node::backplane::{Attachment, Backplane, Page, ReadError};
use chat_protocol::{Cursor, RoomName};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::registry::{forward, registry_of};

/// Holds reads up, and knows how many there were at a time.
#[derive(Debug)]
pub struct Held {
    inner: Arc<dyn Backplane>,
    is_held: watch::Sender<bool>,
    now: watch::Sender<usize>,
    most: AtomicUsize,
    total: AtomicUsize,
    head_rounds: AtomicUsize,
}

impl Held {
    /// Puts it in front of an attachment's backplane.
    pub fn before(attachment: Attachment) -> (Arc<Self>, Attachment) {
        let held = Arc::new(Self {
            inner: attachment.backplane,
            is_held: watch::Sender::new(false),
            now: watch::Sender::new(0),
            most: AtomicUsize::new(0),
            total: AtomicUsize::new(0),
            head_rounds: AtomicUsize::new(0),
        });
        let backplane = Arc::clone(&held) as Arc<dyn Backplane>;
        let events = attachment.events;
        (held, Attachment { backplane, events })
    }

    /// Holds reads from now on, or lets them go.
    pub fn hold(&self, is_held: bool) {
        self.is_held.send_replace(is_held);
    }

    /// Returns when so many reads are under way.
    pub async fn reads(&self, len: usize) {
        let mut now = self.now.subscribe();
        now.wait_for(|now| *now == len).await.unwrap();
    }

    /// Most reads that were under way at a time.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Acquire)
    }

    /// Times that heads were ever asked for.
    pub fn head_rounds(&self) -> usize {
        self.head_rounds.load(Ordering::Acquire)
    }

    /// Reads that were ever asked for.
    pub fn total(&self) -> usize {
        self.total.load(Ordering::Acquire)
    }
}

impl Backplane for Held {
    fn read<'a>(
        &'a self,
        room: &'a RoomName,
        after: Cursor,
        entries_max: u32,
    ) -> BoxFuture<'a, Result<Page, ReadError>> {
        Box::pin(async move {
            self.total.fetch_add(1, Ordering::AcqRel);
            self.now.send_modify(|now| {
                *now += 1;
                self.most.fetch_max(*now, Ordering::AcqRel);
            });
            let mut is_held = self.is_held.subscribe();
            is_held.wait_for(|is_held| !is_held).await.unwrap();
            let page = self.inner.read(room, after, entries_max).await;
            self.now.send_modify(|now| *now -= 1);
            page
        })
    }

    forward!(inner: append);
    forward!(inner: read_last);

    fn heads<'a>(
        &'a self,
        rooms: &'a [RoomName],
    ) -> BoxFuture<'a, Result<Vec<Option<Cursor>>, ReadError>> {
        self.head_rounds.fetch_add(1, Ordering::AcqRel);
        self.inner.heads(rooms)
    }

    forward!(inner: subscriptions);
    forward!(inner: promises);
    registry_of!(inner);
}
