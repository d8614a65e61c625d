"""What is kept from one chat to the next: the last server and nickname, sessions, what was typed.

All of it lies in a folder of the user's own. A session has a file for each server and nickname, and
belongs to the one chat that holds its lock: two at once would take it from each other for ever.
What cannot be read, or is not ours, is as good as not there.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from sockd.client.chat.channels import MOST_CHANNELS
from sockd.client.chat.login import Kept
from sockd.client.chat.servers import Server
from sockd.client.net.system import words
from sockd.formats.chat.names import fold, nickname_fault, title_fault
from sockd.formats.chat.trailer import KEY_BYTES, SESSION_BYTES

MOST_BYTES = 16 * 1024
"""Of a file that is read: none that we write is longer."""
MOST_HISTORY = 256 * 1024
"""Bytes of typed lines, from which on the older half is forgotten at the next start."""
NUMBERS_AHEAD = 1_024
"""Numbers of a session that are kept as used before they are: who ends without a word need not have
written which was the last, and none may be used twice."""
MOST_NUMBER = 2**32 - 1 - 2**20
"""Above it a session is not taken up: its numbers are about to end."""
OLD_SECONDS = 3600.0
"""After which a session that was kept is of no use: servers forget it after half of that."""
_SERVER_BYTES = 8
_IS_OURS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class Last:
    """Where the user was last, and as whom."""

    server: Server | None = None
    nickname: str = ""


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """Where it lies, as XDG has it; None where the user has no home."""
    given = Path(environment.get("XDG_STATE_HOME") or "")
    if given.is_absolute():  # others are to be ignored
        return given / "sockd"
    home = Path(environment.get("HOME") or "")
    return home / ".local" / "state" / "sockd" if home.is_absolute() else None


@define(eq=False)
class State:
    """All of it. `told` gets a sentence where something cannot be read or written, once each."""

    folder: Path | None
    told: Callable[[str], None] = lambda _: None
    wall: Callable[[], float] = time.time
    _said: set[str] = field(factory=set, init=False)
    _lock: tuple[str, int] | None = field(default=None, init=False)
    """The session that is ours, and the descriptor that says so."""

    # the last server

    def last(self) -> Last:
        """What is known of the last time."""
        found = self._read("chat.json")
        try:
            return Last(_server(found.get("server")), str(found.get("nickname") or ""))
        except (TypeError, ValueError) as error:
            self._tell(f"{self._path('chat.json')} is broken, and left alone: {error}")
            return Last()

    def keep_last(self, last: Last) -> None:
        """Know it the next time."""
        one = last.server
        server = (
            {"host": one.host, "port": one.port, "name": one.name, "id": one.id.hex()}
            if one is not None
            else None
        )
        self._write("chat.json", {"server": server, "nickname": last.nickname})

    # sessions

    def recall(self, server: bytes, nickname: bytes) -> Kept | None:
        """The session that we have had there by that name, if no other chat has it now."""
        name = self._claim(server, nickname)
        found = self._read(name) if name else {}
        if not found:
            return None
        try:
            kept = Kept(
                server,
                _bytes(found["session"], SESSION_BYTES),
                _bytes(found["key"], KEY_BYTES),
                int(found["number"]),
                _titles(found.get("channels")),
            )
            at = float(found["at"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            self._tell(f"{self._path(name)} is broken, and left alone: {error!r}")
            return None
        is_recent = abs(self.wall() - at) < OLD_SECONDS
        return kept if is_recent and 0 <= kept.number <= MOST_NUMBER else None

    def keep(self, kept: Kept, nickname: bytes) -> int:
        """Have a session to be taken up later. The number at which it is to be kept anew."""
        until = kept.number + NUMBERS_AHEAD
        if name := self._claim(kept.server, nickname):
            values = {"session": kept.session.hex(), "key": kept.key.hex(), "number": until}
            channels = [title.decode("utf-8", "replace") for title in kept.channels]
            self._write(name, {**values, "channels": channels, "at": round(self.wall())})
        return until

    def close(self) -> None:
        """Let others have the session."""
        if self._lock is not None:
            os.close(self._lock[1])
            self._lock = None

    def _claim(self, server: bytes, nickname: bytes) -> str:
        """The file of a session, if it is ours now; else nothing."""
        name = _name(server, nickname)
        if self._lock is not None and self._lock[0] == name:
            return name
        self.close()
        if not name or not self._make_folder():
            return ""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            lock = os.open(self._path(f"{name}.lock"), flags, 0o600)
        except OSError as error:
            self._tell(f"cannot keep the session: {error}")
            return ""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return ""
        self._lock = name, lock
        return name

    # what was typed

    def history(self) -> Path | None:
        """The file of typed lines, not too long; None where there is none to be had."""
        if not self._make_folder():
            return None
        path = self._path("history")
        try:
            made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(made, "rb") as file:
                if not _is_our_own(made):
                    self._tell(f"{path} is not a file of ours, and left alone")
                    return None
                data = file.read(MOST_HISTORY + 1)
                if len(data) > MOST_HISTORY:
                    file.seek(-MOST_HISTORY // 2, os.SEEK_END)
                    self._replace(path, file.read().partition(b"\n\n")[2])
        except OSError as error:
            self._tell(f"what is typed is not kept: {error}")
            return None
        return path

    def clean(self) -> None:
        """Remove sessions that nobody has come back to."""
        if self.folder is None:
            return
        now = self.wall()
        for path in self.folder.glob("session-*"):
            with suppress(OSError):
                if path.name != f"{self._own}.lock" and now - path.stat().st_mtime > OLD_SECONDS:
                    path.unlink()

    @property
    def _own(self) -> str:
        return self._lock[0] if self._lock is not None else ""

    # files

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name

    def _make_folder(self) -> bool:
        if self.folder is None:
            return False
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self._tell(f"nothing is kept for the next time: {words(error)}")
            return False
        return True

    def _read(self, name: str) -> dict[str, Any]:
        """What a file has; nothing where there is none, or it is not ours or broken."""
        if self.folder is None:
            return {}
        path = self._path(name)
        try:
            descriptor = os.open(path, _IS_OURS)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._tell(f"cannot read what was kept: {error}")
            return {}
        with os.fdopen(descriptor, "rb") as file:
            if not _is_our_own(descriptor):
                self._tell(f"{path} is not a file of ours, and left alone")
                return {}
            data = file.read(MOST_BYTES)
        try:
            found = json.loads(data)
            if isinstance(found, dict):
                return found
            why = "no object"
        except (ValueError, RecursionError) as error:
            why = str(error)
        self._tell(f"{path} is broken, and left alone: {why}")
        return {}

    def _write(self, name: str, values: Mapping[str, Any]) -> None:
        if self._make_folder():
            try:
                self._replace(self._path(name), json.dumps(values).encode() + b"\n")
            except OSError as error:
                self._tell(f"nothing is kept for the next time: {words(error)}")

    def _replace(self, path: Path, data: bytes) -> None:
        """Whoever reads it meanwhile finds all of the old or all of the new."""
        descriptor, made = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(made).replace(path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise

    def _tell(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self.told(what)


def _is_our_own(descriptor: int) -> bool:
    """Whether it is a file that nobody else has put there or can change."""
    found = os.fstat(descriptor)
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _name(server: bytes, nickname: bytes) -> str:
    """The file of a session; nothing where the name cannot be a part of one."""
    folded = fold(nickname)
    if len(server) != _SERVER_BYTES or nickname_fault(folded) is not None:
        return ""
    return f"session-{server.hex()}-{folded.decode()}"


def _server(found: Any) -> Server | None:
    """As it was kept. Raises TypeError, ValueError."""
    if found is None:
        return None
    if not isinstance(found, dict):
        raise TypeError("the server is no object")
    host, port, id = found.get("host"), found.get("port"), bytes.fromhex(found.get("id") or "")
    if not isinstance(host, str) or not isinstance(port, int) or not 0 < port < 65_536:
        raise ValueError("the server has no address")
    return Server(host, port, str(found.get("name") or ""), bool(id), id)


def _titles(found: Any) -> tuple[bytes, ...]:
    """Those that can be some."""
    titles = found if isinstance(found, list) else []
    good = [one for one in titles if isinstance(one, str) and title_fault(one) is None]
    return tuple(one.encode() for one in good[:MOST_CHANNELS])


def _bytes(text: Any, size: int) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != size:
        raise ValueError(f"{size} bytes are needed")
    return found
