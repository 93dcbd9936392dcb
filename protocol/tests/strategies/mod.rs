//! Frames of every kind with any content that the protocol allows.

use bytes::Bytes;
use chat_protocol::client::{
    AskStatus, Bye, Hello, Join, Leave, ListMembers, ListRooms, OpenDirect, Ping, Publish,
    ReadBefore, Rename, Resume, SetTopic, Start,
};
use chat_protocol::lane::{
    At, Author, Damaged, End, EndReason, Gap, GapReason, HistoryPage, Joined, Message, Notice,
    NoticeLevel, Presence, PresenceChange, TopicChanged,
};
use chat_protocol::limits::{
    AGENT_BYTES_MAX, BODY_BYTES_MAX, DETAIL_BYTES_MAX, FEATURES_LEN_MAX, GOAWAY_NODES_MAX,
    PAGE_LEN_MAX, PRESENCE_NAMES_MAX, TOKEN_BYTES_MAX,
};
use chat_protocol::node::{
    Ack, BackplaneState, Closing, Done, Durability, Failed, Goaway, MemberPage, Permissions,
    Rejected, Renamed, RoomPage, RoomSummary, SessionLimits, Status, Welcome,
};
use chat_protocol::{
    AccountId, ClientFrame, Content, Cursor, Epoch, LaneFrame, NodeFrame, NodeName, Nonce,
    RequestId, RoomName, RoomRef, Secret, Seq, SessionId, Text, Token, Topic, UserName,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::examples::AnyFrame;

/// A frame of any set.
pub(crate) fn any_frame() -> impl Strategy<Value = AnyFrame> {
    prop_oneof![
        client_frame().prop_map(AnyFrame::Client),
        node_frame().prop_map(AnyFrame::Node),
        lane_frame().prop_map(AnyFrame::Lane),
    ]
}

fn client_frame() -> BoxedStrategy<ClientFrame> {
    let resume = (any::<u64>(), any::<[u8; 16]>()).prop_map(|(id, secret)| Resume {
        session: SessionId(id),
        secret: Secret(secret),
    });
    let hello = (
        any::<u16>(),
        vec(any::<u32>(), 0..=FEATURES_LEN_MAX),
        string(AGENT_BYTES_MAX),
        option::of(string(300)),
        option::of(string(TOKEN_BYTES_MAX).prop_map(Token)),
        option::of(resume),
    )
        .prop_map(|(minor, features, agent, name, token, resume)| {
            Hello {
                minor,
                features,
                agent,
                name,
                token,
                resume,
            }
            .into()
        });
    let start = prop_oneof![
        Just(Start::Live),
        any::<u32>().prop_map(Start::Last),
        cursor().prop_map(Start::After),
    ];
    let publish = (room_ref(), nonce(), any::<u32>(), bytes()).prop_map(
        |(room, nonce, content_type, body)| {
            Publish {
                room,
                nonce,
                content_type,
                body,
            }
            .into()
        },
    );
    prop_oneof![
        hello,
        (request(), string(300), start).prop_map(|(request, room, start)| Join {
            request,
            room,
            start
        }
        .into()),
        (request(), room_ref()).prop_map(|(request, room)| Leave { request, room }.into()),
        publish,
        (request(), string(300)).prop_map(|(request, name)| Rename { request, name }.into()),
        (room_ref(), nonce(), string(1000)).prop_map(|(room, nonce, topic)| SetTopic {
            room,
            nonce,
            topic
        }
        .into()),
        (request(), string(300), option::of(string(300))).prop_map(|(request, room, after)| {
            ListMembers {
                request,
                room,
                after,
            }
            .into()
        }),
        (request(), option::of(string(300))).prop_map(|(request, after)| ListRooms {
            request,
            after
        }
        .into()),
        (request(), string(300)).prop_map(|(request, with)| OpenDirect { request, with }.into()),
        request().prop_map(|request| Ping { request }.into()),
        Just(Bye {}.into()),
        request().prop_map(|request| AskStatus { request }.into()),
        (request(), room_ref(), cursor(), any::<u32>()).prop_map(|(request, room, before, len)| {
            ReadBefore {
                request,
                room,
                before,
                len,
            }
            .into()
        }),
    ]
    .boxed()
}

fn node_frame() -> BoxedStrategy<NodeFrame> {
    let limits =
        any::<[u32; 4]>().prop_map(|[text_bytes_max, rooms_max, in_flight_max, idle_ms]| {
            SessionLimits {
                text_bytes_max,
                rooms_max,
                in_flight_max,
                idle_ms,
            }
        });
    let welcome = (
        (
            any::<u16>(),
            vec(any::<u32>(), 0..=FEATURES_LEN_MAX),
            node_name(),
            any::<u64>(),
        ),
        (any::<[u8; 16]>(), user_name(), option::of(account())),
        (any::<bool>(), any::<u32>(), limits),
    )
        .prop_map(
            |((minor, features, node, session), (secret, name, account), rest)| {
                let (resumed, permissions, limits) = rest;
                Welcome {
                    minor,
                    features,
                    node,
                    session: SessionId(session),
                    secret: Secret(secret),
                    name,
                    account,
                    resumed,
                    permissions: Permissions(permissions),
                    limits,
                }
                .into()
            },
        );
    let retry = || option::of(any::<u32>());
    let detail = || string(DETAIL_BYTES_MAX);
    let summary =
        (room_name(), any::<u32>()).prop_map(|(name, members)| RoomSummary { name, members });
    prop_oneof![
        welcome,
        request().prop_map(|request| Done { request }.into()),
        (request(), any::<u32>(), retry(), detail()).prop_map(
            |(request, code, retry_after_ms, detail)| {
                Failed {
                    request,
                    code,
                    retry_after_ms,
                    detail,
                }
                .into()
            }
        ),
        (room_ref(), nonce(), cursor()).prop_map(|(room, nonce, cursor)| Ack {
            room,
            nonce,
            cursor
        }
        .into()),
        (room_ref(), nonce(), any::<u32>(), retry(), detail()).prop_map(
            |(room, nonce, code, retry_after_ms, detail)| {
                Rejected {
                    room,
                    nonce,
                    code,
                    retry_after_ms,
                    detail,
                }
                .into()
            }
        ),
        (
            request(),
            any::<u32>(),
            vec(user_name(), 0..=PAGE_LEN_MAX),
            any::<bool>()
        )
            .prop_map(|(request, total, members, more)| MemberPage {
                request,
                total,
                members,
                more
            }
            .into()),
        (request(), vec(summary, 0..=PAGE_LEN_MAX), any::<bool>()).prop_map(
            |(request, rooms, more)| RoomPage {
                request,
                rooms,
                more
            }
            .into()
        ),
        (request(), user_name()).prop_map(|(request, name)| Renamed { request, name }.into()),
        (any::<u32>(), vec(string(255), 0..=GOAWAY_NODES_MAX))
            .prop_map(|(delay_ms, nodes)| Goaway { delay_ms, nodes }.into()),
        any::<bool>().prop_map(|available| BackplaneState { available }.into()),
        (any::<u32>(), detail()).prop_map(|(code, detail)| Closing { code, detail }.into()),
        (
            request(),
            any::<u32>(),
            any::<bool>(),
            any::<u64>(),
            any::<u64>()
        )
            .prop_map(|(request, durability, may_evict, damaged, panics)| Status {
                request,
                durability: Durability(durability),
                may_evict,
                damaged,
                panics
            }
            .into()),
    ]
    .boxed()
}

fn lane_frame() -> BoxedStrategy<LaneFrame> {
    let author = || {
        (any::<u64>(), option::of(account()), user_name()).prop_map(|(session, account, name)| {
            Author {
                session: SessionId(session),
                account,
                name,
            }
        })
    };
    let reason = || {
        prop_oneof![
            Just(GapReason::Trimmed),
            Just(GapReason::Diverged),
            Just(GapReason::Lagged)
        ]
    };
    let end = prop_oneof![
        Just(EndReason::Left),
        Just(EndReason::Removed),
        Just(EndReason::Closing)
    ];
    let level = prop_oneof![Just(NoticeLevel::Info), Just(NoticeLevel::Warning)];
    let content = prop_oneof![
        text().prop_map(Content::Text),
        text().prop_map(Content::Action),
        (cursor(), text()).prop_map(|(to, text)| short(Content::Reply { to, text })),
        (cursor(), text()).prop_map(|(of, text)| short(Content::Edit { of, text })),
        cursor().prop_map(|of| Content::Delete { of }),
        (cursor(), "[a-z👍é]{1,8}", any::<bool>()).prop_map(|(to, reaction, on)| {
            let reaction = reaction.parse().expect("a reaction");
            Content::Reaction { to, reaction, on }
        }),
        (6u32.., bytes()).prop_map(|(content_type, body)| Content::Opaque { content_type, body }),
    ];
    let change = prop_oneof![
        user_name().prop_map(PresenceChange::Joined),
        user_name().prop_map(PresenceChange::Left),
        (user_name(), user_name()).prop_map(|(from, to)| PresenceChange::Renamed { from, to }),
    ];
    let joined = (
        (
            request(),
            room_ref(),
            room_name(),
            option::of(user_name()),
            cursor(),
        ),
        (any::<u64>(), option::of(reason()), any::<u32>(), topic()),
    )
        .prop_map(
            |((request, room, name, direct, head), (next, gap, members, topic))| {
                Joined {
                    request,
                    room,
                    name,
                    direct,
                    head,
                    next: Seq(next),
                    gap,
                    members,
                    topic,
                }
                .into()
            },
        );
    prop_oneof![
        (author(), nonce(), any::<u64>(), content).prop_map(|(author, nonce, at_ms, content)| {
            Message {
                author,
                nonce,
                at_ms,
                content,
            }
            .into()
        }),
        (author(), nonce(), any::<u64>(), topic()).prop_map(|(author, nonce, at_ms, topic)| {
            TopicChanged {
                author,
                nonce,
                at_ms,
                topic,
            }
            .into()
        }),
        (any::<u64>(), level, text()).prop_map(|(at_ms, level, text)| Notice {
            at_ms,
            level,
            text
        }
        .into()),
        Just(Damaged {}.into()),
        joined,
        cursor().prop_map(|cursor| At {
            epoch: cursor.epoch,
            next: cursor.seq
        }
        .into()),
        (reason(), cursor()).prop_map(|(reason, cursor)| {
            Gap {
                reason,
                epoch: cursor.epoch,
                next: cursor.seq,
            }
            .into()
        }),
        end.prop_map(|reason| End { reason }.into()),
        (
            any::<u32>(),
            vec(change, 0..=PRESENCE_NAMES_MAX),
            any::<u32>()
        )
            .prop_map(|(members, changes, more)| Presence {
                members,
                changes,
                more
            }
            .into()),
        (request(), any::<[u64; 4]>(), option::of(reason())).prop_map(
            |(request, [epoch, first, next, end], gap)| {
                HistoryPage {
                    request,
                    epoch: Epoch(epoch),
                    first: Seq(first),
                    next: Seq(next),
                    end: Seq(end),
                    gap,
                }
                .into()
            }
        ),
    ]
    .boxed()
}

/// Any text of at most `bytes_max` bytes: what a field holds before somebody checks it.
fn string(bytes_max: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..=bytes_max.min(64)).prop_map(move |letters| {
        let mut text = String::new();
        for letter in letters {
            if text.len() + letter.len_utf8() <= bytes_max {
                text.push(letter);
            }
        }
        text
    })
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..64), vec(any::<u8>(), BODY_BYTES_MAX)].prop_map(Bytes::from)
}

