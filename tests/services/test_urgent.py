"""urgent: what it reports of a stream, over real connections, as kernels send urgent data."""

from __future__ import annotations

import random
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import deferLater

from sockd.config.document import ConfigError
from sockd.daemon.instance import RunningInstance
from sockd.formats.urgent import normal_data, short_lines
from sockd.net import urgent
from sockd.net.states import Hold
from sockd.services.urgent import MOST_READ, TOLD_PER_SECOND
from sockd.testing.running import running_reactor
from sockd.testing.sockets import address_of, serve
from tests.contract.samples import reported
from tests.helpers import FOUND, LogRecorder, connect, make_context, make_settings, until

pytestmark = pytest.mark.usefixtures("own_runtime")
BUFFER = 32 * 1024
"""Bytes of the kernel's, so that who does not read is soon full."""
LONGEST_REPORT = 4 * MOST_READ + len(b"got 1024 bytes of normal data: \r\n")


async def turn() -> None:
    """Let the reactor have its turn."""
    await deferLater(running_reactor(), 0)


def small(sock: socket.socket) -> None:
    """Give it small buffers."""
    for name in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, name, BUFFER)


class Peer:
    """A client that sends what it likes, and reads when it likes; nothing of it waits."""

    def __init__(self, instance: RunningInstance) -> None:
        self.instance = instance
        [listener] = instance.listeners
        self.socket = socket.socket()
        small(self.socket)
        self.socket.connect(address_of(listener))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.came = b""
        self.saw_end = False

    def send(self, data: bytes) -> None:
        assert self.socket.send(data) == len(data)

    def send_urgent(self, byte: bytes = b"!") -> None:
        assert self.socket.send(byte, socket.MSG_OOB) == 1

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read(self) -> None:
        with suppress(BlockingIOError):
            while data := self.socket.recv(65536):
                self.came += data
            self.saw_end = True

    @property
    def lines(self) -> list[str]:
        """The reports that have come."""
        self.read()
        return self.came.decode().split("\r\n")[:-1]

    async def until_reports(self, count: int) -> list[str]:
        await until(lambda: len(self.lines) >= count)
        return self.lines

    async def until_end(self) -> list[str]:
        """All reports, to the end."""
        await until(lambda: (self.read(), self.saw_end)[1])
        return self.lines

    async def until_told(self, ordinary: bytes) -> None:
        """Until the service has told of so much ordinary data."""
        await until(lambda: told(self.lines)[0].replace(b"!", b"") == ordinary)

    @property
    def session(self) -> Any:
        """The service's side of it."""
        [found] = self.instance.context.guard.sessions
        return found

    async def until_there(self) -> Any:
        """The service's side of it, once it is there, with small buffers."""
        await until(lambda: self.instance.context.guard.sessions)
        small(self.session.transport.getHandle())
        return self.session


@asynccontextmanager
async def served(**table: Any) -> AsyncIterator[Peer]:
    """A client of an instance; it is over without a fault, and nothing is watched any more."""
    async with serve("urgent", "tcp:0:interface=127.0.0.1", **table) as instance:
        peer = Peer(instance)
        with peer.socket:
            yield peer
        guard, watch = instance.context.guard, instance.context.world.urgent
        await until(lambda: not guard.sessions)
        assert not guard.counts["errors"]
        assert not watch._watched
        assert watch.fileno() == -1


def told(lines: list[str]) -> tuple[bytes, bytes]:
    """The ordinary data and the urgent bytes of reports."""
    normal, urgent_bytes = reported("".join(f"{line}\r\n" for line in lines).encode())
    return normal, urgent_bytes


# what is reported

OUT_OF_BAND = [
    "got 3 bytes of normal data: aa",
    "got 1 byte of urgent data: !",
    "got 3 bytes of normal data: ab",
    "got 1 byte of urgent data: ?",
]
INLINE = [
    "got 3 bytes of normal data: aa",
    "got 1 bytes of normal data: !",
    "got 3 bytes of normal data: ab",
    "got 1 bytes of normal data: ?",
]


@pytest.mark.parametrize(("inline", "transcript"), [(False, OUT_OF_BAND), (True, INLINE)])
@pytest_twisted.ensureDeferred
async def test_each_read_is_a_line_and_the_log_has_the_same_ones(
    inline: bool, transcript: list[str], log: LogRecorder
) -> None:
    async with served(inline=inline) as peer:
        for number, byte in enumerate(b"!?"):
            peer.send(b"a%c\n" % (ord("a") + number))
            await peer.until_reports(2 * number + 1)
            peer.send_urgent(bytes([byte]))
            await peer.until_reports(2 * number + 2)
        peer.end()
        assert await peer.until_end() == transcript
    whose = "urgent: 127.0.0.1:[0-9]+: "
    said = [line for line in log.lines() if " got " in line]
    assert [re.sub(f"^{whose}", "", line) for line in said] == transcript


