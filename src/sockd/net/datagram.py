"""The bases of datagram services: who may ask, what an answer may cost, and nothing that stops it.

A service says what to `answer` to a datagram; everything else is here. It may answer later with a
Deferred: how many answers are owed at once is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure

from sockd import events
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from sockd.net.context import Context
from sockd.net.stream import error_line
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import Answer, Datagram

MAX_ANSWER = 512
"""Bytes of the longest answer of a service that can answer more than it is asked (RFC 865's limit):
with `reply_rate`, what anybody can have sent to a forged source."""
MAX_OWED = 64
"""Answers that may be outstanding at once; a datagram that would owe one more is dropped."""
_UNNAMED = because("unnamed_socket")
_OWN_PROCESS = because("own_process")
_OWES_TOO_MUCH = because("answers_owed", limit=MAX_OWED)


class Datagrams(DatagramProtocol):
    """The datagrams of one service instance at one address."""

    noisy = False

    amplifies: ClassVar[bool] = False
    """True: an answer can be longer than its question, so `reply_rate` and `MAX_ANSWER` hold.
    False: an answer that is longer is a fault, and is not sent."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self.context = context
        self._owed: set[Deferred[bytes]] = set()
        self._answers: list[Answer] | None = None

    def answer(self, data: bytes) -> bytes | Deferred[bytes] | None:
        """What to send back: bytes (none is an empty datagram), later, or None for nothing."""
        raise NotImplementedError

    @property
    def port(self) -> DatagramPort:
        """The port, with its counters."""
        return cast(DatagramPort, self.transport)

    def datagramsReceived(self, batch: Sequence[Datagram]) -> None:
        """The port: what came in this turn. The answers leave together, in order."""
        refusal = self._local_refusal if self.port.is_local else self._refusal
        size = 0
        self._answers = []
        for datagram in batch:
            size += len(datagram[0])
            if (rule := refusal(datagram)) is not None:
                self.context.guard.refuse(self._peer(datagram), rule)
                continue
            try:
                answer = self.answer(datagram[0])
            except Exception:  # noqa: BLE001 - whatever a service raises, the others do not notice
                self._fault(datagram)
                continue
            if isinstance(answer, bytes):
                self._send(answer, datagram)
            elif answer is not None:
                self._owe(answer, datagram)
        counts = self.context.guard.counts
        counts["datagrams_in"] += len(batch)
        counts["bytes_in"] += size
        answers, self._answers = self._answers, None
        self._write(answers)

    def stopProtocol(self) -> None:
        for owed in tuple(self._owed):  # cancelling one takes it out
            owed.cancel()

    def _peer(self, datagram: Datagram) -> Peer:
        _, (host, port), _, pid, uid = datagram
        return Peer("", 0, pid, uid) if self.port.is_local else Peer(host, port)

    def _refusal(self, datagram: Datagram) -> Reason | None:
        host, port = datagram[1]
        guard = self.context.guard
        if (rule := guard.datagram_refusal(host, port)) is not None:
            return rule
        return guard.answer_refusal(host) if self.amplifies else None

    def _local_refusal(self, datagram: Datagram) -> Reason | None:
        _, (path, _), _, pid, uid = datagram
        if not path:
            return _UNNAMED
        if self.context.host.state.is_own_process(pid):
            # a name can be made to lead to a socket of our own: no answer to our own answer
            return _OWN_PROCESS
        return self.context.guard.user_refusal(uid)

    def _owe(self, answer: Deferred[bytes], datagram: Datagram) -> None:
        if len(self._owed) >= MAX_OWED:
            answer.addErrback(lambda _: None)
            answer.cancel()
            self.context.guard.refuse(self._peer(datagram), _OWES_TOO_MUCH)
            return
        self._owed.add(answer)

        def done(result: bytes | Failure) -> None:
            self._owed.discard(answer)
            if self.transport is None:
                return  # the port has closed, and what was owed is cancelled
            if isinstance(result, bytes):
                self._send(result, datagram)
            else:
                self._fault(datagram, result)

        answer.addBoth(done)

    def _send(self, answer: bytes, datagram: Datagram) -> None:
        data, sender, asked, _, _ = datagram
        if self.amplifies:
            if len(answer) > MAX_ANSWER:
                answer = error_line(f"the answer has more than {MAX_ANSWER} bytes")
        elif len(answer) > len(data):
            self.context.guard.counts["errors"] += 1
            events.warn(
                "failed",
                service=self.context.name,
                peer=str(self._peer(datagram)),
                why=f"an answer of {len(answer)} bytes to {len(data)} was not sent: too long",
            )
            return
        if self._answers is None:
            self._write([(answer, sender, asked)])
        else:
            self._answers.append((answer, sender, asked))

    def _write(self, answers: Sequence[Answer]) -> None:
        refused = self.port.write_batch(answers)
        counts = self.context.guard.counts
        counts["datagrams_out"] += len(answers) - len(refused)
        counts["bytes_out"] += _size(answers) - _size(refused)

    def _fault(self, datagram: Datagram, failure: Failure | None = None) -> None:
        self.context.guard.counts["errors"] += 1
        peer = str(self._peer(datagram))
        if failure is None:
            events.crash(self.context.name, peer)
        else:
            events.warn(
                "failed", service=self.context.name, peer=peer, why=failure.getErrorMessage()
            )


def _size(datagrams: Sequence[Datagram | Answer]) -> int:
    return sum(len(one[0]) for one in datagrams)


class Sender(DatagramProtocol):
    """Speaks unasked, to one multicast group or address; what it hears it drops."""

    noisy = False

    def __init__(
        self, context: Context[Any, Any], target: Address, aim: Callable[[DatagramPort], None]
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
