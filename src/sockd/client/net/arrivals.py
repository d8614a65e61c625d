"""Datagrams that came and that were sent, as values."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attrs import frozen

from sockd.client.net.icmp import NetworkError
from sockd.reactor.clocks import ClockReading
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import Stamped

Came = Stamped
"""Data, who sent it, the kernel's stamp (ns since 1970), the number of the interface where it came
in and the address that it was sent to. A plain tuple: with names it would take longer to make."""
OnBatch = Callable[[list[Came], ClockReading], None]
OnError = Callable[[NetworkError], None]
OnData = Callable[[bytes, Address], None]


class Sent(NamedTuple):
    """What became of a batch that was to be sent."""

    at_ns: int
    """By the monotonic clock, just before the call."""
    refused: tuple[int, ...] = ()
    """The numbers of those that the kernel did not take: `Datagrams.refusal` says why."""


@frozen(kw_only=True)
class Arrival:
    """A datagram that came."""

    data: bytes
    address: Address
    at_ns: int
    """When, by the monotonic clock."""
    is_kernel: bool
    """Whether the kernel said when; else it is the moment at which it was read."""
    interface: int | None = None
    """The number of the interface; of broadcasts and multicasts only, as the next."""
    destination: str | None = None
    """The address that it was sent to."""
    sent_ns: int | None = None
    """When the last try was sent that this may answer (`ask`)."""
    attempt: int = 1
    """The number of that try."""

    @property
    def rtt_ns(self) -> int | None:
        """The round trip; None where it is not known which of several tries was answered."""
        if self.sent_ns is None or self.attempt > 1:
            return None
        return self.at_ns - self.sent_ns
