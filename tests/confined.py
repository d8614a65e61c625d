"""`python confined.py UNIT COMMAND...` runs a command with the system calls that a unit allows.

What systemd makes of the unit's `SystemCallFilter=`, with the sets that systemd itself names. All
other calls fail with EPERM, as the unit has it.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ALLOW = 0x7FFF0000
FAIL = 0x00050000 + 1  # with EPERM (seccomp.h)


@cache
def members(name: str) -> frozenset[str]:
    """The system calls of a set such as `@system-service`, or the one that is named."""
    if not name.startswith("@"):
        return frozenset([name])
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    below = re.findall(r"^ {4}([@\w-]+)$", listed.stdout, re.M)
    return frozenset().union(*(members(one) for one in below))


def allowed(unit: str) -> frozenset[str]:
    """What a unit allows: its lines add to it, or with a `~` take from it, in their order."""
    result = members("@default")
    for tilde, names in re.findall(r"^SystemCallFilter=(~?)(.+)$", unit, re.M):
        for name in names.split():
            result = result - members(name) if tilde else result | members(name)
    return result


def numbers(library: ctypes.CDLL, names: frozenset[str]) -> Iterator[int]:
    """The numbers of system calls; other machines have other calls."""
    for name in names:
        if (number := library.seccomp_syscall_resolve_name(name.encode())) >= 0:
            yield number


def confine(names: frozenset[str]) -> None:
    """Let this process, and what it becomes, make these system calls only."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(FAIL))
    for number in numbers(library, names):
        assert library.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0) == 0
    assert library.seccomp_load(context) == 0


if __name__ == "__main__":
    confine(allowed(Path(sys.argv[1]).read_text("utf-8")))
    os.execvp(sys.argv[2], sys.argv[2:])
