"""What people see of an answer: nothing of it acts on a terminal."""

from __future__ import annotations

import json
import socket
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from rich.console import Console

from sockd.cli import main
from sockd.ops.cli.metrics import metrics_text
from sockd.ops.cli.sessions import event_text, sessions_text
from sockd.ops.cli.status import missing_text, status_text
from sockd.ops.cli.switches import disabled_text, enabled_text
from sockd.ops.cli.top import between, busiest, picture, top_text
from sockd.ops.control import client
from sockd.ops.control.frames import ControlError, answer_line, error_line
from tests import commands
from tests.ops.cli.answering import saying

TOTALS = {
    "connections": 7,
    "refused": 2,
    "errors": 0,
    "bytes_in": 5_000,
    "bytes_out": 500,
    "datagrams_in": 0,
    "datagrams_out": 0,
}
EVIL = "\x1b[2J\u202e[bold]"
"""Clears a screen, turns what follows around, and is markup of rich's."""


def service(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "echo",
        "addresses": [
            {
                "transport": "tcp",
                "role": "",
                "address": "127.0.0.1:7",
                "is_listening": True,
                "waits_for": "",
            }
        ],
        "connections": 3,
        "max_connections": 1000,
        "totals": TOTALS,
        "rates": dict.fromkeys(TOTALS, 0.0),
        "refused": {"deny": 2},
        **changes,
    }


def answer(*services: Any, **changes: Any) -> dict[str, Any]:
    return {
        "version": "1.0",
        "pid": 42,
        "ready": True,
        "missing": [],
        "time": 1000.0,
        "uptime": 100.0,
        "reactor": "UvloopReactor",
        "lag": {"now": 0.0001, "p99": 0.002, "worst": 0.03},
        "configuration": {
            "files": ["/etc/sockd.toml"],
            "reloads": 1,
            "failed": 0,
            "restart": [],
            "failure": None,
        },
        "connections": 3,
        "draining": 0,
        "bans": 0,
        "rates_of": 60.0,
        "services": list(services),
        "disabled": [],
        **changes,
    }


def test_a_status_is_a_few_lines_and_a_table() -> None:
    assert status_text(answer(service("echo"))).splitlines() == [
        "sockd 1.0, process 42, up 1m 40s, on the UvloopReactor: ready",
        "configuration: /etc/sockd.toml; read anew 1 time",
        "loop: 0.1 ms late now; in the last minute 2.0 ms or less in 99 %, 30 ms at worst",
        "connections: 3 open, 7 so far; 2 refused",
        "",
        "service  transport  address      open    arrivals/s  refused  in/s  out/s",
        "echo     tcp        127.0.0.1:7  3/1000  0           2        0 B   0 B",
    ]


def test_without_an_address_for_connections_none_are_counted() -> None:
    beacon = service("beacon", connections=0)
    beacon["addresses"][0]["transport"] = "multicast"
    assert status_text(answer(beacon)).splitlines()[-1].split()[:4] == [
        *("beacon", "multicast", "127.0.0.1:7", "-")
    ]


def test_what_is_wrong_is_told_first() -> None:
    text = status_text(
        answer(
            ready=False,
            missing=["echo: 192.0.2.1:7: no such address"],
            draining=2,
            bans=1,
            disabled=[
                {"name": "time", "until_reload": True},
                {"name": "quote", "until_reload": True},
                {"name": "discard", "until_reload": False},
            ],
            configuration={
                "files": [],
                "reloads": 0,
                "failed": 1,
                "restart": ["sockd.log_format"],
                "failure": {"at": 700.0, "reasons": ["a.toml:3: wrong"]},
            },
        )
    )
    assert text.splitlines()[:6] == [
        "sockd 1.0, process 42, up 1m 40s, on the UvloopReactor: not ready",
        "missing: echo: 192.0.2.1:7: no such address",
        "configuration: built in",
        "a restart is needed for: sockd.log_format",
        "the last reload failed 5m ago; all is as it was before:",
        "    a.toml:3: wrong",
    ]
    assert "connections: 3 open and 2 that drain, 0 so far; 0 refused; 1 ban\n" in text
    assert "disabled: discard\ndisabled until the next reload: time, quote\n" in text


