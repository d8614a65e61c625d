"""The daemon that the doctor looks at: which it is, what it runs, and what is told where it is
silent."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockd.ops.control import client
from sockd.ops.control.frames import ControlError, error_line
from tests.commands import config, runtime, sockd
from tests.daemons import Daemon
from tests.ops.cli.answering import saying
from tests.processes import NOBODY

__all__ = ["runtime"]

LISTEN = 'listen = ["tcp:0:interface=127.0.0.1"]\n'
ECHO = f"[service.echo]\n{LISTEN}"
DISCARD = f"[service.discard]\n{LISTEN}"


@pytest.fixture
def silent(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a daemon of this user's listens by default, and says nothing."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.1)
    path = str(runtime / "control.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        yield path


def test_a_socket_that_was_named_has_to_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, none = config(tmp_path, ECHO), tmp_path / "none"
    assert sockd("doctor", file).exit_code == 0
    expected = f"no daemon answers: {none}: No such file or directory"
    for more in ((), (file,)):
        result = sockd("doctor", *more, "--control", none)
        assert (result.exit_code, result.stdout) == (1, "")
        assert expected in result.stderr
    monkeypatch.setenv("SOCKD_CONTROL", str(none))
    told = json.loads(sockd("doctor", "--json", file).stdout)
    assert (told["ok"], told["kind"]) == (False, "failed")
    assert expected in told["error"]


def test_a_refusal_at_a_socket_that_was_named_names_it(tmp_path: Path) -> None:
    with saying(error_line(ControlError("user 5 may not", "refused")), tmp_path / "c"):
        result = sockd("doctor", "--control", tmp_path / "c")
    assert (result.exit_code, result.stderr) == (1, f"sockd: {tmp_path}/c: user 5 may not\n")


def test_a_daemon_that_does_not_answer_is_told_and_has_its_addresses(
    silent: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as its_own:
        port = its_own.getsockname()[1]
        file = config(tmp_path, ECHO.replace("tcp:0", f"tcp:{port}"))
        result = sockd("doctor", file, "--json")
    bad = [one for one in json.loads(result.stdout)["findings"] if one["level"] == "bad"]
    assert [(one["topic"], one["text"]) for one in bad] == [
        ("daemon", f"{silent}: the daemon has not answered within 0.1 s")
    ]
    assert result.exit_code == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.usefixtures("silent")
def test_a_daemon_that_one_may_not_ask_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = config(Path(folder), ECHO)
        sockd("doctor", file)  # what it imports, nobody else may be able to read
        os.seteuid(NOBODY)
        try:
            result = sockd("doctor", file)
        finally:
            os.seteuid(0)
    assert result.stdout.startswith("warn  daemon: no daemon answers:")
    assert "Permission denied" in result.stdout
    assert "who holds our addresses may be the daemon" in result.stdout


def test_a_daemon_that_refuses_is_told_and_looked_at(runtime: Path, tmp_path: Path) -> None:
    path = runtime / "control.sock"
    with saying(error_line(ControlError("user 5 may not", "refused")), path):
        result = sockd("doctor", config(tmp_path, ECHO))
    told = f"warn  daemon: {path}: user 5 may not -> ask as root "
    assert told in result.stdout.replace("\n      ", " ").replace("\n", " ")
    assert f"the daemon (process {os.getpid()})" in result.stdout
    assert result.exit_code == 0


def test_what_answers_and_is_no_sockd_is_told(runtime: Path, tmp_path: Path) -> None:
    path = runtime / "control.sock"
    file = config(tmp_path, f'[sockd]\ncontrol = "{path}"\n{ECHO}')
    with saying(b"hello\n", path):
        result = sockd("doctor", file)
    assert result.exit_code == 0
    told = f"warn  daemon: {path}: what answers there is no sockd"
    assert told in result.stdout.replace("\n      ", " ")


def test_of_a_daemon_what_it_runs_is_looked_at_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: Path
) -> None:
    (tmp_path / "a.toml").write_text(f"{ECHO}{DISCARD}[service.wrap]\nenabled = false\n")
    monkeypatch.chdir(tmp_path)
    with Daemon(tmp_path, arguments=["a.toml", "--only", "echo"]) as daemon:
        monkeypatch.chdir("/")
        found = json.loads(sockd("doctor", "--json").stdout)["findings"]
        texts = [one["text"] for one in found if one["topic"] in ("daemon", "configuration")]
        assert texts == [
            f"it does not run discard, of {tmp_path}/a.toml: not looked at",
            f"1 service in {tmp_path}/a.toml",
        ]
        assert f"\nconfiguration: {tmp_path}/a.toml\n" in sockd("status").stdout
        (tmp_path / "a.toml").write_text(DISCARD)
        told = sockd("doctor").stdout.replace("\n      ", " ")
        gone = f"it runs echo, which {tmp_path}/a.toml has not, or has disabled"
        assert told.startswith(f"warn  daemon: {gone} -> `sockd reload --dry-run` tells ")
        assert "not looked at" not in told
        assert f"the daemon (process {daemon.pid})" in told
