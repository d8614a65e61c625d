"""The command `sockd`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sockd import __version__
from tests.commands import FOUND, config, runtime, sockd
from tests.daemons import namespace
from tests.processes import (
    SOCKD,
    cpu_seconds,
    on_suite_reactor,
    run,
    running,
    tcp_says,
    unix_says,
)
from tests.security.hosts import on

__all__ = ["runtime"]
COMMANDS = ("check", "config", "run", "services")
HELP_CPU_SECONDS = 0.3
"""What the specification gives `--help`."""


@pytest.fixture
def taken() -> Iterator[int]:
    """A TCP port that this process holds."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def holder() -> str:
    return f"held by {psutil.Process().name()} (process {os.getpid()})"


# help


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_the_commands_and_tells_the_exit_codes(option: str) -> None:
    result = sockd(option)
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.output for name in COMMANDS)
    assert "Exit codes: 0 all is well; 1 a mistake" in " ".join(result.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    result = sockd(command, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: sockd {command}")


def test_help_answers_at_once() -> None:
    assert cpu_seconds(SOCKD, "--help") < HELP_CPU_SECONDS


def test_the_version_is_told() -> None:
    assert sockd("--version").output == f"sockd, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["runn"],
        ["--fast"],
        ["run", "--fast"],
        ["run", "one", "two"],
        ["run", "one", "--config", "two"],
        ["run", "--log-format", "xml"],
        ["run", "--config"],
        ["check", "one", "two"],
        ["check", "one", "--config", "two"],
        ["config", "one", "two"],
        ["services", "ecko"],
        ["run", "-r", "none"],
        ["check", "--only", "ecko"],
        ["check", "--set", "nothing"],
        ["check", "--set", "service.echo.max_connections=many"],
    ],
)
def test_a_mistake_on_the_command_line_is_exit_code_2(arguments: list[str]) -> None:
    done = run(SOCKD, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


# check


def test_check_lists_what_would_listen(tmp_path: Path) -> None:
    local = f"[service.wrap]\nlisten = ['unix:{tmp_path}/wrap.sock']"
    file = config(tmp_path, f"[service.echo]\n{local}")
    result = sockd("check", file)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"read {file}",
        "echo: tcp 127.0.0.1:10007",
        "echo: tcp [::1]:10007",
        "echo: udp 127.0.0.1:10007",
        "echo: udp [::1]:10007",
        f"wrap: unix {tmp_path}/wrap.sock",
    ]


def test_a_file_may_be_named_with_the_option_too(tmp_path: Path) -> None:
    file = config(tmp_path, "[service.echo]")
    named = sockd("check", file).output
    assert named.startswith(f"read {file}\necho: ")
    assert sockd("check", "--config", file).output == sockd("check", "-c", file).output == named


def test_check_without_a_file_checks_the_built_in_configuration(runtime: Path) -> None:
    result = sockd("check")
    assert result.exit_code == 0
    for kind in FOUND.kinds.values():
        for instance in kind.instances:
            assert f"\n{instance.name}: " in f"\n{result.output}"
    assert f"\nwrap: unix {runtime}/wrap.sock\n" in result.output


def test_only_and_set_change_what_is_checked() -> None:
    result = sockd("check", "--only", "said,ack", "--set", 'service.said.listen=["tcp:9"]')
    assert result.output.splitlines()[-1] == "said: tcp 0.0.0.0:9"
    assert "echo" not in result.output


def test_check_tells_every_mistake_and_has_exit_code_1(tmp_path: Path) -> None:
    file = config(tmp_path, "[service.ecko]\n[service.ack]\nidle_timeout = 'soon'")
    done = run(SOCKD, "check", str(file))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "sockd: 2 mistakes in the configuration",
        f"{file}:1: service.ecko: there is no kind of service 'ecko'; did you mean 'echo'?",
        f"{file}:3: service.ack.idle_timeout: "
        'expected a duration such as "30s", "2m" or "1d", got \'soon\'',
    ]


def test_check_warns(tmp_path: Path) -> None:
    file = config(tmp_path, "[service.echo]\nlisten = ['udp:9']")
    result = sockd("check", file)
    assert result.exit_code == 0
    assert "warning: service.echo: udp:9 answers datagrams of everybody" in result.output


