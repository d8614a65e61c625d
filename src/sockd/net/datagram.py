"""The bases of datagram services: who may ask, what an answer may cost, and nothing that stops it.

A service says what to `answer` to a datagram; everything else is here. It may answer later with a
Deferred: how many answers are owed at once is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure

from sockd.net import events
from sockd.net.context import Context
from sockd.net.peer import Peer
from sockd.net.stream import error_line
from sockd.reactor.datagram import Address, DatagramPort, Destination

MAX_ANSWER = 512
"""Bytes of the longest answer of a service that can answer more than it is asked (RFC 865's limit):
with `reply_rate`, what anybody can have sent to a forged source."""
MAX_OWED = 64
"""Answers that may be outstanding at once; a datagram that would owe one more is dropped."""


class Datagrams(DatagramProtocol):
    """The datagrams of one service instance at one address."""

    noisy = False

    amplifies: ClassVar[bool] = False
    """True: an answer can be longer than its question, so `reply_rate` and `MAX_ANSWER` hold.
    False: an answer that is longer is a fault, and is not sent."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._owed: set[Deferred[bytes]] = set()

    def answer(self, data: bytes) -> bytes | Deferred[bytes] | None:
        """What to send back: bytes (none is an empty datagram), later, or None for nothing."""
        raise NotImplementedError

    @property
    def port(self) -> DatagramPort:
        """The port, with its counters."""
        return cast(DatagramPort, self.transport)

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        guard = self.context.guard
        guard.counts["datagrams_in"] += 1
        guard.counts["bytes_in"] += len(datagram)
        if (rule := self._refusal(addr)) is not None:
            guard.refuse(self._peer(addr), rule)
            return
        if self.amplifies and not self.port.is_local and not guard.may_answer(addr[0]):
            guard.refuse(self._peer(addr), f"reply_rate = {self.context.limits.reply_rate}")
            return
        try:
            answer = self.answer(datagram)
        except Exception:  # noqa: BLE001 - whatever a service raises, the others do not notice
            self._fault(addr)
            return
        if isinstance(answer, Deferred):
            self._owe(answer, addr, len(datagram))
        elif answer is not None:
            self._send(answer, addr, len(datagram))

    def stopProtocol(self) -> None:
        for owed in tuple(self._owed):  # cancelling one takes it out
            owed.cancel()

    def _peer(self, addr: Address) -> Peer:
        if self.port.is_local:
            return Peer("", 0, self.port.pid, self.port.uid)
        return Peer(addr[0], addr[1])

    def _refusal(self, addr: Address) -> str | None:
        guard = self.context.guard
        if self.port.is_local:
            if not addr[0]:
                return "the peer's socket has no name to answer to"
            if self.port.pid == self.context.host.own_pid():
                # a name can be made to lead to a socket of our own: no answer to our own answer
                return "the peer is this daemon"
            return guard.user_refusal(self.port.uid)
        return guard.datagram_refusal(addr[0], addr[1])

    def _owe(self, answer: Deferred[bytes], addr: Address, asked: int) -> None:
        if len(self._owed) >= MAX_OWED:
            answer.addErrback(lambda _: None)
            answer.cancel()
            self.context.guard.refuse(self._peer(addr), f"{MAX_OWED} answers outstanding")
            return
        source: Destination | None = self.port.asked
        self._owed.add(answer)

        def done(result: bytes | Failure) -> None:
            self._owed.discard(answer)
            if self.transport is None:
                return  # the port has closed, and what was owed is cancelled
            if isinstance(result, bytes):
                self._send(result, addr, asked, source)
            else:
                self._fault(addr, result)

        answer.addBoth(done)

    def _send(
        self, answer: bytes, addr: Address, asked: int, source: Destination | None = None
    ) -> None:
        guard = self.context.guard
        if self.amplifies and len(answer) > MAX_ANSWER:
            answer = error_line(f"the answer has more than {MAX_ANSWER} bytes")
        elif len(answer) > asked and not self.amplifies:
            guard.counts["errors"] += 1
            events.warn(
                "failed",
                service=self.context.name,
                peer=str(self._peer(addr)),
                why=f"an answer of {len(answer)} bytes to {asked} was not sent: too long",
            )
            return
        if self.port.write(answer, addr, source):
            guard.counts["datagrams_out"] += 1
            guard.counts["bytes_out"] += len(answer)

    def _fault(self, addr: Address, failure: Failure | None = None) -> None:
        self.context.guard.counts["errors"] += 1
        if failure is None:
            events.crash(self.context.name, str(self._peer(addr)))
        else:
            events.warn(
                "failed",
                service=self.context.name,
                peer=str(self._peer(addr)),
                why=failure.getErrorMessage(),
            )


class Sender(DatagramProtocol):
    """Speaks unasked, to one multicast group or address; what it hears it drops."""

    noisy = False

    def __init__(
        self, context: Context, target: Address, aim: Callable[[DatagramPort], None]
    ) -> None:
        self.context = context
        self.target = target
        self._aim = aim
        self._silent = False

    @property
    def port(self) -> DatagramPort:
        """The port, with its counters."""
        return cast(DatagramPort, self.transport)

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        self.context.guard.counts["datagrams_in"] += 1

    def send(self, data: bytes) -> None:
        """Send one datagram. A network that is away is reported once, and once when it is back."""
        guard = self.context.guard
        why = ""
        try:
            self._aim(self.port)
        except OSError as error:
            why = error.strerror or str(error)
        if not why and not self.port.write(data, self.target):
            why = self.port.last_error
        if not why:
            guard.counts["datagrams_out"] += 1
            guard.counts["bytes_out"] += len(data)
        if bool(why) != self._silent:
            self._silent = bool(why)
            report = f"cannot send: {why}; trying again each time" if why else "sending again"
            name, peer = self.context.name, str(Peer(*self.target))
            events.warn("failed", service=name, peer=peer, why=report)
