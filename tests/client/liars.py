"""Servers that follow a script: they lie, are slow, say nothing, reset, or talk garbage.

A script is what is done with each connection, step by step; at its end the connection is closed.

    with stream_liar(hears(5), says(b"garbage"), resets) as liar:
        ...  # sock get 127.0.0.1 liar.port

A server of datagrams is a function: what it answers to each datagram, in order.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field

from sockd.listen.sockets import widen
from tests.processes import PATIENCE, wait_until

LOOPBACK = "127.0.0.1"
BUFFER = 4 << 20
"""Bytes that wait for a server of datagrams: it may stand still for seconds, and loses nothing."""


@define(eq=False)
class Liar:
    """A server that runs in threads while its block does."""

    sock: socket.socket
    path: str = ""
    heard: list[bytearray] = field(factory=list)
    """What each connection has said so far; each datagram."""
    over: threading.Event = field(factory=threading.Event)
    threads: list[threading.Thread] = field(factory=list)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.sock.getsockname()[1])

    def wait_heard(self, count: int) -> bytes:
        """What the connections or datagrams have said, once there are so many."""
        wait_until(lambda: len(self.heard) >= count, f"{count} have come")
        return b"".join(self.heard)


@define(eq=False)
class Told:
    """One connection of a script."""

    liar: Liar
    sock: socket.socket
    heard: bytearray


Step = Callable[[Told], None]


def says(data: bytes) -> Step:
    """Send it."""
    return lambda told: told.sock.sendall(data)


def drips(data: bytes, before: Callable[[], None] = lambda: None) -> Step:
    """Send it byte by byte; `before` each, as to wait for something."""

    def step(told: Told) -> None:
        for number in range(len(data)):
            before()
            told.sock.sendall(data[number : number + 1])

    return step


def hears(count: int) -> Step:
    """Read until the client has said so many bytes in all."""

    def step(told: Told) -> None:
        while len(told.heard) < count and (data := told.sock.recv(65536)):
            told.heard += data

    return step


def hears_end(told: Told) -> None:
    """Read until the client has finished."""
    while data := told.sock.recv(65536):
        told.heard += data


def echoes(told: Told) -> None:
    """Send back what comes, to the end."""
    while data := told.sock.recv(65536):
        told.heard += data
        told.sock.sendall(data)


def stays(told: Told) -> None:
    """Keep it open, say nothing and read nothing, to the end of the test."""
    told.liar.over.wait(PATIENCE * 2)


def resets(told: Told) -> None:
    """Close it with a reset."""
    told.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    told.sock.close()


@contextmanager
def stream_liar(
    *script: Step, path: Path | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[Liar]:
    """A server of connections: TCP, or at a path; over TLS with a certificate and its key."""
    if path is not None:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen()
    else:
        listening = socket.create_server((LOOPBACK, 0))
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, tls))
    liar = Liar(listening, str(path or ""))

    def play(sock: socket.socket) -> None:
        with suppress(OSError):  # the client may leave at any step
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True)
            told = Told(liar, sock, bytearray())
            liar.heard.append(told.heard)
            for step in script:
                step(told)
        sock.close()

    def accept() -> None:
        while (sock := _next(liar)) is not None:
            sock.settimeout(PATIENCE)
            thread = threading.Thread(target=play, args=(sock,), daemon=True)
            liar.threads.append(thread)
            thread.start()

    with _running(liar, accept):
        yield liar


def _next(liar: Liar) -> socket.socket | None:
    with suppress(OSError):
        return liar.sock.accept()[0]
    return None


@contextmanager
def datagram_liar(
    answers: Callable[[bytes], Sequence[bytes]], path: Path | None = None
) -> Iterator[Liar]:
    """A server of datagrams: UDP, or at a path. No answers: it says nothing."""
    if path is not None:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listening.bind(str(path))
    else:
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.bind((LOOPBACK, 0))
        widen(listening, BUFFER)
    liar = Liar(listening, str(path or ""))

    def answer() -> None:
        while not liar.over.is_set():
            if not select.select([listening], [], [], 0.05)[0]:
                continue
            try:
                data, address = listening.recvfrom(65536)
            except OSError:  # it was closed
                break
            if address is None:  # it was shut down
                break
            liar.heard.append(bytearray(data))
            for said in answers(data):
                with suppress(OSError):
                    listening.sendto(said, address)

    with _running(liar, answer):
        yield liar


@contextmanager
def _running(liar: Liar, serve: Callable[[], None]) -> Iterator[None]:
    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield
    finally:
        liar.over.set()
        with suppress(OSError):
            liar.sock.shutdown(socket.SHUT_RDWR)  # which ends `accept`
        server.join(PATIENCE)
        liar.sock.close()
        for thread in liar.threads:
            thread.join(PATIENCE)
        if liar.path:
            Path(liar.path).unlink()


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port where nobody listens, and nobody else can meanwhile."""
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        yield int(taken.getsockname()[1])
