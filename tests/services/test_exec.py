"""Programs run for connections: real ones, behind a real listener on the running reactor."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from sockd.net import child, program
from sockd.testing.sockets import Connection, address_of, serve
from tests.helpers import LogRecorder, connect, held_by, make_context, until
from tests.processes import is_gone
from tests.services.programs import LISTEN, fill_up, output, reaped, rests, running, session_of

MOST_HELD = 256 * 1024
"""Bytes that a peer may have the daemon hold."""
WAIT = 'until [ -e "$FILE" ]; do sleep 0.02; done; '
"""A shell's way to wait until the test makes a file."""

# what a program gets, and what a client


@pytest_twisted.ensureDeferred
async def test_what_the_client_sends_is_the_input_and_the_output_is_what_it_gets() -> None:
    data = bytes(range(256)) * 4000
    assert await output("cat", data=data) == data
    assert await output("sh", "-c", "wc -c; echo end", data=data) == b"1024000\nend\n"


@pytest_twisted.ensureDeferred
async def test_the_environment_has_the_peer_and_the_service_and_nothing_of_the_daemon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "of the daemon")
    monkeypatch.setenv("TZ", "UTC")
    async with running("env", environment={"COLOUR": "blue"}) as (_, wire):
        _, port = wire.socket.getsockname()
        text = await deferToThread(wire.receive)
    names = dict(line.split("=", 1) for line in text.decode().splitlines())
    assert names.pop("SOCKD_PROGRAM").startswith(f"{os.getpid()}.")
    assert names == {
        "PATH": program.PATH,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "SOCKD_SERVICE": "exec",
        "COLOUR": "blue",
    }


@pytest_twisted.ensureDeferred
async def test_a_program_leads_its_own_session_and_has_descriptors_0_to_2_only() -> None:
    script = "echo $$; cut -d' ' -f1,5,6,7 /proc/$$/stat; ls /proc/$$/fd; pwd"
    pid, stat, *rest = (await output("sh", "-c", script)).decode().splitlines()
    # process, group, session, no terminal (proc(5))
    assert stat == f"{pid} {pid} {pid} 0"
    assert rest == ["0", "1", "2", "/"]


@pytest_twisted.ensureDeferred
async def test_a_program_has_the_user_and_the_group_that_are_named() -> None:
    script = "id -un; id -Gn"
    assert await output("sh", "-c", script, user="nobody") == b"nobody\nnogroup\n"
    assert await output("sh", "-c", script, user="nobody", group="tty") == b"nobody\ntty\n"


@pytest_twisted.ensureDeferred
async def test_line_ends_become_crlf_where_that_is_asked_for() -> None:
    printed = r"one\ntwo\r\n\nend\r"
    assert await output("printf", printed) == b"one\ntwo\r\n\nend\r"
    assert await output("printf", printed, crlf=True) == b"one\r\ntwo\r\n\r\nend\r"


@pytest_twisted.ensureDeferred
async def test_the_greeting_comes_before_the_output_and_nothing_sent_early_is_lost() -> None:
    answer = await output("cat", data=b"early\n", greeting="Hello {name}", crlf=True)
    assert answer == b"Hello localhost\r\nearly\r\n"


@pytest_twisted.ensureDeferred
async def test_what_a_program_says_on_standard_error_goes_to_the_log(log: LogRecorder) -> None:
    assert await output("sh", "-c", "echo out; echo trouble >&2; exit 3") == b"out\n"
    [said] = log.events("child-said")
    assert (said["service"], said["text"]) == ("exec", "trouble")
    assert await output("sh", "-c", "yes | head -c 1000000 >&2") == b""
    assert len(log.events("child-said")[1]["text"]) <= child.SAID_BYTES


@pytest_twisted.ensureDeferred
async def test_start_and_end_of_a_program_are_events_and_nothing_is_left_of_it(
    log: LogRecorder,
) -> None:
    async with serve("exec", LISTEN, command=["sh", "-c", "exit 3"]) as instance:
        for _ in range(20):
            with Connection(address_of(instance.listeners[0])) as wire:
                assert await deferToThread(wire.receive) == b""
    assert await reaped(log, 20) == ["exit 3"] * 20
    started = [event["pid"] for event in log.events("child-started")]
    assert started == [event["pid"] for event in log.events("child-reaped")]
    assert log.events("child-started")[0]["program"].endswith("/sh")
    assert {str(event["reason"]) for event in log.events("closed")} == {
        "the program ended (exit 3)"
    }


# the end


