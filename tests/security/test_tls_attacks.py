"""Hostile TLS: floods of records that say little or nothing, from several sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import chain, repeat
from pathlib import Path
from socket import CMSG_SPACE, SOL_SOCKET, socket
from struct import Struct
from time import time

import pytest
import trustme
from attrs import frozen

from tests.daemons import two_hosts
from tests.processes import wait_until
from tests.security.hosts import Watched, add_addresses, connect, paused, reset
from tests.security.tls_records import (
    HANDSHAKE,
    HEADER,
    NO_RENEGOTIATION,
    TLS_1_2,
    TLS_1_3,
    USER_CANCELED,
    TLSPeer,
    Writer,
    Writer13,
    client_hello,
)

SOURCES = ("10.77.0.11", "10.77.0.12", "10.77.0.13")
"""Addresses of the attacker."""
EACH = 20
"""Connections of one source: as many as it may have."""
LONGEST_WAIT = 0.2
"""Seconds of work between a byte and its echo: twice what is promised on an idle machine."""
SO_TIMESTAMPNS = 35
"""The kernel says when a byte came: Python has no name for it."""
STAMP = Struct("@qq")
MOST_PER_CLIENT = 256 * 1024
HELLO = client_hello(TLS_1_2)[HEADER:]
SERVICES = ("echo", "daytime", "chargen", "discard", "reverse")


def config(folder: Path) -> str:
    """Services over TLS, and one in the clear to measure by."""
    file = folder / "server.pem"
    trustme.CA().issue_cert("sockd.example").private_key_and_cert_chain_pem.write_to_path(file)
    listen = f'listen = ["ssl:0:interface=10.77.0.1:privateKey={file}"]'
    return "".join(f"[service.{name}]\n{listen}\n" for name in SERVICES) + (
        '[service.meter]\nkind = "echo"\nlisten = ["tcp:0:interface=10.77.0.1"]\n'
    )


@frozen
class Site:
    """A daemon, and another host whose every connection is an attacker's or the meter's."""

    daemon: Watched
    attacker: str

    def peers(self, service: str, count: int, version: int = TLS_1_3) -> list[TLSPeer]:
        """So many connections in TLS, from as many sources as that takes."""
        address = self.daemon.address(service, "tls")
        sources = chain.from_iterable(repeat(source, EACH) for source in SOURCES)
        return [
            TLSPeer(connect(self.attacker, address, source), version)
            for source, _ in zip(sources, range(count), strict=False)
        ]

    def meter(self) -> socket:
        """A connection in the clear, from an address of its own, that is served."""
        sock = connect(self.attacker, self.daemon.address("meter", "tcp"), "10.77.0.2")
        sock.sendall(b"?")
        assert sock.recv(1) == b"?"
        sock.setsockopt(SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return sock


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two hosts, of which one attacks the other."""
    with two_hosts() as (here, there):
        add_addresses(there, SOURCES)
        with Watched(tmp_path, config(tmp_path), namespace=here) as daemon:
            yield Site(daemon, there)


Make = Callable[[Writer], bytes]
"""Makes what an attacker sends again and again."""


def byte(writer: Writer) -> bytes:
    """A byte."""
    return writer.data(b"x")


def line(writer: Writer) -> bytes:
    """The end of a line."""
    return writer.data(b"\n")


def empty(writer: Writer) -> bytes:
    """Nothing."""
    return writer.data()


def update(writer: Writer) -> bytes:
    """Two new keys."""
    assert isinstance(writer, Writer13)
    return writer.key_update()


def update_of_one(writer: Writer) -> bytes:
    """A new key."""
    assert isinstance(writer, Writer13)
    return writer.key_update(requested=False)


def update_and_byte(writer: Writer) -> bytes:
    """Two new keys for every byte."""
    return update(writer) + byte(writer)


def canceled(writer: Writer) -> bytes:
    """A warning that means nothing."""
    return writer.alert(USER_CANCELED)


def not_again(writer: Writer) -> bytes:
    """A refusal of what nobody asked for."""
    return writer.alert(NO_RENEGOTIATION)


def again(writer: Writer) -> bytes:
    """A new handshake."""
    return writer.record(HANDSHAKE, HELLO)


def flood(make: Make, count: int) -> Callable[[TLSPeer], bytes]:
    """The records of a whole attack."""
    return lambda peer: b"".join(make(peer.writer) for _ in range(count))


