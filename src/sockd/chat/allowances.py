"""What one address, or one network, may have: answers, bytes, log-ins and events.

Whoever can prove nothing is limited by its address; a Unix socket has none, and who is trusted has
no such limits.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable

from sockd.access.buckets import Buckets
from sockd.access.prefixes import (
    CONNECTION_SOURCE_BITS,
    DATAGRAM_SOURCE_BITS,
    parse_address,
    source_key,
)
from sockd.chat.members import Place, User
from sockd.chat.settings import Settings

KEPT = 10_000
"""Addresses, or networks, that are counted at once."""
RETRY_SECONDS = 60.0
"""Between two answers to one network off the link: its address may be forged."""


class Allowances:
    """What is left of what each may have."""

    def __init__(self, settings: Settings) -> None:
        self.trusts: Callable[[str], bool] = lambda _: False
        """Whether the limits of an address are not for this one."""
        self._old_at: Counter[str] = Counter()
        """Old clients at each host."""
        self._old = 0
        """All of them: whoever can forge an address of the link can be many."""
        self._at: Counter[str] = Counter()
        """All users of each source."""
        self._strangers = Buckets(1 / RETRY_SECONDS, 1, KEPT)
        self._left: OrderedDict[Place, tuple[float, float]] = OrderedDict()
        """Events that a new client might still have sent when it went, and when that was."""
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Have other limits, and nothing used of them yet."""
        self._settings = settings
        most, old = max(settings.old_bytes, 1), max(settings.old_sessions, 1)
        self._old_bytes = Buckets(most, most, KEPT)
        self._old_events = Buckets(settings.rate * old, settings.burst * old, KEPT)
        users = settings.users_per_address
        self._events = Buckets(settings.rate * users, settings.burst * users, KEPT)

    def may_answer(self, host: str, now: float) -> bool:
        """Whether a host whose address may be forged is answered."""
        if not host:
            return True
        return self._strangers.take(source_key(host, *DATAGRAM_SOURCE_BITS), now)

    def may_send(self, user: User, size: int, now: float) -> bool:
        """Whether a user may be sent so many bytes more: a new one always."""
        if user.session is not None or not self._is_limited(host := user.place.host):
            return True
        return self._old_bytes.take(host, now, size)

    def has_room(self, host: str) -> bool:
        """Whether one more old client may come from there."""
        return not self._is_limited(host) or self._old_at[host] < self._settings.old_sessions

    @property
    def has_room_for_old(self) -> bool:
        """Whether one more old client leaves new ones their half of the server."""
        return self._old < max(1, self._settings.max_users // 2)

    def has_place(self, host: str) -> bool:
        """Whether one more user may come from there: nobody is to take the places of all."""
        return (
            not self._is_limited(host) or self._at[_source(host)] < self._settings.users_per_address
        )

    def move(self, before: str, now: str) -> None:
        """A user is at another host."""
        _count_off(self._at, _source(before))
        self._at[_source(now)] += 1

    def come(self, user: User, now: float) -> None:
        """A user has logged in. Who comes and goes may send no more than who stays: what it may
        send at once is what its address, or its place, has left."""
        place, host, source = user.place, user.place.host, _source(user.place.host)
        events, key = self._events, source
        self._at[source] += 1
        if user.session is None:
            self._old_at[host] += 1
            self._old += 1
            events, key = self._old_events, host
        if self._is_limited(host):
            user.tokens = events.take_up_to(self._settings.burst, key, now)
        if (left := self._left.pop(place, None)) is not None:
            tokens, since = left
            user.tokens = min(user.tokens, tokens + (now - since) * self._settings.rate)

    def go(self, user: User) -> None:
        """It has logged off."""
        _count_off(self._at, _source(user.place.host))
        if user.session is None:
            _count_off(self._old_at, user.place.host)
            self._old -= 1
            return
        self._left[user.place] = user.tokens, user.tokens_at
        if len(self._left) > KEPT:
            self._left.popitem(last=False)

    def _is_limited(self, host: str) -> bool:
        return bool(host) and not self.trusts(host)


def _source(host: str) -> str:
    """What a proven address is counted under: one site's LAN has all of a network of IPv6. Of those
    who are on the link by addresses of the link, each is itself."""
    if ":" not in host or parse_address(host).is_link_local:
        return host
    return source_key(host, *CONNECTION_SOURCE_BITS)


def _count_off(counts: Counter[str], host: str) -> None:
    counts[host] -= 1
    if counts[host] <= 0:
        del counts[host]
