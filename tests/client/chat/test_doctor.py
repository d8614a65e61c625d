"""The doctor asks, waits and tells; here of servers on this host. (Of networks: tests/real.)"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import pytest_twisted
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import DatagramProtocol

from sockd.client.asking import Asking
from sockd.client.chat.doctor import BEAT_SECONDS, Doctor, Listener, examine, tell
from sockd.client.chat.servers import Server
from sockd.client.errors import UsageFault
from sockd.client.exits import Exit
from sockd.client.process import Run
from sockd.client.report import Data, Event, Start
from sockd.client.targets import Target, Transport
from sockd.formats.chat.events import Code, pack, unpack
from sockd.formats.chat.hello import Hello, Welcome
from sockd.testing.running import running_reactor, until
from tests.processes import free_port

HOST = "127.0.0.1"
WAIT = 2.0
"""Seconds for answers that come from this very process."""
Answers = Callable[[bytes], list[bytes]]


@define(eq=False)
class Fake(DatagramProtocol):
    """A server that answers as it is told."""

    answers: Answers
    had: list[int] = field(factory=list)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        event = unpack(datagram)
        assert event is not None
        assert self.transport is not None
        self.had.append(event.code)
        for data in self.answers(datagram):
            self.transport.write(data, addr)


@contextmanager
def serving(answers: Answers) -> Iterator[tuple[Fake, int]]:
    fake = Fake(answers)
    port = running_reactor().listenUDP(0, fake, HOST)
    try:
        yield fake, port.getHost().port
    finally:
        port.stopListening()


def run(told: list[Event] | None = None, wait: float = WAIT) -> Run:
    keep = [] if told is None else told
    return Run(running_reactor(), Asking(interface="lo", family=4, wait=wait), keep.append)


async def examined(port: int) -> tuple[Exit, list[str]]:
    lines: list[str] = []
    code = await Doctor(run(), lines.append, ports=[port]).examine()
    return code, lines


def as_old(data: bytes) -> list[bytes]:
    return [b"\x1b]0;owned\x07", pack(Code.WELCOME, b"1 forged"), pack(Code.ERROR, b"log in")]


def welcomed(data: bytes, rest: Answers) -> list[bytes]:
    event = unpack(data)
    assert event is not None
    if event.code != Code.NOTHING:
        return rest(data)
    hello = Hello.read(event.text)
    assert hello is not None
    return [Welcome(hello.nonce, b"server..", 1, bytes(16), ("session",), "alpha").write()]


@pytest_twisted.ensureDeferred
async def test_who_answers_is_told_and_what_is_no_answer_is_not() -> None:
    with serving(as_old) as (fake, port):
        code, lines = await examined(port)
    assert code is Exit.ANSWERED
    assert fake.had == [Code.NOTHING, Code.NOTHING]
    row = lines.index(f"  lo  this host {HOST}  2 sent, 1 answer")
    assert re.fullmatch(rf"    an old server at {HOST}: udp {port} \(\d+\.\d ms\)", lines[row + 1])
    assert "\x1b" not in "".join(lines)
    # an old one has no heartbeats
    assert not any("heartbeat" in line for line in lines)


@pytest_twisted.ensureDeferred
async def test_where_nobody_listens_that_is_told() -> None:
    code, lines = await examined(free_port())
    assert code is Exit.TIMEOUT
    assert f"  lo  this host {HOST}  2 sent, nobody listens" in lines
    assert any(line.startswith("Nobody answers.") for line in lines) or any(
        "on no network" in line for line in lines
    )


@pytest_twisted.ensureDeferred
async def test_a_host_that_is_named_is_looked_up_and_asked() -> None:
    told: list[Event] = []
    with serving(as_old) as (_, port):
        code = await examine(run(told), Target(Transport.UDP, host=HOST, port=port))
    assert code is Exit.ANSWERED
    text = b"".join(one.data for one in told if isinstance(one, Data)).decode()
    assert re.search(rf"^ +host {HOST} +2 sent, 1 answer$", text, re.M)


@pytest_twisted.ensureDeferred
async def test_an_interface_that_is_none_is_refused() -> None:
    asking = Asking(interface="eth99")
    with pytest.raises(UsageFault, match="eth99"):
        await examine(Run(running_reactor(), asking, lambda _: None))


# heartbeats


@pytest_twisted.ensureDeferred
async def test_a_server_that_lets_nobody_in_is_told_with_its_reason() -> None:
    def refuses(data: bytes) -> list[bytes]:
        return welcomed(data, lambda _: [pack(Code.ERROR, b"the server is full\x1b[2J")])

    with serving(refuses) as (fake, port):
        beat = await Listener(run(), Server(HOST, port)).wait(BEAT_SECONDS)
    assert beat.problem.startswith("the server is full")
    assert Code.OPEN in fake.had


@pytest_twisted.ensureDeferred
async def test_nobody_waits_longer_than_a_heartbeat_takes() -> None:
    with serving(lambda _: []) as (_, port):
        beat = await Listener(run(), Server(HOST, port)).wait(0.1)
    assert beat.seconds is None
    assert beat.waited >= 0.1


@pytest_twisted.ensureDeferred
async def test_a_wait_that_is_ended_leaves_no_socket() -> None:
    with serving(lambda _: []) as (fake, port):
        before = {*running_reactor().getReaders()}
        task = Deferred.fromCoroutine(Listener(run(), Server(HOST, port)).wait(60))
        await until(lambda: bool(fake.had))
        assert {*running_reactor().getReaders()} != before
        task.cancel()
        with pytest.raises(CancelledError):
            await task
        assert {*running_reactor().getReaders()} == before


def test_what_is_told_goes_out_as_it_is() -> None:
    out = io.BytesIO()
    told = tell(out)
    told(Data(target="", data=b"a line\n"))
    told(Start(command="chat", targets=(), at_ns=0, options={}))
    assert out.getvalue() == b"a line\n"
