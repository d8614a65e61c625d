"""The bases of datagram services: who may ask, what an answer may cost, and nothing that stops it.

`Datagrams` hands a service each datagram that may come in: its bytes, who sent it, and what else is
known of it. `Replies` stands on that: its services say what to `answer`, now or later. `Sender`
speaks unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure

from sockd import events
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from sockd.net.context import Context
from sockd.net.stream import error_line
from sockd.reactor.ancillary import NOTHING, Told, Wanted
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import Answer, Destination
from sockd.reactor.wire import Datagram as Raw

MAX_ANSWER = 512
"""Bytes of the longest answer of a service that can answer more than it is asked (RFC 865's limit):
with `reply_rate`, what anybody can have sent to a forged source."""
MAX_OWED = 64
"""Answers that may be outstanding at once; a datagram that would owe one more is dropped."""

_UNNAMED = because("unnamed_socket")
_OWN_PROCESS = because("own_process")
_OWED = because("answers_owed", limit=MAX_OWED)


class Datagram(NamedTuple):
    """One datagram that has come in."""

    data: bytes
    sender: Address
    """Host and port; a path and 0 for a Unix socket."""
    asked: Destination | None
    """The address that it was sent to, where the socket has several: an answer leaves from it."""
    pid: int | None
    uid: int | None
    """The process and the user who sent it, over a Unix socket."""
    told: Told | None
    """What the kernel tells beside it, where `wants_told` asks for that."""


class Datagrams(DatagramProtocol):
    """The datagrams of one service instance at one address."""

    noisy = False
    amplifies: ClassVar[bool] = False
    """True: an answer can be longer than its question, so `reply_rate` and `MAX_ANSWER` hold.
    False: an answer that is longer is a fault, and is not sent."""
    wants_told: ClassVar[Wanted] = NOTHING
    """What the kernel is to tell beside each datagram: its time, the interface."""

    context: Context[Any, Any]

    def __init__(self, context: Context[Any, Any], entrance: Entrance) -> None:
        self.context = context
        self.entrance = entrance
        self._written: list[Answer] | None = None

    # what a service overrides

    def received(self, datagram: Datagram) -> None:
        """A datagram that the guard lets in."""
        raise NotImplementedError

    # what a service uses

    def send(self, data: bytes, to: Address, source: Destination | None = None) -> None:
        """Send one datagram; an answer leaves from the address that was `asked`.

        What is sent while a batch of datagrams is looked at leaves in one go, in order.
        """
        if self._written is None:
            self._write([(data, to, source)])
        else:
            self._written.append((data, to, source))

    def send_many(self, data: bytes, addresses: Sequence[Address]) -> None:
        """Send the same to many."""
        sent = self.port.write_many(data, addresses)
        counts = self.context.guard.counts
        counts["datagrams_out"] += sent
        counts["bytes_out"] += sent * len(data)

    @property
    def port(self) -> DatagramPort:
        """The port, with its counters."""
        return cast(DatagramPort, self.transport)

    # Twisted's side

    def datagramsReceived(self, batch: Sequence[Raw]) -> None:
        """The port: what came in this turn. What is sent meanwhile leaves together, in order."""
        refusal = self._local_refusal if self.port.is_local else self._refusal
        size = 0
        self._written = []
        for raw in batch:
            size += len(raw[0])
            if (reason := refusal(raw)) is not None:
                self.context.guard.refuse(self._peer(raw), reason, self.entrance)
                continue
            try:
                self._take(raw)
            except Exception:  # noqa: BLE001 - whatever a service raises, the others do not notice
                self._fault(raw)
        counts = self.context.guard.counts
        counts["datagrams_in"] += len(batch)
        counts["bytes_in"] += size
        written, self._written = self._written, None
        self._write(written)

    def _take(self, raw: Raw) -> None:
        self.received(Datagram(*raw))

    def _peer(self, raw: Raw) -> Peer:
        _, (host, port), _, pid, uid, _ = raw
        return Peer("", 0, pid, uid) if self.port.is_local else Peer(host, port)

    def _refusal(self, raw: Raw) -> Reason | None:
        host, port = raw[1]
        return self.context.guard.datagram_refusal(host, port)

    def _local_refusal(self, raw: Raw) -> Reason | None:
        _, (path, _), _, pid, uid, _ = raw
        if not path:
            return _UNNAMED
        if self.context.host.state.is_own_process(pid):
            # a name can be made to lead to a socket of our own: no answer to our own answer
            return _OWN_PROCESS
        return self.context.guard.user_refusal(uid)

    def _write(self, answers: Sequence[Answer]) -> None:
        refused = self.port.write_batch(answers)
        counts = self.context.guard.counts
        counts["datagrams_out"] += len(answers) - len(refused)
        counts["bytes_out"] += _size(answers) - _size(refused)

    def _fault(self, raw: Raw) -> None:
        """The exception that is being handled is this datagram's."""
        self.context.guard.counts["errors"] += 1
        events.crash(self.context.name, self._peer(raw))


class Replies(Datagrams):
    """Answers datagrams: each with one, or with none, now or later."""

    def __init__(self, context: Context[Any, Any], entrance: Entrance) -> None:
        super().__init__(context, entrance)
        self._owed: set[Deferred[bytes]] = set()

    # what a service overrides

    def answer(self, data: bytes) -> bytes | Deferred[bytes] | None:
        """What to send back: bytes (none is an empty datagram), later, or None for nothing."""
        raise NotImplementedError

    # Twisted's side

    def stopProtocol(self) -> None:
        for owed in tuple(self._owed):  # cancelling one takes it out
            owed.cancel()

    def _take(self, raw: Raw) -> None:
        answer = self.answer(raw[0])
        if isinstance(answer, bytes):
            if self._written is not None and len(answer) <= len(raw[0]):
                self._written.append((answer, raw[1], raw[2]))  # as `_reply`, without its calls
            else:
                self._reply(answer, raw)
        elif isinstance(answer, Deferred):
            self._owe(answer, raw)
        elif answer is not None:
            raise TypeError(f"an answer is bytes, a Deferred or None, not {answer!r}")

    def _refusal(self, raw: Raw) -> Reason | None:
        host, port = raw[1]
        guard = self.context.guard
        if (reason := guard.datagram_refusal(host, port)) is None and self.amplifies:
            return guard.reply_refusal(host)
        return reason

    def _owe(self, answer: Deferred[bytes], raw: Raw) -> None:
        if len(self._owed) >= MAX_OWED:
            answer.addErrback(lambda _: None)
            answer.cancel()
            self.context.guard.refuse(self._peer(raw), _OWED, self.entrance)
            return
        self._owed.add(answer)

        def done(result: object) -> None:
            self._owed.discard(answer)
            if self.transport is None:
                return  # the port has closed, and what was owed is cancelled
            if isinstance(result, bytes):
                self._reply(result, raw)
            else:
                self._fail(raw, result)

        answer.addBoth(done)

    def _reply(self, answer: bytes, raw: Raw) -> None:
        data, sender, asked, *_ = raw
        if self.amplifies:
            if len(answer) > MAX_ANSWER:
                answer = error_line(f"the answer has more than {MAX_ANSWER} bytes")
        elif len(answer) > len(data):
            self.context.guard.counts["errors"] += 1
            reason = because("long_answer", size=len(answer), asked=len(data))
            peer = self._peer(raw)
            events.warn("failed", service=self.context.name, peer=peer, reason=reason)
            return
        self.send(answer, sender, asked)

    def _fail(self, raw: Raw, result: object) -> None:
        """An answer that was owed is none."""
        try:
            if isinstance(result, Failure):
                result.raiseException()
            raise TypeError(f"an answer is bytes, not {result!r}")
        except Exception:  # noqa: BLE001 - whatever a service raises, the others do not notice
            self._fault(raw)


def _size(datagrams: Sequence[Answer]) -> int:
    return sum(len(one[0]) for one in datagrams)


class Sender(DatagramProtocol):
    """Speaks unasked, to one multicast group or address; what it hears it drops."""

    noisy = False

    context: Context[Any, Any]

    def __init__(
        self, context: Context[Any, Any], target: Address, aim: Callable[[DatagramPort], None]
    ) -> None:
        self.context = context
        self.target = target
        self._aim = aim
        self._is_silent = False

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
        if bool(why) != self._is_silent:
            self._is_silent = bool(why)
            reason = because("cannot_send", detail=why) if why else because("sends_again")
            name, peer = self.context.name, Peer(*self.target)
            events.warn("failed", service=name, peer=peer, reason=reason)
