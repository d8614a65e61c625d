"""What `sockd ban`, `refused`, `test-access` and `chat` print: nothing of it unescaped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from sockd.ops.control.frames import answer_line
from tests.commands import config, runtime, sockd
from tests.ops.cli.answering import Answering

__all__ = ["runtime"]

Say = Callable[..., Result]
EVIL = "\x1b[2J\u202e\u0085"
SHOWN = r"\x1b[2J\u202e\u0085"


@pytest.fixture
def daemon(runtime: Path) -> Iterator[Answering]:
    """Answers at the control socket as it is told to."""
    with Answering(runtime / "control.sock") as daemon:
        yield daemon


def ban(prefix: str, **others: Any) -> dict[str, Any]:
    return {
        **{"prefix": prefix, "service": None, "since": time.time(), "until": None},
        **{"seconds_left": None, "note": "", **others},
    }


def banned(*bans: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"bans": list(bans), "is_kept": True, "why": "", "ended": 0, "users": 0, **others}


def test_a_ban_is_asked_for_as_it_is_typed(daemon: Answering) -> None:
    daemon.answers = [banned(ban("192.0.2.7/32", seconds_left=3600.0), ended=2, users=1)]
    result = sockd("ban", "192.0.2.7", "--for", "1h", "--note", "x", "--leave-open")
    assert daemon.requests == [
        (
            "ban",
            {"prefixes": ["192.0.2.7"], "duration": 3600.0, "note": "x", "leave_open": True},
        )
    ]
    assert result.output == (
        "192.0.2.7 is banned for 1h\ngone from there: 1 user of a chat, 2 connections\n"
    )
    assert result.exit_code == 0


def test_who_bans_one_address_of_ipv6_is_told_of_its_network(daemon: Answering) -> None:
    daemon.answers = [banned(ban("2001:db8::7/128"))]
    assert sockd("ban", "2001:db8::7").output == (
        "2001:db8::7 is banned until it is taken back\n"
        "its host can have other addresses of 2001:db8::/64: ban that to be sure\n"
    )


def test_a_ban_that_a_start_will_not_know_is_told_as_that(daemon: Answering) -> None:
    daemon.answers = [banned(ban("192.0.2.0/24"), is_kept=False, why="disk full")]
    assert sockd("ban", "192.0.2.0/24").output == (
        "192.0.2.0/24 is banned until it is taken back\nnot known after a restart: disk full\n"
    )


@pytest.mark.parametrize("term", ["1x", "", "-5", "off"])
def test_what_is_no_time_is_a_mistake(term: str) -> None:
    result = sockd("ban", "192.0.2.7", "--for", term)
    assert result.exit_code == 2
    assert "a duration such as" in result.output


def test_bans_are_a_table_or_nobody(daemon: Answering) -> None:
    daemon.answers = [
        {"bans": []},
        {
            "bans": [
                ban("::/1", since=time.time() - 90, seconds_left=59.0, service="chat", note=EVIL)
            ]
        },
    ]
    assert sockd("bans").output == "nobody is banned\n"
    head, row = sockd("bans").output.splitlines()
    assert head.split() == ["from", "where", "since", "ends", "in", "note"]
    assert row.split()[:2] == ["::/1", "chat"]
    assert row.endswith(f"59s      {SHOWN}")


def test_taking_back_is_told(daemon: Answering) -> None:
    daemon.answers = [{"prefixes": ["::1/128", "10.0.0.0/8"], "is_kept": True, "why": ""}]
    assert sockd("unban", "::1", "10.0.0.0/8").output == (
        "::1 is not banned any more\n10.0.0.0/8 is not banned any more\n"
    )


def group(**others: Any) -> dict[str, Any]:
    now = time.time()
    return {
        **{"service": "echo", "source": "192.0.2.7", "transport": "tcp", "reason": "deny"},
        **{"rule": "deny 192.0.2.0/24", "count": 1000, "first": now - 100, "last": now - 2},
        **{"is_proven": True, **others},
    }


def test_refusals_are_a_table_and_what_may_be_forged_is_marked(daemon: Answering) -> None:
    daemon.answers = [
        {"groups": [], "forgotten": 0},
        {"groups": [group()], "forgotten": 0},
        {
            "groups": [group(), group(transport="udp", is_proven=False, rule=EVIL)],
            "forgotten": 1,
        },
    ]
    assert sockd("refused").output == "nobody was refused\n"
    _, row = sockd("refused", "--service", "echo", "--from", "192.0.2.7").output.splitlines()
    assert row.split()[:4] == ["1000", "echo", "192.0.2.7", "tcp"]
    assert row.endswith("deny 192.0.2.0/24")
    assert daemon.requests[1] == ("refused", {"services": ["echo"], "from": ["192.0.2.7"]})
    lines = sockd("refused").output.splitlines()
    assert "192.0.2.7 ?" in lines[2]
    assert lines[2].endswith(SHOWN)
    assert lines[3].startswith("?: the source of a datagram can be forged")
    assert lines[4] == "and 1 group that is forgotten"


CONFIG = """
[defaults]
deny = ["10.1.0.0/16"]
[service.echo]
listen = ["tcp:10007"]
allow = ["10.0.0.0/8", "127.0.0.1"]
"""


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        (
            *("10.1.2.3", 1),
            "10.1.2.3 may not come to echo: deny 10.1.0.0/16 ([defaults] FILE:3)\n"
            "that stands above allow 10.0.0.0/8\n",
        ),
        ("10.2.2.3", 0, "10.2.2.3 may come to echo: allow 10.0.0.0/8 (FILE:6)\n"),
        (
            *("127.0.0.1", 0),
            "127.0.0.1 may come to echo: allow 127.0.0.1/32 (FILE:6)\n"
            "it is trusted: limits that count each source are not for it\n",
        ),
        ("::1", 1, "::1 may not come to echo: no allow rule matches (FILE:6)\n"),
    ],
)
def test_without_a_daemon_a_configuration_is_asked(
    tmp_path: Path, address: str, status: int, said: str
) -> None:
    file = config(tmp_path, CONFIG)
    result = sockd("test-access", "echo", address, "-c", file)
    found = result.output.replace(str(file), "FILE").replace(file.name, "FILE")
    first, *rest = said.splitlines()
    assert found.splitlines()[0] == first
    assert all(line in found for line in rest)
    assert result.exit_code == status
    answer = json.loads(sockd("test-access", "echo", address, "-c", file, "--json").output)
    assert answer["is_allowed"] == (not status)


def test_a_mistake_in_the_question_is_told(tmp_path: Path) -> None:
    file = config(tmp_path, CONFIG)
    for service, address, said in (
        ("ecko", "::1", "there is no service 'ecko'; did you mean 'echo'?"),
        ("echo", "x", "expected an address such as"),
        ("echo", "user:nix", "there is no user 'nix' on this host"),
    ):
        result = sockd("test-access", service, address, "-c", file)
        assert said in result.output
        assert result.exit_code == 2
    assert sockd("test-access", "echo", "::1", "-c", tmp_path / "none.toml").exit_code == 1


def test_a_service_that_the_file_has_disabled_is_said_to_be(tmp_path: Path) -> None:
    file = config(tmp_path, CONFIG + "[service.wrap]\nenabled = false\n")
    result = sockd("test-access", "wrap", "::1", "-c", file)
    told = f"sockd: wrap is disabled: enabled = false in {file}\n"
    assert (result.exit_code, result.output) == (1, told)


def test_an_address_that_no_door_is_for_is_told_so(tmp_path: Path) -> None:
    file = config(tmp_path, CONFIG + '[service.wrap]\nlisten = ["unix:/run/x"]\n')
    for service, who, only in (("echo", "user:root", "tcp"), ("wrap", "10.0.0.1", "unix")):
        result = sockd("test-access", service, who, "-c", file)
        assert result.output.endswith(f"but {service} is at {only} only\n")
        assert result.exit_code == 1
    result = sockd("test-access", "wrap", "user:root", "-c", file)
    assert "but" not in result.output
    assert result.exit_code == 0


def test_a_running_daemon_tells_how_many_are_there_from_an_address(daemon: Answering) -> None:
    of = ", of max_connections_per_source = {}"
    told = {
        **{"service": "echo", "who": "::1", "is_allowed": True, "decided_by": None},
        **{"rule": "no rule has it: everybody may come", "place": None, "others": []},
        **{"is_trusted": False, "open_connections": 3, "transports": ["tcp", "unix"]},
        "ban": None,
    }
    limits = {None: "", 4: of.format(4), 3: f"{of.format(3)}: one more is refused"}
    daemon.answers = [{**told, "max_connections_per_source": most} for most in limits]
    for limit in limits.values():
        assert sockd("test-access", "echo", "::1").output == (
            "::1 may come to echo: no rule has it: everybody may come\n"
            f"3 connections are open from there{limit}\n"
        )


def test_of_a_ban_its_end_and_its_note_are_told(daemon: Answering) -> None:
    told = {
        **{"service": "echo", "who": "::1", "is_allowed": False, "decided_by": "ban"},
        **{"rule": "ban ::1/128", "place": None, "others": [], "is_trusted": False},
        **{"open_connections": 1, "max_connections_per_source": 1, "transports": ["tcp"]},
    }
    bans = [{"seconds_left": 60.0, "note": ""}, {"seconds_left": None, "note": f"all night{EVIL}"}]
    daemon.answers = [{**told, "ban": ban} for ban in bans]
    told_of = "::1 may not come to echo: ban ::1/128\nit is banned "
    assert sockd("test-access", "echo", "::1").output == f"{told_of}for 1m more\n"
    output = sockd("test-access", "echo", "::1").output
    assert output.startswith(f"{told_of}until it is taken back: all night")
    assert "\x1b" not in output


def user(nickname: str, **others: Any) -> dict[str, Any]:
    return {
        **{"nickname": nickname, "address": "192.0.2.7", "door": "udp", "seconds": 100},
        **{"silent": 2, "channels": ["Pets", EVIL], "is_proven": True, "is_muted": False},
        **others,
    }


def test_who_is_in_a_chat_is_a_table(daemon: Answering) -> None:
    rows = [user("ada"), user("bob", address=None, channels=[], is_proven=False, is_muted=True)]
    daemon.answers = [
        {"service": "chat", "users": rows, "muted": ["bob"], "closed": []},
        {"service": "chat", "users": [], "muted": [], "closed": ["Pets"]},
    ]
    lines = sockd("chat", "who", "--service", "chat").output.splitlines()
    assert daemon.requests == [("chat-who", {"service": "chat"})]
    assert lines[1].split()[:2] == ["ada", "192.0.2.7"]
    assert lines[1].endswith(f"Pets, {SHOWN}")
    assert "bob (muted)  this host (old)" in lines[2]
    assert lines[3:] == ["2 users in chat", "muted: bob"]
    assert sockd("chat", "who").output == "0 users in chat\nclosed: Pets\n"


@pytest.mark.parametrize(
    ("typed", "command", "arguments", "said"),
    [
        ("mute ada", "chat-mute", {"nickname": "ada"}, "'ada' is muted\n"),
        ("unmute ada", "chat-unmute", {"nickname": "ada"}, "'ada' may speak again\n"),
        ("kick ada go", "chat-kick", {"nickname": "ada", "why": "go"}, "'ada' is logged off\n"),
    ],
)
def test_what_is_done_to_a_user_is_told(
    daemon: Answering, typed: str, command: str, arguments: dict[str, str], said: str
) -> None:
    daemon.answers = [{"service": "chat", "nickname": "ada"}]
    assert sockd("chat", *typed.split()).output == said
    assert daemon.requests == [(command, arguments)]


def test_a_ban_of_a_chat_says_so(daemon: Answering) -> None:
    told = banned(ban("192.0.2.7/32", service="chat"), users=1)
    daemon.answers = [told, {"prefixes": ["192.0.2.7/32"], "is_kept": True, "why": ""}]
    assert sockd("chat", "ban", "192.0.2.7").output == (
        "192.0.2.7 is banned from chat until it is taken back\ngone from there: 1 user of a chat\n"
    )
    assert sockd("chat", "unban", "192.0.2.7").output == "192.0.2.7 is not banned any more\n"
    assert [command for command, _ in daemon.requests] == ["chat-ban", "chat-unban"]


def test_json_is_the_answer_as_it_came(daemon: Answering) -> None:
    daemon.answers = [{"bans": [ban(EVIL)]}]
    output = sockd("bans", "--json").output
    assert json.loads(output)["bans"][0]["prefix"] == EVIL
    assert output.isascii()
    assert answer_line({"x": EVIL}).isascii()
