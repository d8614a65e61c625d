"""Every kind of service, over every transport that it declares: the battery of `sockd.testing`.

`tests/contract/samples.py` has what each kind is asked, and what it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_twisted

from sockd.testing import MemoryCase, SocketCase, memory_cases, socket_cases
from tests.contract.samples import DATAGRAMS, STREAMS
from tests.helpers import FOUND

pytestmark = pytest.mark.usefixtures("own_runtime")

Case = TypeVar("Case", MemoryCase, SocketCase)

STREAM_KINDS = sorted(name for name, kind in FOUND.kinds.items() if kind.stream)
DATAGRAM_KINDS = sorted(name for name, kind in FOUND.kinds.items() if kind.datagram)


@pytest.mark.parametrize("kind", STREAM_KINDS)
def test_every_stream_service_has_a_sample_session(kind: str) -> None:
    assert kind in STREAMS, f"tests/contract/samples.py has no session for {kind}"


@pytest.mark.parametrize("kind", DATAGRAM_KINDS)
def test_every_datagram_service_has_sample_questions(kind: str) -> None:
    assert kind in DATAGRAMS, f"tests/contract/samples.py has no questions for {kind}"


def every(cases: Callable[..., list[Case]]) -> Iterator[Any]:
    """The cases of every kind that has its samples."""
    for name in sorted({*STREAM_KINDS, *DATAGRAM_KINDS}):
        stream, datagram = STREAMS.get(name), DATAGRAMS.get(name)
        if (name in STREAM_KINDS) <= bool(stream) and (name in DATAGRAM_KINDS) <= bool(datagram):
            for case in cases(name, stream=stream, datagram=datagram):
                yield pytest.param(case, id=f"{name}-{case}")


@pytest.mark.parametrize("case", list(every(memory_cases)))
@pytest_twisted.ensureDeferred
async def test_a_service_keeps_the_contract_in_memory(case: MemoryCase) -> None:
    await case.check_beside_reactor()


@pytest.mark.parametrize("case", list(every(socket_cases)))
@pytest_twisted.ensureDeferred
async def test_a_service_keeps_the_contract_over_sockets(case: SocketCase, tmp_path: Path) -> None:
    await case.check(tmp_path)
