"""G1 on Unix sockets: two daemons that were set on one another come to an end."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sockd.service import find
from tests.processes import PATIENCE, finish, wait_until
from tests.security.hosts import Watched, paused

SILENT = {"discard"}
BURST = 1_000
"""Answers that one name gets at once: ten seconds of the default rate."""
KINDS = {name for name, kind in find().kinds.items() if kind.datagram} - SILENT - {"chat"}
"""Every kind of service that answers what it does not understand, from the registry."""
BALLS = 3
"""Datagrams that are set going between the two."""


def config(folder: Path) -> str:
    return "".join(
        f'[service.{name}]\nlisten = ["unixgram:{folder}/{name}.sock"]\n' for name in sorted(KINDS)
    )


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Watched, Path]]]:
    """Two daemons, each with its socket files."""
    with ExitStack() as stack:
        found = []
        for _ in range(2):
            folder = tmp_path_factory.mktemp("d")
            daemon = stack.enter_context(Watched(folder, config(folder)))
            found.append((daemon, folder))
        yield found


def set_going(daemon: Watched, target: Path, to: Path, own: Path) -> None:
    """One datagram for a daemon, whose sender's name leads to `to` by the time that it is read."""
    with paused(daemon.pid), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.bind(str(own))
        sender.sendto(b"42", str(target))
        own.unlink()
        own.symlink_to(to)


def refusals(daemons: list[tuple[Watched, Path]], kind: str) -> list[dict[str, Any]]:
    return [
        event
        for daemon, _ in daemons
        for event in daemon.events("refused")
        if event["service"] == kind
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_name_that_leads_to_another_daemons_service_starts_no_loop_without_end(
    daemons: list[tuple[Watched, Path]], kind: str, tmp_path: Path
) -> None:
    """Each datagram that was set going is refused once, and that is its end.

    Echo and its like hand it to and fro; others answer what the other has said, an answer each.
    """
    (one, here), (_, there) = daemons
    for number in range(BALLS):
        own = tmp_path / f"{number}"
        set_going(one, here / f"{kind}.sock", there / f"{kind}.sock", own)
    wait_until(
        lambda: len(refusals(daemons, kind)) == BALLS,
        lambda: f"each has come to its end: {refusals(daemons, kind)}",
    )
    assert {event["reason"] for event in refusals(daemons, kind)} == {"local_reply_rate"}
    assert {event["suppressed"] for event in refusals(daemons, kind)} == {0}


def test_others_are_answered_while_and_after_a_loop_is_on(
    daemons: list[tuple[Watched, Path]], tmp_path: Path
) -> None:
    """What the loop spends is the other daemon's budget, and nobody else's."""
    (one, here), (_, there) = daemons
    set_going(one, here / "echo.sock", there / "echo.sock", tmp_path / "going")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
        asker.bind(str(tmp_path / "asker"))
        asker.settimeout(PATIENCE)
        for number in range(BURST // 2):
            asker.sendto(b"%d" % number, str(here / "echo.sock"))
            assert asker.recv(100) == b"%d" % number


DISGUISE = """
import os, socket, subprocess, sys
here, alias, name = sys.argv[1:]
mount = lambda *words: subprocess.run(["mount", *words], check=True)
mount("--bind", here, alias)
mount("-t", "tmpfs", "tmpfs", here)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
    sock.bind(f"{here}/{name}")
    sock.sendto(b"42", f"{alias}/{name}")
"""


def test_a_name_of_the_daemons_own_is_not_answered(
    daemons: list[tuple[Watched, Path]], tmp_path: Path
) -> None:
    """Where the sender lives the name is its own; the daemon's answer would come to itself."""
    (one, here), _ = daemons
    disguised = ("unshare", "-m", sys.executable, "-c", DISGUISE)
    done = finish([*disguised, str(here), str(tmp_path), "time.sock"])
    assert done.returncode == 0, done.stderr
    one.wait_for("refused", service="time", reason="own_name")
    assert not [event for event in one.events("refused") if event["reason"] == "own_process"]
