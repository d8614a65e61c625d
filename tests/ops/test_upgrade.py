"""`sockd upgrade`: the process goes on as what is installed, and its sockets with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from sockd.ops import upgrade
from sockd.ops.control.client import ControlClient
from sockd.ops.restart import Restart
from sockd.ops.upgrade import (
    check,
    to_hand_over,
)
from tests.daemons import Daemon
from tests.ops.managing import Manager, manager
from tests.processes import (
    NOBODY,
    PATIENCE,
    SOCKD,
    STOPPED,
    TWISTD,
    Running,
    foreground,
    free_port,
    is_gone,
    on_suite_reactor,
    run,
    running,
    tcp_says,
    udp_says,
    unix_says,
    wait_until,
)

CONFIG = """
[service.echo]
listen = ["tcp:{port}:interface=127.0.0.1", "udp:{port}:interface=127.0.0.1"]
[service.wrap]
listen = ["unix:${{RUNTIME}}/wrap.sock", "tcp:0:interface=127.0.0.1"]
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path) as found:
        yield found


def ask(runtime: Path, *more: str) -> tuple[int, str]:
    """`sockd upgrade`: its exit code, and what it says."""
    done = run(SOCKD, "upgrade", "--control", str(runtime / "control.sock"), *more)
    return done.returncode, done.stdout + done.stderr


def serves(port: int, runtime: Path) -> None:
    assert tcp_says(port, b"hi") == b"hi"
    assert udp_says(port, b"hi") == b"hi"
    assert unix_says(runtime / "wrap.sock", b"hi\n") == b"hi\r\n"


def test_the_process_stays_and_so_does_each_address(tmp_path: Path, port: int) -> None:
    with Daemon(tmp_path, CONFIG.format(port=port)) as daemon:
        pid, inode = daemon.pid, (daemon.runtime / "wrap.sock").stat().st_ino
        chosen = daemon.address("wrap", "tcp")
        for times in range(1, 3):
            code, said = ask(daemon.runtime, "--json")
            assert code == 0, said
            assert json.loads(said)["pid"] == pid
            assert len(daemon.events("upgrading")) == times
            assert len(daemon.events("started")) == times + 1
            serves(port, daemon.runtime)
            assert tcp_says(chosen[1], b"hi\n") == b"hi\r\n"
            assert (daemon.runtime / "wrap.sock").stat().st_ino == inode
        assert (daemon.runtime / "wrap.sock").is_socket()


def test_who_is_connected_is_let_go_as_at_a_stop_and_can_come_again(
    tmp_path: Path, port: int
) -> None:
    with Daemon(tmp_path, CONFIG.format(port=port)) as daemon:
        with daemon.connect("echo") as sock:
            sock.sendall(b"hi")
            assert sock.recv(2) == b"hi"
            code, said = ask(daemon.runtime)
            assert code == 0
            assert f" serves, process {daemon.pid}, after " in said
            assert sock.recv(1) == b""
        serves(port, daemon.runtime)


def test_the_configuration_may_have_changed(tmp_path: Path, port: int) -> None:
    other = free_port()
    with Daemon(tmp_path, CONFIG.format(port=port)) as daemon:
        text = f'[service.echo]\nlisten = ["tcp:{port}", "tcp:{other}:interface=127.0.0.1"]\n'
        (tmp_path / "sockd.toml").write_text(text, "utf-8")
        assert ask(daemon.runtime)[0] == 0
        # the port of the address that goes is that of one that comes
        assert tcp_says(port, b"hi") == tcp_says(other, b"hi") == b"hi"
        assert not (daemon.runtime / "wrap.sock").exists()


def test_a_configuration_that_the_new_code_does_not_take_changes_nothing(
    tmp_path: Path, port: int
) -> None:
    with Daemon(tmp_path, CONFIG.format(port=port)) as daemon:
        with daemon.connect("echo") as sock:
            (tmp_path / "sockd.toml").write_text("[service.none]\n", "utf-8")
            code, said = ask(daemon.runtime)
            assert code == 1
            first, second, third = said.splitlines()
            assert first == "sockd: not upgraded: the daemon goes on as it was"
            assert second == "a mistake in the configuration"
            assert "service.none" in third
            sock.sendall(b"still here")
            assert sock.recv(100) == b"still here"
        serves(port, daemon.runtime)
        assert daemon.events("upgrading") == []


