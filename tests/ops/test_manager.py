"""A daemon under a service manager: what it tells, in its order, and what it leaves there."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from sockd.ops.notify import TICKS, Notifier
from tests.daemons import FORBIDDEN, Daemon
from tests.listen.test_systemd import command
from tests.memory import REACTOR
from tests.ops.managing import Manager, manager
from tests.processes import PATIENCE, SOCKD, free_port, run, tcp_says, udp_says, unix_says

CONFIG = """
[service.echo]
listen = ["tcp:{port}:interface=127.0.0.1", "udp:{port}:interface=127.0.0.1"]
[service.wrap]
listen = ["unix:${{RUNTIME}}/wrap.sock"]
[service.localtime]
listen = ["unixgram:${{RUNTIME}}/localtime.sock"]
"""


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path) as found:
        yield found


@pytest.fixture
def config() -> str:
    return CONFIG.format(port=free_port())


def port_of(daemon: Daemon) -> int:
    return daemon.address("echo", "tcp")[1]


class Held(Daemon):
    """One whose socket files stay, for whoever has the sockets next."""

    def assert_clean(self) -> None:
        assert not any(word in self.text() for word in FORBIDDEN), self.text()

    def files(self) -> set[str]:
        """The socket files that are there."""
        return {file.name for file in self.runtime.iterdir() if file.is_socket()}


def started(folder: Path, config: str, told: Manager, **more: str) -> Daemon:
    """A daemon, as the manager starts it: with what it holds."""
    given = [(name, one) for name, many in told.store.items() for one in many]
    environment = {**told.environment, **more}
    environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in given)
    numbers = [number for _, number in given]
    prefix = command(given, [], "")
    kind = Held if "FDSTORE" in more else Daemon
    return kind(folder, config, prefix=prefix, environment=environment, pass_fds=numbers)


def command_of(daemon: Daemon, *words: str) -> tuple[int, str]:
    """A command to it, as `sockd reload`: its exit code, and what it says."""
    done = run(SOCKD, *words, "--control", str(daemon.runtime / "control.sock"))
    return done.returncode, done.stdout + done.stderr


def reload(daemon: Daemon) -> tuple[int, str]:
    return command_of(daemon, "reload")


def test_it_tells_that_it_is_ready_reloads_and_stops_in_this_order(
    told: Manager, tmp_path: Path, config: str
) -> None:
    with started(tmp_path, config, told) as daemon:
        ready = told.hear_until("READY")
        assert ready["STATUS"] == "serving 3 services"
        assert tcp_says(port_of(daemon), b"hi") == b"hi"
        assert told.hear_all() == []
        (tmp_path / "sockd.toml").write_text(config.partition("[service.local")[0], "utf-8")
        assert reload(daemon)[0] == 0
        # it has been said when the command has ended
        [begins, ready] = told.hear_all()
        assert begins["RELOADING"] == "1"
        assert int(begins["MONOTONIC_USEC"]) > 0
        assert ready == {"READY": "1", "STATUS": "serving 2 services"}
    assert [list(heard) for heard in told.hear_all()] == [["STOPPING", "STATUS"]]


def test_a_reload_that_fails_is_ready_again_and_its_status_says_why(
    told: Manager, tmp_path: Path, config: str
) -> None:
    with started(tmp_path, config, told) as daemon:
        told.hear_until("READY")
        (tmp_path / "sockd.toml").write_text(f"{config}\n[service.none]\n", "utf-8")
        assert reload(daemon)[0] == 1
        [begins, ready] = told.hear_all()
        assert begins["RELOADING"] == ready["READY"] == "1"
        assert ready["STATUS"].startswith("serving 3 services; the configuration stays as it was: ")
        assert "service.none" in ready["STATUS"]
        os.kill(daemon.pid, signal.SIGHUP)
        assert told.hear_until("READY")["STATUS"] == ready["STATUS"]


def test_a_daemon_that_cannot_start_is_never_ready(
    told: Manager, tmp_path: Path, config: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = started(tmp_path, CONFIG.format(port=port), told)
        with pytest.raises(AssertionError, match="did not start"):
            daemon.start()
    assert told.hear_all() == []


def test_a_running_daemon_gives_signs_of_life(told: Manager, tmp_path: Path, config: str) -> None:
    with started(tmp_path, config, told, WATCHDOG_USEC="200000"):
        for _ in range(3):
            told.hear_until("WATCHDOG")


@ensureDeferred
async def test_a_blocked_loop_misses_its_watchdog(told: Manager) -> None:
    """Each turn of the loop takes longer than the watchdog waits."""
    tells = Notifier(REACTOR, str(told.path), watchdog=0.1)
    over: Deferred[None] = Deferred()
    left = 5

    def block() -> None:
        nonlocal left
        end = REACTOR.seconds() + 3 * 0.1 / TICKS
        while REACTOR.seconds() < end:
            pass
        left -= 1
        REACTOR.callLater(0, block if left else over.callback, *([] if left else [None]))

    tells.ready("serving")
    block()
    await over
    assert [list(heard) for heard in told.hear_all()] == [["READY", "STATUS"]]
    while (heard := told.hear()) is None:  # a loop that comes round again is alive
        turn: Deferred[None] = Deferred()
        REACTOR.callLater(0, turn.callback, None)
        await turn
    assert heard == {"WATCHDOG": "1"}
    tells.close()


def test_killed_it_loses_nobody_who_comes_before_it_is_started_again(
    told: Manager, tmp_path: Path, config: str
) -> None:
    with started(tmp_path, config, told, FDSTORE="100") as first:
        told.hear_until("READY")
        port = port_of(first)
        first.kill()
    assert len(told.store) == 4
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as waits,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks,
    ):
        waits.sendall(b"stream")
        asks.settimeout(PATIENCE)
        asks.connect(("127.0.0.1", port))
        asks.send(b"datagram")
        with started(tmp_path, config, told, FDSTORE="100") as second:
            assert waits.recv(100) == b"stream"
            assert asks.recv(100) == b"datagram"
            assert unix_says(second.runtime / "wrap.sock", b"hi\n") == b"hi\r\n"
            told.hear_until("READY")
            assert len(told.store) == 4
            second.stop()
            # for who comes while it is restarted
            assert isinstance(second, Held)
            assert second.files() == {"wrap.sock", "localtime.sock"}


def test_what_a_reload_has_removed_is_let_go_of_by_the_manager_too(
    told: Manager, tmp_path: Path, config: str
) -> None:
    with started(tmp_path, config, told, FDSTORE="100") as daemon:
        told.hear_until("READY")
        port = port_of(daemon)
        (tmp_path / "sockd.toml").write_text("[service.wrap]\n", "utf-8")
        assert reload(daemon)[0] == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        told.hear_all()
        assert [name.split("/")[1] for name in told.store] == ["unix"]


def test_a_service_that_is_disabled_can_be_had_again_before_the_manager_has_heard_of_it(
    told: Manager, tmp_path: Path, config: str
) -> None:
    with started(tmp_path, config, told, FDSTORE="100") as daemon:
        told.hear_until("READY")
        port = port_of(daemon)
        before = len(told.messages)
        for again in (["enable", "echo"], ["reload"]):
            assert command_of(daemon, "disable", "echo")[0] == 0
            assert command_of(daemon, *again)[0] == 0
            assert tcp_says(port, b"hi") == b"hi"
            assert udp_says(port, b"datagram") == b"datagram"
        told.hear_all()
        assert len(told.store) == 4
        # each time it was told at once of two that went, and of two that came
        kinds = [next(iter(heard)) for heard in told.messages[before:]]
        wanted = [*["FDSTOREREMOVE"] * 2, *["FDSTORE"] * 2] * 2
        assert [kind for kind in kinds if kind in wanted] == wanted


def test_what_was_kept_and_is_not_wanted_any_more_is_let_go_of_at_the_start(
    told: Manager, tmp_path: Path, config: str
) -> None:
    with started(tmp_path, config, told, FDSTORE="100") as first:
        told.hear_until("READY")
        port = port_of(first)
        first.kill()
    with started(tmp_path, "[service.wrap]\n", told, FDSTORE="100") as second:
        told.hear_until("READY")
        assert [name.split("/")[1] for name in told.store] == ["unix"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert isinstance(second, Held)
        assert second.files() == {"control.sock", "wrap.sock"}
