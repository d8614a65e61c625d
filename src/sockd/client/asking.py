"""What the options that every command shares say, as one frozen value."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from attrs import fields, frozen

DEFAULT_WAIT = 4.0
"""Seconds for one answer: less would call a host of this link silent that is not there, which the
kernel says after 3.1; more would bore who asks."""
LARGEST_SIZE = 65_507
"""Bytes of a probe: what a datagram of UDP over IPv4 carries."""
MOST_COUNT = 1_000_000_000
MOST_RETRIES = 100
"""More than that is no retry but a flood."""
MOST_WINDOW = 4_096
"""Probes on their way at once: more than that overflow the queue of any socket."""


@frozen(kw_only=True)
class Asking:
    """How to ask. Durations are seconds. None: the command's own default."""

    count: int | None = None
    interval: float | None = None
    wait: float = DEFAULT_WAIT
    """For one answer, from its own send; and before it, as long to get there."""
    deadline: float | None = None
    """For the whole run."""
    size: int | None = None
    interface: str = ""
    """A device's name, or one of our own addresses to send from."""
    is_numeric: bool = False
    family: int = 0
    """4 or 6; 0 for both."""
    is_quiet: bool = False
    verbosity: int = 0
    as_json: bool = False
    explains: bool = False
    tells_timing: bool = False
    transport: str = ""
    """`tcp`, `tls`, `udp`, `unix`, `unixgram`; empty: the command's own default."""
    path: str = ""
    """Of a socket file (`--unix`)."""
    port: int | None = None
    ca: str = ""
    """A file of certificates to trust instead of the system's."""
    certificate: str = ""
    """A file with the client's certificate and its key."""
    server_name: str = ""
    """The name that the server's certificate must have, where it is not the host's."""
    is_insecure: bool = False
    retries: int = 0
    enough: int | None = None
    """Answers of so many hosts suffice (`--any`)."""
    answers: int | None = None
    """Answers after which a conversation ends early (`--answers`)."""
    all_addresses: bool = False
    is_check: bool = False
    warn: tuple[str, ...] = ()
    crit: tuple[str, ...] = ()
    prometheus: str = ""
    """A file to write metrics to; `-` for standard output."""
    color: str = "auto"
    """`auto`, `always`, `never`."""

    @property
    def times(self) -> int | None:
        """How often a host is asked that one question suffices for; None: until something ends it.

        Who gives an interval and no count wants it asked again.
        """
        return 1 if self.count is self.interval is None else self.count

    @property
    def is_repeated(self) -> bool:
        """Whether that is more than once."""
        return self.times != 1

    def turns(self) -> Iterable[int]:
        """Its questions, by number."""
        return itertools.count() if self.times is None else range(self.times)

    def given(self) -> Mapping[str, int | float | str | bool]:
        """What is not as it would be without options, by name."""
        named = {field.name: (getattr(self, field.name), field.default) for field in fields(Asking)}
        return {
            name: ",".join(value) if isinstance(value, tuple) else value
            for name, (value, usual) in named.items()
            if value != usual and value is not None
        }