@pytest_twisted.ensureDeferred
async def test_the_log_has_a_read_as_fields(log: LogRecorder) -> None:
    async with served() as peer:
        peer.send(b"\x1b[2J\xff\r\n")
        await peer.until_reports(1)
        peer.send_urgent(b"\0")
        await peer.until_reports(2)
    [normal], [one] = log.events("normal-data"), log.events("urgent-data")
    assert (normal["size"], normal["text"], int(normal["suppressed"])) == (7, "\x1b[2J\\xff", 0)
    assert (one["service"], one["text"], int(one["suppressed"])) == ("urgent", "\0", 0)


@pytest_twisted.ensureDeferred
async def test_what_is_no_text_is_escaped_and_the_last_line_end_is_counted_but_not_shown() -> None:
    async with served() as peer:
        peer.send(b"a\nb\\\x1b\xffn\xc3\xb6\r\n")
        lines = await peer.until_reports(1)
        peer.send_urgent(b"\n")
        lines = await peer.until_reports(2)
    assert lines == [
        r"got 11 bytes of normal data: a\x0ab\\\x1b\xffnö",
        r"got 1 byte of urgent data: \x0a",
    ]


@pytest.mark.parametrize("inline", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_long_text_is_reported_whole_in_lines_of_bounded_length(inline: bool) -> None:
    sent = bytes(range(256)) * 512
    async with served(inline=inline) as peer:
        at = 0
        while at < len(sent):
            with suppress(BlockingIOError):
                at += peer.socket.send(sent[at:])
            peer.read()
            await turn()
        peer.end()
        lines = await peer.until_end()
    assert told(lines) == (sent, b"")
    assert max(len(line.encode()) for line in lines) + 2 <= LONGEST_REPORT
    assert len(lines) >= len(sent) // (MOST_READ + 1)


@given(st.binary(max_size=60))
def test_a_report_tells_exactly_what_came(data: bytes) -> None:
    assert told([normal_data(data)]) == (data, b"")


# where urgent bytes are


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_before_any_data_is_told_and_what_follows_is_whole() -> None:
    async with served() as peer:
        peer.send_urgent()
        peer.send(b"after")  # in one go: it may be there before the connection is accepted
        peer.end()
        lines = await peer.until_end()
    assert told(lines) == (b"after", b"!")


@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_alone_is_told_before_anything_else_comes() -> None:
    async with served() as peer:
        peer.send_urgent()
        assert await peer.until_reports(1) == ["got 1 byte of urgent data: !"]
        peer.send_urgent(b"?")
        assert (await peer.until_reports(2))[1:] == ["got 1 byte of urgent data: ?"]
        peer.send(b"then")
        assert (await peer.until_reports(3))[2:] == ["got 4 bytes of normal data: then"]


@pytest.mark.parametrize("before", [b"", b"before"])
@pytest.mark.parametrize("inline", [False, True])
@pytest_twisted.ensureDeferred
async def test_an_urgent_byte_at_the_very_end_is_told(inline: bool, before: bytes) -> None:
    async with served(inline=inline) as peer:
        if before:
            peer.send(before)
        peer.send_urgent()
        peer.end()
        lines = await peer.until_end()
    assert told(lines) == ((before + b"!", b"") if inline else (before, b"!"))


@pytest_twisted.ensureDeferred
async def test_of_urgent_bytes_in_a_row_none_is_told_twice_and_the_last_is_told() -> None:
    """There is one mark: the kernel makes some of them ordinary, and drops those that it has no
    ordinary byte before."""
    sent = bytes(range(33, 127)) * 4
    async with served() as peer:
        for byte in sent:
            peer.send_urgent(bytes([byte]))
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    assert urgent_bytes.endswith(sent[-1:])
    for part in (normal, urgent_bytes):  # in order
        rest = iter(sent)
        assert all(byte in rest for byte in part)
    assert not Counter(normal + urgent_bytes) - Counter(sent)


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("seed", range(8))
@pytest_twisted.ensureDeferred
async def test_nothing_is_lost_and_ordinary_data_keeps_its_order(seed: int, inline: bool) -> None:
    chance = random.Random(seed)
    everything, ordinary = b"", b""
    async with served(inline=inline) as peer:
        for number in range(60):
            if chance.random() < 0.4:
                peer.send_urgent(b"!")
                everything += b"!"
            else:
                data = b"%d," % number * chance.choice([1, 1, 5, 400])
                peer.send(data)
                everything, ordinary = everything + data, ordinary + data
            if chance.random() < 0.3:  # what is there is read before the next one comes
                await peer.until_told(ordinary)
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    if inline:
        assert (normal, urgent_bytes) == (everything, b"")
    else:
        assert normal.replace(b"!", b"") == ordinary
        assert len(normal) + len(urgent_bytes) <= len(everything)
        assert set(urgent_bytes) <= {ord("!")}


# clients that misbehave


@pytest_twisted.ensureDeferred
async def test_a_client_that_ends_its_half_in_the_middle_gets_its_reports_and_the_end() -> None:
    async with served() as peer:
        peer.send(b"one")
        await peer.until_reports(1)
        peer.send_urgent()
        await peer.until_reports(2)
        peer.send(b"half a line")
        peer.end()
        assert told(await peer.until_end()) == (b"onehalf a line", b"!")


@pytest.mark.parametrize("inline", [False, True])
@pytest_twisted.ensureDeferred
async def test_who_does_not_read_is_not_read_from_and_then_told_of_everything(inline: bool) -> None:
    everything = b""
    async with served(inline=inline) as peer:
        session = await peer.until_there()
        piece = b"\0" * 16384  # its report is four times as long
        while True:
            with suppress(BlockingIOError):
                everything += piece[: peer.socket.send(piece)]
                continue
            if Hold.PEER in session.holds:
                break
            await turn()
        assert len(session.transport.dataBuffer) <= LONGEST_REPORT * 2
        reports = session.bytes_out
        # where there is no room for it, it is announced; the service looks for it no more
        with suppress(BlockingIOError):
            everything += b"!" * peer.socket.send(b"!", socket.MSG_OOB)
        await turn()
        assert session.bytes_out == reports
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    assert normal + urgent_bytes == everything


@pytest_twisted.ensureDeferred
async def test_urgent_bytes_of_who_does_not_read_are_not_held_for_him() -> None:
    """They stay with the kernel, which has room for one; nothing grows here."""
    async with served() as peer:
        session = await peer.until_there()
        session.pauseProducing()  # as the transport does when too much waits
        peer.send(b"before")
        for byte in b"12345":
            peer.send_urgent(bytes([byte]))
        peer.send(b"behind")
        await turn()
        assert session.bytes_out == 0
        session.resumeProducing()
        peer.end()
        normal, urgent_bytes = told(await peer.until_end())
    assert (normal, urgent_bytes) == (b"before1234behind", b"5")


@pytest_twisted.ensureDeferred
async def test_who_never_reads_is_cut_off_after_a_while(log: LogRecorder) -> None:
    async with served(write_timeout="1s") as peer:
        await peer.until_there()
        piece = b"\0" * 16384
        while peer.instance.context.guard.sessions:
            with suppress(OSError):
                peer.socket.send(piece)
            await turn()
    [closed] = log.events("closed")
    assert closed["reason"].name == "write_timeout"


@pytest.mark.parametrize("blocked", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_reset_after_an_urgent_byte_leaves_nothing(blocked: bool) -> None:
    async with served() as peer:
        peer.send(b"one")
        await peer.until_reports(1)
        if blocked:
            peer.session.pauseProducing()
        peer.send_urgent()
        peer.reset()


# the log, in memory


def test_the_log_is_told_of_ten_reads_a_second_and_then_of_how_many_it_was_not(
    log: LogRecorder,
) -> None:
    context = make_context("urgent")
    first, second = connect("urgent", context), connect("urgent", context)
    lines = list(islice(short_lines(), TOLD_PER_SECOND + 4))
    for number, line in enumerate(lines):
        (first, second)[number % 2].send(line)
    assert len(log.events("normal-data")) == TOLD_PER_SECOND
    first.loop.advance(1)
    first.send(b"later")
    assert log.lines()[-1].endswith(": later (and 4 more since the last report)")
    received = (first.received + second.received).count(b"\n")
    assert received == len(lines) + 1
    first.end()
    second.end()


def test_a_line_of_the_log_has_no_more_than_a_read(log: LogRecorder) -> None:
    client = connect("urgent", make_context("urgent"))
    client.send(b"x" * 5000)
    client.end()
    sizes = [event["size"] for event in log.events("normal-data")]
    assert sizes == [1024, 1024, 1024, 1024, 904]


# the configuration


@pytest.mark.parametrize(
    ("listen", "transport"),
    [("tls:2008:privateKey=k.pem:certKey=c.pem", "tls"), ("unix:/run/u.sock", "unix")],
)
def test_another_transport_than_tcp_is_refused_and_the_sentence_says_which_works(
    listen: str, transport: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        make_settings("urgent", [listen])
    assert f"urgent does not work over {transport}, only over tcp" in str(refused.value)
    assert "service.urgent.listen" in str(refused.value)


def test_elsewhere_than_on_linux_the_configuration_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urgent, "IS_HERE", False)
    with pytest.raises(ConfigError, match="urgent data works on Linux alone"):
        make_settings("urgent")


def test_the_pages_say_that_it_works_over_tcp_alone() -> None:
    assert FOUND.kinds["urgent"].transports == ("tcp",)


def test_short_lines_go_on_behind_the_last_of_two_letters() -> None:
    lines = list(islice(short_lines(), 26 * 26 + 2))
    assert lines[:2] == [b"aa\n", b"ab\n"]
    assert lines[26 * 26 - 1 :] == [b"zz\n", b"aaa\n", b"aab\n"]
    assert len(set(lines)) == len(lines)
