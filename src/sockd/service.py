"""What a service declares, and finding the services that there are.

A service is one file in the plugin package `sockd.services`, with one module-level object: a
`Kind`. A *kind* is code; an *instance* is a `[service.NAME]` table. Another distribution adds a
kind by putting a file into a directory `sockd/services` of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from typing import Any, Protocol, runtime_checkable

import attrs
from attrs import Factory, define, field, frozen
from twisted.internet.defer import Deferred

from sockd.access.limits import Limits
from sockd.access.reasons import SENTENCES
from sockd.listen.listen import Listen
from sockd.listen.strings import expand
from sockd.net.context import Context
from sockd.net.datagram import Datagrams
from sockd.net.sender import Sender
from sockd.net.stream import Stream

DATAGRAM_TRANSPORTS = ("udp", "unixgram")
SENDER_TRANSPORTS = ("multicast",)
PROTOCOLS = ("stream", "datagram", "sender")
"""The kinds of protocol that a door can have: fields of `Kind` and of `Door`."""
MAIN_KEY = "listen"
"""The key of a table that says where the main door listens."""

STANDS_ALONE = "Nothing ends: each datagram stands alone, and either way it may be lost."
"""How an exchange of datagrams ends."""
MOST_SENTENCE = 240
"""Characters of a sentence about the protocol: three lines of a terminal."""

TO = {
    "tcp": "{address}",
    "tls": "--tls --insecure {address}",
    "unix": "--unix {path}",
    "udp": "--udp {address}",
    "unixgram": "--udp --unix {path}",
}
"""How a command of the client is told whom to speak to, by transport. Whoever tries a service over
TLS has no authority to trust yet."""
TRIES = {
    "tcp": "sock get {host} {port}",
    "tls": "sock get --tls --insecure {host} {port}",
    "unix": "sock get --unix {path}",
    "udp": "sock send --udp {host} {port} ''",
    "unixgram": "sock send --udp --unix {path} ''",
    "multicast": "sock beacon -c 1 -I {interface} --group {group} --port {port}",
}
"""What to type to try a service that speaks first and that the client has no command for, by
transport. Each ends by itself, also in a terminal."""
ASKING = {
    "tcp": "{asks} | sock send {host} {port}",
    "tls": "{asks} | sock send --tls --insecure {host} {port}",
    "unix": "{asks} | sock send --unix {path}",
    "udp": "{asks} | sock send --udp {host} {port}",
    "unixgram": "{asks} | sock send --udp --unix {path}",
}
"""The same for a service that waits to be asked."""


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
_REASONS = _only(lambda value: set(value) <= SENTENCES.keys(), "names of sockd.access.reasons")


class Shared(Protocol):
    """What an instance's connections share, and what stops with the instance."""

    def stop(self) -> Deferred[None] | None:
        """Let go of everything: processes, timers.

        A Deferred fires when all of it has gone: until then the instance has not stopped, and
        neither has the daemon. What this raises is told, and stops nothing else.
        """


@runtime_checkable
class Kept(Shared, Protocol):
    """What stays as it is when options change, and is told of the others."""

    def use(self, context: Context[Any, Any]) -> None:
        """From now on, these options hold. They have been checked; this does not fail."""


@frozen
class NoOptions:
    """A kind that has no options of its own."""


@frozen
class Instance:
    """An instance that runs by default: a `[service.NAME]` table.

    `listen` holds listen strings; `${RUNTIME}` in one is the runtime directory. `doors` has those
    of the other doors, by role.
    """

    name: str = field(validator=_NAME)
    listen: Sequence[str]
    settings: Mapping[str, Any] = Factory(dict)
    doors: Mapping[str, Sequence[str]] = field(factory=dict, kw_only=True)

    def listens(self) -> Mapping[str, Sequence[str]]:
        """The listen strings of each door, the main one's first, by the key of a table."""
        others = {listen_key(role): listen for role, listen in self.doors.items()}
        return {MAIN_KEY: self.listen, **others}


def listen_key(role: str) -> str:
    """The key of a table that says where a door listens."""
    return f"{MAIN_KEY}_{role}" if role else MAIN_KEY


def _is_sentence(value: Any) -> bool:
    return (
        isinstance(value, str)
        and value.isprintable()
        and value.endswith(".")
        and len(value) <= MOST_SENTENCE
    )


_SENTENCE = _only(_is_sentence, f"one sentence on one line, at most {MOST_SENTENCE} characters")


@frozen(kw_only=True)
class Exchange:
    """What a client and a service say to each other, a sentence a step: for who learns."""

    asks: str = field(validator=_SENTENCE)
    """What the client sends, and when."""
    answers: str = field(validator=_SENTENCE)
    """What the service sends."""
    ends: str = field(validator=_SENTENCE)
    """Who ends it, and when."""


@frozen
class Door:
    """A way into a service: its role, and the protocols that it speaks.

    The main door has no role. A kind declares others where it speaks another protocol elsewhere; a
    table says with `listen_ROLE` where.
    """

    role: str = field(
        validator=_only(
            lambda value: isinstance(value, str) and re.fullmatch("[a-z0-9_]{0,32}", value),
            "small letters, digits and '_', at most 32",
        )
    )
    stream: type[Stream] | None = field(default=None, kw_only=True, validator=_only_class(Stream))
    """The Protocol class of a connection."""
    datagram: type[Datagrams] | None = field(
        default=None, kw_only=True, validator=_only_class(Datagrams)
    )
    """The DatagramProtocol class that answers datagrams."""
    sender: type[Sender] | None = field(default=None, kw_only=True, validator=_only_class(Sender))
    """The DatagramProtocol class that sends unasked."""

    @property
    def key(self) -> str:
        """The key of a table that says where it listens."""
        return listen_key(self.role)

    @property
    def transports(self) -> tuple[str, ...]:
        """The transports it can be listened on."""
        return (
            (self.stream.transports if self.stream else ())
            + (DATAGRAM_TRANSPORTS if self.datagram else ())
            + (SENDER_TRANSPORTS if self.sender else ())
        )