CROWDS: dict[str, tuple[str, Make, int]] = {
    "records of a byte to echo": ("echo", byte, 3000),
    "records of a byte to discard": ("discard", byte, 3000),
    "records of a line each": ("reverse", line, 3000),
    "key updates": ("echo", update, 1000),
    "key updates to chargen": ("chargen", update, 1000),
    "key updates with a byte": ("echo", update_and_byte, 600),
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_a_crowd_in_tls_makes_nobody_else_wait(site: Site, crowd: str) -> None:
    """However many records there are in what has come, others are served between them."""
    service, make, records = CROWDS[crowd]
    with ExitStack() as stack:
        meter = stack.enter_context(site.meter())
        peers = site.peers(service, EACH * len(SOURCES))
        for peer in peers:
            stack.callback(reset, peer.wire)
        left = {peer.wire: memoryview(flood(make, records)(peer)) for peer in peers}
        longest = longest_wait(site.daemon, meter, left)
    print(f"{crowd}: {longest:.3f} s")  # noqa: T201 - what a reader of a failure wants
    assert longest <= LONGEST_WAIT


def longest_wait(daemon: Watched, meter: socket, left: dict[socket, memoryview]) -> float:
    """The most that the daemon works between a byte and its echo, while it is flooded."""
    with paused(daemon.pid):  # it finds as much at once as its kernel holds
        push(left)
        asked = ask(daemon, meter)
    longest = 0.0
    for _ in range(200):
        longest = max(longest, answered(daemon, meter) - asked)
        push(left)
        asked = ask(daemon, meter)
    return max(longest, answered(daemon, meter) - asked)


def ask(daemon: Watched, meter: socket) -> float:
    """Send a byte; returns what the daemon had worked by then, at most.

    It works on while we do not: whatever passes between two of our lines may have been work.
    """
    worked, since = daemon.worked_seconds(), time()
    meter.send(b"?")
    return worked + time() - since


def answered(daemon: Watched, meter: socket) -> float:
    """Wait for the echo; returns what the daemon had worked when it came, at least."""
    echo, told, _, _ = meter.recvmsg(1, CMSG_SPACE(STAMP.size))
    assert echo == b"?"
    worked, came = daemon.worked_seconds(), time()
    for _, _, stamp in told:  # the kernel begins with stamps a moment after it was asked
        seconds, nanoseconds = STAMP.unpack(stamp)
        worked -= came - seconds - nanoseconds / 1e9
    return worked


def push(left: dict[socket, memoryview]) -> None:
    """Send what each socket takes, and forget those that have ended."""
    for sock, data in list(left.items()):
        sock.setblocking(False)
        try:
            left[sock] = data[sock.send(data) :] if data else data
        except BlockingIOError:
            pass
        except OSError:
            del left[sock]


NOTHING: dict[str, tuple[str, int, Make, int]] = {
    "key updates to echo": ("echo", TLS_1_3, update, 12_000),
    "key updates to chargen, which is read": ("chargen", TLS_1_3, update, 12_000),
    "key updates that ask for none": ("echo", TLS_1_3, update_of_one, 12_000),
    "empty records": ("echo", TLS_1_3, empty, 5000),
    "empty records of TLS 1.2": ("echo", TLS_1_2, empty, 5000),
    "warnings": ("echo", TLS_1_3, canceled, 5000),
    "warnings of TLS 1.2": ("echo", TLS_1_2, canceled, 5000),
    "refusals to renegotiate": ("echo", TLS_1_2, not_again, 5000),
    "renegotiation": ("echo", TLS_1_2, again, 1000),
}
"""What is sent, and how much of it: beyond what a connection may cost, where it is answered.

Chargen reads nothing of a client that does not read."""
ENDED = {"tls_records", "tls_error"}
"""Reasons: ours, and OpenSSL's, which has limits for some of it. Nor does it go on where a second
update is asked for while the answer to the first waits behind a record that nobody takes."""
OURS = {"key updates to echo", "key updates that ask for none"}
"""What only we have a limit for."""


@pytest.mark.parametrize("what", NOTHING)
def test_who_sends_records_of_nothing_is_ended_and_costs_little(site: Site, what: str) -> None:
    """Four clients of a source do so, most of which read nothing: they are no ordinary ones."""
    service, version, make, records = NOTHING[what]
    daemon, count = site.daemon, EACH // 5
    with ExitStack() as stack:
        warm = site.peers(service, 1, version)[0]
        warm.send(warm.writer.data(b"x"))
        reset(warm.wire)
        daemon.wait_for("closed")
        peers = site.peers(service, count, version)
        for peer in peers:
            stack.callback(reset, peer.wire)
        before = most = daemon.memory()
        left = {peer.wire: memoryview(flood(make, records)(peer)) for peer in peers}

        def all_ended() -> bool:
            nonlocal most
            push(left)
            if service == "chargen":
                drain(left)
            most = max(most, daemon.memory())
            return len(daemon.events("closed")) == count + 1

        def figure() -> str:
            return f"{what}: all are ended, at {(most - before) // count} bytes each"

        wait_until(all_ended, figure)
        print(figure())  # noqa: T201 - what a reader of a failure wants
        assert (most - before) // count <= MOST_PER_CLIENT
        reasons = {one["reason"] for one in daemon.events("closed")[1:]}
        assert reasons <= ENDED
        assert what not in OURS or reasons == {"tls_records"}


def drain(socks: Iterable[socket]) -> None:
    """Read what has come."""
    for sock in socks:
        with suppress(OSError):
            while sock.recv(1024 * 1024):
                pass
