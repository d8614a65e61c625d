"""The other end: a blocking client without a reactor."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from sockd.ops.control.frames import (
    LONGEST_LINE,
    ControlError,
    Request,
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


def usual_paths() -> list[str]:
    """Where a daemon of this user's, or of the system, has its control socket by default."""
    own = str(Path(runtime_directory(os.environ, os.getuid()), CONTROL_NAME))
    return list(dict.fromkeys([own, SYSTEM_PATH]))


class ControlClient:
    """A connection to a daemon. Raises ControlError; NoDaemonError where none answers."""

    def __init__(self, path: str | None = None, seconds: float | None = ANSWER_SECONDS) -> None:
        paths = usual_paths() if path is None else [path]
        self._sock, self.path = _connected(paths, ANSWER_SECONDS if seconds is None else seconds)
        self._sock.settimeout(seconds)
        self._lines = self._sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._sock.close()

    def ask(self, command: str, /, **arguments: Any) -> dict[str, Any]:
        """The answer to a command; arguments that are None are left out."""
        self._send(Request(command, _given(arguments)))
        parts = [told := read_line(self._line())]
        while told.what == "part":
            parts.append(told := read_line(self._line()))
        return joined(part.value for part in parts)

    def follow(self, command: str, /, **arguments: Any) -> Iterator[dict[str, Any]]:
        """What goes on, until the daemon ends it."""
        self._send(Request(command, _given(arguments), follow=True))
        self._sock.settimeout(None)
        while line := self._read():
            yield read_line(line).value

    def _send(self, request: Request) -> None:
        try:
            self._sock.sendall(request_line(request))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has closed before it was asked: it may have said why
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
            raise NoDaemonError(
                f"{self.path}: the daemon has not answered within {self._sock.gettimeout():g} s"
            ) from None
        except OSError as error:
            raise NoDaemonError(f"{self.path}: {error.strerror or error}") from None
        if line and not line.endswith(b"\n"):
            raise ControlError(f"{self.path}: the answer has broken off")
        return line


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _connected(paths: Sequence[str], seconds: float) -> tuple[socket.socket, str]:
    reasons, is_kept_out = [], False
    for path in paths:
        sock = socket.socket(socket.AF_UNIX)
        # with a timeout of Python's it would not block, and a full queue turns away who does not
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(seconds))
        try:
            sock.connect(path)
        except BlockingIOError:
            sock.close()
            reasons.append(f"{path}: too many wait, and none was let in within {seconds:g} s")
        except (OSError, ValueError) as error:
            sock.close()
            is_kept_out |= isinstance(error, PermissionError)
            reasons.append(f"{path}: {getattr(error, 'strerror', None) or error}")
        else:
            return sock, path
    why = "; ".join(reasons)
    advice = WHO_MAY if is_kept_out else "--control PATH names another socket"
    raise NoDaemonError(f"no daemon answers: {why} ({advice})")


def _timeval(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