def test_check_as_json_is_one_object_of_what_was_read_and_found(tmp_path: Path) -> None:
    file = config(tmp_path, "[service.said]\nlisten = ['tcp:9']\nreply_burst = 3")
    done = run(SOCKD, "check", "--json", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    [warning] = found.pop("warnings")
    assert warning.startswith("service.said.reply_burst: without effect")
    listen = {"transport": "tcp", "address": "0.0.0.0:9", "text": "tcp:9"}
    assert found == {
        "ok": True,
        "files": [str(file)],
        "instances": [{"name": "said", "kind": "said", "listen": [listen]}],
        "disabled": [],
        "mistakes": [],
        "failures": [],
    }


def test_check_as_json_tells_every_mistake_with_its_place_apart(tmp_path: Path) -> None:
    file = config(tmp_path, "[service.ecko]\n[service.ack]\nidle_timeout = 'soon'")
    done = run(SOCKD, "check", "--json", str(file), "--set", "service.ack.x=1")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert (found["ok"], found["files"], found["instances"]) == (False, [str(file)], [])
    assert [(one["file"], one["line"], one["key"]) for one in found["mistakes"]] == [
        (None, None, "service.ack.x"),
        (str(file), 1, "service.ecko"),
        (str(file), 3, "service.ack.idle_timeout"),
    ]
    assert found["mistakes"][0] == {
        "place": "--set service.ack.x=1",
        "file": None,
        "line": None,
        "key": "service.ack.x",
        "message": "unknown key; `sockd services ack` tells which there are",
    }


def test_check_as_json_names_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "none\udc80.toml"
    done = run(SOCKD, "check", "--json", str(file))
    assert done.returncode == 1
    [mistake] = json.loads(done.stdout)["mistakes"]
    assert (mistake["file"], mistake["line"]) == (str(file), None)
    assert mistake["message"] == "the name of the file is not UTF-8"


def test_check_as_json_tells_what_cannot_be_bound(tmp_path: Path, taken: int) -> None:
    file = config(tmp_path, f"[service.said]\nlisten = ['tcp:{taken}:interface=127.0.0.1']")
    done = run(SOCKD, "check", "--json", "--bind", str(file))
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["ok"], len(found["failures"])) == (False, 1)
    assert holder() in found["failures"][0]


def test_check_names_the_files_of_conf_d_too(tmp_path: Path) -> None:
    file = config(tmp_path, "[service.said]")
    beside = tmp_path / "conf.d" / "more.toml"
    beside.parent.mkdir()
    beside.write_text("[service.said]\nmax_line = 9", "utf-8")
    assert sockd("check", file).output.startswith(f"read {file}\nread {beside}\nsaid: ")


def test_a_command_line_that_is_wrong_beside_a_file_that_is_wrong_is_exit_code_1(
    tmp_path: Path,
) -> None:
    file = config(tmp_path, "[service.said]\nmax_lime = 9")
    for wrong in (["--only", "said,none"], ["--set", "nothing"]):
        done = run(SOCKD, "check", str(file), *wrong)
        assert done.returncode == 1
        assert done.stderr.startswith("sockd: 2 mistakes in the configuration\n")


def test_check_bind_says_service_address_and_who_holds_it(tmp_path: Path, taken: int) -> None:
    text = f"[service.echo]\nlisten = ['tcp:{taken}:interface=127.0.0.1', 'tcp:0']\n[service.wrap]"
    file = config(tmp_path, text)
    done = run(SOCKD, "check", "--bind", str(file))
    assert done.returncode == 1
    assert done.stdout.startswith(f"read {file}\necho: tcp 127.0.0.1:{taken}\n")
    assert done.stderr.splitlines() == [
        "sockd: some addresses cannot be bound",
        f"echo: cannot listen on tcp 127.0.0.1:{taken}: address in use, {holder()}",
    ]


def test_check_bind_names_every_address_that_is_held(tmp_path: Path, runtime: Path) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as local,
    ):
        datagrams.bind(("127.0.0.1", 0))
        port = datagrams.getsockname()[1]
        local.bind(str(runtime / "wrap.sock"))
        local.listen()
        text = f"[service.echo]\nlisten = ['udp:{port}:interface=127.0.0.1']\n[service.wrap]"
        result = sockd("check", "--bind", config(tmp_path, text))
        assert result.exit_code == 1
        assert result.output.splitlines()[-2:] == [
            f"echo: cannot listen on udp 127.0.0.1:{port}: address in use, held by this daemon",
            f"wrap: cannot listen on unix {runtime}/wrap.sock: this daemon listens there already",
        ]


def test_check_bind_removes_a_dead_socket_file_as_its_help_says(
    tmp_path: Path, runtime: Path
) -> None:
    dead = runtime / "wrap.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    file = config(tmp_path, "[service.wrap]")
    assert sockd("check", file).exit_code == 0
    assert dead.exists()
    assert sockd("check", "--bind", file).exit_code == 0
    assert not dead.exists()
    told = " ".join(sockd("check", "--help").output.split())
    assert "a socket file in the way that nobody listens at is removed" in told


def test_check_bind_lets_everything_go_again(tmp_path: Path, runtime: Path) -> None:
    listen = "['tcp:10007:interface=localhost', 'udp:10007:interface=localhost']"
    file = config(tmp_path, f"[service.echo]\nlisten = {listen}\n[service.wrap]")
    with namespace() as host:  # where nobody else binds anything
        for _ in range(2):
            assert on(host, lambda: sockd("check", "--bind", file)).exit_code == 0
    assert list(runtime.iterdir()) == []


