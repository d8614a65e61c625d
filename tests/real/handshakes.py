"""A host made by the test: it speaks TCP packet by packet, so that a handshake can wait."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define

from tests.daemons import CLONE_NEWNET, run
from tests.processes import PATIENCE

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000  # linux/if_tun.h
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
HERE, THERE = "10.66.0.2", "10.66.0.1"
"""The addresses of this host and of the daemon's."""


@define
class Handshake:
    """A connection to a port of the daemon's host, as far as it has come."""

    wire: int
    port: int
    own: int = 40_000
    sent: int = 1_000
    seen: int = 0

    def begin(self) -> None:
        """Ask for a connection, and hear that there may be one."""
        self._send(SYN)
        flags, number, _ = self._receive()
        assert flags & (SYN | ACK) == SYN | ACK, f"flags {flags:#x}"
        self.sent += 1
        self.seen = number + 1

    def finish(self, data: bytes) -> bytes:
        """Say that it is there, and ask; the answer. Nothing where the other end has forgotten."""
        self._send(ACK)
        self._send(ACK, data)
        while True:
            flags, _, answer = self._receive()
            if flags & RST:
                return b""
            if answer:
                return answer

    def _send(self, flags: int, data: bytes = b"") -> None:
        addresses = socket.inet_aton(HERE) + socket.inet_aton(THERE)
        head = struct.pack(
            "!HHIIBBHHH", self.own, self.port, self.sent, self.seen, 0x50, flags, 65535, 0, 0
        )
        pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head) + len(data))
        check = struct.pack("!H", _checksum(pseudo + head + data))
        segment = head[:16] + check + head[18:] + data
        size = 20 + len(segment)
        outer = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, socket.IPPROTO_TCP, 0)
        check = struct.pack("!H", _checksum(outer + addresses))
        os.write(self.wire, outer[:10] + check + addresses + segment)

    def _receive(self) -> tuple[int, int, bytes]:
        """Flags, number and data of the next packet that is for this connection."""
        while True:
            ready, _, _ = select.select([self.wire], [], [], PATIENCE)
            assert ready, "nothing comes"
            packet = os.read(self.wire, 65536)
            if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
                continue
            segment = packet[(packet[0] & 0xF) * 4 :]
            _, to, number, _, length, flags = struct.unpack("!HHIIBB", segment[:14])
            if to == self.own:
                return flags, number, segment[(length >> 4) * 4 :]


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@contextmanager
def wire_to(host: str) -> Iterator[int]:
    """A cable to a host (a namespace), whose other end the test reads and writes."""
    made: list[int] = []

    def make() -> None:  # a namespace is a thread's own: this one enters it, and ends in it
        with Path(f"/run/netns/{host}").open("rb") as entrance:
            if ctypes.CDLL(None, use_errno=True).setns(entrance.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        wire = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        made.append(wire)
        fcntl.ioctl(wire, _TUNSETIFF, struct.pack("16sH22x", b"cable", _IFF_TUN | _IFF_NO_PI))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    try:
        run("ip", "-n", host, "addr", "add", f"{THERE}/24", "dev", "cable")
        run("ip", "-n", host, "link", "set", "cable", "up")
        yield made[0]
    finally:
        os.close(made[0])
