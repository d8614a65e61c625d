"""What runs can be changed: as little as there need be, all of it or nothing."""

from __future__ import annotations

import errno
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from sockd.daemon.daemon import StartError
from sockd.daemon.plan import plan
from sockd.testing.sockets import Connection, TLSConnection, address_of
from tests.daemon.running import (
    ALSO_SAYS,
    LOOPBACK,
    apply,
    aside,
    daemon_of,
    heard,
    inodes,
    listeners,
    said_at,
    says,
    settings,
)
from tests.helpers import LogRecorder, until
from tests.net.test_listener import Full, taken
from tests.processes import free_port


def guard_of(daemon: Any, number: int = 0) -> Any:
    return daemon.instances[number][1].guard


@ensureDeferred
async def test_new_limits_hold_at_once_and_sockets_counters_and_sessions_stay() -> None:
    text = f"tcp:0:{LOOPBACK}"
    async with daemon_of(says(text)) as daemon:
        [listener] = listeners(daemon)
        before, descriptor = inodes(daemon), listener.port.fileno()
        with await aside(Connection, address_of(listener)) as wire:
            assert await heard(wire) == b"one"
            guard = guard_of(daemon)
            [session] = guard.sessions
            apply(daemon, says(text, max_connections=1, idle_timeout="5s"))
            assert listeners(daemon) == [listener]
            assert (inodes(daemon), listener.port.fileno()) == (before, descriptor)
            assert guard_of(daemon) is guard
            assert guard.sessions == (session,)
            assert guard.counts["connections"] == 1
            assert session.context.limits.idle_timeout == 5
            assert await heard(wire) == b"one"
            assert await said_at(listener) == b""
            assert guard.counts["refused"] == 1


@ensureDeferred
async def test_addresses_come_and_go_and_a_connection_outlives_its_address() -> None:
    first, second, third = (f"tcp:{free_port()}:{LOOPBACK}" for _ in range(3))
    async with daemon_of(says(first, second)) as daemon:
        gone, stays = listeners(daemon)
        with await aside(Connection, address_of(gone)) as wire:
            assert await heard(wire) == b"one"
            apply(daemon, says(second, third))
            assert listeners(daemon)[0] is stays
            assert [listener.listen.text for listener in listeners(daemon)] == [second, third]
            assert [await said_at(listener) for listener in listeners(daemon)] == [b"one"] * 2
            assert await heard(wire) == b"one"
        assert not gone.is_listening
        with socket.socket() as sock:
            assert sock.connect_ex(address_of(gone)) == errno.ECONNREFUSED


@ensureDeferred
async def test_a_connection_keeps_its_options_and_new_ones_get_the_new() -> None:
    text = f"tcp:0:{LOOPBACK}"
    async with daemon_of(says(text)) as daemon:
        [listener] = listeners(daemon)
        old = daemon.instances[0][1].context.shared
        with await aside(Connection, address_of(listener)) as wire:
            assert await heard(wire) == b"one"
            apply(daemon, says(text, word="two"))
            assert await said_at(listener) == b"two"
            assert await heard(wire) == b"one"
            assert not old.has_stopped
        await until(lambda: old.has_stopped)
        assert await said_at(listener) == b"two"


@ensureDeferred
async def test_datagrams_get_the_new_options_by_the_same_socket() -> None:
    text = f"udp:0:{LOOPBACK}"
    async with daemon_of(says(text)) as daemon:
        [listener] = listeners(daemon)
        before = inodes(daemon)

        def ask() -> bytes:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(5)
                sock.sendto(b"?", address_of(listener))
                return sock.recv(100)

        assert await aside(ask) == b"one"
        apply(daemon, says(text, word="two", receive_buffer="64k"))
        assert await aside(ask) == b"two"
        assert inodes(daemon) == before
        assert len(daemon.world.state.udp_ports) == 1


