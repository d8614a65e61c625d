"""What one address, or one network, may have: answers, bytes, log-ins and events.

Whoever can prove nothing is limited by its address; a Unix socket has none, and who is trusted has
no such limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

from sockd.access.buckets import Buckets
from sockd.access.guard import DATAGRAM_SOURCE_BITS
from sockd.access.prefixes import source_key
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
        self._strangers = Buckets(1 / RETRY_SECONDS, 1, KEPT)
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Have other limits, and nothing used of them yet."""
        self._settings = settings
        most, old = settings.old_bytes, settings.old_sessions
        self._old_bytes = Buckets(most, most, KEPT)
        # who comes and goes has no more than who stays: a log-in brings no events of its own
        self._old_events = Buckets(settings.rate * old, settings.burst * old, KEPT)
        self._new_events = Buckets(settings.rate, settings.burst, KEPT)

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

    def come(self, user: User, now: float) -> None:
        """A user has logged in. What it may send at once is what those before it have left."""
        place = user.place
        if user.session is None:
            self._old_at[place.host] += 1
            user.tokens = self._first(self._old_events, place.host, place, now)
        else:
            user.tokens = self._first(self._new_events, place, place, now)

    def go(self, user: User) -> None:
        """It has logged off."""
        if user.session is None:
            self._old_at[user.place.host] -= 1
            if self._old_at[user.place.host] <= 0:
                del self._old_at[user.place.host]

    def _first(self, buckets: Buckets, key: Hashable, place: Place, now: float) -> float:
        burst = self._settings.burst
        if not self._is_limited(place.host):
            return float(burst)
        return float(sum(buckets.take(key, now) for _ in range(burst)))

    def _is_limited(self, host: str) -> bool:
        return bool(host) and not self.trusts(host)
