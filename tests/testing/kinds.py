"""A service that keeps the contract, and some that do not."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from sockd.net.datagram import Replies
from sockd.net.requests import Requests
from sockd.net.stream import Stream
from sockd.service import Door, Kind
from sockd.testing import DatagramSample, StreamSample

LINES = StreamSample(
    request=b"a\r\nb\n",
    answer=b"A\r\nB\r\n",
    finish="open",
    with_trailing=b"A\r\nB\r\nAND MORE\r\n",
    oversize=b"a\n" + b"x" * 20_000 + b"\nb\n",
    of_oversize=b"A\r\nerror: line longer than 16384 bytes\r\n",
)
DATAGRAMS = DatagramSample(questions={b"a": b"A", b"": b""}, of_largest=b"A" * 65_507)


class Shout(Requests):
    """Keeps the contract."""

    def answer(self, request: bytes) -> bytes:
        return request.upper() + b"\r\n"


class ShoutReplies(Replies):
    """Keeps the contract."""

    def answer(self, data: bytes) -> bytes:
        return data.upper()


SHOUT = Kind(name="shouts", doc=None, stream=Shout, datagram=ShoutReplies)


class Late(Requests):
    """Keeps the contract, three seconds later."""

    def answer(self, request: bytes) -> Deferred[bytes]:
        answer: Deferred[bytes] = Deferred()
        call = self.context.clock.callLater(3, answer.callback, request.upper() + b"\r\n")
        answer._canceller = lambda _: call.cancel()
        return answer


class InReads(Stream):
    """Takes a read for a request."""

    def received(self, data: bytes) -> None:
        self.write(b"".join(line.upper() + b"\r\n" for line in data.splitlines()))


class NeverEnds(Shout):
    """Does not hear that its peer has finished."""

    def finished(self) -> None:
        """Nothing is done."""


class SaysMore(Shout):
    """Says something more when its peer has finished."""

    def finished(self) -> None:
        self.write(b"bye\r\n")
        super().finished()


class FailsAtItsEnd(Shout):
    """Has a fault in what it does at last."""

    def gone(self) -> None:
        super().gone()
        raise ZeroDivisionError("by design")


class Partial(Shout):
    """Says otherwise to who comes by a Unix socket."""

    def answer(self, request: bytes) -> bytes:
        return super().answer(request) if self.peer.host else b"A\r\nB\r\n"[: 3 * (request == b"a")]


class LongReplies(Replies):
    """Answers more than it was asked, and does not say so."""

    def answer(self, data: bytes) -> bytes:
        return data.upper() + b"!"


class TwiceReplies(ShoutReplies):
    """Answers twice."""

    def answer(self, data: bytes) -> bytes:
        return self._twice(data)

    def _twice(self, data: bytes) -> bytes:
        self.send(data, ("192.0.2.8", 8))
        return data.upper()


DOORS = Kind(
    name="doors",
    doc=None,
    stream=InReads,
    doors=[Door("lines", stream=Shout), Door("datagrams", datagram=ShoutReplies)],
)
"""Its main door does not keep the contract of lines, the others keep it."""


def of_stream(stream: type[Stream]) -> Kind:
    """A kind with this stream."""
    return Kind(name="probe", doc=None, stream=stream)


def of_datagrams(datagram: type[Replies]) -> Kind:
    """A kind with these datagrams."""
    return Kind(name="probe", doc=None, datagram=datagram)