@ensureDeferred
async def test_one_thing_that_cannot_be_had_leaves_all_as_it_was(tmp_path: Path) -> None:
    text, new = f"tcp:0:{LOOPBACK}", free_port()
    with taken() as sock:
        held = f"tcp:{sock.getsockname()[1]}:{LOOPBACK}"
        async with daemon_of(says(text)) as daemon:
            before = inodes(daemon)
            wanted = (
                says(text, f"unix:{tmp_path}/file", f"udp:0:{LOOPBACK}", word="two"),
                says(held, name="second"),
                says(f"tcp:{new}:{LOOPBACK}", name="third", broken=True),
            )
            with pytest.raises(StartError) as caught:
                apply(daemon, *wanted)
            lines = str(caught.value).splitlines()
            assert lines[0].startswith("second: cannot listen on tcp 127.0.0.1:")
            assert "address in use" in lines[0]
            assert lines[1:] == ["third: it is broken"]
            assert inodes(daemon) == before
            assert [await said_at(listener) for listener in listeners(daemon)] == [b"one"]
            assert list(tmp_path.iterdir()) == []
            assert not daemon.world.state.udp_ports
            assert daemon.settings == settings(says(text))


@ensureDeferred
async def test_descriptors_that_run_out_at_the_last_moment_leave_all_as_it_was(
    tmp_path: Path,
) -> None:
    full = Full()
    full.is_full = False
    text = f"tcp:0:{LOOPBACK}"
    async with daemon_of(says(text), reactor=full) as daemon:
        full.is_full = True
        wanted = (says(text, f"unixgram:{tmp_path}/file", f"udp:0:{LOOPBACK}"),)
        with pytest.raises(StartError, match="Too many open files"):
            apply(daemon, *wanted)
        full.is_full = False
        assert [await said_at(listeners(daemon)[0])] == [b"one"]
        assert list(tmp_path.iterdir()) == []
        apply(daemon, *wanted)
        assert len(listeners(daemon)) == 3


@ensureDeferred
async def test_an_address_moves_between_instances_and_its_socket_with_it(tmp_path: Path) -> None:
    texts = [
        f"tcp:{free_port()}:{LOOPBACK}",
        f"unix:{tmp_path}/file",
        f"udp:{free_port()}:{LOOPBACK}",
    ]
    stays = f"tcp:0:{LOOPBACK}"
    async with daemon_of(says(*texts, stays), says(stays, name="second", word="two")) as daemon:
        before = inodes(daemon)
        [moving, *_] = listeners(daemon)
        file = (tmp_path / "file").stat().st_ino
        with await aside(Connection, address_of(moving)) as wire:
            assert await heard(wire) == b"one"
            apply(daemon, says(stays), says(stays, *texts, name="second", word="two"))
            assert inodes(daemon) == [before[3], before[4], *before[:3]]
            assert [await said_at(listener) for listener in listeners(daemon)[:4]] == [
                *(b"one", b"two", b"two", b"two")
            ]
            assert await heard(wire) == b"one"
        assert (tmp_path / "file").stat().st_ino == file
        assert set(daemon.world.state.udp_ports.values()) == {1}
    assert list(tmp_path.iterdir()) == []


@ensureDeferred
async def test_an_instance_of_another_kind_takes_over_and_the_old_ones_connections_end(
    log: LogRecorder,
) -> None:
    text = f"tcp:{free_port()}:{LOOPBACK}"
    async with daemon_of(says(text)) as daemon:
        before = inodes(daemon)
        old = daemon.instances[0][1]
        with await aside(Connection, address_of(listeners(daemon)[0])) as wire:
            assert await heard(wire) == b"one"
            apply(daemon, says(text, kind=ALSO_SAYS, word="two"))
            assert await heard(wire) == b""
            assert inodes(daemon) == before
            assert await said_at(listeners(daemon)[0]) == b"two"
        await until(lambda: old.context.shared.has_stopped)
        assert daemon.instances[0][1] is not old
        assert log.events("closed")[0]["reason"].name == "service_removed"


