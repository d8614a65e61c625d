"""Whether a peer is there and taking what it was sent, as the kernel knows it."""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios

_TCP_INFO_BYTES = 256
_BYTES_ACKED = 120
"""Offset of tcpi_bytes_acked, 64 bits, in Linux's struct tcp_info (linux/tcp.h); behind it stands
tcpi_bytes_received."""
_TCP_CLOSE = 7
"""The first byte of tcp_info, tcpi_state, once a connection has been reset."""
_TCP_CLOSE_WAIT = 8
"""And once the peer has ended its half."""
KEEPALIVE_SECONDS = 10
"""How often a peer that has ended its half is asked whether it is still there."""
KEEPALIVE_COUNT = 6
"""How often it may give no answer."""


def taken(sock: socket.socket) -> int:
    """A number that changes while the peer takes data, and stands still while it does not.

    TCP: bytes acknowledged. A Unix socket: what waits in the peer's queue (`SIOCOUTQ`).
    """
    return _waiting(sock) if sock.family == socket.AF_UNIX else _acknowledged(sock)


def delivered(sock: socket.socket, written: int) -> int:
    """How many bytes the peer has taken, of so many that were written for it.

    TCP: bytes acknowledged, those of TLS itself among them. A Unix socket: what no longer waits in
    the peer's queue.
    """
    if sock.family == socket.AF_UNIX:
        return written - _waiting(sock)
    return _acknowledged(sock)


def _waiting(sock: socket.socket) -> int:
    waiting = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int(struct.unpack("=i", waiting)[0])


def _acknowledged(sock: socket.socket) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(struct.unpack_from("=Q", info, _BYTES_ACKED)[0])


def traffic(sock: socket.socket) -> tuple[int, int]:
    """Bytes that came over a connection of TCP, and that were sent, whoever read and wrote them
    here; of a Unix socket the kernel does not count them."""
    if sock.family == socket.AF_UNIX:
        return 0, 0
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    acknowledged, received = struct.unpack_from("=QQ", info, _BYTES_ACKED)
    # the peer's end counts as a byte
    return received - (info[0] == _TCP_CLOSE_WAIT), acknowledged + _waiting(sock)


def is_lost(sock: socket.socket) -> bool:
    """Whether the connection is no more: reset, or (a Unix socket) closed by the peer.

    A reactor hears of it only while it reads from the connection or writes to it.
    """
    if sock.family == socket.AF_UNIX:
        return _poll(sock, 0)
    return _state(sock) == _TCP_CLOSE


def has_finished(sock: socket.socket) -> bool:
    """Whether the peer has ended its half, though there may be bytes before the end to be read."""
    if sock.family == socket.AF_UNIX:
        return _poll(sock, select.POLLRDHUP)
    return _state(sock) in (_TCP_CLOSE, _TCP_CLOSE_WAIT)


def ask_for_life(sock: socket.socket) -> None:
    """Have the kernel find out whether a peer that has ended its half is still there.

    One that has closed in order looks like one that still reads, until its system forgets the
    connection (Linux: after `tcp_fin_timeout`, a minute) and answers a keepalive with a reset.
    """
    level = socket.SOL_SOCKET
    if sock.family == socket.AF_UNIX or sock.getsockopt(level, socket.SO_KEEPALIVE):
        return  # of a Unix socket the kernel knows it
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
    sock.setsockopt(level, socket.SO_KEEPALIVE, 1)


def _poll(sock: socket.socket, events: int) -> bool:
    poll = select.poll()
    poll.register(sock, events)
    return bool(poll.poll(0))


def _state(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)[0]