fn text() -> impl Strategy<Value = Text> {
    "[^\\p{C}\\u{2028}\\u{2029}]{0,40}[a-zа-я😀田][\n\t -~]{0,40}"
        .prop_filter_map("a text", |text| text.parse().ok())
}

fn topic() -> impl Strategy<Value = Topic> {
    "[a-zа-я😀田 ]{0,40}".prop_filter_map("a topic", |topic| topic.parse().ok())
}

fn user_name() -> impl Strategy<Value = UserName> {
    "[A-Za-z0-9_Łд田][A-Za-z0-9_.\\-é]{0,31}".prop_filter_map("a name", |name| name.parse().ok())
}

fn room_name() -> impl Strategy<Value = RoomName> {
    prop_oneof![
        "[a-z0-9д部][a-z0-9_.\\-é]{0,31}",
        "@[a-z0-9][a-z0-9_/]{0,31}"
    ]
    .prop_filter_map("a room", |name| name.parse().ok())
}

fn node_name() -> impl Strategy<Value = NodeName> {
    "[A-Za-z0-9_.\\-]{1,64}".prop_filter_map("a node", |name| name.parse().ok())
}

fn account() -> impl Strategy<Value = AccountId> {
    any::<[u8; 16]>().prop_map(AccountId)
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (any::<u64>(), any::<u64>()).prop_map(|(epoch, seq)| Cursor::new(Epoch(epoch), Seq(seq)))
}

fn request() -> impl Strategy<Value = RequestId> {
    any::<u32>().prop_map(RequestId)
}

fn room_ref() -> impl Strategy<Value = RoomRef> {
    any::<u32>().prop_map(RoomRef)
}

fn nonce() -> impl Strategy<Value = Nonce> {
    any::<u64>().prop_map(Nonce)
}

/// The content, or a shorter one when its text leaves no room for its cursor.
fn short(content: Content) -> Content {
    match content {
        Content::Reply { to, .. } | Content::Edit { of: to, .. } if content.check().is_err() => {
            Content::Delete { of: to }
        }
        content => content,
    }
}
