"""The battery: who keeps the contract passes; who does not fails, in the case that is about it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted

from sockd.net.datagram import Replies
from sockd.net.stream import Stream
from sockd.service import Kind
from sockd.testing import LogRecorder, MemoryCase, SocketCase, memory_cases, socket_cases
from tests.processes import succeed
from tests.testing import kinds
from tests.testing.kinds import DATAGRAMS, DOORS, LINES, SHOUT, of_datagrams, of_stream


def failing(cases: list[MemoryCase]) -> set[str]:
    """The names of the cases that fail."""
    found = set()
    for case in cases:
        try:
            case.check()
        except AssertionError:
            found.add(str(case))
    return found


async def failing_over_sockets(cases: list[SocketCase], folder: Path) -> set[str]:
    """The names of the cases that fail."""
    found = set()
    for number, case in enumerate(cases):
        own = folder / str(number)
        own.mkdir()
        try:
            await case.check(own)
        except AssertionError:
            found.add(str(case))
    return found


# who keeps it


@pytest_twisted.ensureDeferred
async def test_who_keeps_the_contract_passes(tmp_path: Path) -> None:
    assert not failing(memory_cases(SHOUT, stream=LINES, datagram=DATAGRAMS))
    cases = socket_cases(SHOUT, stream=LINES, datagram=DATAGRAMS)
    assert not await failing_over_sockets(cases, tmp_path)


def test_time_passes_in_memory_for_an_answer_that_comes_later() -> None:
    assert not failing(memory_cases(of_stream(kinds.Late), stream=LINES))


@pytest_twisted.ensureDeferred
async def test_a_door_that_is_not_the_main_one_is_tested_by_its_role(tmp_path: Path) -> None:
    assert failing(memory_cases(DOORS, stream=LINES))
    assert not failing(memory_cases(DOORS, stream=LINES, role="lines"))
    assert not failing(memory_cases(DOORS, datagram=DATAGRAMS, role="datagrams"))
    cases = [
        *socket_cases(DOORS, stream=LINES, role="lines"),
        *socket_cases(DOORS, datagram=DATAGRAMS, role="datagrams"),
    ]
    assert not await failing_over_sockets(cases, tmp_path)


# who does not

STREAMS: dict[type[Stream], set[str]] = {
    kinds.InReads: {"byte by byte", "in reads of 1", "in reads of 2", "in reads of 7", "oversize"},
    kinds.NeverEnds: {"half-closed", "silent", "trailing bytes"},
    kinds.SaysMore: {"whole", "byte by byte", "half-closed"},
    kinds.FailsAtItsEnd: {"whole", "gone after any byte"},
}
"""Faults, and cases that must find them."""


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.__name__)
def test_a_stream_that_breaks_the_contract_fails(stream: type[Stream], log: LogRecorder) -> None:
    assert failing(memory_cases(of_stream(stream), stream=LINES)) >= STREAMS[stream]
    log.flush_faults()


@pytest.mark.parametrize("datagram", [kinds.LongReplies, kinds.TwiceReplies])
def test_datagrams_that_break_the_contract_fail(datagram: type[Replies]) -> None:
    assert "asked b'a'" in failing(memory_cases(of_datagrams(datagram), datagram=DATAGRAMS))


@pytest_twisted.ensureDeferred
async def test_who_does_not_answer_the_same_over_every_transport_fails(tmp_path: Path) -> None:
    kind = of_stream(kinds.Partial)
    assert not failing(memory_cases(kind, stream=LINES))
    [whole, *_] = socket_cases(kind, stream=LINES)
    half_closed = next(case for case in socket_cases(kind, stream=LINES) if "half" in str(case))
    assert str(whole) == "whole"
    with pytest.raises(AssertionError, match="over unix"):
        await half_closed.check(tmp_path)


# samples


@pytest.mark.parametrize("cases", [memory_cases, socket_cases])
def test_a_protocol_without_a_sample_is_a_mistake(cases: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="datagram: ShoutReplies has no sample"):
        cases(SHOUT, stream=LINES)


def test_a_sample_without_a_protocol_is_a_mistake() -> None:
    kind: Kind = of_stream(kinds.Shout)
    with pytest.raises(ValueError, match="datagram: a sample, and no protocol"):
        memory_cases(kind, stream=LINES, datagram=DATAGRAMS)


ALONE = """
import sys
for name in ("pytest", "pytest_twisted", "hypothesis"):
    sys.modules[name] = None
from sockd.testing import memory_cases, nothing_left
from tests.testing.kinds import DATAGRAMS, LINES, SHOUT
for case in memory_cases(SHOUT, stream=LINES, datagram=DATAGRAMS):
    with nothing_left() as log:
        case.check()
assert "twisted.internet.reactor" not in sys.modules
print(len(log.events("opened")), "ok")
"""


def test_what_is_in_memory_needs_no_pytest_and_no_reactor() -> None:
    root = Path(__file__).parents[2]
    assert "ok" in succeed(sys.executable, "-c", ALONE, cwd=root)
