"""Have a service run, or not, until the next reload."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sockd.daemon.daemon import StartError
from sockd.daemon.instance import RunningInstance
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command
from sockd.ops.control.frames import ControlError
from sockd.ops.control.selection import no_service

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

LOWEST_FREE_PORT = 1024
"""The first port that anybody may listen on."""


def disable(operations: Operations, arguments: Arguments) -> Answer:
    """Let go of the addresses of a service, and have its connections end within `drain`."""
    name = arguments.take("service", str)
    arguments.done()
    off = {settings.name for settings in operations.switches.off}
    if name in off:
        return {"service": name, "changed": False, "connections": 0, "drain": 0.0}
    running = {settings.name: instance for settings, instance in operations.daemon.instances}
    if name not in running:
        raise no_service(operations, name, [*running, *off])
    _stays_possible(operations, running[name])
    guard = running[name].guard
    connections = len(guard.sessions)
    try:
        operations.switches.disable(name)
    except StartError as error:
        raise ControlError(f"{name} stays enabled:\n{error}") from None
    drain = float(guard.limits.drain)
    return {"service": name, "changed": True, "connections": connections, "drain": drain}


def enable(operations: Operations, arguments: Arguments) -> Answer:
    """Have a service run that was disabled."""
    name = arguments.take("service", str)
    arguments.done()
    off = {settings.name for settings in operations.switches.off}
    if name not in off:
        running = [settings.name for settings, _ in operations.daemon.instances]
        if name not in running:
            raise no_service(operations, name, [*running, *off])
        return {"service": name, "changed": False}
    try:
        operations.switches.enable(name)
    except StartError as error:
        raise ControlError(f"{name} stays disabled:\n{error}") from None
    return {"service": name, "changed": True}


def _stays_possible(operations: Operations, running: RunningInstance) -> None:
    """Raises ControlError where it could not be enabled again, nor by a reload."""
    if not operations.daemon.world.gives_up_root or os.geteuid() == 0:
        return
    for listener in running.listeners:
        if 0 < listener.listen.port < LOWEST_FREE_PORT and not listener.listen.systemd:
            raise ControlError(
                f"{listener.address} could not be had again: root was given up at the start; "
                "`enabled = false` and a reload end the service until a restart",
                "refused",
            )


COMMANDS = {
    "enable": Command(enable, changes=True),
    "disable": Command(disable, changes=True),
}
