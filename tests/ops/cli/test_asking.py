"""Commands that ask a running daemon, as an administrator types them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete

from sockd.cli import main
from tests import commands
from tests.daemons import Daemon
from tests.processes import NOBODY, SOCKD, run, running, wait_until

CONFIG = """
[service.echo]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
[service.discard]
listen = ["tcp:0:interface=127.0.0.1"]
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("asking"), CONFIG) as daemon:
        yield daemon


def path(daemon: Daemon) -> str:
    return str(daemon.runtime / "control.sock")


def say(daemon: Daemon, command: str, *arguments: str, code: int = 0) -> str:
    """What a command prints."""
    result = commands.sockd(command, *arguments, "--control", path(daemon))
    assert result.exit_code == code, result.output
    return result.output


def ask(daemon: Daemon, command: str, *arguments: str, code: int = 0) -> Any:
    """What it prints for programs."""
    return json.loads(say(daemon, command, *arguments, "--json", code=code))


def connect(daemon: Daemon, service: str = "echo") -> tuple[socket.socket, int]:
    """A connection that the daemon has, and its id."""
    sock = daemon.connect(service)
    port = sock.getsockname()[1]
    event = daemon.wait_for("opened", peer_port=port)
    return sock, event["connection"]


def test_every_command_that_asks_a_daemon_can_be_told_where_and_tell_programs() -> None:
    chat = main.commands["chat"]
    assert isinstance(chat, click.Group)
    every = {**main.commands, **{f"chat {name}": one for name, one in chat.commands.items()}}
    asks, is_told = (
        {name for name, one in every.items() if option in {param.name for param in one.params}}
        for option in ("control", "as_json")
    )
    no_daemon = {"run", "check", "services", "config", "completion", "import"}
    assert every.keys() - asks == {*no_daemon, "chat"}
    assert every.keys() - is_told == {"run", "completion", "chat"}


def test_status_for_people_and_for_programs(daemon: Daemon) -> None:
    text, answer = say(daemon, "status"), ask(daemon, "status")
    assert f"process {daemon.pid}, " in text
    assert answer["pid"] == daemon.pid
    for service in answer["services"]:
        assert f"\n{service['name']} " in text
        for address in service["addresses"]:
            assert address["address"] in text


def test_a_health_check_says_nothing_and_has_an_exit_code(daemon: Daemon) -> None:
    assert say(daemon, "status", "--ready") == ""
    assert ask(daemon, "status", "--ready") == {"ready": True, "missing": []}
    done = run(SOCKD, "status", "--ready", "--control", "/nowhere/control.sock")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no daemon answers: /nowhere/control.sock" in done.stderr


def test_sessions_are_listed_and_killed_by_what_is_said_of_them(daemon: Daemon) -> None:
    first, one = connect(daemon)
    second, other = connect(daemon, "discard")
    with first, second:
        chosen = [str(one), str(other)]
        assert {session["id"] for session in ask(daemon, "sessions", *chosen)["sessions"]} == {
            one, other,
        }  # fmt: skip
        lines = say(daemon, "sessions", *chosen, "--service", "discard").splitlines()
        assert [line.split()[0] for line in lines] == ["id", str(other)]
        nobody = ("--from", "192.0.2.0/24")
        assert say(daemon, "kill", *chosen, *nobody, code=1) == "0 connections ended\n"
        assert say(daemon, "kill", *chosen, "-s", "discard") == "1 connection ended\n"
        assert daemon.wait_for("closed", connection=other)["reason"] == "killed"
        first.sendall(b"x")
        assert first.recv(1) == b"x"


