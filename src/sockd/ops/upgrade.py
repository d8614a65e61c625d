"""The same process becomes the code that is installed now, and goes on with its sockets.

What is bound stays bound, so who comes meanwhile waits in the kernel: connections in the queue of
their address, datagrams in its receive buffer. Connections that are open end as at a stop.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from attrs import Factory, define, field
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from sockd import events
from sockd.daemon.daemon import Daemon
from sockd.daemon.keeping import Keeping
from sockd.formats.text import one_line
from sockd.listen.sockets import FIRST_HANDED_OVER, handed_over
from sockd.ops.notify import Notifier
from sockd.options.runtime import runtime_directory

CHECK = "--check"
"""The option with which each command that runs a daemon only says whether it could."""
CHECK_SECONDS = 60.0
"""How long the new code may take to say that it can start: a loaded machine is slow, and whoever
asked for the upgrade waits."""
ANSWER_SECONDS = 0.1
"""Between the answer that it goes ahead and the end of all connections, that of who asked too."""
SAID = 2000
"""Characters of what the new code says where it cannot start."""
HANDLED = (signal.SIGINT, signal.SIGTERM)
"""Signals that a new process begins with as they come: what is ignored stays ignored otherwise, and
what asks the old daemon for something (HUP) must not end the new one."""


class UpgradeRefused(Exception):
    """Why there is no upgrade; all is as it was."""


@define
class Restart:
    """How this process was started, and is to be started again."""

    argv: Sequence[str] = Factory(lambda: (sys.executable, *sys.orig_argv[1:]))
    environment: Mapping[str, str] = field(factory=lambda: dict(os.environ))
    refusal: str = ""
    """Why it cannot be, where that is known beforehand."""
    prepare: Callable[[], None] = lambda: None
    """Called at last, before this code ends."""


def to_hand_over(sockets: Mapping[str, socket.socket]) -> list[tuple[str, int]]:
    """Names and descriptors for the next daemon: the service manager's first, which are also known
    by their number. They stay when the sockets are closed."""
    # the last daemon's are among ours, or are nobody's any more
    from sockd.listen.kept_names import PREFIX

    managers = [(name, number) for name, number in handed_over() if not name.startswith(PREFIX)]
    ours = [(name, sock.fileno()) for name, sock in sockets.items()]
    lowest = FIRST_HANDED_OVER + len(managers) + len(ours)
    return [
        (name, fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, lowest))
        for name, number in (*managers, *ours)
    ]


def become(restart: Restart, given: Sequence[tuple[str, int]]) -> NoReturn:
    """Be what is installed now. Every other descriptor is closed by the kernel. Raises OSError."""
    for place, (_, number) in enumerate(given):
        os.dup2(number, FIRST_HANDED_OVER + place, inheritable=True)
    environment = {
        name: value for name, value in restart.environment.items() if not name.startswith("LISTEN_")
    }
    if given:
        environment["LISTEN_PID"] = str(os.getpid())
        environment["LISTEN_FDS"] = str(len(given))
        environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in given)
    for number in HANDLED:
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(restart.argv[0], [*restart.argv], environment)


def check(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """Why what is installed now does not start with this command; empty where it does."""
    quiet = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))
    }
    try:
        done = subprocess.run(
            [*argv, CHECK],
            env=quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the new code has not said within {CHECK_SECONDS:.0f} s that it can start"
    except OSError as error:
        return f"{argv[0]}: {error.strerror}"
    if done.returncode == 0:
        return ""
    said = (done.stderr or done.stdout).decode("utf-8", "backslashreplace").strip()
    return said[-SAID:] or f"the new code ends with {done.returncode} and says nothing"
