"""Whole conversations, byte for byte, as a person can read them: who sent what, in hex, and what
each part of it means.

A `Table` has a server in memory, people with old clients, whose events a script names, and people
with ours, whose conversations answer by themselves. Clock, secret and chance are fixed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count
from textwrap import fill
from typing import Any, NamedTuple

from attrs import define, field

from sockd.chat.members import Channel, Gate, Place
from sockd.client.chat.conversation import Conversation
from sockd.client.chat.told import Done, Send
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, pack
from tests.chat.world import UNICAST, World

WIDTH = 24
"""Bytes in a line."""
COLUMN = 50
"""Where the meaning begins."""
MANY = 16
"""So many equal bytes in a row are written as one and how often: 2e*173."""


KEYS: dict[int, str] = {
    Code.PUBLIC_MSG: "the channel",
    Code.USER_JOINS: "the channel",
    Code.USER_PARTS: "the channel",
    Code.HEARTBEAT: "heartbeats",
}
"""Whose key makes the MAC of what does not go to one user."""


class Event(NamedTuple):
    """A datagram: by whom or, where `is_heard`, to whom."""

    who: str
    is_heard: bool
    data: bytes


@define(eq=False)
class Transcript:
    """What was sent, in order, with notes between."""

    lines: list[str | Event] = field(factory=list)

    def write(self) -> str:
        """As it is read."""
        parts = []
        for line in self.lines:
            if isinstance(line, str):
                parts.append(f"\n{note(line)}\n")
            else:
                code = int.from_bytes(line.data[:2], "big")
                arrow = "<-" if line.is_heard else "->"
                parts.append(f"\n{line.who} {arrow} {name_of(code)}\n")
                parts += [f"    {row}\n" for row in rows(line.data)]
        return "".join(parts).lstrip("\n")


def note(text: str) -> str:
    """What is said about what comes next."""
    return fill(text, 100, initial_indent="# ", subsequent_indent="# ")


def read(text: str) -> Iterator[Event]:
    """The datagrams of what `Transcript.write` has written."""
    for block in re.findall(r"^(\S.*? (?:->|<-) \S+\n(?:    .*\n)+)", text, re.M):
        head, *below = block.splitlines()
        who, arrow, _ = head.rsplit(" ", 2)
        data = b""
        for row in below:
            digits, _, times = row.split()[0].partition("*")
            data += bytes.fromhex(digits) * int(times or 1)
        yield Event(who, arrow == "<-", data)


def name_of(code: int) -> str:
    """Of an event."""
    return Code(code).name if code in set(Code) else str(code)


def shown(text: bytes) -> str:
    """As a person reads it."""
    return re.sub(r"[^ -~]", lambda one: f"\\x{ord(one[0]):02x}", text.decode("latin-1"))


def rows(data: bytes) -> Iterator[str]:
    """The lines of a datagram: hex, and what it means."""
    for part, meaning in parts(data):
        for digits, at in _cut(part):
            yield f"{digits:{COLUMN}}{meaning if at == 0 else ''}".rstrip()


def parts(data: bytes) -> Iterator[tuple[bytes, str]]:
    """The fields of a datagram, and their meanings."""
    code = int.from_bytes(data[:2], "big")
    yield data[:2], f"{code} {name_of(code)}"
    event, fields = data, list[tuple[bytes, str]]()
    if (signed := trailer.signed(data)) is not None:
        event = data[: -trailer.CLIENT_BYTES]
        fields = _of_client(data[len(event) :], signed)
    elif (found := trailer.stamped(data)) is not None:
        event, stamp = found
        fields = _of_server(data[len(event) :], stamp, KEYS.get(code, "the session"))
    dots = event.find(b"." * MANY)  # a hello is padded
    yield from _text(event[2:] if dots < 0 else event[2:dots])
    if dots >= 0:
        yield event[dots:], f"{len(event) - dots} dots"
    yield from fields


def _text(text: bytes) -> Iterator[tuple[bytes, str]]:
    """Lines of a text, that end behind words where they can."""
    while text:
        end = len(text) if len(text) <= WIDTH else text.rfind(b" ", 0, WIDTH) + 1 or WIDTH
        yield text[:end], shown(text[:end])
        text = text[end:]


def _of_client(data: bytes, signed: trailer.Signed) -> list[tuple[bytes, str]]:
    return [
        (data[:1], "newline"),
        (data[1:9], "session"),
        (data[9:13], f"number {signed.number}"),
        (data[13:14], shown(data[13:14])),
        (data[14:], "MAC by the key of the session"),
    ]


def _of_server(data: bytes, stamp: trailer.Stamp, whose: str) -> list[tuple[bytes, str]]:
    moment = datetime.fromtimestamp(stamp.time_ms / 1000, UTC)
    fields = [
        (data[:1], "newline"),
        (data[1:5], "epoch"),
        (data[5:9], f"sequence number {stamp.sequence}"),
        (data[9:17], f"{moment:%Y-%m-%d %H:%M:%S} UTC"),
        (data[17:21], "label" if stamp.label else "no label"),
        (data[21:25], f"number {stamp.number}" if stamp.number else "no number"),
    ]
    if stamp.key:
        fields.append((data[25:41], "key of the channel, or of heartbeats"))
        fields.append((data[41:-9], f"the channel's last sequence number, {stamp.last}"))
    return [*fields, (data[-9:-8], shown(data[-9:-8])), (data[-8:], f"MAC by the key of {whose}")]


def _cut(part: bytes) -> Iterator[tuple[str, int]]:
    if len(part) >= MANY and len(set(part)) == 1:
        yield f"{part[:1].hex()}*{len(part)}", 0
        return
    for at in range(0, len(part), WIDTH):
        yield part[at : at + WIDTH].hex(), at


class Server(World):
    """A server whose datagrams are noted as they leave: what goes to a group, once."""

    transcript: Transcript
    names: dict[Place, str]

    def _broadcast(self, channel: Channel, data: bytes) -> None:
        here = self.audience.get(channel, {})
        told: set[Gate] = set()
        for user, place in here.items():
            group = place.gate.group(channel.settings)
            if group is None or user.by_unicast:
                self._send(user, data)
                continue
            if place.gate not in told:
                told.add(place.gate)
                who = f"group {group} port {place.gate.group_port}"
                self.transcript.lines.append(Event(who, True, data))
            self.boxes.setdefault(place, []).append(data)

    def put(self, place: Place, data: bytes) -> None:
        """A datagram goes to one place."""
        self._put(place, data)

    def _put(self, place: Place, data: bytes) -> None:
        super()._put(place, data)
        self.transcript.lines.append(Event(self.names[place], True, data))


class Table:
    """A server and people at it; see above."""

    def __init__(self, **changes: Any) -> None:
        self.transcript = Transcript()
        self.server = Server(**changes)
        self.server.transcript = self.transcript
        self.server.names = {}
        self.talks: dict[str, Conversation] = {}
        self._places: dict[str, Place] = {}

    def note(self, text: str) -> None:
        """What happens next."""
        self.transcript.lines.append(text)

    def sit(self, name: str, gate: Gate = UNICAST) -> None:
        """Somebody is at a program."""
        place = self._places[name] = self.server.place(gate)
        self.server.names[place] = name

    def old(self, name: str, code: int, text: bytes = b"") -> None:
        """An old client sends an event."""
        self.send(name, pack(code, text))

    def new(self, name: str, gate: Gate = UNICAST) -> Conversation:
        """Somebody with our client logs in."""
        self.sit(name, gate)
        numbers = count()

        def random(size: int) -> bytes:
            return blake2b(b"%s %d" % (name.encode(), next(numbers)), digest_size=size).digest()

        talk = self.talks[name] = Conversation(name, random, lambda: 0.5)
        self.do(name, talk.start(self.server.now))
        return talk

    def do(self, name: str, dones: Sequence[Done]) -> None:
        """Our client does what its conversation wants done."""
        for done in dones:
            if isinstance(done, Send):
                self.send(name, done.data)

    def send(self, name: str, data: bytes) -> None:
        """A datagram goes to the server, and all that follows from it happens."""
        self.transcript.lines.append(Event(name, False, data))
        self.serve(self._places[name], data)
        self.deliver()

    def serve(self, place: Place, data: bytes) -> None:
        """A datagram has come to the server."""
        self.server.send(place, data)

    def deliver(self) -> None:
        """What has been sent arrives, and is answered."""
        self.server.list_on()
        for name, place in self._places.items():
            for data in self.server.take(place):
                if (talk := self.talks.get(name)) is not None:
                    self.do(name, talk.received(data, self.server.now))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        until = self.server.now + seconds
        while True:
            times = [(talk.next_at, name) for name, talk in self.talks.items()]
            at, name = min(
                ((at, name) for at, name in times if at is not None), default=(until, "")
            )
            if at >= until:
                break
            self.server.now = max(self.server.now, at)
            self.do(name, self.talks[name].tick(self.server.now))
        self.server.now = until
