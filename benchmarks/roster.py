"""What is compared: sockd, and everything that a user could pick instead.

A peer is a program that is started as `PROGRAM ... KIND`, serves on loopback and writes the port it
listens on. What it needs beyond this repository is named by its Debian package.
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from attrs import evolve, frozen

BUILT = Path(sys.prefix) / "bench"
"""Where `make` puts what it compiles, the load generator among it."""
SOURCES = Path(__file__).parent / "peers"
_ROOT = "" if shutil.which("xinetd") else str(BUILT / "xinetd")
XINETD_COMMAND = f"{_ROOT}/usr/sbin/xinetd"
"""It may lie in a folder of its own: on Debian it cannot be installed beside openbsd-inetd."""


@frozen
class Peer:
    """A program to compare with."""

    name: str
    argv: tuple[str, ...]
    needs: str = ""
    """A command or a Python module that it needs beside its first argument."""
    package: str = ""
    """What has to be installed for that."""
    kind: str = ""
    """What it is started as, where that is not what the work says."""
    forks: bool = False
    """Whether its processes come and go, so that nobody sees what they take of the processor."""

    def why_missing(self) -> str:
        """Why it cannot run here; empty if it can."""
        there = shutil.which(self.argv[0]) and (
            not self.needs or shutil.which(self.needs) or find_spec(self.needs)
        )
        return "" if there else f"needs {self.package}"


def _python(name: str, file: str, *arguments: str, module: str = "") -> Peer:
    argv = (sys.executable, str(SOURCES / file), *arguments)
    return Peer(name, argv, module, f"the Python package {module}")


def _built(name: str, program: str, package: str) -> Peer:
    return Peer(name, (str(BUILT / program),), package=package)


SOCKD = _python("sockd", "sockd_peer.py", "uvloop")
SOCKD_EPOLL = _python("sockd (epoll)", "sockd_peer.py", "epoll")
SOCKD_NO_LOG = evolve(SOCKD, name="sockd, no log", kind="daytime")
SOCKD_WILDCARD = evolve(SOCKD, name="sockd on 0.0.0.0", kind="chat-wildcard")
"""Where broadcasts are heard, each datagram names the address that it leaves from."""
BARE = _python("sockd, no guards", "bare_peer.py")
C = _built("C (epoll)", "epoll", "gcc")
C_TLS = _built("C (epoll, OpenSSL)", "tls", "gcc and libssl-dev")
GO = _built("Go", "net", "golang-go")
UVLOOP_PROTOCOLS = _python("uvloop, protocols", "asyncio_peer.py", "protocols", "uvloop")
UVLOOP_STREAMS = _python("uvloop, streams", "asyncio_peer.py", "streams", "uvloop")
ASYNCIO_PROTOCOLS = _python("asyncio, protocols", "asyncio_peer.py", "protocols")
ASYNCIO_STREAMS = _python("asyncio, streams", "asyncio_peer.py", "streams")
GEVENT = _python("gevent", "gevent_peer.py", module="gevent")
TWISTED = _python("Twisted (epoll)", "twisted_peer.py")
XINETD = Peer(
    "xinetd",
    ("env", f"XINETD_ROOT={_ROOT}", "sh", str(SOURCES / "xinetd.sh")),
    XINETD_COMMAND,
    "xinetd",
    forks=True,
)
INETD = Peer(
    "openbsd-inetd",
    ("sh", str(SOURCES / "inetd.sh")),
    "inetd",
    "openbsd-inetd",
    forks=True,
)
XINETD_DAYTIME = evolve(XINETD, forks=False)
"""It tells the time itself."""
INETD_DAYTIME = evolve(INETD, forks=False)
INETD_DATE = evolve(INETD, name="openbsd-inetd -l, date")
PERL_FORK = Peer("Perl, forking", ("perl", str(SOURCES / "forking.pl")), package="perl", forks=True)
PERL_UDP = Peer("Perl", ("perl", str(SOURCES / "udp.pl")), package="perl")
PERL_CHAT = Peer("Perl", ("perl", str(SOURCES / "chat.pl")), package="perl")
