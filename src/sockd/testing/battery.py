"""The contract battery: what holds for every service, from samples of what it is asked.

`memory_cases` are for any test suite; `socket_cases` run on the running reactor, and a test that
runs one is a coroutine of pytest-twisted's. A case names itself: `parametrize(..., ids=str)`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from attrs import frozen

from sockd.service import Door, Kind
from sockd.testing.datagram_cases import DatagramDoor
from sockd.testing.instances import kind_of
from sockd.testing.memory import Loop
from sockd.testing.running import until
from sockd.testing.samples import DatagramSample, StreamSample
from sockd.testing.stream_cases import Pending, StreamDoor
from sockd.testing.ways import WAYS, in_reads_of

READS = (1, 2, 7, 65536)
"""Bytes of the reads into which a request is cut in memory."""
LONGEST_ANSWER_SECONDS = 25
"""How far a loop in memory is advanced for an answer: less than any timeout that ends a client."""
LONGEST_SHOWN = 20
"""Bytes of the longest question that is the name of its case."""


@frozen(str=False)
class MemoryCase:
    """One case in memory."""

    name: str
    _run: Callable[[], Pending]

    def __str__(self) -> str:
        return self.name

    def check(self) -> None:
        """Run it; AssertionError says what came instead. For an answer time is let pass."""
        for loop, condition in self._run():
            for _ in range(LONGEST_ANSWER_SECONDS):
                loop.settle()
                if condition():
                    break
                loop.advance(1)
            # where it never holds, the case itself says what there is instead

    async def check_beside_reactor(self) -> None:
        """As `check`, for services that have child processes or threads work.

        Those are not in memory: the running reactor hears of them.
        """
        for loop, condition in self._run():

            def settled(loop: Loop = loop, condition: Callable[[], bool] = condition) -> bool:
                loop.settle()
                return condition()

            with suppress(AssertionError):  # as in `check`
                await until(settled)


@frozen(str=False)
class SocketCase:
    """One case over real listeners, on every transport of the door that it is about."""

    name: str
    _run: Callable[[Path], Awaitable[None]]

    def __str__(self) -> str:
        return self.name

    async def check(self, folder: Path) -> None:
        """Run it on the running reactor; socket files and a certificate go into the folder."""
        await self._run(folder)


def memory_cases(
    kind: Kind | str,
    *,
    stream: StreamSample | None = None,
    datagram: DatagramSample | None = None,
    role: str = "",
) -> list[MemoryCase]:
    """The cases of a kind in memory. Raises ValueError where the kind has more than the samples.

    `role` names the door that is tested, where it is not the main one.
    """
    kind = kind_of(kind)
    _fit(kind.door(role), stream, datagram)
    cases = []
    if stream is not None:
        streams = StreamDoor(kind, stream, role)
        cases += [
            MemoryCase(way.name, partial(streams.talk_in_memory, way))
            for way in (*WAYS, *map(in_reads_of, READS))
        ]
        cases.append(MemoryCase("gone after any byte", streams.leave_in_memory))
    if datagram is not None:
        datagrams = DatagramDoor(kind, datagram, role)
        cases += [
            MemoryCase(f"asked {_shown(row[0])}", partial(datagrams.ask_in_memory, *row))
            for row in datagram.rows()
        ]
        cases.append(MemoryCase("asked by nobody", datagrams.ask_without_a_name))
    return cases


def socket_cases(
    kind: Kind | str,
    *,
    stream: StreamSample | None = None,
    datagram: DatagramSample | None = None,
    role: str = "",
) -> list[SocketCase]:
    """The cases of a kind over real listeners: TCP, TLS, Unix sockets; UDP, Unix datagrams.

    As `memory_cases`.
    """
    kind = kind_of(kind)
    _fit(kind.door(role), stream, datagram)
    cases = []
    if stream is not None:
        streams = StreamDoor(kind, stream, role)
        cases += [SocketCase(way.name, partial(streams.talk_over_sockets, way)) for way in WAYS]
        cases += [
            SocketCase("closed within a request", partial(streams.leave_over_sockets, False)),
            SocketCase("reset within a request", partial(streams.leave_over_sockets, True)),
        ]
    if datagram is not None:
        datagrams = DatagramDoor(kind, datagram, role)
        cases += [
            SocketCase(f"asked {_shown(row[0])}", partial(datagrams.ask_over_sockets, *row))
            for row in datagram.rows()
        ]
        cases += [
            SocketCase("asked all at once", datagrams.ask_all_over_sockets),
            SocketCase("gone before its answer", datagrams.leave_over_sockets),
        ]
    return cases


def _fit(door: Door, stream: StreamSample | None, datagram: DatagramSample | None) -> None:
    """Raises ValueError where a protocol has no sample, or a sample no protocol."""
    for what, protocol, sample in (
        ("stream", door.stream, stream),
        ("datagram", door.datagram, datagram),
    ):
        if protocol is not None and sample is None:
            raise ValueError(f"{what}: {protocol.__name__} has no sample")
        if protocol is None and sample is not None:
            raise ValueError(f"{what}: a sample, and no protocol that it is of")


def _shown(question: bytes) -> str:
    size = len(question)
    return repr(question) if size < LONGEST_SHOWN else f"{size} bytes"
