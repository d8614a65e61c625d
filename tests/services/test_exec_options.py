"""Options of exec that cannot be meant so: told before anything runs, in words."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from sockd.access.reasons import because
from sockd.config.document import ConfigError
from sockd.formats.quotes import builtin_quotes
from sockd.net import program
from sockd.net.commands import ExecOptions, check
from sockd.options.user import Group, User
from sockd.services.exec import Programs
from tests.helpers import LogRecorder, connect, make_context
from tests.processes import NOBODY


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/no/such/program", "there is no program '/no/such/program'"),
        ("no-such-program", f"there is no program 'no-such-program' in {program.PATH}"),
        ("/etc/passwd", "'/etc/passwd' is not executable: `chmod +x` makes it so"),
        ("/tmp", "'/tmp' is a directory, not a program"),
        ("bin/sh", "'bin/sh' is a relative path: give an absolute one, or a name to look for"),
        ("", 'exec needs a command, such as ["/usr/games/fortune"]'),
    ],
)
def test_a_command_that_is_no_program_is_a_mistake_of_the_configuration(
    command: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=f"^service.exec.command: {re.escape(why)}$"):
        make_context("exec", command=[command])


@pytest.mark.parametrize("command", ["/etc/passwd", "/tmp", "bin/sh"])
def test_a_quotation_is_no_way_out_where_the_command_is_something_else(command: str) -> None:
    with pytest.raises(ConfigError, match=f"^service.exec.command: '{command}' is "):
        make_context("exec", command=[command], otherwise="quote")


def test_all_that_is_wrong_is_told_at_once() -> None:
    options = ExecOptions(
        command=("/tmp",), environment={"A=B": "x\0", "": ""}, user=User(2_000_000_000)
    )
    with pytest.raises(ValueError, match=r"^'/tmp' is a directory") as caught:
        check(options)
    assert str(caught.value).split("; ")[1:] == [
        "a command and its environment hold no NUL",
        "'A=B' cannot be the name of an environment variable",
        "'' cannot be the name of an environment variable",
        "there is no user 2000000000 on this host",
    ]


def test_another_user_is_a_mistake_where_the_daemon_is_not_root() -> None:
    options = ExecOptions(command=("true",), user=User.parse("nobody"))
    check(options)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(ValueError, match=r"^running a program as another user needs a daemon"):
            check(options)
    finally:
        os.seteuid(0)


def test_a_group_without_a_user_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"^a group needs a user: give both$"):
        check(ExecOptions(command=("true",), group=Group(5)))


def test_a_host_that_cannot_run_programs_is_told_at_start_and_by_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context("exec", command=["/bin/cat"])
    monkeypatch.setattr(program, "PATH", str(tmp_path))
    why = "programs cannot be run: env, setsid, prlimit, setpriv are not on this host"
    with pytest.raises(ValueError, match=f"^{re.escape(why)}"):
        Programs(context)
    with pytest.raises(ConfigError, match=re.escape(why)):
        make_context("exec", command=["/bin/cat"])


def test_a_bound_that_does_not_hold_is_warned_of_at_start(log: LogRecorder) -> None:
    make_context("exec", command=["true"], processes=9)
    [warning] = log.events("warning")
    assert warning["reason"] == because("processes_of_root")


def test_a_program_that_has_gone_since_the_check_is_told_as_well(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.touch(0o755)
    context = make_context("exec", command=[str(file)])
    file.unlink()
    with pytest.raises(ValueError, match=f"^there is no program '{file}'$"):
        Programs(context)


def test_where_there_is_no_program_a_quotation_can_be_sent_instead(log: LogRecorder) -> None:
    table: dict[str, Any] = {"command": ["/no/such/program"], "otherwise": "quote"}
    context = make_context("exec", **table, greeting="Hello {address}")
    client = connect("exec", context)
    greeting, quote = client.received.split(b"\r\n", 1)
    assert greeting == b"Hello 192.0.2.7"
    assert quote in builtin_quotes()
    client.send(b"what nobody reads")
    client.end()
    assert client.is_closed
    [warning] = log.events("warning")
    assert str(warning["reason"]).endswith("'/no/such/program': quotations are sent instead")
