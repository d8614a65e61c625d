"""Programs that get the connection itself, as inetd's nowait gives it."""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from sockd.config.document import ConfigError
from sockd.net.stream import DAEMON_STOPS
from sockd.testing.certificate import make_certificate
from sockd.testing.instances import make_settings
from sockd.testing.sockets import Connection, address_of, serve
from tests.helpers import LogRecorder, until
from tests.services.programs import LISTEN, output, reaped, running, session_of

PYTHON = sys.executable
READY = "echo ready; "
WITH_SOCKET: dict[str, Any] = {"socket": True}


@pytest_twisted.ensureDeferred
async def test_descriptors_0_to_2_are_the_connection_and_there_are_no_others() -> None:
    script = (
        "import os, socket, stat\n"
        "one = socket.socket(fileno=0)\n"
        "host, port = one.getpeername()\n"
        "same = {os.fstat(number).st_ino for number in (0, 1, 2)}\n"
        "names = sorted(os.listdir('/proc/self/fd'))[:3]\n"
        "print(host, port, len(same), os.get_blocking(0), one.type.name, names, flush=True)\n"
        "os.write(2, b'and the errors')\n"
    )
    command = [PYTHON, "-c", script]
    async with running(*command, **WITH_SOCKET, descriptors=64, memory="off") as (_, wire):
        _, port = wire.socket.getsockname()
        said = await deferToThread(wire.receive)
    expected = f"127.0.0.1 {port} 1 True SOCK_STREAM ['0', '1', '2']\nand the errors"
    assert said.decode() == expected


@pytest_twisted.ensureDeferred
async def test_all_bytes_go_both_ways_and_are_counted_at_the_end(log: LogRecorder) -> None:
    data = bytes(range(256)) * 4000
    async with running("wc", "-c", **WITH_SOCKET) as (_, wire):

        def ask() -> bytes:
            wire.send(data)
            wire.end()
            return wire.receive()

        assert await deferToThread(ask) == b"1024000\n"
        await until(lambda: log.events("closed"))
    [closed] = log.events("closed")
    assert (closed["bytes_in"], closed["bytes_out"]) == (len(data), len(b"1024000\n"))
    assert str(closed["reason"]) == "the program ended (exit 0)"


@pytest_twisted.ensureDeferred
async def test_while_it_goes_on_its_bytes_are_counted_too() -> None:
    async with running("cat", **WITH_SOCKET) as (instance, wire):
        wire.send(b"hello")
        assert await deferToThread(wire.receive, 5) == b"hello"
        session = await session_of(instance)
        session.sweep(session.context.clock.seconds())
        assert (session.bytes_in, session.bytes_out) == (5, 5)


@pytest_twisted.ensureDeferred
async def test_over_a_unix_socket_it_is_the_same(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'exec.sock'}"
    async with serve("exec", listen, command=["cat"], **WITH_SOCKET) as instance:
        with Connection(address_of(instance.listeners[0])) as wire:
            wire.send(b"hello")
            wire.end()
            assert await deferToThread(wire.receive) == b"hello"


@pytest.mark.parametrize("how", ["resets", "stops", "time"])
@pytest_twisted.ensureDeferred
async def test_the_program_ends_with_its_connection(how: str, log: LogRecorder) -> None:
    command = ["sh", "-c", READY + "exec sleep 1000"]
    async with running(*command, **WITH_SOCKET) as (instance, wire):
        assert await deferToThread(wire.receive, 6) == b"ready\n"
        session: Any = await session_of(instance)
        if how == "resets":
            wire.reset()
        elif how == "stops":
            session.stop(DAEMON_STOPS)
        else:
            session._time.reset(0)
        assert await reaped(log) == ["signal SIGTERM"]
        await until(lambda: not instance.context.guard.sessions)


