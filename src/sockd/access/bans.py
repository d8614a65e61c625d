"""Who is banned: prefixes that nobody comes from, for a time or until it is taken back.

Nothing here bans by itself: an administrator does, or a program of his. The source of a datagram
can be forged, so that by itself it is no evidence against whoever has that address.

Times are seconds of the daemon's clock, which no setting of the time of day moves: no ban ends
early for it, and none stays.
"""

from __future__ import annotations

import math
from functools import lru_cache

from attrs import field, frozen

from sockd.access.prefixes import Prefix, parse_address, parse_prefix
from sockd.access.reasons import Reason, because
from sockd.options.units import LONGEST_DURATION

EVERYWHERE = ""
"""The scope of a ban from all services; another one is the name of an instance."""
MOST_BANS = 10_000
"""More are no list that anybody looks after; a program that bans without end is stopped here."""
MAX_NOTE = 200
"""Characters of what a ban is for: a line of a table."""
SHORTEST = 1.0
"""Seconds of a ban; what is shorter is a slip."""
_HOSTS_KEPT = 4096
"""Hosts whose ban, or that they have none, is remembered: sources can be forged."""


class NotBanned(ValueError):
    """There is no such ban."""


@frozen
class Ban:
    """Nobody comes from there until then. `math.inf`: until it is taken back."""

    prefix: Prefix
    since: float
    until: float = math.inf
    scope: str = EVERYWHERE
    note: str = ""
    """What it is for, in the words of who asked for it."""
    reason: Reason = field(init=False, eq=False, repr=False)
    """Why somebody is refused by it."""

    @reason.default
    def _refused(self) -> Reason:
        return because("ban", prefix=str(self.prefix))


def make_ban(
    text: str,
    now: float,
    seconds: float = math.inf,
    *,
    scope: str = EVERYWHERE,
    note: str = "",
) -> Ban:
    """A ban as it is asked for. Raises ValueError that says what is wrong with it."""
    prefix = parse_prefix(text)
    if not prefix.prefixlen:
        raise ValueError(f"{prefix} is everybody: disable the service")
    if not seconds >= SHORTEST:
        raise ValueError(f"a ban lasts {SHORTEST:g} s at least, not {seconds:g} s")
    if not _is_text(note):
        raise ValueError(f"what a ban is for is no text: {note!a:.100}")
    if len(note) > MAX_NOTE:
        raise ValueError(f"what a ban is for has at most {MAX_NOTE} characters, not {len(note)}")
    until = now + seconds if seconds <= LONGEST_DURATION else math.inf
    return Ban(prefix, now, until, scope, note)


class Bans:
    """The bans of a daemon. `every` is the same object for ever: empty, it has nobody asked for."""

    def __init__(self) -> None:
        self.every: dict[tuple[str, Prefix], Ban] = {}
        # of each scope and version, from the longest prefix to the shortest: the bits to shift
        # away, and the bans by the bits that are left
        self._tables: dict[tuple[str, int], dict[int, dict[int, Ban]]] = {}
        self._next_end = math.inf
        self._look = lru_cache(_HOSTS_KEPT)(self._look_up)

    def add(self, now: float, *bans: Ban) -> None:
        """Have them hold, each in place of an older one of the same prefix and scope.

        Raises ValueError where there are too many; then none of them holds.
        """
        if now >= self._next_end:
            self._expire(now)
        new = {(ban.scope, ban.prefix): ban for ban in bans if ban.until > now}
        if len(self.every) + len(new.keys() - self.every.keys()) > MOST_BANS:
            raise ValueError(f"there are {MOST_BANS} bans at most: take some back, or ban networks")
        for ban in new.values():
            self._file(ban)
        self._next_end = min([self._next_end, *(ban.until for ban in new.values())])
        self._look.cache_clear()

    def remove(self, prefix: Prefix, scope: str = EVERYWHERE) -> Ban:
        """Take a ban back. Raises NotBanned, which tells what bans the prefix all the same."""
        ban = self.every.get((scope, prefix))
        if ban is None:
            wider = [str(one) for one in self._around(prefix, scope)]
            hint = f"; it is in {', '.join(wider)}, which is" if wider else ""
            raise NotBanned(f"{_plain(prefix)} is not banned{hint}")
        self._strike(ban)
        self._look.cache_clear()
        return ban

    def find(self, host: str, now: float, scope: str = EVERYWHERE) -> Ban | None:
        """The ban of an address, the most specific if there are several."""
        if now >= self._next_end:
            self._expire(now)
        return self._look(scope, host)

    def now(self, now: float) -> list[Ban]:
        """All that hold, by scope and prefix."""
        if now >= self._next_end:
            self._expire(now)
        return sorted(self.every.values(), key=_order)

    def count(self, now: float) -> int:
        """How many hold."""
        if now >= self._next_end:
            self._expire(now)
        return len(self.every)

    def _expire(self, now: float) -> None:
        for ban in [ban for ban in self.every.values() if ban.until <= now]:
            self._strike(ban)
        self._next_end = min([math.inf, *(ban.until for ban in self.every.values())])
        self._look.cache_clear()

    def _file(self, ban: Ban) -> None:
        prefix = ban.prefix
        shift = prefix.max_prefixlen - prefix.prefixlen
        table = self._tables.setdefault((ban.scope, prefix.version), {})
        if shift not in table:
            table[shift] = {}
            self._tables[ban.scope, prefix.version] = dict(sorted(table.items()))
        bits = int(prefix.network_address) >> shift
        self._tables[ban.scope, prefix.version][shift][bits] = ban
        self.every[ban.scope, prefix] = ban

    def _strike(self, ban: Ban) -> None:
        prefix = ban.prefix
        shift = prefix.max_prefixlen - prefix.prefixlen
        table = self._tables[ban.scope, prefix.version]
        del table[shift][int(prefix.network_address) >> shift]
        if not table[shift]:
            del table[shift]
        del self.every[ban.scope, prefix]

    def _look_up(self, scope: str, host: str) -> Ban | None:
        address = parse_address(host)
        table = self._tables.get((scope, address.version))
        if not table:
            return None
        number = int(address)
        for shift, bans in table.items():
            if (ban := bans.get(number >> shift)) is not None:
                return ban
        return None

    def _around(self, prefix: Prefix, scope: str) -> list[Prefix]:
        """The wider prefixes that are banned, and have this one."""
        table = self._tables.get((scope, prefix.version), {})
        number, own = int(prefix.network_address), prefix.max_prefixlen - prefix.prefixlen
        return [
            bans[number >> shift].prefix
            for shift, bans in table.items()
            if shift > own and number >> shift in bans
        ]


def _is_text(text: str) -> bool:
    """Whether it can be written: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _order(ban: Ban) -> tuple[str, int, int, int]:
    prefix = ban.prefix
    return ban.scope, prefix.version, int(prefix.network_address), prefix.prefixlen


def _plain(prefix: Prefix) -> str:
    """As people write it: one address without its length."""
    return str(prefix).removesuffix(f"/{prefix.max_prefixlen}")
