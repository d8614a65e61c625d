"""Many addresses in memory, as `sendmmsg` wants them (Linux)."""

from __future__ import annotations

import os
import socket
from typing import Any

from sockd.reactor.mmsg import NAME, loaded

_CONTROL = 40
"""Room for one control message: the address of IPv6 that a datagram leaves from."""
_LEAST = 16
"""Room for so many at first; it doubles."""


class Crowd:
    """Many addresses that one datagram goes to: they stay in place, ready for `sendmmsg`.

    Each has a number, from 0 on without a gap; an address is a `sockaddr` of at most 28 bytes,
    and may have one control message of at most 40 bytes.
    """

    def __init__(self) -> None:
        self.ffi, self.library = loaded()
        self.count = 0
        self._room = 0
        self._vector = self.ffi.new("struct iovec *")
        self._data: Any = None
        self._headers = self._names = self._controls = self.ffi.NULL
        self._grow(_LEAST)

    def put(self, number: int, name: bytes, control: bytes = b"") -> None:
        """Have an address at a number: one that there is, or the next."""
        if number == self._room:
            self._grow(2 * self._room)
        self.count = max(self.count, number + 1)
        header = self._headers[number].msg_hdr
        self.ffi.memmove(header.msg_name, name, len(name))
        header.msg_namelen = len(name)
        self.ffi.memmove(self._controls + number * _CONTROL, control, len(control))
        header.msg_control = self._controls + number * _CONTROL if control else self.ffi.NULL
        header.msg_controllen = len(control)

    def cut(self, count: int) -> None:
        """Have only the first ones."""
        self.count = count

    def hold(self, data: bytes) -> None:
        """What the next calls of `send` send."""
        self._data = self.ffi.from_buffer(data)  # which keeps it alive
        self._vector.iov_base, self._vector.iov_len = self._data, len(data)

    def send(self, descriptor: int, first: int, last: int) -> int:
        """As `Outgoing.send`, to the addresses from `first` to before `last`."""
        count = self.library.sendmmsg(
            descriptor, self._headers + first, last - first, socket.MSG_DONTWAIT
        )
        if count < 0:
            raise OSError(self.ffi.errno, os.strerror(self.ffi.errno))
        return int(count)

    def _grow(self, room: int) -> None:
        ffi, old = self.ffi, self._room
        headers = ffi.new("struct mmsghdr[]", room)
        names = ffi.new("char[]", room * NAME)
        controls = ffi.new("char[]", room * _CONTROL)
        if old:
            ffi.memmove(headers, self._headers, old * ffi.sizeof("struct mmsghdr"))
            ffi.memmove(names, self._names, old * NAME)
            ffi.memmove(controls, self._controls, old * _CONTROL)
        for number in range(room):
            header = headers[number].msg_hdr
            header.msg_name = names + number * NAME
            header.msg_iov, header.msg_iovlen = self._vector, 1
            if header.msg_controllen:
                header.msg_control = controls + number * _CONTROL
        self._headers, self._names, self._controls, self._room = headers, names, controls, room
