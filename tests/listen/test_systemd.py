"""A service manager hands sockets over; `systemd:` takes them by name or by number."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.processes import (
    PATIENCE,
    SOCKD,
    Running,
    on_suite_reactor,
    run,
    running,
    tcp_says,
    udp_says,
    unix_says,
)

LAUNCHER = """
import fcntl, os, sys
numbers, mine, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
safe = [fcntl.fcntl(int(one), fcntl.F_DUPFD_CLOEXEC, 100) for one in numbers.split(",") if one]
for place, one in enumerate(safe):
    os.dup2(one, 3 + place)
os.environ["LISTEN_PID"] = mine or str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(safe))
os.execv(argv[0], argv)
"""
"""Hands descriptors over as systemd does (sd_listen_fds): from 3 on, to this very process."""

Given = Sequence[tuple[str, int]]
"""Names and descriptors."""


def command(given: Given, argv: Sequence[str], pid: str = "") -> list[str]:
    numbers = ",".join(str(number) for _, number in given)
    return [sys.executable, "-c", LAUNCHER, numbers, pid, *argv]


@contextmanager
def handed_over(given: Given, folder: Path, text: str, names: bool = True) -> Iterator[Running]:
    """`sockd run` with these sockets, serving."""
    file = folder / "sockd.toml"
    file.write_text(text, "utf-8")
    argv = [*on_suite_reactor("run"), "--log-format", "json", "--config", str(file)]
    with running(
        command(given, argv),
        environment={"LISTEN_FDNAMES": ":".join(name for name, _ in given)} if names else {},
        pass_fds=[number for _, number in given],
    ) as daemon:
        daemon.wait_for('"event": "started"')
        yield daemon
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.text()


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[dict[str, socket.socket]]:
    """Sockets of the service manager."""
    with ExitStack() as stack:
        made = {
            "web": socket.socket(),
            "ask": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "local": socket.socket(socket.AF_UNIX),
            "notes": socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        }
        for name, sock in made.items():
            stack.enter_context(sock)
            is_local = sock.family == socket.AF_UNIX
            sock.bind(str(tmp_path / name) if is_local else ("127.0.0.1", 0))
            if sock.type == socket.SOCK_STREAM:
                sock.listen()
        yield made


def of(sockets: dict[str, socket.socket], *names: str) -> Given:
    return [(name, sockets[name].fileno()) for name in names]


def port(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def zone_says(path: Path, folder: Path) -> bytes:
    """What the localtime service answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.bind(str(folder / "asker"))
        client.sendto(b"Europe/Warsaw", str(path))
        return client.recv(100)


def test_streams_and_datagrams_of_both_worlds_are_taken_by_name(
    sockets: dict[str, socket.socket], tmp_path: Path
) -> None:
    text = """
[service.said]
listen = ["systemd:name=web"]
[service.echo]
listen = ["systemd:name=ask:type=datagram"]
[service.wrap]
listen = ["systemd:name=local:domain=UNIX"]
[service.localtime]
listen = ["systemd:name=notes:domain=UNIX:type=datagram"]
"""
    with handed_over(of(sockets, "web", "ask", "local", "notes"), tmp_path, text):
        assert tcp_says(port(sockets["web"]), b"hi\n") == b"You said:hi\r\n"
        assert udp_says(port(sockets["ask"]), b"hi") == b"hi"
        assert unix_says(tmp_path / "local", b"hi\n") == b"hi\r\n"
        assert len(zone_says(tmp_path / "notes", tmp_path)) == 24


def test_what_was_handed_over_stays_when_the_daemon_stops(
    sockets: dict[str, socket.socket], tmp_path: Path
) -> None:
    text = (
        "[service.said]\nlisten = ['systemd:name=web']\n"
        "[service.wrap]\nlisten = ['systemd:name=local:domain=UNIX']"
    )
    for _ in range(2):  # and it serves again when it is started again
        with handed_over(of(sockets, "web", "local"), tmp_path, text):
            assert tcp_says(port(sockets["web"]), b"hi\n") == b"You said:hi\r\n"
        assert (tmp_path / "local").is_socket()
        with socket.create_connection(("127.0.0.1", port(sockets["web"]))):
            connection, _ = sockets["web"].accept()
            connection.close()


