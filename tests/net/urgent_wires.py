"""Plain TCP connections over loopback for urgent data, and what the kernel says of them."""

from __future__ import annotations

import fcntl
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sockd.net.urgent import UrgentSocket
from tests.processes import PATIENCE, wait_until

TCP_INFO_BYTES, TCP_INFO_BYTES_RECEIVED = 256, 128
"""As much of Linux's struct tcp_info as is asked for, and where it counts the bytes received."""
SIOCATMARK = 0x8905
WHOLE = 64 * 1024


@contextmanager
def connected(buffer: int = 0) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Who connected, and who was connected to, whose receive buffer may have a size."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if buffer:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        with socket.create_connection(server.getsockname()) as near:
            far, _ = server.accept()
            with far:
                for sock in (near, far):
                    sock.settimeout(PATIENCE)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield near, far


def bytes_come(sock: socket.socket) -> int:
    """How many bytes have come, read or not; the end counts as one."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    (count,) = struct.unpack_from("Q", info, TCP_INFO_BYTES_RECEIVED)
    return int(count)


def await_bytes(sock: socket.socket, count: int) -> None:
    """Wait until so many bytes have come."""
    if bytes_come(sock) < count:
        wait_until(lambda: bytes_come(sock) >= count, f"{count} bytes")


def is_urgent(sock: socket.socket, seconds: float = 0.0) -> bool:
    """Whether an urgent byte has come, or comes within that time."""
    poll = select.poll()
    poll.register(sock, select.POLLPRI)
    return any(events & select.POLLPRI for _, events in poll.poll(seconds * 1000))


def is_at_mark(sock: socket.socket) -> bool:
    """Whether what is read next is an urgent byte."""
    (answer,) = struct.unpack("i", fcntl.ioctl(sock, SIOCATMARK, bytes(4)))
    return bool(answer)


def reset(sock: socket.socket) -> None:
    """Be gone without an orderly end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Ends:
    """A sender that is a plain socket, and a receiver with urgent data."""

    def __init__(self, near: socket.socket, far: socket.socket, **options: Any) -> None:
        self.near, self.far = near, far
        self.far.setblocking(False)
        self.sent = 0
        self.told: list[bytes] = []
        self.do: Callable[[], object] = lambda: None
        """What is done besides when a byte is told of."""
        self.urgent = UrgentSocket(far, self._tell, **options)

    def _tell(self, byte: bytes) -> None:
        self.told.append(byte)
        self.do()

    def send(self, *pieces: bytes | str) -> None:
        """Send bytes, each piece in a segment; of a text the last character is urgent."""
        for piece in pieces:
            if isinstance(piece, str):
                data = piece.encode("latin-1")
                self.near.send(data, socket.MSG_OOB)
            else:
                data = piece
                self.near.sendall(data)
            self.sent += len(data)
            await_bytes(self.far, self.sent)

    def end(self) -> None:
        """End the stream, and wait until that is known over there."""
        self.near.shutdown(socket.SHUT_WR)
        await_bytes(self.far, self.sent + 1)

    def read(self, most: int = WHOLE) -> list[bytes | None]:
        """Everything that there is to read: b"" for the end, None for an urgent byte."""
        found: list[bytes | None] = []
        while found[-1:] != [b""]:
            try:
                found.append(self.urgent.read(most))
            except BlockingIOError:
                break
        return found

    def data(self, most: int = WHOLE) -> bytes:
        """As `read`, ordinary bytes alone."""
        return b"".join(piece for piece in self.read(most) if piece)


@contextmanager
def ends(buffer: int = 0, **options: Any) -> Iterator[Ends]:
    with connected(buffer) as (near, far):
        yield Ends(near, far, **options)


class Plain:
    """A plain program's end: all that it has read, and where in that it found marks."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""
        self.marks: list[int] = []
        self.has_ended = False
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)

    def read(self, most: int = 2**20) -> int:
        """Read what is there, up to a mark; how much was read in all."""
        with suppress(BlockingIOError):
            self.sock.recv(1, socket.MSG_PEEK)
            is_mark = is_at_mark(self.sock)
            data = self.sock.recv(most)
            if is_mark and data:
                self.marks.append(len(self.data))
            self.has_ended = not data
            self.data += data
        return len(self.data)
