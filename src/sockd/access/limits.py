"""The settings that every service instance has: who may come, how many, how long.

Each is a row: name, type with its unit, default, and the reason for the default as help text.
`[defaults]` in the configuration sets them for all instances, `[service.NAME]` for one.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

from attrs import frozen, validators

from sockd.access.prefixes import Prefix, Rules, parse_prefix
from sockd.options.option import Change, option
from sockd.options.units import Duration, Maximum, Pace, Rate, Size, Timeout
from sockd.options.user import User

LOOPBACK = (parse_prefix("127.0.0.0/8"), parse_prefix("::1"))


TLS_VERSIONS = ("1.2", "1.3")
"""Older ones are broken."""


class Use(StrEnum):
    """What an instance has where it listens; a limit that needs another has no effect there."""

    IP = "peers over IP"
    LOCAL = "peers over a Unix socket"
    CONNECTIONS = "connections"
    IP_CONNECTIONS = "connections over IP"
    LOCAL_CONNECTIONS = "connections over a Unix socket"
    HANDSHAKES = "TLS, or a proxy's header"
    TLS = "TLS"
    LINES = "lines over a connection"
    FRAMES = "framed messages over a connection"
    TEXTS = "texts over a connection"
    DATAGRAMS = "datagrams that come"
    AMPLIFIES = "answers over UDP that can be longer than the question"
    UDP_ANSWERS = "answers over UDP"
    LOCAL_ANSWERS = "datagrams over a Unix socket"


def _some(_: object, attribute: Any, value: Rate) -> None:
    if not value.count:
        raise ValueError(f"'{attribute.name}' must be above 0: {value} lets nobody in")


def _not_off(_: object, attribute: Any, value: Rate) -> None:
    if value.is_off:
        raise ValueError(f"'{attribute.name}' cannot be off: anybody could flood others through it")


def _seconds(_: object, attribute: Any, value: Pace) -> None:
    if value.per < 1:
        raise ValueError(f"'{attribute.name}' is for a span of 1 s at least: {value} is not seen")


def _some_versions(_: object, __: object, value: tuple[str, ...]) -> None:
    if not value or not set(value) <= set(TLS_VERSIONS):
        known = ", ".join(f'"{version}"' for version in TLS_VERSIONS)
        raise ValueError(f"expected some of {known}, got {list(value)}")


@frozen
class Limits:
    """What one service instance allows its peers."""

    required: bool = option(
        True,
        "a failed bind stops the start; false: a warning, and another try every 30 s",
        change=Change.NOW,
    )
    allow: tuple[Prefix, ...] = option(
        (),
        "prefixes that may come over IP; the most specific of allow and deny wins; none: everybody",
        applies={Use.IP},
        change=Change.NEW_CONNECTIONS,
    )
    deny: tuple[Prefix, ...] = option(
        (),
        "prefixes that may not come over IP; wins a tie",
        applies={Use.IP},
        change=Change.NEW_CONNECTIONS,
    )
    trusted: tuple[Prefix, ...] = option(
        LOOPBACK,
        "prefixes free of the limits and budgets that count per source",
        applies={Use.IP_CONNECTIONS, Use.AMPLIFIES},
        change=Change.NEW_CONNECTIONS,
    )
    allow_users: tuple[User, ...] = option(
        (),
        "users (names or numbers) that may come over a Unix socket; empty: the file mode decides",
        applies={Use.LOCAL},
        change=Change.NEW_CONNECTIONS,
    )
    trusted_users: tuple[User, ...] = option(
        (),
        "users whose connections over a Unix socket are free of the limits that count per source",
        applies={Use.LOCAL_CONNECTIONS},
        change=Change.NEW_CONNECTIONS,
    )
    max_connections: int = option(
        1000,
        "open connections of the instance",
        validator=validators.ge(1),
        applies={Use.CONNECTIONS},
        change=Change.NEW_CONNECTIONS,
    )
    max_connections_per_source: Maximum = option(
        Maximum(20),
        "open connections of one source: an IPv4 address, an IPv6 /64, or a user on a Unix socket; "
        '"off": any number',
        validator=validators.ge(1),
        applies={Use.CONNECTIONS},
        change=Change.NEW_CONNECTIONS,
    )
    connect_rate: Rate = option(
        Rate(50, 1),
        'new connections of one source; as many may come at once; "off": any number',
        validator=_some,
        applies={Use.CONNECTIONS},
        change=Change.NEW_CONNECTIONS,
    )
    total_connect_rate: Rate = option(
        Rate(math.inf, 1),
        "new connections of the instance in all, trusted ones too, so that many sources together "
        'are no flood; as many may come at once; "off": any number',
        validator=_some,
        applies={Use.CONNECTIONS},
        change=Change.NEW_CONNECTIONS,
    )
    handshake_timeout: Duration = option(
        Duration(10),
        "until a TLS handshake or a proxy's header is complete",
        validator=validators.gt(0),
        applies={Use.HANDSHAKES},
        change=Change.NOW,
    )
    tls_versions: tuple[str, ...] = option(
        TLS_VERSIONS,
        "versions of TLS that are spoken",
        validator=_some_versions,
        applies={Use.TLS},
        change=Change.NEW_CONNECTIONS,
    )
    tls_ciphers: str = option(
        "",
        "ciphers, as OpenSSL writes them, with a colon between: names that begin with TLS_ are for "
        "1.3, the others for 1.2; a version of which none is named has those that OpenSSL and "
        "Twisted take for good",
        applies={Use.TLS},
        change=Change.NEW_CONNECTIONS,
    )
    line_timeout: Timeout = option(
        Timeout(60),
        "from the first byte of a line (or framed message) to its end: slow drips hold no "
        'connection; "off": for ever',
        validator=validators.gt(0),
        applies={Use.LINES, Use.FRAMES},
        change=Change.NOW,
    )
    text_timeout: Timeout = option(
        Timeout(3600),
        "from the first byte of a text, an upload, to its end, however steadily it comes; "
        '"off": for ever',
        validator=validators.gt(0),
        applies={Use.TEXTS},
        change=Change.NOW,
    )
    min_rate: Pace = option(
        Pace(0, 1),
        'bytes, in both directions together, that each span of time must bring, such as "1k/m", '
        "unless the client waits for us: a byte now and then holds no connection; it ends "
        'connections that are idle for so long, too; "off": as slow as one likes',
        validator=_seconds,
        applies={Use.CONNECTIONS},
        change=Change.NOW,
    )
    total_timeout: Timeout = option(
        Timeout(math.inf),
        'a connection as a whole, whatever comes and goes over it; "off": for ever',
        validator=validators.gt(0),
        applies={Use.CONNECTIONS},
        change=Change.NOW,
    )
    idle_timeout: Timeout = option(
        Timeout(120),
        'without a byte in either direction; "off": for ever',
        validator=validators.gt(0),
        applies={Use.CONNECTIONS},
        change=Change.NOW,
    )
    answer_timeout: Duration = option(
        Duration(600),
        "while the client waits for an answer of ours, where the service sets no time of its own",
        validator=validators.gt(0),
        applies={Use.CONNECTIONS, Use.DATAGRAMS},
        change=Change.NOW,
    )
    write_timeout: Duration = option(
        Duration(60),
        "without progress while the peer does not read what it was sent",
        validator=validators.gt(0),
        applies={Use.CONNECTIONS},
        change=Change.NOW,
    )
    max_line: Size = option(
        Size(16 * 1024),
        "bytes of a line, its end not counted",
        validator=[validators.ge(1), validators.le(Size(1024**2))],
        applies={Use.LINES},
        change=Change.NEW_CONNECTIONS,
    )
    reply_rate: Rate = option(
        Rate(10, 1),
        "datagrams answered for one source (IPv4 /24, IPv6 /56) by a service whose answer can be "
        "longer than the question: nobody borrows it to flood another",
        validator=[_some, _not_off],
        applies={Use.AMPLIFIES},
        change=Change.NOW,
    )
    reply_burst: int = option(
        20,
        "answers that one source may get at once before reply_rate holds",
        validator=validators.ge(1),
        applies={Use.AMPLIFIES},
        change=Change.NOW,
    )
    local_reply_rate: Rate = option(
        Rate(100, 1),
        "datagrams answered for one name of a Unix socket of a user, ten times as many at once: "
        'services set on one another are soon silent; "off": any number',
        validator=_some,
        applies={Use.LOCAL_ANSWERS},
        change=Change.NOW,
    )
    answer_broadcasts: bool = option(
        False,
        "answer what was sent to a broadcast address or a multicast group, as every host there may",
        applies={Use.UDP_ANSWERS},
        change=Change.NOW,
    )
    drain: Duration = option(
        Duration(3),
        "how long connections may take to end when the service stops; then they are cut off",
        change=Change.NOW,
    )
    log_connections: bool = option(
        True,
        "an event when a connection begins and one when it ends; false: for the busiest",
        applies={Use.CONNECTIONS},
        change=Change.NOW,
    )
    receive_buffer: Size = option(
        Size(4 * 1024 * 1024),
        "the kernel's buffer for datagrams that wait: a burst is kept whole",
        validator=validators.le(Size(1024**3)),
        applies={Use.DATAGRAMS},
        change=Change.NOW,
    )

    @property
    def rules(self) -> Rules:
        """The access rules, ready to ask."""
        return Rules(self.allow, self.deny)
