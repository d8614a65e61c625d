"""A service manager as far as a daemon sees one: it hears, and holds descriptors."""

from __future__ import annotations

import array
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

ROOM = 64 * 4
"""Bytes of descriptors that come with one message."""


@define(eq=False)
class Manager:
    """What listens at NOTIFY_SOCKET. It keeps a store as systemd does: by name, each file once."""

    path: Path
    sock: socket.socket
    messages: list[dict[str, str]] = field(factory=list)
    store: dict[str, list[int]] = field(factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a daemon of this manager is started with."""
        return {"NOTIFY_SOCKET": str(self.path)}

    def hear(self, seconds: float = 0.0) -> dict[str, str] | None:
        """The next message, or None where none comes within the time."""
        self.sock.settimeout(seconds)
        try:
            data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(ROOM))
        except (BlockingIOError, TimeoutError):
            return None
        given: list[int] = []
        for level, kind, part in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                given += array.array("i", part[: len(part) // 4 * 4])
        fields = dict(line.split("=", 1) for line in data.decode().split("\n"))
        self._hold(fields, given)
        self.messages.append(fields)
        return fields

    def hear_all(self) -> list[dict[str, str]]:
        """What has been said until now and was not heard yet."""
        found = []
        while (heard := self.hear()) is not None:
            found.append(heard)
        return found

    def hear_until(self, key: str, value: str = "1", seconds: float = 60.0) -> dict[str, str]:
        """The next message that has this field."""
        until = time.monotonic() + seconds
        while (heard := self.hear(max(0.0, until - time.monotonic()))) is not None:
            if heard.get(key) == value:
                return heard
        raise AssertionError(f"no {key}={value} among {self.messages}")

    def _hold(self, fields: dict[str, str], given: list[int]) -> None:
        name = fields.get("FDNAME", "stored")
        if "FDSTOREREMOVE" in fields:
            for one in self.store.pop(name, []):
                os.close(one)
        for one in given:
            held = [other for many in self.store.values() for other in many]
            if "FDSTORE" in fields and not any(_are_same(one, other) for other in held):
                self.store.setdefault(name, []).append(one)
            else:
                os.close(one)

    def close(self) -> None:
        """Let go of all."""
        for many in self.store.values():
            for one in many:
                os.close(one)
        self.store.clear()
        self.sock.close()


def _are_same(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))


@contextmanager
def manager(folder: Path) -> Iterator[Manager]:
    """One that listens in a folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        path = folder / "notify"
        sock.bind(str(path))
        found = Manager(path, sock)
        try:
            yield found
        finally:
            found.close()
            path.unlink()
