"""What is around a start: whose files it makes, what is closed or missing, told in words."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import (
    NOBODY,
    STOPPED,
    foreground,
    free_port,
    on_suite_reactor,
    run,
    running,
    tcp_says,
    unix_says,
    wait_until,
)

NO_USER = 3_999_999_999
"""A number that no user of this host has."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder to which everybody has a way."""
    made = Path(tempfile.mkdtemp(prefix="sockd-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


# another user


def becoming_nobody(config: str) -> list[str]:
    """A daemon that begins as root."""
    argv = foreground("sockd", "--config", config)
    argv[1:1] = ["--uid", str(NOBODY), "--gid", str(NOBODY)]
    return argv


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_who_gives_up_root_removes_its_socket_files_and_can_start_again(folder: Path) -> None:
    runtime, sticky = folder / "run", folder / "tmp"
    sticky.mkdir()
    sticky.chmod(0o1777)
    config = folder / "sockd.toml"
    config.write_text(
        f"[service.wrap]\n[service.said]\nlisten = ['unix:{sticky}/said.sock:mode=600']\n", "utf-8"
    )
    for _ in range(2):
        argv, environment = becoming_nobody(str(config)), {"RUNTIME_DIRECTORY": str(runtime)}
        with running(argv, environment=environment) as daemon:
            daemon.wait_for("runs 2 services")
            for path in (runtime / "wrap.sock", sticky / "said.sock"):
                assert unix_says(path, b"hi\n")
                assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)
            assert daemon.stop() == STOPPED
            assert "skipped" not in daemon.text()
        assert [*runtime.iterdir(), *sticky.iterdir()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_who_gives_up_root_removes_its_control_socket_where_no_service_has_a_file(
    folder: Path,
) -> None:
    config, runtime = folder / "sockd.toml", folder / "run"
    config.write_text("[service.said]\nlisten = ['tcp:0:interface=127.0.0.1']\n", "utf-8")
    environment = {"RUNTIME_DIRECTORY": str(runtime)}
    with running(becoming_nobody(str(config)), environment=environment) as daemon:
        daemon.wait_for("runs 1 service")
        assert (runtime / "control.sock").stat().st_uid == NOBODY
        assert daemon.stop() == STOPPED
        assert "file is left" not in daemon.text()
    assert [*runtime.iterdir()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_socket_file_that_is_given_to_somebody_stays_his_where_root_is_given_up(
    folder: Path,
) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    path, config = folder / "open" / "wrap.sock", folder / "sockd.toml"
    config.write_text(f"[service.wrap]\nlisten = ['unix:{path}:user=7:group=4711']\n", "utf-8")
    environment = {"RUNTIME_DIRECTORY": str(folder / "run")}
    with running(becoming_nobody(str(config)), environment=environment) as daemon:
        daemon.wait_for("runs 1 service")
        assert (path.stat().st_uid, path.stat().st_gid) == (7, 4711)
        assert unix_says(path, b"hi\n")
        assert daemon.stop() == STOPPED
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_runtime_directory_of_somebody_else_is_refused_as_ever(folder: Path) -> None:
    runtime = folder / "run"
    runtime.mkdir()
    os.chown(runtime, NOBODY - 1, NOBODY - 1)
    config = folder / "sockd.toml"
    config.write_text("[service.wrap]\n", "utf-8")
    done = run(*becoming_nobody(str(config)), environment={"RUNTIME_DIRECTORY": str(runtime)})
    assert done.returncode == 1
    assert runtime.stat().st_uid == NOBODY - 1


# what is missing


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["-n", "--logfile", "{0}/missing/log"],
            "sockd: --logfile {0}/missing/log: No such file or directory",
        ),
        (
            ["--logfile", "{0}/missing/log"],
            "sockd: --logfile {0}/missing/log: No such file or directory",
        ),
        (
            ["-n", "--uid", str(NO_USER)],
            f"sockd: --uid {NO_USER}: there is no user of this number on this host",
        ),
        (
            ["-n", "--rundir", "{0}/missing"],
            "sockd: --rundir {0}/missing: there is no such directory",
        ),
        (
            ["-n", "--pidfile", "{0}/missing/pid"],
            "sockd: --pidfile {0}/missing/pid: {0}/missing is not there",
        ),
    ],
)
def test_what_is_missing_is_told_in_words(options: list[str], told: str, tmp_path: Path) -> None:
    config = tmp_path / "sockd.toml"
    config.write_text("[service.said]\nlisten = ['tcp:0:interface=127.0.0.1']\n", "utf-8")
    begin = [*on_suite_reactor("twistd"), "--pidfile="]
    argv = [*begin, *(one.format(tmp_path) for one in options), "sockd", "--config", str(config)]
    done = run(*argv, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == told.format(tmp_path)
    assert "Traceback" not in done.stdout + done.stderr


# descriptors that are closed

CLOSED = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]


@pytest.mark.parametrize("command", ["run", "twistd"])
def test_descriptors_that_are_closed_at_its_start_are_opened_on_dev_null(
    command: str, tmp_path: Path
) -> None:
    port = free_port()
    config = tmp_path / "sockd.toml"
    config.write_text(f"[service.said]\nlisten = ['tcp:{port}:interface=127.0.0.1']\n", "utf-8")
    # -r has twistd make a reactor before it asks us anything
    begin = on_suite_reactor("run")
    if command == "twistd":
        argv = foreground("sockd")
        begin = [argv[0], *argv[3:]]
    with running([*CLOSED, *begin, "--config", str(config)]) as daemon:

        def answers() -> bool:
            try:
                return tcp_says(port, b"hi\n") == b"You said:hi\r\n"
            except ConnectionRefusedError:
                return False

        wait_until(answers, "it serves")
        for number in range(3):
            assert Path(f"/proc/{daemon.pid}/fd/{number}").readlink() == Path("/dev/null")
        assert daemon.stop() == (0 if command == "run" else STOPPED)
