"""How a process was started, and is to be started again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field

from sockd.options.runtime import runtime_directory

LONGEST_FIRST = 256
"""Bytes of a script's first line, of which the kernel reads no more."""


def _environment() -> dict[str, str]:
    """This process's, with the folder of its sockets: another user would have another one."""
    runtime = runtime_directory(os.environ, os.getuid())
    return {**os.environ, "RUNTIME_DIRECTORY": runtime}


def _folder() -> str:
    """Where this process is; a folder that is no more is no place to come back to."""
    try:
        return os.getcwd()  # noqa: PTH109 - as text
    except FileNotFoundError:
        return "/"


def command(executable: str, argv: Sequence[str]) -> tuple[str, ...]:
    """What has Python run `argv` again. A script is run itself where it names this Python in its
    first line: a process is called by what is run, and it was called so."""
    interpreter, *rest = argv
    with suppress(OSError):
        if rest and not rest[0].startswith("-") and os.access(rest[0], os.X_OK):
            with open(rest[0], "rb") as script:  # noqa: PTH123 - its first line alone
                if script.readline(LONGEST_FIRST).rstrip() == b"#!" + os.fsencode(interpreter):
                    return tuple(rest)
    return (executable, *rest)


@define
class Restart:
    """The command, and where and with what it runs: as it was at the start."""

    argv: Sequence[str] = field(factory=lambda: command(sys.executable, sys.orig_argv))
    environment: Mapping[str, str] = field(factory=_environment)
    folder: str = field(factory=_folder)
    refusal: Callable[[], str] = str
    """Why it cannot be started again; empty where nothing is known to be in the way."""
    prepare: Callable[[], object] = lambda: None
    """Called at last, when all has stopped."""


def of_twistd(parent: Mapping[str, Any]) -> Restart:
    """How twistd was called, from its own options: the process is a daemon by now."""
    restart = Restart()
    if not parent["nodaemon"]:
        restart.argv = _staying(restart.argv, has_log=bool(parent["logfile"] or parent["syslog"]))
    folder = Path(restart.folder, parent["rundir"])
    pid_file = parent["pidfile"] and folder / parent["pidfile"]
    log_file = parent["logfile"] or (not parent["nodaemon"] and "twistd.log")
    files = {
        "--pidfile": Path(pid_file).parent if pid_file else None,  # it is replaced
        "--logfile": folder / log_file if log_file and log_file != "-" else None,
    }
    restart.refusal = partial(_refusal, bool(parent["chroot"]), files)
    if pid_file:
        restart.prepare = partial(_remove, Path(pid_file))
    return restart


def _staying(argv: Sequence[str], *, has_log: bool) -> tuple[str, ...]:
    """The command, as one that does not become a daemon: the process is one already."""
    first = len(argv) - len(sys.argv) + 1
    more = ["--nodaemon", *([] if has_log else ["--logfile=twistd.log"])]
    return (*argv[:first], *more, *argv[first:])


def _refusal(has_chroot: bool, files: Mapping[str, Path | None]) -> str:
    return "; ".join(_reasons(has_chroot, files))


def _reasons(has_chroot: bool, files: Mapping[str, Path | None]) -> Iterator[str]:
    if has_chroot:
        yield "what is installed is not in the folder of --chroot: restart the daemon"
    for option, path in files.items():
        if path is not None and not _may_write(path):
            yield f"{option}: {path} cannot be written by the user that the daemon has become"


def _may_write(path: Path) -> bool:
    """Whether a file can be written, or made."""
    is_there = os.path.exists(path)  # noqa: PTH110 - one that cannot be looked at is not there
    return os.access(path if is_there else path.parent, os.W_OK)


def _remove(file: Path) -> None:
    """twistd does not start where a file says that a process runs, though it be this one."""
    with suppress(OSError):
        file.unlink()
