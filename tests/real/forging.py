"""Whoever sends the chat what is not theirs to send, and what the server makes of it.

`Forger` sends datagrams of IPv4 from any address. `watched` starts a daemon that can be asked what
it has counted, and who is in which channel.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from sockd.formats.chat import trailer
from sockd.formats.chat.events import Code, pack, unpack
from sockd.formats.chat.hello import Hello, Welcome
from tests.daemons import Daemon, socket_on
from tests.processes import unix_says, wait_until
from tests.real.chatnet import SERVER, Packet

Address = tuple[str, int]
AT_ONCE = 100
"""Datagrams until it is waited for the server: its socket holds some hundreds."""
HEADERS = 28
"""Bytes of the headers of IP and UDP."""
COUNTS = '''"""Tell what the chat has counted, and who is where."""

import gc
import json

from sockd.chat.server import ChatServer
from sockd.net.requests import Requests
from sockd.service import Instance, Kind


class Counts(Requests):
    def answer(self, request):
        found = {}
        for one in gc.get_objects():
            if isinstance(one, ChatServer):
                users = {
                    user.nickname.decode(): [
                        str(user.place.address),
                        user.session is not None,
                        [channel.title.decode() for channel in user.channels],
                    ]
                    for user in one.desk.rooms.users.values()
                }
                own = one.context.guard.counts
                counts = {**own.dropped, "refused": own["refused"], **one.desk.counts}
                found[one.context.name] = {"users": users, "counts": counts}
        return json.dumps(found).encode()


kind = Kind(
    name="counts",
    doc=__doc__,
    stream=Counts,
    instances=[Instance("counts", ["unix:${RUNTIME}/counts.sock"])],
)
'''


@frozen
class State:
    """What the server knows."""

    users: Mapping[str, Any]
    """Where each is, whether it is a new client, its channels."""
    counts: Mapping[str, int]

    def since(self, before: State) -> dict[str, int]:
        """What was counted since then."""
        new = {name: count - before.counts.get(name, 0) for name, count in self.counts.items()}
        return {name: count for name, count in new.items() if count}


@define(eq=False)
class Watched:
    """A daemon with chats."""

    daemon: Daemon

    def state(self, service: str = "chat") -> State:
        """What it knows now."""
        told = json.loads(unix_says(self.daemon.runtime / "counts.sock", b"\n"))
        return State(**told[service])

    def counted(self, before: State, count: int, *names: str, service: str = "chat") -> State:
        """Wait until so many more were counted under one of the names; the state then."""
        state = before

        def is_counted() -> bool:
            nonlocal state
            state = self.state(service)
            new = state.since(before)
            return sum(new.get(name, 0) for name in names) >= count

        wait_until(is_counted, lambda: f"{count} of {names} in {state.since(before)}")
        return state


@contextmanager
def watched(folder: Path, config: str, namespace: str) -> Iterator[Watched]:
    """Start a daemon that tells."""
    plugins = folder / "sockd" / "services"
    plugins.mkdir(parents=True)
    (plugins / "counts.py").write_text(COUNTS, "utf-8")
    path = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    config = f"{config}\n[service.counts]\n"
    with Daemon(folder, config, namespace=namespace, environment=path) as daemon:
        yield Watched(daemon)


@define(eq=False)
class Forger:
    """On a host: sends datagrams that seem to come from elsewhere, and knows when the server has
    had them."""

    host: str
    port: int = 2027
    sent: int = 0
    """Bytes, with headers."""
    _raw: socket.socket = field(init=False)
    _own: socket.socket = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._raw = socket_on(self.host, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._own = socket_on(self.host, socket.AF_INET, socket.SOCK_DGRAM)
        self._own.connect((SERVER, self.port))

    def __enter__(self) -> Forger:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()
        self._own.close()

    def send(self, source: Address, data: bytes, to: Address | None = None) -> None:
        """One datagram from an address."""
        host, port = to or (SERVER, self.port)
        ends = socket.inet_aton(source[0]) + socket.inet_aton(host)
        # the kernel writes the length and the sum; a sum of 0 in UDP is none
        header = struct.pack("!BBHHHBBH8s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, ends)
        udp = struct.pack("!HHHH", source[1], port, 8 + len(data), 0)
        self._raw.sendto(header + udp + data, (host, 0))
        self.sent += len(header) + len(udp) + len(data)

    def flood(self, datagrams: Iterable[tuple[Address, bytes]]) -> int:
        """Many, as fast as the server takes them; how many they were."""
        count = 0
        for count, (source, data) in enumerate(datagrams, 1):
            self.send(source, data)
            if count % AT_ONCE == 0:
                self.wait()
        self.wait()
        return count

    def wait(self) -> Welcome:
        """Wait until the server has had all that was sent: it answers in order."""
        nonce = struct.pack("!Q", id(self) + self.sent)
        self._own.send(Hello(nonce).write())
        while True:
            event = unpack(self._own.recv(1024))
            if event is not None and event.code == Code.WELCOME:
                welcome = Welcome.read(event.text)
                if welcome is not None and welcome.nonce == nonce:
                    return welcome

    @property
    def own(self) -> Address:
        """Its own address, of which it can prove that it is there."""
        host, port = self._own.getsockname()
        return host, port


def forged(session: bytes, number: int, code: Code, text: bytes) -> bytes:
    """An event as a session's client sends it, by who does not know the key."""
    return trailer.sign(pack(code, text), session, number, b"k" * trailer.KEY_BYTES)


def size(packets: Iterable[Packet]) -> int:
    """Bytes, with headers."""
    return sum(one.size for one in packets)
