"""Who is connected, and having some of them connected no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from sockd.access.guard import Session
from sockd.access.reasons import because
from sockd.net.states import Facts, state_of
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command, Follower
from sockd.ops.control.frames import ControlError
from sockd.ops.control.selection import Selection

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

_KILLED = because("killed")


def sessions(operations: Operations, arguments: Arguments) -> Iterator[Answer]:
    """The connections that are open."""
    selection = Selection.taken(operations, arguments)
    arguments.done()
    daemon = operations.daemon
    for some in selection.within(daemon):
        now = daemon.world.reactor.seconds()
        yield {"sessions": [_told(name, session, now) for name, session in some]}


def kill(operations: Operations, arguments: Arguments) -> Iterator[Answer]:
    """End connections at once, whatever waits to be sent; says how many."""
    selection = Selection.taken(operations, arguments)
    has_all = arguments.take("all", bool, False)
    arguments.done()
    if not has_all and selection == Selection():
        raise ControlError("say which connections are to end, or that all are", "usage")
    count = 0
    for some in selection.within(operations.daemon):
        for _, session in some:
            session.abort(_KILLED)
        count += len(some)
        yield {"killed": count}


def follow(operations: Operations, arguments: Arguments, follower: Follower) -> Callable[[], None]:
    """Tell of connections that begin and end from now on."""
    selection = Selection.taken(operations, arguments)
    arguments.done()
    if selection.ids or selection.age or selection.idle:
        raise ControlError("what is followed is chosen by service and source only", "usage")

    @implementer(ILogObserver)
    def hear(event: LogEvent) -> None:
        if event.get("log_namespace") != "sockd" or event.get("event") not in ("opened", "closed"):
            return
        if selection.is_of(event["service"], event["peer"]):
            follower.send(_event(event))

    silent = [
        settings.name
        for settings, _ in operations.daemon.instances
        if not settings.limits.log_connections
        and (not selection.services or settings.name in selection.services)
    ]
    if silent:
        follower.send({"event": "silent", "services": silent})
    # while somebody hears, the log's own way around the publisher is closed
    globalLogPublisher.addObserver(hear)
    return lambda: globalLogPublisher.removeObserver(hear)


def _told(service: str, session: Session, now: float) -> dict[str, Any]:
    return {
        "id": session.number,
        "service": service,
        "peer": str(session.peer),
        **session.peer.fields("peer"),
        "door": str(session.entrance),
        **session.entrance.fields("local"),
        "state": state_of(cast(Facts, session)).name,
        "age": round(now - session.since, 3),
        "idle": round(session.idle(now), 3),
        "bytes_in": session.bytes_in,
        "bytes_out": session.bytes_out,
    }


def _event(event: LogEvent) -> dict[str, Any]:
    told = {
        "event": event["event"],
        "time": round(event["log_time"], 3),
        "id": event["connection"],
        "service": event["service"],
        "peer": str(event["peer"]),
        **event["peer"].fields("peer"),
        "door": str(event["local"]),
        **event["local"].fields("local"),
    }
    if event["event"] == "closed":
        told["duration"] = round(event["duration"], 3)
        told |= {"bytes_in": event["bytes_in"], "bytes_out": event["bytes_out"]}
        told |= {**event["reason"].fields("reason"), "why": str(event["reason"])}
    return told


COMMANDS = {"sessions": Command(sessions, follow), "kill": Command(kill, changes=True)}
