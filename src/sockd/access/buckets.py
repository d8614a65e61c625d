"""Token buckets, one a source: so much at once, so much a second after that."""

from collections import OrderedDict
from collections.abc import Hashable

from attrs import Factory, define, field, validators


@define(eq=False)
class Buckets:
    """A table of at most `size` buckets; the one least recently used makes room for a new one.

    A bucket holds up to `burst` tokens, starts full and gains `rate` tokens a second. A bucket
    that was dropped starts full again, so `size` bounds memory, not the sum of all sources.
    """

    rate: float = field(validator=validators.ge(0))
    burst: float = field(validator=validators.gt(0))
    size: int = field(validator=validators.gt(0))
    # Tokens left and when they were counted, from the least to the most recently used.
    _buckets: OrderedDict[Hashable, tuple[float, float]] = field(
        init=False, default=Factory(OrderedDict)
    )

    @property
    def count(self) -> int:
        """How many sources are remembered."""
        return len(self._buckets)

    def take(self, key: Hashable, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens from the bucket of `key`; False, and none taken, if it has fewer.

        `now` is in seconds of any clock. While it stands before an earlier `now`, nothing is
        gained: a clock set back and forward again gives no token twice.
        """
        if cost < 0:
            raise ValueError(f"a cost is 0 or more, not {cost!r}")
        tokens, since = self._buckets.pop(key, (self.burst, now))
        if now > since:
            tokens += (now - since) * self.rate
            if tokens > self.burst:  # `min` would take as long as all the rest
                tokens = self.burst
            since = now
        enough = tokens >= cost
        self._buckets[key] = (tokens - cost if enough else tokens, since)
        if len(self._buckets) > self.size:
            self._buckets.popitem(last=False)
        return enough

    def take_up_to(self, most: float, key: Hashable, now: float) -> float:
        """Take so many tokens from the bucket of `key`, or all that it has; how many."""
        self.take(key, now, 0.0)  # it has now what it has gained
        taken = min(most, self._buckets[key][0])
        self.take(key, now, taken)
        return taken

    def give_back(self, tokens: float, key: Hashable) -> None:
        """Have tokens again that `take` or `take_up_to` gave, and that were not used."""
        if found := self._buckets.get(key):  # else it starts full again
            self._buckets[key] = (min(self.burst, found[0] + tokens), found[1])
