"""What our stream transports do differently from Twisted's: they write at once, and are polled.

Twisted's keep what is written, ask to be told when the socket takes it, are told so in the next
pass, write it, and ask not to be told any more: that costs more than a message. These write at
once, and ask only for what the kernel did not take. And each reactor calls a transport through
several steps of its own; these are watched by a `Poller` (`sockd.reactor.poller`), which calls them
itself. All else, above all the contract of twisted.internet.interfaces, is Twisted's own code;
`sockd.reactor.foundations` has what of it must be as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from select import EPOLLIN, EPOLLOUT
from typing import TYPE_CHECKING, Any

from twisted.internet import main, tcp
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.python.log import ILogContext

# in the words of Twisted's reactors, which are not those of `main.CONNECTION_DONE`
_log = Logger()
DONE, LOST = Failure(ConnectionDone()), Failure(ConnectionLost())

if TYPE_CHECKING:
    _Own = tcp.Connection
else:
    _Own = object  # it comes last: what is here goes before it


@cache
def tls_on_socket() -> Any:
    """`sockd.reactor.securing`, for whom it is too much until it is needed; None where pyOpenSSL is
    not as it must be, which is said once."""
    from sockd.reactor import openssl

    if wrong := openssl.missing():
        _log.warn("TLS is Twisted's own, which is slower: {wrong}", wrong=wrong)
        return None
    from sockd.reactor import securing

    return securing


class Polled(_Own):
    """What these transports do differently from Twisted's own, before which it is put."""

    reactor: Any
    wanted = 0
    """What it is to be watched for."""
    watched_at = -1
    """The descriptor at which it is watched; -1 where it is not."""
    watched_for = 0
    _may_be_watched = True
    """False while `connectionMade` runs, and after the end."""
    _sends_at_once = False
    """Whether nothing is in the way of writing to the socket."""
    _how: int = 0
    """Flags for `send`."""
    _has_failed = False
    """Whether writing has failed; the next pass ends the connection."""
    _is_counted = False
    """Whether a push producer is to be held after each `bufferSize` bytes."""
    _counted = 0
    """Bytes since it was last held."""

    connected: int
    producer: Any
    _tlsClientDefault: bool

    def startReading(self) -> None:
        """Read what comes."""
        self._want(self.wanted | EPOLLIN)

    def stopReading(self) -> None:
        """Read no more."""
        self._want(self.wanted & ~EPOLLIN)

    def startWriting(self) -> None:
        """Write in the next pass."""
        self._want(self.wanted | EPOLLOUT)

    def stopWriting(self) -> None:
        """Nothing waits to be written, or nothing that waits will be."""
        self._want(self.wanted & ~EPOLLOUT)
        self._decide()

    def write(self, data: bytes) -> None:
        """Send bytes. What the kernel does not take now is kept."""
        if not self._sends_at_once:
            self._buffer()
            super().write(data)
            return
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        try:
            sent = self.socket.send(data, self._how)
        except BlockingIOError:
            sent = 0
        except OSError:  # told once: a read that follows would look like an orderly end
            self._has_failed = True
            sent = 0
        if sent < len(data):
            self._keep(data[sent:])
        elif self._is_counted:
            self._count(sent)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send pieces as one."""
        if self._sends_at_once:
            try:
                data = b"".join(iovec)
            except TypeError:
                raise TypeError("Data must be bytes") from None
            self.write(data)
        else:
            self._buffer()
            super().writeSequence(iovec)

    def keep(self, data: bytes) -> None:
        """Send bytes in one of the next passes, behind what waits."""
        if self._sends_at_once:
            self._keep(data)
        else:
            self.write(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Twisted's own, which pauses a producer when more than `bufferSize` bytes wait.

        A peer may take as much as a push producer writes, so that nothing ever waits: it is held
        after `bufferSize` bytes until the next pass. One with a true attribute `bounds_itself` is
        not, and is paused as soon as anything waits.
        """
        if self.producer is None:
            self._is_counted = streaming and not getattr(producer, "bounds_itself", False)
            self._sends_at_once = self._sends_at_once and streaming
        super().registerProducer(producer, streaming)
        if self.producer is producer and not (streaming or self._writeDisconnected):
            # what was written before may all be sent: nothing else would have it asked again
            self.startWriting()

    def unregisterProducer(self) -> None:
        """The producer is done."""
        super().unregisterProducer()
        self._is_counted = False
        self._decide()

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """Go on in TLS: straight on the socket where that can be, else Twisted's own on top."""
        if (securing := tls_on_socket()) is not None and securing.may_secure(self):
            is_client = self._tlsClientDefault == normal
            factory = securing.factory_of(contextFactory, is_client, self.reactor)
            securing.secure(self, factory, is_client)
            return
        self._buffer()
        super().startTLS(contextFactory, normal)
        self._decide()  # nothing goes to the socket but by TLS

    def secure(self, factory: Any) -> bool:
        """Go on in TLS straight on the socket, as a server, by the connections of a TLS factory.

        False, and nothing is changed, where that cannot be. Raises what the factory raises.
        """
        if (securing := tls_on_socket()) is None or not securing.may_secure(self):
            return False
        securing.secure(self, factory, False)
        return True

    def connectionLost(self, reason: Failure) -> None:
        """The connection is over."""
        self._leave()
        super().connectionLost(reason)

    def ends(self, why: BaseException, is_read: bool) -> None:
        """From the poller: reading or writing has come to its end."""
        if why is not main.CONNECTION_DONE:
            self.connectionLost(LOST if why is main.CONNECTION_LOST else Failure(why))
        elif self._has_failed:
            self.connectionLost(LOST)
        elif is_read:
            self.stopReading()
            self.readConnectionLost(DONE)
        else:
            self.connectionLost(DONE)

    def fails(self, error: BaseException) -> None:
        """From the poller: what was called for it has raised this. Raises nothing itself."""
        log.err(Failure(error))
        try:
            self.connectionLost(Failure(error))
        except BaseException:  # noqa: BLE001 - one's fault is not the others'
            log.err()

    def _closeWriteConnection(self) -> None:
        self._sends_at_once = False
        super()._closeWriteConnection()

    def _want(self, wanted: int) -> None:
        self.wanted = wanted
        if self._may_be_watched and wanted != self.watched_for:
            self.reactor.poller.watch(self, wanted)
            self.watched_for = wanted

    def _leave(self) -> None:
        """Be watched no more, whatever is asked for from now on."""
        self.wanted = 0
        self.reactor.poller.watch(self, 0)
        self._may_be_watched = False
        self._sends_at_once = False

    def _buffer(self) -> None:
        """Have something to keep in what is written: most connections never need it."""
        if not self._tempDataLen:
            self._tempDataBuffer = []

    def _keep(self, data: bytes) -> None:
        self._sends_at_once = False
        self._tempDataBuffer = [data]
        self._tempDataLen = len(data)
        self.startWriting()
        if self.producer is not None and (not self._is_counted or len(data) > self.bufferSize):
            self._hold()

    def _count(self, sent: int) -> None:
        self._counted += sent
        if self._counted > self.bufferSize:
            self._sends_at_once = False
            self.startWriting()
            self._hold()

    def _hold(self) -> None:
        self.producerPaused = True
        self.producer.pauseProducing()

    def _decide(self) -> None:
        """Whether what is written may go to the socket at once."""
        waits = self.dataBuffer or self._tempDataLen
        ends = self._aborting or self._writeDisconnected or not self.connected
        pulls = self.producer is not None and not self.streamingProducer
        self._sends_at_once = not (waits or ends or pulls or self.TLS)
        self._counted = 0

    # a context of Twisted's log while a protocol runs: whose line it is, made out only when asked

    def copy(self) -> dict[Any, Any]:
        """As a dict's: Twisted adds to it what it calls with a context."""
        try:
            system = self.logPrefix()
        except BaseException:  # noqa: BLE001 - as Twisted: a fault there does not keep from logging
            system = "(buggy logPrefix method)"
        base = context.defaultContextDict
        return {**base, ILogContext: {**base[ILogContext], "system": system}}

    def __getitem__(self, key: Any) -> Any:
        return self.copy()[key]
