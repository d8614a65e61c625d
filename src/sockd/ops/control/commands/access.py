"""Who was refused, and who would be: `refused`, `test-access`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from sockd.access.prefixes import (
    CONNECTION_SOURCE_BITS,
    matches,
    parse_address,
    parse_prefix,
    source_key,
)
from sockd.access.refusals import Group
from sockd.ops.control.access import judged
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command
from sockd.ops.control.commands.bans import ban_told
from sockd.ops.control.frames import ControlError
from sockd.ops.control.parts import in_parts
from sockd.ops.control.selection import guards, no_service
from sockd.options.units import LARGEST_SIZE

if TYPE_CHECKING:
    from sockd.ops.operations import Operations


def refused(operations: Operations, arguments: Arguments) -> Iterator[Answer]:
    """Recent refusals in groups, the latest first; at these `services`, `from` these networks."""
    services, networks = arguments.texts("services"), arguments.texts("from")
    arguments.done()
    world = operations.daemon.world
    groups = world.state.refusals.latest()
    known = [name for name, _ in guards(operations.daemon)]
    known += [group.service for group in groups]  # of services that are there no more
    for name in services:
        if name not in known:
            raise no_service(operations, name, known)
    try:
        sources = tuple(map(parse_prefix, networks))
    except ValueError as error:
        raise ControlError(f"`from`: {error}", "usage") from None
    chosen = [
        group
        for group in groups
        if (not services or group.service in services)
        and (not sources or (bool(group.peer.host) and matches(sources, group.peer.host)))
    ]
    began = world.wall() - world.reactor.seconds()
    forgotten = world.state.refusals.forgotten
    return in_parts("groups", chosen, partial(_group, began), forgotten=forgotten)


def test_access(operations: Operations, arguments: Arguments) -> Answer:
    """What decides at `service` on `address`, which may be `user:NAME` too."""
    service = arguments.take("service", str)
    address = arguments.take("address", str)
    arguments.done()
    settings, instance = find_instance(operations, service)
    world = operations.daemon.world
    is_user = address.startswith("user:")
    try:
        host = "" if is_user else str(parse_address(address))
        ban = world.state.bans.find(host, world.reactor.seconds()) if host else None
        answer = judged(settings, address, ban)
    except ValueError as error:
        raise ControlError(str(error), "usage") from None
    if host:
        answer["ban"] = None if ban is None else ban_told(operations, ban)
        answer["open_connections"] = _open_from(host, instance)
        answer["max_connections_per_source"] = _most_from(settings, answer)
    return answer


def _most_from(settings: Any, answer: Answer) -> int | None:
    """How many connections a host may have; None: any number."""
    most = settings.limits.max_connections_per_source
    return None if most >= LARGEST_SIZE or answer["is_trusted"] else int(most)


def find_instance(operations: Operations, name: str) -> tuple[Any, Any]:
    """The settings and the instance of a service that runs. Raises ControlError."""
    by_name = {settings.name: (settings, one) for settings, one in operations.daemon.instances}
    if name not in by_name:
        raise no_service(operations, name, by_name)
    return by_name[name]


def _open_from(host: str, instance: Any) -> int:
    """The open connections of what counts as one source with this host."""
    source = source_key(host, *CONNECTION_SOURCE_BITS)
    return sum(
        bool(session.peer.host) and source_key(session.peer.host, *CONNECTION_SOURCE_BITS) == source
        for session in instance.guard.sessions
    )


def _group(began: float, group: Group) -> dict[str, Any]:
    return {
        "service": group.service,
        "source": group.source,
        "transport": group.transport or None,
        "reason": group.reason,
        "rule": group.rule,
        "count": group.count,
        "first": round(began + group.first, 3),
        "last": round(began + group.last, 3),
        "is_proven": group.is_proven,
    }


COMMANDS = {"refused": Command(refused), "test-access": Command(test_access)}
