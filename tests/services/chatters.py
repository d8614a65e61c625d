"""A chat that listens on all its doors, and people who come by each, with real sockets.

Their sockets wait: a test runs them in a thread beside the reactor. Nothing is waited for by time:
who wants to know that nothing more comes asks for something behind it.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sockd.chat.server import ChatServer
from sockd.daemon.instance import RunningInstance
from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, Event, pack, unpack
from sockd.formats.chat.hello import NONCE_BYTES, Hello, Welcome
from sockd.formats.chat.session import Open, Opened
from sockd.formats.chat.texts import ChannelText
from sockd.formats.frames import frame
from sockd.net.listener import Listener
from sockd.testing.certificate import make_certificate
from sockd.testing.running import PATIENCE
from sockd.testing.sockets import address_of, dial, listen_string, serve
from tests.processes import free_port

LO = "127.0.0.1"
UDP = f"udp:0:interface={LO}"
TRANSPORTS = ("udp", "unixgram", "tcp", "tls", "unix", "multicast", "multicast6")
IP_MULTICAST_ALL = 49
Heard = tuple[int, bytes]


class Chat:
    """The instance, and where it is listened on."""

    def __init__(self, instance: RunningInstance, folder: Path, group_port: int) -> None:
        self.instance = instance
        self.folder = folder
        self.group_port = group_port
        self.server: ChatServer = instance.context.shared
        self.counts = instance.guard.counts

    def listener(self, transport: str) -> Listener:
        """The address with this transport; `multicast` is the door's of that name."""
        role = "multicast" if transport.startswith("multicast") else ""
        is_six = transport.endswith("6")
        for one in self.instance.listeners:
            listen = one.listen
            is_it = listen.role == role and (":" in listen.host) == is_six
            if is_it and (role or listen.transport == transport.removesuffix("6")):
                return one
        raise LookupError(transport)


@asynccontextmanager
async def chat(folder: Path, *listens: str, **table: Any) -> AsyncIterator[Chat]:
    """One that listens; at no other door than those that are named."""
    group_port = free_port()
    table = {
        "listen_multicast": [UDP],
        "group_port": group_port,
        "state": str(folder / "chat.state"),
        **table,
    }
    async with serve("chat", *(listens or (UDP,)), **table) as instance:
        yield Chat(instance, folder, group_port)


@asynccontextmanager
async def everywhere(folder: Path, **table: Any) -> AsyncIterator[Chat]:
    """One with all doors open."""
    tls_files = make_certificate(folder)
    kinds = ("udp", "unixgram", "tcp", "tls", "unix")
    for name in ("unix", "unixgram"):
        (folder / name).mkdir()
    listens = [listen_string(kind, folder / kind, tls_files) for kind in kinds]
    doors = [UDP, "udp:0:interface=[::1]"]
    async with chat(folder, *listens, listen_multicast=doors, **table) as opened:
        yield opened


_NUMBERS = itertools.count()


class DatagramLink:
    """Datagrams to one address, and what comes back."""

    def __init__(self, target: Any, folder: Path, host: str = "") -> None:
        self.target = target
        self.path: Path | None = None
        if isinstance(target, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.path = folder / f"client{next(_NUMBERS)}"
            self.socket.bind(str(self.path))
        else:
            is_six = ":" in target[0]
            self.socket = socket.socket(
                socket.AF_INET6 if is_six else socket.AF_INET, socket.SOCK_DGRAM
            )
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self.socket.bind((host or ("::1" if is_six else LO), 0))
        self.socket.settimeout(PATIENCE)
        self.came_from: Any = None

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self.target)

    def receive(self) -> bytes:
        data, self.came_from = self.socket.recvfrom(65536)
        return data

    def close(self) -> None:
        self.socket.close()
        if self.path is not None:
            self.path.unlink()


class StreamLink:
    """A connection of frames."""

    def __init__(self, listener: Listener) -> None:
        self.wire = dial(listener)

    def send(self, data: bytes) -> None:
        self.wire.send(frame(data))

    def receive(self) -> bytes:
        """An event; nothing at the end."""
        size = self.wire.receive(2)
        return self.wire.receive(int.from_bytes(size, "big")) if size else b""

    def close(self) -> None:
        self.wire.socket.close()


