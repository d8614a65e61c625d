"""`twistd sockd` is the container of all instances: in the foreground, and as a daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.processes import (
    LISTENING,
    NOBODY,
    STOPPED,
    TWISTD,
    Running,
    foreground,
    is_gone,
    on_suite_reactor,
    port_of,
    run,
    running,
    tcp_says,
    udp_says,
    unix_says,
    wait_until,
)

CONFIG = """
[service.said]
listen = ["tcp:0:interface=127.0.0.1"]
[service.echo]
listen = ["udp:0:interface=127.0.0.1"]
[service.wrap]
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime directory of the test's own."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    return folder


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A configuration with a service on each kind of socket."""
    file = tmp_path / "sockd.toml"
    file.write_text(CONFIG, "utf-8")
    return str(file)


@pytest.fixture
def taken() -> Iterator[int]:
    """A TCP port that this process holds."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def serves(daemon: Running, runtime: Path) -> None:
    """Everything of `CONFIG` answers."""
    daemon.wait_for(r"runs 3 services on the")
    assert tcp_says(port_of(daemon, "said"), b"hi\n") == b"You said:hi\r\n"
    assert udp_says(port_of(daemon, "echo", "udp"), b"hi") == b"hi"
    assert unix_says(runtime / "wrap.sock", b"hi\n") == b"hi\r\n"


# in the foreground


def test_it_serves_until_it_is_asked_to_stop(config: str, runtime: Path) -> None:
    with running(foreground("sockd", "--config", config)) as daemon:
        serves(daemon, runtime)
        assert daemon.stop() == STOPPED
        daemon.wait_for("sockd has stopped")
        assert not re.search("Traceback|Unhandled|error:|critical:", daemon.text())
    assert list(runtime.iterdir()) == []


def test_a_hang_up_does_not_end_it(config: str, runtime: Path) -> None:
    with running(foreground("sockd", "--config", config)) as daemon:
        serves(daemon, runtime)
        for _ in range(3):
            daemon.process.send_signal(signal.SIGHUP)
            serves(daemon, runtime)
        daemon.wait_for("the configuration holds, after")
        assert daemon.stop() == STOPPED


TWICE = [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)]


@pytest.mark.parametrize("numbers", TWICE, ids=["^C twice", "TERM and ^C"])
@pytest.mark.parametrize("command", ["run", "twistd"])
def test_two_signals_at_once_stop_it_as_one_does(
    command: str, numbers: tuple[signal.Signals, ...], config: str, runtime: Path
) -> None:
    argv = foreground("sockd") if command == "twistd" else on_suite_reactor("run")
    with running([*argv, "--config", config]) as daemon:
        daemon.wait_for("runs 3 services on the")
        for number in numbers:
            daemon.process.send_signal(number)
        # twistd ends by the first one that it took
        assert daemon.wait() in ({-number for number in numbers} if command == "twistd" else {0})
        assert daemon.text().count("sockd has stopped") == 1
        assert not re.search("Traceback|Unhandled|error:|critical:", daemon.text())
    assert list(runtime.iterdir()) == []


PATIENT = """
from sockd.cli import main
from sockd.net import stream

stream.Stream.stop = lambda stream, reason: None
main()
"""


def test_a_second_signal_ends_the_wait_for_connections() -> None:
    """Which is an hour here, for a connection that does not end."""
    argv = [sys.executable, "-c", PATIENT, *on_suite_reactor("run")[1:]]
    listen = "service.echo.listen=['tcp:0:interface=127.0.0.1']"
    argv += ["--only", "echo", "--set", listen, "--set", "service.echo.drain=1h"]
    with running([*argv, "--log-format", "json"]) as daemon:
        port = int(daemon.wait_for(r'"local_port": (\d+)')[1])
        with socket.create_connection(("127.0.0.1", port)):
            daemon.wait_for('"event": "opened"')
            daemon.process.send_signal(signal.SIGINT)
            daemon.wait_for("Received SIGINT")
            assert daemon.stop(signal.SIGINT) == 0
        events = [json.loads(line) for line in daemon.text().splitlines()]
    [closed] = [event for event in events if event["event"] == "closed"]
    assert closed["reason"] == "daemon_stops"
    assert "traceback" not in daemon.text().lower()


def test_it_goes_on_as_another_user_when_it_has_bound(config: str, runtime: Path) -> None:
    argv = foreground("sockd", "--config", config)
    argv[1:1] = ["--uid", str(NOBODY), "--gid", str(NOBODY)]
    with running(argv) as daemon:
        serves(daemon, runtime)
        assert psutil.Process(daemon.pid).uids().effective == NOBODY
        assert daemon.stop() == STOPPED
        assert "Traceback" not in daemon.text()


