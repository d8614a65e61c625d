"""What the daemon reports: structured events, each with a name, fields and a sentence.

Every event goes to Twisted's logger with `event` (its name) and its fields, so that the text log
can show the sentence and the JSON log the fields. A field is text, a number, or a value with a
method `fields`: the sentence shows the value, and the JSON log what it is made of. So a `Peer` is
`192.0.2.7:50007` to people, and `peer_address` and `peer_port` to programs. Values may come from
the network: the log writer in `sockd.ops` escapes them, all of them, in one place.
"""

from __future__ import annotations

from collections.abc import Hashable
from time import time
from typing import Any, Protocol

from twisted.logger import Logger, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from sockd.formats.template import names_in
from sockd.options.units import LONGEST_DURATION, Duration

_log = Logger(namespace="sockd")
_INFO = LogLevel.info


class Composed(Hashable, Protocol):
    """A field of several parts: `Peer`, `Entrance`, `Reason`. `str` of it is for people."""

    def fields(self, key: str) -> dict[str, Any]:
        """The parts by their names; `key` is the name of the field that has this value."""


class Peer(Composed, Protocol):
    """Who is at the other end: `sockd.access.peer.Peer`, which is above this."""

    @property
    def host(self) -> str:
        """An address; empty for a process on this host."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def via(self) -> Peer | None:
        """The proxy that spoke for it."""


class Services(int):
    """How many services there are: `1 service`, `16 services`."""

    def __str__(self) -> str:
        return f"{int(self)} service{'s' * (self != 1)}"


class Untold(int):
    """How many events of the same kind were not told before this one."""

    def __str__(self) -> str:
        return f" (and {int(self)} more since the last report)" if self else ""


class Term(float):
    """Seconds that something is to last; infinite ones: until it is taken back."""

    def __str__(self) -> str:
        if self > LONGEST_DURATION:
            return "until it is taken back"
        return f"for {Duration(round(self, 3))}"


class Lines(int):
    """How many lines there are."""

    def __str__(self) -> str:
        return f"{int(self)} line{'s' * (self != 1)}"


SENTENCES = {
    "started": "sockd {version} runs {services} on the {reactor}",
    "stopped": "sockd has stopped",
    "upgrading": "sockd goes on with what is installed now, in the same process",
    "reloading": "the configuration is read anew",
    "reload-step": "{step}",
    "reloaded": "the configuration holds, after {seconds:.3f} s",
    "reload-failed": "the configuration stays as it was: {reason}",
    "control": "commands are taken at {path}",
    "command": "{peer} has asked for {command} {arguments}",
    # addresses
    "listening": "{service}: listening on {local}",
    "skipped": "{service}: {local} skipped: {reason}",
    "retry": "{service}: {local}: {reason}; trying again in {seconds:g} s",
    "retried": "{service}: listening on {local}, at try {tries}",
    "certificate": "{service}: {local}: {reason}",
    "certificates": (
        "certificates: {looked_at} looked at, {changed} changed, {unusable} cannot be used"
    ),
    # conversations
    "opened": "{service}: connection from {peer}",
    "closed": (
        "{service}: {peer} closed after {duration:.3f} s, "
        "{bytes_in} bytes in, {bytes_out} bytes out: {reason}"
    ),
    "refused": "{service}: {carrier} from {peer} refused: {reason}{suppressed}",
    "failed": "{service}: {peer}: {reason}",
    "error": "{service}: {peer}: error in the service",
    # what an administrator has asked for
    "banned": "{service}: {prefix} is banned {term}",
    "unbanned": "{service}: {prefix} is not banned any more",
    # users of the chat
    "logged-in": "{service}: {user} has logged in from {peer}{suppressed}",
    "logged-off": (
        "{service}: {user} of {peer} is gone after {duration:.3f} s: {reason}{suppressed}"
    ),
    # texts
    "transfer-stopped": (
        "{service}: {peer} has stopped its {transfer} by {how}; {dropped} bytes dropped{suppressed}"
    ),
    # urgent data
    "normal-data": "{service}: {peer}: got {size} bytes of normal data: {text}{suppressed}",
    "urgent-data": "{service}: {peer}: got 1 byte of urgent data: {text}{suppressed}",
    # programs
    "child-started": "{service}: started {program} as process {pid} for {peer}",
    "child-said": "{service}: process {pid} of {peer} reports: {text}",
    "child-reaped": "{service}: process {pid} of {peer} ended: {status}",
    # what somebody should look at
    "warning": "{service}: {reason}",
    "descriptors": "no descriptors are left (ulimit -n): new connections are closed",
    # the log itself
    "log-reopened": "the log goes on in {path}",
    "log-dropped": "the log was not read in time: {lines} lost here",
    "log-lost": "the log could not be written: {lines} lost here: {reason}",
    "log-suppressed": ("{service}: too many lines a second (log_rate): {lines} of {kind} left out"),
    "log-kept": "the log goes on where it was: {reason}",
}
"""The sentence of each event; its fields are the names in braces, and those of `UNSAID`."""

UNSAID = {
    "opened": {"connection", "local"},
    "closed": {"connection", "local"},
    "refused": {"local"},
    "banned": {"note"},
    "logged-in": {"local"},
    "logged-off": {"local"},
}
"""Fields that only programs are told."""

FIELDS = {name: names_in(text) | UNSAID.get(name, set()) for name, text in SENTENCES.items()}
"""The names of the fields of each event."""


def emit(event: str, *, level: LogLevel = _INFO, **fields: Any) -> None:
    """Report an event of `SENTENCES` with its `FIELDS`."""
    # as the logger's own `emit`, which takes longer to check the level than all the rest
    fields |= {
        "event": event,
        "log_level": level,
        "log_format": SENTENCES[event],
        "log_namespace": "sockd",
        "log_source": None,
        "log_logger": _log,
        "log_time": time(),
    }
    globalLogPublisher(fields)


def warn(event: str, **fields: Any) -> None:
    """Report an event that somebody should look at."""
    emit(event, level=LogLevel.warn, **fields)


def crash(service: str, peer: Composed, failure: Failure | None = None) -> None:
    """Report a service's fault, that ends this peer only: the exception that is being handled."""
    _log.failure(SENTENCES["error"], failure, event="error", service=service, peer=peer)


