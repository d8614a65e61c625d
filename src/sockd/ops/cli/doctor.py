"""`sockd doctor`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from sockd.formats.text import readable
from sockd.ops.cli.asking import control_option, json_option
from sockd.ops.cli.loading import configuration_options, load_settings
from sockd.ops.cli.printing import tell

if TYPE_CHECKING:
    from sockd.ops.doctor.finding import Finding

WIDTH = 100
"""Of a line, where the output is no terminal."""
_COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command()
@configuration_options
@control_option
@json_option
def doctor(
    file: str | None,
    config: str | None,
    only: str | None,
    interface: str | None,
    assignments: tuple[str, ...],
    control: str | None,
    as_json: bool,
) -> None:
    """Look what on this host is in the way of a configuration.

    Without FILE it is the one of the daemon that runs, or the built-in one.
    Whether twistd finds sockd; rights, descriptors, buffers, multicast; other processes and
    super-servers at our addresses; the log; certificates that end. A daemon that runs is looked at,
    else a process as this one.

    Exit codes: 0 nothing is bad; 1 something is, or the configuration has a mistake.
    """
    from sockd.ops.doctor.checks import findings
    from sockd.ops.doctor.finding import Level
    from sockd.ops.doctor.host import facts

    daemon = None
    if not (file or config):
        daemon, file, names = _daemon(control)
        if daemon and not file:
            only = only or names
    settings = load_settings(file, config, only, interface, assignments, as_json=as_json)
    if daemon is None:
        its_own = settings.daemon.control
        daemon, *_ = _daemon(control or (its_own if its_own.startswith("/") else None))
    found = findings(settings, facts(daemon))
    tell(_json(found) if as_json else _text(found))
    sys.exit(any(finding.level is Level.BAD for finding in found))


def _daemon(control: str | None) -> tuple[int | None, str | None, str | None]:
    """The process of the daemon that runs, its configuration, and the names of its services.

    None where there is none; without a configuration the names are what is left of `--only`.
    """
    from sockd.ops.control.client import ControlClient
    from sockd.ops.control.frames import ControlError

    try:
        with ControlClient(control) as client:
            answer = client.ask("status")
    except ControlError:
        return None, None, None
    files = answer.get("configuration", {}).get("files")
    services = (*answer.get("services", ()), *answer.get("disabled", ()))
    names = ",".join(one["name"] for one in services)
    return answer["pid"], files[0] if files else None, names


def _json(found: Sequence[Finding]) -> str:
    rows = [
        {"level": one.level, "topic": one.topic, "text": one.text, "advice": one.advice}
        for one in found
    ]
    ok = all(one.level != "bad" for one in found)
    return f"{json.dumps({'ok': ok, 'findings': rows})}\n"


def _text(found: Sequence[Finding]) -> str:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    room = max(width - 6, 20)
    lines = []
    for one in found:
        text = f"{one.topic}: {one.text}"
        shown = wrap(readable(text), room, break_on_hyphens=False, break_long_words=False)
        mark = click.style(f"{one.level:<5}", fg=_COLOURS[one.level])
        lines += [f"{mark} {shown[0]}", *(f"      {line}" for line in shown[1:])]
        if one.advice:
            advice = wrap(readable(one.advice), room - 3, break_on_hyphens=False)
            lines += [f"      {'-> ' if not n else '   '}{line}" for n, line in enumerate(advice)]
    return "".join(f"{line}\n" for line in lines)


COMMANDS = (doctor,)
