"""`recvmmsg` and `sendmmsg` (Linux): up to 32 Internet datagrams a system call, through cffi.

Addresses and ancillary data are bytes here; `sockd.reactor.sockaddr` knows what they mean. One set
of buffers each way serves all sockets of the process: nothing stays in it between two calls.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, chain
from typing import Any

import cffi

BATCH = 32
"""Datagrams a system call, and so a pass of the reactor: timers and others go on."""
LONGEST = 65_535
"""Bytes that are received of a datagram: more than UDP carries, over IPv4 or IPv6."""
_SLOT = 65_536 + 64
"""Bytes from one datagram to the next in memory; at a power of two they would share cache lines."""
NAME = 28
"""Bytes of the longest address, a `sockaddr_in6`."""
CONTROL = 128
"""Room for what the kernel tells beside a datagram: where it was sent to, how many were lost."""

_DECLARATIONS = """
struct iovec { void *iov_base; size_t iov_len; };
struct msghdr {
    void *msg_name; unsigned int msg_namelen;
    struct iovec *msg_iov; size_t msg_iovlen;
    void *msg_control; size_t msg_controllen;
    int msg_flags;
};
struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
int recvmmsg(int, struct mmsghdr *, unsigned int, int, void *);
int sendmmsg(int, struct mmsghdr *, unsigned int, int);
"""


@cache
def loaded() -> tuple[Any, Any]:
    """cffi and the C library, when they are needed: to read the declarations takes 30 ms."""
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    return ffi, ffi.dlopen(None)


@cache
def is_available() -> bool:
    """Whether this system has both calls, with structures as they are declared here."""
    if not sys.platform.startswith("linux"):
        return False
    ffi, library = loaded()
    if not (hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg")):
        return False
    # the kernel, or a filter of system calls, may know less than the C library
    library.recvmmsg(-1, ffi.NULL, 0, 0, ffi.NULL)
    return bool(ffi.errno == errno.EBADF)


class _Messages:
    """An array of `mmsghdr`, each with its place for an address and for control messages."""

    def __init__(self) -> None:
        self.ffi, self.library = loaded()
        self.headers = self.ffi.new("struct mmsghdr[]", BATCH)
        self.iovecs = self.ffi.new("struct iovec[]", BATCH)
        self._names = self.ffi.new("char[]", BATCH * NAME)
        self._controls = self.ffi.new("char[]", BATCH * CONTROL)
        self.header_bytes = self.ffi.buffer(self.headers)
        self.name_bytes = self.ffi.buffer(self._names)
        self.control_bytes = self.ffi.buffer(self._controls)

    def layout(self, name: int, control: int) -> bytes:
        """The headers for addresses and control messages of so many bytes, side by side."""
        for number in range(BATCH):
            header = self.headers[number].msg_hdr
            header.msg_name, header.msg_namelen = self._names + number * name, name
            header.msg_iov, header.msg_iovlen = self.iovecs + number, 1
            header.msg_control = self._controls + number * control
            header.msg_controllen = control
        return bytes(self.header_bytes)

    def error(self) -> OSError:
        """Why the last call failed."""
        return OSError(self.ffi.errno, os.strerror(self.ffi.errno))


class Incoming(_Messages):
    """Where datagrams are received."""

    def __init__(self) -> None:
        super().__init__()
        # 2 MiB of addresses, and of memory only what has been written: short datagrams cost a page
        # (4 KiB) each. Less would cut long ones off, or need a second way to receive them.
        self._data = self.ffi.new("char[]", BATCH * _SLOT)
        self._bytes = self.ffi.buffer(self._data)
        for number in range(BATCH):
            self.iovecs[number].iov_base = self._data + number * _SLOT
            self.iovecs[number].iov_len = LONGEST
        self._fresh = self.layout(NAME, CONTROL)
        self._lengths = self._column("I", "msg_len")
        self._control_lengths = self._column("N", "msg_hdr", "msg_controllen")

    def _column(self, kind: str, *field: str) -> memoryview:
        """A field of all headers, of a type of the struct module."""
        size = struct.calcsize(kind)
        fields: Any = memoryview(self.header_bytes).cast("B").cast(kind)  # type: ignore[call-overload]
        first = self.ffi.offsetof("struct mmsghdr", *field) // size
        return fields[first :: self.ffi.sizeof("struct mmsghdr") // size]  # type: ignore[no-any-return]

    def receive(
        self, descriptor: int, name: int, every: bool
    ) -> tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]]:
        """What waits, at most `BATCH`: data, addresses of `name` bytes, control messages.

        `every`: of each datagram, else of the last one only, as they take time. Raises OSError,
        which is BlockingIOError where nothing waits.
        """
        self.header_bytes[:] = self._fresh
        count = self.library.recvmmsg(
            descriptor, self.headers, BATCH, socket.MSG_DONTWAIT, self.ffi.NULL
        )
        if count < 0:
            raise self.error()
        data = self._bytes
        lengths = self._lengths[:count].tolist()
        return (
            [data[at : at + size] for at, size in zip(_SLOTS, lengths, strict=False)],
            _rows(name, count).unpack_from(self.name_bytes),
            self.controls(0 if every else count - 1, count),
        )

    def controls(self, first: int, last: int) -> list[bytes]:
        """The control messages of those from `first` to before `last` of the last call."""
        controls, lengths = self.control_bytes, self._control_lengths
        return [
            controls[index * CONTROL : index * CONTROL + lengths[index]]
            for index in range(first, last)
        ]

    def control_lengths(self, count: int) -> list[int]:
        """Bytes of the control messages of the first ones; they are `CONTROL` bytes apart."""
        lengths: list[int] = self._control_lengths[:count].tolist()
        return lengths


_SLOTS = range(0, BATCH * _SLOT, _SLOT)
"""Where each datagram begins."""


@cache
def _rows(name: int, count: int) -> struct.Struct:
    """The first `count` addresses."""
    return struct.Struct(f"{name}s{NAME - name}x" * count)


@cache
def _vectors(count: int) -> struct.Struct:
    """Where data begins and how long it is, of so many."""
    return struct.Struct(f"@{2 * count}N")


class Outgoing(_Messages):
    """Where datagrams are sent from: first put what and where to, then `send`."""

    def __init__(self) -> None:
        super().__init__()
        self._iovec_bytes = self.ffi.buffer(self.iovecs)
        self._layouts: dict[tuple[int, int], bytes] = {}
        self._data: Any = None

    def put_data(self, parts: Sequence[bytes]) -> None:
        """The data of each datagram, at most `BATCH` of them."""
        joined = b"".join(parts)
        self._data = self.ffi.from_buffer(joined)  # which keeps it alive
        at = int(self.ffi.cast("size_t", self._data))
        sizes = [*map(len, parts)]
        vectors = chain.from_iterable(zip(accumulate(sizes, initial=at), sizes, strict=False))
        _vectors(len(parts)).pack_into(self._iovec_bytes, 0, *vectors)

    def put_names(self, names: Sequence[bytes], controls: Sequence[bytes] = ()) -> None:
        """The address of each, all of one size, and the control messages, if there are any.

        A control message may be b"", for none; the others are of one size.
        """
        name, control = len(names[0]), max(map(len, controls), default=0)
        fresh = self._layouts.get((name, control))
        if fresh is None:
            fresh = self._layouts[name, control] = self.layout(name, control)
        self.header_bytes[:] = fresh
        self.name_bytes[: len(names) * name] = b"".join(names)
        for number, message in enumerate(controls):
            self.control_bytes[number * control : number * control + len(message)] = message
            if len(message) != control:
                self.headers[number].msg_hdr.msg_controllen = len(message)

    def send(self, descriptor: int, first: int, last: int) -> int:
        """Send those from `first` to before `last`; returns how many of them the kernel took.

        Raises OSError where it refuses the first of them.
        """
        count = self.library.sendmmsg(
            descriptor, self.headers + first, last - first, socket.MSG_DONTWAIT
        )
        if count < 0:
            raise self.error()
        return int(count)


incoming = cache(Incoming)
outgoing = cache(Outgoing)
