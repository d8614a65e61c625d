"""The settings that every service instance has: who may come, how many, how long.

Each is a row: name, type with its unit, default, and the reason for the default as help text.
`[defaults]` in the configuration sets them for all instances, `[service.NAME]` for one.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen, validators

from sockd.access.prefixes import Prefix, Rules, parse_prefix
from sockd.options.option import option
from sockd.options.units import Duration, Rate, Size
from sockd.options.user import User

LOOPBACK = (parse_prefix("127.0.0.0/8"), parse_prefix("::1"))


def _some(_: object, attribute: Any, value: Rate) -> None:
    if not value.count:
        raise ValueError(f"'{attribute.name}' must be above 0: {value} lets nobody in")


@frozen
class Limits:
    """What one service instance allows its peers."""

    required: bool = option(
        True, "a failed bind stops the start; false: a warning, and another try every 30 s"
    )
    allow: tuple[Prefix, ...] = option(
        (),
        "prefixes that may come over IP; the most specific of allow and deny wins; none: everybody",
    )
    deny: tuple[Prefix, ...] = option((), "prefixes that may not come over IP; wins a tie")
    trusted: tuple[Prefix, ...] = option(
        LOOPBACK, "prefixes free of the limits and budgets that count per source"
    )
    allow_users: tuple[User, ...] = option(
        (),
        "users (names or numbers) that may come over a Unix socket; empty: the file mode decides",
    )
    max_connections: int = option(
        1000, "open connections of the instance", validator=validators.ge(1)
    )
    max_connections_per_source: int = option(
        20,
        "open connections of one source: an IPv4 address, an IPv6 /64",
        validator=validators.ge(1),
    )
    connect_rate: Rate = option(
        Rate(50, 1),
        "new connections of one source; as many may come at once",
        validator=_some,
    )
    handshake_timeout: Duration = option(
        Duration(10),
        "until a TLS handshake or a proxy's header is complete",
        validator=validators.gt(0),
    )
    line_timeout: Duration = option(
        Duration(60),
        "from the first byte of a line to its end: slow drips hold no connection",
        validator=validators.gt(0),
    )
    idle_timeout: Duration = option(
        Duration(120), "without a byte in either direction", validator=validators.gt(0)
    )
    answer_timeout: Duration = option(
        Duration(600),
        "while the client waits for an answer of ours, where the service sets no time of its own",
        validator=validators.gt(0),
    )
    write_timeout: Duration = option(
        Duration(60),
        "without progress while the peer does not read what it was sent",
        validator=validators.gt(0),
    )
    max_line: Size = option(
        Size(16 * 1024),
        "bytes of a line, its end not counted",
        validator=[validators.ge(1), validators.le(Size(1024**2))],
    )
    reply_rate: Rate = option(
        Rate(10, 1),
        "datagrams answered for one source (IPv4 /24, IPv6 /56) by a service whose answer can be "
        "longer than the question: nobody borrows it to flood another",
        validator=_some,
    )
    reply_burst: int = option(
        20,
        "answers that one source may get at once before reply_rate holds",
        validator=validators.ge(1),
    )
    drain: Duration = option(
        Duration(3),
        "how long connections may take to end when the service stops; then they are cut off",
    )
    log_connections: bool = option(
        True, "an event when a connection begins and one when it ends; false: for the busiest"
    )
    receive_buffer: Size = option(
        Size(4 * 1024 * 1024),
        "the kernel's buffer for datagrams that wait: a burst is kept whole",
        validator=validators.le(Size(1024**3)),
    )

    @property
    def rules(self) -> Rules:
        """The access rules, ready to ask."""
        return Rules(self.allow, self.deny)
