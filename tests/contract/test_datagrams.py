"""Every kind of datagram service, over every transport that it declares: the same answers.

Each row of `DATAGRAMS` is asked over UDP, over Unix datagrams, and in memory.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import pytest_twisted
from attrs import frozen
from twisted.internet.threads import deferToThread

from sockd.service import DATAGRAM_TRANSPORTS
from tests.contract.samples import DATAGRAMS, LARGEST, SENDERS, Answer, matches
from tests.helpers import FOUND, make_context, make_host, open_port, until
from tests.memory import ASKER, NOON, REACTOR, Wall
from tests.servers import TIMEOUT, Asker, listen_string, serve

GROUP = "224.225.226.227"
KINDS = sorted(name for name, kind in FOUND.kinds.items() if kind.datagram)
SENDING_KINDS = sorted(name for name, kind in FOUND.kinds.items() if kind.sender)


@pytest.mark.parametrize("kind", KINDS)
def test_every_datagram_service_has_sample_questions(kind: str) -> None:
    assert kind in DATAGRAMS, f"tests/contract/samples.py has no questions for {kind}"


@pytest.mark.parametrize("kind", SENDING_KINDS)
def test_every_sender_has_a_sample(kind: str) -> None:
    assert kind in SENDERS, f"tests/contract/samples.py has nothing that {kind} sends"


@frozen
class Row:
    """A question of a kind, and the answer; None: there is none."""

    kind: str
    question: bytes
    answer: Answer | None


ROWS = [
    Row(kind, question, answer)
    for kind, sample in DATAGRAMS.items()
    for question, answer in [*sample.questions.items(), (b"a" * LARGEST, sample.of_largest)]
]


def name_of(row: Row) -> str:
    length = len(row.question)
    return f"{row.kind}-{row.question!r}" if length < 20 else f"{row.kind}-{length} bytes"


@pytest.mark.parametrize("row", ROWS, ids=name_of)
@pytest_twisted.ensureDeferred
async def test_a_datagram_gets_the_same_answer_over_every_transport(
    row: Row, tmp_path: Path
) -> None:
    answers = [await answer_over(transport, row, tmp_path) for transport in DATAGRAM_TRANSPORTS]
    if row.answer is None:
        assert answers == [None, None]
    else:
        assert answers[0] is not None
        assert matches(row.answer, answers[0]), answers[0]
        assert answers[0] == answers[1]


async def answer_over(transport: str, row: Row, folder: Path) -> bytes | None:
    got = None
    async with serve(row.kind, listen_string(transport, folder)) as instance:
        counts = instance.context.guard.counts
        with Asker(instance.listeners[0], folder) as asker:
            asker.send(row.question)
            if row.answer is not None:
                [got] = await deferToThread(asker.receive)
            await until(lambda: counts["datagrams_in"] == 1)
    assert counts["datagrams_out"] == (row.answer is not None)
    assert counts["errors"] == counts["refused"] == 0
    return got


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_datagram_is_answered_by_one_datagram_or_none(row: Row) -> None:
    port = open_port(row.kind, make_context(row.kind))
    answers = port.ask(row.question)
    assert len(answers) == (row.answer is not None)
    assert all(one.to == ASKER for one in port.sent)
    if row.answer is not None:
        assert matches(row.answer, answers[0]), answers


@pytest.mark.parametrize("transport", DATAGRAM_TRANSPORTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_datagrams_are_answered_in_their_order_each_by_itself(
    kind: str, transport: str, tmp_path: Path
) -> None:
    asked = [one for one in DATAGRAMS[kind].questions.items() if one[1] is not None]
    async with serve(kind, listen_string(transport, tmp_path)) as instance:
        with Asker(instance.listeners[0], tmp_path) as asker:
            asker.send(*(question for question, _ in asked))
            answers = await deferToThread(asker.receive, len(asked))
    for (_, answer), got in zip(asked, answers, strict=True):
        assert answer is not None
        assert matches(answer, got), got


@pytest.mark.parametrize("transport", DATAGRAM_TRANSPORTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest_twisted.ensureDeferred
async def test_an_asker_that_is_gone_before_its_answer_does_no_harm(
    kind: str, transport: str, tmp_path: Path
) -> None:
    question, answer = next(iter(DATAGRAMS[kind].questions.items()))
    async with serve(kind, listen_string(transport, tmp_path)) as instance:
        counts = instance.context.guard.counts
        with Asker(instance.listeners[0], tmp_path) as gone:
            gone.send(question)
        await until(lambda: counts["datagrams_in"] == 1)
        with Asker(instance.listeners[0], tmp_path) as asker:
            asker.send(question)
            if answer is not None:
                [got] = await deferToThread(asker.receive)
                assert matches(answer, got), got
            await until(lambda: counts["datagrams_in"] == 2)
    assert counts["errors"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_unix_peer_without_a_name_gets_nothing_and_does_no_harm(kind: str) -> None:
    context = make_context(kind)
    assert open_port(kind, context, is_local=True).ask(b"hello", ("", 0)) == []
    assert context.guard.counts["refused"] == 1


@pytest.mark.parametrize("kind", SENDING_KINDS)
@pytest_twisted.ensureDeferred
async def test_a_sender_is_heard_by_who_joins_its_group(kind: str) -> None:
    wall = Wall(NOON + 0.9)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.settimeout(TIMEOUT)
        listener.bind((GROUP, 0))
        joined = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        listen = f"multicast:{GROUP}:{listener.getsockname()[1]}:interface=127.0.0.1"
        async with serve(kind, listen, host=make_host(REACTOR, wall=wall)) as instance:
            wall.now = NOON + 1  # its first beat
            heard, sender = await deferToThread(listener.recvfrom, 65536)
        assert sender[0] == "127.0.0.1"
        assert matches(SENDERS[kind], heard), heard
        assert instance.context.guard.counts["datagrams_out"] == 1


@pytest.mark.parametrize("kind", SENDING_KINDS)
@pytest_twisted.ensureDeferred
async def test_a_sender_drops_what_it_is_sent(kind: str) -> None:
    async with serve(kind, f"multicast:{GROUP}:2070:interface=127.0.0.1") as instance:
        port = instance.listeners[0].port.socket.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.sendto(b"hello", ("127.0.0.1", port))
            counts = instance.context.guard.counts
            await until(lambda: counts["datagrams_in"] == 1)
        assert counts["datagrams_out"] == 0
