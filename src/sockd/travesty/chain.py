"""Which pair of words follows which in a text: a Markov chain over pairs that keeps frequencies.

A pair is a state. Its occurrences in the text, one after the other, are its *slots*: each says
which pair comes next there. To go on from a pair is to take one of its slots at random, all alike.
So the chain is three flat tables, and a step is three look-ups:

    pair = following[first[pair] + chance % count[pair]]

A pair that has no successor, the last one of most texts, has all slots of the text as its own: what
follows a random known pair comes next.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DIGIT = 16
"""Bits of a word's number that are sorted by in one go: as many as numpy sorts by counting."""
_AT_ONCE = 1 << 16
"""Words with which something is done that keeps other threads waiting: half a millisecond."""


@frozen(eq=False)
class Chain:
    """The tables, of 32 bits each. Pairs are numbers from 0; the last of them stands for none, to
    begin with."""

    following: memoryview[int]
    """By slot: the pair that comes next."""
    first: memoryview[int]
    """By pair: its first slot."""
    count: memoryview[int]
    """By pair: how many slots it has."""
    home: int
    """The pair that comes most often."""

    @property
    def start(self) -> int:
        """What comes before a text."""
        return len(self.first) - 1

    @property
    def home_share(self) -> float:
        """How much of a long text is the pair that comes most often."""
        return self.count[self.home] / len(self.following)

    @property
    def memory(self) -> int:
        """Bytes of the tables."""
        return self.following.nbytes + self.first.nbytes + self.count.nbytes


def index(words: array[int]) -> tuple[Chain, NDArray[np.uint32]]:
    """The chain of a text of at least one word, each word as a number of 32 bits; and by pair, its
    second word.

    It takes about 0.1 s for a million words and 48 bytes for each of them, and is written for that:
    what touches memory costs most, and what numpy does here it does without the interpreter's lock,
    so that another thread can go on (`take` does, an index in brackets would not).
    """
    import numpy as np  # takes as long to load as all else of the daemon: only where it is used

    if len(words) < 3:  # one pair, which follows itself
        one = np.array([1, 1])
        chain = Chain(_view(one[1:] - 1), _view(one - 1), _view(one), 0)
        return chain, np.array(words[-1:])
    pairs, order, first, second = _numbered(np.frombuffer(words, np.uint32))
    size = len(order)
    count = np.diff(first, append=size)
    last = int(pairs[size - 1])
    order += 1
    following = pairs.take(order)
    # nothing follows the last pair where it stands last: there is no slot
    following = np.delete(following, first[last] + count[last] - 1)
    count[last] -= 1
    first[last + 1 :] -= 1
    count[pairs[0]] -= 1  # nothing leads to where the text begins
    home = int(count.argmax()) if size > 2 else last
    count[pairs[0]] += 1
    if not count[last]:
        first[last], count[last] = 0, size - 1
    first, count = np.append(first, 0), np.append(count, size - 1)
    return Chain(_view(following), _view(first), _view(count), home), second


def _numbered(
    text: NDArray[np.uint32],
) -> tuple[NDArray[np.uint32], NDArray[np.intp], NDArray[np.intp], NDArray[np.uint32]]:
    """The number of the pair at each word, and a 0; the words at which pairs begin, in the order of
    these numbers; where in that order each pair comes first; and the second word of each pair.
    """
    import numpy as np

    one, two = text[:-1], text[1:]
    size, largest = len(one), int(text.max())
    order = _by(two, largest)
    order = order.take(_by(one.take(order), largest))
    one, two = one.take(order), two.take(order)
    is_new = np.ones(size, bool)
    np.not_equal(one[1:], one[:-1], out=is_new[1:])
    is_new[1:] |= two[1:] != two[:-1]
    first = np.flatnonzero(is_new)
    pairs = np.zeros(size + 1, np.uint32)
    numbers = np.cumsum(is_new, dtype=np.uint32)
    numbers -= np.uint32(1)
    for start in range(0, size, _AT_ONCE):  # this holds the lock
        pairs[order[start : start + _AT_ONCE]] = numbers[start : start + _AT_ONCE]
    return pairs, order, first, two.take(first)


def _by(keys: NDArray[np.uint32], largest: int) -> NDArray[np.intp]:
    """The order by keys, of which this is the largest; those that are alike stay in theirs."""
    import numpy as np

    order = np.argsort(keys.astype(np.uint16), kind="stable")
    if largest >> _DIGIT:
        high = (keys >> np.uint32(_DIGIT)).astype(np.uint16)
        order = order.take(np.argsort(high.take(order), kind="stable"))
    return order


def _view(values: NDArray[Any]) -> memoryview[int]:
    """As the interpreter takes single numbers out of it fastest."""
    return values.astype("uint32", copy=False).data
