"""A chat client in one page, written from docs/PROTOCOL.md alone.

Joins a room, says something, prints the ack and what came on the lane, and leaves.

    pip install aioquic
    python minimal_client.py --ca certs/ca.pem --text hi 127.0.0.1 8081
"""

import argparse
import asyncio
import ssl

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived

FRAME_BYTES_MAX = 16384


# Section 3: QUIC varints and frames.


def varint(value):
    for tag, size in enumerate((1, 2, 4, 8)):
        if value < 1 << (8 * size - 2):
            return (value | tag << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


def read_varint(data):
    """The value and the bytes after it, or None when more must come."""
    if not data or len(data) < (size := 1 << (data[0] >> 6)):
        return None
    value = int.from_bytes(data[:size], "big") & (1 << (8 * size - 2)) - 1
    if len(varint(value)) != size:
        raise ValueError("a varint that is not the shortest")
    return value, data[size:]


def frame(kind, body=b""):
    return varint(len(varint(kind)) + len(body)) + varint(kind) + body


def read_frame(data):
    """The kind, the body, and the bytes after them, or None when more must come."""
    if not (read := read_varint(data)):
        return None
    length, rest = read
    if not 0 < length <= FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    if len(rest) < length:
        return None
    kind, body = read_varint(rest[:length])
    return kind, body, rest[length:]


# Section 4: fields.


def number(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def text(value):
    return number(len(value.encode())) + value.encode()


class Fields:
    """Takes the fields of a body, in order."""

    def __init__(self, body):
        self.body = body

    def take(self, size):
        if size > len(self.body):
            raise ValueError("a body that is too short")
        taken, self.body = self.body[:size], self.body[size:]
        return taken

    def number(self):
        value = shift = 0
        while shift < 70:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
        raise ValueError("a number that does not end")

    def bytes(self):
        return self.take(self.number())

    def text(self):
        return self.bytes().decode()

    def optional(self, read):
        return read() if {0: False, 1: True}[self.take(1)[0]] else None

    def cursor(self):
        return self.number(), self.number()

    def author(self):
        session, account = self.number(), self.optional(lambda: self.take(16))
        return {"session": session, "account": account, "name": self.text()}

    def end(self):
        if self.body:
            raise ValueError("a body that is too long")


# Section 7: a lane counts its entries.


class Lane:
    def __init__(self, client):
        self.client, self.name, self.head = client, None, None

    def on_frame(self, kind, body):
        fields = Fields(body)
        if kind == 0x20:  # Joined
            request, room, self.name = fields.number(), fields.number(), fields.text()
            direct, self.head = fields.optional(fields.text), fields.cursor()
            self.next, gap = fields.number(), fields.optional(fields.number)
            members, topic = fields.number(), fields.text()
            self.epoch = self.head[0]
            print(f"joined {self.name}: members={members} topic={topic!r} gap={gap} {direct or ''}")
            self.client.on_joined(request, room)
        elif kind == 0x22:  # At
            self.epoch, self.next = fields.cursor()
        elif kind == 0x24:  # Gap
            reason, (self.epoch, self.next) = fields.number(), fields.cursor()
            print(f"gap in {self.name}: {('trimmed', 'diverged', 'lagged')[reason]}")
        elif kind == 0x26:  # End
            print(f"left {self.name}: {('left', 'removed', 'closing')[fields.number()]}")
        elif kind < 0x20:
            self.on_entry(kind, fields, (self.epoch, self.next))
            self.next += 1
        elif kind % 2 == 0:
            raise ValueError(f"unknown kind {kind:#x}")
        else:  # Presence, and whatever may be skipped
            return
        fields.end()

    def on_entry(self, kind, fields, cursor):
        place = f"{cursor[0]:x}:{cursor[1]}"
        when = "history" if cursor[0] == self.head[0] and cursor[1] <= self.head[1] else "live"
        if kind == 0x02:  # Message
            author, nonce, _at_ms = fields.author(), fields.number(), fields.number()
            content_type, body = fields.number(), fields.bytes()
            said = body.decode() if content_type in (0, 1) else f"<content type {content_type}>"
            own = "own" if author["session"] == self.client.session else "from"
            print(
                f"message {self.name} {place} {when} {own} {author['name']} nonce={nonce}: {said!r}"
            )
            self.client.on_message(author["session"], nonce, cursor)
        elif kind == 0x04:  # TopicChanged
            author, _nonce, _at_ms = fields.author(), fields.number(), fields.number()
            print(f"topic {self.name} {place} {when} by {author['name']}: {fields.text()!r}")
        elif kind == 0x06:  # Notice
            _at_ms, level = fields.number(), ("info", "warning")[fields.number()]
            print(f"notice {place} {level}: {fields.text()!r}")
        elif kind == 0x08:  # Damaged
            print(f"damaged {self.name} {place}")
        elif kind % 2 == 0:
            raise ValueError(f"unknown kind {kind:#x}")
        else:  # Skipped, but counted
            fields.body = b""


class Client(QuicConnectionProtocol):
    def start(self, arguments):
        self.arguments, self.session, self.fault = arguments, None, None
        self.acked, self.seen = None, set()
        self.streams, self.done = {}, asyncio.get_running_loop().create_future()
        self.control = self._quic.get_next_available_stream_id()
        hello = number(0) + number(0) + text("minimal_client.py/1")
        hello += b"\1" + text(arguments.name) + b"\0" + b"\0"
        self.send(varint(0x00) + frame(0x40, hello))
        join = number(1) + text(arguments.room) + number(1) + number(arguments.history)
        self.send(frame(0x42, join))

    def send(self, data):
        self._quic.send_stream_data(self.control, data)
        self.transmit()

    def quic_event_received(self, event):
        try:
            if isinstance(event, StreamDataReceived):
                self.on_data(event.stream_id, event.data)
            elif isinstance(event, ConnectionTerminated):
                self.finish(f"closed: {event.error_code:#x} {event.reason_phrase}")
        except (ValueError, KeyError, IndexError, TypeError) as error:
            self.close(0x200)
            self.finish(f"a frame could not be understood: {error}")

    def on_data(self, stream, data):
        if stream not in self.streams:
            # The control stream has a type in the client's direction only.
            self.streams[stream] = [b"", self if stream == self.control else None]
        state = self.streams[stream]
        state[0] += data
        if state[1] is None:
            if not (read := read_varint(state[0])):
                return
            kind, state[0] = read
            if kind != 0x01:
                self._quic.stop_stream(stream, 0x300)
                return
            state[1] = Lane(self)
        while read := read_frame(state[0]):
            kind, body, state[0] = read
            state[1].on_frame(kind, body)

    def on_frame(self, kind, body):
        fields = Fields(body)
        if kind == 0x80:  # Welcome
            minor, _features = fields.number(), [fields.number() for _ in range(fields.number())]
            node, self.session, _secret = fields.text(), fields.number(), fields.take(16)
            name, _account = fields.text(), fields.optional(lambda: fields.take(16))
            resumed, permissions = fields.take(1) == b"\1", fields.number()
            limits = [fields.number() for _ in range(4)]
            print(
                f"welcome {name} at {node}: session={self.session:016x} minor={minor}"
                f" resumed={resumed} permissions={permissions:#x} limits={limits}"
            )
        elif kind == 0x84:  # Failed
            request, code, retry = fields.number(), fields.number(), fields.optional(fields.number)
            print(f"failed request={request} code={code} retry_after_ms={retry}: {fields.text()}")
            self.fault = f"refused: {code}"
            if request:
                self.bye()
        elif kind == 0x86:  # Ack
            room, nonce, cursor = fields.number(), fields.number(), fields.cursor()
            print(f"ack room={room} nonce={nonce} at {cursor[0]:x}:{cursor[1]}")
            self.acked = cursor
            self.leave_when_seen()
        elif kind == 0x88:  # Rejected
            room, nonce, code = fields.number(), fields.number(), fields.number()
            retry = fields.optional(fields.number)
            print(f"rejected nonce={nonce} code={code} retry_after_ms={retry}: {fields.text()}")
            if 400 <= code <= 499:
                pause = (retry or 500) / 1000
                asyncio.get_running_loop().call_later(pause, self.publish, room)
            else:
                self.fault = f"refused: {code}"
                self.bye()
        elif kind == 0x92:  # Closing
            code, detail = fields.number(), fields.text()
            self.close(0)
            self.finish(self.fault if code == 0 else f"closing: {code:#x} {detail}")
        elif kind % 2 == 0:
            raise ValueError(f"unexpected kind {kind:#x}")
        else:  # BackplaneState, and whatever may be skipped
            return
        fields.end()

    def on_joined(self, request, room):
        if request == 1:
            self.publish(room)

    def publish(self, room):
        self.send(frame(0x46, number(room) + number(1) + number(0) + text(self.arguments.text)))

    def on_message(self, session, nonce, cursor):
        if (session, nonce) == (self.session, 1):
            self.seen.add(cursor)
            self.leave_when_seen()

    def leave_when_seen(self):
        # The ack and the message come in either order.
        if self.acked in self.seen:
            self.bye()

    def bye(self):
        self.send(frame(0x54))

    def finish(self, fault):
        if not self.done.done():
            self.done.set_result(fault)


async def run(arguments):
    configuration = QuicConfiguration(alpn_protocols=["chat/1"], is_client=True)
    configuration.verify_mode = ssl.CERT_REQUIRED
    configuration.load_verify_locations(cafile=arguments.ca)
    address = arguments.host, arguments.port
    async with connect(*address, configuration=configuration, create_protocol=Client) as client:
        client.start(arguments)
        return await asyncio.wait_for(client.done, timeout=30)


def main():
    parser = argparse.ArgumentParser(description="Says one thing in a chat room.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--ca", required=True, help="certificate of the CA, PEM")
    parser.add_argument("--name", default="python")
    parser.add_argument("--room", default="lobby")
    parser.add_argument("--history", type=int, default=10)
    parser.add_argument("--text", default="hi")
    if fault := asyncio.run(run(parser.parse_args())):
        raise SystemExit(fault)


if __name__ == "__main__":
    main()
