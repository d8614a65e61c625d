"""The other end: a blocking client without a reactor."""

from __future__ import annotations

import os
import select
import socket
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from sockd.ops.control.frames import (
    LONGEST_LINE,
    ControlError,
    NotSockdError,
    Request,
    Told,
    joined,
    read_line,
    request_line,
)
from sockd.options.control import CONTROL_NAME
from sockd.options.runtime import runtime_directory

ANSWER_SECONDS = 10.0
"""How long an answer is waited for: a daemon whose loop hangs is told of, and not waited for."""
SYSTEM_PATH = f"/run/sockd/{CONTROL_NAME}"
"""Where the daemon of the systemd unit has it."""


WHO_MAY = "root and the daemon's user may ask"


class NoDaemonError(ControlError):
    """Nobody answers at the control socket."""


class SilentError(NoDaemonError):
    """Somebody listens at it, and does not answer in time."""


class KeptOutError(NoDaemonError):
    """There is one, and this user may not connect to it."""


def usual_paths() -> list[str]:
    """Where a daemon of this user's, or of the system, has its control socket by default."""
    own = str(Path(runtime_directory(os.environ, os.getuid()), CONTROL_NAME))
    return list(dict.fromkeys([own, SYSTEM_PATH]))


class ControlClient:
    """A connection to a daemon. Raises ControlError; NoDaemonError where none answers."""

    def __init__(self, path: str | None = None, seconds: float | None = None) -> None:
        """`seconds`: how long each line is waited for, if not for ANSWER_SECONDS."""
        paths = usual_paths() if path is None else [path]
        self._seconds = ANSWER_SECONDS if seconds is None else seconds
        self._sock, self.path = _connected(paths, self._seconds)
        self._sock.settimeout(self._seconds)
        self._lines = self._sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._sock.close()

    def ask(self, command: str, /, **arguments: Any) -> dict[str, Any]:
        """The answer to a command; arguments that are None are left out."""
        self._send(Request(command, _given(arguments)))
        return self._answer()

    def ask_for_long(
        self, command: str, every: float = ANSWER_SECONDS, /, **arguments: Any
    ) -> dict[str, Any]:
        """As `ask`, for as long as it takes, if the daemon answers another one `every` so often.

        One that answers nothing is not asked at all: it would do it later, and nobody would know.
        """
        self.ask("status")
        self._send(Request(command, _given(arguments)))
        while not self._has_come(every):
            try:
                self._see_life()
            except SilentError:
                if not self._has_come(0):  # it may have answered, and be another daemon by now
                    raise
        return self._answer()

    @property
    def pid(self) -> int:
        """The process that listens there, by the kernel's word (SO_PEERCRED), whatever it says."""
        size = struct.calcsize("=iII")
        credentials = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid: int = struct.unpack("=iII", credentials)[0]
        return pid

    def follow(self, command: str, /, **arguments: Any) -> Iterator[dict[str, Any]]:
        """What goes on, until the daemon ends it."""
        self._send(Request(command, _given(arguments), follow=True))
        self._sock.settimeout(None)
        while line := self._read():
            yield self._told(line).value

    def _answer(self) -> dict[str, Any]:
        parts = [told := self._told(self._line())]
        while told.what == "part":
            parts.append(told := self._told(self._line()))
        return joined(part.value for part in parts)

    def _told(self, line: bytes) -> Told:
        try:
            return read_line(line)
        except NotSockdError as error:
            raise NotSockdError(f"{self.path}: {error}") from None

    def _has_come(self, seconds: float) -> bool:
        """Whether there is something to read, or the end, within a time."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def _see_life(self) -> None:
        """Ask something else at the side. Raises SilentError where that is not answered."""
        try:
            with ControlClient(self.path, self._seconds) as other:
                other.ask("status")
        except SilentError:
            raise
        except ControlError:
            pass  # it has said something, or is elsewhere by now: this connection tells

    def _send(self, request: Request) -> None:
        try:
            self._sock.sendall(request_line(request))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has closed before it was asked: it may have said why
        except TimeoutError:
            raise SilentError(
                f"{self.path}: the daemon has not read within {self._seconds:g} s"
            ) from None
        except OSError as error:
            raise NoDaemonError(f"{self.path}: {error.strerror or error}") from None

    def _line(self) -> bytes:
        line = self._read()
        if not line:
            raise NoDaemonError(f"{self.path}: the daemon has closed the connection")
        return line

    def _read(self) -> bytes:
        try:
            line = self._lines.readline(LONGEST_LINE)
        except TimeoutError:
            raise SilentError(
                f"{self.path}: the daemon has not answered within {self._seconds:g} s"
            ) from None
        except OSError as error:
            raise NoDaemonError(f"{self.path}: {error.strerror or error}") from None
        if line and not line.endswith(b"\n"):
            raise ControlError(f"{self.path}: the answer has broken off")
        return line


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _connected(paths: Sequence[str], seconds: float) -> tuple[socket.socket, str]:
    reasons: list[str] = []
    kind = NoDaemonError
    for path in paths:
        sock = socket.socket(socket.AF_UNIX)
        # with a timeout of Python's it would not block, and a full queue turns away who does not
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(seconds))
        try:
            sock.connect(path)
        except BlockingIOError:
            sock.close()
            kind = SilentError
            reasons.append(f"{path}: too many wait, and none was let in within {seconds:g} s")
        except (OSError, ValueError) as error:
            sock.close()
            kind = KeptOutError if isinstance(error, PermissionError) else kind
            reasons.append(f"{path}: {_why(path, error)}")
        else:
            return sock, path
    why = "; ".join(reasons)
    advice = WHO_MAY if kind is KeptOutError else "--control PATH names another socket"
    raise kind(f"no daemon answers: {why} ({advice})")


def _why(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, ConnectionRefusedError) and not _is_socket(path):
        return "it is no socket"
    return getattr(error, "strerror", None) or str(error)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        return True  # it has just gone


def _timeval(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
