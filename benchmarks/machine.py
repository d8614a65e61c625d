"""The machine and the versions that figures belong to."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attrs import frozen
from OpenSSL import SSL

from benchmarks.roster import XINETD_COMMAND

COMMANDS = {
    "gcc": ("gcc", "-dumpfullversion"),
    "Go": ("go", "version"),
    "OpenSSL": ("openssl", "version"),
    "Perl": ("perl", "-e", "print $^V"),
    "openbsd-inetd": ("dpkg-query", "--show", "--showformat=${Version}", "openbsd-inetd"),
    "xinetd": (XINETD_COMMAND, "-version"),
}
PACKAGES = ("Twisted", "uvloop", "gevent", "cffi", "pyOpenSSL")


@frozen
class Cores:
    """Where servers run and where the load; the same core where there is only one."""

    server: int
    load: int

    @property
    def are_apart(self) -> bool:
        """Whether there are two."""
        return self.server != self.load


def pick_cores() -> Cores:
    """Two cores that this process may use, not two threads of one core if that can be."""
    server, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return Cores(server, server)
    siblings = _siblings(server)
    return Cores(server, next((core for core in others if core not in siblings), others[0]))


def _siblings(core: int) -> set[int]:
    """The logical CPUs that share a core: the kernel's list, as `0,2` or `0-1`."""
    file = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    found = set()
    for part in file.read_text().split(",") if file.exists() else ():
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def allow_descriptors(count: int) -> None:
    """Let what this process starts have so many descriptors, as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def describe(cores: Cores) -> list[tuple[str, str]]:
    """What a reader has to know of this machine, as (what, value)."""
    where = (
        f"servers on core {cores.server}, load on core {cores.load}, of {os.cpu_count()}"
        if cores.are_apart
        else "one only: servers and load share it, and no absolute figure means much"
    )
    return [
        ("processor", _processor()),
        ("cores", where),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"),
        ("system", f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {_kernel()}"),
        ("Python", f"{platform.python_version()}, {_packages()}"),
        ("others", _commands()),
        ("load average before", f"{os.getloadavg()[0]:.2f}"),
    ]


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    guest = " (virtual machine)" if re.search(r"^flags\s*:.*\bhypervisor\b", text, re.M) else ""
    return (model[1] if model else platform.machine()) + guest


def _kernel() -> str:
    return f"{platform.system()} {platform.release()}"


def _packages() -> str:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    # its own, which no package of the system changes
    bundled = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode("ascii").split()[1]
    return f"{', '.join(found)} with OpenSSL {bundled}"


def _commands() -> str:
    return ", ".join(f"{name} {_output(argv) or '-'}" for name, argv in COMMANDS.items())


def _output(argv: tuple[str, ...]) -> str:
    """The version in what a command prints; empty where it is not installed."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        return ""
    found = re.search(r"\d+\.[\w.+~-]+", done.stdout + done.stderr)
    return found[0].rstrip(".") if found else ""