# run


def test_run_prints_where_everything_is_serves_and_stops(tmp_path: Path, runtime: Path) -> None:
    text = "[service.said]\nlisten = ['tcp:0:interface=127.0.0.1']\n[service.wrap]"
    file = str(config(tmp_path, text))
    for number, named in ((signal.SIGTERM, [file]), (signal.SIGINT, ["--config", file])):
        with running([*on_suite_reactor("run"), *named]) as daemon:
            table = daemon.wait_for(
                r"^sockd \S+ runs 2 services on the (\w+); \^C stops it\n\n"
                r"service +transport +address +try it with\n"
                r"said +tcp +127\.0\.0\.1:(\d+) +.+\n"
                rf"wrap +unix +{runtime}/wrap\.sock +.+\n"
            )
            assert tcp_says(int(table[2]), b"hi\n") == b"You said:hi\r\n"
            assert unix_says(runtime / "wrap.sock", b"hi\n") == b"hi\r\n"
            assert daemon.stop(number) == 0
            assert "Traceback" not in daemon.text()
        assert list(runtime.iterdir()) == []


def test_run_as_json_writes_nothing_but_events(tmp_path: Path) -> None:
    text = "[service.said]\nlisten = ['tcp:0:interface=127.0.0.1']"
    file = str(config(tmp_path, text))
    with running([*on_suite_reactor("run"), "--log-format", "json", "-c", file]) as daemon:
        port = daemon.wait_for(r'"local_port": (\d+)')[1]
        daemon.wait_for('"event": "started"')
        tcp_says(int(port), b"hi\n")
        assert daemon.stop() == 0
        events = [json.loads(line)["event"] for line in daemon.text().splitlines()]
    assert events[:3] == ["listening", "control", "started"]
    assert {"opened", "closed"} <= set(events)


def test_what_is_missing_and_may_be_is_told_once_at_a_start(tmp_path: Path) -> None:
    text = "[service.said]\nrequired = false\nlisten = ['tls:5:/nowhere/k:/nowhere/c']"
    file = str(config(tmp_path, text))
    with running([*on_suite_reactor("run"), "--log-format", "json", "-c", file]) as daemon:
        daemon.wait_for('"event": "started"')
        assert daemon.stop() == 0
        events = [json.loads(line) for line in daemon.text().splitlines()]
    assert [one["event"] for one in events if "/nowhere/c" in one["message"]] == ["retry"]


def test_after_a_mistake_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as kept:
        # nobody else gets the port, but a daemon could listen there all the same
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        text = f"[service.said]\nlisten = ['tcp:{port}:interface=127.0.0.1']\n[service.ecko]"
        done = run(*on_suite_reactor("run"), "-c", str(config(tmp_path, text)))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("sockd: a mistake in the configuration\n")
        with pytest.raises(ConnectionRefusedError):
            tcp_says(port)


def test_a_start_that_fails_says_who_holds_the_address_and_leaves_nothing(
    tmp_path: Path, runtime: Path, taken: int
) -> None:
    text = f"[service.wrap]\n[service.said]\nlisten = ['tcp:{taken}:interface=127.0.0.1']"
    done = run(*on_suite_reactor("run"), "-c", str(config(tmp_path, text)))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"said: cannot listen on tcp 127.0.0.1:{taken}: address in use, {holder()}",
        "sockd: not started",
    ]
    assert list(runtime.iterdir()) == []


@pytest.mark.uvloop
@pytest.mark.parametrize("descriptors", [8, 12, 15, 16])
def test_a_start_without_descriptors_says_so_and_leaves_nothing(
    descriptors: int, tmp_path: Path, runtime: Path
) -> None:
    """Whether there are none for the loop, for the listener, or for the loop that begins to run."""
    text = "[service.wrap]"
    limit = ("prlimit", f"--nofile={descriptors}")
    done = run(*limit, *on_suite_reactor("run"), "-c", str(config(tmp_path, text)))
    assert done.returncode == 1
    assert ": Too many open files\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(runtime.iterdir()) == []


def test_a_reactor_that_there_is_not_is_told_with_those_that_there_are() -> None:
    done = subprocess.run(
        [SOCKD, "run", "-r", "none"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    start = "sockd: there is no reactor 'none'; there are "
    assert done.stderr.startswith(start)
    names = done.stderr.removeprefix(start).rstrip().split(", ")
    assert {"asyncio", "epoll", "poll", "select"} <= set(names)
    assert not {"iocp", "kqueue", "win32", "cf"} & set(names)


def test_a_reactor_of_another_system_is_told_with_those_of_this_one() -> None:
    done = run(SOCKD, "run", "-r", "iocp")
    assert done.returncode == 2
    assert done.stderr.startswith("sockd: the reactor 'iocp' does not work here (")
    assert "; there are asyncio, " in done.stderr
