"""How the daemon is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sockd import __version__
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command

if TYPE_CHECKING:
    from sockd.ops.operations import Operations


def status(operations: Operations, arguments: Arguments) -> Answer:
    """Version, process, uptime, the last reload, and every service with its addresses."""
    arguments.done()
    daemon, reloader = operations.daemon, operations.reloader
    failure = reloader.last_failure
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptime": operations.uptime,
        "reactor": type(daemon.world.reactor).__name__,
        "reload_failure": None if failure is None else list(failure.reasons),
        "services": [_service(settings, running) for settings, running in daemon.instances],
    }


def _service(settings: Any, running: Any) -> Answer:
    return {
        "name": settings.name,
        "kind": settings.kind.name,
        "addresses": [
            {
                "transport": listener.listen.scheme,
                "address": listener.address,
                "is_listening": listener.is_listening,
                "waits_for": listener.waits_for,
            }
            for listener in running.listeners
        ],
        "connections": len(running.guard.sessions),
    }


COMMANDS = {"status": Command(status)}
