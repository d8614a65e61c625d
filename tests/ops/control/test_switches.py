"""What cannot be had again is not let go of."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from sockd.daemon.daemon import StartError
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.commands.switches import LOWEST_FREE_PORT, disable
from sockd.ops.control.frames import ControlError
from tests.ops.control.standing import Standing


def standing_at(port: int, systemd: str = "") -> Standing:
    """A daemon that has given up root, with a service at a port."""
    standing = Standing("echo")
    standing.world.gives_up_root = True
    listen = SimpleNamespace(port=port, systemd=systemd)
    running: Any = standing.daemon.instances[0][1]
    running.listeners = (SimpleNamespace(listen=listen, address=f"127.0.0.1:{port}"),)
    ended: list[str] = []
    standing.operations.switches = SimpleNamespace(off=(), disable=ended.append, ended=ended)
    return standing


def test_a_daemon_that_has_given_up_root_keeps_its_low_ports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    standing = standing_at(LOWEST_FREE_PORT - 1)
    with pytest.raises(ControlError, match=r"127\.0\.0\.1:1023 could not be had again") as caught:
        disable(standing.operations, Arguments({"service": "echo"}))
    assert caught.value.kind == "refused"
    assert standing.operations.switches.ended == []


@pytest.mark.parametrize(("port", "systemd"), [(LOWEST_FREE_PORT, ""), (7, "echo.socket")])
def test_it_lets_go_of_what_it_can_have_again(
    port: int, systemd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    standing = standing_at(port, systemd)
    answer = disable(standing.operations, Arguments({"service": "echo"}))
    assert answer["changed"]
    assert standing.operations.switches.ended == ["echo"]


def test_root_lets_go_of_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    standing = standing_at(7)
    assert disable(standing.operations, Arguments({"service": "echo"}))["changed"]


def test_a_daemon_that_ends_changes_nothing_and_says_why() -> None:
    standing = standing_at(LOWEST_FREE_PORT)

    def refuses(name: str) -> None:
        raise StartError("the daemon stops")

    standing.operations.switches.disable = refuses
    with pytest.raises(ControlError, match=r"^echo stays enabled:\nthe daemon stops$"):
        disable(standing.operations, Arguments({"service": "echo"}))
