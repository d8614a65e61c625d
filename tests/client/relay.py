"""A path of the network that loses, doubles, reorders, delays, corrupts and injects, by a plan.

`Path` is the pure part: it says what comes of each datagram, and counts on its own what whoever
sent it should count. `Relay` is such a path over UDP on loopback, between a client and a server.
What becomes of a probe depends on its sequence number, its try and the seed, and on nothing else.
"""

from __future__ import annotations

import random
import selectors
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from threading import Condition, Thread
from time import monotonic
from types import TracebackType

from sockd.client.report import Counts
from sockd.formats.probe import SEQUENCES, TOKEN_BYTES
from sockd.listen.sockets import widen
from tests.client.liars import BUFFER

PATIENCE = 60.0
"""Seconds that a test waits for the thread: a machine may stand still for some."""
HOLD = 0.05
"""Seconds after which an answer that should be overtaken is let go, where none comes."""


class Fate(StrEnum):
    """What becomes of a probe."""

    PASS = "pass"
    LOSE = "lose"
    """An even one on its way to the server, an odd one on its way back."""
    DOUBLE = "double"
    SWAP = "swap"
    """Its answer is held until that to a later probe was let through."""
    DELAY = "delay"
    """Its answer is held until its wait is over."""
    DELAY_DOUBLED = "delay_doubled"
    """The same, and it comes twice."""
    CORRUPT = "corrupt"
    """One bit of its answer is changed, not in the token."""
    INJECT = "inject"
    """It passes, and the like of another session comes with it."""


Plan = Callable[[int, int], Fate]
"""The fate of a probe, by its sequence number and its try."""
MIXED: Mapping[Fate, int] = {Fate.PASS: 10, **{fate: 1 for fate in Fate if fate != Fate.PASS}}


def seeded(seed: int, weights: Mapping[Fate, int] = MIXED) -> Plan:
    """A plan that is the same for the same seed, in which fates come as often as they weigh."""
    fates, weigh = [*weights], [*weights.values()]
    return lambda seq, attempt: random.Random(f"{seed} {seq} {attempt}").choices(fates, weigh)[0]