def test_kill_without_a_word_kills_nobody(daemon: Daemon) -> None:
    sock, _ = connect(daemon)
    with sock:
        assert "say which: an ID, " in say(daemon, "kill", code=2)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--idle", "soon"], 'expected a duration such as "30s", "2m" or "1d"'),
        (["--from", "10.0.0.1/8"], "bits set behind its prefix"),
        (["--service", "ecko"], "there is no service 'ecko'; did you mean 'echo'?"),
        (["--follow", "--idle", "5s"], "chosen by service and source only"),
        (["x"], "'x' is not a valid integer"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_told(
    daemon: Daemon, arguments: list[str], why: str
) -> None:
    assert why in say(daemon, "sessions", *arguments, code=2)


def test_for_programs_a_mistake_is_an_object_too(daemon: Daemon) -> None:
    told = ask(daemon, "sessions", "--service", "ecko", code=2)
    assert (told["ok"], told["kind"]) == (False, "usage")
    assert "did you mean 'echo'?" in told["error"]


def test_who_comes_and_goes_is_told_until_ctrl_c(daemon: Daemon) -> None:
    argv = [SOCKD, "sessions", "--follow", "--service", "echo", "--control", path(daemon)]
    with running(argv) as follower:

        def hears() -> bool:
            daemon.connect("echo").close()
            return "opened" in follower.text()

        wait_until(hears, "it hears")
        follower.wait_for(r"opened \d+ echo 127\.0\.0\.1:\d+ tcp 127\.0\.0\.1:\d+\n")
        follower.wait_for(r"closed \d+ echo .*: done\n")
        follower.process.send_signal(signal.SIGINT)
        assert follower.process.wait(60) == 0


def test_a_service_is_disabled_until_it_is_enabled_or_all_is_reloaded(daemon: Daemon) -> None:
    sock, _ = connect(daemon, "discard")
    with sock:
        assert say(daemon, "disable", "discard").startswith(
            "discard is disabled until the next reload; "
        )
        assert sock.recv(1) == b""
    assert say(daemon, "disable", "discard") == "discard is disabled already\n"
    assert "disabled until the next reload: discard" in say(daemon, "status")
    assert say(daemon, "enable", "discard") == "discard runs\n"
    assert say(daemon, "enable", "discard") == "discard is not disabled\n"
    say(daemon, "disable", "discard")
    assert "discard: added" in say(daemon, "reload")
    assert say(daemon, "enable", "discard") == "discard is not disabled\n"
    assert "did you mean 'discard'?" in say(daemon, "disable", "discart", code=2)
    daemon.wait_for("command", arguments='{"service": "discard"}')


def test_the_log_can_tell_less_and_more_again(daemon: Daemon) -> None:
    before = ask(daemon, "log-level")["level"]
    assert say(daemon, "log-level", "warn") == f"warn, no longer {before}\n"
    with daemon.connect("echo") as untold:
        untold.sendall(b"x")
        assert untold.recv(1) == b"x"
        port = untold.getsockname()[1]
        assert say(daemon, "log-level", before) == f"{before}, no longer warn\n"
        told, _ = connect(daemon)
        told.close()
        assert port not in [event["peer_port"] for event in daemon.events("opened")]
    assert "there is no level 'wran'; did you mean 'warn'?" in say(
        daemon, "log-level", "wran", code=2
    )


def test_who_follows_a_daemon_that_ends_is_told_so(tmp_path: Path) -> None:
    place = str(tmp_path / "control.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()

        def end_at_once() -> None:
            asking, _ = server.accept()
            with asking:
                asking.recv(65536)

        thread = threading.Thread(target=end_at_once)
        thread.start()
        result = commands.sockd("sessions", "--follow", "--control", place)
        thread.join()
    assert (result.exit_code, result.output) == (1, "sockd: the daemon has ended\n")


def test_top_shows_a_picture_a_look(daemon: Daemon) -> None:
    text = say(daemon, "top", "--count", "2", "--interval", "100ms")
    assert text.count("\nservice ") == 2
    looks = say(daemon, "top", "-c", "2", "-i", "0.1", "--json").splitlines()
    assert [json.loads(look)["pid"] for look in looks] == [daemon.pid] * 2
    assert json.loads(looks[1])["rates_of"] >= 0.1


@pytest.mark.parametrize(("term", "options"), [("dumb", []), ("xterm", []), ("xterm", ["-c", "1"])])
def test_on_a_terminal_there_is_a_picture_and_the_last_one_stays(
    daemon: Daemon, term: str, options: list[str]
) -> None:
    argv = [SOCKD, "top", "-i", "0.1", "--control", path(daemon), *options]
    environment = {"TERM": term, "COLUMNS": "100", "LINES": "30"}
    with running(["script", "-qec", shlex.join(argv), "/dev/null"], environment=environment) as top:
        top.wait_for("echo +tcp udp")
        if not options:
            top.process.send_signal(signal.SIGTERM)
        top.process.wait(60)
    has_screen = "\x1b[?1049h" in top.text()
    assert has_screen == (term == "xterm" and not options)


def test_nowhere_is_no_daemon() -> None:
    result = commands.sockd("kill", "--all", "--control", "")
    assert result.exit_code == 1
    assert "no daemon answers: " in result.output


def test_a_shell_completes_the_services_that_there_are(daemon: Daemon, tmp_path: Path) -> None:
    for command in ("disable", "enable"):
        words = f"sockd {command} --control {path(daemon)} "
        assert completed(words, "") == ["discard", "echo"]
        assert completed(words, "e") == ["echo"]
    assert completed(f"sockd kill --control {path(daemon)} --service ", "d") == ["discard"]
    assert completed(f"sockd test-access --control {path(daemon)} ", "") == ["discard", "echo"]
    assert completed(f"sockd refused --control {path(daemon)} -s ", "e") == ["echo"]
    for command in ("disable", "unban"):
        assert completed(f"sockd {command} --control {tmp_path}/none ", "") == []


def test_a_shell_completes_what_is_banned_and_levels_of_the_log(daemon: Daemon) -> None:
    say(daemon, "ban", "192.0.2.7", "2001:db8::/64")
    words = f"sockd unban --control {path(daemon)} "
    assert completed(words, "") == ["192.0.2.7/32", "2001:db8::/64"]
    assert completed(words, "20") == ["2001:db8::/64"]
    levels = json.loads(say(daemon, "log-level", "--json"))["levels"]
    assert completed("sockd log-level ", "") == levels
    assert completed("sockd log-level ", "w") == ["warn"]


def test_for_programs_each_figure_is_an_object(daemon: Daemon) -> None:
    samples = json.loads(say(daemon, "metrics", "--json"))["samples"]
    found = {(one["name"], one["labels"].get("service")): one["value"] for one in samples}
    assert found["sockd_connections_limit", "echo"] == 1000
    assert found["sockd_bans", None] == len(json.loads(say(daemon, "bans", "--json"))["bans"])


def test_who_may_not_ask_is_told_who_may(daemon: Daemon) -> None:
    os.seteuid(NOBODY)
    try:
        result = commands.sockd("status", "--control", path(daemon))
    finally:
        os.seteuid(0)
    assert result.exit_code == 1
    assert "Permission denied (root and the daemon's user may ask)" in result.output


@pytest.mark.parametrize("words", [[], ["chat"]])
def test_a_list_of_commands_has_whole_sentences(words: list[str]) -> None:
    listed = commands.sockd(*words, "--help").output.partition("Commands:\n")[2].splitlines()
    assert len(listed) > 5
    assert [line for line in listed if line.endswith("...") or not line.endswith(".")] == []


def completed(words: str, incomplete: str) -> list[str]:
    """What a shell offers behind these words."""
    args = words.split()[1:]
    found = ShellComplete(main, {}, "sockd", "_SOCKD_COMPLETE").get_completions(args, incomplete)
    return [item.value for item in found]


def test_services_are_told_for_programs_too() -> None:
    found = json.loads(commands.sockd("services", "--json").output)
    assert {one["name"] for one in found["services"]} == commands.FOUND.kinds.keys()
    echo = json.loads(commands.sockd("services", "echo", "--json").output)
    assert (echo["name"], echo["transports"][0]) == ("echo", "tcp")
    [timeout] = [one for one in echo["limits"] if one["name"] == "idle_timeout"]
    assert (timeout["default"], timeout["change"]) == ('"2m"', "now")
    assert json.loads(commands.sockd("services", "fortune", "--json").output)["name"] == "exec"
    assert commands.sockd("services", "ecko", "--json").exit_code == 2


@pytest.mark.parametrize(
    "command",
    ["status", "sessions", "kill --all", "enable echo", "disable echo", "log-level", "top"],
)
def test_without_a_daemon_every_command_says_where_it_was_looked_for(
    command: str, tmp_path: Path
) -> None:
    result = commands.sockd(*command.split(), "--control", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert f"no daemon answers: {tmp_path}/none: No such file or directory" in result.output
