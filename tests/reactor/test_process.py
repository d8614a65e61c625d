"""The process around a reactor: descriptors that run out, signals, clocks and children."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol

from sockd.testing.sockets import Connection
from tests.helpers import until
from tests.memory import REACTOR
from tests.processes import PATIENCE, Running, running, wait_until

SERVER = """
import sys
from twisted.application.reactors import installReactor
reactor = installReactor(sys.argv[1])
from twisted.internet.protocol import Factory, Protocol
class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)
port = reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
reactor.addSystemEventTrigger("after", "shutdown", print, "stopped", flush=True)
reactor.callWhenRunning(print, "port", port.getHost().port, flush=True)
reactor.run()
print("over", flush=True)
"""
CLOCK = """
import sys, time
from twisted.application.reactors import installReactor
reactor = installReactor(sys.argv[1])
def bounds():
    low = time.monotonic()
    now = reactor.seconds()
    return now - time.monotonic(), now - low
first = bounds()
time.time = lambda: 0.0
second = bounds()
# a date in seconds is exact to a quarter of a microsecond
assert max(first[0], second[0]) <= min(first[1], second[1]) + 1e-6, (first, second)
"""


@contextmanager
def serving() -> Iterator[tuple[Running, tuple[str, int]]]:
    """A process that serves echo on the reactor that the suite runs on; and its address."""
    with running([sys.executable, "-c", SERVER, os.environ["SOCKD_TEST_REACTOR"]]) as child:
        port = int(child.wait_for(r"port (\d+)\n")[1])
        yield child, ("127.0.0.1", port)


def echoes(address: tuple[str, int]) -> bool:
    """Whether a connection is served, and not closed."""
    with Connection(address) as peer:
        peer.send(b"hello")
        return peer.receive(5) == b"hello"


def test_a_server_goes_on_when_descriptors_have_run_out() -> None:
    """Those that come too many are closed, and the next that there is room for is served."""
    with serving() as (child, address):
        limit = len(list(Path(f"/proc/{child.pid}/fd").iterdir())) + 10
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with ExitStack() as stack:
            peers = [stack.enter_context(Connection(address)) for _ in range(60)]
            for peer in peers:
                peer.send(b"x")
            answers = [peer.receive(1) for peer in peers]
        assert 0 < answers.count(b"x") < len(peers)
        assert set(answers) == {b"x", b""}
        # until the server has seen that they are gone
        wait_until(lambda: echoes(address), "there is room again", PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_stops_the_reactor_in_order(number: signal.Signals) -> None:
    with serving() as (child, address), Connection(address) as peer:
        assert echoes(address)
        child.process.send_signal(number)
        child.wait_for("stopped\nover")
        assert child.wait() == 0
        assert peer.receive() == b""


@pytest.mark.uvloop
def test_the_reactor_s_seconds_go_on_when_the_clock_is_set() -> None:
    with running([sys.executable, "-c", CLOCK, os.environ["SOCKD_TEST_REACTOR"]]) as child:
        assert child.wait() == 0, child.text()


class Child(ProcessProtocol):
    """Keeps why it ended."""

    def __init__(self) -> None:
        self.ended: Any = None

    def processEnded(self, reason: Any) -> None:
        self.ended = reason


@pytest_twisted.ensureDeferred
async def test_children_that_end_at_once_are_reaped_and_told_each() -> None:
    children = [Child() for _ in range(20)]
    for child in children:
        REACTOR.spawnProcess(child, "/bin/true", ["true"])
    await until(lambda: all(child.ended for child in children))
    assert all(child.ended.check(ProcessDone) for child in children)
