"""A way through a chain, drawn by chance, as fast as that can be had.

One step after the other it is slow: each waits for memory that the one before it has named. So a
long way is walked by many *readers* at once, each step of all of them one operation of numpy's.
They begin at the pair that comes most often, `home`, and the way of each ends where it comes home
again after some time. What one reader has walked, and after it what the next has, is a way as one
reader alone walks it: from a pair on, what comes does not depend on how one came there. A reader
that has not come home in time is followed where it is, and those behind it are forgotten: whether
they are depends on nothing of theirs.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Protocol

from sockd.travesty.chain import Chain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEPS_AT_ONCE = 500
"""Pairs that are handed out at once: a fifth of a millisecond."""
ALONE = 4000
"""Steps before others help: most texts that are asked for are shorter."""
READERS = 256
LEAST = 1024
"""Steps of a reader before it looks for home."""
MOST = 4 * LEAST
"""Steps of a reader at most: all of them take four million bytes, and twice that for a moment."""
_BYTES_A_STEP = 4 * READERS
_WAYS_HOME = 6.0
"""How many times the mean way home a reader is given: one in 400 does not come there."""
_SLICE = 25
"""Steps of all readers before others have their turn: a fifth of a millisecond."""
_CHANCE = int.from_bytes(b"\xff\xff\xff\x3f" * STEPS_AT_ONCE, "little")
"""30 bits of each 32: what Python reckons with in one digit."""


class Chances(Protocol):
    """Where chance comes from: `random.Random`, for one."""

    def random(self) -> float:
        """A number from 0 to 1, 1 left out."""

    def getrandbits(self, count: int, /) -> int:
        """So many bits."""


class Room(Protocol):
    """Where memory for many readers comes from. Where there is none, one walks alone."""

    def lend(self, size: int) -> bool:
        """So many bytes, if there are as many."""

    def take_back(self, size: int) -> None:
        """They are free again."""


class _Plenty:
    def lend(self, size: int) -> bool:
        return True

    def take_back(self, size: int) -> None:
        pass


PLENTY: Room = _Plenty()


def walk(
    chain: Chain, random: Chances, room: Room = PLENTY
) -> Iterator[list[int] | NDArray[np.uint32]]:
    """Pairs that follow each other, without end: some hundreds at a time, or none for now."""
    alone, pair = 0, chain.start
    size = _steps_together(chain) * _BYTES_A_STEP
    while True:
        if alone >= ALONE and _is_near_home(chain) and room.lend(size):
            try:
                pair = yield from _walk_together(chain, pair, random)
            finally:  # who goes on no more lets go of this
                room.take_back(size)
        else:
            pairs = _walk_alone(chain, pair, random)
            pair = pairs[-1]
            alone += len(pairs)
            yield pairs


def _walk_alone(chain: Chain, pair: int, random: Chances) -> list[int]:
    following, first, count = chain.following, chain.first, chain.count
    drawn = random.getrandbits(32 * STEPS_AT_ONCE) & _CHANCE
    chances = array("I", drawn.to_bytes(4 * STEPS_AT_ONCE, "little"))
    return [pair := following[first[pair] + chance % count[pair]] for chance in chances]


def _is_near_home(chain: Chain) -> bool:
    """Whether readers come home soon enough for many of them to be worth while."""
    return _steps_together(chain) <= MOST


def _steps_together(chain: Chain) -> int:
    """Steps of each of many readers."""
    return LEAST + int(_WAYS_HOME / chain.home_share)


def _walk_together(
    chain: Chain, pair: int, random: Chances
) -> Generator[list[int] | NDArray[np.uint32], None, int]:
    """The ways of many readers, one behind the other; returns the pair where the last one ends."""
    paths = yield from _read_side_by_side(chain, pair, random)
    for path in paths:
        at_home = (path[LEAST:] == chain.home).nonzero()[0]
        end = LEAST + int(at_home[0]) + 1 if len(at_home) else len(path)
        for start in range(0, end, STEPS_AT_ONCE):
            yield path[start : min(end, start + STEPS_AT_ONCE)]
        if not len(at_home):
            return int(path[-1])
    return chain.home


def _read_side_by_side(
    chain: Chain, pair: int, random: Chances
) -> Generator[list[int], None, NDArray[np.uint32]]:
    """The way of each reader, a row each: the first goes on from `pair`, the others from home."""
    import numpy as np

    following = np.asarray(chain.following)
    first, count = np.asarray(chain.first), np.asarray(chain.count)
    chances = np.random.default_rng(random.getrandbits(128))
    pairs = np.full(READERS, chain.home, np.uint32)
    pairs[0] = pair
    steps = _steps_together(chain)
    paths = np.empty((steps, READERS), np.uint32)
    for start in range(0, steps, _SLICE):
        rows = paths[start : start + _SLICE]
        drawn = chances.random(rows.shape)
        for row, chance in zip(rows, drawn, strict=True):
            chance *= count.take(pairs)
            slots = chance.astype(np.intp)
            slots += first.take(pairs)
            pairs = following.take(slots, out=row, mode="clip")  # which takes it as it is
        yield []
    return np.ascontiguousarray(paths.T)
