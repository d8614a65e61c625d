"""What was sent and is not confirmed yet: each is sent again a few times, then given up.

Pure: told the time, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, field

from sockd.client.chat.wishes import CHANGES, Wish
from sockd.formats.chat.events import Code, Event
from sockd.formats.chat.names import fold

RETRIES = (0.3, 1.0, 3.0)
"""Seconds after the first try at which it is sent again."""
OLD_RETRIES = (1.0, 2.0, 4.0)
"""The same for an old server, which knows no doubles: one that is still on its way, after another
channel was joined, would be done once more."""
GIVES_UP = 6.0
"""Seconds after the first try at which it counts as not sent."""
KEEPS = 20.0
"""Seconds after the first try from which on the server may have forgotten us meanwhile, and would
take it for something that it has had: it logs nobody off who was silent for less than 30."""
ECHO_SECONDS = 3.0
"""Until what was said by an old server, which confirms nothing, counts as not sent."""


@define(eq=False)
class Pending:
    """An event that the server has not confirmed."""

    number: int
    data: bytes
    """As it is sent, each time the same: so the server knows a double."""
    wish: Wish
    channel: bytes
    """Where it is said."""
    since: float
    """When it was sent first, or first again."""
    retries: Sequence[float] = RETRIES
    tries: int = 1
    first: float = field(init=False)
    """When it was sent for the very first time."""

    def __attrs_post_init__(self) -> None:
        self.first = self.since

    @property
    def next_at(self) -> float:
        """When it is to be sent again, or given up."""
        waits = (*self.retries, GIVES_UP)
        return self.since + waits[min(self.tries, len(waits)) - 1]


_ACKS: Mapping[int, Code] = {Code.JOIN_REQ: Code.JOIN_ACK, Code.PART_REQ: Code.PART_ACK}


@define(eq=False)
class Unconfirmed:
    """All of them, by number."""

    _pending: dict[int, Pending] = field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def has_said(self) -> bool:
        """Whether something that was said in a channel is among them."""
        return any(one.wish.code == Code.SEND_PUBLIC for one in self._pending.values())

    def add(self, one: Pending) -> None:
        """It has just been sent."""
        self._pending[one.number] = one

    def settle(self, number: int) -> Pending | None:
        """It is confirmed, or refused. None where it is not awaited."""
        return self._pending.pop(number, None)

    def answered(self, event: Event) -> Pending | None:
        """An old server has answered a change of channels, and does not say which."""
        for one in self._pending.values():
            if event.code == Code.ERROR or (
                event.code == _ACKS.get(one.wish.code)
                and fold(event.text.partition(b" ")[0]) == fold(one.wish.text)
            ):
                return self.settle(one.number)
        return None

    def due(self, now: float) -> tuple[Sequence[Pending], Sequence[Pending]]:
        """Those to send again now, and those that are given up."""
        again, over = [], []
        for one in list(self._pending.values()):
            if now < one.next_at:
                continue
            if one.tries > len(one.retries):
                over.append(self._pending.pop(one.number))
                continue
            one.tries += 1
            again.append(one)
        return again, over

    def begin_again(self, now: float) -> Sequence[Pending]:
        """The server can be reached again, and knows what it has had: each has all its tries. Those
        that are too old for it to know are given up, and returned; so are changes of channels,
        which must not come between the joins of coming back, and what was wrong with the groups
        before."""
        over = [
            one
            for one in self._pending.values()
            if now >= one.first + KEEPS or one.wish.code in (*CHANGES, Code.UNICAST)
        ]
        for one in over:
            del self._pending[one.number]
        for one in self._pending.values():
            one.since, one.tries = now - one.retries[0], 1
        return over

    @property
    def next_at(self) -> float | None:
        """When one is due next."""
        return min((one.next_at for one in self._pending.values()), default=None)

    def clear(self) -> Sequence[Pending]:
        """None of them will be confirmed."""
        gone = list(self._pending.values())
        self._pending.clear()
        return gone


@define(eq=False)
class Echoes:
    """What was said in channels of an old server, until it comes back."""

    _waiting: list[tuple[Wish, float]] = field(init=False, factory=list)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, wish: Wish, now: float) -> None:
        """It has just been said."""
        self._waiting.append((wish, now + ECHO_SECONDS))

    def awaits(self, text: bytes) -> bool:
        """Whether something like this was said."""
        return any(wish.text.split() == text.split() for wish, _ in self._waiting)

    def came(self, text: bytes) -> None:
        """Something of ours has come back; white space may have changed on the way."""
        for one in self._waiting:
            if one[0].text.split() == text.split():
                self._waiting.remove(one)
                return

    def due(self, now: float) -> Sequence[Wish]:
        """What did not come back in time."""
        over = [one for one in self._waiting if now >= one[1]]
        self._waiting = [one for one in self._waiting if now < one[1]]
        return [wish for wish, _ in over]

    def clear(self) -> Sequence[Wish]:
        """None will come back."""
        gone = [wish for wish, _ in self._waiting]
        self._waiting.clear()
        return gone

    @property
    def next_at(self) -> float | None:
        """When one is given up."""
        return self._waiting[0][1] if self._waiting else None
