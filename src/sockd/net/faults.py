"""What goes wrong with the datagrams of a port: counted, and told a few times a second."""

from __future__ import annotations

from typing import Any

from sockd import events
from sockd.access.buckets import Buckets
from sockd.access.counts import Traffic
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from sockd.net.context import Context

FAULTS_PER_SECOND = 10
"""Faults of a port that are reported a second: anybody can send what a service fails at."""


class Faults:
    """Those of one port."""

    def __init__(self, context: Context[Any, Any], traffic: Traffic) -> None:
        self._context = context
        self._traffic = traffic
        self._reports = Buckets(FAULTS_PER_SECOND, FAULTS_PER_SECOND, 1)
        self._unreported = 0

    def crash(self, peer: Peer) -> None:
        """The exception that is being handled is a datagram's of this peer."""
        if self._is_told():
            events.crash(self._context.name, peer)

    def fail(self, peer: Peer, reason: Reason) -> None:
        """A peer has got no answer, for a reason that is not its own."""
        if self._is_told():
            events.warn("failed", service=self._context.name, peer=peer, reason=reason)

    def _is_told(self) -> bool:
        """Count an error. Whether it is to be reported: a flood of them must not fill the log."""
        self._traffic.errors += 1
        if not self._reports.take("", self._context.clock.seconds()):
            self._unreported += 1
            self._context.guard.counts.suppressed += 1
            return False
        if self._unreported:
            reason = because("suppressed", count=self._unreported)
            events.warn("warning", service=self._context.name, reason=reason)
            self._unreported = 0
        return True