@pytest.mark.parametrize(
    ("trap", "status"),
    [("-", "signal SIGTERM"), ("'exit 4'", "exit 4"), ("''", "signal SIGKILL")],
    ids=["has no mind of its own", "tidies up", "ignores the polite signal"],
)
@pytest_twisted.ensureDeferred
async def test_when_the_client_leaves_its_program_ends_whether_it_wants_or_not(
    trap: str, status: str, log: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "KILL_SECONDS", 0.3 if trap == "''" else 20.0)
    script = f"exec 2>/dev/null; trap {trap} TERM; echo ready; while :; do sleep 0.02; done"
    async with running("sh", "-c", script) as (instance, wire):
        assert await deferToThread(wire.receive, 6) == b"ready\n"
        wire.reset()
        assert await reaped(log) == [status]
        assert not instance.context.shared.running


GRANDCHILDREN = {
    "is polite": "sleep 600 & echo $!; wait",
    "ignores the polite signal": "(trap '' TERM; exec sleep 600) & echo $!; wait",
    "has outlived its parent": "sleep 600 & echo $!",
    "has let go of the connection": "sleep 600 </dev/null >/dev/null 2>&1 & echo $!; wait",
    "is all that is left": "(trap '' TERM; exec sleep 600 </dev/null >/dev/null 2>&1) & echo $!",
}


@pytest.mark.parametrize("script", GRANDCHILDREN.values(), ids=GRANDCHILDREN)
@pytest_twisted.ensureDeferred
async def test_when_the_client_leaves_what_its_program_has_started_ends_too(
    script: str, log: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "KILL_SECONDS", 0.3)
    async with running("sh", "-c", script) as (_, wire):
        grandchild = int(await deferToThread(wire.receive_some, 100))
        wire.reset()
        assert await deferToThread(is_gone, grandchild)
        await reaped(log)


@pytest_twisted.ensureDeferred
async def test_what_has_left_its_group_and_holds_the_pipes_is_not_waited_for(
    log: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "KILL_SECONDS", 0.1)
    script = "exec 3<&0; setsid sleep 600 <&3 & echo $!; wait"
    async with running("sh", "-c", script) as (instance, wire):
        session = await session_of(instance)
        stranger = int(await deferToThread(wire.receive_some, 100))
        try:
            # it has come to a session of its own
            await until(lambda: os.getsid(stranger) == stranger)
            wire.send(bytes(512 * 1024))  # more than the pipe holds: the rest waits to be written
            client: Any = session._child
            await until(lambda: held_by(client.process.pipes[0]))
            end_of_time: Any = session._time
            end_of_time.reset(0)  # its time is over now
            await reaped(log)
            assert not instance.context.shared.running
        finally:
            os.kill(stranger, signal.SIGKILL)


@pytest_twisted.ensureDeferred
async def test_when_the_daemon_stops_no_program_goes_on(log: LogRecorder) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.02; done"
    async with running("sh", "-c", script) as (_, wire):
        assert await deferToThread(wire.receive, 6) == b"ready\n"
    assert await reaped(log) == ["signal SIGKILL"]


# limits


@pytest_twisted.ensureDeferred
async def test_one_program_more_than_may_run_is_told_that_it_is_busy() -> None:
    async with running("cat", max_children=1) as (instance, first):
        await session_of(instance)
        with Connection(address_of(instance.listeners[0])) as second:
            assert await deferToThread(second.receive) == b"error: busy\r\n"
        first.socket.close()
        await until(lambda: not instance.context.shared.running)
        with Connection(address_of(instance.listeners[0])) as third:
            third.send(b"hello")
            third.end()
            assert await deferToThread(third.receive) == b"hello"


@pytest_twisted.ensureDeferred
async def test_programs_that_wait_for_their_greetings_count_as_well() -> None:
    greeting = {"greeting": "Hello {name}"}
    async with serve("exec", LISTEN, command=["cat"], max_children=2, **greeting) as instance:
        # all of them are let in before any of the names is known
        wires = [Connection(address_of(instance.listeners[0])) for _ in range(5)]
        answers = [await deferToThread(wire.receive, 13) for wire in wires]
        assert sorted(answers) == [b"Hello localho"] * 2 + [b"error: busy\r\n"] * 3
        assert len(instance.context.shared.running) == 2
        for wire in wires:
            wire.socket.close()
        await until(lambda: not instance.context.guard.sessions)


