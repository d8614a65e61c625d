"""What a child process is: a command, what it may use, and with which rights it runs.

Tools of the host prepare the process, one after the other, and the last becomes the program, so
that not one instruction of it runs without its bounds: `env` (the root folder), `setsid` (a session
of its own), `prlimit` (limits) and `setpriv` (user, capabilities, an end with the daemon). Twisted
could see to the folder and the user, but would have to fork the daemon for it; to spawn a tool
keeps the daemon from its clients for a quarter of that time.
"""

from __future__ import annotations

import errno
import os
import pwd
import resource
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from attrs import frozen

from sockd.access.reasons import Reason, because

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games"
"""Where commands are looked for: the daemon's own tools, programs, and what programs start."""
TOOLS = ("env", "setsid", "prlimit", "setpriv")
"""What a host needs that is to run a child: the first is in coreutils, the others in util-linux."""
CAP_SETPCAP = 1 << 8
"""The capability that shrinks the bounding set (linux/capability.h)."""


class NoProgram(ValueError):
    """There is no such program on this host."""


@frozen(kw_only=True)
class Program:
    """What to run, and what it may use: whole seconds, bytes and counts.

    No limit is ever above the daemon's own: only a few could raise it.
    """

    argv: tuple[str, ...]
    cpu_seconds: int
    memory_bytes: int
    """Address space."""
    descriptors: int
    file_bytes: int
    """The largest file that it may write. Pipes and sockets have no size."""
    processes: int | None = None
    """Processes and threads of its user on the whole host; `None`: as many as the daemon may."""
    uid: int | None = None
    """`None`: the daemon's own user."""
    gid: int | None = None
    is_privileged: bool = False
    """It keeps the daemon's capabilities, and may gain more through setuid programs."""

    @property
    def prepared_argv(self) -> list[str]:
        """The command line that prepares the process and then becomes the program."""
        return [
            *([] if _is_in_root_folder() else [tool("env"), "--chdir=/", "--"]),
            tool("setsid"),
            tool("prlimit"),
            *self._limits(),
            "--",
            tool("setpriv"),
            *self._rights(),
            "--",
            *self.argv,
        ]

    def weaknesses(self) -> Iterator[Reason]:
        """What to warn of, because it does not hold if it is started now."""
        if (os.geteuid() if self.uid is None else self.uid) != 0:
            return
        if self.processes is not None:
            yield because("processes_of_root")
        if not self.is_privileged and not _may_shrink_bounding_set():
            yield because("capabilities_of_root")

    def _limits(self) -> Iterator[str]:
        yield f"--cpu={_within_ours(resource.RLIMIT_CPU, self.cpu_seconds)}"
        yield f"--as={_within_ours(resource.RLIMIT_AS, self.memory_bytes)}"
        yield f"--nofile={_within_ours(resource.RLIMIT_NOFILE, self.descriptors)}"
        yield f"--fsize={_within_ours(resource.RLIMIT_FSIZE, self.file_bytes)}"
        if self.processes is not None:
            yield f"--nproc={_within_ours(resource.RLIMIT_NPROC, self.processes)}"
        yield "--core=0"

    def _rights(self) -> Iterator[str]:
        if self.uid is not None:
            yield from (f"--reuid={self.uid:d}", f"--regid={self.gid:d}", self._groups(self.uid))
        if not self.is_privileged:
            yield from ("--no-new-privs", "--ambient-caps=-all", "--inh-caps=-all")
            # a program that runs as root would get all that is in this set; no other can
            if _may_shrink_bounding_set():
                yield "--bounding-set=-all"
        # a daemon that is killed ends nobody: the kernel does it. No signal that may be ignored:
        # nobody is left to send a second one
        yield "--pdeathsig=KILL"

    def _groups(self, uid: int) -> str:
        if self.gid is None or self.gid == group_of(uid):
            return "--init-groups"
        # which would add the user's own group
        groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, self.gid)
        return f"--groups={','.join(map(str, groups))}"


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """A child's whole environment: nothing of the daemon's own but its zone."""
    zone = {"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}
    return {"PATH": PATH, "LANG": "C.UTF-8", **zone, **extra}


def unfit(arguments: Iterable[str], extra: Mapping[str, str]) -> Iterator[str]:
    """What no program can be given: words and names that the kernel would read as others."""
    if any("\0" in word for word in (*arguments, *extra.values())):
        yield "a command and its environment hold no NUL"
    for name in extra:
        if not name or "=" in name or "\0" in name:
            yield f"{name!r} cannot be the name of an environment variable"


def group_of(uid: int) -> int | None:
    """The group of a user of this host; `None` where there is no such user."""
    try:
        return pwd.getpwuid(uid).pw_gid
    except (KeyError, OverflowError):
        return None


def tool(name: str) -> str:
    """Where one of the tools is. Raises FileNotFoundError."""
    return _find(name, PATH)


def missing_tools() -> str:
    """What to say where this host cannot run a child; empty where it can."""
    missing = [name for name in TOOLS if shutil.which(name, path=PATH) is None]
    if not missing:
        return ""
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"programs cannot be run: {', '.join(missing)} {verb} not on this host "
        "(see its packages util-linux and coreutils)"
    )


def locate(command: str) -> str:
    """Where a command's file is: a path as it is, a name looked for in `PATH`.

    Raises NoProgram where there is none, ValueError where there is something else.
    """
    if "\0" in command:
        raise ValueError(f"{command!r} has a NUL")
    if "/" not in command:
        if (found := shutil.which(command, path=PATH)) is None:
            raise NoProgram(f"there is no program {command!r} in {PATH}")
        return found
    if not command.startswith("/"):
        raise ValueError(
            f"{command!r} is a relative path: give an absolute one, or a name to look for"
        )
    try:
        mode = Path(command).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise NoProgram(f"there is no program {command!r}") from None
    except OSError as error:
        raise ValueError(f"{command!r} cannot be looked at: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise ValueError(f"{command!r} is a directory, not a program")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{command!r} is no ordinary file, and so no program")
    if not os.access(command, os.X_OK):
        raise ValueError(f"{command!r} is not executable: `chmod +x` makes it so")
    return command


@cache
def _find(name: str, path: str) -> str:
    found = shutil.which(name, path=path)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, f"there is no {name} on this host")
    return found


def _is_in_root_folder() -> bool:
    with suppress(FileNotFoundError):  # a folder that is no more is another one
        return Path.cwd() == Path("/")
    return False


def _within_ours(limit: int, wanted: int) -> int:
    ours = resource.getrlimit(limit)[1]
    # a plain number: a size prints itself with its unit
    return int(wanted if ours == resource.RLIM_INFINITY else min(wanted, ours))


def _may_shrink_bounding_set() -> bool:
    with suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) & CAP_SETPCAP)
    return False
