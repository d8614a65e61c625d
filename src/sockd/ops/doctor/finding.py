"""What the doctor has found, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

from attrs import frozen

from sockd.listen.listen import Listen


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It runs, and not as well as it might."""
    BAD = "bad"
    """It does not run, or soon will not."""


@frozen
class Finding:
    """One thing that was looked at."""

    level: Level
    topic: str
    text: str
    advice: str = ""
    """What to do about it."""


@frozen
class Holder:
    """A process that has an address."""

    name: str = ""
    pid: int | None = None
    """None: another user's, which only root sees."""


@frozen
class Interface:
    """One of this host's."""

    name: str
    addresses: frozenset[str]
    is_up: bool
    has_multicast: bool


@frozen
class Wanted:
    """A service of another super-server, whether that runs or not."""

    place: str
    is_stream: bool
    port: int


@frozen(kw_only=True)
class Facts:
    """What only the host knows. A test makes up another one."""

    pid: int
    """The process that is looked at: the daemon where one runs, else the doctor's own."""
    is_daemon: bool
    uid: int
    reads: Callable[[str], bool]
    """Whether it may read a file."""
    may_move: Callable[[str], bool]
    """Whether it may move a file away in its folder, and make another one there."""
    capabilities: int
    descriptors: int
    """Files that it may have open."""
    first_free_port: int
    """From which on ports are everybody's."""
    receive_buffer: int
    """The largest that the kernel gives to who has no CAP_NET_ADMIN, in bytes."""
    interfaces: Sequence[Interface]
    holder: Callable[[Listen], Holder | None]
    """Who has an address now, the daemon not counted."""
    others: Sequence[Wanted]
    """What other super-servers are to serve."""
    expires: Callable[[str], float]
    """When the certificate of a file ends, in seconds since 1970. Raises ValueError."""
    now: float
    reactor: str
    """Why sockd's own reactor cannot run; empty where it can."""
    plugin: str
    """Why twistd does not find sockd; empty where it does."""
    twistd: str
    """Which twistd that is."""
    programs: str
    """Why programs cannot be run, or are not ended with all that they start; empty: nothing."""
