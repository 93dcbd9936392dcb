//! Requests and messages on their way, each a future that resolves to what came of it.

use chat_client::{Client, Delivery, MessageId, PublishError, RequestError, Room, Start};
use chat_protocol::{Cursor, RoomName, Text, UserName};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::conversation::older::Older;
use crate::conversation::refer::Effect;
use crate::report::{Place, Refusal, Report};

/// A request on its way.
pub(super) type AnswerFuture = BoxFuture<'static, Answer>;

/// A message on its way.
pub(super) type SettledFuture = BoxFuture<'static, Settled>;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// Something to show.
    Report(Report),
    /// A room was joined.
    Joined {
        room: RoomName,
        reference: Option<String>,
    },
    /// A room was left.
    Left {
        place: Place,
        reference: Option<String>,
    },
    /// Older entries came.
    Older { room: RoomName, older: Older },
    /// The room of two is open.
    Direct {
        room: RoomName,
        text: Option<Text>,
        reference: Option<String>,
    },
}

/// What came of a message.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) id: MessageId,
    pub(super) reference: Option<String>,
    pub(super) effect: Effect,
    pub(super) result: Result<Cursor, PublishError>,
}

/// Waits for the fate of a message.
pub(super) fn settle(
    delivery: Delivery,
    number: u64,
    place: Place,
    reference: Option<String>,
    effect: Effect,
) -> SettledFuture {
    let id = delivery.id();
    delivery
        .map(move |result| Settled {
            number,
            place,
            id,
            reference,
            effect,
            result,
        })
        .boxed()
}

/// Joins a room.
pub(super) fn join(
    client: Client,
    room: RoomName,
    start: Start,
    reference: Option<String>,
) -> AnswerFuture {
    async move {
        match client.join(room.as_str(), start).await {
            Ok(_) => Answer::Joined { room, reference },
            Err(error) => refused(reference, &error),
        }
    }
    .boxed()
}

/// Leaves a room.
pub(super) fn leave(room: Room, reference: Option<String>) -> AnswerFuture {
    async move {
        let direct = room.snapshot().direct;
        let place = Place {
            room: room.name().clone(),
            direct,
        };
        match room.leave().await {
            Ok(()) => Answer::Left { place, reference },
            Err(error) => refused(reference, &error),
        }
    }
    .boxed()
}

/// Opens the room of two with a user.
pub(super) fn direct(
    client: Client,
    user: UserName,
    text: Option<Text>,
    reference: Option<String>,
) -> AnswerFuture {
    async move {
        match client.open_direct(user.as_str()).await {
            Ok(room) => Answer::Direct {
                room: room.name().clone(),
                text,
                reference,
            },
            Err(error) => refused(reference, &error),
        }
    }
    .boxed()
}

/// Takes another name.
pub(super) fn rename(client: Client, name: UserName, reference: Option<String>) -> AnswerFuture {
    async move {
        match client.rename(name.as_str()).await {
            Ok(_) => Answer::Report(Report::Done {
                reference,
                operation: "nick",
                place: None,
            }),
            Err(error) => refused(reference, &error),
        }
    }
    .boxed()
}

/// Asks who is in a room.
pub(super) fn members(client: Client, place: Place, reference: Option<String>) -> AnswerFuture {
    async move {
        match client.members(place.room.as_str()).await {
            Ok(members) => Answer::Report(Report::Members {
                reference,
                place,
                members,
            }),
            Err(error) => refused(reference, &error),
        }
    }
    .boxed()
}

/// Asks which rooms have members.
pub(super) fn rooms(client: Client, reference: Option<String>) -> AnswerFuture {
    async move {
        match client.rooms().await {
            Ok(rooms) => Answer::Report(Report::Rooms { reference, rooms }),
            Err(error) => refused(reference, &error),
        }
    }
    .boxed()
}

/// Measures the way to the node and back.
pub(super) fn ping(client: Client, reference: Option<String>) -> AnswerFuture {
    async move {
        match client.ping().await {
            Ok(took) => Answer::Report(Report::Pong { reference, took }),
            Err(error) => refused(reference, &error),
        }
    }
    .boxed()
}

/// Why a message is not in the log, for people and programs.
pub(super) fn not_published(error: &PublishError) -> Refusal {
    match error {
        PublishError::Refused { code, detail } => Refusal::by_node(*code, detail, None),
        PublishError::Unknown => Refusal::local("unknown_fate", error.to_string())
            .with_hint("look for it in the room before you send it again"),
        PublishError::Left => Refusal::local("left", error.to_string()),
        PublishError::InvalidText(_) => Refusal::local("invalid_text", error.to_string()),
        _ => Refusal::local("closed", error.to_string()),
    }
}

pub(super) fn refused(reference: Option<String>, error: &RequestError) -> Answer {
    let refusal = match error {
        RequestError::Refused {
            code,
            retry_after,
            detail,
        } => Refusal::by_node(*code, detail, *retry_after),
        RequestError::InvalidRoom(_) => Refusal::local("invalid_room", error.to_string()),
        RequestError::TimedOut => Refusal {
            retryable: true,
            ..Refusal::local("timed_out", error.to_string())
        },
        _ => Refusal::local("closed", error.to_string()),
    };
    Answer::Report(Report::Refused { reference, refusal })
}
