"""What a service is asked, and what it answers: sample conversations, which the battery runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import Factory, frozen

Answer = bytes | Callable[[bytes], bool]
"""The bytes that come back, or what is true of them."""

BIG = bytes(range(256)) * 1200
"""More than two reads, each byte in it."""
LARGEST = 65_507
"""Bytes of the longest UDP datagram over IPv4."""


def matches(answer: Answer, got: bytes) -> bool:
    """Whether this is the answer."""
    return got == answer if isinstance(answer, bytes) else answer(got)


@frozen(kw_only=True)
class StreamSample:
    """One conversation over a stream, and its variations."""

    request: bytes = b"what a speaker does not read\r\n"
    """What the client sends: whole requests."""
    answer: Answer
    """All that comes back for it, a greeting too."""
    finish: Literal["open", "closed", "end", "endless"]
    """After the answer the connection stays open, is closed, or never rests; or it takes the
    client's end of file to have an answer at all."""
    trailing: bytes = b"and more"
    with_trailing: Answer
    """The answer to the request with the trailing bytes behind it, at end of file."""
    oversize: bytes = BIG
    """More than the service takes, or a lot."""
    of_oversize: Answer
    """The answer to that, at end of file."""
    of_nothing: Answer = b""
    """The answer to a client that ends its half at once."""
    table: Mapping[str, Any] = Factory(dict)
    """The settings of the instance."""


def speaker(answer: Answer) -> StreamSample:
    """A service that says one thing and closes, whatever it is sent."""
    return StreamSample(
        answer=answer, finish="closed", with_trailing=answer, of_oversize=answer, of_nothing=answer
    )


@frozen(kw_only=True)
class DatagramSample:
    """Datagrams that are asked, and what comes back for each; None: nothing does."""

    questions: Mapping[bytes, Answer | None]
    of_largest: Answer | None
    """The answer to a datagram of 65,507 letters `a`."""
    table: Mapping[str, Any] = Factory(dict)
    """The settings of the instance."""

    def rows(self) -> list[tuple[bytes, Answer | None]]:
        """Every question with its answer, the largest too."""
        return [*self.questions.items(), (b"a" * LARGEST, self.of_largest)]


def teller(answer: Answer) -> DatagramSample:
    """A service that says one thing for any datagram."""
    questions: dict[bytes, Answer | None] = {b"": answer, b"\n": answer, b"\0\xff": answer}
    return DatagramSample(questions=questions, of_largest=answer)
