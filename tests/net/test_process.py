"""The processes behind children: when they are reaped, and pipes that nobody can watch."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.process import ProcessReader, ProcessWriter

from sockd.net.process import has_ended
from tests.helpers import LogRecorder, connect, make_context, until
from tests.memory import REACTOR
from tests.net.children import Heard, is_alive, shell, start


def number(child: Heard, line: int = 0) -> int:
    """A process that a child has told of."""
    return int(child.output.split()[line])


@pytest_twisted.ensureDeferred
async def test_a_number_is_not_free_while_somebody_holds_the_output_of_who_had_it() -> None:
    """The program ends; what it started has left the session, and still speaks."""
    child = shell("setsid -f sh -c 'echo $$; exec sleep 1000'")
    pid = child.pid
    assert pid is not None
    await until(lambda: b"\n" in child.output and has_ended(pid))
    # children are reaped now, as after any SIGCHLD
    other = start("/bin/true")
    await until(lambda: other.status)
    assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    runaway = number(child)
    child.kill()
    await until(lambda: child.status and not is_alive(runaway))
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    assert child.status == "exit 0"


@pytest_twisted.ensureDeferred
async def test_a_group_that_outlives_its_leader_is_heard_and_then_ended() -> None:
    child = shell("(echo late; exec sleep 1000) & echo $!")
    await until(lambda: child.output.count(b"\n") == 2)
    [left] = [int(word) for word in child.output.split() if word != b"late"]
    assert is_alive(left)
    child.end()
    await until(lambda: child.status and not is_alive(left))


@pytest_twisted.ensureDeferred
async def test_a_group_is_ended_though_its_leader_left_with_the_output() -> None:
    child = shell("sleep 1000 <&- >&- 2>&- & echo $!")
    await until(lambda: child.status)
    await until(lambda: not is_alive(number(child)))


@pytest_twisted.ensureDeferred
async def test_a_child_that_ended_before_it_could_be_waited_for_is_not_signalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twisted reaps it at its start then, and its number is anybody's from there on."""
    spawn = os.posix_spawnp

    def spawn_late(*args: Any, **options: Any) -> int:
        pid = spawn(*args, **options)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return pid

    monkeypatch.setattr(os, "posix_spawnp", spawn_late)
    child = shell("setsid -f sh -c 'echo $$; exec sleep 1000'")
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _: signalled.append(pid))
    await until(lambda: b"\n" in child.output)
    child.end()
    child.kill()
    await until(lambda: child.status and not is_alive(number(child)))
    assert signalled == []
    monkeypatch.undo()


# pipes that nobody can watch


class Full:
    """The reactor, from some descriptor on without room to watch one more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        for name in ("addReader", "addWriter"):
            monkeypatch.setattr(REACTOR, name, self._unless_full(getattr(REACTOR, name)))

    def _unless_full(self, watch: Callable[[Any], None]) -> Callable[[Any], None]:
        def add(what: Any) -> None:
            if isinstance(what, ProcessReader | ProcessWriter):
                if self.room <= 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                self.room -= 1
            watch(what)

        return add


def pipes() -> int:
    """Descriptors that are pipes."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += str(link.readlink()).startswith("pipe:")
        except FileNotFoundError:  # the one that lists them
            continue
    return found


@pytest.mark.parametrize("room", [0, 1, 2])
@pytest_twisted.ensureDeferred
async def test_where_a_pipe_cannot_be_watched_no_child_and_no_descriptor_is_left(
    room: int, monkeypatch: pytest.MonkeyPatch, log: LogRecorder
) -> None:
    before = pipes()
    Full(monkeypatch, room)
    with pytest.raises(OSError, match="No space left"):
        shell("exec sleep 1000")
    await until(lambda: log.events("child-reaped"))
    assert [one["status"] for one in log.events("child-reaped")] == ["signal SIGKILL"]
    await until(lambda: pipes() == before)


@pytest_twisted.ensureDeferred
async def test_a_client_whose_program_s_pipe_cannot_be_watched_is_told_that_we_are_busy(
    monkeypatch: pytest.MonkeyPatch, log: LogRecorder
) -> None:
    Full(monkeypatch, 1)
    context = make_context("exec", command=["cat"])
    client = connect("exec", context)
    assert client.received == b"error: busy (No space left on device)\r\n"
    assert not context.shared.running
    await until(lambda: log.events("child-reaped"))


@pytest_twisted.ensureDeferred
async def test_a_number_whose_worker_s_pipe_cannot_be_watched_is_told_that_we_are_busy(
    monkeypatch: pytest.MonkeyPatch, log: LogRecorder
) -> None:
    Full(monkeypatch, 2)
    client = connect("factor", make_context("factor"))
    client.send(b"147573952589676412927\n")
    assert client.received == b"error: busy\r\n"
    await until(lambda: log.events("child-reaped"))


@pytest_twisted.ensureDeferred
async def test_a_program_whose_pipe_is_refused_later_is_ended_and_its_client_told(
    monkeypatch: pytest.MonkeyPatch, log: LogRecorder
) -> None:
    full = Full(monkeypatch, 1000)
    context = make_context("exec", command=["cat"])
    client = connect("exec", context)
    full.room = 0
    client.send(b"this needs the pipe to be watched for room")
    await until(lambda: log.events("child-reaped"))
    client.loop.settle()
    assert client.received == b"error: busy (No space left on device)\r\n"
    assert [one["status"] for one in log.events("child-reaped")] == [
        f"signal {signal.SIGKILL.name}"
    ]
