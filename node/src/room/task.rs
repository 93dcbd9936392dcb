//! The task of a room: follows the log on one side, appends to it on the other.
//!
//! Pub/sub is a hint, the log is the truth: subscribe first, then read; whatever hints leave out
//! is read from the log once for the whole node, before any member notices.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::{ErrorCode, RoomName};
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use tracing::{debug, warn};

use super::appends::RETRY_PAUSE;
use super::follow::{self, Step};
use super::log::{Bounds, Log};
use super::{Room, vet};
use crate::backplane::{
    AppendError, Backplane, Batch, Block, Continuation, Outcome, Page, ReadError,
};
use crate::damage::{self, Damage};
use crate::policy::Refusal;

impl Room {
    /// Serves the room until it is to end, then lets the backplane forget it.
    pub async fn run(self: Arc<Self>, backplane: Arc<dyn Backplane>, hints: mpsc::Receiver<Block>) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            // Cancel safe to drop: appends that are open are answered below.
            () = async {
                self.load(&*backplane).await;
                tokio::join!(self.follow(&*backplane, hints), self.append(&*backplane));
            } => {}
        }
        self.appends
            .refuse_all(Vec::new(), &Refusal::of(ErrorCode::Draining));
        backplane.unsubscribe(&self.name).await;
    }

    /// Subscribes and reads the tail, however long the backplane takes.
    async fn load(self: &Arc<Self>, backplane: &dyn Backplane) {
        let page = persist(|| async {
            backplane.subscribe(&self.name).await?;
            backplane.read_last(&self.name, LOAD_ENTRIES).await
        })
        .await;
        self.state().load(&page, TAIL);
        self.deliver_page(page);
        self.loaded.cancel();
    }

    async fn follow(self: &Arc<Self>, backplane: &dyn Backplane, mut hints: mpsc::Receiver<Block>) {
        loop {
            tokio::select! {
                // Cancel safe, both.
                hint = hints.recv() => match hint {
                    Some(block) => self.on_block(backplane, block).await,
                    None => return,
                },
                () = self.missed.notified() => self.read_log(backplane).await,
            }
        }
    }

    async fn on_block(self: &Arc<Self>, backplane: &dyn Backplane, block: Block) {
        match follow::on_block(self.head(), &block) {
            Step::Deliver => self.deliver(block),
            Step::Ignore => {}
            Step::Backfill | Step::Reload => self.read_log(backplane).await,
        }
    }

    /// Reads the log on from the tail's head until there is no more.
    async fn read_log(self: &Arc<Self>, backplane: &dyn Backplane) {
        loop {
            let after = self.head();
            let page = persist(|| backplane.read(&self.name, after, PAGE_ENTRIES)).await;
            debug!(room = %self.name, %after, head = %page.head, "read the log");
            let head = page.head;
            if page.continuation == Continuation::Diverged {
                warn!(room = %self.name, %after, %head, "the log began anew");
            }
            let is_end = page.blocks.is_empty();
            if is_end && page.head.epoch != after.epoch {
                // Nothing in the new epoch yet: stand where it stands.
                self.state().load(&page, TAIL);
                self.mark();
                return;
            }
            self.deliver_page(page);
            let reached = self.head();
            if reached == head || is_end && head.seq <= reached.seq {
                return;
            }
            if is_end || reached == after {
                // What is there cannot be read, or a new epoch left places out: step over it, visibly.
                self.state().log = Some(Log::new(head, TAIL));
                self.mark();
                return;
            }
        }
    }

    fn deliver_page(self: &Arc<Self>, page: Page) {
        for block in page.blocks {
            self.deliver(block);
        }
    }

    /// Adds a block to the tail, cut to what is new, and wakes the members.
    fn deliver(self: &Arc<Self>, block: Block) {
        let head = self.head();
        let block = if block.epoch == head.epoch {
            block.after(head.seq)
        } else {
            Ok(Some(block))
        };
        let vetted = match block {
            Ok(Some(block)) => vet::vet(&self.name, block),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        match vetted {
            Ok((block, replaced)) => {
                damage::note(
                    Damage::Entry,
                    replaced as u64,
                    &self.name,
                    "not what the room may have",
                );
                let topic = vet::last_topic(&block);
                let mut state = self.state();
                if let Some(topic) = topic {
                    state.topic = topic;
                }
                if let Some(Err(error)) = state.log.as_mut().map(|log| log.append(block)) {
                    debug!(room = %self.name, %error, "a block was not added");
                }
                drop(state);
                self.mark();
            }
            // As if it had not come: what it should have been is read from the log.
            Err(error) => {
                damage::note(Damage::Block, 1, &self.name, &error);
                self.check_log();
            }
        }
    }

    async fn append(&self, backplane: &dyn Backplane) {
        loop {
            let (submissions, deadline) = self.appends.next_batch().await;
            let batch = Batch {
                known: Some(self.head()),
                drafts: submissions.iter().map(|one| one.draft.clone()).collect(),
            };
            match append_until(backplane, &self.name, &batch, deadline).await {
                Ok(outcomes) => {
                    for (submission, outcome) in submissions.into_iter().zip(outcomes) {
                        match outcome {
                            Outcome::At { cursor, .. } => submission.acknowledge(cursor),
                            Outcome::NonceTooOld => {
                                submission.refuse(Refusal::of(ErrorCode::NonceTooOld));
                            }
                        }
                    }
                }
                Err(error) => {
                    debug!(room = %self.name, %error, "publishes are refused");
                    self.appends
                        .refuse_all(submissions, &Refusal::of(ErrorCode::Unavailable));
                }
            }
        }
    }
}

/// Appends a batch, again and again until `deadline`: the backplane recognises repeats.
async fn append_until(
    backplane: &dyn Backplane,
    room: &RoomName,
    batch: &Batch,
    deadline: Instant,
) -> Result<Vec<Outcome>, AppendError> {
    loop {
        match backplane.append(room, batch).await {
            Ok(appended) => return Ok(appended.outcomes),
            Err(error) if Instant::now() + RETRY_PAUSE >= deadline => return Err(error),
            Err(error) => debug!(%room, %error, "append again"),
        }
        time::sleep(jittered(RETRY_PAUSE)).await;
    }
}

/// Asks until there is an answer, with growing pauses.
async fn persist<T, F>(mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, ReadError>>,
{
    let mut pause = RETRY_PAUSE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => debug!(%error, "ask again"),
        }
        time::sleep(jittered(pause)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..1.5))
}

/// Tail of a room in memory. With 128-byte messages about 1,300 entries; a reader further behind
/// reads from the backplane. 10,000 busy rooms take 2.5 GiB.
const TAIL: Bounds = Bounds {
    entries_max: 2_000,
    bytes_max: 256 * 1024,
};

/// Entries read when a room is opened: what most joins ask for as history.
const LOAD_ENTRIES: u32 = 200;

/// Entries of one page when a hole is read.
const PAGE_ENTRIES: u32 = 1_000;

/// Longest pause between questions to a backplane that does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(2);