def test_sockets_without_names_are_taken_by_number(
    sockets: dict[str, socket.socket], tmp_path: Path
) -> None:
    text = (
        "[service.said]\nlisten = ['systemd:index=1']\n"
        "[service.echo]\nlisten = ['systemd:domain=INET:index=0:type=datagram']"
    )
    with handed_over(of(sockets, "ask", "web"), tmp_path, text, names=False):
        assert tcp_says(port(sockets["web"]), b"hi\n") == b"You said:hi\r\n"
        assert udp_says(port(sockets["ask"]), b"hi") == b"hi"


def test_of_sockets_with_one_name_the_one_of_the_right_type_is_taken(
    sockets: dict[str, socket.socket], tmp_path: Path
) -> None:
    text = (
        "[service.echo]\n"
        "listen = ['systemd:name=unit', 'systemd:name=unit:type=datagram',"
        " 'systemd:name=unit:domain=UNIX']"
    )
    given = [("unit", number) for _, number in of(sockets, "notes", "local", "ask", "web")]
    with handed_over(given, tmp_path, text):
        assert tcp_says(port(sockets["web"]), b"hi\n") == b"hi\n"
        assert udp_says(port(sockets["ask"]), b"hi") == b"hi"
        assert unix_says(tmp_path / "local", b"hi\n") == b"hi\n"


def failure(given: Given, text: str, folder: Path, pid: str = "") -> list[str]:
    """What a start fails with."""
    (folder / "sockd.toml").write_text(f"[service.echo]\nlisten = ['{text}']", "utf-8")
    argv = command(given, [SOCKD, "run", "-c", str(folder / "sockd.toml")], pid)
    environment = {"LISTEN_FDNAMES": ":".join(name for name, _ in given)}
    with running(argv, environment=environment, pass_fds=[one for _, one in given]) as daemon:
        assert daemon.wait() == 1
        return daemon.text().splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "systemd:name=wbe",
            "tcp systemd wbe: not handed over by the service manager; it gave web, ask",
        ),
        (
            "systemd:index=2",
            "tcp systemd 2: not handed over by the service manager; it gave web, ask",
        ),
        (
            "systemd:name=ask",
            "tcp systemd ask: the socket that was handed over is of another type than tcp",
        ),
        (
            "systemd:index=0:type=datagram",
            "udp systemd 0: the socket that was handed over is of another type than udp",
        ),
        (
            "systemd:name=web:domain=UNIX",
            "unix systemd web: the socket that was handed over is of another type than unix",
        ),
    ],
)
def test_a_socket_that_is_not_there_or_of_another_type_is_told(
    text: str, message: str, sockets: dict[str, socket.socket], tmp_path: Path
) -> None:
    assert failure(of(sockets, "web", "ask"), text, tmp_path) == [
        f"echo: cannot listen on {message}",
        "sockd: not started",
    ]


def test_what_is_not_a_socket_is_told(tmp_path: Path) -> None:
    with Path("/dev/null").open("rb") as file:
        given = [("web", file.fileno())]
        assert failure(given, "systemd:name=web", tmp_path)[:-1] == [
            "echo: cannot listen on tcp systemd web: descriptor 3: Socket operation on non-socket"
        ]


def test_sockets_that_are_meant_for_another_process_are_not_touched(
    sockets: dict[str, socket.socket], tmp_path: Path
) -> None:
    assert failure(of(sockets, "web"), "systemd:name=web", tmp_path, pid="1")[:-1] == [
        "echo: cannot listen on tcp systemd web: "
        "not handed over by the service manager; it gave none"
    ]


def test_without_a_service_manager_there_are_none(tmp_path: Path) -> None:
    done = run(
        SOCKD,
        "check",
        "--bind",
        "--only",
        "echo",
        "--set",
        "service.echo.listen=['systemd:index=0']",
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        "echo: cannot listen on tcp systemd 0: not handed over by the service manager; it gave none"
    ]
