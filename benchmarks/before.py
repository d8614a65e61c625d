"""sockd as another checkout has it, say an older commit: a peer beside this one's."""

from __future__ import annotations

import subprocess
from pathlib import Path

from attrs import evolve

from benchmarks.roster import SOCKD, SOURCES, Peer
from benchmarks.works import Work

NAME = "before"


def checkout(text: str) -> Path:
    """A checkout that is installed. Raises ValueError that says what it lacks."""
    folder = Path(text).resolve()
    for file in (_python(folder), _own_peer(folder)):
        if not file.exists():
            raise ValueError(
                f"{file} does not exist: is {text} a checkout in which `make .venv/.run` was done?"
            )
    return folder


def with_before(work: Work, folder: Path) -> Work:
    """The work with the checkout's sockd among the peers, the first of them."""
    return evolve(work, targets={before(folder, work.kind): None, **work.targets})


def before(folder: Path, kind: str) -> Peer:
    """The checkout's sockd, started by its own peer.

    A kind that did not exist then is started by ours: it gives commands to that checkout's sockd.
    """
    own = _own_peer(folder)
    knows = f'"{kind}"' in own.read_text("utf-8")
    peer = own if knows else SOURCES / own.name
    return Peer(NAME, (str(_python(folder)), str(peer), *SOCKD.argv[2:]), package=str(folder))


def commit(folder: Path) -> str:
    """What the checkout is, as git calls it."""
    argv = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _python(folder: Path) -> Path:
    # its link is not followed: where it lies makes it that environment's
    return folder / ".venv" / "bin" / "python"


def _own_peer(folder: Path) -> Path:
    return folder / "benchmarks" / "peers" / Path(SOCKD.argv[1]).name
