"""Whose turn it is: the stack of contexts on which a connection lies then."""

from __future__ import annotations

import pytest

from tests.reactor.programs import said

# A reactor that the main thread makes and another runs, as crochet and notebooks do. A connection
# is served while the main thread is within a call with a context of its own.
ELSEWHERE = """
import socket, threading
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher
from twisted.python import context, log

is_served, is_called, is_over = threading.Event(), threading.Event(), threading.Event()

class Served(Protocol):
    def dataReceived(self, data):
        is_served.set()
        assert is_called.wait(60)
        log.msg("heard")
        reactor.callFromThread(is_over.set)

def observe(event):
    if event.get("log_text") == "heard":
        print(event["log_system"])

globalLogPublisher.addObserver(observe)
factory = Factory.forProtocol(Served)
factory.noisy = False
port = reactor.listenTCP(0, factory, interface="127.0.0.1")
thread = threading.Thread(target=reactor.run, kwargs={"installSignalHandlers": False})
thread.start()
with socket.create_connection(("127.0.0.1", port.getHost().port)) as peer:
    peer.send(b"x")
    assert is_served.wait(60)

    def look():
        is_called.set()
        assert is_over.wait(60)
        return context.get("mine")

    print(context.call({"mine": "kept"}, look))
reactor.callFromThread(reactor.stop)
thread.join()
"""


@pytest.mark.uvloop
@pytest.mark.parametrize("reactor", ["uvloop", "epoll", "asyncio"])
def test_a_reactor_in_another_thread_leaves_the_contexts_of_the_thread_alone_that_made_it(
    reactor: str,
) -> None:
    assert said(ELSEWHERE, reactor) == ["Served,0,127.0.0.1", "kept"]
