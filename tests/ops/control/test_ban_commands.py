"""Bans, refusals, access and the chat, asked about at the control socket of a daemon."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockd.formats.chat.events import Code, pack, unpack
from sockd.ops.control.client import ControlClient
from sockd.ops.control.frames import ControlError
from tests.daemons import Daemon, receive_all
from tests.processes import PATIENCE, wait_until

CONFIG = """
[defaults]
deny = ["10.1.0.0/16"]
[service.echo]
listen = ["tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1"]
allow = ["127.0.0.0/8", "10.0.0.0/8"]
[service.chat]
listen = ["udp:0:interface=127.0.0.1"]
listen_multicast = []
state = "chat.state"
"""
HERE, THERE = "127.0.0.1", "127.0.0.5"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("bans")
    with Daemon(folder, CONFIG, environment={"XDG_STATE_HOME": str(folder)}) as daemon:
        yield daemon


@pytest.fixture
def daemon(running: Daemon) -> Iterator[Daemon]:
    """One that has nobody banned."""
    yield running
    left = ask(running, "bans")["bans"]
    for scope, command in ((None, "unban"), ("chat", "chat-unban")):
        if found := [ban["prefix"] for ban in left if ban["service"] == scope]:
            ask(running, command, prefixes=found)


def ask(daemon: Daemon, command: str, /, **arguments: Any) -> dict[str, Any]:
    with ControlClient(str(daemon.runtime / "control.sock"), PATIENCE) as client:
        return client.ask(command, **arguments)


def why_not(daemon: Daemon, command: str, /, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ControlError) as told:
        ask(daemon, command, **arguments)
    return told.value.kind, str(told.value)


def refused(daemon: Daemon, services: Any = None, sources: Any = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(daemon, "refused", services=services, **{"from": sources})[
        "groups"
    ]
    return found


def connected(daemon: Daemon, host: str) -> socket.socket:
    """A connection to the echo service from an address of ours."""
    address = daemon.address("echo", "tcp")
    return socket.create_connection(address, PATIENCE, source_address=(host, 0))


def is_served(daemon: Daemon, host: str) -> bool:
    with connected(daemon, host) as sock:
        try:
            sock.sendall(b"x")
            return sock.recv(1) == b"x"
        except ConnectionError:
            return False


def prefixes(daemon: Daemon) -> list[str]:
    return [ban["prefix"] for ban in ask(daemon, "bans")["bans"]]


def test_a_ban_ends_who_is_there_and_lets_nobody_in_until_it_is_taken_back(daemon: Daemon) -> None:
    with connected(daemon, THERE) as there, connected(daemon, HERE) as here:
        for sock in (there, here):
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
        answer = ask(daemon, "ban", prefixes=[f"{THERE}/32"], duration=60.0, note="why")
        assert (answer["ended"], answer["users"], answer["is_kept"]) == (1, 0, True)
        [ban] = answer["bans"]
        assert (ban["prefix"], ban["service"], ban["note"]) == (f"{THERE}/32", None, "why")
        assert 0 < ban["seconds_left"] <= 60
        with contextlib.suppress(ConnectionResetError):
            assert receive_all(there) == b""
        here.sendall(b"y")
        assert here.recv(1) == b"y"
    assert not is_served(daemon, THERE)
    assert is_served(daemon, HERE)
    assert daemon.wait_for("closed", peer_address=THERE)["reason"] == "ban"
    assert daemon.wait_for("refused", peer_address=THERE)["reason"] == "ban"
    assert ask(daemon, "unban", prefixes=[THERE]) == {
        "prefixes": [f"{THERE}/32"],
        "is_kept": True,
        "why": "",
    }
    assert is_served(daemon, THERE)


def test_who_is_there_can_be_left(daemon: Daemon) -> None:
    with connected(daemon, THERE) as there:
        there.sendall(b"x")
        assert there.recv(1) == b"x"
        assert ask(daemon, "ban", prefixes=[THERE], leave_open=True)["ended"] == 0
        assert ask(daemon, "ban", prefixes=["127.0.0.6"])["ended"] == 0
        there.sendall(b"y")
        assert there.recv(1) == b"y"


def datagrams(daemon: Daemon) -> list[dict[str, Any]]:
    """What was refused of them."""
    groups = refused(daemon, services=["echo"], sources=[THERE])
    return [group for group in groups if group["transport"] == "udp"]


def test_datagrams_of_who_is_banned_are_dropped_and_counted_as_what_may_be_forged(
    daemon: Daemon,
) -> None:
    ask(daemon, "ban", prefixes=["127.0.0.0/24"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((THERE, 0))
        sock.sendto(b"x", daemon.address("echo", "udp"))
        wait_until(lambda: datagrams(daemon), "a refusal")
    [group] = datagrams(daemon)
    told = [group[key] for key in ("source", "transport", "rule", "count", "is_proven")]
    assert told == ["127.0.0.0/24", "udp", "ban 127.0.0.0/24", 1, False]
    assert all(one["service"] == "chat" for one in refused(daemon, services=["chat"]))
    assert refused(daemon, sources=["192.0.2.0/24"]) == []


def test_bans_hold_over_kill_9_and_a_start(tmp_path: Path) -> None:
    many = [f"10.{n // 250}.{n % 250}.0/24" for n in range(499)]
    with Daemon(tmp_path, CONFIG, environment={"XDG_STATE_HOME": str(tmp_path)}) as daemon:
        ask(daemon, "ban", prefixes=[THERE, *many], duration=3600.0)
        ask(daemon, "chat-ban", prefixes=["192.0.2.0/24"])
        daemon.kill()
        with daemon.log.open("w"):  # whether it has started anew is read there
            pass
        daemon.start()
        assert len(prefixes(daemon)) == 501
        assert not is_served(daemon, THERE)
        answer = ask(daemon, "test-access", service="echo", address=THERE)
        assert (answer["is_allowed"], answer["rule"]) == (False, f"ban {THERE}/32")
        assert answer["ban"]["prefix"] == f"{THERE}/32"
        assert 0 < answer["ban"]["seconds_left"] <= 3600
        assert answer["max_connections_per_source"] is None


def test_bans_and_what_was_refused_survive_a_reload(daemon: Daemon) -> None:
    ask(daemon, "ban", prefixes=[THERE])
    assert not is_served(daemon, THERE)
    before = ask(daemon, "refused")["groups"]
    assert ask(daemon, "reload")["ok"]
    assert prefixes(daemon) == [f"{THERE}/32"]
    assert not is_served(daemon, THERE)
    assert len(ask(daemon, "refused")["groups"]) >= len(before) > 0


def test_what_decides_on_an_address_is_told(daemon: Daemon) -> None:
    file = daemon.folder / "sockd.toml"
    with connected(daemon, HERE) as sock:
        sock.sendall(b"x")
        sock.recv(1)
        assert ask(daemon, "test-access", service="echo", address=HERE) == {
            **{"service": "echo", "who": HERE, "is_allowed": True, "decided_by": "allow"},
            **{"rule": "allow 127.0.0.0/8", "place": f"{file}:6", "others": []},
            **{"is_trusted": True, "open_connections": 1, "transports": ["tcp", "udp"]},
            **{"ban": None, "max_connections_per_source": None},
        }
    answer = ask(daemon, "test-access", service="echo", address="10.1.2.3")
    assert (answer["ban"], answer["max_connections_per_source"]) == (None, 20)
    assert [answer[key] for key in ("rule", "place", "others")] == [
        *("deny 10.1.0.0/16", f"[defaults] {file}:3", ["allow 10.0.0.0/8"]),
    ]
    assert ask(daemon, "test-access", service="echo", address="user:root")["is_allowed"]


def test_what_cannot_be_is_told_and_changes_nothing(daemon: Daemon) -> None:
    usage = "usage"
    assert why_not(daemon, "ban") == (
        *(usage, "`prefixes` is missing: a list of addresses and prefixes"),
    )
    assert why_not(daemon, "ban", prefixes=["::1", "0.0.0.0/0"]) == (
        *(usage, "0.0.0.0/0 is everybody: disable the service"),
    )
    assert why_not(daemon, "ban", prefixes=["::1"] * 501) == (
        *(usage, "500 prefixes at most at once, not 501"),
    )
    for wrong in ({"duration": 0.5}, {"note": "x" * 201}, {"prefixes": ["x"]}, {"prefixes": [1]}):
        kind, _ = why_not(daemon, "ban", **{"prefixes": ["::1"], **wrong})
        assert kind == usage
    assert why_not(daemon, "unban", prefixes=["::1"]) == ("refused", "::1 is not banned")
    assert why_not(daemon, "refused", services=["eko"])[1].startswith("there is no service 'eko'")
    assert why_not(daemon, "refused", **{"from": ["x"]})[0] == usage
    for address in ("x", "10.0.0.0/8", "user:nix"):
        assert why_not(daemon, "test-access", service="echo", address=address)[0] == usage
    assert why_not(daemon, "chat-who", service="echo") == (usage, "echo is no chat")
    assert prefixes(daemon) == []


class Person:
    """An old client of the chat."""

    def __init__(self, daemon: Daemon, name: bytes, host: str = HERE) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(PATIENCE)
        self.sock.bind((host, 0))
        self.sock.connect(daemon.address("chat", "udp"))
        self.name = name

    def ask(self, code: Code, text: bytes) -> tuple[int, bytes]:
        self.sock.send(pack(code, text))
        return self.hear()

    def hear(self) -> tuple[int, bytes]:
        event = unpack(self.sock.recv(2048))
        assert event is not None
        return event.code, event.text.partition(b"\n")[0]  # before what proves it

    def log_in(self) -> tuple[int, bytes]:
        return self.ask(Code.LOGIN_REQ, self.name)


def test_who_looks_after_a_chat_sees_mutes_kicks_and_bans(daemon: Daemon) -> None:
    ada, bob = Person(daemon, b"ada"), Person(daemon, b"bob", THERE)
    with ada.sock, bob.sock:
        for one in (ada, bob):
            assert one.log_in() == (Code.LOGIN_ACK, one.name)
            assert one.ask(Code.JOIN_REQ, b"Pets")[0] == Code.JOIN_ACK
        assert ada.hear() == (Code.USER_JOINS, b"Pets bob")
        assert ask(daemon, "chat-mute", nickname="Ada") == {"service": "chat", "nickname": "Ada"}
        assert ada.ask(Code.SEND_PUBLIC, b"x") == (Code.ERROR, b"you are muted")
        told = ask(daemon, "chat-who")
        assert (told["service"], told["muted"], told["closed"]) == ("chat", ["ada"], [])
        seen = [
            [one[key] for key in ("nickname", "address", "channels", "is_proven", "is_muted")]
            for one in told["users"]
        ]
        assert seen == [
            ["ada", HERE, ["Pets"], False, True],
            ["bob", THERE, ["Pets"], False, False],
        ]
        ask(daemon, "chat-unmute", nickname="ada")
        assert why_not(daemon, "chat-unmute", nickname="ada") == ("refused", "'ada' is not muted")
        ask(daemon, "chat-kick", nickname="ada", why="be nice")
        assert ada.hear() == (Code.ERROR, b"be nice")
        assert bob.hear() == (Code.USER_PARTS, b"Pets ada")
        assert why_not(daemon, "chat-kick", nickname="ada")[1] == "there is no user 'ada'"
        assert ask(daemon, "chat-ban", prefixes=[THERE], duration=60.0)["users"] == 1
        banned = (Code.ERROR, b"your address is banned")
        assert (bob.hear(), bob.log_in()) == (banned, banned)
        assert is_served(daemon, THERE)  # it is a ban of the chat
        assert why_not(daemon, "unban", prefixes=[THERE])[0] == "refused"
        ask(daemon, "chat-unban", prefixes=[THERE])
        assert bob.log_in()[0] == Code.LOGIN_ACK
        assert ask(daemon, "ban", prefixes=[THERE])["users"] == 1  # nor is a ban of all lost on it
        assert bob.hear() == banned
    assert "chat-kick" in [event["command"] for event in daemon.events("command")]