@pytest_twisted.ensureDeferred
async def test_without_a_time_limit_a_program_has_none() -> None:
    async with running("cat", max_time="off", cpu="off", memory="off", file_size="off") as pair:
        instance, wire = pair
        session: Any = await session_of(instance)
        assert session._time is None
        wire.end()
        assert await deferToThread(wire.receive) == b""


@pytest_twisted.ensureDeferred
async def test_no_limit_is_what_the_daemon_has() -> None:
    script = "ulimit -t; ulimit -v; ulimit -f"
    off: dict[str, Any] = {"cpu": "off", "memory": "off", "file_size": "off"}
    limits = (await output("sh", "-c", script, **off)).split()
    assert all(limit == b"unlimited" or int(limit) >= 2**52 for limit in limits)


@pytest_twisted.ensureDeferred
async def test_a_silent_client_and_a_silent_program_have_their_whole_time() -> None:
    command = ["sh", "-c", "read line; echo $line"]
    table: dict[str, Any] = {"write_timeout": "1s", "answer_timeout": "1s", "idle_timeout": "1s"}
    async with running(*command, **WITH_SOCKET, **table) as (instance, wire):
        session: Any = await session_of(instance)
        for _ in range(3):
            session.sweep(session.context.clock.seconds() + 1000)
            session.sweep(session.context.clock.seconds() + 3000)
        wire.send(b"still here\n")
        assert await deferToThread(wire.receive) == b"still here\n"


LINGER = "one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))"


@pytest.mark.parametrize("more", ["", LINGER], ids=["leaves input unread", "and would linger"])
@pytest_twisted.ensureDeferred
async def test_a_close_waits_for_nobody_and_loses_nothing_that_is_on_its_way(more: str) -> None:
    """With unread bytes it resets a connection; where a socket is to linger it waits in the kernel,
    and with it all of the daemon."""
    script = f"import socket, struct; one = socket.socket(fileno=0); {more or 'pass'}"
    command = [PYTHON, "-c", f"{script}; one.recv(1); one.sendall(bytes(150_000))"]
    async with running(*command, **WITH_SOCKET, memory="off") as (instance, wire):
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        wire.send(bytes(1000))
        guard = instance.context.guard
        await until(lambda: guard.counts["children"] and not guard.sessions)
        # nothing was read before it was closed
        assert len(await deferToThread(wire.receive)) == 150_000


@pytest_twisted.ensureDeferred
async def test_where_no_process_can_be_had_the_client_is_told_over_the_same_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_process(*_: Any, **__: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "posix_spawnp", no_process)
    async with running("cat", **WITH_SOCKET) as (instance, wire):
        answer = await deferToThread(wire.receive)
        assert answer == b"error: busy (Resource temporarily unavailable)\r\n"
        assert not instance.context.shared.running


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"greeting": "Hello"}, "greeting: with `socket = true` the program alone speaks"),
        ({"crlf": True}, "crlf: with `socket = true` what the program says is not seen"),
        ({"cache": "1s"}, "cache: with `socket = true` each client has a program of its own"),
    ],
)
def test_what_does_not_go_with_it_is_a_mistake(table: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=f"^service.exec.{re.escape(why)}"):
        make_settings("exec", command=["cat"], socket=True, listen=[LISTEN], **table)


def test_where_the_daemon_stands_between_the_two_it_is_a_mistake(tmp_path: Path) -> None:
    certificate, key, *_ = make_certificate(tmp_path)
    tls = f"tls:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    proxied = f"haproxy:{LISTEN}:proxies=127.0.0.1/32"
    with pytest.raises(ConfigError) as caught:
        make_settings("exec", command=["cat"], socket=True, listen=[tls, proxied])
    assert [(one.key, one.message) for one in caught.value.mistakes] == [
        (
            "service.exec.listen[0]",
            "with `socket = true` the program has the socket, and speaks no TLS",
        ),
        (
            "service.exec.listen[1]",
            "with `socket = true` nothing can be read before the program: no haproxy",
        ),
    ]
