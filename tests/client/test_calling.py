"""Networks are asked at a pace, each question twice, and answers are told from what is none."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

import pytest_twisted
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.client.asking import Asking
from sockd.client.errors import ClientError, Unreachable
from sockd.client.lan.calling import (
    AGAIN_AFTER,
    AT_ONCE,
    PER_SECOND,
    TRIES,
    Caller,
    Calling,
    Reply,
    networks,
)
from sockd.client.lan.discovery import MOST_PLACES, Place, Way
from sockd.client.lan.proofs import (
    DATAGRAM_QUESTIONS,
    MOST_ANSWER,
    Question,
    says_seconds,
    says_token,
)
from sockd.client.process import Run
from sockd.client.report import Stamp
from sockd.client.targets import Transport
from sockd.testing.running import running_reactor, until

HERE = Place(Way.LOOPBACK, "127.0.0.1", "", "lo")
TOKENS = [b"sock1", b"sock2"]


def clocked(clock: Clock) -> Run:
    run = Run(clock, Asking(), lambda _: None)
    run.monotonic_ns = lambda: round(clock.seconds() * 1e9)
    return run


@define(eq=False)
class Recorder:
    """Asks nobody, and keeps when it would have asked what."""

    run: Run
    place: Place
    failure: ClientError | None = None
    has_sent: bool = False
    asked: list[tuple[float, Question, int]] = field(factory=list)

    def ask(self, question: Question, attempt: int) -> None:
        self.asked.append((self.run.monotonic_ns() / 1e9, question, attempt))

    def close(self) -> None:
        pass


@define(eq=False)
class Scene:
    """A probing of recorders, on a clock that is moved."""

    clock: Clock = field(factory=Clock)
    recorders: list[Recorder] = field(factory=list)
    probing: Calling = field()

    @probing.default
    def _probing(self) -> Calling:
        def make(run: Run, place: Place, *_: object) -> Recorder:
            made = Recorder(run, place)
            self.recorders.append(made)
            return made

        return Calling(
            clocked(self.clock), DATAGRAM_QUESTIONS, lambda _: None, lambda: b"sock", make
        )


def place(number: int) -> Place:
    return Place(Way.BROADCAST, f"10.0.{number}.255", f"eth{number}", f"eth{number}")


def test_everything_is_asked_everywhere_twice_and_no_faster_than_it_may_be() -> None:
    scene = Scene()
    scene.probing.open([place(number) for number in range(7)])
    task = Deferred.fromCoroutine(scene.probing.ask())
    while not task.called:
        scene.clock.advance(0.001)
    for recorder in scene.recorders:
        asked = {(question.port, attempt) for _, question, attempt in recorder.asked}
        assert len(asked) == len(recorder.asked) == TRIES * len(DATAGRAM_QUESTIONS)
        for question in DATAGRAM_QUESTIONS:
            first, second = (at for at, of, _ in recorder.asked if of is question)
            assert second - first >= AGAIN_AFTER - 0.002
    times = sorted(at for recorder in scene.recorders for at, _, _ in recorder.asked)
    for number, at in enumerate(times):
        within = [later for later in times[number:] if later < at + 1]
        assert len(within) <= PER_SECOND + AT_ONCE
        assert len([later for later in times[number:] if later == at]) <= AT_ONCE


def test_no_more_places_are_asked_than_can_be_and_that_is_said() -> None:
    scene = Scene()
    scene.probing.open([place(number) for number in range(MOST_PLACES + 5)])
    assert len(scene.recorders) == MOST_PLACES
    assert scene.probing.failures == [
        f"only {MOST_PLACES} of {MOST_PLACES + 5} places are asked: choose one with -I"
    ]


def test_a_place_that_cannot_be_asked_is_told_and_the_others_are_asked() -> None:
    scene = Scene()
    scene.probing.open([place(1), place(2)])
    scene.recorders[0].failure = Unreachable("cannot send to 10.0.1.255:7: no way")
    scene.recorders[1].has_sent = True
    assert scene.probing.asked == [place(2)]
    scene.probing.close()
    assert scene.probing.failures == ["cannot send to 10.0.1.255:7: no way (eth1)"]


# one place


@define(eq=False)
class Peer:
    """A server on loopback whose answers a test sends itself, and who asks it."""

    sock: socket.socket
    caller: Caller
    replies: list[Reply]
    question: Question

    async def hear(self) -> tuple[bytes, tuple[str, int]]:
        """The next question, and who asks."""
        found: list[tuple[bytes, tuple[str, int]]] = []

        def came() -> bool:
            try:
                found.append(self.sock.recvfrom(65_535))
            except BlockingIOError:
                return False
            return True

        await until(came)
        return found[0]


@contextmanager
def bound() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


def question_for(sock: socket.socket, proof: str = "token") -> Question:
    return Question(
        service="test",
        transport=Transport.UDP,
        port=sock.getsockname()[1],
        request=bytes,
        proof=says_token if proof == "token" else says_seconds,
        bears_token=proof == "token",
    )


@asynccontextmanager
async def asked(proof: str = "token") -> AsyncIterator[Peer]:
    """A caller that asks one service here."""
    with bound() as sock:
        question = question_for(sock, proof)
        replies: list[Reply] = []
        run = Run(running_reactor(), Asking(), lambda _: None)
        caller = Caller(run, HERE, [question], TOKENS, replies.append)
        try:
            yield Peer(sock, caller, replies, question)
        finally:
            caller.close()


@pytest_twisted.ensureDeferred
async def test_an_answer_is_told_with_its_round_trip() -> None:
    async with asked() as peer:
        peer.caller.ask(peer.question, 1)
        data, who = await peer.hear()
        assert data == TOKENS[0]
        peer.sock.sendto(data, who)
        await until(lambda: bool(peer.replies))
        [reply] = peer.replies
        assert reply.is_proof
        assert (reply.address, reply.port) == peer.sock.getsockname()
        assert reply.rtt_ns is not None
        assert 0 < reply.rtt_ns < time.monotonic_ns()
        assert reply.stamp in (Stamp.KERNEL, Stamp.USER)
        assert peer.caller.has_sent


@pytest_twisted.ensureDeferred
async def test_each_question_goes_to_its_own_port_of_one_host() -> None:
    with bound() as one, bound() as other:
        questions = [question_for(sock) for sock in (one, other)]
        run = Run(running_reactor(), Asking(), lambda _: None)
        with closing(Caller(run, HERE, questions, TOKENS, lambda _: None)) as caller:
            for question in questions:
                caller.ask(question, 1)
            for sock, question in zip((one, other), questions, strict=True):
                data, _ = await Peer(sock, caller, [], question).hear()
                assert data == TOKENS[0]


@pytest_twisted.ensureDeferred
async def test_a_token_says_which_try_is_answered() -> None:
    async with asked() as peer:
        for attempt in (1, 2):
            peer.caller.ask(peer.question, attempt)
        for _ in range(2):
            data, who = await peer.hear()
            peer.sock.sendto(data, who)
        await until(lambda: len(peer.replies) == 2)
        assert [reply.attempt for reply in peer.replies] == [1, 2]
        assert all(reply.rtt_ns is not None for reply in peer.replies)


@pytest_twisted.ensureDeferred
async def test_without_a_token_nobody_knows_the_round_trip_of_the_second_try() -> None:
    async with asked("seconds") as peer:
        for attempt in (1, 2):
            peer.caller.ask(peer.question, attempt)
        _, who = await peer.hear()
        peer.sock.sendto(b"time", who)
        await until(lambda: bool(peer.replies))
        [reply] = peer.replies
        assert reply.is_proof
        assert reply.rtt_ns is None


@pytest_twisted.ensureDeferred
async def test_what_is_no_answer_is_told_apart() -> None:
    async with asked() as peer:
        peer.caller.ask(peer.question, 1)
        _, who = await peer.hear()
        with bound() as stranger:
            for sock, data in (
                (peer.sock, b"sock3"),
                (peer.sock, TOKENS[0] + b"!"),
                (peer.sock, b"x" * (MOST_ANSWER + 1)),
                (peer.sock, b""),
                (stranger, TOKENS[0]),
            ):
                sock.sendto(data, who)
            await until(lambda: len(peer.replies) == 5)
        assert not any(reply.is_proof for reply in peer.replies)
        assert [reply.question for reply in peer.replies] == [peer.question] * 4 + [None]
        assert all(reply.rtt_ns is None for reply in peer.replies)


@pytest_twisted.ensureDeferred
async def test_a_port_where_nobody_listens_is_in_nobodys_way() -> None:
    """Its refusal comes back as an error of the next datagram that is sent."""
    async with asked() as peer:
        with bound() as closed:
            port = closed.getsockname()[1]
        nobody = Question(
            service="none", transport=Transport.UDP, port=port, request=bytes, proof=says_token
        )
        for _ in range(5):
            peer.caller.ask(nobody, 1)
        peer.caller.ask(peer.question, 1)
        assert (await peer.hear())[0] == TOKENS[0]
        assert peer.caller.failure is None


def test_networks_are_those_of_our_addresses() -> None:
    assert "127.0.0.0/8" in map(str, networks())
