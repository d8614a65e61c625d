"""The control socket as a file: bound at a start, moved at a reload, removed at the end."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define

from sockd import events
from sockd.access.reasons import because
from sockd.daemon.daemon import StartError
from sockd.listen.runtime import make_runtime_directory
from sockd.listen.socket_files import (
    Identity,
    InUseError,
    SocketFileError,
    bind_file,
    file_identity,
    give,
    remove_own,
)
from sockd.ops.control.commands import COMMANDS
from sockd.ops.control.server import MOST_CONNECTIONS, ControlFactory
from sockd.options.control import CONTROL_NAME
from sockd.options.runtime import runtime_directory
from sockd.reactor.local import adopt_local_port

if TYPE_CHECKING:
    from sockd.config.settings import Settings
    from sockd.ops.operations import Operations

MODE = 0o600
"""The daemon's user and root: whoever may ask may end connections and read who is connected."""
BACKLOG = MOST_CONNECTIONS
"""As many as may ask can come at once, though the loop is held."""


@define(eq=False)
class _Bound:
    """A control socket that is bound: commands that come are taken in the next turn."""

    path: str
    identity: Identity | None
    port: Any

    @property
    def is_in_place(self) -> bool:
        """Whether who asks at the path asks here: nobody has removed or replaced the file."""
        try:
            return file_identity(self.path) == self.identity
        except OSError:
            return False

    def remove_file(self) -> None:
        """Remove its file, while it still listens (`remove_own`)."""
        try:
            remove_own(self.path, self.identity)
        except OSError as error:
            reason = because("file_left", detail=error.strerror or str(error))
            events.warn("warning", service="sockd", reason=reason)
        self.identity = None

    def close(self) -> None:
        """Take no more commands."""
        self.remove_file()
        self.port.stopListening()


@define
class _Move:
    """The control socket gets another place, or none, or stays."""

    listener: ControlListener
    new: _Bound | None
    stays: bool = False

    def switch(self) -> None:
        """Take commands there. Who has asked at the old place still gets the answer."""
        if not self.stays:
            self.listener.use(self.new)

    def undo(self) -> None:
        """Leave it where it was."""
        if self.new is not None:
            self.new.close()


class ControlListener:
    """Where commands are taken, if they are. A reload moves it: it is a `Part` of one."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._factory = ControlFactory(operations, COMMANDS)
        self._bound: _Bound | None = None

    @property
    def path(self) -> str:
        """The socket's; nothing where there is none."""
        return "" if self._bound is None else self._bound.path

    def open(self) -> None:
        """Bind the socket that the configuration names.

        Raises StartError where it cannot be had. The one that nobody asked for is done without, and
        a warning says so: another daemon of this user's may have it.
        """
        self.prepare(self._operations.daemon.settings).switch()

    def prepare(self, settings: Settings) -> _Move:
        """Bind the socket that these settings name, where it is another, or its file is not there
        any more. Raises StartError."""
        wanted = settings.daemon.control
        runtime = runtime_directory(os.environ, os.getuid())
        path = wanted.within(runtime)
        if path == self.path and (self._bound is None or self._bound.is_in_place):
            return _Move(self, None, stays=True)
        if not path:
            return _Move(self, None)
        try:
            return _Move(self, self._bind(path, runtime))
        except (OSError, SocketFileError, InUseError) as error:
            why = f"control socket {path}: {_why(error)}"
            if wanted != CONTROL_NAME:
                raise StartError(f"sockd: {why}") from None
            reason = because("configuration", detail=f"{why}; there is none")
            events.warn("warning", service="sockd", reason=reason)
            return _Move(self, None)

    def _bind(self, path: str, runtime: str) -> _Bound:
        if str(Path(path).parent) == runtime:
            make_runtime_directory(runtime)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.setblocking(False)
            identity = bind_file(sock, path, MODE, BACKLOG)
            reactor = self._operations.daemon.world.reactor
            try:
                port = adopt_local_port(reactor, sock, self._factory, BACKLOG)
            except BaseException:
                remove_own(path, identity)
                raise
        return _Bound(path, identity, port)

    def use(self, new: _Bound | None) -> None:
        """Take commands here from now on, or nowhere."""
        old, self._bound = self._bound, new
        if new is not None:
            events.emit("control", path=new.path)
        if old is not None:
            old.close()

    def close(self) -> None:
        """Take no more commands; those that are open are cut off."""
        self.use(None)
        for protocol in tuple(self._factory.open):
            protocol.end()

    def give(self, uid: int, gid: int) -> None:
        """Make the file this user's, who the process becomes."""
        if self._bound is not None and self._bound.identity is not None:
            give(self.path, self._bound.identity, uid, gid)


def _why(error: Exception) -> str:
    if isinstance(error, InUseError):
        return "another process listens there"
    return getattr(error, "strerror", None) or str(error)
