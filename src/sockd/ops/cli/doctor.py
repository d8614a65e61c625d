"""`sockd doctor`."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from sockd.formats.text import readable
from sockd.ops.cli.asking import control_option, give_up, json_option, lacking, read
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

    Without FILE it is the one of the daemon that runs, and the services that it runs; or the
    built-in one. Values that the daemon was given by `--set` or `--interface` are not known.
    Whether twistd finds sockd; rights, descriptors, buffers, multicast; other processes and
    super-servers at our addresses; the log; certificates that end. A daemon that runs is looked at,
    else a process as this one. One that does not answer is told.

    Exit codes: 0 nothing is bad; 1 something is, the configuration has a mistake, or nobody answers
    at the PATH of --control.
    """
    from sockd.ops.doctor.checks import findings
    from sockd.ops.doctor.finding import Level
    from sockd.ops.doctor.host import facts

    if file or config:
        settings = load_settings(file, config, only, interface, assignments, as_json=as_json)
        own = settings.daemon.control
        seen = _look(control, own if own.startswith("/") else None, as_json=as_json)
        found = [*seen.findings]
    else:
        seen = _look(control, None, as_json=as_json)
        names, differences = _present(seen)
        only = only or names
        settings = load_settings(seen.file, None, only, interface, assignments, as_json=as_json)
        found = [*seen.findings, *differences]
    found += findings(settings, facts(seen.pid))
    tell(_json(found) if as_json else _text(found))
    sys.exit(any(finding.level is Level.BAD for finding in found))


@frozen
class _Seen:
    """What there is to see of the daemon that runs; nothing of it where there is none."""

    pid: int | None = None
    file: str | None = None
    """Its configuration; None: the built-in one."""
    services: tuple[str, ...] = ()
    """Those that it runs, or would after a reload."""
    findings: tuple[Finding, ...] = ()
    """Why it does not tell more, where it is there."""


def _look(control: str | None, own: str | None, *, as_json: bool) -> _Seen:
    """The daemon at `control`, or at its own socket, or at the usual ones.

    Where nobody answers at `control`, which the user has named, this process ends.
    """
    from sockd.ops.control.client import ControlClient, NoDaemonError, SilentError
    from sockd.ops.control.frames import ControlError
    from sockd.ops.doctor.finding import Finding, Level

    pid, where = None, ""
    try:
        with ControlClient(own if control is None else control) as client:
            pid, where = client.pid or None, client.path
            answer = client.ask("status")
    except ControlError as error:
        why = str(error).strip() or str(lacking())
        text = why if where in why else f"{where}: {why}"
        if control is not None:
            give_up(ControlError(text, error.kind), as_json=as_json)
        if type(error) is NoDaemonError:
            return _Seen()
        is_silent = isinstance(error, SilentError)
        advice = "its loop hangs, or it was stopped: see its log" if is_silent else "ask as root"
        level = Level.BAD if is_silent else Level.WARN
        if not (is_silent or error.kind == "refused"):
            pid = None
        if pid is None:
            advice += "; who holds our addresses may be the daemon"
        return _Seen(pid, findings=(Finding(level, "daemon", text, advice),))
    return read(answer, _told, as_json=as_json)


def _told(answer: Mapping[str, Any]) -> _Seen:
    files = list(answer["configuration"]["files"])
    off = [one["name"] for one in answer["disabled"] if one["until_reload"]]
    names = [*(one["name"] for one in answer["services"]), *off]
    if type(answer["pid"]) is not int or not all(type(one) is str for one in (*files, *names)):
        raise TypeError
    return _Seen(answer["pid"], files[0] if files else None, tuple(names))


def _present(seen: _Seen) -> tuple[str | None, list[Finding]]:
    """Those of its services that its file has, as `--only` takes them, and what differs there."""
    from sockd.config.document import ConfigError
    from sockd.config.document import read as read_file
    from sockd.ops.doctor.finding import Finding, Level

    if seen.file is None:
        return ",".join(seen.services) or None, []
    try:
        tables = read_file(Path(seen.file)).values.get("service", {})
        has = [name for name, one in tables.items() if one.get("enabled") is not False]
    except (ConfigError, AttributeError):
        return None, []  # whoever reads all of it tells why
    found = []
    both = [name for name in has if name in seen.services]
    left_out = [name for name in has if name not in seen.services]
    if both and left_out:
        text = f"it does not run {', '.join(left_out)}, of {seen.file}: not looked at"
        found.append(Finding(Level.OK, "daemon", text))
    if gone := [name for name in seen.services if name not in has]:
        text = f"it runs {', '.join(gone)}, which {seen.file} has not, or has disabled"
        advice = "`sockd reload --dry-run` tells what a reload would change"
        found.append(Finding(Level.WARN, "daemon", text, advice))
    return ",".join(both) or None, found


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
