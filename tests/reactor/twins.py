"""The same script for a connection, played on one of Twisted's own reactors and on ours.

A script (`tests.reactor.scripts`) says what a protocol does in its callbacks and between turns of
the reactor, and what the peer does: a plain socket in the test's hands. `play` plays it on one
reactor and returns what could be seen of it. A reactor is made for this, in a thread of its own,
and turned until nothing moves any more: scripts know no time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import trustme
from attrs import frozen
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from twisted.internet import tcp
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.protocol import ClientFactory
from twisted.internet.ssl import CertificateOptions
from twisted.logger import globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from sockd.reactor.uv import UvloopReactor
from tests.helpers import LogRecorder
from tests.processes import PATIENCE
from tests.reactor.far import FAMILIES, Far, at_once, dial, listener, secure, shakes_hands, small
from tests.reactor.scripts import Actor, Boom, Script, Step

IDLE_TURNS = 3
"""Turns of the reactor in which nothing happens, after which it counts as being at rest."""


@frozen
class Seen:
    """What could be seen of a script."""

    rests: tuple[tuple[Any, ...], ...]
    """What the protocol had seen each time that the reactor came to rest."""
    end: tuple[Any, ...]
    received: bytes
    far_received: bytes
    far_sent: int
    far_end: str
    written: int
    promised: int | None
    producer_calls: tuple[str, ...]
    faults: int
    others: tuple[str, ...]
    """Complaints in the log that are no fault of the script."""
    left: tuple[str, ...]


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def buildProtocol(self, addr: Any) -> Any:
        return self.actor

    def clientConnectionLost(self, connector: Any, reason: Any) -> None:
        self.actor.seen.append("connector")


class Twin:
    """A reactor in a thread of its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.reactor: Any = self.thread.submit(make).result()
        self.is_ours = isinstance(self.reactor, UvloopReactor)
        self.folder = tempfile.TemporaryDirectory()
        self.names = count()
        self.marks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.marks.bind(("127.0.0.1", 0))
        self.marks.settimeout(PATIENCE)
        self.thread.submit(_stay_on_one_processor).result()

    def play(self, script: Script, patience: float = 0.0) -> Seen:
        return self.thread.submit(_Play(self, script, patience).run).result()

    def turn(self) -> None:
        if self.is_ours:
            loop = self.reactor.loop
            loop.call_soon(loop.stop)
            loop.run_forever()
        else:
            self.reactor.iterate(0)
        self.deliver()

    def deliver(self) -> None:
        """Wait until everything that was sent has come, and what the kernel answers to it.

        The loopback hands on in order what one processor sends, mostly at once; but where the
        machine is busy the kernel may leave it to a thread of its own.
        """
        for _ in range(2):
            self.marks.sendto(b"", self.marks.getsockname())
            self.marks.recv(1)

    def close(self) -> None:
        self.thread.submit(self._close).result()
        self.thread.shutdown()
        self.marks.close()
        self.folder.cleanup()

    def _close(self) -> None:
        reactor = self.reactor
        for reader in list(reactor._internalReaders):
            reactor.removeReader(reader)
            reader.connectionLost(None)
        reactor._internalReaders.clear()
        if self.is_ours:
            reactor.loop.close()
            asyncio.set_event_loop(None)
        else:
            reactor._poller.close()


def _stay_on_one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # this thread's alone


@contextmanager
def twins() -> Iterator[tuple[Twin, Twin]]:
    """Twisted's epoll reactor, and ours."""
    tcp._reservedFD.reserve()
    stock, ours = Twin(EPollReactor), Twin(UvloopReactor)
    try:
        yield stock, ours
    finally:
        stock.close()
        ours.close()


@cache
def server_context() -> Any:
    """A TLS server's side: a context factory of Twisted's."""
    issued = trustme.CA().issue_cert("localhost")
    # pyOpenSSL's own objects are deprecated, and Twisted's types know no others yet
    key: Any = load_pem_private_key(issued.private_key_pem.bytes(), None)
    certificate: Any = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    return CertificateOptions(privateKey=key, certificate=certificate)


@cache
def authority() -> trustme.CA:
    """Who has signed for foreign servers."""
    return trustme.CA()


