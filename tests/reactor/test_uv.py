"""The reactor on uvloop around its connections: its log, its end, and what it says of addresses."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.abstract import FileDescriptor

from tests.daemons import give, inside, namespace
from tests.helpers import LogRecorder, until
from tests.memory import REACTOR
from tests.reactor.programs import said

LINK_LOCAL = "fe80::77"
PROGRAM = """
import sys
from twisted.internet import protocol
from twisted.application.reactors import installReactor
from twisted.logger import globalLogPublisher
from twisted.python import log

reactor = installReactor(sys.argv[1])

def show(*words):
    print(*(str(word).replace(str(port.getHost().port), "PORT") for word in words))

class End(protocol.Protocol):
    def connectionMade(self):
        host, peer = self.transport.getHost(), self.transport.getPeer()
        for one in (host, peer):
            show(self.factory.who, type(one).__name__, one.host, one.scopeID)
        if self.factory.who == "client":
            show(peer)
            self.transport.write(b"!")

    def dataReceived(self, data):
        log.msg("heard")
        reactor.stop()

    def connectionLost(self, reason):
        show(self.factory.who, "lost", reason.type.__name__)

def observe(event):
    if event.get("log_text") == "heard":
        show(event["log_system"])

server, client = protocol.Factory.forProtocol(End), protocol.ClientFactory.forProtocol(End)
server.noisy = client.noisy = False
server.who, client.who = "server", "client"
port = reactor.listenTCP(0, server, interface=sys.argv[2])
port.getHost = lambda address=port.getHost(): address
globalLogPublisher.addObserver(observe)
reactor.connectTCP(sys.argv[2], port.getHost().port, client)
reactor.run()
"""


def test_addresses_with_a_scope_log_lines_and_the_end_are_as_on_a_stock_reactor() -> None:
    program = (sys.executable, "-c", PROGRAM)
    with namespace() as host:
        give(host, f"{LINK_LOCAL}/64", "lo")
        interface = f"{LINK_LOCAL}%lo"
        stock, ours = (
            sorted(inside(host, *program, name, interface, seconds=50).splitlines())
            for name in ("epoll", "uvloop")
        )
    assert f"server IPv6Address {interface}".encode() in b"\n".join(stock)
    assert f"End,0,{interface}".encode() in stock
    assert sum(b"lost" in line for line in stock) == 2
    assert stock == ours


@pytest.mark.uvloop
@pytest_twisted.ensureDeferred
async def test_a_fault_in_a_callback_of_the_loop_is_in_the_log(log: LogRecorder) -> None:
    def fail() -> None:
        raise ArithmeticError("seven")

    REACTOR.loop.call_soon(fail)
    await until(log.faults)
    [fault] = log.flush_faults()
    assert fault["log_failure"].check(ArithmeticError)


ITERATED = """
import time
from twisted.internet import protocol

class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)

class Asks(protocol.Protocol):
    heard = b""

    def connectionMade(self):
        self.transport.write(b"hello")

    def dataReceived(self, data):
        self.heard += data

reactor.startRunning()
port = reactor.listenTCP(0, protocol.Factory.forProtocol(Echo), interface="127.0.0.1")
creator = protocol.ClientCreator(reactor, Asks)
made = []
creator.connectTCP("127.0.0.1", port.getHost().port).addCallback(made.append)
until = time.monotonic() + 60
while not made or made[0].heard != b"hello":
    assert time.monotonic() < until
    reactor.iterate()
print("heard")

done = []
reactor.callLater(0, done.append, "timer")
reactor.iterate()
reactor.callFromThread(done.append, "thread")
reactor.iterate()
print(*done)

reactor.iterate(0.01)
reactor.callLater(0, reactor.crash)
reactor.iterate(0.3)  # something else ends it, and it leaves nothing that ends the next run
reactor.callLater(0.6, reactor.stop)
reactor.addSystemEventTrigger("after", "shutdown", print, "stopped")
reactor.run()
print("over")
"""


@pytest.mark.uvloop
@pytest.mark.parametrize("reactor", ["uvloop", "epoll"])
def test_a_reactor_can_be_turned_by_hand_with_a_time_and_without(reactor: str) -> None:
    assert said(ITERATED, reactor) == ["heard", "timer thread", "stopped", "over"]


class Faulty(FileDescriptor):
    """A descriptor that raises whatever is done with it."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(REACTOR)
        self.fileno = sock.fileno  # type: ignore[method-assign]
        self.calls = 0
        self.told: list[Any] = []

    def doRead(self) -> None:
        self.calls += 1
        if self.calls > 1:  # it would not come to an end
            self.stopReading()
            self.stopWriting()
            return
        raise SystemExit("seven")

    doWrite = doRead

    def connectionLost(self, reason: Any) -> None:
        super().connectionLost(reason)
        self.told.append(reason)


@pytest.mark.uvloop
@pytest.mark.parametrize("begin", [Faulty.startReading, Faulty.startWriting])
@pytest_twisted.ensureDeferred
async def test_a_descriptor_that_raises_system_exit_is_removed_and_told_once(
    begin: Callable[[Faulty], None], log: LogRecorder
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"x")
        faulty = Faulty(ours)
        begin(faulty)
        await until(lambda: faulty.told or faulty.calls > 1)
        assert faulty not in {*REACTOR.getReaders(), *REACTOR.getWriters()}
    assert faulty.calls == 1
    [reason] = faulty.told
    assert reason.check(SystemExit)
    [fault] = log.flush_faults()
    assert fault["log_failure"].check(SystemExit)
