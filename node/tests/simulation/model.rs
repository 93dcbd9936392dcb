//! What a backplane's logs are, in the fewest words: no scripts, no blocks on disk, no clock.
//!
//! The simulation runs on it, so it must be right: `differential` plays the same steps on it and on
//! a real Redis and compares every answer.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use chat_node::backplane::{Batch, Block, Continuation, NONCES_REMEMBERED, Outcome, Page};
use chat_protocol::{Cursor, Epoch, Nonce, RoomName, Seq, SessionId, Topic};

/// All logs, and which run of the server they are on.
#[derive(Clone, Debug)]
pub struct Model {
    /// Entries that are kept of a room, and up to a block more.
    entries_max: u64,
    run: u64,
    epochs_begun: u64,
    rooms: HashMap<RoomName, Log>,
}

/// Something that happens to the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// It is started again with all it had.
    Restart,
    /// It forgets everything.
    Flush,
    /// It forgets a key of a room.
    Key(Key),
}

/// A key of a room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// The entries.
    Log,
    /// Epoch, head and forks.
    Meta,
    /// The nonces.
    Senders,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    Append,
    Read,
}

#[derive(Clone, Debug, Default)]
struct Log {
    /// None after the loss of the key.
    meta: Option<Meta>,
    blocks: VecDeque<Block>,
    /// None after the loss of the key.
    nonces: Option<HashMap<SessionId, BTreeMap<Nonce, Seq>>>,
    /// Blocks there should be.
    blocks_len: usize,
}

#[derive(Clone, Debug)]
struct Meta {
    epoch: Epoch,
    seq: Seq,
    run: u64,
    forks: Vec<Cursor>,
    topic: Topic,
}

impl Model {
    pub fn new(entries_max: u64) -> Self {
        Self {
            entries_max,
            run: 1,
            epochs_begun: 0,
            rooms: HashMap::new(),
        }
    }

    /// Appends a batch; the block is what to announce.
    pub fn append(&mut self, room: &RoomName, batch: &Batch) -> (Vec<Outcome>, Option<Block>) {
        let entries_max = self.entries_max;
        let log = self.open(room, batch.known, Purpose::Append);
        let nonces = log.nonces.as_mut().expect("opened to append");
        let meta = log.meta.as_mut().expect("an open log has a head");
        let first = meta.seq.next();
        let (mut frames, mut len, mut outcomes) = (BytesMut::new(), 0, Vec::new());
        for draft in &batch.drafts {
            let window = nonces.entry(draft.session).or_default();
            let outcome = match window.get(&draft.nonce) {
                Some(seq) => Outcome::At {
                    cursor: Cursor::new(meta.epoch, *seq),
                    repeated: true,
                },
                None if window
                    .last_key_value()
                    .is_some_and(|(last, _)| draft.nonce < *last) =>
                {
                    Outcome::NonceTooOld
                }
                None => {
                    len += 1;
                    meta.seq = meta.seq.next();
                    window.insert(draft.nonce, meta.seq);
                    while window.len() > NONCES_REMEMBERED {
                        window.pop_first();
                    }
                    frames.extend_from_slice(&draft.frame);
                    if let Some(topic) = &draft.topic {
                        meta.topic = topic.clone();
                    }
                    Outcome::At {
                        cursor: Cursor::new(meta.epoch, meta.seq),
                        repeated: false,
                    }
                }
            };
            outcomes.push(outcome);
        }
        if len == 0 {
            return (outcomes, None);
        }
        let block = Block {
            epoch: meta.epoch,
            first,
            len,
            frames: frames.freeze(),
        };
        log.blocks.push_back(block.clone());
        let kept_after = meta.seq.minus(entries_max);
        while log
            .blocks
            .front()
            .is_some_and(|block| block.last() <= kept_after)
        {
            log.blocks.pop_front();
        }
        log.blocks_len = log.blocks.len();
        (outcomes, Some(block))
    }

    /// What an append would answer of a nonce that is not new.
    pub fn repeat_of(&self, room: &RoomName, session: SessionId, nonce: Nonce) -> Option<Outcome> {
        let log = self.rooms.get(room)?;
        let epoch = log.meta.as_ref()?.epoch;
        let window = log.nonces.as_ref()?.get(&session)?;
        match window.get(&nonce) {
            Some(seq) => Some(Outcome::At {
                cursor: Cursor::new(epoch, *seq),
                repeated: true,
            }),
            None if window
                .last_key_value()
                .is_some_and(|(last, _)| nonce < *last) =>
            {
                Some(Outcome::NonceTooOld)
            }
            None => None,
        }
    }

