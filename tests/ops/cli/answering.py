"""A control socket whose answers a test says beforehand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from sockd.ops.control.frames import answer_line, read_request
from tests.processes import PATIENCE


class Answering:
    """Answers a request for each connection, the next of `answers`; keeps what was asked."""

    def __init__(self, path: Path) -> None:
        self.answers: list[dict[str, Any]] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as lines:
                request = read_request(lines.readline())
                self.requests.append((request.command, dict(request.arguments)))
                peer.sendall(answer_line(self.answers.pop(0)))


@contextmanager
def saying(line: bytes, path: Path) -> Iterator[None]:
    """Whoever connects first is answered with this line, whatever it asks for, and how often."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            asking, _ = server.accept()
            with asking, suppress(OSError):
                while asking.recv(65536):
                    asking.sendall(line)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join(PATIENCE)
