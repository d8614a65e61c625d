"""One run of a program for many clients."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from sockd.net.cached import MOST_OUTPUT
from tests.helpers import LogRecorder, connect, make_context, until
from tests.services.programs import reaped

WAIT = 'until [ -e "$FILE" ]; do sleep 0.02; done; '


def has_ended(*clients: Any) -> Callable[[], bool]:
    """Whether all of them have seen the end, as the loop of the first goes on."""

    def have() -> bool:
        clients[0].loop.settle()
        return all(client.saw_end for client in clients)

    return have


def cached(*command: str, **table: Any) -> Any:
    return make_context("exec", command=list(command), **{"cache": "5s", **table})


@pytest_twisted.ensureDeferred
async def test_who_comes_while_it_runs_or_soon_after_gets_what_one_run_printed(
    tmp_path: Path, log: LogRecorder
) -> None:
    file = tmp_path / "go"
    context = cached("sh", "-c", WAIT + "echo $$", environment={"FILE": str(file)})
    first, second = connect("exec", context), connect("exec", context)
    assert first.received == second.received == b""
    file.touch()
    await until(has_ended(first, second))
    assert first.received == second.received
    assert first.received.strip().isdigit()
    first.loop.advance(4.9)
    third = connect("exec", context)
    await until(has_ended(third))
    assert third.received == first.received
    first.loop.advance(0.2)
    fourth = connect("exec", context)
    await until(has_ended(fourth))
    assert fourth.received != first.received
    assert len(log.events("child-started")) == 2
    assert {str(event["peer"]) for event in log.events("child-started")} == {"many"}
    for client in (first, second, third, fourth):
        client.end()
    await context.shared.stop()


@pytest_twisted.ensureDeferred
async def test_it_has_no_input_and_knows_no_client() -> None:
    context = cached("sh", "-c", "cat; env", crlf=True, greeting="Hello {address}")
    client = connect("exec", context)
    client.send(b"what nobody reads")
    await until(has_ended(client))
    lines = client.received.decode().split("\r\n")
    assert lines[0] == "Hello 192.0.2.7"
    names = {line.partition("=")[0] for line in lines[1:] if line}
    assert names - {"TZ", "PWD", "_"} == {"PATH", "LANG", "SOCKD_SERVICE", "SOCKD_PROGRAM"}
    client.end()
    await context.shared.stop()


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_takes_nothing_from_the_others(tmp_path: Path) -> None:
    file = tmp_path / "go"
    context = cached("sh", "-c", WAIT + "echo hello", environment={"FILE": str(file)})
    first, second = connect("exec", context), connect("exec", context)
    first.vanish()
    file.touch()
    await until(has_ended(second))
    assert second.received == b"hello\n"
    second.end()
    await context.shared.stop()


@pytest.mark.parametrize("more", [0, 1])
@pytest_twisted.ensureDeferred
async def test_what_is_more_than_may_be_kept_is_told_and_not_sent(more: int) -> None:
    size = MOST_OUTPUT + more
    context = cached("head", "-c", str(size), "/dev/zero")
    client = connect("exec", context)
    await until(has_ended(client))
    told = b"error: the program printed more than 128k bytes\r\n"
    assert client.received == (told if more else bytes(size))
    client.end()
    await context.shared.stop()


@pytest_twisted.ensureDeferred
async def test_a_run_that_takes_too_long_is_ended_and_what_it_printed_is_sent(
    log: LogRecorder,
) -> None:
    context = cached("sh", "-c", "echo hello; exec sleep 600", max_time="3s", answer_timeout="1s")
    client = connect("exec", context)
    run: Any = context.shared.cache.run
    await until(lambda: bytes(run._output) == b"hello\n")
    client.loop.advance(2.9)
    assert not client.saw_end
    client.loop.advance(0.2)
    await until(has_ended(client))
    assert client.received == b"hello\n"
    assert await reaped(log) == ["signal SIGTERM"]
    client.end()
    [closed] = log.events("closed")
    assert closed["reason"].name == "max_time"
    await context.shared.stop()


@pytest_twisted.ensureDeferred
async def test_a_stop_ends_the_run_and_keeps_nothing(log: LogRecorder) -> None:
    context = cached("sleep", "600")
    client = connect("exec", context)
    await context.shared.stop()
    assert await reaped(log) == ["signal SIGKILL"]
    await until(has_ended(client))
    client.end()


def test_where_no_process_can_be_had_each_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    context = cached("cat")

    def no_process(*_: Any, **__: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawnp", no_process)
    for _ in range(2):
        client = connect("exec", context)
        assert client.received == b"error: busy (Resource temporarily unavailable)\r\n"
