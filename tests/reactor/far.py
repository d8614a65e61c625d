"""The other end of a scripted connection: plain sockets, which a test reads and writes."""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import suppress

from attrs import Factory, define

from tests.reactor.scripts import BUFFER, TEXT

RESET = struct.pack("ii", 1, 0)
FAMILIES = {"unix": socket.AF_UNIX, "tcp6": socket.AF_INET6}
"""By a script's transport; the others are IPv4."""
HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
SEGMENT = 1400
"""Bytes: the loopback's segments are bigger than these buffers, which makes it wait for timers."""


@define
class Far:
    """The other end: a socket, which a test reads and writes."""

    socket: socket.socket
    sent: int = 0
    received: bytearray = Factory(bytearray)
    was_reset: bool = False
    end: str = ""
    """How it ended: "end of file", "reset", or "closed" from this side."""

    def send(self, size: int) -> None:
        """Send what the kernel takes of so much."""
        if not self.end.startswith("closed"):
            try:
                self.sent += self.socket.send(TEXT[self.sent : self.sent + size])
            except ConnectionResetError:  # told once, and there may be something left to read
                self.was_reset = True
            except (BlockingIOError, BrokenPipeError, ssl.SSLError):
                pass

    def end_writing(self, _: object) -> None:
        if not self.end.startswith("closed"):
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def read(self, size: int) -> bool:
        """Read once, so much at most; whether something came."""
        if self.end:
            return False
        try:
            data = self.socket.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            self.end = "reset"
            return True
        self.received += data
        if not data:
            self.end = "reset" if self.was_reset else "end of file"
        return True

    def close(self, _: object) -> None:
        if not self.end.startswith("closed"):
            self.end = f"closed after {self.end}"
            self.socket.close()

    def reset(self, _: object) -> None:
        if not self.end.startswith("closed"):
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.close(None)


def listener(family: socket.AddressFamily, path: str) -> socket.socket:
    """Where our side is dialled, or dials itself; `path` is for a Unix socket."""
    sock = small(socket.socket(family, socket.SOCK_STREAM))
    sock.bind(path if family == socket.AF_UNIX else (HOSTS[family], 0))
    sock.listen(1)
    sock.setblocking(False)
    return sock


def dial(listening: socket.socket) -> socket.socket:
    """A connection to it."""
    sock = small(socket.socket(listening.family, socket.SOCK_STREAM))
    sock.connect(listening.getsockname())
    return sock


def at_once(sock: socket.socket) -> socket.socket:
    """It does not wait: neither for the other side, nor before it sends."""
    sock.setblocking(False)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return sock


def secure(sock: socket.socket, server: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    """TLS on it, which trusts anybody; the handshake is to be done."""
    if server is not None:
        return server.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock, do_handshake_on_connect=False)


def shakes_hands(sock: ssl.SSLSocket) -> bool:
    """Go on with the handshake; whether it is over."""
    try:
        sock.do_handshake()
    except ssl.SSLWantReadError:
        return False
    except OSError:  # the protocol has left already
        return True
    return True


def small(sock: socket.socket) -> socket.socket:
    """With a buffer that is soon full."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    return sock