# the two events of every connection, with a way of their own


class ConnectionLog(Protocol):
    """An observer that can write the two quicker than a publisher passes them on."""

    def opened(self, service: str, connection: int, local: Composed, peer: Peer, /) -> None:
        """A connection has opened."""

    def closed(
        self,
        service: str,
        connection: int,
        local: Composed,
        peer: Peer,
        duration: float,
        bytes_in: int,
        bytes_out: int,
        reason: Composed,
        /,
    ) -> None:
        """A connection has ended."""


_connection_log: ConnectionLog | None = None
_observers: list[object] = getattr(globalLogPublisher, "_observers", [])
"""Twisted's list of who hears events; without it everything goes the long way."""


def use_connection_log(log: ConnectionLog | None) -> None:
    """Tell this one of connections at once, while it is the only observer there is."""
    global _connection_log
    _connection_log = log


def opened(service: str, connection: int, local: Composed, peer: Peer) -> None:
    """Report a connection that has opened."""
    if _connection_log is not None and len(_observers) == 1 and _observers[0] is _connection_log:
        _connection_log.opened(service, connection, local, peer)
    else:
        emit("opened", service=service, connection=connection, local=local, peer=peer)


def closed(
    service: str,
    connection: int,
    local: Composed,
    peer: Peer,
    duration: float,
    bytes_in: int,
    bytes_out: int,
    reason: Composed,
) -> None:
    """Report a connection that has ended, after so many seconds."""
    if _connection_log is not None and len(_observers) == 1 and _observers[0] is _connection_log:
        _connection_log.closed(
            service, connection, local, peer, duration, bytes_in, bytes_out, reason
        )
    else:
        emit(
            "closed",
            service=service,
            connection=connection,
            local=local,
            peer=peer,
            duration=duration,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            reason=reason,
        )