def test_an_address_that_cannot_be_had_changes_nothing(tmp_path: Path, port: int) -> None:
    with Daemon(tmp_path, CONFIG.format(port=port)) as daemon, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        another = taken.getsockname()[1]
        more = f'[service.more]\nkind = "echo"\nlisten = ["tcp:{another}:interface=127.0.0.1"]\n'
        (tmp_path / "sockd.toml").write_text(CONFIG.format(port=port) + more, "utf-8")
        code, said = ask(daemon.runtime)
        assert code == 1
        first, second = said.splitlines()
        assert first == "sockd: not upgraded: the daemon goes on as it was"
        assert second.startswith(f"more: cannot listen on tcp 127.0.0.1:{another}: address in use")
        serves(port, daemon.runtime)
        assert daemon.events("upgrading") == []


def test_a_signal_that_comes_meanwhile_ends_it(tmp_path: Path, port: int) -> None:
    """Whichever of the two daemons it meets, and the new one before it handles any."""
    random = Random(7)
    for number in (signal.SIGTERM, signal.SIGINT) * 2:
        daemon = Daemon(tmp_path, CONFIG.format(port=port))
        daemon.start()
        assert daemon.process is not None
        with daemon.connect("echo"), ControlClient(f"{daemon.runtime}/control.sock") as client:
            client.ask("upgrade")
            time.sleep(random.uniform(0, 0.9))  # the moment is what is tested
            os.kill(daemon.process.pid, number)
            code = daemon.process.wait(PATIENCE)
        # Python says where it was interrupted, before sockd handles that
        assert code in (0, -number) or (code, number) == (1, signal.SIGINT), daemon.text()
        assert "ReactorNotRunning" not in daemon.text()
        if code == 0:
            daemon.assert_clean()


def test_a_stop_does_not_wait_for_new_code_that_does_not_say_whether_it_starts(
    tmp_path: Path, port: int
) -> None:
    code = "import sys, time, pathlib\n"
    code += "if '--check' in sys.orig_argv:\n"
    code += f"    pathlib.Path({str(tmp_path / 'tried')!r}).touch(); time.sleep(1000)\n"
    (tmp_path / "sitecustomize.py").write_text(code, "utf-8")
    environment = {"PYTHONPATH": str(tmp_path)}
    with Daemon(tmp_path, CONFIG.format(port=port), environment=environment) as daemon:
        asked = subprocess.Popen(
            [SOCKD, "upgrade", "--control", str(daemon.runtime / "control.sock")],
            stderr=subprocess.DEVNULL,
        )
        wait_until((tmp_path / "tried").exists, "the new code is tried")
        assert daemon.stop() == 0
        assert asked.wait(PATIENCE) == 1


def test_what_asks_a_daemon_for_something_ends_neither(tmp_path: Path, port: int) -> None:
    with Daemon(tmp_path, CONFIG.format(port=port)) as daemon:
        with ControlClient(f"{daemon.runtime}/control.sock") as client:
            client.ask("upgrade")
            while len(daemon.events("started")) < 2:
                os.kill(daemon.pid, signal.SIGHUP)
                os.kill(daemon.pid, signal.SIGUSR1)
        serves(port, daemon.runtime)


def test_the_manager_is_told_that_it_reloads_until_the_new_one_is_ready(
    told: Manager, tmp_path: Path, port: int
) -> None:
    config = CONFIG.format(port=port)
    with Daemon(tmp_path, config, environment=told.environment) as daemon:
        told.hear_until("READY")
        assert ask(daemon.runtime)[0] == 0
        [begins, *_, ready] = told.hear_all()
        assert begins["RELOADING"] == "1"
        assert ready["READY"] == "1"
        assert not any("STOPPING" in heard for heard in told.messages)


def test_what_the_manager_holds_it_goes_on_holding(
    told: Manager, tmp_path: Path, port: int
) -> None:
    environment = {**told.environment, "FDSTORE": "10"}
    with Daemon(tmp_path, CONFIG.format(port=port), environment=environment) as daemon:
        told.hear_until("READY")
        told.hear_all()
        before = {name: os.fstat(many[0]).st_ino for name, many in told.store.items()}
        assert ask(daemon.runtime)[0] == 0
        told.hear_all()
        after = {name: os.fstat(many[0]).st_ino for name, many in told.store.items()}
        assert before == after
        assert len(after) == 4
        daemon.stop()
        (daemon.runtime / "wrap.sock").unlink()