class Path:
    """What a plan makes of the probes of one session, the first of which has the first number."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._first: int | None = None
        self._fates: Counter[Fate] = Counter()
        self._bytes = 0
        self._reordered = 0
        self._greatest = -1
        self._size = 0
        self._swapped: list[bytes] = []
        self._delayed: list[bytes] = []

    @property
    def counts(self) -> Counts:
        """What whoever sent the probes should count, once all waits are over."""
        fates = self._fates
        delayed = fates[Fate.DELAY] + fates[Fate.DELAY_DOUBLED]
        lost = fates[Fate.LOSE] + fates[Fate.CORRUPT] + delayed
        received = fates.total() - lost
        return Counts(
            sent=fates.total(),
            received=received,
            lost=lost,
            late=delayed,
            duplicates=fates[Fate.DOUBLE] + fates[Fate.DELAY_DOUBLED],
            corrupt=fates[Fate.CORRUPT],
            foreign=fates[Fate.INJECT],
            reordered=self._reordered,
            bytes_sent=self._bytes,
            bytes_received=received * self._size,
        )

    @property
    def holds_swapped(self) -> bool:
        """Whether an answer waits to be overtaken."""
        return bool(self._swapped)

    def forward(self, data: bytes) -> bool:
        """Whether a probe gets to the server."""
        seq, fate = self._fate(data)
        if self._first is None:
            self._first = seq
        self._fates[fate] += 1
        self._bytes += len(data)
        self._size = len(data)
        return fate is not Fate.LOSE or seq % 2 == 1

    def back(self, data: bytes) -> list[bytes]:
        """What comes to the client now that the server has answered a probe so."""
        _, fate = self._fate(data)
        match fate:
            case Fate.LOSE:
                return []
            case Fate.DOUBLE:
                return [*self._deliver(data), data]
            case Fate.SWAP:
                self._swapped.append(data)
                return []
            case Fate.DELAY:
                self._delayed.append(data)
                return []
            case Fate.DELAY_DOUBLED:
                self._delayed += [data, data]
                return []
            case Fate.CORRUPT:
                return [changed(data)]
            case Fate.INJECT:
                return [foreign(data), *self._deliver(data)]
        return self._deliver(data)

    def flush(self) -> list[bytes]:
        """Let go what was to be overtaken."""
        swapped, self._swapped = self._swapped, []
        for data in swapped:
            self._count(data)
        return swapped

    def release(self) -> list[bytes]:
        """Let go what was to come too late."""
        delayed, self._delayed = self._delayed, []
        return delayed

    def _fate(self, data: bytes) -> tuple[int, Fate]:
        seq = int.from_bytes(data[TOKEN_BYTES : TOKEN_BYTES + 8], "big")
        attempt = int.from_bytes(data[TOKEN_BYTES + 8 : TOKEN_BYTES + 10], "big")
        return seq, self._plan(seq, attempt)

    def _deliver(self, data: bytes) -> list[bytes]:
        """An answer that comes in time, and what it has overtaken."""
        self._count(data)
        return [data, *self.flush()]

    def _count(self, data: bytes) -> None:
        seq, _ = self._fate(data)
        n = (seq - (self._first or 0)) % SEQUENCES
        self._reordered += n < self._greatest
        self._greatest = max(n, self._greatest)


def changed(data: bytes) -> bytes:
    """The probe with one bit changed behind the token; which one depends on the probe."""
    bits = 8 * (len(data) - TOKEN_BYTES)
    bit = 8 * TOKEN_BYTES + random.Random(data).randrange(bits)
    spoiled = bytearray(data)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


def foreign(data: bytes) -> bytes:
    """The same probe, of another session."""
    return other(data[:TOKEN_BYTES]) + data[TOKEN_BYTES:]


def other(token: bytes) -> bytes:
    """The token of another session."""
    return bytes(255 - byte for byte in token)


class Relay:
    """A path on loopback: `address` stands for the server, or echoes itself where there is none.

    A context: its thread and its sockets end with it. Without `delay` what is delayed or to be
    overtaken is held until `release` or `flush` says so; with it, that many seconds, or `HOLD`.
    """

    def __init__(
        self,
        path: Path,
        server: tuple[str, int] | None = None,
        *,
        delay: float | None = None,
    ) -> None:
        self._path = path
        self._delay = delay
        self._server = server
        self._changed = Condition()
        self._taken = 0
        self._open = 0
        """Probes that the server has not answered yet."""
        self._delivered = 0
        self._timed: deque[tuple[float, list[bytes]]] = deque()
        """What is delayed, and until when."""
        self._swapped_until: float | None = None
        self._clients: dict[bytes, tuple[str, int]] = {}
        self._front = _bound()
        self._back = _bound()
        self._wakes, self._woken = socket.socketpair()
        self._thread = Thread(target=self._run, name="relay")

    @property
    def address(self) -> tuple[str, int]:
        """Where it is asked."""
        host, port = self._front.getsockname()
        return host, port

    @property
    def counts(self) -> Counts:
        """What the client should count, once all waits are over."""
        with self._changed:
            return self._path.counts

    def settle(self, probes: int) -> int:
        """Wait until so many probes in all came and were answered; how many answers were sent."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._taken >= probes and not self._open, PATIENCE
            ):
                raise TimeoutError(f"{self._taken} of {probes} came, {self._open} not answered")
            return self._delivered

    def flush(self) -> int:
        """Let go what was to be overtaken; how many answers were sent in all."""
        with self._changed:
            return self._deliver(self._path.flush())

    def release(self) -> int:
        """Let go what was to come too late; how many answers were sent in all."""
        with self._changed:
            return self._deliver(self._path.release())

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wakes.close()
        self._thread.join(PATIENCE)
        for sock in (self._front, self._back, self._woken):
            sock.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for sock in (self._front, self._back, self._woken):
                selector.register(sock, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select(self._patience())}
                with self._changed:
                    if self._woken in ready:
                        return
                    if self._front in ready:
                        self._from_client(*self._front.recvfrom(65_535))
                    if self._back in ready:
                        data, sender = self._back.recvfrom(65_535)
                        if sender == self._server:
                            self._from_server(data)
                    self._pass_time()
                    self._changed.notify_all()

    def _from_client(self, data: bytes, client: tuple[str, int]) -> None:
        token = data[:TOKEN_BYTES]
        self._clients[token] = self._clients[other(token)] = client
        self._taken += 1
        if self._path.forward(data):
            self._open += 1
            if self._server is None:
                self._from_server(data)
            else:
                self._back.sendto(data, self._server)

    def _from_server(self, data: bytes) -> None:
        self._open -= 1
        self._deliver(self._path.back(data))

    def _deliver(self, answers: Iterable[bytes]) -> int:
        for data in answers:
            self._front.sendto(data, self._clients[data[:TOKEN_BYTES]])
            self._delivered += 1
        return self._delivered

    def _patience(self) -> float | None:
        """Seconds until something that is held has to be let go."""
        times = [at for at, _ in list(self._timed)[:1]]
        if self._swapped_until is not None:
            times.append(self._swapped_until)
        return max(0.0, min(times) - monotonic()) if times else None

    def _pass_time(self) -> None:
        """Let go what was held for long enough, and see to what is held from now on."""
        if self._delay is None:
            return
        now = monotonic()
        if self._swapped_until is not None and now >= self._swapped_until:
            self._deliver(self._path.flush())
        while self._timed and now >= self._timed[0][0]:
            self._deliver(self._timed.popleft()[1])
        if delayed := self._path.release():
            self._timed.append((now + self._delay, delayed))
        if not self._path.holds_swapped:
            self._swapped_until = None
        elif self._swapped_until is None:
            self._swapped_until = now + HOLD


def _bound() -> socket.socket:
    """A socket on loopback, on a free port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    widen(sock, BUFFER)
    sock.bind(("127.0.0.1", 0))
    return sock
