//! What a backplane leaves to another: leases, registries and names, and parts of the log.

/// The part of `Backplane` that is about the registry, as the one in a field does it.
macro_rules! registry_of {
    ($inner:ident) => {
        fn renew<'a>(
            &'a self,
            node: chat_node::backplane::NodeId,
            lease: std::time::Duration,
            gossip: bytes::Bytes,
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<chat_node::backplane::Lease, chat_node::backplane::ReadError>,
        > {
            self.$inner.renew(node, lease, gossip)
        }

        fn write_registry<'a>(
            &'a self,
            node: chat_node::backplane::NodeId,
            lease: std::time::Duration,
            changes: &'a chat_node::backplane::RegistryChanges,
            gossip: bytes::Bytes,
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<chat_node::backplane::Lease, chat_node::backplane::ReadError>,
        > {
            self.$inner.write_registry(node, lease, changes, gossip)
        }

        fn read_registry(
            &self,
            node: chat_node::backplane::NodeId,
        ) -> futures_util::future::BoxFuture<
            '_,
            Result<Option<chat_node::backplane::Registry>, chat_node::backplane::ReadError>,
        > {
            self.$inner.read_registry(node)
        }

        fn nodes(
            &self,
        ) -> futures_util::future::BoxFuture<
            '_,
            Result<Vec<chat_node::backplane::NodeId>, chat_node::backplane::ReadError>,
        > {
            self.$inner.nodes()
        }

        fn resign(
            &self,
            node: chat_node::backplane::NodeId,
            gossip: bytes::Bytes,
        ) -> futures_util::future::BoxFuture<'_, Result<(), chat_node::backplane::ReadError>> {
            self.$inner.resign(node, gossip)
        }

        fn claim<'a>(
            &'a self,
            key: &'a str,
            claim: chat_node::backplane::Claim,
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<chat_node::backplane::Claimed, chat_node::backplane::ReadError>,
        > {
            self.$inner.claim(key, claim)
        }

        fn claim_again<'a>(
            &'a self,
            claims: &'a [(String, chat_node::backplane::Claim)],
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<Vec<chat_node::backplane::Claimed>, chat_node::backplane::ReadError>,
        > {
            self.$inner.claim_again(claims)
        }

        fn release<'a>(
            &'a self,
            key: &'a str,
            claim: chat_node::backplane::Claim,
        ) -> futures_util::future::BoxFuture<'a, Result<(), chat_node::backplane::ReadError>> {
            self.$inner.release(key, claim)
        }

        fn shared_secret(
            &self,
            proposal: [u8; 32],
        ) -> futures_util::future::BoxFuture<'_, Result<[u8; 32], chat_node::backplane::ReadError>>
        {
            self.$inner.shared_secret(proposal)
        }
    };
}

/// A part of `Backplane` that is about logs and their announcements, each as the one in a field does
/// it.
macro_rules! forward {
    ($inner:ident: append) => {
        fn append<'a>(
            &'a self,
            room: &'a chat_protocol::RoomName,
            batch: &'a chat_node::backplane::Batch,
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<chat_node::backplane::Appended, chat_node::backplane::AppendError>,
        > {
            self.$inner.append(room, batch)
        }

        fn repeat_of<'a>(
            &'a self,
            room: &'a chat_protocol::RoomName,
            session: chat_protocol::SessionId,
            nonce: chat_protocol::Nonce,
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<Option<chat_node::backplane::Outcome>, chat_node::backplane::ReadError>,
        > {
            self.$inner.repeat_of(room, session, nonce)
        }
    };
    ($inner:ident: read) => {
        fn read<'a>(
            &'a self,
            room: &'a chat_protocol::RoomName,
            after: chat_protocol::Cursor,
            entries_max: u32,
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<chat_node::backplane::Page, chat_node::backplane::ReadError>,
        > {
            self.$inner.read(room, after, entries_max)
        }
    };
    ($inner:ident: read_last) => {
        fn read_last<'a>(
            &'a self,
            room: &'a chat_protocol::RoomName,
            entries: u32,
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<chat_node::backplane::Page, chat_node::backplane::ReadError>,
        > {
            self.$inner.read_last(room, entries)
        }
    };
    ($inner:ident: heads) => {
        fn heads<'a>(
            &'a self,
            rooms: &'a [chat_protocol::RoomName],
        ) -> futures_util::future::BoxFuture<
            'a,
            Result<Vec<Option<chat_protocol::Cursor>>, chat_node::backplane::ReadError>,
        > {
            self.$inner.heads(rooms)
        }
    };
    ($inner:ident: subscriptions) => {
        fn subscribe<'a>(
            &'a self,
            room: &'a chat_protocol::RoomName,
        ) -> futures_util::future::BoxFuture<'a, Result<(), chat_node::backplane::ReadError>> {
            self.$inner.subscribe(room)
        }

        forward!($inner: whispers);

        fn unsubscribe<'a>(
            &'a self,
            room: &'a chat_protocol::RoomName,
        ) -> futures_util::future::BoxFuture<'a, ()> {
            self.$inner.unsubscribe(room)
        }
    };
    ($inner:ident: whispers) => {
        fn whisper<'a>(
            &'a self,
            room: &'a chat_protocol::RoomName,
            whisper: bytes::Bytes,
        ) -> futures_util::future::BoxFuture<'a, Result<(), chat_node::backplane::ReadError>> {
            self.$inner.whisper(room, whisper)
        }
    };
    ($inner:ident: promises) => {
        fn promise(&self) -> chat_node::backplane::Promise {
            self.$inner.promise()
        }

        fn unfit(&self) -> futures_util::future::BoxFuture<'_, chat_node::backplane::Unfit> {
            self.$inner.unfit()
        }
    };
}

pub(crate) use forward;
pub(crate) use registry_of;
