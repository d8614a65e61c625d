"""Whether a peer is taking what it was sent, as the kernel knows it."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios

_TCP_INFO_BYTES = 256
_BYTES_ACKED = 120
"""Offset of tcpi_bytes_acked, 64 bits, in Linux's struct tcp_info (linux/tcp.h)."""


def taken(sock: socket.socket) -> int:
    """A number that changes while the peer takes data, and stands still while it does not.

    TCP: bytes acknowledged. A Unix socket: what waits in the peer's queue (`SIOCOUTQ`).
    """
    if sock.family == socket.AF_UNIX:
        waiting = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        return int(struct.unpack("=i", waiting)[0])
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(struct.unpack_from("=Q", info, _BYTES_ACKED)[0])
