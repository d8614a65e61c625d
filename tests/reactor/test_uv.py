"""The reactor on uvloop around its connections: its log, its end, and what it says of addresses."""

from __future__ import annotations

import sys

import pytest
import pytest_twisted

from tests.daemons import give, inside, namespace
from tests.helpers import LogRecorder, until
from tests.memory import REACTOR

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
