"""`sockd upgrade`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from sockd.formats.text import escape
from sockd.ops.cli.asking import ask, control_option, give_up, json_option, read, show

BEGIN_SECONDS = 60.0
"""How long the new daemon may take: open connections have some seconds to end, and it starts."""
AGAIN_SECONDS = 0.1
"""Between two looks whether it answers."""


@click.command()
@control_option
@json_option
def upgrade(control: str | None, as_json: bool) -> None:
    """Have the daemon go on with the code that is installed now.

    The command waits until it serves. Whether that code starts with the daemon's configuration is
    found out first; where it does not, nothing is changed, the exit code is 1, and what it says is
    printed. The process stays the same, and so do the sockets: who comes meanwhile waits, and is
    served. Connections that are open end as at a stop.
    """
    asked = time.monotonic()
    before = ask(control, "upgrade", as_json=as_json, for_long=True)
    old = read(before, lambda told: str(told["version"]), as_json=as_json)
    began = time.monotonic()
    after = _next(control, asked, as_json=as_json)
    answer = {
        "pid": after["pid"],
        "from": old,
        "to": after["version"],
        "seconds": time.monotonic() - began,
    }
    show(answer, _text, as_json=as_json)


def _next(control: str | None, asked: float, *, as_json: bool) -> dict[str, Any]:
    """How the new daemon is, once it answers: one that was not there when it was asked for."""
    from sockd.ops.control.client import ControlClient
    from sockd.ops.control.frames import ControlError

    why = ControlError("the old daemon answers still; its log says why")
    began = time.monotonic()
    while time.monotonic() - began < BEGIN_SECONDS:
        try:
            with ControlClient(control) as client:
                status = client.ask("status")
        except ControlError as error:
            why = error
        else:
            uptime = read(status, lambda told: float(told["uptime"]), as_json=as_json)
            if uptime < time.monotonic() - asked:
                return read(status, _process, as_json=as_json)
        time.sleep(AGAIN_SECONDS)
    give_up(why, as_json=as_json)


def _process(status: Mapping[str, Any]) -> dict[str, Any]:
    return {"pid": status["pid"], "version": str(status["version"])}


def _text(answer: Mapping[str, Any]) -> str:
    old, new = answer["from"], answer["to"]
    version = f"sockd {new}" if old == new else f"sockd {new}, which was {old},"
    text = f"{version} serves, process {answer['pid']}, after {answer['seconds']:.1f} s"
    return f"{escape(text)}\n"


COMMANDS = (upgrade,)
