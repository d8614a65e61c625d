"""The server dies under 100 users who talk, and is started anew."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sockd.chat import memory
from sockd.formats.chat.events import Code
from tests.daemons import Daemon
from tests.environments import ROOT
from tests.processes import Running, followed, variables, wait_until
from tests.real.chatnet import CHAT, SERVER, Net, Talker, Tap, all_join, net, talking, tell

COUNT = 100
BACK = 60.0
"""Seconds until all are back: two signs of life."""
FALSE = 20
"""Of all that is told as lost, what was not: late on a busy machine. Events that overtake others
would make hundreds of it."""
RESUME = (
    Code.WELCOME,
    Code.OPENED,
    Code.JOIN_ACK,
    Code.SET_MCAST_PORT,
    Code.HEARTBEAT_AT,
    Code.USER_JOINS,
    Code.USER_PARTS,
)
"""What the server sends because somebody comes back."""


@contextmanager
def crowd(lan: Net, file: Path) -> Iterator[Running]:
    """The users, on one host, who take commands."""
    process = subprocess.Popen(
        [
            *("ip", "netns", "exec", lan.anna, sys.executable, "-m", "tests.real.crowd"),
            *(SERVER, "2027", str(COUNT), str(file)),
        ],
        cwd=ROOT,
        env=variables(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with followed(process) as child:
        yield child


def command(child: Running, line: str) -> None:
    """Tell the crowd."""
    assert child.process.stdin is not None
    child.process.stdin.write(f"{line}\n".encode())
    child.process.stdin.flush()


@pytest.fixture
def lan() -> Iterator[Net]:
    with net() as made:
        yield made


@pytest.fixture
def real(lan: Net, daemon: Daemon, tmp_path: Path) -> Iterator[list[Talker]]:
    """Three that say nothing, who want to know of all who come and go."""
    places = [
        (lan.bert, "bert", (SERVER,)),
        (lan.carl, "carl", (f"{SERVER}:2029",)),
        (lan.carl, "carla", ("--tcp", SERVER)),
    ]
    with ExitStack() as stack:
        made = [
            stack.enter_context(talking(host, name, tmp_path, *arguments))
            for host, name, arguments in places
        ]
        all_join(made, "Weather")
        for one in made:
            one.says("/notices")
        yield made


@pytest.fixture
def daemon(lan: Net, tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, CHAT, namespace=lan.server) as made:
        yield made


def restart(daemon: Daemon, users: int) -> None:
    """Kill it, once it has written down who is there, and start it again."""
    state = daemon.runtime / "chat.state"
    wait_until(lambda: len((memory.read(state) or (b"", ()))[1]) == users, "all are known")
    daemon.kill()
    daemon.start()
    wait_until(lambda: len(daemon.events("started")) == 2, "it is there again")


def test_a_server_that_is_killed_and_started_again_has_its_users_back(
    lan: Net, daemon: Daemon, real: list[Talker], tmp_path: Path
) -> None:
    """In their channels, by themselves; nothing is shown twice, and what is lost is told."""
    file = tmp_path / "report.json"
    with crowd(lan, file) as users, Tap(lan.switch, "server") as tap:
        users.wait_for("^all are in 1$", BACK)
        command(users, "talk")
        for one in real:
            one.sees(r"\[Weather\] user\d+: user\d+ 2$")
        tap.read()
        killed = time.monotonic()
        restart(daemon, COUNT + len(real))
        up = time.monotonic()
        users.wait_for("^all are in 2$", BACK)
        talkers = time.monotonic() - up
        for one in real:
            one.sees(r"-- logged in again(.|\n)*-- you are in Weather ", BACK)
        silent = time.monotonic() - up
        went = tap.read()
        resumed = Counter(one.code for one in went if not one.is_out)
        asked = Counter(one.code for one in went if one.is_out)
        command(users, "end")
        users.wait_for("^written$", BACK)
    told = {code.name: resumed[code] for code in RESUME}
    tell(f"{COUNT} talkers are back after {talkers:.1f} s, 3 silent users after {silent:.1f} s")
    tell(f"for them were sent {told}, {resumed[Code.ERROR]} errors to who spoke before that")
    check(json.loads(file.read_text()), killed)
    check_real(real)
    everybody = COUNT + len(real) - 1  # of which one has come by a connection
    assert resumed[Code.USER_JOINS] == resumed[Code.USER_PARTS] == 0
    assert everybody <= resumed[Code.OPENED] <= asked[Code.OPEN]
    # who stands still asks again, and so often: each question has its answer, and no other hears
    assert resumed[Code.WELCOME] <= asked[Code.NOTHING]
    for code in (Code.JOIN_ACK, Code.SET_MCAST_PORT, Code.HEARTBEAT_AT):
        assert resumed[code] <= asked[Code.JOIN_REQ] + asked[Code.OPEN]


def check_real(real: list[Talker]) -> None:
    """They hear each other, each once, and nobody was said to have come or gone."""
    for one in real:
        one.says(f"{one.nickname} ends")
    for one, other in itertools.product(real, real):
        one.hears("Weather", other.nickname, f"{other.nickname} ends")
    for one in real:
        said = [line for line in one.lines if line.startswith("[Weather] ")]
        assert len(said) == len(set(said))
        after = one.child.text().partition("-- logged in again")[2]
        assert not re.search("-- .* has (come to|left) ", after)


def check(report: list[dict[str, Any]], killed: float) -> None:
    """What each of the crowd has seen."""
    not_sent = {text for one in report for text in one["not_sent"]}
    lost = sum(sum(one["lost"].values()) for one in report)
    missed = 0
    for one in report:
        shown = Counter((channel, text) for channel, _, text, _ in one["shown"])
        assert max(shown.values()) == 1
        assert not [who for at, _, who, _ in one["presences"] if at > killed]
        assert [at > killed for at, has_missed in one["logins"] if has_missed] == [True]
        for channel in one["channels"]:
            said = {
                text
                for other in report
                if other["channels"][1] == channel
                for text in other["said"]
            }
            missing = {text for text in said - not_sent if not shown[channel, text]}
            missed += len(missing)
            assert len(missing) <= one["lost"].get(channel, 0), (one, missing)
    tell(f"not sent: {len(not_sent)}; not heard: {missed}, told as lost: {lost}")
    assert lost - missed <= FALSE
