"""The ends of programs, and of connections that get none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThread

from sockd.net.child import STOP_SECONDS
from sockd.net.stream import DAEMON_STOPS
from tests.helpers import LogRecorder, connect, make_context, make_world, until
from tests.services.programs import fill_up, reaped, running, session_of

STUBBORN = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.02; done")


class Resolver:
    """Gives everybody the same answer."""

    def __init__(self, answer: Deferred[str]) -> None:
        self.answer = answer

    def name(self, address: str) -> Deferred[str]:
        """The answer."""
        return self.answer


def greeted(answer: Deferred[str], **table: Any) -> Any:
    """A client whose greeting needs this name."""
    host = make_world(names=Resolver(answer))
    return connect("exec", make_context("exec", host, command=["cat"], greeting="{name}", **table))


def test_a_greeting_that_fails_ends_its_connection(log: LogRecorder) -> None:
    client = greeted(fail(ZeroDivisionError("by design")))
    assert client.is_closed
    assert [event["event"] for event in log.flush_faults()] == ["error"]


def test_a_greeting_that_fails_after_its_client_has_left_is_nobodys(log: LogRecorder) -> None:
    answer: Deferred[str] = Deferred()
    greeted(answer).vanish()
    answer.errback(ZeroDivisionError("by design"))
    assert log.flush_faults() == []


def test_a_greeting_that_never_comes_is_waited_for_no_longer_than_an_answer() -> None:
    client = greeted(Deferred(), answer_timeout=5)
    client.loop.advance(7)
    assert client.received == b"error: no answer within 5s\r\n"
    assert client.saw_end


@pytest_twisted.ensureDeferred
async def test_a_stop_is_done_when_every_program_is_reaped_and_that_is_told(
    log: LogRecorder,
) -> None:
    async with running(*STUBBORN) as (instance, wire):
        assert await deferToThread(wire.receive, 6) == b"ready\n"
        programs = instance.context.shared
        stopped = programs.stop()
        assert not stopped.called
        await stopped
        assert len(log.events("child-reaped")) == 1
        assert not programs.running
        assert programs.stop().called


@pytest_twisted.ensureDeferred
async def test_a_program_that_cannot_be_killed_does_not_keep_a_stop() -> None:
    context = make_context("exec", command=["cat"])
    client = connect("exec", context)
    [child] = context.shared.running
    kill = child.kill
    child.kill = lambda: None
    done: list[None] = []
    context.shared.stop().addCallback(done.append)
    client.loop.advance(STOP_SECONDS - 0.1)
    assert done == []
    client.loop.advance(0.1)
    assert done == [None]
    child.kill = kill
    client.vanish()
    child.kill()
    await until(lambda: not context.shared.running)


@pytest_twisted.ensureDeferred
async def test_what_a_program_prints_after_the_end_of_its_connection_is_dropped() -> None:
    context = make_context("exec", command=["yes"])
    client = connect("exec", context, takes=1000)
    stream: Any = client.protocol

    def has_spoken() -> bool:
        client.loop.settle()
        return bool(stream.bytes_out)

    await until(has_spoken)
    stream.stop(DAEMON_STOPS)
    before = stream.bytes_out
    [child] = context.shared.running
    child.outReceived(b"y\n" * 1000)
    assert stream.bytes_out == before
    client.vanish()
    await context.shared.stop()


# input that is not taken


@pytest.mark.parametrize("ends", ["closes", "stays", "ends its half"])
@pytest_twisted.ensureDeferred
async def test_a_client_does_not_keep_a_program_that_takes_nothing(
    ends: str, log: LogRecorder
) -> None:
    """One that has closed looks like one that is there: its end stands behind what is not read."""
    async with running("sleep", "1000", write_timeout="1s") as (instance, wire):
        await fill_up(wire, await session_of(instance))
        if ends == "closes":
            wire.socket.close()
        elif ends == "ends its half":
            wire.end()
        assert await reaped(log) == ["signal SIGTERM"]
        await until(lambda: log.events("closed") or ends == "stays")
        if ends != "stays":
            assert [str(one["reason"]) for one in log.events("closed")] == [
                "the program took nothing for 1s"
            ]


@pytest_twisted.ensureDeferred
async def test_a_program_that_takes_some_of_its_input_has_the_time_anew(tmp_path: Path) -> None:
    file = tmp_path / "go"
    script = 'until [ -e "$FILE" ]; do sleep 0.02; done; head -c 200000 >/dev/null; exec sleep 1000'
    context = make_context(
        "exec", command=["sh", "-c", script], environment={"FILE": str(file)}, write_timeout=10
    )
    client = connect("exec", context)
    stream: Any = client.protocol
    client.send(*[bytes(64 * 1024)] * 20)
    held = stream.bytes_in
    client.loop.advance(8)
    assert not stream.is_closing
    file.touch()

    def goes_on() -> bool:
        client.loop.settle()
        return bool(stream.bytes_in > held)

    await until(goes_on)
    client.loop.advance(8)
    assert not stream.is_closing
    client.loop.advance(4)
    assert stream.is_closing
    assert stream.reason.name == "input_timeout"
    client.vanish()
    await context.shared.stop()


@pytest_twisted.ensureDeferred
async def test_a_silent_program_whose_client_sends_little_has_its_whole_time() -> None:
    context = make_context("exec", command=["sleep", "1000"], write_timeout=5, max_time=60)
    client = connect("exec", context)
    client.send(b"little")
    client.loop.advance(59)
    stream: Any = client.protocol
    assert not stream.is_closing
    client.loop.advance(2)
    assert stream.reason.name == "max_time"
    client.vanish()
    await context.shared.stop()
