"""The daemon's end of the control socket."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockd.ops.control.client import ControlClient, NoDaemonError
from sockd.ops.control.frames import LONGEST_REQUEST, ControlError, error_line
from tests.daemons import Daemon, ask
from tests.processes import finish

CONFIG = '[service.echo]\nlisten = ["tcp:0:interface=127.0.0.1"]\n'
NOBODY = 65534


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("control"), CONFIG) as daemon:
        yield daemon


def path(daemon: Daemon) -> str:
    return str(daemon.runtime / "control.sock")


def raw(daemon: Daemon, data: bytes) -> list[dict[str, object]]:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(path(daemon))
    return [json.loads(line) for line in ask(sock, data).splitlines()]


def test_the_socket_is_its_users_alone(daemon: Daemon) -> None:
    assert Path(path(daemon)).stat().st_mode & 0o777 == 0o600


def test_another_user_is_refused_though_the_mode_lets_it_in(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own ones are this user's alone
        Path(folder).chmod(0o755)
        file = Path(folder, "control.sock")
        with Daemon(tmp_path, f'[sockd]\ncontrol = "{file}"\n{CONFIG}'):
            file.chmod(0o666)
            user = ("setpriv", f"--reuid={NOBODY}", "--clear-groups")
            done = finish([*user, "nc.openbsd", "-U", str(file)], stdin=b"")
    answer = json.loads(done.stdout)
    assert (answer["kind"], answer["error"]) == (
        "refused",
        f"user {NOBODY} may not: root and the daemon's user may",
    )


def test_requests_of_one_connection_are_answered_in_their_order(daemon: Daemon) -> None:
    request = b'{"version": 1, "command": "status"}\n'
    answers = raw(daemon, b'{"version": 1, "command": "reload"}\n' + request + b"x\n" + request)
    assert ["steps" in str(answers[0]), *(one["ok"] for one in answers)] == [
        True, True, True, False, True,
    ]  # fmt: skip


def test_a_command_that_there_is_not_is_told_with_what_was_meant(daemon: Daemon) -> None:
    with (
        ControlClient(path(daemon)) as client,
        pytest.raises(ControlError, match=r"no command 'statsu'; did you mean 'status'\?"),
    ):
        client.ask("statsu")


def test_an_argument_that_there_is_not_is_told(daemon: Daemon) -> None:
    with (
        ControlClient(path(daemon)) as client,
        pytest.raises(ControlError, match="no argument 'dryrun'; did you mean 'dry_run'"),
    ):
        client.ask("reload", dryrun=True)


def test_a_request_that_is_too_long_ends_the_connection(daemon: Daemon) -> None:
    [answer] = raw(daemon, b" " * (LONGEST_REQUEST + 1))
    assert answer["error"] == f"a request has {LONGEST_REQUEST} bytes at most"


def test_where_no_daemon_is_it_is_said_where_one_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError, match=f"{tmp_path}/none: No such file or directory"):
        ControlClient(str(tmp_path / "none"))


def test_the_file_is_gone_when_the_daemon_has_ended(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG) as daemon:
        assert Path(path(daemon)).exists()
    assert not os.path.lexists(path(daemon))


def test_it_can_be_off(tmp_path: Path) -> None:
    with Daemon(tmp_path, f'[sockd]\ncontrol = "off"\n{CONFIG}') as daemon:
        assert not os.path.lexists(path(daemon))
        assert not daemon.events("control")


def test_who_is_turned_away_before_it_asks_is_told_why(tmp_path: Path) -> None:
    place = str(tmp_path / "control.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        with ControlClient(place) as client:
            asking, _ = server.accept()
            asking.sendall(error_line(ControlError("too many", "refused")))
            asking.close()
            with pytest.raises(ControlError, match=r"^too many$"):
                client.ask("status")
            with pytest.raises(NoDaemonError, match="the daemon has closed the connection"):
                client.ask("status")


def test_an_answer_that_breaks_off_is_no_answer(tmp_path: Path) -> None:
    place = str(tmp_path / "control.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        with ControlClient(place) as client:
            asking, _ = server.accept()
            asking.sendall(b'{"version": 1, "ok": true, "answer": {}}')
            asking.close()
            with pytest.raises(ControlError, match="the answer has broken off"):
                client.ask("status")


def test_where_too_many_wait_one_waits_too_and_not_for_ever(tmp_path: Path) -> None:
    place = str(tmp_path / "control.sock")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(place)
        server.listen(0)
        first.connect(place)
        with pytest.raises(NoDaemonError, match=r"none was let in within 0\.1 s"):
            ControlClient(place, 0.1)
