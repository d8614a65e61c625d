"""How the daemon is."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from sockd import __version__
from sockd.config.settings import InstanceSettings
from sockd.daemon.instance import RunningInstance
from sockd.net.listener import Listener
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command
from sockd.ops.rates import RateMeter, totals
from sockd.options.files import absolute

if TYPE_CHECKING:
    from sockd.ops.operations import Operations


def status(operations: Operations, arguments: Arguments) -> Answer:
    """The process, its loop, the last reload, and every service with what it does."""
    arguments.done()
    daemon, lag = operations.daemon, operations.lag
    services = [_service(*one, operations.rates) for one in daemon.instances]
    missing = [text for one in services for text in one.pop("missing")]
    return {
        "version": __version__,
        "pid": os.getpid(),
        "ready": not missing and not daemon.is_stopping,
        "missing": missing,
        "time": daemon.world.wall(),
        "uptime": operations.uptime,
        "reactor": type(daemon.world.reactor).__name__,
        "lag": {"now": lag.now, "p99": lag.quantile(0.99), "worst": lag.worst},
        "configuration": _configuration(operations),
        "connections": sum(one["connections"] for one in services),
        "draining": sum(len(one.guard.sessions) for one in daemon.draining),
        "bans": daemon.world.state.bans.count(daemon.world.reactor.seconds()),
        "rates_of": operations.rates.span,
        "services": services,
        "disabled": [
            {"name": settings.name, "until_reload": settings.enabled}
            for settings in operations.switches.off
        ],
    }


def _configuration(operations: Operations) -> Answer:
    reloader = operations.reloader
    failure = reloader.last_failure
    files = operations.daemon.settings.files
    return {
        "files": [absolute(file, operations.folder) for file in files],
        "reloads": reloader.succeeded,
        "failed": reloader.failed,
        "restart": [] if reloader.last is None else list(reloader.last.restart),
        "failure": None
        if failure is None
        else {"at": failure.at, "reasons": list(failure.reasons)},
    }


def _service(
    settings: InstanceSettings, running: RunningInstance, meter: RateMeter
) -> dict[str, Any]:
    guard = running.guard
    now = totals(guard)
    refused: Counter[str] = Counter()
    for _, _, traffic in guard.counts:
        refused.update(traffic.refused)
    return {
        "name": settings.name,
        "kind": settings.kind.name,
        "addresses": [_address(listener) for listener in running.listeners],
        "connections": len(guard.sessions),
        "max_connections": settings.limits.max_connections,
        "totals": now,
        "rates": meter.rates(guard, now),
        "refused": dict(refused.most_common()),
        "missing": [
            f"{settings.name}: {listener.address}: {listener.waits_for or 'not listened on'}"
            for listener in running.listeners
            if _is_missed(settings, listener)
        ],
    }


def _address(listener: Listener) -> dict[str, Any]:
    return {
        "transport": listener.listen.scheme,
        "role": listener.listen.role,
        "address": listener.address,
        "is_listening": listener.is_listening,
        "waits_for": listener.waits_for,
    }


def _is_missed(settings: InstanceSettings, listener: Listener) -> bool:
    """Whether somebody relies on an address that cannot be had."""
    if listener.is_listening or not settings.limits.required:
        return False
    return listener.listen.transport != "multicast" and not listener.listen.terms.optional


COMMANDS = {"status": Command(status)}