@cache
def foreign_server() -> ssl.SSLContext:
    """Python's own TLS as a server."""
    issued = authority().issue_cert("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(issued.private_key_and_cert_chain_pem.bytes())
        file.flush()
        context.load_cert_chain(file.name)
    return context


class _Play:
    """A script on its way."""

    def __init__(self, twin: Twin, script: Script, patience: float) -> None:
        self.twin = twin
        self.script = script
        self.patience = patience
        self.actor = Actor(script)
        self.rests: list[tuple[Any, ...]] = []
        self.faults: list[Failure] = []

    def run(self) -> Seen:
        before = self._what_is_there()
        log = LogRecorder()
        globalLogPublisher.addObserver(log)
        try:
            self._run()
        finally:
            globalLogPublisher.removeObserver(log)
        left = set(self._what_is_there()) - set(before)
        actor, far = self.actor, self.far
        logged = (event.get("log_failure") or event.get("failure") for event in log.logged)
        self.faults += filter(None, logged)
        booms = [one for one in self.faults if one.check(Boom)]
        return Seen(
            rests=tuple(self.rests),
            end=tuple(actor.seen),
            received=bytes(actor.received),
            far_received=bytes(far.received),
            far_sent=far.sent,
            far_end=far.end,
            written=actor.written,
            promised=actor.promised,
            producer_calls=tuple(actor.producer_calls),
            faults=len(booms),
            others=tuple(one.getTraceback() for one in self.faults if one not in booms),
            left=tuple(sorted(left)),
        )

    def _what_is_there(self) -> list[str]:
        reactor = self.twin.reactor
        found = []
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # the one that lists them
                found.append(f"descriptor {descriptor.readlink()}")
        found += [f"delayed call {call}" for call in reactor.getDelayedCalls()]
        found += [f"reader {one!r}" for one in reactor.getReaders()]
        found += [f"writer {one!r}" for one in reactor.getWriters()]
        return found

    def _run(self) -> None:
        port = self._connect()
        try:
            self._rest()
            for group in self.script.groups:
                for step in group:
                    self._do(step)
                self._rest()
            self._finish()
        finally:
            if not self.far.end.startswith("closed"):
                self.far.socket.close()
            if port is not None:
                port.stopListening()
            self.twin.turn()
            self.twin.turn()

    def _connect(self) -> Any:
        """The connection, from whichever side; the port, where our side has one."""
        transport = self.script.transport
        family = FAMILIES.get(transport, socket.AF_INET)
        listening = listener(family, f"{self.twin.folder.name}/{next(self.twin.names)}")
        factory: Any = _Factory(self.actor)
        reactor = self.twin.reactor
        port = server = None
        if transport == "client":
            reactor.connectTCP(*listening.getsockname(), factory)
            far = self._accept(listening)
        elif transport == "ssl client":
            reactor.connectSSL(*listening.getsockname(), factory, CertificateOptions())
            far, server = self._accept(listening), foreign_server()
        elif transport == "ssl":
            port = reactor.listenSSL(0, factory, server_context(), interface="127.0.0.1")
            far = dial(small(port.socket))
        else:
            if transport == "tls":
                factory = TLSMemoryBIOFactory(server_context(), False, factory)
            port = reactor.adoptStreamPort(listening.fileno(), family, factory)
            far = dial(listening)
        listening.close()
        far = at_once(far)
        if self.script.is_secure:
            far = secured = secure(far, server)
            self._turn_until(lambda: shakes_hands(secured))
        self.far = Far(far)
        self._turn_until(lambda: "made" in self.actor.seen)
        return port

    def _accept(self, listening: socket.socket) -> socket.socket:
        accepted: list[socket.socket] = []

        def accept() -> bool:
            with suppress(BlockingIOError):
                accepted.append(listening.accept()[0])
            return bool(accepted)

        self._turn_until(accept)
        return accepted[0]

    def _do(self, step: Step) -> None:
        name, argument = step
        if name.startswith("far "):
            getattr(self.far, name.removeprefix("far ").replace(" ", "_"))(argument)
            self.twin.deliver()
        else:
            try:
                self.actor.do(step)
            except Boom:  # a callback's, from within the call
                self.faults.append(Failure())

    def _turn_until(self, is_so: Callable[[], object]) -> bool:
        end = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > end:
                return False
            self.twin.turn()
        return True

    def _state(self) -> Any:
        actor, far = self.actor, self.far
        return len(actor.received), actor.seen[-1:], actor.written, len(far.received), far.end

    def _rest(self, reads: bool = False) -> None:
        """Turn until nothing moves."""
        since, idle, state = time.monotonic(), 0, self._state()
        while idle < IDLE_TURNS or time.monotonic() < since + self.patience:
            self.twin.turn()
            if reads:
                while self.far.read(1 << 20):
                    pass
            new = self._state()
            if new == state:
                idle += 1
            else:
                since, idle, state = time.monotonic(), 0, new
        self.rests.append(tuple(self.actor.seen))

    def _finish(self) -> None:
        """The far side reads to the end, and our side closes what is open still."""
        self._rest(reads=True)
        actor = self.actor
        if not self.actor.is_lost:
            self._do(("resume", None))
            self._rest(reads=True)
        if not self.actor.is_lost:
            self._do(("unregister", None))
            self._do(("lose", None))
            self._do(("resume", None))  # TLS ends when the other side has said that it does

        def is_over() -> bool:
            while self.far.read(1 << 20):
                pass
            if self.far.end and self.script.is_secure:
                self.far.close(None)  # TLS waits for the other side to end, too
            return self.actor.is_lost and bool(self.far.end)

        if not self._turn_until(is_over):
            actor.seen.append("far end hears nothing" if actor.is_lost else "never lost")
        for _ in range(IDLE_TURNS):
            self.twin.turn()
