"""The facts of this host."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from sockd.importer.entry import Entry
from sockd.importer.reading import Reader, of_this_host
from sockd.listen.listen import Listen
from sockd.listen.sockets import is_at
from sockd.net.children import why_not
from sockd.net.program import missing_tools
from sockd.ops.doctor.finding import Facts, Holder, Interface, Wanted

TWISTD_SECONDS = 30.0
"""How long twistd may take to say what it finds."""
INETD_FILES = ("/etc/inetd.conf", "/etc/xinetd.conf")
RMEM_MAX = "net/core/rmem_max"
FIRST_FREE_PORT = "net/ipv4/ip_unprivileged_port_start"
USUAL_FIRST_FREE_PORT = 1024
_MULTICAST = 0x1000
"""IFF_MULTICAST (linux/if.h)."""
_UP = 0x1
_MODES = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}
WRITES_ALL = 1 << 1
"""CAP_DAC_OVERRIDE (linux/capability.h)."""
READS_ALL = WRITES_ALL | 1 << 2
"""CAP_DAC_READ_SEARCH too."""


def facts(daemon: int | None) -> Facts:
    """What there is, of the daemon whose process that is, or of one that would be started."""
    pid = os.getpid() if daemon is None else daemon
    status = _status(pid)
    name, why = _plugin()
    return Facts(
        pid=pid,
        is_daemon=daemon is not None,
        uid=_numbers(status, "Uid")[1],
        reads=_may(status, "r", READS_ALL),
        may_move=_may_move(_may(status, "w", WRITES_ALL), _may(status, "x", WRITES_ALL)),
        capabilities=int(status.get("CapEff", "0"), 16),
        descriptors=_descriptors(pid),
        first_free_port=_sysctl(FIRST_FREE_PORT, USUAL_FIRST_FREE_PORT),
        receive_buffer=_sysctl(RMEM_MAX, sys.maxsize),
        interfaces=tuple(_interfaces()),
        holder=_holders(daemon),
        others=tuple(_others(INETD_FILES)),
        expires=expires,
        now=time.time(),
        reactor=_reactor(),
        plugin=why,
        twistd=name,
        programs=missing_tools() or why_not(),
    )


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _numbers(status: dict[str, str], name: str) -> list[int]:
    """Numbers of users or groups, the one that counts in the second place."""
    return [int(one) for one in status.get(name, "0 0").split()]


def _may(
    status: dict[str, str], what: Literal["r", "w", "x"], of_all: int
) -> Callable[[str], bool]:
    """Whether a process may read a file, write to it, or search a folder: root finds out as its
    user, and others are that user. Who has a capability `of_all` may."""
    uid, gid = _numbers(status, "Uid")[1], _numbers(status, "Gid")[1]
    if os.geteuid() != 0 or uid == 0 or int(status.get("CapEff", "0"), 16) & of_all:
        return lambda file: os.access(file, _MODES[what], effective_ids=True)
    groups = [int(one) for one in status.get("Groups", "").split()]
    return partial(_may_as, uid, gid, groups, what)


def _may_move(
    writes: Callable[[str], bool], searches: Callable[[str], bool]
) -> Callable[[str], bool]:
    def may(file: str) -> bool:
        folder = str(Path(file).resolve().parent)  # a link stays where it is
        return writes(folder) and searches(folder)

    return may


def _may_as(uid: int, gid: int, groups: Sequence[int], what: str, file: str) -> bool:
    command = ["test", f"-{what}", file]
    done = subprocess.run(
        command, user=uid, group=gid, extra_groups=groups, stdin=subprocess.DEVNULL, check=False
    )
    return done.returncode == 0


def _descriptors(pid: int) -> int:
    try:
        soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    except OSError:  # it has just ended
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else sys.maxsize


def _sysctl(name: str, otherwise: int) -> int:
    try:
        return int(Path("/proc/sys", name).read_text("ascii"))
    except (OSError, ValueError):
        return otherwise


def _interfaces() -> Iterator[Interface]:
    import psutil

    for name, entries in psutil.net_if_addrs().items():
        try:
            flags = int(Path("/sys/class/net", name, "flags").read_text("ascii"), 16)
        except (OSError, ValueError):
            continue  # just removed
        found = frozenset(entry.address.partition("%")[0] for entry in entries)
        yield Interface(name, found, bool(flags & _UP), bool(flags & _MULTICAST))


def _holders(daemon: int | None) -> Callable[[Listen], Holder | None]:
    import psutil

    @cache
    def connections(kind: str) -> Sequence[Any]:
        try:
            return psutil.net_connections(kind)
        except (psutil.Error, OSError):
            return ()

    def holder(listen: Listen) -> Holder | None:
        kind = "unix" if listen.path else "udp" if listen.transport == "udp" else "tcp"
        if listen.transport == "multicast":
            return None  # which is sent to, and not held
        for one in connections(kind):
            is_ours = daemon is not None and one.pid == daemon
            if is_ours or not is_at(one, listen):
                continue
            if one.pid is None:
                return Holder()
            try:
                return Holder(psutil.Process(one.pid).name(), one.pid)
            except psutil.Error:
                continue  # just ended
        return None

    return holder


def _others(paths: Sequence[str]) -> Iterator[Wanted]:
    reader = Reader(of_this_host())
    for path in paths:
        reader.read(Path(path))  # one that cannot be: there is no such super-server
    for one in reader.result():
        if isinstance(one, Entry) and one.is_enabled and one.port:
            yield Wanted(str(one.place), one.is_stream, one.port)


def expires(file: str) -> float:
    """When the first certificate of a PEM file ends. Raises ValueError."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        first, *_ = load_pem_x509_certificates(Path(file).read_bytes())
    except OSError as error:
        raise ValueError((error.strerror or str(error)).lower()) from None
    return first.not_valid_after_utc.timestamp()


def _reactor() -> str:
    try:
        import_module("uvloop")
        from sockd.reactor import foundations

        foundations.check()
    except ImportError as error:
        return str(error)
    return ""


def _plugin() -> tuple[str, str]:
    """The twistd beside this Python, and why it does not find sockd."""
    own = Path(sys.executable).with_name("twistd")
    found = str(own) if own.exists() else shutil.which("twistd")
    if found is None:
        return "", "there is no twistd beside this Python, nor in PATH"
    try:
        told = subprocess.run(
            [found, "--help"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TWISTD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return found, f"{found}: {error}"
    if re.search(r"^\s+sockd\s", told.stdout, re.MULTILINE):
        return found, ""
    return found, f"{found} does not find sockd"
