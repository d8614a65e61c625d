"""Child processes: what they start with, how they end, and that nothing of them stays."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
import pytest_twisted

from sockd.net import program as program_module
from sockd.net.child import KILL_SECONDS, SAID_BYTES
from tests.helpers import LogRecorder, until
from tests.net.children import is_alive, run, shell, start


@pytest_twisted.ensureDeferred
async def test_a_child_starts_with_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the daemon")
    monkeypatch.setenv("TZ", "Europe/Warsaw")
    child = await run("env", environment={"MORE": "than that"})
    variables = dict(line.partition("=")[::2] for line in child.output.decode().splitlines())
    assert {"SECRET"}.isdisjoint(variables)
    assert variables["MORE"] == "than that"
    assert variables["TZ"] == "Europe/Warsaw"
    assert variables["LANG"] == "C.UTF-8"
    assert "/usr/bin" in variables["PATH"]
    known = {"MORE", "TZ", "LANG", "PATH", "SOCKD_PROGRAM", "PWD", "SHLVL", "_", "OLDPWD"}
    assert set(variables) <= known


@pytest.fixture
def inheritable() -> Iterator[list[int]]:
    """Descriptors that a careless start would hand to a child."""
    pipe = os.pipe()
    for number in pipe:
        os.set_inheritable(number, True)
    yield list(pipe)
    for number in pipe:
        os.close(number)


@pytest_twisted.ensureDeferred
async def test_a_child_has_descriptors_0_to_2_only(inheritable: list[int]) -> None:
    numbers = " ".join(map(str, range(256)))
    child = await run(f"for n in {numbers}; do [ -e /proc/$$/fd/$n ] && echo $n; done; true")
    assert child.output.split() == [b"0", b"1", b"2"]
    assert max(inheritable) < 256


@pytest_twisted.ensureDeferred
async def test_a_child_leads_a_session_of_its_own() -> None:
    child = await run("echo $$; cut -d' ' -f5,6 /proc/$$/stat")
    pid, group, session = child.output.split()
    assert pid == group == session
    assert int(session) != os.getsid(0)


@pytest.mark.parametrize("folder", ["/", "/tmp"])
@pytest_twisted.ensureDeferred
async def test_a_child_starts_in_the_root_folder_wherever_the_daemon_is(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert (await run("pwd")).output == b"/\n"


@pytest.mark.parametrize(
    ("script", "status"),
    [("true", "exit 0"), ("exit 3", "exit 3"), ("kill -9 $$", "signal SIGKILL")],
)
@pytest_twisted.ensureDeferred
async def test_how_a_child_ended_is_told(script: str, status: str, log: LogRecorder) -> None:
    child = await run(script)
    assert child.status == status
    [started], [reaped] = log.events("child-started"), log.events("child-reaped")
    assert started["program"] == "/bin/sh"
    assert started["pid"] == reaped["pid"]
    assert reaped["status"] == status
    assert str(reaped["peer"]) == "192.0.2.7:50007"


@pytest_twisted.ensureDeferred
async def test_a_program_that_is_not_there_ends_as_in_a_shell() -> None:
    child = start("/no/such/program")
    await until(lambda: child.status)
    assert child.status == "exit 127"


def test_a_host_without_the_tools_for_limits_runs_no_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program_module, "PATH", "/no/such/folder")
    with pytest.raises(FileNotFoundError, match="there is no env on this host"):
        shell("true")


@pytest_twisted.ensureDeferred
async def test_what_a_child_says_on_standard_error_is_logged_within_bounds(
    log: LogRecorder,
) -> None:
    await run("echo oops >&2; head -c 1000000 /dev/zero | tr '\\0' x >&2")
    [said] = log.events("child-said")
    assert said["text"].startswith("oops\nxxx")
    assert len(said["text"]) <= SAID_BYTES


@pytest_twisted.ensureDeferred
async def test_a_child_has_no_more_memory_than_it_may() -> None:
    script = "try: bytearray(1 << 30)\nexcept MemoryError: raise SystemExit(5)"
    greedy = start(sys.executable, "-S", "-c", script, memory_bytes=200 << 20)
    await until(lambda: greedy.status)
    assert greedy.status == "exit 5"


@pytest_twisted.ensureDeferred
async def test_a_child_has_no_more_processor_time_than_it_may() -> None:
    child = await run("while :; do :; done", cpu_seconds=1)
    assert child.status in ("signal SIGKILL", "signal SIGXCPU")


# ending


@pytest_twisted.ensureDeferred
async def test_a_child_is_asked_to_end_first() -> None:
    child = shell("exec 2>/dev/null; trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    await until(lambda: child.output)
    child.end()
    await until(lambda: child.status)
    assert child.status == "exit 7"
    assert child.context.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_child_that_ignores_the_request_is_killed_after_five_seconds() -> None:
    child = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    await until(lambda: child.output)
    child.end()
    child.end()
    child.context.clock.advance(KILL_SECONDS - 0.01)
    assert child.is_running
    child.context.clock.advance(0.01)
    await until(lambda: child.status)
    assert child.status == "signal SIGKILL"
    assert child.context.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_what_a_child_has_started_ends_with_it() -> None:
    child = shell("sleep 1000 & echo $!; wait")
    await until(lambda: b"\n" in child.output)
    grandchild = int(child.output)
    assert is_alive(grandchild)
    child.end()
    await until(lambda: child.status and not is_alive(grandchild))


@pytest_twisted.ensureDeferred
async def test_a_child_that_has_ended_is_not_signalled_again() -> None:
    child = await run("true")
    child.end()
    child.kill()
    assert child.context.clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_many_children_leave_no_zombie() -> None:
    for _ in range(5):
        children = [start("/bin/true") for _ in range(20)]
        await until(lambda children=children: all(one.status for one in children))  # type: ignore[misc]
        assert {one.status for one in children} == {"exit 0"}
