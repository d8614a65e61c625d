"""Whether a peer is there and taking what it was sent, as the kernel knows it."""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios

_TCP_INFO_BYTES = 256
_BYTES_ACKED = 120
"""Offset of tcpi_bytes_acked, 64 bits, in Linux's struct tcp_info (linux/tcp.h)."""
_TCP_CLOSE = 7
"""The first byte of tcp_info, tcpi_state, once a connection has been reset."""


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


def is_lost(sock: socket.socket) -> bool:
    """Whether the connection is no more: reset, or (a Unix socket) closed by the peer.

    A reactor hears of it only while it reads from the connection or writes to it.
    """
    if sock.family == socket.AF_UNIX:
        poll = select.poll()
        poll.register(sock, 0)
        return bool(poll.poll(0))
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return bool(info[0] == _TCP_CLOSE)
