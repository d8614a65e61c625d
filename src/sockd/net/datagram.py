"""The bases of datagram services: who may ask, what an answer may cost, and nothing that stops it.

`Datagrams` hands a service each datagram that may come in: its bytes, who sent it, and what else is
known of it. `Replies` stands on that: its services say what to `answer`, now or later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.python.failure import Failure

from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from sockd.formats.faults import error_line
from sockd.net.context import Context
from sockd.net.faults import Faults
from sockd.options.units import Duration
from sockd.reactor.ancillary import NOTHING, AskedOfMany, Told, Wanted
from sockd.reactor.datagram import DatagramPort
from sockd.reactor.mmsg import BATCH
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import Answer, Destination
from sockd.reactor.wire import Datagram as Raw

MAX_ANSWER = 512
"""Bytes of the longest answer of a service that can answer more than it is asked (RFC 865's limit):
with `reply_rate`, what anybody can have sent to a forged source."""
ANY_SIZE = math.inf
"""`quick_bytes` of a service that always is."""
MAX_OWED = 64
"""Answers that may be outstanding at once; a datagram that would owe one more is dropped."""
LOOK_SECONDS = 1.0
"""How often what is owed is looked at, while something is: `answer_timeout` is exact to this."""

_UNNAMED = because("unnamed_socket")
_OWN_PROCESS = because("own_process")
_OWN_NAME = because("own_name")
_TO_MANY = because("to_many")
_OWED = because("answers_owed", limit=MAX_OWED)


class Datagram(NamedTuple):
    """One datagram that has come in."""

    data: bytes
    sender: Address
    """World and port; a path and 0 for a Unix socket."""
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
    answers: ClassVar[bool] = True
    """False: nothing ever comes back, so `local_reply_rate` does not hold."""
    hears_all: ClassVar[bool] = False
    """True: takes what was sent to a broadcast address or a group, too: that is how clients find
    it. False: only where `answer_broadcasts` says so."""
    quick_bytes: ClassVar[float] = 0
    """Datagrams of fewer bytes than that in all cost little more than to read them, and are
    answered at once. What is more is answered in turns that are shared with all connections."""
    wants_told: ClassVar[Wanted] = NOTHING
    """What the kernel is to tell beside each datagram: its time, the interface."""

    context: Context[Any, Any]

    def __init__(self, context: Context[Any, Any], entrance: Entrance) -> None:
        self.context = context
        self.entrance = entrance
        self._written: list[Answer] | None = None
        self.traffic = context.guard.counts.traffic(entrance)
        self._faults = Faults(context, self.traffic)
        self._rest: Sequence[Raw] = ()
        """What waits for a turn; the port hands on nothing more meanwhile."""
        self._idle: list[Deferred[None]] = []

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
        self.flush()
        sent = self.port.write_many(data, addresses)
        self.traffic.datagrams_out += sent
        self.traffic.bytes_out += sent * len(data)

    def flush(self) -> None:
        """Send now what was to leave with the batch: nothing that goes by another call of the
        port's is to overtake it."""
        if self._written:
            written = self._written[:]
            self._written.clear()
            self._write(written)

    @property
    def port(self) -> DatagramPort:
        """The port, with its counters."""
        return cast(DatagramPort, self.transport)

    # what the daemon uses

    def when_answered(self) -> Deferred[None]:
        """Fires when nothing is owed any more of what is owed now."""
        if not self._rest:
            return succeed(None)
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        return idle

    # Twisted's side

    def datagramsReceived(self, batch: Sequence[Raw]) -> None:
        """The port: what came in this turn. What is sent meanwhile leaves together, in order."""
        size = 0
        for raw in batch:
            size += len(raw[0])
        traffic = self.traffic
        traffic.datagrams_in += len(batch)
        traffic.bytes_in += size
        if size >= self.quick_bytes:
            self._rest = batch
            if not self.context.world.turns.take(self):
                self.port.hold()
        elif len(batch) < BATCH:
            self._together(self._look_at, batch)
        else:  # a flood: of fewer it would cost more to look at the clock than it tells
            seconds = self.context.clock.seconds
            start = seconds()
            self._together(self._look_at, batch)
            self.context.world.turns.charge(seconds() - start)

    def stopProtocol(self) -> None:
        self.context.world.turns.leave(self)
        self._rest = ()
        self._rested()

    def turn(self, until: float) -> None:
        """From `Turns`: answer until then, in seconds of the clock."""
        try:
            self._together(self._look_until, until)
        finally:
            self._turn_is_over()

    def _turn_is_over(self) -> None:
        if self.transport is None:  # a service has closed it
            return
        if self._rest:
            self.port.hold()
            self.context.world.turns.wait(self)
        else:
            self.port.release()
            self._rested()

    def contain(self, call: Callable[..., Any], *args: Any) -> None:
        """From `Turns`: a fault of a datagram is known by then, and this is another one."""
        try:
            call(*args)
        except Exception:  # noqa: BLE001 - it must not strand those that wait behind it
            self._faults.crash(Peer("", 0))

    def _rested(self) -> None:
        idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.callback(None)

    def _together(self, work: Callable[..., None], *args: Any) -> None:
        """Work, and send together what is sent meanwhile."""
        written: list[Answer] = []
        self._written = written
        try:
            work(*args)
        finally:
            # what ends more than a datagram, such as SystemExit, must not leave the port mute
            self._written = None
            self._write(written)

    def _look_at(self, batch: Sequence[Raw]) -> None:
        refusal = self._local_refusal if self.port.is_local else self._refusal
        for raw in batch:
            is_for_us = raw[2] is None or type(raw[2]) is not AskedOfMany or self._hears_many
            if (reason := refusal(raw) if is_for_us else _TO_MANY) is not None:
                self.context.guard.refuse(self._peer(raw), reason, self.entrance)
                continue
            try:
                self._take(raw)
            except Exception:  # noqa: BLE001 - whatever a service raises, the others go on
                self._faults.crash(self._peer(raw))

    def _look_until(self, until: float) -> None:
        batch, self._rest = self._rest, ()
        done = 0
        try:
            for done, raw in enumerate(batch, 1):  # noqa: B007 - `finally` uses it
                self._look_at((raw,))
                if self.context.clock.seconds() >= until:
                    break
        finally:
            self._rest = batch[done:]

    @property
    def _hears_many(self) -> bool:
        return self.hears_all or self.context.limits.answer_broadcasts

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
        if self.context.world.state.is_own_process(pid):
            # a name can be made to lead to a socket of our own: no answer to our own answer
            return _OWN_PROCESS
        if path in self.context.world.state.local_names:
            return _OWN_NAME
        guard = self.context.guard
        if (reason := guard.user_refusal(uid)) is None and self.answers:
            return guard.local_reply_refusal(path, uid)
        return reason

    def _write(self, answers: Sequence[Answer]) -> None:
        refused = self.port.write_batch(answers)
        traffic = self.traffic
        traffic.datagrams_out += len(answers) - len(refused)
        traffic.bytes_out += _size(answers) - _size(refused)


class Replies(Datagrams):
    """Answers datagrams: each with one, or with none, now or later."""

    def __init__(self, context: Context[Any, Any], entrance: Entrance) -> None:
        super().__init__(context, entrance)
        self._owed: dict[Deferred[bytes], tuple[Peer, float]] = {}
        """Who has asked, and when."""
        self._waits: list[tuple[set[Deferred[bytes]], Deferred[None]]] = []
        self._look: IDelayedCall | None = None

    # what a service overrides

    def answer(self, data: bytes) -> bytes | Deferred[bytes] | None:
        """What to send back: bytes (none is an empty datagram), later, or None for nothing."""
        raise NotImplementedError

    # what the daemon uses

    def when_answered(self) -> Deferred[None]:
        """Fires when what is owed now is answered, late, or cancelled; not for what comes later."""
        if self._rest:
            return super().when_answered().addCallback(lambda _: self.when_answered())
        if not self._owed:
            return succeed(None)
        answered: Deferred[None] = Deferred()
        self._waits.append((set(self._owed), answered))
        return answered

    # Twisted's side

    def stopProtocol(self) -> None:
        super().stopProtocol()
        if self._look is not None:
            self._look.cancel()
            self._look = None
        for answer, (peer, _) in tuple(self._owed.items()):
            self._cancel(answer, peer)

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
        self._owed[answer] = self._peer(raw), self.context.clock.seconds()
        if self._look is None:
            self._look = self.context.clock.callLater(LOOK_SECONDS, self._look_for_late)

        def done(result: object) -> None:
            if answer not in self._owed:
                return  # it was late, or the port has closed
            if isinstance(result, bytes):
                self._reply(result, raw)
            else:
                self._fail(raw, result)
            self._settle(answer)  # last: whoever waits for it closes the port

        answer.addBoth(done)

    def _settle(self, answer: Deferred[bytes]) -> None:
        """It is not owed any more."""
        del self._owed[answer]
        for owed, _ in self._waits:
            owed.discard(answer)
        over = [answered for owed, answered in self._waits if not owed]
        self._waits = [wait for wait in self._waits if wait[0]]
        for answered in over:
            answered.callback(None)

    def _cancel(self, answer: Deferred[bytes], peer: Peer) -> None:
        """Have a service work on it no more; whatever becomes of it is nobody's answer."""
        if answer in self._owed:  # to cancel another may have settled it
            self._settle(answer)
            try:
                answer.cancel()
            except Exception:  # noqa: BLE001 - whatever a service raises, the others do not notice
                self._faults.crash(peer)

    def _look_for_late(self) -> None:
        self._look = None
        now, limit = self.context.clock.seconds(), self.context.limits.answer_timeout
        late = [
            (answer, peer) for answer, (peer, since) in self._owed.items() if now - since >= limit
        ]
        for answer, peer in late:
            self._faults.fail(peer, because("answer_timeout", limit=Duration(limit)))
            self._cancel(answer, peer)
        if self._owed and self._look is None:
            self._look = self.context.clock.callLater(LOOK_SECONDS, self._look_for_late)

    def _reply(self, answer: bytes, raw: Raw) -> None:
        data, sender, asked, *_ = raw
        if self.amplifies:
            if len(answer) > MAX_ANSWER:
                answer = error_line(f"the answer has more than {MAX_ANSWER} bytes")
        elif len(answer) > len(data):
            self._faults.fail(
                self._peer(raw), because("long_answer", size=len(answer), asked=len(data))
            )
            return
        self.send(answer, sender, asked)

    def _fail(self, raw: Raw, result: object) -> None:
        """An answer that was owed is none."""
        try:
            if isinstance(result, Failure):
                result.raiseException()
            raise TypeError(f"an answer is bytes, not {result!r}")
        except Exception:  # noqa: BLE001 - whatever a service raises, the others do not notice
            self._faults.crash(self._peer(raw))


def _size(datagrams: Sequence[Answer]) -> int:
    return sum(len(datagram[0]) for datagram in datagrams)
