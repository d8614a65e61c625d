"""What a service declares, and finding the services that there are.

A service is one file in the plugin package `sockd.services`, with one module-level object that
provides `ISockService`: a `Kind`. A *kind* is code; an *instance* is a `[service.NAME]` table.
Another distribution adds a kind by putting a file into a directory `sockd/services` of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from typing import Any, Protocol, cast

from attrs import Factory, define, field, frozen
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface, implementer

from sockd.net.context import Context
from sockd.net.datagram import Datagrams, Sender
from sockd.net.stream import Stream

STREAM_TRANSPORTS = ("tcp", "tls", "unix")
DATAGRAM_TRANSPORTS = ("udp", "unixgram")
SENDER_TRANSPORTS = ("multicast",)

TRIES = {
    "tcp": "nc {host} {port}",
    "tls": "openssl s_client -quiet -connect {host}:{port}",
    "unix": "nc -U {path}",
    "udp": "nc -u {host} {port}",
    "unixgram": "nc -uU {path}",
    "multicast": "socat -u UDP4-RECV:{port},ip-add-membership={group}:{interface} -",
}
"""What to type to try a service, by transport, where it names nothing better."""


class ISockService(Interface):
    """A kind of service: everything the daemon needs to know of it. `Kind` provides it."""

    name = Attribute("the kind's name, as in `kind = NAME`")
    summary = Attribute("one line that tells a user what it does")
    documentation = Attribute("the whole documentation, Markdown")
    options = Attribute("the attrs class of its own options")
    stream = Attribute("the Protocol class of a connection, or None")
    datagram = Attribute("the DatagramProtocol class that answers datagrams, or None")
    sender = Attribute("the DatagramProtocol class that sends unasked, or None")
    shared = Attribute("makes what the connections of an instance share, or None")
    instances = Attribute("the instances that run where there is no configuration")
    transports = Attribute("the transports it can be listened on")
    try_with = Attribute("what to type to try it over a transport")


class Shared(Protocol):
    """What an instance's connections share, and what stops with the instance."""

    def stop(self) -> None:
        """Let go of everything: processes, timers."""


@frozen
class NoOptions:
    """A kind that has no options of its own."""


@frozen
class Instance:
    """An instance that runs by default: a `[service.NAME]` table.

    `listen` holds listen strings; `${RUNTIME}` in one is the runtime directory.
    """

    name: str
    listen: Sequence[str]
    settings: Mapping[str, Any] = Factory(dict)


@implementer(ISockService, IPlugin)
@frozen(kw_only=True, eq=False)
class Kind:
    """A kind of service, declared: the one object of a file in `sockd.services`."""

    name: str
    doc: str | None
    """The file's docstring: help text and documentation in one."""
    instances: Sequence[Instance] = ()
    options: type[Any] = NoOptions
    stream: type[Stream] | None = None
    datagram: type[Datagrams] | None = None
    sender: type[Sender] | None = None
    shared: Callable[[Context], Shared] | None = None
    """Called once an instance, at start. Raises OSError or ValueError where it cannot run."""
    tries: Mapping[str, str] = field(factory=dict)
    """What to type to try it, by transport, where `TRIES` is not good enough."""

    def try_with(self, transport: str) -> str:
        """What to type to try it over a transport, with {host}, {port}, {path} to fill in."""
        return self.tries.get(transport, TRIES[transport])

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.documentation.partition("\n")[0].rstrip(".")

    @property
    def documentation(self) -> str:
        """The docstring."""
        return cleandoc(self.doc or f"{self.name}: no documentation.")

    @property
    def transports(self) -> tuple[str, ...]:
        """The transports it can be listened on."""
        return (
            (STREAM_TRANSPORTS if self.stream else ())
            + (DATAGRAM_TRANSPORTS if self.datagram else ())
            + (SENDER_TRANSPORTS if self.sender else ())
        )


@define
class Found:
    """The kinds that there are, by name, and the files that could not be used, with the reason."""

    kinds: dict[str, Kind] = Factory(dict)
    broken: dict[str, str] = Factory(dict)


def find() -> Found:
    """Look through the plugin package. A broken file is named; it does not hide the others.

    This reads the package itself and not `twisted.plugin.getPlugins`, which writes a cache beside
    the files, complains in the log where it may not, and logs a broken file as a traceback.
    """
    # by name: this module is below the services, which import it
    package = importlib.import_module("sockd.services")
    found = Found()
    for module in pkgutil.iter_modules(package.__path__, "sockd.services."):
        try:
            _collect(found, module.name)
        except Exception as error:  # noqa: BLE001 - foreign code: whatever it raises, it is disabled
            found.broken[module.name] = f"{type(error).__name__}: {error}"
    return found


def _collect(found: Found, module: str) -> None:
    for value in vars(importlib.import_module(module)).values():
        if not ISockService.providedBy(value):
            continue
        kind = cast(Kind, value)
        if found.kinds.setdefault(kind.name, kind) is not kind:
            raise ValueError(f"there is a kind {kind.name!r} already")
