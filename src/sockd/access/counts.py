"""What is counted of an instance: by transport, by door and by reason; never by address.

What is counted only grows, and an instance keeps it for as long as it runs: a reload changes
nothing of it. The hot path adds to an attribute, and looks nothing up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator

from attrs import Factory, define, field

from sockd.access.entrance import Entrance

DURATIONS = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0)
"""Upper bounds of the bins that durations of connections are counted in, in seconds."""
NOWHERE = ("", "")
"""The transport and the door of what has come by none that is known."""


@define(eq=False)
class Histogram:
    """How many values were at most so much, and their sum."""

    bounds: tuple[float, ...]
    bins: list[int] = field(init=False)
    """How many are in each bin, which ends at its bound; the last bin has no end."""
    sum: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.bins = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """One more."""
        self.bins[bisect_left(self.bounds, value)] += 1
        self.sum += value


@define(eq=False)
class Traffic:
    """What has gone through the doors of one role over one transport."""

    connections: int = 0
    """Connections that were let in."""
    bytes_in: int = 0
    """Of connections that have ended, and of datagrams."""
    bytes_out: int = 0
    datagrams_in: int = 0
    datagrams_out: int = 0
    errors: int = 0
    """Faults in the service: each has ended one peer's business."""
    handshakes: int = 0
    """Of TLS, that were done."""
    handshakes_failed: int = 0
    refused: dict[str, int] = Factory(lambda: defaultdict(int))
    """Connections and datagrams that were not let in, by the name of the reason."""
    # no Counter, which is Python's own code where it is written to, and takes three times as long
    closed: dict[str, int] = Factory(lambda: defaultdict(int))
    """Connections that have ended, by the name of the reason."""
    durations: Histogram = Factory(lambda: Histogram(DURATIONS))
    """How long they had lasted."""
    lost: int = 0
    """Datagrams for which the kernel had no room when they came."""
    unreceived: int = 0
    """Times that the kernel reported an error when datagrams were read, or one was too long."""
    unsent: int = 0
    """Datagrams that the kernel did not take."""
    users: int = 0
    """Users of a chat who are logged in now."""
    deliveries: int = 0
    """Events of a chat that were sent, one for each user that they were sent to."""

    def ended(self, reason: str, seconds: float, bytes_in: int, bytes_out: int) -> None:
        """A connection has ended that had lasted so long."""
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
        self.closed[reason] += 1
        durations = self.durations  # as its `add`, without a call more for each connection
        durations.bins[bisect_left(DURATIONS, seconds)] += 1
        durations.sum += seconds


@define(eq=False)
class Counts:
    """All that is counted of one instance."""

    suppressed: int = 0
    """Log lines that were left out because there were too many of their kind."""
    children: int = 0
    """Child processes that were started."""
    children_ended: Counter[str] = Factory(Counter)
    """Those that have ended, by how: `success` (exit 0), `exit`, `signal`."""
    dropped: Counter[str] = Factory(Counter)
    """What the service itself has dropped, by the service's own names."""
    _traffic: dict[tuple[str, str], Traffic] = Factory(dict)

    def traffic(self, entrance: Entrance | None) -> Traffic:
        """What goes through this door."""
        key = NOWHERE if entrance is None else (entrance.transport, entrance.role)
        found = self._traffic.get(key)
        if found is None:
            found = self._traffic[key] = Traffic()
        return found

    def __iter__(self) -> Iterator[tuple[str, str, Traffic]]:
        """Transport, door and what has gone through it, of each."""
        for (transport, door), traffic in self._traffic.items():
            yield transport, door, traffic

    def __getitem__(self, name: str) -> int:
        """A total of all doors, by the name of the attribute, or of what was dropped."""
        if name == "children":
            return self.children
        if name not in Traffic.__slots__:
            return self.dropped[name]
        found = [getattr(traffic, name) for _, _, traffic in self]
        return sum(sum(one.values()) if isinstance(one, dict) else one for one in found)