    /// Reads on from `after`, or the last entries.
    pub fn read(&mut self, room: &RoomName, after: Option<Cursor>, entries: u32) -> Page {
        let log = self.open(room, None, Purpose::Read);
        let meta = log.meta.as_ref().expect("an open log has a head");
        let first = log
            .blocks
            .front()
            .map_or_else(|| meta.seq.next(), |block| block.first);
        let (continuation, start) = match after {
            None => (Continuation::Seamless, log.start_of_last(entries)),
            Some(after) => {
                let valid = if after.epoch == meta.epoch {
                    meta.seq
                } else {
                    let fork = meta.forks.iter().find(|fork| fork.epoch == after.epoch);
                    fork.map_or(Seq::ZERO, |fork| fork.seq)
                };
                if after.seq > valid {
                    (Continuation::Diverged, valid)
                } else if after.seq.next() < first {
                    (Continuation::Trimmed, after.seq)
                } else {
                    (Continuation::Seamless, after.seq)
                }
            }
        };
        let (mut blocks, mut count) = (Vec::new(), 0);
        for block in &log.blocks {
            let cut = match after {
                // The last entries come in whole blocks.
                None => (block.last() > start).then(|| block.clone()),
                Some(_) => block.clone().after(start).expect("the model's own block"),
            };
            let Some(mut block) = cut else { continue };
            if after.is_some() && count >= entries {
                break;
            }
            count += block.len;
            block.epoch = meta.epoch;
            blocks.push(block);
        }
        Page {
            head: Cursor::new(meta.epoch, meta.seq),
            first,
            topic: meta.topic.clone(),
            continuation,
            blocks,
        }
    }

    /// The head of a room that has one.
    pub fn head(&self, room: &RoomName) -> Option<Cursor> {
        let meta = self.rooms.get(room)?.meta.as_ref()?;
        Some(Cursor::new(meta.epoch, meta.seq))
    }

    /// The blocks of a room, each of the epoch it was appended in.
    pub fn blocks(&self, room: &RoomName) -> Vec<Block> {
        let log = self.rooms.get(room);
        log.map_or_else(Vec::new, |log| log.blocks.iter().cloned().collect())
    }

    /// Something happens to all rooms.
    pub fn lose(&mut self, loss: Loss) {
        match loss {
            Loss::Restart => self.run += 1,
            Loss::Flush => self.rooms.clear(),
            Loss::Key(key) => {
                for log in self.rooms.values_mut() {
                    log.lose(key);
                }
            }
        }
    }

    /// The keys of a room are as they were at an earlier time, and the server just goes on.
    pub fn put_back(&mut self, room: &RoomName, earlier: &Self) {
        let log = earlier.rooms.get(room).expect("the copy has the room");
        self.rooms.insert(room.clone(), log.clone());
    }

    /// Starts again with what there was at an earlier time.
    pub fn roll_back(&mut self, earlier: Self) {
        self.rooms = earlier.rooms;
        self.run += 1;
    }

    /// The room's log, in a new epoch if it is not what it was.
    fn open(&mut self, room: &RoomName, known: Option<Cursor>, purpose: Purpose) -> &mut Log {
        let run = self.run;
        let log = self.rooms.entry(room.clone()).or_default();
        let is_whole = log.meta.is_some() && log.blocks.len() == log.blocks_len;
        // Only who appends looks at the nonces.
        let has_nonces = log.nonces.is_some() || purpose == Purpose::Read;
        let is_same = is_whole
            && has_nonces
            && log.meta.as_ref().is_some_and(|meta| {
                let is_behind =
                    known.is_some_and(|known| known.epoch == meta.epoch && known.seq > meta.seq);
                meta.run == run && !is_behind
            });
        if !is_same {
            self.epochs_begun += 1;
            log.begin(Epoch(self.epochs_begun), run, known);
            if !(is_whole && has_nonces) {
                log.nonces = Some(HashMap::new());
            }
        }
        log
    }
}

impl Log {
    /// After which place the last entries start: so many, in whole blocks.
    fn start_of_last(&self, entries: u32) -> Seq {
        let mut count = 0;
        let mut last = self.blocks.iter().rev().take_while(|block| {
            let is_short = count < entries;
            count += block.len;
            is_short
        });
        let first = last.by_ref().last().map(|block| block.first);
        first.map_or(Seq::MAX, |first| first.minus(1))
    }

    fn begin(&mut self, epoch: Epoch, run: u64, known: Option<Cursor>) {
        let known = known.map_or(Seq::ZERO, |known| known.seq);
        let last = self
            .blocks
            .back()
            .map(|block| Cursor::new(block.epoch, block.last()));
        let before = self.meta.take();
        let fork = before
            .as_ref()
            .map(|meta| Cursor::new(meta.epoch, meta.seq))
            .or(last);
        let (mut forks, topic) =
            before.map_or_else(Default::default, |meta| (meta.forks, meta.topic));
        forks.extend(fork);
        let seq = known
            .max(fork.map_or(Seq::ZERO, |fork| fork.seq))
            .max(last.map_or(Seq::ZERO, |last| last.seq));
        self.blocks_len = self.blocks.len();
        self.meta = Some(Meta {
            epoch,
            seq,
            run,
            forks,
            topic,
        });
    }

    fn lose(&mut self, key: Key) {
        match key {
            Key::Log => self.blocks.clear(),
            Key::Meta => self.meta = None,
            // The key is not there before the first append.
            Key::Senders => self.nonces = self.nonces.take().filter(HashMap::is_empty),
        }
    }
}

/// The frames of blocks with their places.
pub fn entries(blocks: &[Block]) -> Vec<(Cursor, Bytes)> {
    let mut entries = Vec::new();
    for block in blocks {
        let ends = block.ends().expect("a whole block");
        let mut start = 0;
        for (index, end) in (0..).zip(ends) {
            let end = end as usize;
            let place = Cursor::new(block.epoch, block.first.plus(index));
            entries.push((place, block.frames.slice(start..end)));
            start = end;
        }
    }
    entries
}
