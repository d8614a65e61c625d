"""What the kernel tells of a socket's queue: how much waits there, and what was lost."""

from __future__ import annotations

import os
import socket
import struct

_TCP_INFO = struct.Struct("=8x6I")
"""The beginning of `struct tcp_info` (linux/tcp.h): flags, then numbers. Of a socket that listens
the fifth is how many connections wait, the sixth how many may."""
_SO_MEMINFO = 55
"""asm-generic/socket.h."""
_MEMINFO = struct.Struct("=9I")
"""SK_MEMINFO_VARS of linux/sock_diag.h; the last is how many datagrams were dropped."""


# the kernel tells of Unix sockets by sock_diag(7): a message and its answer over netlink
_HEADER = struct.Struct("=IHHII")
"""`struct nlmsghdr`: length, type, flags, number, port."""
_REQUEST = struct.Struct("=BBHIIIII")
"""`struct unix_diag_req`: family, protocol, states, inode, what to show, and a cookie."""
_TOLD = 16
"""Bytes of `struct unix_diag_msg`, which is before the attributes."""
_ATTRIBUTE = struct.Struct("=HH")
_QUEUE = struct.Struct("=II")
"""`struct unix_diag_rqlen`: of a socket that listens how many wait, and how many may."""
_SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, _NETLINK_SOCK_DIAG = 20, 1, 4
_UDIAG_SHOW_RQLEN, _UNIX_DIAG_RQLEN, _TCP_LISTEN = 0x10, 4, 10
_ANY = 0xFFFF_FFFF
_ANSWER_BYTES = 4096


def accept_queue(sock: socket.socket) -> tuple[int, int] | None:
    """Connections that wait to be accepted, and how many may wait; None where the kernel does not
    say it."""
    try:
        if sock.family == socket.AF_UNIX:
            return _unix_queue(os.fstat(sock.fileno()).st_ino)
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    except (OSError, AttributeError, struct.error):
        return None
    *_, waiting, most = _TCP_INFO.unpack(info)
    return waiting, most


def _unix_queue(inode: int) -> tuple[int, int] | None:
    request = _REQUEST.pack(
        socket.AF_UNIX, 0, 0, 1 << _TCP_LISTEN, inode, _UDIAG_SHOW_RQLEN, _ANY, _ANY
    )
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + request)
        answer = kernel.recv(_ANSWER_BYTES, socket.MSG_DONTWAIT)  # it is there at once
    length, kind, *_ = _HEADER.unpack_from(answer)
    at = _HEADER.size + _TOLD
    while kind == _SOCK_DIAG_BY_FAMILY and at + _ATTRIBUTE.size <= min(length, len(answer)):
        size, name = _ATTRIBUTE.unpack_from(answer, at)
        if name == _UNIX_DIAG_RQLEN:
            waiting, most = _QUEUE.unpack_from(answer, at + _ATTRIBUTE.size)
            return waiting, most
        at += max(_ATTRIBUTE.size, (size + 3) & ~3)
    return None


def dropped(sock: socket.socket) -> int:
    """Datagrams for which the kernel had no room since the socket is there; 0 where it does not
    say it. The number begins anew after 2^32."""
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return 0
    return int(_MEMINFO.unpack(info)[-1]) if len(info) == _MEMINFO.size else 0