# below twistd


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    return folder


def written(folder: Path, port: int) -> str:
    file = folder / "sockd.toml"
    file.write_text(CONFIG.format(port=port), "utf-8")
    return str(file)


def started(daemon: Running) -> None:
    daemon.wait_for(r"runs 2 services on the")


def test_below_twistd_in_the_foreground(tmp_path: Path, runtime: Path, port: int) -> None:
    with running(foreground("sockd", "--config", written(tmp_path, port))) as daemon:
        started(daemon)
        code, said = ask(runtime)
        assert code == 0, said
        assert daemon.process.poll() is None
        serves(port, runtime)
        assert Path(f"/proc/{daemon.pid}/comm").read_text() == "twistd\n"  # as it was called
        assert daemon.stop() == STOPPED
        assert "Traceback" not in daemon.text()


def test_below_twistd_in_the_background(tmp_path: Path, runtime: Path, port: int) -> None:
    """It stays a daemon, with its log and its pid file."""
    command = [*on_suite_reactor("twistd"), "sockd", "--config", written(tmp_path, port)]
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file, log = tmp_path / "twistd.pid", tmp_path / "twistd.log"
    pid = int(file.read_text())
    try:
        wait_until(lambda: "runs 2 services" in log.read_text(), "it runs")
        for _ in range(2):
            code, said = ask(runtime)
            assert code == 0, said + log.read_text()
            assert int(file.read_text()) == pid
            serves(port, runtime)
        assert "\nUmask:\t0077\n" in Path(f"/proc/{pid}/status").read_text()
    finally:
        os.kill(pid, signal.SIGTERM)
    assert is_gone(pid)
    assert not file.exists()
    assert log.read_text().count("runs 2 services") == 3
    assert "Traceback" not in log.read_text()


def test_files_that_the_new_one_could_not_write_are_told_beforehand(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own ones are this user's alone
        folder = Path(name)
        folder.chmod(0o755)
        root, runtime = folder / "root", folder / "run"
        root.mkdir(mode=0o755)
        runtime.mkdir(mode=0o755)
        os.chown(runtime, NOBODY, NOBODY)
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
        options = [f"--pidfile={root}/pid", f"--logfile={root}/log", f"--uid={NOBODY}"]
        command = [*on_suite_reactor("twistd"), "-n", *options, "sockd", "--config"]
        with running([*command, written(folder, port)]) as daemon:
            wait_until(lambda: "set uid/gid" in _text(root / "log"), "it is another user")
            code, said = ask(runtime)
            assert daemon.process.poll() is None
    assert code == 1
    assert f"--pidfile: {root} cannot be written by the user that the daemon has become" in said
    assert f"--logfile: {root}/log cannot be written" in said


def _text(file: Path) -> str:
    return file.read_text("utf-8") if file.exists() else ""


# the parts


def test_code_that_does_not_start_is_told_in_its_own_words() -> None:
    why = check(Restart(argv=[TWISTD, "-n", "sockd", "--set", "service.none.x=1"]))
    assert "none" in why
    assert check(Restart(argv=["/bin/false"])) == "the new code ends with 1 and says nothing"
    assert check(Restart(argv=["/nowhere/python"])) == "/nowhere/python: No such file or directory"


def test_code_that_does_not_say_whether_it_starts_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upgrade, "CHECK_SECONDS", 0.1)
    script = ["/bin/sh", "-c", "exec sleep 1000"]
    assert "has not said within" in check(Restart(argv=script))


def test_a_process_that_can_become_nothing_ends_and_says_so() -> None:
    script = (
        "from sockd.ops.restart import Restart; from sockd.ops.upgrade import become; "
        "become(Restart(argv=['/nowhere/python']), [])"
    )
    done = run(sys.executable, "-c", script)
    assert (done.returncode, done.stderr) == (
        1,
        "sockd: /nowhere/python: No such file or directory\n",
    )


def test_what_is_handed_over_lies_beyond_the_places_that_it_comes_to() -> None:
    with socket.socket() as one, socket.socket() as other:
        given = to_hand_over({"a": one, "b": other})
        assert [name for name, _ in given] == ["a", "b"]
        assert all(number >= 5 for _, number in given)
        assert not any(os.get_inheritable(number) for _, number in given)
        for _, number in given:
            os.close(number)
