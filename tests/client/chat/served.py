"""An old server on a socket: what it is sent and what it sends is the test's affair."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

from sockd.formats.chat.events import pack
from tests.client.chat.old import OldServer
from tests.processes import PATIENCE, wait_until


@define(eq=False)
class Served:
    """One, and the client that has spoken last."""

    sock: socket.socket
    server: OldServer = field(factory=OldServer)
    client: tuple[str, int] | None = None

    @property
    def where(self) -> str:
        """As a user names it."""
        host, port = self.sock.getsockname()
        return f"{host}:{port}"

    def serve(self) -> None:
        """Answer, until there is an empty datagram."""
        while True:
            data, self.client = self.sock.recvfrom(65_536)
            if not data:
                return
            for answer in self.server.answers(data):
                self.sock.sendto(answer, self.client)

    def say(self, code: int, text: bytes) -> None:
        """Something that nobody has asked for."""
        assert self.client is not None
        self.sock.sendto(pack(code, text), self.client)

    def wait_for(self, code: int, text: bytes) -> None:
        """Until it has had something."""
        wait_until(lambda: (code, text) in self.server.had, f"{code} {text!r}", PATIENCE)


@contextmanager
def old_server() -> Iterator[Served]:
    """One on loopback, for as long as the block runs."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        found = Served(sock)
        thread = threading.Thread(target=found.serve, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"", sock.getsockname())
            thread.join(PATIENCE)