def test_addresses_that_are_not_there_say_why() -> None:
    waits = {
        "transport": "tcp",
        "role": "multicast",
        "address": "192.0.2.1:7",
        "is_listening": False,
        "waits_for": "no such address",
    }
    left_out = {**waits, "role": "", "waits_for": ""}
    text = status_text(answer(service("echo", addresses=[waits, left_out])))
    assert "192.0.2.1:7 (multicast) (not yet: no such address)" in text
    assert "192.0.2.1:7 (left out)" in text


def test_nothing_of_an_answer_acts_on_a_terminal() -> None:
    session = {
        "id": 1,
        "service": EVIL,
        "peer": EVIL,
        "door": EVIL,
        "state": EVIL,
        "age": 1,
        "idle": 1,
        "bytes_in": 1,
        "bytes_out": 1,
    }
    event = {**session, "event": "closed", "time": 1, "duration": 1.0, "why": EVIL}
    evil = answer(
        service(EVIL, addresses=[{**service("x")["addresses"][0], "address": EVIL}]),
        missing=[EVIL],
        disabled=[{"name": EVIL, "until_reload": False}],
    )
    output = StringIO()
    Console(file=output, width=200, force_terminal=True).print(picture(evil))
    texts = [sessions_text({"sessions": [session]}), event_text(event), status_text(evil)]
    texts += [event_text({"event": "silent", "services": [EVIL]}), top_text(evil)]
    switched = {"service": EVIL, "changed": True, "connections": 1, "drain": 1.0}
    texts += [missing_text(evil), disabled_text(switched), enabled_text(switched)]
    texts += [metrics_text({"text": EVIL})]
    for text in texts:
        assert "\x1b" not in text
    for text in (*texts, output.getvalue()):
        assert "\x1b[2J" not in text
        assert "\u202e" not in text
        assert "[bold]" in text


def said(line: bytes, place: Path, *command: str) -> tuple[int, str]:
    """Exit code and output of a command that is answered with this line."""
    with saying(line, place):
        result = commands.sockd(*command, "--control", place)
    return result.exit_code, result.output


@pytest.mark.parametrize("command", [["status"], ["sessions", "--follow"], ["top"], ["reload"]])
def test_nothing_of_an_error_acts_on_a_terminal(command: list[str], tmp_path: Path) -> None:
    line = error_line(ControlError(f"a\n{EVIL}", "usage"))
    expected = "sockd: a\n\\x1b[2J\\u202e[bold]\n"
    assert said(line, tmp_path / "control.sock", *command) == (2, expected)


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (["status"], "version"),
        (["sessions"], "sessions"),
        (["top"], "version"),
        (["metrics", "--json"], "text"),
        (["test-access", "echo", "::1", "--json"], "is_allowed"),
        (["doctor"], "configuration"),
        (["reload"], "ok"),
        (["upgrade"], "version"),
    ],
)
def test_what_an_answer_lacks_is_told(command: list[str], missing: str, tmp_path: Path) -> None:
    code, output = said(answer_line({}), tmp_path / "control.sock", *command)
    assert code == 1
    told = f"the answer has no '{missing}': the daemon is not of the ver"
    last = output.splitlines()[-1]
    assert (json.loads(last)["error"] if "--json" in command else last).startswith(
        told if "--json" in command else f"sockd: {told}"
    )


ODD = {
    **dict.fromkeys(("ready", "missing", "services", "sessions", "groups", "bans", "killed"), 7),
    **{"version": 3, "configuration": [], "uptime": "x", "lag": None, "pid": 2.5, "text": None},
    **{"is_allowed": True, "who": 1, "reasons": 3, "ok": False, "level": [], "users": 1},
    **dict.fromkeys(("service", "place", "others", "is_trusted", "rule", "transports"), 7),
}


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["status", "--ready"],
        ["sessions"],
        ["top"],
        ["refused"],
        ["bans"],
        ["ban", "::1"],
        ["chat", "who"],
        ["test-access", "echo", "::1"],
        ["test-access", "echo", "::1", "--json"],
        ["doctor"],
        ["reload"],
    ],
)
def test_what_is_of_another_type_is_told(command: list[str], tmp_path: Path) -> None:
    code, output = said(answer_line(ODD), tmp_path / "control.sock", *command)
    assert code == 1
    assert "the answer cannot be read: the daemon is not of the version" in output
    assert "Traceback" not in output


