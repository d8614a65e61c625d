"""Real listeners on the running reactor, and blocking clients that run in a thread beside it."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from OpenSSL import SSL

from sockd.daemon.instance import RunningInstance, make_instance
from sockd.net.listener import Listener
from sockd.service import Kind
from sockd.testing.certificate import make_certificate
from sockd.testing.instances import make_settings, make_world
from sockd.testing.running import PATIENCE, running_reactor

TIMEOUT = PATIENCE
"""Seconds that a client waits for anything."""


@asynccontextmanager
async def serve(
    kind: Kind | str, *listens: str, host: Any = None, **table: Any
) -> AsyncIterator[RunningInstance]:
    """An instance that listens; when it has stopped, its socket files are gone.

    The table's values are as in TOML; other doors than the main one have their key in it.
    """
    if listens:
        table["listen"] = listens
    settings = make_settings(kind, **table)
    instance = make_instance(settings, host or make_world(running_reactor()))
    instance.start()
    try:
        yield instance
    finally:
        await instance.stop()
        paths = [listen.path for listen in settings.listen if listen.path]
        assert not [path for path in paths if Path(path).exists()]


@asynccontextmanager
async def serve_door(
    kind: Kind, role: str, transport: str, folder: Path, **table: Any
) -> AsyncIterator[tuple[RunningInstance, Listener]]:
    """An instance whose door with this role listens on one address of a transport: its listener."""
    tls_files = make_certificate(folder) if transport == "tls" else ()
    text = listen_string(transport, folder, tls_files)
    where = {kind.door(role).key: [text]}
    async with serve(kind, **table, **where) as instance:
        [listener] = [listener for listener in instance.listeners if listener.listen.role == role]
        yield instance, listener


def listen_string(transport: str, folder: Path, tls_files: Sequence[Path] = ()) -> str:
    """A listen string of a transport: a port that the kernel chooses, or a socket in a folder."""
    if transport == "tls":
        certificate, key, *_ = tls_files
        return f"tls:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    if transport in ("unix", "unixgram"):
        return f"{transport}:{folder / 'service.sock'}"
    return f"{transport}:0:interface=127.0.0.1"


def address_of(listener: Listener) -> Any:
    """What a client connects to: a path, or host and port."""
    if listener.listen.path:
        return listener.listen.path
    host, _, port = listener.address.rpartition(":")
    return (host.strip("[]"), int(port))


class Connection:
    """A client's connection: plain, over TCP or a Unix socket."""

    def __init__(self, address: Any) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it; a server that has closed already need not hear the rest."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def end(self) -> None:
        """End the writing half."""
        with suppress(OSError):  # the server was faster
            self.socket.shutdown(socket.SHUT_WR)

    def receive(self, size: int | None = None) -> bytes:
        """So many bytes, or everything to the end."""
        parts: list[bytes] = []
        left = size
        while left is None or left > 0:
            part = self.receive_some(65536 if left is None else left)
            if not part:
                break
            parts.append(part)
            left = None if left is None else left - len(part)
        return b"".join(parts)

    def receive_some(self, size: int) -> bytes:
        """What is there, at most `size` bytes; nothing at the end."""
        try:
            return self.socket.recv(size)
        except ConnectionResetError:
            # the server closed with something of ours unread; what it sent came before
            return b""

    def reset(self) -> None:
        """Be gone without a word."""
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class TLSConnection(Connection):
    """A client's connection over TLS, that can end its half and go on reading as TLS 1.3 allows."""

    def __init__(self, address: Any) -> None:
        super().__init__(address)
        self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), self.socket)
        self.tls.set_connect_state()
        self._patiently(self.tls.do_handshake)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            with suppress(BrokenPipeError, ConnectionResetError, SSL.Error):
                view = view[self._patiently(self.tls.send, bytes(view[:16384])) :]
                continue
            return

    def end(self) -> None:
        with suppress(OSError, SSL.Error):
            self.tls.shutdown()

    def receive_some(self, size: int) -> bytes:
        try:
            return bytes(self._patiently(self.tls.recv, size))
        except SSL.ZeroReturnError:
            return b""

    def _patiently(self, call: Any, *args: Any) -> Any:
        while True:
            try:
                return call(*args)
            except SSL.WantReadError:
                wants = select.POLLIN
            except SSL.WantWriteError:
                wants = select.POLLOUT
            poll = select.poll()
            poll.register(self.socket, wants)
            if not poll.poll(TIMEOUT * 1000):
                raise TimeoutError(f"nothing within {TIMEOUT} s")


def dial(listener: Listener) -> Connection:
    """A connection to a listener."""
    make = TLSConnection if listener.listen.transport == "tls" else Connection
    return make(address_of(listener))


class Asker:
    """A client's datagram socket, with a name to answer to."""

    def __init__(self, listener: Listener, folder: Path) -> None:
        self.target = address_of(listener)
        local = isinstance(self.target, str)
        self.socket = socket.socket(socket.AF_UNIX if local else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(TIMEOUT)
        self.path = folder / "asker.sock" if local else None
        self.socket.bind(str(self.path) if self.path else ("127.0.0.1", 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Be gone."""
        self.socket.close()
        if self.path:
            self.path.unlink(missing_ok=True)

    def send(self, *datagrams: bytes) -> None:
        """Ask, and do not wait."""
        for data in datagrams:
            self.socket.sendto(data, self.target)

    def receive(self, count: int = 1) -> list[bytes]:
        """So many answers, in the order in which they come."""
        return [self.socket.recv(65536) for _ in range(count)]

    def ask(self, datagrams: Iterable[bytes]) -> list[bytes]:
        """Ask one after the other: an answer each."""
        answers = []
        for data in datagrams:
            self.send(data)
            answers += self.receive()
        return answers
