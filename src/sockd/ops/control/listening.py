"""The control socket as a file: bound at a start, moved at a reload, removed at the end."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sockd import events
from sockd.access.reasons import because
from sockd.daemon.daemon import StartError
from sockd.listen.runtime import make_runtime_directory
from sockd.listen.socket_files import (
    Identity,
    InUseError,
    SocketFileError,
    bind_file,
    give,
    remove_own,
)
from sockd.ops.control.commands import COMMANDS
from sockd.ops.control.server import ControlFactory
from sockd.options.control import CONTROL_NAME
from sockd.options.runtime import runtime_directory
from sockd.reactor.local import adopt_local_port

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

MODE = 0o600
"""The daemon's user and root: whoever may ask may end connections and read who is connected."""
BACKLOG = 16


class ControlListener:
    """Where commands are taken, if they are."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._factory = ControlFactory(operations, COMMANDS)
        self._port: Any = None
        self._identity: Identity | None = None
        self.path = ""
        """The socket's; nothing where there is none."""

    def open(self) -> None:
        """Bind the socket that the configuration names.

        Raises StartError where it cannot be had. The one that nobody asked for is done without, and
        a warning says so: another daemon of this user's may have it.
        """
        wanted = self._operations.daemon.settings.daemon.control
        runtime = runtime_directory(os.environ, os.getuid())
        path = wanted.within(runtime)
        if not path:
            return
        try:
            self._bind(path, runtime)
        except (OSError, SocketFileError, InUseError) as error:
            why = f"control socket {path}: {_why(error)}"
            if wanted != CONTROL_NAME:
                raise StartError(f"sockd: {why}") from None
            reason = because("configuration", detail=f"{why}; there is none")
            events.warn("warning", service="sockd", reason=reason)

    def close(self) -> None:
        """Take no more commands; those that are open are cut off."""
        port, self._port = self._port, None
        if port is None:
            return
        identity, self._identity = self._identity, None
        try:
            remove_own(self.path, identity)
        except OSError as error:
            reason = because("file_left", detail=error.strerror or str(error))
            events.warn("warning", service="sockd", reason=reason)
        port.stopListening()
        for protocol in tuple(self._factory.open):
            protocol.transport.loseConnection()
        self.path = ""

    def give(self, uid: int, gid: int) -> None:
        """Make the file this user's, who the process becomes."""
        if self._identity is not None:
            give(self.path, self._identity, uid, gid)

    def _bind(self, path: str, runtime: str) -> None:
        if str(Path(path).parent) == runtime:
            make_runtime_directory(runtime)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.setblocking(False)
            self._identity = bind_file(sock, path, MODE, BACKLOG)
            reactor = self._operations.daemon.world.reactor
            self._port = adopt_local_port(reactor, sock, self._factory, BACKLOG)
        self.path = path
        events.emit("control", path=path)


def _why(error: Exception) -> str:
    if isinstance(error, InUseError):
        return "another process listens there"
    return getattr(error, "strerror", None) or str(error)
