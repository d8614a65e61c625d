"""HTTP/1.1 by Twisted's client, on a connection of ours: one question, one answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    Agent,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

from sockd.client.errors import BadAnswer, ClientError
from sockd.client.net.streams import Stream

MOST_HEAD = 256 * 1024
"""Bytes before the body: servers take 8 to 64 KiB of it, and an endless head must end."""
_BLANK = re.compile(rb"\r?\n\r?\n")
_PRELIMINARY = re.compile(rb"HTTP/[\d.]+ 1\d\d")


@implementer(ITransport, IPushProducer)
@define(eq=False)
class _Wire:
    """A stream as Twisted's client sees it."""

    stream: Stream
    is_closed: bool = False
    _paused: Deferred[None] | None = None

    disconnecting = False

    def write(self, data: bytes) -> None:
        self.stream.write(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.stream.write(b"".join(iovec))

    def loseConnection(self) -> None:
        self.is_closed = True
        self.resumeProducing()

    abortConnection = stopProducing = loseConnection

    def getPeer(self) -> Any:
        return None

    getHost = getPeer

    def pauseProducing(self) -> None:
        if self._paused is None:
            self._paused = Deferred()

    def resumeProducing(self) -> None:
        paused, self._paused = self._paused, None
        if paused is not None:
            paused.callback(None)

    async def flowing(self) -> None:
        """Wait until what comes is wanted."""
        if self._paused is not None:
            await self._paused


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
@define(eq=False)
class _Dialled:
    """Hands the agent the connection that there is."""

    wire: _Wire
    protocol: IProtocol | None = None

    def endpointForURI(self, uri: URI) -> _Dialled:
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        protocol = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        assert protocol is not None
        self.protocol = protocol
        protocol.makeConnection(self.wire)
        return succeed(protocol)


@define(eq=False)
class _Body(Protocol):
    """Hands on the body, and tells how it ended."""

    out: Callable[[bytes], None]
    ended: Deferred[None] = field(factory=Deferred)
    reason: BaseException | None = None
    fault: Exception | None = None

    def dataReceived(self, data: bytes) -> None:
        if self.fault is None:
            try:
                self.out(data)
            except Exception as error:  # noqa: BLE001 - Twisted would take it for the server's
                self.fault = error
                self._end()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.reason = reason.value
        self._end()

    def _end(self) -> None:
        if not self.ended.called:
            self.ended.callback(None)


@define(eq=False)
class HttpExchange:
    """One question on a connection, and its answer."""

    reactor: Any
    stream: Stream
    wait: float
    """Seconds for each piece of the answer."""
    url: str
    _wire: _Wire = field(init=False)
    _pumps: Deferred[None] | None = None
    _head: bytearray = field(factory=bytearray)
    """What came before the body, and a part of it."""
    _has_head: bool = False

    def __attrs_post_init__(self) -> None:
        self._wire = _Wire(self.stream)

    async def get(self, headers: dict[str, str]) -> IResponse:
        """The answer without its body. Raises BadAnswer, TimedOut, Unreachable."""
        dialled = _Dialled(self._wire)
        agent = Agent.usingEndpointFactory(self.reactor, dialled)
        told = Headers({name: [value] for name, value in headers.items()})
        asked = agent.request(b"GET", self.url.encode("ascii"), told)
        assert dialled.protocol is not None
        self._pumps = Deferred.fromCoroutine(self._pump(dialled.protocol))
        self._pumps.addErrback(lambda failure: failure.trap(CancelledError) and None)
        try:
            response: IResponse = await asked
        except (ResponseFailed, ResponseNeverReceived) as error:
            raise self._fault(error) from None
        self._has_head = True
        return response

    @property
    def head(self) -> bytes:
        """The lines of the answer before its body as they came, and those of preliminary ones."""
        start = 0
        while (found := _BLANK.search(self._head, start)) is not None:
            if not _PRELIMINARY.match(self._head, start):
                return bytes(self._head[: found.start()])
            start = found.end()
        return bytes(self._head)

    async def read(self, response: IResponse, out: Callable[[bytes], None]) -> None:
        """Hand each piece of the body to `out`, to its end. Raises as `get`, and as `out`."""
        body = _Body(out)
        response.deliverBody(body)
        await body.ended
        if body.fault is not None:
            raise body.fault
        reason = body.reason
        if isinstance(reason, PotentialDataLoss) and self.stream.is_cut:
            raise BadAnswer(f"{self.stream.name} closed without TLS's end: the body may be cut")
        if not isinstance(reason, ResponseDone | PotentialDataLoss):
            raise self._fault(reason)

    def close(self) -> None:
        """No more of it is wanted."""
        self._wire.loseConnection()
        if self._pumps is not None:
            self._pumps.cancel()

    async def _pump(self, protocol: IProtocol) -> None:
        """Feed what comes to Twisted's client, as long as it wants it."""
        end: Exception = ConnectionDone()
        try:
            while not self._wire.is_closed and (data := await self.stream.read(self.wait)):
                self._count(data)
                protocol.dataReceived(data)
                await self._wire.flowing()
        except ClientError as error:
            end = error
        protocol.connectionLost(Failure(end))

    def _count(self, data: bytes) -> None:
        if not self._has_head:
            self._head += data
            if len(self._head) > MOST_HEAD:
                raise BadAnswer(f"{self.stream.name} sent a head of more than {MOST_HEAD} bytes")

    def _fault(self, error: BaseException | None) -> Exception:
        """What went wrong, in our words."""
        for reason in getattr(error, "reasons", [Failure(error)]):
            if isinstance(reason.value, ClientError | CancelledError):
                found: Exception = reason.value
                return found
        name = self.stream.name
        if not self.stream.bytes_received:
            return BadAnswer(f"{name} closed without an answer")
        if self._has_head:
            return BadAnswer(f"{name} ended before its body did, or broke its coding")
        return BadAnswer(f"{name} sent no answer of HTTP/1.1")
