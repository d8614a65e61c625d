"""The ways in which a client talks to a stream service, as values, for any connection."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from sockd.testing.samples import Answer, StreamSample

ENDLESS_BYTES = 20_000
"""What is taken of an answer that has no end."""


@frozen
class Talk:
    """What a client does: it sends pieces, may end its half, and receives."""

    pieces: tuple[bytes, ...]
    """Each is sent by itself; in memory it is one read of the service."""
    ends: bool
    """Whether it then ends its writing half."""
    size: int | None
    """How many bytes it then receives; None: everything to the end."""


@frozen
class Way:
    """A way to talk, and which of the sample's answers it gets."""

    name: str
    talk: Callable[[StreamSample], Talk]
    answer: Callable[[StreamSample], Answer]


def _answered(sample: StreamSample, *pieces: bytes) -> Talk:
    """The request; the answer, by what comes after it: nothing, the end, or ever more."""
    if sample.finish == "endless":
        return Talk(pieces, False, ENDLESS_BYTES)
    if sample.finish == "open":
        assert isinstance(sample.answer, bytes), "an answer after which it stays open is bytes"
        return Talk(pieces, False, len(sample.answer))
    return Talk(pieces, sample.finish == "end", None)


def _to_the_end(sample: StreamSample, *pieces: bytes) -> Talk:
    """Something, and at once the end of the client's half."""
    if sample.finish == "endless":
        # its end is the client's going: what is left when the client ends is not all of it
        return Talk(pieces, False, ENDLESS_BYTES)
    return Talk(pieces, True, None)


def _cut(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[start : start + size] for start in range(0, len(data), size))


WHOLE = Way(
    "whole",
    lambda sample: _answered(sample, sample.request),
    lambda sample: sample.answer,
)
WAYS = (
    WHOLE,
    Way(
        "byte by byte",
        lambda sample: _answered(sample, *_cut(sample.request, 1)),
        lambda sample: sample.answer,
    ),
    Way(
        "half-closed",
        lambda sample: _to_the_end(sample, sample.request),
        lambda sample: sample.answer,
    ),
    Way(
        "trailing bytes",
        lambda sample: _to_the_end(sample, sample.request + sample.trailing),
        lambda sample: sample.with_trailing,
    ),
    Way(
        "oversize",
        lambda sample: _to_the_end(sample, sample.oversize),
        lambda sample: sample.of_oversize,
    ),
    Way(
        "silent",
        lambda sample: _to_the_end(sample),
        lambda sample: sample.of_nothing,
    ),
)
"""The ways that every stream service is talked to in."""


def in_reads_of(size: int) -> Way:
    """The request and what trails it, in reads of so many bytes."""
    return Way(
        f"in reads of {size}",
        lambda sample: _to_the_end(sample, *_cut(sample.request + sample.trailing, size)),
        lambda sample: sample.with_trailing,
    )
