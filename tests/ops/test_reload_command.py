"""`sockd reload` and SIGHUP, with a daemon."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from sockd.cli import main
from tests.daemons import Daemon
from tests.processes import SOCKD, run, wait_until

GOOD = "[service.echo]\nlisten = ['tcp:0:interface=127.0.0.1']\n"
OTHER = f"{GOOD}idle_timeout = '7s'\n[service.wrap]\n"
BAD = f"{GOOD}idle_timeout = 'soon'\nidle_timout = '7s'\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("reload"), GOOD) as daemon:
        yield daemon


@pytest.fixture
def daemon(running: Daemon) -> Iterator[Daemon]:
    """The same for every test, which begins with `GOOD`."""
    yield running
    write(running, GOOD)
    hang_up(running, "reloaded")


def write(daemon: Daemon, text: str) -> None:
    (daemon.folder / "sockd.toml").write_text(text, "utf-8")


def reload(daemon: Daemon, *options: str, path: str = "control.sock") -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    argv = ["reload", "--control", str(daemon.runtime / path), *options]
    done = CliRunner().invoke(main, argv, prog_name="sockd")
    return done.exit_code, done.stdout, done.stderr


def test_it_says_what_has_changed_and_ends_with_0_once_it_holds(daemon: Daemon) -> None:
    assert reload(daemon) == (0, "nothing is different\n", "")
    write(daemon, OTHER)
    changed, place = 'idle_timeout "2m" -> "7s"', f"{daemon.runtime}/wrap.sock"
    would = f"echo: changed: {changed}\nwrap: added: + unix {place}\n"
    assert reload(daemon, "--dry-run") == (0, would, "")
    assert not (daemon.runtime / "wrap.sock").exists()
    assert reload(daemon) == (0, would, "")
    assert (daemon.runtime / "wrap.sock").is_socket()
    write(daemon, GOOD)
    code, text, _ = reload(daemon, "--json")
    answer = json.loads(text)
    assert (code, answer["ok"], answer["reasons"]) == (0, True, [])
    assert answer["steps"][1] == f"wrap: removed: - unix {daemon.runtime}/wrap.sock"
    assert not (daemon.runtime / "wrap.sock").exists()


def test_it_ends_with_1_and_every_reason_where_nothing_is_changed(daemon: Daemon) -> None:
    write(daemon, BAD)
    code, output, error = reload(daemon)
    first, *reasons = error.splitlines()
    assert (code, output, first) == (1, "", "sockd: not reloaded: the daemon goes on as it was")
    assert sorted(reason.partition("sockd.toml:")[2][:24] for reason in reasons) == [
        "3: service.echo.idle_tim",
        "4: service.echo.idle_tim",
    ]
    code, output, error = reload(daemon, "--json", "--dry-run")
    answer = json.loads(output)
    assert (code, error, answer["ok"], answer["reasons"]) == (1, "", False, reasons)


def test_without_a_daemon_it_says_where_there_is_none(tmp_path: Path) -> None:
    done = run(SOCKD, "reload", "--control", f"{tmp_path}/none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"sockd: no daemon answers: {tmp_path}/none: No such file")


def test_the_control_socket_moves_and_who_asked_is_told(daemon: Daemon) -> None:
    write(daemon, f"[sockd]\ncontrol = '{daemon.runtime}/moved.sock'\n{GOOD}")
    code, output, _ = reload(daemon)
    assert (code, output.startswith("sockd: changed: control")) == (0, True)
    assert reload(daemon)[0] == 1
    assert not (daemon.runtime / "control.sock").exists()
    assert reload(daemon, path="moved.sock") == (0, "nothing is different\n", "")


def test_the_environment_can_say_where_the_control_socket_is(daemon: Daemon) -> None:
    environment = {"SOCKD_CONTROL": str(daemon.runtime / "control.sock"), "RUNTIME_DIRECTORY": "/"}
    done = CliRunner(env=environment).invoke(main, ["reload"], prog_name="sockd")
    assert (done.exit_code, done.stdout) == (0, "nothing is different\n")


def test_it_moves_only_with_all_else(daemon: Daemon) -> None:
    write(daemon, f"[sockd]\ncontrol = '{daemon.runtime}/moved.sock'\n{GOOD}[service.echo-2]\n"
        "kind = 'echo'\nlisten = ['tcp:0:interface=192.0.2.1']\n")  # fmt: skip
    assert "Cannot assign requested address" in reload(daemon)[2]
    assert not (daemon.runtime / "moved.sock").exists()
    write(daemon, GOOD)
    assert reload(daemon) == (0, "nothing is different\n", "")


def hang_up(daemon: Daemon, event: str) -> dict[str, object]:
    """Send the signal; the event that comes of it."""
    before = len(daemon.events(event))
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: len(daemon.events(event)) > before, daemon.text)
    return daemon.events(event)[-1]


def test_a_hang_up_reloads_without_a_control_socket_and_the_log_says_what_it_did(
    daemon: Daemon,
) -> None:
    off = "[sockd]\ncontrol = 'off'\n"
    write(daemon, off + GOOD)
    hang_up(daemon, "reloaded")
    assert not (daemon.runtime / "control.sock").exists()
    write(daemon, off + OTHER)
    hang_up(daemon, "reloaded")
    assert [event["step"] for event in daemon.events("reload-step")][-3:] == [
        'sockd: changed: control "control.sock" -> "off"',
        'echo: changed: idle_timeout "2m" -> "7s"',
        f"wrap: added: + unix {daemon.runtime}/wrap.sock",
    ]
    write(daemon, off + BAD)
    failed = hang_up(daemon, "reload-failed")
    assert "sockd.toml:" in str(failed["detail"])
    write(daemon, GOOD)
    hang_up(daemon, "reloaded")
    assert reload(daemon) == (0, "nothing is different\n", "")


def test_a_hang_up_brings_the_control_socket_back_whose_file_is_gone(daemon: Daemon) -> None:
    file = daemon.runtime / "control.sock"
    before = file.stat().st_ino
    assert reload(daemon)[0] == 0
    assert file.stat().st_ino == before, "it stays where nobody has touched it"
    file.unlink()
    hang_up(daemon, "reloaded")
    assert reload(daemon) == (0, "nothing is different\n", "")
