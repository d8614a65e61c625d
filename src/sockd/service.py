"""What a service declares, and finding the services that there are.

A service is one file in the plugin package `sockd.services`, with one module-level object that
provides `ISockService`: a `Kind`. A *kind* is code; an *instance* is a `[service.NAME]` table.
Another distribution adds a kind by putting a file into a directory `sockd/services` of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from typing import Any, Protocol

import attrs
from attrs import Factory, define, field, frozen
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface, implementer

from sockd.access.limits import Limits
from sockd.listen.strings import expand
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


def _only(
    test: Callable[[Any], Any], words: str
) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """A validator that says in these words what it expected."""

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not test(value):
            raise TypeError(f"{attribute.name}: expected {words}, got {value!r}")

    return check


def _only_class(base: type) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """A validator: a class made from the base, or None."""
    return _only(
        lambda value: value is None or (isinstance(value, type) and issubclass(value, base)),
        f"a subclass of {base.__name__}",
    )


_NAME = _only(
    lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value),
    "letters, digits, '_' and '-', at most 64",
)


class ISockService(Interface):
    """A kind of service: everything the daemon needs to know of it. `Kind` provides it."""

    name = Attribute("the kind's name, as in `kind = NAME`")
    summary = Attribute("one line that tells a user what it does")
    documentation = Attribute("the whole documentation, Markdown")
    options = Attribute("the attrs class of its own options")
    stream = Attribute("the Protocol class of a connection, or None")
    datagram = Attribute("the DatagramProtocol class that answers datagrams, or None")
    sender = Attribute("the DatagramProtocol class that sends unasked, or None")
    check = Attribute("raises ValueError where options do not go together, or None")
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

    name: str = field(validator=_NAME)
    listen: Sequence[str]
    settings: Mapping[str, Any] = Factory(dict)


@implementer(ISockService, IPlugin)
@frozen(kw_only=True, eq=False)
class Kind:
    """A kind of service, declared: the one object of a file in `sockd.services`.

    A declaration that cannot be meant so raises TypeError or ValueError.
    """

    name: str = field(validator=_NAME)
    doc: str | None = field(
        validator=_only(lambda value: value is None or isinstance(value, str), "a text")
    )
    """The file's docstring: help text and documentation in one."""
    instances: Sequence[Instance] = field(
        default=(),
        validator=_only(
            lambda value: (
                isinstance(value, (list, tuple)) and all(isinstance(one, Instance) for one in value)
            ),
            "a list of instances",
        ),
    )
    options: type[Any] = field(
        default=NoOptions,
        validator=_only(
            lambda value: isinstance(value, type) and attrs.has(value), "an attrs class"
        ),
    )
    stream: type[Stream] | None = field(default=None, validator=_only_class(Stream))
    datagram: type[Datagrams] | None = field(default=None, validator=_only_class(Datagrams))
    sender: type[Sender] | None = field(default=None, validator=_only_class(Sender))
    check: Callable[[Any], None] | None = None
    """Called with the options: raises ValueError for what no single value shows to be wrong."""
    shared: Callable[[Context[Any, Any]], Shared] | None = field(
        default=None, validator=_only(lambda value: value is None or callable(value), "a callable")
    )
    """Called once an instance, at start. Raises OSError or ValueError where it cannot run."""
    tries: Mapping[str, str] = field(
        factory=dict, validator=_only(lambda value: isinstance(value, Mapping), "a mapping")
    )
    """What to type to try it, by transport, where `TRIES` is not good enough."""

    def __attrs_post_init__(self) -> None:
        # here, so that it disables this kind: as a mistake in the built-in configuration it would
        # stop the others too
        known = {one.name for one in (*attrs.fields(Limits), *attrs.fields(self.options))}
        for instance in self.instances:
            for text in instance.listen:
                if (transport := expand(text)[0].transport) not in self.transports:
                    raise ValueError(f"{text}: {self.name} does not work over {transport}")
            if unknown := instance.settings.keys() - known:
                raise ValueError(f"{instance.name}: unknown keys: {', '.join(sorted(unknown))}")

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
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code: whatever it raises
            found.broken[module.name] = f"{type(error).__name__}: {error}"
    return found


def _collect(found: Found, module: str) -> None:
    for value in vars(importlib.import_module(module)).values():
        if not ISockService.providedBy(value):
            continue
        if not isinstance(value, Kind):
            raise TypeError(f"expected a sockd.service.Kind, got a {type(value).__name__}")
        others = [kind for kind in found.kinds.values() if kind is not value]
        if value.name in (kind.name for kind in others):
            raise ValueError(f"there is a kind {value.name!r} already")
        taken = {instance.name for kind in others for instance in kind.instances}
        if both := taken & {instance.name for instance in value.instances}:
            raise ValueError(f"there is an instance {min(both)!r} already")
        found.kinds[value.name] = value