class Groups:
    """A member of groups, on loopback: of IPv4, for there Linux has no others."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        self.socket.bind(("", port))
        self.socket.settimeout(PATIENCE)

    def join(self, group: Any) -> None:
        what = group.packed + socket.inet_aton(LO)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, what)


class Person:
    """Somebody who chats. `link`: how; `groups`: where it hears channels, by multicast."""

    def __init__(self, chat: Chat, transport: str, name: str, link: Any = None) -> None:
        listener = chat.listener(transport)
        is_stream = transport in ("tcp", "tls", "unix")
        self.name = name.encode()
        self.link: Any = link or (
            StreamLink(listener) if is_stream else DatagramLink(address_of(listener), chat.folder)
        )
        self.groups: Groups | None = None
        if transport == "multicast":
            self.groups = Groups(chat.group_port)
        self.has_groups = transport.startswith("multicast")
        self.session = self.key = b""
        self.number = 0
        self.keys: dict[bytes, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.link.close()
        if self.groups is not None:
            self.groups.socket.close()

    # sending

    def say(self, code: int, text: bytes = b"") -> int:
        """Send an event; its number, 0 for none."""
        data = pack(code, text)
        if self.session:
            self.number += 1
            data = trailer.sign(data, self.session, self.number, self.key)
        self.link.send(data)
        return self.number

    def ask(self, code: int, text: bytes = b"") -> list[Heard]:
        """The same; all that comes before the server is done with it."""
        self.say(code, text)
        return self.barrier()

    def barrier(self) -> list[Heard]:
        """All that has come to it alone when the server has done what it has sent so far."""
        number = self.say(Code.NOTHING)
        heard: list[Heard] = []
        while True:
            data = self.link.receive()
            event, stamp = self._read(data)
            if self.session:
                if event.code == Code.ACK and stamp is not None and stamp.number == number:
                    return heard
            elif event in ((Code.ERROR, b"unknown code 0"), (Code.ERROR, b"please log in")):
                return heard
            heard.append((event.code, event.text))

    # hearing

    def _read(self, data: bytes) -> tuple[Event, trailer.Stamp | None]:
        """What a datagram is, if what signs it is good."""
        found = trailer.stamped(data)
        bare = unpack(data if found is None else found[0])
        assert bare is not None
        event = Event(bare.code, bare.text.partition(b"\n")[0])
        if found is None or not self.session:
            return event, None
        if event.code in (Code.PUBLIC_MSG, Code.USER_JOINS, Code.USER_PARTS):
            assert trailer.is_genuine(data, self.keys[event.text.split()[0]])
        else:
            assert trailer.is_genuine(data, self.key)
            if event.code == Code.JOIN_ACK:
                self.keys[event.text.split()[0]] = found[1].key
        return event, found[1]

    def hear(self) -> Heard:
        """The next event that comes to it alone."""
        event, _ = self._read(self.link.receive())
        return event.code, event.text

    def hear_room(self, last: bytes) -> list[bytes]:
        """What is said in channels, to the one that ends so."""
        said: list[bytes] = []
        while not (said and said[-1].endswith(last)):
            try:
                data = self.groups.socket.recv(65536) if self.groups else self.link.receive()
            except TimeoutError:
                raise AssertionError(f"{self.name!r} has heard only {said}") from None
            event, _ = self._read(data)
            if event.code == Code.PUBLIC_MSG:
                said.append(event.text)
        return said

    # coming

    def log_in(self) -> list[Heard]:
        """As an old client; what comes."""
        return self.ask(Code.LOGIN_REQ, self.name)

    def hello(self) -> Welcome:
        """The answer to a hello."""
        self.nonce = os.urandom(NONCE_BYTES)
        self.link.send(Hello(self.nonce).write())
        code, text = self.hear()
        assert code == Code.WELCOME
        welcome = Welcome.read(text)
        assert welcome is not None
        return welcome

    def open(self) -> list[Heard]:
        """As a new client; what comes."""
        event = Open(self.name, self.hello().cookie, self.nonce).write()
        if self.session:
            self.number += 1
            event = trailer.sign(event, self.session, self.number, self.key)
        self.link.send(event)
        code, text = self.hear()
        if code != Code.OPENED:
            return [(code, text)]
        opened = Opened.read(text)
        assert opened is not None
        self.session, self.key = opened.session, opened.key or self.key
        came = [(code, opened.nickname), *self.barrier()]
        if self.has_groups and self.groups is None:
            assert self.ask(Code.UNICAST)[0][0] == Code.ACK
        return came

    def join(self, title: bytes) -> ChannelText:
        """Be in a channel, and hear its group."""
        *_, (code, text) = [
            one for one in self.ask(Code.JOIN_REQ, title) if one[0] == Code.JOIN_ACK
        ]
        assert code == Code.JOIN_ACK
        found = ChannelText.read(text, self.has_groups)
        assert found is not None
        if self.groups is not None:
            self.groups.join(found.group)
        return found


def told(heard: Sequence[Heard], *codes: int) -> list[bytes]:
    """The texts of events with these codes."""
    return [text for code, text in heard if code in codes]
