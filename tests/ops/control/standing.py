"""Services in memory, as the commands of the control socket see those of a daemon."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from sockd.access.peer import Peer
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.frames import joined
from tests.helpers import connect, make_context, make_settings, make_world
from tests.memory import Client


class Standing:
    """A daemon that runs these kinds, one instance of each, in memory."""

    def __init__(self, *kinds: str, **table: Any) -> None:
        self.world = make_world()
        self.contexts = {kind: make_context(kind, self.world, **table) for kind in kinds}
        instances = [
            (make_settings(kind, **table), SimpleNamespace(guard=context.guard, listeners=()))
            for kind, context in self.contexts.items()
        ]
        self.daemon = SimpleNamespace(
            instances=tuple(instances), draining=(), world=self.world, is_stopping=False
        )
        self.operations: Any = SimpleNamespace(daemon=self.daemon, switches=SimpleNamespace(off=()))

    def connect(self, kind: str, host: str = "192.0.2.7", port: int = 50_007) -> Client:
        """A connection to one of them."""
        return connect(kind, self.contexts[kind], Peer(host, port))

    def drain(self, kind: str) -> None:
        """Have one be there only for its connections."""
        going = [one for one in self.daemon.instances if one[0].name == kind]
        self.daemon.instances = tuple(one for one in self.daemon.instances if one not in going)
        self.daemon.draining = tuple(running for _, running in going)

    def disable(self, kind: str) -> None:
        """Have one be switched off."""
        off = [settings for settings, _ in self.daemon.instances if settings.name == kind]
        self.drain(kind)
        self.daemon.draining = ()
        self.operations.switches.off = tuple(off)

    def parts(self, command: Any, **given: Any) -> Iterable[Any]:
        """What a command answers, part by part."""
        parts: Iterable[Any] = command(self.operations, Arguments(given))
        return parts

    def ask(self, command: Any, **given: Any) -> Any:
        """What a command answers, as a client has it."""
        return joined(self.parts(command, **given))
