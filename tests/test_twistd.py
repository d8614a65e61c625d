"""The options of twistd's commands, and one kind of service alone."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from sockd.service import find
from tests.processes import (
    STOPPED,
    TWISTD,
    cpu_seconds,
    foreground,
    port_of,
    run,
    running,
    tcp_says,
    udp_says,
    unix_says,
)

FOUND = find()
MOST_OF_TWISTD = 1.6
"""Of what twistd takes for itself, which is most of the 0.3 s that `--help` may take."""


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
    file.write_text(
        "[service.said]\nlisten = ['tcp:0:interface=127.0.0.1']\n"
        "[service.echo]\nlisten = ['udp:0:interface=127.0.0.1']\n"
        "[service.wrap]",
        "utf-8",
    )
    return str(file)


def test_check_lists_what_would_listen_and_starts_nothing(config: str, runtime: Path) -> None:
    done = run(TWISTD, "-n", "sockd", "--check", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"read {config}",
        "said: tcp 127.0.0.1:0",
        "echo: udp 127.0.0.1:0",
        f"wrap: unix {runtime}/wrap.sock",
    ]
    assert list(runtime.iterdir()) == []


def test_only_and_set_choose_and_change(config: str) -> None:
    changed = "service.said.listen=['tcp:7:interface=127.0.0.1']"
    argv = ["sockd", "--check", "-c", config, "--only", "said,echo", "--set", changed]
    done = run(TWISTD, *argv, "--set", "defaults.idle_timeout=5s")
    assert done.stdout.splitlines()[1:] == ["said: tcp 127.0.0.1:7", "echo: udp 127.0.0.1:0"]
    done = run(TWISTD, *argv, "--set", "defaults.idle_timeout=soon")
    assert done.returncode == 2
    assert "--set defaults.idle_timeout=soon: defaults.idle_timeout: expected" in done.stderr


@pytest.mark.parametrize("command", ["sockd", "sockd-reverse"])
def test_help_answers_at_once(command: str) -> None:
    pairs = [
        (cpu_seconds(TWISTD, command, "--help", tries=1), cpu_seconds(TWISTD, "--version", tries=1))
        for _ in range(5)
    ]
    assert min(ours / twistds for ours, twistds in pairs) < MOST_OF_TWISTD


def test_there_is_a_command_for_every_kind_with_the_same_description() -> None:
    lines = run(TWISTD, "--help").stdout.splitlines()
    commands: dict[str, str] = {}
    last = ""
    for line in lines[lines.index("Commands:") + 1 :]:
        if found := re.match(r"    (\S+) +(.*)", line):
            last = found[1]
            commands[last] = found[2]
        elif last:
            commands[last] += f" {line.strip()}"
    mine = {name: text for name, text in commands.items() if name.startswith("sockd-")}
    assert mine == {f"sockd-{kind.name}": kind.summary for kind in FOUND.kinds.values()}
    assert "sockd" in commands


@pytest.mark.parametrize("command", ["sockd", "sockd-echo"])
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--bogus"], "option --bogus not recognized"),
        (["extra"], "unexpected: extra"),
        (["--set"], "option --set requires argument"),
    ],
)
def test_a_command_line_that_cannot_be_read_ends_with_2(
    command: str, arguments: list[str], why: str
) -> None:
    done = run(TWISTD, "-n", command, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sockd: {why} (`twistd {command} --help` tells what there is)\n"


def test_only_without_a_name_runs_nothing(config: str) -> None:
    done = run(TWISTD, "-n", "sockd", "--config", config, "--only", "")
    assert done.returncode == 2
    assert done.stderr.endswith("\n--only: expected names, as in echo,time; got ''\n")


# one kind alone

ALONE = [
    ("reverse", "tcp:0:interface=127.0.0.1", b"stressed\n", b"desserts\r\n"),
    ("reverse", "udp:0:interface=127.0.0.1", b"7: stressed", b"7: desserts"),
    ("factor", "tcp:0:interface=127.0.0.1", b"42\n", b"2 3 7\r\n"),
    ("wrap", "unix:SOCKET:mode=600", b"hi\n", b"hi\r\n"),
]


@pytest.mark.parametrize(("kind", "listen", "data", "answer"), ALONE)
def test_a_kind_runs_alone(
    kind: str, listen: str, data: bytes, answer: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    transport = listen.partition(":")[0]
    argv = foreground(f"sockd-{kind}", "--listen", listen.replace("SOCKET", str(path)))
    with running(argv) as daemon:
        daemon.wait_for("runs 1 services? on the")
        if transport == "unix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert unix_says(path, data) == answer
        elif transport == "udp":
            assert udp_says(port_of(daemon, kind, "udp"), data) == answer
        else:
            assert tcp_says(port_of(daemon, kind), data) == answer
        assert daemon.stop() == STOPPED
        assert "Traceback" not in daemon.text()
    assert not path.exists()


def test_a_kind_alone_takes_its_own_settings_without_a_table(runtime: Path) -> None:
    argv = foreground("sockd-wrap", "--set", "columns=5", "--set", "service.wrap.max_line=9")
    with running(argv) as daemon:
        daemon.wait_for("runs 1 services? on the")
        assert unix_says(runtime / "wrap.sock", b"one two three\n") == b"one\r\ntwo\r\nthree\r\n"
        assert daemon.stop() == STOPPED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["sockd-wrap", "--listen", "udp:0"],
            "--listen: service.wrap.listen[0]: "
            "wrap does not work over udp, only over tcp, tls, unix",
        ),
        (
            ["sockd-wrap", "--set", "colums=5"],
            "--set service.wrap.colums=5: service.wrap.colums: "
            "unknown key; did you mean 'columns'?",
        ),
    ],
)
def test_a_mistake_about_a_kind_alone_is_told(arguments: list[str], message: str) -> None:
    done = run(TWISTD, "-n", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == ["sockd: a mistake in the configuration", message]