def test_a_shell_completes_nothing_of_it(tmp_path: Path) -> None:
    for name, command in (("a", "enable"), ("b", "unban")):
        place = tmp_path / name
        with saying(answer_line(ODD), place):
            words = [command, "--control", str(place)]
            shell = ShellComplete(main, {}, "sockd", "_SOCKD_COMPLETE")
            assert shell.get_completions(words, "") == []


@pytest.mark.parametrize("command", ["reload", "upgrade", "status"])
def test_a_daemon_that_stands_still_is_told_and_not_waited_for(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.1)
    place = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        result = commands.sockd(command, "--control", place)
    expected = f"sockd: {place}: the daemon has not answered within 0.1 s\n"
    assert (result.exit_code, result.output) == (1, expected)


def test_an_error_without_a_word_is_told(tmp_path: Path) -> None:
    code, output = said(error_line(ControlError("", "usage")), tmp_path / "c.sock", "status")
    assert (code, output[:28]) == (1, "sockd: the answer cannot be ")


@pytest.mark.parametrize("line", [b"hello\n", b"[]\n", b"\xff\x1b\n"])
@pytest.mark.parametrize("command", ["status", "status --ready", "reload", "kill --all", "top"])
def test_what_is_no_sockd_is_told_with_its_place(command: str, line: bytes, tmp_path: Path) -> None:
    place = tmp_path / "f.sock"
    expected = f"sockd: {place}: what answers there is no sockd\n"
    assert said(line, place, *command.split()) == (1, expected)


@pytest.mark.parametrize("text", ["", "nonsense", "# EOF\nmore", 7])
def test_figures_that_cannot_be_read_are_told_of(text: object, tmp_path: Path) -> None:
    line = answer_line({"text": text})
    code, output = said(line, tmp_path / "control.sock", "metrics", "--json")
    assert code == 1
    assert json.loads(output)["error"].startswith("the answer is not in OpenMetrics: ")


def test_who_does_not_say_that_it_is_ready_is_not(tmp_path: Path) -> None:
    line = answer_line({"ready": "no", "missing": None})
    assert said(line, tmp_path / "control.sock", "status", "--ready") == (1, "")
    assert said(answer_line({}), tmp_path / "another.sock", "status", "--ready") == (1, "")


def test_rates_are_those_since_the_look_before() -> None:
    before = answer(service("echo"), uptime=100.0)
    more = {**TOTALS, "bytes_in": 7_000, "connections": 8, "bytes_out": 0}
    now = answer(service("echo", totals=more), service("new"), uptime=102.0)
    found = between(before, now)
    echo, new = found["services"]
    assert (echo["rates"]["bytes_in"], echo["rates"]["connections"]) == (1000.0, 0.5)
    assert echo["rates"]["bytes_out"] == 0
    assert new["rates"]["bytes_in"] == 2500.0
    assert found["rates_of"] == 2.0


def test_a_daemon_that_was_started_anew_has_its_own_rates() -> None:
    now = answer(service("echo"), uptime=1.0)
    assert between(answer(service("echo"), uptime=100.0), now) == now


def test_the_busiest_service_stands_first() -> None:
    busy = service("busy", rates={**dict.fromkeys(TOTALS, 0.0), "bytes_out": 5.0})
    full = service("full", connections=9)
    found = busiest(answer(service("first"), full, service("second"), busy))
    assert [one["name"] for one in found] == ["busy", "full", "first", "second"]


def test_a_picture_has_a_line_a_service() -> None:
    output = StringIO()
    Console(file=output, width=120).print(picture(answer(service("echo"))))
    assert output.getvalue().splitlines()[-1].split() == [
        "echo", "tcp", "3/1000", "0", "0", "0", "0", "B", "0", "B",
    ]  # fmt: skip