def test_its_log_can_be_json(config: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = foreground("-l", str(log), "sockd", "--log-format", "json", "--config", config)
    with running(argv) as daemon:
        wait_for(log, '"event": "started"')
        assert daemon.stop() == STOPPED
    events = [json.loads(line)["event"] for line in log.read_text("utf-8").splitlines()]
    assert [name for name in events if name != "log"] == [
        *["listening"] * 3,
        "control",
        "started",
        "stopped",
    ]


def test_a_log_format_that_there_is_not_is_refused(config: str) -> None:
    done = run(*foreground("sockd", "--log-format", "xml", "--config", config))
    assert (done.returncode, done.stderr) == (
        2,
        "sockd: --log-format xml: expected one of text, json\n",
    )


# as a daemon


def wait_for(file: Path, pattern: str) -> re.Match[str]:
    """The first match in a file that somebody writes."""

    def text() -> str:
        return file.read_text("utf-8") if file.exists() else ""

    found = wait_until(
        lambda: re.search(pattern, text(), re.MULTILINE), lambda: f"{pattern!r} in:\n{text()}"
    )
    assert found is not None
    return found


@contextmanager
def daemonized(folder: Path, config: str, *more: str) -> Iterator[int]:
    """The process of `twistd` as a daemon; it is killed if it is still there afterwards."""
    pid_file = folder / "pid"
    argv = [*on_suite_reactor("twistd"), "--pidfile", "pid", "--logfile", "log", *more]
    done = run(*argv, "sockd", "--config", config, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid = int(pid_file.read_text("ascii"))
    try:
        yield pid
    finally:
        if not is_gone(pid, seconds=0):
            os.kill(pid, signal.SIGKILL)


def test_as_a_daemon_it_serves_and_leaves_nothing_behind(
    config: str, tmp_path: Path, runtime: Path
) -> None:
    with daemonized(tmp_path, config) as pid:
        port = int(wait_for(tmp_path / "log", LISTENING.format("tcp"))[1])
        assert tcp_says(port, b"hi\n") == b"You said:hi\r\n"
        assert unix_says(runtime / "wrap.sock", b"hi\n") == b"hi\r\n"
        # twistd's own umask lets nobody else in
        assert stat.S_IMODE((runtime / "wrap.sock").stat().st_mode) == 0o660
        os.kill(pid, signal.SIGTERM)
        assert is_gone(pid)
        assert not (tmp_path / "pid").exists()
        assert list(runtime.iterdir()) == []
        text = (tmp_path / "log").read_text("utf-8")
        assert "sockd has stopped" in text
        assert not re.search("Traceback|Unhandled|error:|critical:", text)


def test_a_daemon_leaves_a_log_that_was_moved_away(
    config: str, tmp_path: Path, runtime: Path
) -> None:
    log, old = tmp_path / "log", tmp_path / "log.1"
    log.touch(0o640)
    with daemonized(tmp_path, config) as pid:
        wait_for(log, "runs 3 services")
        log.rename(old)
        os.kill(pid, signal.SIGUSR1)
        wait_for(log, f"the log goes on in {log}")
        assert stat.S_IMODE(log.stat().st_mode) == 0o640
        assert "runs 3 services" in old.read_text("utf-8")
        assert unix_says(runtime / "wrap.sock", b"hi\n") == b"hi\r\n"
        wait_for(log, "wrap: connection from local process")
        assert "wrap: connection" not in old.read_text("utf-8")
        os.kill(pid, signal.SIGTERM)
        assert is_gone(pid)


def test_in_the_foreground_too_the_log_is_opened_anew(config: str, tmp_path: Path) -> None:
    log, old = tmp_path / "log", tmp_path / "log.1"
    with running(foreground("-l", str(log), "sockd", "--config", config)) as daemon:
        wait_for(log, "runs 3 services")
        log.rename(old)
        daemon.process.send_signal(signal.SIGUSR1)
        wait_for(log, f"the log goes on in {log}")
        assert daemon.stop() == STOPPED
    assert "sockd has stopped" in log.read_text("utf-8")
    assert "sockd has stopped" not in old.read_text("utf-8")


@pytest.mark.parametrize("command", ["run", "twistd", "twistd --syslog"])
def test_a_log_that_is_no_file_takes_no_harm_from_the_signal(
    command: str, config: str, runtime: Path
) -> None:
    name, *options = command.split()
    argv = on_suite_reactor("run") if name == "run" else foreground(*options, "sockd")
    with running([*argv, "--config", config]) as daemon:
        until_answered(runtime / "wrap.sock")
        daemon.process.send_signal(signal.SIGUSR1)
        until_answered(runtime / "wrap.sock")
        assert daemon.stop() == (0 if name == "run" else STOPPED)


def until_answered(path: Path) -> None:
    """Ask `wrap` until it answers: it may not listen yet."""

    def answers() -> bool:
        try:
            return unix_says(path, b"hi\n") == b"hi\r\n"
        except OSError:
            return False

    wait_until(answers, "wrap answers")


OBSERVER = """
import os

from twisted.logger import ILogObserver
from zope.interface import provider


@provider(ILogObserver)
def hear(event):
    with open(os.environ["HEARD"], "a") as file:
        print(event.get("event"), event.get("service"), event.get("reason"), file=file)


def observer():
    return hear
"""


def test_an_observer_of_ones_own_hears_of_connections_and_the_signal_ends_nothing(
    config: str, tmp_path: Path, runtime: Path
) -> None:
    (tmp_path / "mine.py").write_text(OBSERVER, "utf-8")
    argv = foreground("--logger", "mine.observer", "sockd", "--config", config)
    heard = tmp_path / "heard"
    where = {"PYTHONPATH": str(tmp_path), "HEARD": str(heard)}
    with running(argv, environment=where) as daemon:
        wait_for(heard, "started")
        daemon.process.send_signal(signal.SIGUSR1)
        assert unix_says(runtime / "wrap.sock", b"hi\n") == b"hi\r\n"
        wait_for(heard, "closed wrap done")
        assert daemon.stop() == STOPPED


def test_a_second_daemon_with_the_same_pid_file_is_refused(config: str, tmp_path: Path) -> None:
    with daemonized(tmp_path, config) as pid:
        done = run(TWISTD, "--pidfile", "pid", "sockd", "--config", config, cwd=tmp_path)
        assert done.returncode != 0
        assert f"server is running, PID {pid}" in " ".join((done.stdout + done.stderr).split())
        os.kill(pid, signal.SIGTERM)
        assert is_gone(pid)


# a start that fails


@pytest.mark.parametrize("mode", ["-n", "-n --logfile log", "--logfile log"])
def test_a_port_in_use_ends_the_start_with_one_line_that_says_who_holds_it(
    mode: str, tmp_path: Path, runtime: Path, taken: int
) -> None:
    text = f"[service.wrap]\n[service.said]\nlisten = ['tcp:{taken}:interface=127.0.0.1']"
    (tmp_path / "busy.toml").write_text(text, "utf-8")
    options = [*mode.split(), "--pidfile", "pid", "sockd", "--config", "busy.toml"]
    done = run(*on_suite_reactor("twistd"), *options, cwd=tmp_path)
    assert done.returncode == 1
    me = psutil.Process()
    line = (
        f"said: cannot listen on tcp 127.0.0.1:{taken}: address in use, "
        f"held by {me.name()} (process {me.pid})"
    )
    shown = done.stdout + done.stderr
    assert shown.count(line) == 1
    log = tmp_path / "log"
    everything = shown + (log.read_text("utf-8") if log.exists() else "")
    assert "sockd: not started" in everything
    assert not re.search("Traceback|Unhandled|Errno", everything)
    assert not (tmp_path / "pid").exists()
    assert list(runtime.iterdir()) == []


@pytest.mark.parametrize("mode", ["-n", "--logfile log"])
def test_a_service_that_cannot_run_ends_the_start_without_a_traceback(
    mode: str, tmp_path: Path
) -> None:
    text = "[service.exec]\nlisten = ['tcp:0']\ncommand = ['true']\nuser = 'nobody'"
    (tmp_path / "bad.toml").write_text(text, "utf-8")
    options = [*mode.split(), "--pidfile", "pid", f"--uid={NOBODY}"]
    options += ["sockd", "--config", "bad.toml"]
    done = run(*on_suite_reactor("twistd"), *options, cwd=tmp_path)
    assert done.returncode == 1
    log = tmp_path / "log"
    shown = done.stdout + done.stderr
    assert "exec: running a program as another user needs a daemon that stays root" in shown
    assert "Traceback" not in shown + (log.read_text("utf-8") if log.exists() else "")
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize("mode", [["-n"], []])
def test_a_mistake_in_the_configuration_starts_nothing(mode: list[str], tmp_path: Path) -> None:
    with socket.socket() as kept:
        # nobody else gets the port, but a daemon could listen there all the same
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        text = f"[service.said]\nlisten = ['tcp:{port}:interface=127.0.0.1']\n[service.ecko]"
        (tmp_path / "bad.toml").write_text(text, "utf-8")
        done = run(TWISTD, *mode, "sockd", "--config", "bad.toml", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines() == [
            "sockd: a mistake in the configuration",
            "bad.toml:3: service.ecko: there is no kind of service 'ecko'; did you mean 'echo'?",
        ]
        assert not (tmp_path / "twistd.pid").exists()
        with pytest.raises(ConnectionRefusedError):
            tcp_says(port)
