"""Talk on the LAN: channels, public and private messages, who is here.

Events are a code, 16 bits, and a text, in a datagram each, or in a stream, each behind its length.
Whoever has logged in with a nickname joins channels, hears what is said in all of them, and speaks
in the one that was joined last. At the door `multicast` what is said in a channel goes once to the
channel's group, and not once to each member. All doors lead to the same rooms.

Clients find the server by broadcast, which is heard on `0.0.0.0` only. New clients (`sock chat`)
prove their address and sign what they send; old ones can prove nothing, and are served on the link
only. `docs/chat.md` has the wire, and what it is safe against.

    $ echo hello | sock chat --nick rufus --join Weather localhost
    -- logged in at ... as rufus
    -- you are in Weather (1 user)
    [Weather] rufus: hello
    -- logged off
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeVar

from attrs import frozen, validators

from sockd.chat import memory
from sockd.chat.desk import Desk
from sockd.chat.doors import GroupDoor, StreamDoor, UdpDoor
from sockd.chat.legacy import Legacy
from sockd.chat.rooms import Rooms
from sockd.chat.secret import SECRET_BYTES, Secret
from sockd.chat.server import ChatServer
from sockd.chat.settings import ChannelSettings, Settings
from sockd.formats import ports
from sockd.formats.chat.names import fold, title_fault
from sockd.net.context import Context
from sockd.options.option import Change, OptionError, option
from sockd.options.runtime import runtime_directory
from sockd.options.units import Duration, Rate, Size
from sockd.service import Door, Exchange, Instance, Kind

CHANNELS = {
    "CurrentEvents": "In the news",
    "Weather": "Rain and sun",
    "Gardening": "All that grows",
    "Hobbies": "Spare time",
    "Pets": "Animals at home",
}
MOST_DESCRIPTION = 400
"""Bytes of a description: with its title and group it fits an event."""


Group = TypeVar("Group", IPv4Address, IPv6Address)


@frozen
class ChatOptions:
    """What the chat can be told."""

    channels: Mapping[str, str] = option(
        CHANNELS, "titles of channels, and what each is about", change=Change.NOW
    )
    groups: Mapping[str, str] = option(
        {},
        "multicast groups of channels that are not to have the next free one behind first_group",
        change=Change.NOW,
    )
    first_group: str = option(
        "225.1.0.1", "the group of the first channel; the others follow", change=Change.NOW
    )
    first_group6: str = option(
        "ff12::5:1", "the same of IPv6, for a multicast door of IPv6", change=Change.NOW
    )
    group_port: int = option(
        ports.CHAT_GROUPS,
        "where groups are heard",
        validator=[validators.ge(1), validators.le(65535)],
        change=Change.BIND,
    )
    group_ttl: int = option(
        1,
        "routers that what goes to groups may pass, and one: 1 stays on the link",
        validator=[validators.ge(0), validators.le(255)],
    )
    group_interface: str = option(
        "",
        "an address of ours, by whose interface that leaves; empty: the door's, or as routes say",
    )
    legacy: Legacy = option(
        Legacy.ON_LINK,
        'where old clients, who can prove nothing, are served: "on-link", "everywhere", "off"',
        change=Change.NOW,
    )
    strict: bool = option(
        False,
        "have old clients log in as NAME/NUMBER, with a number that only their address is told",
        change=Change.NOW,
    )
    max_users: int = option(
        25_000,
        "users at once, at most half of them old clients; each takes up to 3 kB",
        validator=validators.ge(1),
        change=Change.NOW,
    )
    users_per_address: int = option(
        100,
        "users at one address, as behind a router, or in 64 bits of IPv6; of connections "
        "max_connections_per_source holds",
        validator=validators.ge(1),
        change=Change.NOW,
    )
    max_nickname: int = option(
        32,
        "characters of a nickname",
        validator=[validators.ge(1), validators.le(32)],
        change=Change.NOW,
    )
    max_channels: int = option(
        32, "channels that a user can be in", validator=validators.ge(1), change=Change.NOW
    )
    quiet_above: int = option(
        200,
        "members above which a channel tells nobody who comes and goes: it would tell little else",
        validator=validators.ge(0),
        change=Change.NOW,
    )
    patience: Duration = option(
        Duration(120),
        "without a sign of life, of clients that send some",
        validator=validators.ge(1),
        change=Change.NOW,
    )
    long_patience: Duration = option(
        Duration(1800),
        "the same of clients that never do: three of the tutorial's four",
        validator=validators.ge(1),
        change=Change.NOW,
    )
    event_rate: Rate = option(
        Rate(2, 1), "events of one user, signs of life not counted", change=Change.NOW
    )
    event_burst: int = option(
        5, "as many may come at once", validator=validators.ge(1), change=Change.NOW
    )
    old_clients: int = option(
        8, "old clients at one address", validator=validators.ge(1), change=Change.NOW
    )
    old_bytes: Size = option(
        Size(64_000),
        "bytes a second that one address is sent for old clients, whose addresses may be forged",
        validator=validators.ge(2048),
        change=Change.NOW,
    )
    state: str = option(
        "",
        "a file that keeps, over a start, what lets clients come back to their names; "
        "empty: NAME.state in the runtime directory, with the service's name",
        change=Change.RESTART,
    )


def channels(
    options: ChatOptions,
) -> tuple[list[ChannelSettings], IPv4Address | None, IPv6Address | None]:
    """The channels, each with its groups, and the groups behind theirs, for heartbeats; `check` has
    looked at them."""
    taken = frozenset(map(ip_address, options.groups.values()))
    free4 = _following(options.first_group, IPv4Address, taken)
    free6 = _following(options.first_group6, IPv6Address, taken)
    found = []
    for title, about in options.channels.items():
        own = options.groups.get(title)
        group = ip_address(own) if own else None
        found.append(
            ChannelSettings(
                title,
                about,
                group if isinstance(group, IPv4Address) else next(free4, None),
                group if isinstance(group, IPv6Address) else next(free6, None),
            )
        )
    return found, next(free4, None), next(free6, None)


def _following(
    first: str, kind: type[Group], taken: Collection[IPv4Address | IPv6Address]
) -> Iterator[Group]:
    """The group and those behind it that nobody has."""
    group = kind(first)
    for number in range(int(group), 1 << group.max_prefixlen):
        if not (group := kind(number)).is_multicast:
            break
        if group not in taken:
            yield group


def check(options: ChatOptions) -> None:
    """What a value alone does not show to be wrong. Raises OptionError that names all of it."""
    mistakes = [
        (name, f"{text!r} is no multicast group of IPv{version}")
        for name, text, version in (
            ("first_group", options.first_group, 4),
            ("first_group6", options.first_group6, 6),
        )
        if not _is_group(text, version)
    ]
    mistakes += [
        ("groups", f"{text!r} is no multicast group")
        for text in options.groups.values()
        if not _is_group(text)
    ]
    mistakes += [
        ("groups", f"there is no channel {title}")
        for title in options.groups.keys() - options.channels.keys()
    ]
    if not options.channels:
        mistakes.append(("channels", "there must be one at least"))
    if options.group_interface and not _is_address(options.group_interface):
        what = f"{options.group_interface!r} is no address: one of the interface, not its name"
        mistakes.append(("group_interface", what))
    first: dict[bytes, str] = {}
    for title in options.channels:
        if (other := first.setdefault(fold(title.encode()), title)) != title:
            mistakes.append(("channels", f"{other} and {title} are the same but for case"))
    for title, about in options.channels.items():
        if why := title_fault(title):
            mistakes.append(("channels", why))
        if not about.strip() or not about.isprintable() or len(about.encode()) > MOST_DESCRIPTION:
            what = f"{title} needs a description, in one line of at most {MOST_DESCRIPTION} bytes"
            mistakes.append(("channels", what))
    mistakes = mistakes or _too_few_groups(options)
    if mistakes:
        raise OptionError(*mistakes)


def _too_few_groups(options: ChatOptions) -> list[tuple[str, str]]:
    found, _, _ = channels(options)
    return [
        (name, "there are not as many groups behind it as channels")
        for name, groups in (
            ("first_group", [one.group for one in found]),
            ("first_group6", [one.group6 for one in found]),
        )
        if None in groups
    ]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_group(text: str, version: int | None = None) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.is_multicast and version in (None, address.version)


def settings(options: ChatOptions) -> Settings:
    """What the rooms are told."""
    found, heartbeat, heartbeat6 = channels(options)
    return Settings(
        channels=found,
        heartbeat=heartbeat,
        heartbeat6=heartbeat6,
        legacy=options.legacy,
        is_strict=options.strict,
        max_users=options.max_users,
        users_per_address=options.users_per_address,
        max_nickname=options.max_nickname,
        max_channels=options.max_channels,
        quiet_above=options.quiet_above,
        patience=options.patience,
        long_patience=options.long_patience,
        burst=options.event_burst,
        rate=options.event_rate.per_second,
        old_sessions=options.old_clients,
        old_bytes=int(options.old_bytes),
    )


def share(context: Context[ChatOptions, ChatServer]) -> ChatServer:
    """What the doors share. Raises OSError or ValueError where the state's file cannot be read, or
    is none."""
    options = context.options
    runtime = Path(runtime_directory(os.environ, os.getuid()))
    # two instances have a file each: another's secret is another's sessions
    path = Path(options.state or runtime / f"{context.name}.state")
    try:
        known = memory.read(path)
    except OSError as error:
        if error.strerror is None:  # it has words of its own
            raise
        raise ValueError(f"state: {path}: {error.strerror}") from None
    secret, names = known or (os.urandom(SECRET_BYTES), set())
    # by chance: a host without a clock of its own starts at the same time each time
    epoch = int.from_bytes(os.urandom(4), "big")
    rooms = Rooms(settings(options), Secret(secret), epoch)
    desk = Desk(rooms, context.world.hostname, context.guard.counts.dropped)
    desk.threshold.held = names
    return ChatServer(context, desk, path, settings)


kind = Kind(
    name="chat",
    doc=__doc__,
    stream=StreamDoor,
    datagram=UdpDoor,
    doors=[Door("multicast", datagram=GroupDoor)],
    options=ChatOptions,
    check=check,
    shared=share,
    refuses=[
        "banned",
        "forged",
        "max_users",
        "users_per_address",
        "old_clients",
        "off_link",
        "legacy_off",
    ],
    instances=[
        Instance(
            "chat",
            [f"udp:{ports.CHAT}:interface=localhost", f"tcp:{ports.CHAT}:interface=localhost"],
            doors={"multicast": [f"udp:{ports.CHAT_CONTROL}:interface=127.0.0.1"]},
        )
    ],
    command="sock chat {to}",
    tries={"tcp": "sock chat --tcp {address}"},
    wire={
        "stream": Exchange(
            asks="The client sends events: a length and a code, 16 bits each, and a text.",
            answers="The service answers in the same form, and sends what others say unasked.",
            ends="Either closes the connection; that logs the user off.",
        ),
        "datagram": Exchange(
            asks="Each datagram is an event: a code, 16 bits, and a text.",
            answers="Events come back as datagrams, and what others say comes unasked.",
            ends="LOGOFF, or silence for as long as the server has patience.",
        ),
    },
)