@pytest_twisted.ensureDeferred
async def test_a_program_that_runs_too_long_is_ended(log: LogRecorder) -> None:
    command = ["sh", "-c", "echo hello; exec sleep 600"]
    client = connect("exec", make_context("exec", command=command, max_time="300ms"))

    def has_spoken() -> bool:
        client.loop.settle()
        return client.received == b"hello\n"

    await until(has_spoken)
    ends = []
    for seconds in (0.29, 0.01):
        client.loop.advance(seconds)
        ends.append(client.saw_end)
    assert ends == [False, True]
    client.end()
    assert client.received == b"hello\n"
    assert await reaped(log) == ["signal SIGTERM"]
    [closed] = log.events("closed")
    assert str(closed["reason"]) == "max_time"


@pytest_twisted.ensureDeferred
async def test_a_program_has_limits_on_what_it_may_use() -> None:
    script = "ulimit -t; ulimit -v; ulimit -c; ulimit -n; ulimit -f; ulimit -p"
    more: dict[str, Any] = {"descriptors": 99, "file_size": "1m", "processes": 77}
    limits = await output("sh", "-c", script, cpu="7s", memory="64m", **more)
    # of memory and processor time in kB and seconds, of files in blocks of 512 bytes (dash(1))
    assert limits.split() == [b"7", b"65536", b"0", b"99", b"2048", b"77"]


@pytest_twisted.ensureDeferred
async def test_what_a_program_may_use_where_nothing_is_said() -> None:
    script = "ulimit -t; ulimit -v; ulimit -n; ulimit -f; ulimit -p"
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    limits = await output("sh", "-c", script)
    assert limits.split()[:4] == [b"10", b"262144", b"256", b"131072"]
    assert limits.split()[4] in (b"unlimited", b"%d" % processes)


@pytest_twisted.ensureDeferred
async def test_a_program_that_takes_too_much_is_stopped_by_the_kernel(log: LogRecorder) -> None:
    assert await output("sh", "-c", "while :; do :; done", cpu="1s") == b""
    assert await output("tail", "/dev/zero", memory="64m") == b""
    first, second = await reaped(log, 2)
    assert first in ("signal SIGXCPU", "signal SIGKILL")
    assert second == "exit 1"


# back-pressure


@pytest_twisted.ensureDeferred
async def test_a_program_waits_for_a_client_that_does_not_read() -> None:
    async with running("yes") as (instance, wire):
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        session = await session_of(instance)
        await until(rests(lambda: session.bytes_out if session.is_blocked else -1))
        assert 0 < held_by(session.transport) <= MOST_HELD
        wanted = session.bytes_out + 1_000_000
        assert await deferToThread(wire.receive, wanted) == (b"y\n" * wanted)[:wanted]
        wire.reset()


@pytest_twisted.ensureDeferred
async def test_a_client_waits_for_a_program_that_does_not_read(tmp_path: Path) -> None:
    file = tmp_path / "go"
    script = WAIT + "wc -c"
    async with running("sh", "-c", script, environment={"FILE": str(file)}) as (instance, wire):
        session = await session_of(instance)
        sent = await fill_up(wire, session)
        assert session.bytes_in <= MOST_HELD < sent
        file.touch()
        wire.end()
        assert await deferToThread(wire.receive) == b"%d\n" % sent


@pytest_twisted.ensureDeferred
async def test_what_a_program_has_not_read_is_dropped_when_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "go"
    script = WAIT + "echo hello"
    async with running("sh", "-c", script, environment={"FILE": str(file)}) as (instance, wire):
        session = await session_of(instance)
        await fill_up(wire, session)
        before = session.bytes_in
        file.touch()
        # a client that has not been read from for a while is read from again, to its end
        await until(lambda: session.bytes_in > before)
        assert await deferToThread(wire.receive) == b"hello\n"


@pytest_twisted.ensureDeferred
async def test_a_program_may_close_its_input_and_go_on(tmp_path: Path) -> None:
    file = tmp_path / "go"
    script = "exec <&-; echo closed; " + WAIT + "echo hello"
    async with running("sh", "-c", script, environment={"FILE": str(file)}) as (instance, wire):
        session = await session_of(instance)
        assert await deferToThread(wire.receive, 7) == b"closed\n"
        process: Any = session._child
        await until(lambda: 0 not in process.process.pipes)
        wire.send(b"nobody reads this")
        wire.end()
        await until(lambda: session.peer_finished)
        file.touch()
        assert await deferToThread(wire.receive) == b"hello\n"
        assert instance.context.guard.counts["errors"] == 0


# no process


def test_where_no_process_can_be_had_the_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context("exec", command=["cat"])

    def no_process(*_: Any, **__: Any) -> Callable[[], None]:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawnp", no_process)
    client = connect("exec", context)
    assert client.received == b"error: busy (Resource temporarily unavailable)\r\n"
    assert not context.shared.running
