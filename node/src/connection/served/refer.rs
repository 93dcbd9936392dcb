//! Publishes that refer to an entry that is not in the room's tail: it is looked up first.

use std::sync::Arc;

use chat_protocol::lane::Author;
use chat_protocol::node::Ack;
use chat_protocol::{Cursor, ErrorCode, Reference, RoomRef};

use super::{Finished, Served};
use crate::backplane::Draft;
use crate::policy::Refusal;
use crate::room::Room;
use crate::session;

impl Served {
    /// Has the entry looked up that a publish refers to, and reads no more until that is done.
    pub(super) fn examine(
        &mut self,
        lane: RoomRef,
        room: Arc<Room>,
        author: Author,
        reference: Reference,
        draft: Draft,
    ) {
        self.is_examining = true;
        let hub = Arc::clone(&self.hub);
        self.pending.push(Box::pin(async move {
            let result = hub.examine(&room, &author, draft.nonce, reference).await;
            Finished::Examined {
                lane,
                draft,
                result,
            }
        }));
    }

    pub(super) fn on_examined(
        &mut self,
        lane: RoomRef,
        draft: Draft,
        result: Result<Option<Cursor>, Refusal>,
    ) {
        self.is_examining = false;
        let (outlet, nonce) = (&self.member.outlet, draft.nonce);
        match (self.joined.get(&lane), result) {
            (Some(joined), Ok(None)) => self.hub.publish(joined, draft),
            (None, Ok(None)) => {
                let refusal = Refusal::of(ErrorCode::NotJoined);
                outlet.send(session::rejected(lane, nonce, refusal));
            }
            (_, Ok(Some(cursor))) => outlet.send(Ack {
                room: lane,
                nonce,
                cursor,
            }),
            (joined, Err(refusal)) => {
                if let Some(joined) = joined
                    && ErrorCode::is_retryable(refusal.code.to_wire())
                {
                    joined.lane.refuse(nonce);
                }
                outlet.send(session::rejected(lane, nonce, refusal));
            }
        }
    }
}
