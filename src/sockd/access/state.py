"""What is true of the whole daemon, whichever of its processes asks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

from attrs import Factory, define

from sockd.access.bans import Bans
from sockd.access.refusals import Refusals

LEFT_SECONDS = 60.0
"""How long others may take to close what they hold of a socket of ours. They do it as soon as they
come to it; a service manager on a machine that swaps comes to it late."""


@define
class DaemonState:
    """The home of what all instances share and no process may know alone."""

    own_pid: Callable[[], int] = os.getpid
    """This process, which changes when it becomes a daemon."""
    udp_ports: Counter[int] = Factory(Counter)
    """UDP ports that the daemon listens on, with how many sockets: none is ever answered."""
    _udp_families: Counter[tuple[bool, int]] = Factory(Counter)
    """The same by whether it is over IPv6, and port."""
    _left_udp: dict[int, float] = Factory(dict)
    """UDP ports at which somebody may still hold a socket that was ours, and until when."""
    local_names: Counter[str] = Factory(Counter)
    """Names of Unix sockets that the daemon takes datagrams at: none is ever answered."""
    sessions: int = 0
    """How many sessions there have been: the number of the latest."""
    bans: Bans = Factory(Bans)
    """Who may not come, to whichever instance."""
    refusals: Refusals = Factory(Refusals)
    """Who was refused lately."""
    _warned: set[str] = Factory(set)

    def open_udp_port(self, port: int, *, ipv4: bool = True, ipv6: bool = True) -> None:
        """A socket of ours listens on this port, over IPv4, IPv6 or both."""
        self.udp_ports[port] += 1
        self._udp_families.update([(False, port)] * ipv4 + [(True, port)] * ipv6)

    def close_udp_port(self, port: int, *, ipv4: bool = True, ipv6: bool = True) -> None:
        """A socket of ours, opened so, listens there no more."""
        self.udp_ports[port] -= 1
        if not self.udp_ports[port]:
            del self.udp_ports[port]
        self._udp_families.subtract([(False, port)] * ipv4 + [(True, port)] * ipv6)
        self._udp_families = +self._udp_families

    def leave_udp_port(self, port: int, now: float) -> None:
        """Others who have a socket of ours at this port were told to close it."""
        self._left_udp = {one: until for one, until in self._left_udp.items() if until > now}
        self._left_udp[port] = now + LEFT_SECONDS

    def has_left_udp_port(self, port: int, now: float) -> bool:
        """Whether they may be about to: what is there is no stranger's then."""
        return self._left_udp.get(port, now) > now

    def open_local_name(self, name: str) -> None:
        """A Unix datagram socket of ours has this name."""
        self.local_names[name] += 1

    def close_local_name(self, name: str) -> None:
        """It is closed."""
        self.local_names[name] -= 1
        self.local_names = +self.local_names

    def may_send_from(self, host: str, port: int) -> bool:
        """Whether a datagram from there can be one of the daemon's own: nobody sends over IPv4 from
        a socket of IPv6."""
        return (":" in host, port) in self._udp_families

    def is_own_process(self, pid: int | None) -> bool:
        """Whether this is a process of the daemon's."""
        return pid == self.own_pid()

    def next_session(self) -> int:
        """The number of a session that begins: 1 for the first, and no two have the same."""
        self.sessions += 1
        return self.sessions

    def warns_first(self, about: str) -> bool:
        """Whether this is the first warning of its kind: it concerns the host, once is enough."""
        is_first = about not in self._warned
        self._warned.add(about)
        return is_first
