"""A host of one's own on this one: its root is this machine's, and what is written there is lost.

It has a network and processes of its own, and in /opt/sockd what the wheel installs. Commands run
there as an administrator's, or as a container engine's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import define

from tests.daemons import children
from tests.environments import ROOT, Environment
from tests.processes import finish

HOLD = """
set -e
mount -t tmpfs none "$1"
cd "$1"
mkdir root changes work sockd-changes sockd-work
over() { mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"; }
over / changes work root
for part in sys dev; do mount --rbind "/$part" "root/$part"; done
mount -t proc proc root/proc
for place in "$3" "$4"; do  # where they are no part of the first file system
  [ -e "root/$place/." ] && [ -n "$(ls -A "root/$place")" ] || mount --rbind "$place" "root/$place"
done
mkdir -p root/opt/sockd "root/$2"
over "$2" sockd-changes sockd-work "root/$2"
mount --bind "root/$2" root/opt/sockd
mount -t tmpfs none root/run
mkdir root/run/lock
rm -rf root/etc/sockd root/etc/systemd/system/sockd*
echo ready
exec cat
"""
"""Makes it below $1; $2 is an environment with sockd, $3 this checkout, $4 where Python lies."""
PATH = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@define
class Root:
    """Such a host, while its first process runs."""

    folder: Path
    pid: int

    def path(self, inside: str) -> Path:
        """A file of it, as it is seen from here, while this process looks there."""
        return Path(f"/proc/{self.pid}/root") / str(self.folder).lstrip("/") / inside.lstrip("/")

    def command(
        self, *argv: str, folder: str = "/", has_network: bool = False, is_first: bool = False
    ) -> list[str]:
        """A command as it is started there; `is_first`: as the first process of a container.

        `has_network`: on this machine's network instead of its own.
        """
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid"]
        enter += ["--net"] * (not has_network)
        apart = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={self.folder}/proc"]
        chroot = ["chroot", str(self.folder), "env", f"--chdir={folder}"]
        return [*enter, *(apart if is_first else ()), *chroot, *argv]

    def run(
        self,
        script: str,
        *,
        environment: Mapping[str, str] | None = None,
        folder: str = str(ROOT),
        has_network: bool = False,
        seconds: float = 300.0,
    ) -> str:
        """Have a shell of it run a script, which must succeed; what it says."""
        argv = self.command("/bin/sh", "-ec", script, folder=folder, has_network=has_network)
        given = {"PATH": PATH, "PIP_NO_COMPILE": "1", **(environment or {})}
        done = finish(argv, environment=given, seconds=seconds)
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode == 0, f"{script}\n{said}"
        return said


@contextmanager
def root(folder: Path, installed: Environment, host: str) -> Iterator[Root]:
    """Such a host, below an empty folder, on the network of a namespace."""
    unshare = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    unshare += ["sh", "-c", HOLD, "sh"]
    places = [str(one) for one in (folder, installed.folder, ROOT, sys.base_prefix)]
    argv = ["ip", "netns", "exec", host, *unshare, *places]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"ready\n"
        [first] = children(holder.pid)
        yield Root(folder / "root", first)
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(60)