def _are_doors(_: Any, attribute: attrs.Attribute[Any], doors: Any) -> None:
    if not isinstance(doors, (list, tuple)) or not all(isinstance(door, Door) for door in doors):
        raise TypeError(f"{attribute.name}: expected a list of doors, got {doors!r}")
    roles = [door.role for door in doors]
    if not all(roles) or len(set(roles)) < len(roles):
        raise ValueError(f"{attribute.name}: expected a role each, none of them twice")
    for door in doors:
        if not door.transports:
            raise ValueError(f"{attribute.name}: {door.role} has no protocol")


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
                isinstance(value, (list, tuple))
                and all(isinstance(instance, Instance) for instance in value)
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
    doors: Sequence[Door] = field(default=(), validator=_are_doors)
    """Doors besides the main one, whose protocols are `stream`, `datagram` and `sender`."""
    check: Callable[[Any], None] | None = None
    """Called with the options: raises ValueError for what no single value shows to be wrong."""
    check_listen: Callable[[Any, Listen], None] | None = None
    """Called with the options and with each address of the main door: raises ValueError for what
    does not go together."""
    shared: Callable[[Context[Any, Any]], Shared] | None = field(
        default=None, validator=_only(lambda value: value is None or callable(value), "a callable")
    )
    """Called at start, and when options change, unless what it has made is `Kept`. Raises OSError
    or ValueError where it cannot run; what else it raises is told with its type."""
    command: str = field(
        default="", validator=_only(lambda value: isinstance(value, str), "a text")
    )
    """What to type to try it with a command of the client, where that has one: `{to}` stands for
    whom to ask, `{at}` for the same behind `--host`."""
    tries: Mapping[str, str] = field(
        factory=dict, validator=_only(lambda value: isinstance(value, Mapping), "a mapping")
    )
    """The same by transport, where that and `TRIES` and `ASKING` are not good enough."""
    asks: str = field(default="", validator=_only(lambda value: isinstance(value, str), "a text"))
    """A command that prints something to ask the service; empty where the service speaks first."""

    wire: Mapping[str, Exchange] = field(
        factory=dict,
        validator=_only(
            lambda value: (
                isinstance(value, Mapping)
                and all(isinstance(exchange, Exchange) for exchange in value.values())
            ),
            "a mapping to exchanges",
        ),
    )
    """What goes over the wire at the main door, for each of `PROTOCOLS` that it has."""
    refuses: Sequence[str] = field(default=(), validator=_REASONS)
    """Reasons of its own to turn a peer away, besides those of its bases."""
    ends: Sequence[str] = field(default=(), validator=_REASONS)
    """Reasons of its own to end a connection, besides those of its bases."""

    def __attrs_post_init__(self) -> None:
        if unknown := self.wire.keys() - set(self.protocols):
            raise ValueError(f"wire: {self.name} has no protocol {min(map(repr, unknown))}")
        # here, so that it disables this kind: as a mistake in the built-in configuration it would
        # stop the others too
        own = {field.name for field in (*attrs.fields(Limits), *attrs.fields(self.options))}
        doors = {door.key: door for door in self.all_doors}
        if both := own & doors.keys():
            raise ValueError(f"{min(both)} is the key of a door and of an option")
        for instance in self.instances:
            if unknown := instance.listens().keys() - doors.keys():
                raise ValueError(f"{instance.name}: there is no door for {min(unknown)}")
            for key, listen in instance.listens().items():
                for text in listen:
                    transport = expand(text)[0].transport
                    if transport not in doors[key].transports:
                        raise ValueError(f"{text}: {self.name} does not work over {transport}")
            if unknown := instance.settings.keys() - own:
                raise ValueError(f"{instance.name}: unknown keys: {', '.join(sorted(unknown))}")

    @property
    def all_doors(self) -> tuple[Door, ...]:
        """The main door, and the others."""
        main = Door("", stream=self.stream, datagram=self.datagram, sender=self.sender)
        return (main, *self.doors)

    @property
    def protocols(self) -> tuple[str, ...]:
        """Those of `PROTOCOLS` that its main door has."""
        return tuple(name for name in PROTOCOLS if getattr(self, name) is not None)

    def door(self, role: str) -> Door:
        """The door with this role."""
        return next(door for door in self.all_doors if door.role == role)

    def try_with(self, transport: str) -> str:
        """What to type to try it over a transport.

        {host}, {port}, {address} (both of them) and {path} are to be filled in; for a group {group}
        and {interface}.
        """
        if transport in self.tries:
            return self.tries[transport]
        if self.command and transport in TO:
            to = TO[transport]
            return self.command.replace("{to}", to).replace(
                "{at}", to.replace("{address}", "--host {address}")
            )
        if self.asks and transport in ASKING:
            return ASKING[transport].replace("{asks}", self.asks)
        return TRIES[transport]

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
        """The transports that its main door can be listened on."""
        return self.all_doors[0].transports


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
        if not isinstance(value, Kind):
            continue
        others = [kind for kind in found.kinds.values() if kind is not value]
        if value.name in (kind.name for kind in others):
            raise ValueError(f"there is a kind {value.name!r} already")
        taken = {instance.name for kind in others for instance in kind.instances}
        if both := taken & {instance.name for instance in value.instances}:
            raise ValueError(f"there is an instance {min(both)!r} already")
        found.kinds[value.name] = value