@ensureDeferred
async def test_a_change_of_terms_leaves_the_socket_bound(
    tmp_path: Path, tls_files: tuple[Path, Path, Path]
) -> None:
    certificate, key, _ = tls_files
    port = free_port()
    files = f"privateKey={key}:certKey={certificate}"
    plain = (f"tcp:{port}:{LOOPBACK}", f"unix:{tmp_path}/file")
    secure = (f"tls:{port}:{files}:{LOOPBACK}:backlog=7", f"unix:{tmp_path}/file:mode=600")
    async with daemon_of(says(*plain)) as daemon:
        before = inodes(daemon)
        tcp, _ = listeners(daemon)
        with await aside(Connection, address_of(tcp)) as wire:
            apply(daemon, says(*secure))
            assert inodes(daemon) == before
            assert tcp.entrance.transport == "tls"
            assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
            with await aside(TLSConnection, address_of(tcp)) as secured:
                assert await heard(secured) == b"one"
            assert await heard(wire) == b"one"
        apply(daemon, says(*plain))
        assert await said_at(tcp) == b"one"
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o660
        proxied = (f"haproxy:{plain[0]}:proxies=10.0.0.0/8", plain[1])
        apply(daemon, says(*proxied))
        assert await said_at(tcp) == b""
        gone = tmp_path / "key"
        gone.write_bytes(key.read_bytes())
        wanted = says(secure[0].replace(str(key), str(gone)), plain[1])
        gone.unlink()
        with pytest.raises(StartError, match=f": {gone}: No such file or directory$"):
            apply(daemon, wanted)
        assert inodes(daemon) == before


@ensureDeferred
async def test_a_wildcard_and_an_address_change_places_on_one_port() -> None:
    port = free_port()
    texts = [f"tcp:{port}:{LOOPBACK}", f"udp:{port}:{LOOPBACK}"]
    wide = [f"tcp:{port}", f"udp:{port}"]
    async with daemon_of(says(*texts)) as daemon:
        for wanted in (wide, texts, wide):
            apply(daemon, says(*wanted))
            hosts = [listener.port.socket.getsockname()[0] for listener in listeners(daemon)]
            assert hosts == (["0.0.0.0"] * 2 if wanted is wide else ["127.0.0.1"] * 2)
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.settimeout(5)
                await aside(sock.sendall, b"?")
                assert await aside(sock.recv, 100) == b"one\n"


@ensureDeferred
async def test_an_instance_that_goes_waits_for_its_connections_and_then_cuts_them_off(
    log: LogRecorder,
) -> None:
    text = f"tcp:0:{LOOPBACK}"
    reactor = Full()
    reactor.is_full = False
    async with daemon_of(says(text, drain="7s"), reactor=reactor) as daemon:
        old = daemon.instances[0][1]
        with await aside(Connection, address_of(listeners(daemon)[0])) as wire:
            assert await heard(wire) == b"one"
            # what it said is not taken, so the connection does not end by itself
            session: Any = old.guard.sessions[0]
            session.transport.loseConnection = lambda: None
            apply(daemon, says(text, name="second"))
            reactor.clock.advance(6.9)
            assert len(old.guard.sessions) == 1
            reactor.clock.advance(0.2)
            await until(lambda: not old.guard.sessions)
            assert old.context.shared.has_stopped
        assert [event["service"] for event in log.events("closed")] == ["says"]
        assert [one.name for one, _ in daemon.instances] == ["second"]


@ensureDeferred
async def test_what_needs_a_restart_is_told_and_what_is_written_otherwise_is_seen() -> None:
    text, other = f"tcp:0:{LOOPBACK}", "tcp:port=0:interface=127.0.0.1"
    async with daemon_of(says(text)) as daemon:
        before = inodes(daemon)
        apply(daemon, says(other), certificate_check=99.0)
        assert inodes(daemon) == before
        assert listeners(daemon)[0].listen.text == other
        assert daemon.world.certificate_check == 99
        assert plan(daemon.settings, daemon.settings).restart == ()
