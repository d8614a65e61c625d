"""What the kernel tells of a socket's queue: how much waits there, and what was lost."""

from __future__ import annotations

import socket
import struct

_TCP_INFO = struct.Struct("=8x6I")
"""The beginning of `struct tcp_info` (linux/tcp.h): flags, then numbers. Of a socket that listens
the fifth is how many connections wait, the sixth how many may."""
_SO_MEMINFO = 55
"""asm-generic/socket.h."""
_MEMINFO = struct.Struct("=9I")
"""SK_MEMINFO_VARS of linux/sock_diag.h; the last is how many datagrams were dropped."""


def accept_queue(sock: socket.socket) -> tuple[int, int] | None:
    """Connections that wait to be accepted, and how many may wait; None where the kernel does not
    say it: it does of TCP."""
    if sock.family == socket.AF_UNIX:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    except (OSError, AttributeError):
        return None
    *_, waiting, most = _TCP_INFO.unpack(info)
    return waiting, most


def dropped(sock: socket.socket) -> int:
    """Datagrams for which the kernel had no room since the socket is there; 0 where it does not
    say it. The number begins anew after 2^32."""
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return 0
    return int(_MEMINFO.unpack(info)[-1]) if len(info) == _MEMINFO.size else 0
